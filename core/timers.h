/* timers.h: what happens later, in order of time: a binary heap of timers that lie inside other things.
 *
 * Each timer knows its place, so that it can be moved or taken out in O(log n). Pure: no clock. */
#ifndef WEIR_TIMERS_H
#define WEIR_TIMERS_H

#include "base.h"

struct timer {
    int64_t at; /* INT64_MAX: not in the heap */
    size_t place;
    int kind; /* the owner's word for what the timer lies in */
};

struct timers {
    struct timer **heap;
    size_t count, room;
};

void timers_init(struct timers *timers);
void timers_fini(struct timers *timers);
void timer_init(struct timer *timer, int kind);
/* Puts it in, moves it, or with INT64_MAX takes it out. */
void timers_set(struct timers *timers, struct timer *timer, int64_t at);
int64_t timers_next(const struct timers *timers);                /* INT64_MAX: none */
struct timer *timers_due(struct timers *timers, int64_t now_us); /* takes out the first that is due; NULL: none */

#endif
