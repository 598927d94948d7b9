/* timers.c: see timers.h. */
#include "timers.h"

#include <stdlib.h>

void timers_init(struct timers *timers)
{
    *timers = (struct timers){0};
}

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    timers_init(timers);
}

void timer_init(struct timer *timer, int kind)
{
    *timer = (struct timer){.at = INT64_MAX, .kind = kind};
}

static void heap_put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void heap_up(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    while (place > 0 && timers->heap[(place - 1) / 2]->at > timer->at) {
        heap_put(timers, place, timers->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(timers, place, timer);
}

static void heap_down(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    for (;;) {
        size_t child = place * 2 + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timers->heap[child]->at >= timer->at)
            break;
        heap_put(timers, place, timers->heap[child]);
        place = child;
    }
    heap_put(timers, place, timer);
}

static void heap_remove(struct timers *timers, struct timer *timer)
{
    struct timer *last = timers->heap[--timers->count];
    timer->at = INT64_MAX;
    if (last == timer)
        return;
    heap_put(timers, timer->place, last);
    heap_up(timers, last);
    heap_down(timers, last);
}

static void heap_add(struct timers *timers, struct timer *timer)
{
    if (timers->count == timers->room) {
        size_t room = timers->room ? timers->room * 2 : 64;
        struct timer **heap = realloc(timers->heap, room * sizeof(struct timer *));
        CHECK(heap != NULL); /* as many as there are owners */
        timers->heap = heap;
        timers->room = room;
    }
    heap_put(timers, timers->count++, timer);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t at)
{
    bool in = timer->at != INT64_MAX;
    if (at == timer->at)
        return;
    if (at == INT64_MAX) {
        heap_remove(timers, timer);
        return;
    }
    timer->at = at;
    if (!in)
        heap_add(timers, timer);
    heap_up(timers, timer);
    heap_down(timers, timer);
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->at : INT64_MAX;
}

struct timer *timers_due(struct timers *timers, int64_t now_us)
{
    if (timers_next(timers) > now_us || !timers->count)
        return NULL;
    struct timer *timer = timers->heap[0];
    heap_remove(timers, timer);
    return timer;
}
