/* flow.h: a route at work: carries out the actions of its pure step (route.h).
 *
 * Inputs queue up and are stepped one after the other, never re-entered: a sink that answers inside `write` only
 * queues. A link is one shard of the flow: the route's handle, the lanes' state, and what waits for the shard's
 * next commit. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include "batch.h"
#include "inputs.h"
#include "route.h"
#include "sink.h"
#include "source.h"

struct link {
    struct flow *flow;
    struct shard *shard;
    size_t place; /* of the flow in shard->links */
    struct route_shard *handle;
    struct arena opened;     /* the stored vector and suspects, for route_open only */
    struct state_map *lanes; /* [lanes]; NULL: the route has no state */
    uint32_t lane_count;
    uint64_t *scopes;         /* [functions] */
    uint8_t *lane_busy;       /* [lanes]: a worker has the lane's map */
    struct list done;         /* state sets of finished batches, for the next commit */
    struct list durable_sets; /* durable, but their lane is in a call */
    uint64_t low;             /* settled */
    uint64_t asked;           /* lowest position that is in the store, or on its way there */
    bool durable, stored, suspects, released;
    size_t order_base;
};

struct flow {
    struct engine *engine;
    const struct config_route *config;
    struct route *route;
    struct source **sources;
    size_t source_count;
    struct sink **sinks;
    size_t sink_count;
    struct function **functions;
    size_t function_count;
    struct inputs inputs;
    bool stepping, stateful, inline_calls, failed, finished, stopping;
    size_t window_events, window_bytes; /* as configured, and no more than its share of the memory */
    struct list pool, in_hand;
    size_t pooled;
    uv_timer_t timer;
    size_t links;
    char reason[200];
    struct metric *completed, *called, *failed_calls, *dead, *emitted, *filtered;
};

int flow_init(struct flow *flow, struct engine *engine, const struct config_route *config, struct error *error);
void flow_free(struct flow *flow);
int flow_link(struct flow *flow, struct shard *shard, struct link **link);
void link_free(struct link *link);
uint64_t link_order(const struct link *link, uint32_t lane);
const struct state_map *link_lane_state(const struct link *link, uint32_t lane);

struct batch *flow_take(struct flow *flow, struct route_batch *route); /* the batch of route, made if it has none */
void flow_input(struct flow *flow, const struct route_input *input);
void flow_emit(struct link *link, struct block *block, size_t first, size_t count);
void flow_room(const struct flow *flow, size_t *events, size_t *bytes); /* what the window takes now */
void flow_flush(struct flow *flow);
void flow_stop(struct flow *flow, bool deadline);
void flow_written(struct write *write, int result);
void flow_sink_failed(struct flow *flow, const struct sink *sink, const char *reason);
void flow_call_waiting(struct engine *engine); /* a function has room for a call again */
#endif
