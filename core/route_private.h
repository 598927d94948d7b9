/* route_private.h: what the files of the route share.
 *
 * route.c takes inputs and hands out actions; route_lane.c cuts batches; route_done.c takes results; route_commit.c
 * is positions, tickets, revoke and stop; route_timer.c a heap of what happens later.
 *
 * Per shard a ring of runs in order of position. A run is one event, or on the cheap path (`whole`) a slice of a
 * block that may be taken in parts. Runs of one lane are linked. A lane's open batches are a list in order, and
 * they complete in that order, so a lane's position is the one before its first open event. Without order (`none`)
 * there is one lane, any batch may complete at any time, and each batch is retried by itself.
 */
#ifndef WEIR_ROUTE_PRIVATE_H
#define WEIR_ROUTE_PRIVATE_H

#include "list.h"
#include "route.h"

enum { LANE_BATCHES_MAX = 8 }; /* open in one lane when all sinks keep order */

enum timer_kind { TIMER_LANE, TIMER_BATCH };

struct timer {
    int64_t at; /* INT64_MAX: not in the heap */
    size_t place;
    enum timer_kind kind;
};

struct run {
    struct block *block;
    uint64_t next;         /* number of the next run of the lane; 0: none */
    int64_t at;            /* when it was emitted */
    size_t bytes;          /* of the events that are not taken */
    uint32_t first, count; /* events of the block */
    uint32_t taken, done;  /* always a prefix */
    uint32_t attempts;     /* preset of a suspect; without order, of its retries */
    uint32_t lane;
    int32_t sink; /* replay: the sink whose output it is, or -1 */
    bool replay, suspect;
};

/* The events of one run that are in a batch. The batch holds a reference to the block. */
struct portion {
    uint64_t number;
    uint32_t offset, count;
    struct block *block;
};

/* Writes of one lane (or, without order, of one batch) that are out, and what waits to be written again. */
struct writer {
    uint32_t out;
    uint32_t failures; /* in a row */
    bool failing;
    int64_t again_at; /* INT64_MAX: not waiting */
};

struct lane {
    struct route_shard *shard;
    struct list ready;   /* in route->ready, when it may be able to start a batch */
    struct list batches; /* open, in order */
    size_t open;         /* how many */
    uint64_t head, tail; /* pending runs; head may be taken in part */
    size_t pending, pending_bytes;
    size_t limit; /* events of the next batch; lowered while a culprit is sought */
    bool calling;
    uint32_t attempts; /* failed calls of the event at attempts_at */
    uint64_t attempts_at;
    int64_t retry_at;
    int64_t blocked_us; /* since when it is being retried; 0: it is not */
    struct writer writer;
    struct timer timer;
    uint32_t index;
};

enum batch_stage { STAGE_CALLING, STAGE_WAITING, STAGE_WRITING, STAGE_FINISHED };

struct route_batch_state {
    struct route_batch pub;
    struct list node; /* lane->batches, or route->pool or route->retired */
    struct lane *lane;
    enum batch_stage stage;
    struct portion *portions;
    size_t portion_count, portion_room;
    weir_event *own; /* copies, when the events do not lie side by side */
    size_t own_room;
    size_t bytes;
    uint32_t sinks_open, sinks_out, sinks_waiting; /* bits */
    uint32_t attempts[ROUTE_SINKS_MAX];            /* of writes */
    struct writer writer;
    struct timer timer;
    bool suspect;
};

struct ticket {
    uint64_t number, low;
    size_t events, bytes;
};

