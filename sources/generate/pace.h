/* pace.h: how many events a rate allows by now.
 *
 * It counts from `begin`, so nothing drifts; after a pause at most one second is made up for. Pure: no clock. */
#ifndef WEIR_GENERATE_PACE_H
#define WEIR_GENERATE_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
    int64_t rate, begin_us, made; /* rate: events in 1000 s, above 0 */
};

/* How many events are due and not made; *wait_us: when none is, how long until one is. */
size_t pace_due(struct pace *pace, int64_t now_us, int64_t *wait_us);

#endif
