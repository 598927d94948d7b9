/* route_private.h: what the files of the route share.
 *
 * route.c takes inputs and hands out actions; route_shard.c opens shards with what the store knows, and
 * route_emit.c fills them; route_lane.c says which lane may start, route_batch.c what goes into a batch and back;
 * route_call.c and route_write.c take results; route_commit.c is positions, tickets and settling; route_end.c
 * revoke and stop.
 *
 * Runs of one lane are linked in the order in which they came. A lane's open batches are a list in order, and they
 * complete in that order, so the lane's position is the one before its first open event, and everything up to it,
 * and nothing above it, was handed over with ROUTE_DONE. Without order there is one lane, any batch may complete
 * at any time, and each is retried by itself.
 */
#ifndef WEIR_ROUTE_PRIVATE_H
#define WEIR_ROUTE_PRIVATE_H

#include "batcher.h"
#include "list.h"
#include "route.h"
#include "timers.h"
#include "tracker.h"
#include "window.h"

enum { LANE_BATCHES_MAX = 8 }; /* open in one lane when all sinks keep order */

enum timer_kind { TIMER_LANE, TIMER_BATCH };

/* The events of one run that are in a batch. The batch holds a reference to the block. */
struct portion {
    uint32_t number;
    const weir_event *events;
    struct block *block;
    size_t bytes;
    uint32_t count;
    bool views; /* the batch looks into the block: it has no copy of its own */
};

/* The writes of one sink that are out for one lane (without order: for one batch), and what waits to be written
 * again: when one failed, nothing more is written until all that are out have answered and the delay has passed. */
struct writer {
    uint32_t out;
    uint32_t failures; /* in a row */
    bool failing;
    int64_t again_at; /* INT64_MAX: not waiting */
};

/* In route->blocked, in order of time, while something is being retried. */
struct blocked {
    struct list node;
    int64_t since;
};

struct lane {
    struct route_shard *shard;
    struct list ready;    /* in route->ready, when it may be able to start a batch */
    struct list suspects; /* in route->suspects, when it waits for another's suspect to return */
    struct list batches;  /* open, in order */
    size_t open;          /* how many */
    uint32_t head, tail;  /* pending runs; head may be taken in part */
    struct batcher batcher;
    bool calling;
    uint32_t attempts; /* failed calls of the event at attempts_at */
    uint64_t attempts_at;
    uint64_t sought_at; /* the first event of the last batch that failed as a whole */
    int64_t retry_at;
    struct writer *writers; /* [sinks] */
    size_t held;            /* writers that must wait */
    struct blocked blocked;
    struct timer timer;
    uint32_t index;
};

/* A batch is called once at most: its events come again in another one. */
enum batch_stage { STAGE_WAITING, STAGE_CALLING, STAGE_WRITING, STAGE_FINISHED };

struct batch_sink {
    struct writer writer; /* without order */
    uint32_t attempts;
};

struct route_batch_state {
    struct route_batch pub;
    struct list node;   /* in lane->batches, route->pool or route->retired */
    struct list caller; /* in route->callers, when it waits for the place of a call */
    struct lane *lane;
    enum batch_stage stage;
    struct portion *portions;
    size_t portion_count, portion_room;
    weir_event *own; /* copies, when the events do not lie side by side */
    size_t own_room;
    size_t bytes;
    uint32_t sinks_open, sinks_out, sinks_waiting; /* bits: not confirmed; being written; to be written again */
    uint32_t sinks_follow;                         /* out behind a write that failed */
    uint32_t dead;                                 /* dead letters of it */
    bool suspect;
    struct blocked blocked; /* without order */
    struct timer timer;     /* without order */
    struct batch_sink sinks[];
};

struct ticket {
    uint64_t number, low;
    size_t events, bytes;
};

struct route_shard {
    struct route *route;
    struct list node;      /* in route->shards or route->gone */
    struct list dirty;     /* in route->dirty, when there is something to commit */
    struct list closing;   /* in route->closing, when revoked */
    struct list switching; /* in route->switching, while the stored vector has another shape */
    void *user;
    bool durable, lost;
    bool unordered; /* how it works now */
    bool whole;
    bool ranged; /* the shape of its vector: a base and finished ranges */
    struct lane *lanes;
    struct writer *writers; /* of all lanes */
    uint32_t lane_count;
    struct tracker tracker;
    size_t active; /* events emitted and not completed */
    size_t open_batches;
    uint64_t high; /* the highest position emitted */
    uint64_t resume;
    /* What the store knew. */
    uint64_t known; /* the highest position it says anything about */
    uint64_t *skip; /* [lane_count]: finished before */
    uint64_t (*ranges)[2];
    size_t range_count, range_next; /* the first range that may still matter */
    struct route_suspect *suspects;
    size_t suspect_count;
    uint64_t switch_at; /* switching: above this position the configured lanes hold */
    uint32_t parked;    /* the first run above it; 0: none */
    size_t parked_events;
    /* What it is told. */
    uint64_t *vector; /* [lane_count] */
    uint64_t (*done_ranges)[2];
    size_t done_range_room;
    size_t open_events, open_bytes; /* its part of the window */
    size_t done_events, done_bytes; /* completed since the last commit */
    size_t dead;                    /* dead letters among them */
    struct ticket *tickets;         /* in flight */
    size_t ticket_count, ticket_room;
    uint64_t tickets_made, settled;
};

