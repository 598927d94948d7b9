/* route_timer.c: a binary heap of timers by time; each timer knows its place, so that it can be moved. */
#include <stdlib.h>

#include "route_private.h"

void timer_init(struct timer *timer, enum timer_kind kind)
{
    *timer = (struct timer){.at = INT64_MAX, .kind = kind};
}

static void heap_put(struct route *route, size_t place, struct timer *timer)
{
    route->heap[place] = timer;
    timer->place = place;
}

static void heap_up(struct route *route, struct timer *timer)
{
    size_t place = timer->place;
    while (place > 0 && route->heap[(place - 1) / 2]->at > timer->at) {
        heap_put(route, place, route->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(route, place, timer);
}

static void heap_down(struct route *route, struct timer *timer)
{
    size_t place = timer->place;
    for (;;) {
        size_t child = place * 2 + 1;
        if (child >= route->heap_count)
            break;
        if (child + 1 < route->heap_count && route->heap[child + 1]->at < route->heap[child]->at)
            child++;
        if (route->heap[child]->at >= timer->at)
            break;
        heap_put(route, place, route->heap[child]);
        place = child;
    }
    heap_put(route, place, timer);
}

static void heap_remove(struct route *route, struct timer *timer)
{
    struct timer *last = route->heap[--route->heap_count];
    timer->at = INT64_MAX;
    if (last == timer)
        return;
    heap_put(route, timer->place, last);
    heap_up(route, last);
    heap_down(route, last);
}

/* False: out of memory. INT64_MAX takes it out. */
bool timer_set(struct route *route, struct timer *timer, int64_t at)
{
    bool in = timer->at != INT64_MAX;
    if (at == INT64_MAX) {
        if (in)
            heap_remove(route, timer);
        return true;
    }
    if (!in) {
        if (route->heap_count == route->heap_room) {
            size_t room = route->heap_room ? route->heap_room * 2 : 64;
            struct timer **heap = realloc(route->heap, room * sizeof(struct timer *));
            if (!heap)
                return false;
            route->heap = heap;
            route->heap_room = room;
        }
        heap_put(route, route->heap_count++, timer);
    }
    timer->at = at;
    heap_up(route, timer);
    heap_down(route, timer);
    return true;
}

struct timer *timer_due(struct route *route, int64_t now)
{
    if (!route->heap_count || route->heap[0]->at > now)
        return NULL;
    struct timer *timer = route->heap[0];
    heap_remove(route, timer);
    return timer;
}
