/* route.h: the part that must never lose an event, as a pure step.
 *
 * A route takes one input at a time (events emitted, a call or a write done, a commit durable, time passed) and
 * writes actions (start this call, start that write, commit these positions, settle, ...) for the shell to carry
 * out. It knows no libuv, LMDB, broker, thread or clock: `now` comes with each input, randomness from a seed.
 *
 * The normal path of an event:
 *   1. ROUTE_EMIT puts it into the window of its shard, and behind the others of its lane.
 *   2. When the lane is free and a batch is due: ROUTE_CALL (or straight to 3 on a route without functions).
 *   3. ROUTE_CALLED says which sinks got outputs: a ROUTE_WRITE each.
 *   4. After ROUTE_WRITTEN of all of them: ROUTE_DONE; the shell takes over the batch's state writes and frees
 *      it; the lane is free and the event completed, but not yet durably.
 *   5. ROUTE_COMMIT names the positions to store with that state, at the latest 50 ms later, or when the shell
 *      asks by ROUTE_FLUSH because a transaction is happening anyway.
 *   6. ROUTE_COMMITTED: ROUTE_SETTLE tells how far the shard is completed; the window has room again.
 *
 * How it fails: a failed call is retried, bisected, and in the end ROUTE_DEAD makes single events dead letters,
 * which complete with the next commit; a failed write is retried for ever (or as the sink's policy says), a
 * rejected event is dead; a shard that is lost drops what is open; a crash is not seen here: after it, shards
 * open with the stored vector, and what a lane had finished is skipped.
 */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "base.h"
#include "block.h"
#include "retry.h"

#define ROUTE_SINKS_MAX 32
#define ROUTE_LANES_MAX 1024
#define ROUTE_COMMIT_US 50000

enum route_order { ORDER_KEY, ORDER_SHARD, ORDER_NONE };
enum route_failure { FAILURE_DEAD, FAILURE_STOP };

struct route_sink {
    struct retry_policy retry; /* attempts 0: for ever; after the last one the batch's open events are dead */
    bool ordered;              /* several writes of one lane may be open */
};

struct route_config {
    enum route_order order;
    uint32_t lanes;
    bool calls;         /* has functions */
    bool whole;         /* cheap path: one lane, events of a block stay together, no per-event bookkeeping */
    uint32_t calls_max; /* calls open at once; 0: no bound */
    size_t batch_events, batch_bytes;
    int64_t batch_wait_us; /* 0: take what is there */
    size_t window_events, window_bytes;
    struct retry_policy retry; /* of calls */
    bool bisect;
    enum route_failure on_failure;
    struct route_sink sinks[ROUTE_SINKS_MAX];
    uint32_t sink_count;
    uint64_t seed;
};

/* The checkpoint of one route and shard. ORDER_NONE: lanes is 1, vector[0] is the base, and ranges holds the
 * finished ranges above it. A change of the lane count holds only above the old vector's highest position. */
struct route_vector {
    uint32_t lanes;
    const uint64_t *positions;   /* [lanes]: everything of the lane up to here is finished */
    const uint64_t (*ranges)[2]; /* finished, first..last, ascending, above positions[0] */
    size_t range_count;
};

struct route_suspect {
    uint64_t position;
    uint32_t attempts; /* calls of it that never came back */
    bool among;        /* only with others: whichever of them it was, it is called once more, alone */
};

struct route;
struct route_shard;

/* One batch: events of one lane, for one call at most: what has to be called again comes in another batch. The
 * shell reads it, and keeps its own things in `shell`. */
struct route_batch {
    const weir_event *events; /* contiguous: a slice of a block, or the batch's own copy of the event structs */
    size_t count;
    uint32_t lane;
    uint32_t attempt; /* of events[0], from 1 */
    struct route_shard *shard;
    void *shell;
    bool suspect;   /* one event that was in a call that never came back, alone now */
    bool replay;    /* one dead letter on its way again */
    bool unordered; /* inputs fail one by one; otherwise the first failed one takes those behind it with it */
    /* the rest is the route's */
    struct route_batch_state *state;
};

enum route_input_type {
    ROUTE_EMIT,      /* block, first, count, wanted; or replay */
    ROUTE_CALLED,    /* batch, result, failed */
    ROUTE_WRITTEN,   /* batch, sink, result, rejected */
    ROUTE_FLUSH,     /* a transaction is about to be built: give all that can be committed */
    ROUTE_COMMITTED, /* shard, ticket: that commit is durable */
    ROUTE_REVOKE,    /* shard, lost: finish or drop what is open; answered by ROUTE_RELEASED */
    ROUTE_TICK,      /* the armed time came (or nothing happened: harmless) */
    ROUTE_MORE,      /* carry on giving actions */
    ROUTE_STOP,      /* lost false: finish what was emitted; lost true: the deadline passed, finish only what is
                        out. Answered by ROUTE_FINISHED */
};