struct route {
    struct route_config config;
    struct batch_policy policy;
    struct random random;
    int64_t now;
    struct list shards, gone, dirty, closing, switching;
    struct list ready, suspects, callers, blocked;
    struct list pool, retired;
    struct route_action *actions; /* waiting to be handed out */
    size_t action_head, action_count, action_room;
    struct timers timers;
    struct window window;
    int64_t commit_at, armed;
    size_t active, open_batches, done_events, done_bytes, tickets; /* of all shards */
    size_t calls, writes, blocked_count, suspects_out;
    bool all_ordered, stopping, lost, failed, finished;
    bool sweep; /* something ended: batches that wait are to be dropped */
};

/* route.c */
void route_act(struct route *route, struct route_action action);
void route_fail(struct route *route, int result);
bool shard_ended(const struct route_shard *shard); /* nothing new may be started in it */
void route_blocked(struct route *route, struct blocked *blocked);
void route_unblocked(struct route *route, struct blocked *blocked);
int64_t route_delay(struct route *route, const struct retry_policy *policy, uint32_t attempts); /* until when */

/* route_shard.c */
void shard_discard(struct route_shard *shard);
void shards_switch(struct route *route); /* to the configured lanes, once the old vector is behind */
bool shard_switches(const struct route_shard *shard);
bool shard_skips(struct route_shard *shard, const weir_event *event); /* finished before the restart */
const struct route_suspect *shard_suspect(const struct route_shard *shard,
                                          uint64_t position); /* NULL: it is none */
uint32_t event_lane(const struct route_shard *shard, const weir_event *event);

/* route_emit.c */
void route_emit(struct route *route, const struct route_input *input);

/* route_lane.c */
void lane_init(struct lane *lane, struct route_shard *shard, uint32_t index);
void lane_fini(struct lane *lane);
void lane_push(struct lane *lane, uint32_t number); /* behind what is there */
void lane_touch(struct lane *lane);                 /* it may be able to start a batch */
void lane_arm(struct lane *lane);
void lanes_start(struct route *route);
void route_sweep(struct route *route);
void lane_sweep(struct lane *lane); /* drops what is not out */

/* route_batch.c */
struct route_batch_state *batch_take(struct lane *lane);
void batch_put_back(struct route_batch_state *batch, size_t from); /* only a lane's last batch, in order */
/* Without order: these events become a batch of their own, and are the old one's no more. */
struct route_batch_state *batch_split(struct route_batch_state *batch, size_t first, size_t count);
void batch_complete(struct route_batch_state *batch);
void batch_drop(struct route_batch_state *batch); /* its events stay open */
void batch_discard(struct route_batch_state *batch);
void batch_blind(
    struct route_batch_state *batch); /* it has a copy of its events, and looks into no block any more */
void route_recycle(struct route *route);
struct run *batch_run(const struct route_batch_state *batch, size_t portion);

/* route_call.c */
void batch_start(struct route_batch_state *batch); /* its call, or its writes when there is none */
void batch_finish(struct route_batch_state *batch);
void route_called(struct route *route, const struct route_input *input);
bool route_calls_full(const struct route *route);

/* route_write.c */
void writer_init(struct writer *writer);
void batch_deliver(struct route_batch_state *batch, uint32_t sinks);
void route_written(struct route *route, const struct route_input *input);
void lane_write_again(struct lane *lane);
void batch_write_again(struct route_batch_state *batch);

/* route_commit.c */
void shard_completed(struct route_shard *shard, size_t events, size_t bytes);
bool shard_uncommitted(const struct route_shard *shard);
void shard_give(struct route_shard *shard, size_t events, size_t bytes); /* back to the window */
void route_flush(struct route *route);
void route_committed(struct route *route, const struct route_input *input);

/* route_end.c */
void route_revoke(struct route *route, const struct route_input *input);
void route_stop(struct route *route, bool lost);
void route_hurry(struct route *route); /* what only waits for a commit need not wait long */
void route_endings(struct route *route);

#endif
