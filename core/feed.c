/* feed.c: see feed.h. */
#include "feed.h"

#include <stdlib.h>

int feed_init(struct feed *feed, size_t routes, uint64_t head)
{
    feed->head = head;
    feed->count = routes;
    feed->routes = calloc(size_max(routes, 1), sizeof *feed->routes);
    return feed->routes ? WEIR_OK : WEIR_NOMEM;
}

void feed_fini(struct feed *feed)
{
    free(feed->routes);
    feed->routes = NULL;
}

void feed_open(struct feed *feed, size_t route, uint64_t resume)
{
    feed->routes[route].cursor = feed->routes[route].low = resume;
}

void feed_extend(struct feed *feed, uint64_t last)
{
    CHECK(last >= feed->head);
    feed->head = last;
}

size_t feed_at(const struct feed *feed, size_t route, uint64_t first, uint64_t last)
{
    uint64_t cursor = feed->routes[route].cursor;
    if (cursor + 1 < first || cursor >= last)
        return SIZE_MAX;
    return (size_t)(cursor + 1 - first);
}

bool feed_behind(const struct feed *feed, size_t route)
{
    return feed->routes[route].cursor < feed->head;
}

void feed_given(struct feed *feed, size_t route, uint64_t last)
{
    CHECK(last >= feed->routes[route].cursor);
    feed->routes[route].cursor = last;
}

void feed_settled(struct feed *feed, size_t route, uint64_t low)
{
    if (low > feed->routes[route].low)
        feed->routes[route].low = low;
}

uint64_t feed_floor(const struct feed *feed)
{
    uint64_t floor = feed->count ? UINT64_MAX : 0;
    for (size_t i = 0; i < feed->count; i++)
        floor = feed->routes[i].low < floor ? feed->routes[i].low : floor;
    return floor;
}
