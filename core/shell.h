/* shell.h: what everything on the loop shares: the engine's parts and how they know each other.
 *
 * An instance is one configured source, sink or function with its plug-in's state (host.h). A source has shards
 * (source.h, journal.h); a flow is a route at work (flow.h); a link is one shard of a flow; a batch is what a flow
 * has in hand (batch.h); the committer builds the store's transactions (commit.h).
 */
#ifndef WEIR_SHELL_H
#define WEIR_SHELL_H

#include <stdatomic.h>

#include "engine.h"
#include "helper.h"
#include "list.h"
#include "mailbox.h"
#include "slots.h"
#include "store.h"
#include "worker.h"

struct instance;
struct source;
struct sink;
struct flow;
struct link;
struct batch;
struct shard;
struct journal;
struct committer;
struct replays;

enum engine_phase {
    PHASE_NEW,
    PHASE_RUNNING,
    PHASE_DRAINING,      /* sources emit no more; flows finish what they have */
    PHASE_DISCONNECTING, /* stop was said to sources and sinks */
    PHASE_ENDED
};

/* One plug-in function of the configuration, with a self for each worker and one for the loop. */
struct function {
    struct instance *instances; /* [selves] */
    const struct config_function *config;
    const weir_function_ops *ops;
    size_t selves;
    int64_t running; /* calls open now */
};

struct engine {
    uv_loop_t loop;
    struct mailbox mailbox;
    struct helper helper;
    struct workers *workers;
    struct config *config;
    struct log *log;
    struct stats *stats;
    struct store *store;
    struct store_reader *reader;   /* the loop's */
    struct store_reader **readers; /* a worker's each */
    struct slots *slots;
    struct slot *crashed; /* calls that never came back, from the last run */
    size_t crashed_count;
    struct committer *committer;

    struct source *sources;
    size_t source_count;
    struct sink *sinks;
    size_t sink_count;
    struct function *functions;
    size_t function_count;
    struct flow *flows;
    size_t flow_count;

    struct list reaped;        /* shards */
    struct list waiting_calls; /* batches that wait for a function's concurrency */
    enum engine_phase phase;
    enum engine_end broken; /* then plug-ins are left alone, and what they ask does nothing */
    int exit_code;
    int64_t started_us;
    _Atomic int64_t memory_used; /* blocks and batches */
    struct metric *memory_metric;
    uv_timer_t deadline;
    struct letter stop_letter;
    atomic_bool stop_asked;
    uv_check_t after_poll; /* flows and sources settle their accounts once a turn */
    uv_idle_t again;
    struct replays *replays;   /* dead letters on their way again */
    struct yaml_report *trial; /* not NULL: nothing will run, and what is refused goes here */
    struct list lent;          /* blocks that only routes have, see borrow.h */
    uv_timer_t borrow_timer;
};

void engine_handles(struct engine *engine); /* the loop's own handles */
void engine_fail(struct engine *engine, int exit_code);
void engine_reap(struct engine *engine, struct shard *shard); /* frees it at the end of the turn */
void engine_again(uv_idle_t *idle);         /* keeps the loop turning while somebody has more to do */
void engine_advance(struct engine *engine); /* something that a phase waits for may have happened */
static inline void memory_take(struct engine *engine, size_t bytes)
{
    atomic_fetch_add_explicit(&engine->memory_used, (int64_t)bytes, memory_order_relaxed);
}
static inline void memory_give(struct engine *engine, size_t bytes)
{
    atomic_fetch_sub_explicit(&engine->memory_used, (int64_t)bytes, memory_order_relaxed);
}
/* Bytes that may still be taken before the ceiling; 0 at or above it. */
size_t memory_room(struct engine *engine);

#endif
