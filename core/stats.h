/* stats.h: counters and gauges of one engine, named weir_<part>_<what>_<unit>[_total] with labels.
 *
 * A stat is found or made once and kept by pointer; adding is a relaxed atomic, from any thread. Making one takes
 * a lock. Labels are one text, as `route="hot",sink="alerts"`. */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include <stdatomic.h>
#include <stdint.h>

struct stats;
struct metric {
    _Atomic int64_t value;
};

struct stats *stats_new(void);
void stats_free(struct stats *stats);
/* Never NULL: out of memory, or past 10,000 stats, gives one shared spare. */
struct metric *stats_get(struct stats *stats, const char *name, const char *labels);
/* Visits in order of name, then labels. */
void stats_each(struct stats *stats, void (*visit)(void *arg, const char *name, const char *labels, int64_t value),
                void *arg);

static inline void metric_add(struct metric *metric, int64_t delta)
{
    atomic_fetch_add_explicit(&metric->value, delta, memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline int64_t metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

#endif