struct route_shard {
    struct route *route;
    struct list node;  /* in route->shards */
    struct list dirty; /* in route->dirty, when there is something to commit */
    void *user;
    bool durable, closing, lost, none, whole, released;
    struct lane *lanes;
    uint32_t lane_count;
    struct run *ring;
    uint64_t first, end; /* numbers first..end-1 are in the ring, at number & (room - 1) */
    size_t room;
    uint64_t high; /* the highest position emitted */
    uint64_t resume;
    uint64_t *skip; /* [lane_count]: finished before the restart */
    uint64_t (*ranges)[2];
    size_t range_count;
    uint64_t switch_at; /* above this position the configured lanes hold; UINT64_MAX: they do already */
    uint64_t parked;    /* the first run that waits for that; 0: none */
    struct route_suspect *suspects;
    size_t suspect_count;
    uint64_t *vector; /* of the last commit */
    uint64_t (*done_ranges)[2];
    size_t done_range_room;
    size_t open_events, open_bytes; /* of the window */
    size_t done_events, done_bytes; /* completed since the last commit */
    size_t open_batches;
    size_t dead; /* dead letters since the last commit */
    struct ticket *tickets;
    size_t ticket_count, ticket_room;
    uint64_t tickets_made, settled;
};

struct route {
    struct route_config config;
    struct random random;
    int64_t now;
    struct list shards, dirty, ready, pool, retired, gone;
    struct route_action *actions; /* waiting to be handed out */
    size_t action_head, action_count, action_room;
    struct timer **heap;
    size_t heap_count, heap_room;
    int64_t commit_at, armed;
    size_t open_events, open_bytes, calls, writes;
    size_t told_events, told_bytes;
    size_t suspects_out;
    bool all_ordered, stopping, lost, failed, finished;
};

/* route.c */
void route_act(struct route *route, struct route_action action);
struct run *shard_run(const struct route_shard *shard, uint64_t number);
void route_fail(struct route *route, int result);
/* Counts events and bytes into the window, or out of it. */
void shard_window(struct route_shard *shard, ptrdiff_t events, ptrdiff_t bytes);
/* Nothing new may be started in the shard. */
bool shard_ended(const struct route_shard *shard);

/* route_timer.c */
void timer_init(struct timer *timer, enum timer_kind kind);
bool timer_set(struct route *route, struct timer *timer, int64_t at);
struct timer *timer_due(struct route *route, int64_t now); /* takes it out; NULL: none */

/* route_emit.c */
int shard_lanes(struct route_shard *shard, uint32_t count);
void shard_discard(struct route_shard *shard);
void route_emit(struct route *route, const struct route_input *input);
void shard_switch(struct route_shard *shard); /* to the configured lanes, once the old vector is behind */

/* route_lane.c */
void lane_touch(struct lane *lane); /* it may be able to start a batch */
void lane_arm(struct lane *lane);
void lanes_start(struct route *route);
void batch_retire(struct route_batch_state *batch);
void batch_start(struct route_batch_state *batch); /* its call, or its writes when there is none */
struct route_batch_state *batch_take(struct lane *lane, size_t count);
struct route_batch_state *batch_split(struct route_batch_state *batch, size_t first,
                                      size_t count); /* without order */
void batch_put_back(struct route_batch_state *batch, size_t from);
void route_recycle(struct route *route);

/* route_done.c */
void route_called(struct route *route, const struct route_input *input);
void route_written(struct route *route, const struct route_input *input);
void batch_deliver(struct route_batch_state *batch, uint32_t sinks);
void batch_dead(struct route_batch_state *batch, size_t index, uint32_t attempts);
void batch_finish(struct route_batch_state *batch);
void batch_drop(struct route_batch_state *batch);
void writer_again(struct lane *lane, struct route_batch_state *only);
struct writer *batch_writer(struct route_batch_state *batch);

/* route_commit.c */
void shard_completed(struct route_shard *shard, size_t events, size_t bytes);
void route_flush(struct route *route, bool asked);
void route_committed(struct route *route, const struct route_input *input);
void shard_drop_pending(struct route_shard *shard);
void route_revoke(struct route *route, const struct route_input *input);
void route_stop(struct route *route, bool lost);
void route_endings(struct route *route);
void route_want(struct route *route);

#endif
