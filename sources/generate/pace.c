/* pace.c: see pace.h. */
#include "pace.h"

#define PACE_SECOND INT64_C(1000000)
#define PACE_UNITS INT64_C(1000000000) /* of an event; a rate is events in 1000 s, so units in a microsecond */

size_t pace_due(struct pace *pace, int64_t now_us, int64_t *wait_us)
{
    int64_t behind_max = pace->rate / 1000 + 1;
    while (now_us - pace->begin_us >= 1000 * PACE_SECOND) {
        pace->begin_us += 1000 * PACE_SECOND;
        pace->made -= pace->rate;
    }
    int64_t elapsed = now_us - pace->begin_us, seconds = elapsed / PACE_SECOND;
    int64_t units = elapsed % PACE_SECOND * pace->rate + seconds * pace->rate % 1000 * (PACE_UNITS / 1000);
    int64_t due = seconds * pace->rate / 1000 + units / PACE_UNITS;
    if (due - pace->made > behind_max)
        pace->made = due - behind_max;
    *wait_us = (PACE_UNITS - units % PACE_UNITS + pace->rate - 1) / pace->rate;
    return due > pace->made ? (size_t)(due - pace->made) : 0;
}
