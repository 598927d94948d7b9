/* batch.h: what a flow has in hand for one route_batch: the outputs of its call, its state writes, its open writes.
 *
 * A batch is taken from the flow's pool with ROUTE_CALL or the first ROUTE_WRITE, and goes back with ROUTE_DONE or
 * ROUTE_DROPPED. During a call it belongs to the worker, otherwise to the loop. */
#ifndef WEIR_BATCH_H
#define WEIR_BATCH_H

#include "arena.h"
#include "route.h"
#include "shell.h"
#include "state.h"
#include "weir_plugin.h"

struct outputs {
    const weir_event *events; /* the inputs themselves, or `own` */
    weir_event *own;
    uint32_t *from;       /* with own: the input each comes from */
    uint8_t *closed;      /* confirmed or dead; NULL: none is yet */
    const char **reasons; /* why the dead ones are */
    size_t count, room;
};

/* One sink's write of a batch. The sink holds it from sink_write until its answer. */
struct write {
    weir_write pub;
    struct list node;
    struct batch *batch;
    struct sink *sink;
    uint32_t index;   /* of the sink in its route */
    weir_event *some; /* compacted events when not all are written again */
    uint32_t *places; /* their indices among the outputs; NULL: the same */
    size_t some_room;
    uint8_t *results; /* of single events, + 1; NULL: none */
    const char **reasons;
    uint32_t *rejected; /* indices of outputs, for the route */
    size_t rejected_count;
    bool open;
};

struct batch {
    struct job job;
    struct letter letter;
    struct list node; /* in the flow's pool, or engine's waiting_calls */
    struct list hand; /* in flow->in_hand, while a route_batch has it */
    struct flow *flow;
    struct link *link;
    struct route_batch *route;
    struct arena arena;
    struct arena kept; /* the copy of its inputs, when it had to let go of the blocks they came in */
    struct state_set *set;
    size_t charged; /* of the memory ceiling */

    int result; /* of the call */
    char reason[200];
    size_t cut;          /* ordered: the first failed input, SIZE_MAX none */
    uint8_t *fail_marks; /* ORDER_NONE: [count] */
    const char **fail_reasons;
    uint32_t *failed; /* for the route: ascending */
    size_t failed_count;
    uint32_t wrote;
    struct list dead; /* dead letters that are written when the batch is done */
    struct arena dead_arena;
    char replay_key[STORE_KEY_MAX]; /* of the dead letter that this batch replays */
    size_t replay_key_size;
    uint32_t replays;

    struct write *writes;     /* [sinks of the route] */
    struct outputs outputs[]; /* [sinks of the route] */
};

struct batch *batch_new(struct flow *flow, size_t sinks);
void batch_free(struct batch *batch);
void batch_reset(struct batch *batch); /* ready for the next route_batch */

/* The public view of the batch's inputs. */
weir_batch batch_view(const struct batch *batch);
/* Runs the route's functions on it; a worker's thread, or the loop with worker == SIZE_MAX. */
void batch_call(struct batch *batch, size_t worker);
/* Makes the outputs of every sink in `sinks` (bits) the inputs themselves. */
void batch_pass(struct batch *batch, uint32_t sinks);
/* Copies what of the batch lies in its inputs' blocks. False: it cannot be, a sink has views; or no memory. */
bool batch_keep(struct batch *batch);
/* A sink rejected output `place`: the reason is kept for the dead letter. */
void batch_reject(struct batch *batch, uint32_t sink, size_t place, const char *reason);
const char *batch_failure(const struct batch *batch, size_t index); /* why input `index` failed */

#endif