struct route_input {
    enum route_input_type type;
    struct route_shard *shard;
    /* ROUTE_EMIT. Events block->events[first .. first+count): the route takes one reference for the slice itself.
     * unwanted: one bit each (bit i of byte i/8, from `first`): filtered out, complete at once; NULL: none.
     * replay: count is 1, the position does not move; replay_sink: SIZE_MAX for the function stage, else the sink
     * whose output it is. */
    struct block *block;
    size_t first, count;
    const uint8_t *unwanted;
    bool replay;
    size_t replay_sink;
    /* ROUTE_CALLED: result WEIR_OK, or the whole call failed (WEIR_FATAL: do not retry, stop the route). wrote: a
     * bit for each sink that has outputs. failed: indices, ascending. On ordered routes outputs exist only for
     * the inputs before failed[0]; with ORDER_NONE for all but the failed ones.
     * ROUTE_WRITTEN: result WEIR_OK (all but `failed` confirmed), WEIR_RETRY, WEIR_REJECT (all), WEIR_FATAL.
     * failed: indices of outputs that the sink rejected one by one, ascending; they are dead. */
    struct route_batch *batch;
    uint32_t sink;
    int result;
    uint32_t wrote;
    const uint32_t *failed;
    size_t failed_count;
    uint64_t ticket; /* ROUTE_COMMITTED */
    bool lost;       /* ROUTE_REVOKE, ROUTE_STOP */
};

enum route_action_type {
    ROUTE_CALL,    /* batch */
    ROUTE_WRITE,   /* batch, sink: write those of its outputs that are not confirmed yet */
    ROUTE_CUT,     /* batch: its inputs from `index` on left it (they will come in another batch); their outputs
                      and state writes are void. Before anything else with that batch */
    ROUTE_DEAD,    /* batch, stage: index counts inputs when sink is SIZE_MAX, else outputs for that sink (SIZE_MAX:
                      all that are still open there). The shell copies the event; with ROUTE_DONE of the batch it
                      goes into the shard's next commit, with ROUTE_DROPPED it is void */
    ROUTE_DONE,    /* batch, events (completed by it): take its state writes into the shard's next commit, then free
                      what is the shell's */
    ROUTE_DROPPED, /* batch: nothing of it counts (shard lost, stop deadline); free what is the shell's */
    ROUTE_COMMIT,  /* shard, vector, low, ticket: store these with the state and dead letters taken so far */
    ROUTE_SETTLE,  /* shard, low: everything up to low is completed, durably where that is needed */
    ROUTE_WANT,    /* events, bytes: the room in the window changed */
    ROUTE_ARM,     /* at: send ROUTE_TICK then; replaces what was armed; INT64_MAX: disarm */
    ROUTE_RELEASED, /* shard: nothing of it is open; the handle is gone after this */
    ROUTE_FAILED,   /* on_failure: stop, or a fatal result: the route takes no more; reason in result */
    ROUTE_FINISHED  /* stop is complete */
};

struct route_action {
    enum route_action_type type;
    struct route_batch *batch;
    struct route_shard *shard;
    size_t sink;
    size_t index;
    int result; /* ROUTE_DEAD: WEIR_REJECT, or WEIR_RETRY when the attempts are used up */
    uint32_t attempts;
    uint64_t low;
    uint64_t ticket;
    struct route_vector vector; /* valid until the next step */
    size_t events, bytes;
    int64_t at;
};

struct route *route_new(const struct route_config *config); /* NULL: out of memory */
void route_free(struct route *route);                       /* drops references to blocks still held */

/* Opens a shard. vector: the stored checkpoint, or NULL; suspects ascending. durable: completion counts only once a
 * ROUTE_COMMITTED says so (journaled, or stateful, or positions kept in the store); otherwise only dead letters
 * need a commit. user: the shell's own, see route_shard_user. NULL: out of memory. */
struct route_shard_open {
    const struct route_vector *vector;
    const struct route_suspect *suspects;
    size_t suspect_count;
    bool durable;
    void *user;
};
struct route_shard *route_open(struct route *route, const struct route_shard_open *open);
void *route_shard_user(const struct route_shard *shard);
uint64_t route_resume(const struct route_shard *shard); /* emit from the first event after this position */

/* One step. Writes at most `room` actions (room >= 8), returns their count; *more: call again with ROUTE_MORE
 * before any other input. Actions are to be carried out in order; what they lead to comes as later inputs. */
size_t route_step(struct route *route, const struct route_input *input, int64_t now_us,
                  struct route_action *actions, size_t room, bool *more);

/* What the shell needs to give a block's memory back before its last event is completed; between two steps. */
/* Visits what is open of blocks that are `leaving`: events [first .. first + count) of the block. */
typedef void route_open_visit(void *arg, struct block *block, size_t first, size_t count);
void route_open_events(const struct route *route, route_open_visit *visit, void *arg);
/* Asks for each batch that is not in a call and looks into a leaving block. True: the shell has put a copy of its
 * events into batch->events, and what else it has of the batch lies in no block either. */
typedef bool route_keep_ask(void *arg, struct route_batch *batch);
void route_keep_batches(struct route *route, route_keep_ask *ask, void *arg);

struct route_status {
    size_t open_events, open_bytes; /* the window in use */
    size_t calls, writes, waiting;  /* batches in a call, writes open, lanes waiting for a retry */
    int64_t blocked_since_us;       /* the oldest lane or write that is being retried; 0: none */
    bool stopping, failed;
};
void route_status(const struct route *route, struct route_status *status);
const char *route_action_name(enum route_action_type type);

#endif
