/* feed.h: which events of one shard each of its routes is given next, and how far the shard may be trimmed.
 *
 * Positions of a journaled shard are dense, so a cursor is one number. The normal path:
 *   1. feed_extend: events up to `last` are durable (journaled) or were read (replaying).
 *   2. feed_at: a route that is right at a block in memory is given it, as far as its window has room; feed_given.
 *   3. A route without room falls behind (feed_behind); the journal reader brings back what follows its cursor.
 *   4. feed_settled per route; feed_floor, the lowest of them, is what may be trimmed or told upstream.
 * Pure: no I/O, no clock. */
#ifndef WEIR_FEED_H
#define WEIR_FEED_H

#include "base.h"

struct feed_route {
    uint64_t cursor; /* the last position given */
    uint64_t low;    /* the last position settled: low <= cursor */
};

struct feed {
    uint64_t head; /* the last position that exists */
    struct feed_route *routes;
    size_t count;
};

int feed_init(struct feed *feed, size_t routes, uint64_t head); /* WEIR_OK or WEIR_NOMEM */
void feed_fini(struct feed *feed);
void feed_open(struct feed *feed, size_t route, uint64_t resume); /* given and settled up to resume */
void feed_extend(struct feed *feed, uint64_t last);
/* How many events of a block first..last come before the route's cursor (0: it is right at the block), or SIZE_MAX
 * when the route is not in this block: it is behind, or past it. */
size_t feed_at(const struct feed *feed, size_t route, uint64_t first, uint64_t last);
bool feed_behind(const struct feed *feed, size_t route); /* cursor < head */
void feed_given(struct feed *feed, size_t route, uint64_t last);
void feed_settled(struct feed *feed, size_t route, uint64_t low);
uint64_t feed_floor(const struct feed *feed);

#endif
