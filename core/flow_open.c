/* flow_open.c: makes flows and their links, and restores what the store knows of them. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "commit.h"
#include "crash.h"
#include "flow.h"
#include "keys.h"

/* Of an open event beside its bytes: its struct, its run, its part of the journal's block. */
#define EVENT_COST (2 * sizeof(weir_event))

static struct metric *flow_metric(const struct flow *flow, const char *name)
{
    char labels[96];
    snprintf(labels, sizeof labels, "route=\"%s\"", flow->config->name);
    return stats_get(flow->engine->stats, name, labels);
}

static void flow_metrics(struct flow *flow)
{
    flow->emitted = flow_metric(flow, "weir_route_emitted_events_total");
    flow->completed = flow_metric(flow, "weir_route_completed_events_total");
    flow->called = flow_metric(flow, "weir_route_calls_total");
    flow->failed_calls = flow_metric(flow, "weir_route_failed_calls_total");
    flow->dead = flow_metric(flow, "weir_route_dead_letters_total");
}

/* The cheap path: nothing but cheap functions, and sinks that keep order themselves. */
static bool flow_whole(const struct flow *flow)
{
    for (size_t i = 0; i < flow->sink_count; i++) {
        if (!(flow->sinks[i]->ops->flags & WEIR_SINK_ORDERED))
            return false;
    }
    return flow->inline_calls && flow->config->order != ORDER_NONE;
}

static void flow_functions(struct flow *flow)
{
    flow->inline_calls = true;
    for (size_t i = 0; i < flow->function_count; i++) {
        uint32_t flags = flow->functions[i]->ops->flags;
        flow->inline_calls &= (flags & WEIR_FUNCTION_CHEAP) && !flow->functions[i]->config->concurrency;
        flow->stateful |= (flags & WEIR_FUNCTION_STATE) != 0;
    }
}

/* What it may have open: as configured, but routes that are blocked must leave room for the others. A quarter of
 * the memory is for the bytes of all windows, another one for what else an event takes. */
static void flow_window(struct flow *flow)
{
    size_t share = (size_t)flow->engine->config->memory / 4 / flow->engine->config->route_count;
    flow->window_events = size_min((size_t)flow->config->window_events, size_max(share / EVENT_COST, 1));
    flow->window_bytes = size_min((size_t)flow->config->window_bytes, share);
}

static void flow_route_config(const struct flow *flow, struct route_config *to)
{
    const struct config_route *from = flow->config;
    bool whole = flow_whole(flow);
    *to = (struct route_config){
        .order = (enum route_order)from->order,
        .lanes = whole ? 1 : (uint32_t)from->lanes,
        .calls = flow->function_count > 0,
        .whole = whole,
        .batch_events = (size_t)from->batch_events,
        .batch_bytes = (size_t)from->batch_bytes,
        .batch_wait_us = from->batch_wait_us,
        .window_events = flow->window_events,
        .window_bytes = flow->window_bytes,
        .retry = from->retry,
        .bisect = from->bisect != 0,
        .on_failure = (enum route_failure)from->on_failure,
        .sink_count = (uint32_t)flow->sink_count,
        .seed = (uint64_t)clock_wall_us() ^ (uint64_t)(uintptr_t)flow,
    };
    for (size_t i = 0; i < flow->sink_count; i++) {
        to->sinks[i].retry = flow->sinks[i]->config->retry;
        to->sinks[i].ordered = (flow->sinks[i]->ops->flags & WEIR_SINK_ORDERED) != 0;
    }
}

static bool flow_resolve(struct flow *flow)
{
    struct engine *engine = flow->engine;
    const struct config_route *config = flow->config;
    flow->sources = calloc(config->from_count + 1, sizeof(struct source *));
    flow->sinks = calloc(config->sink_count + 1, sizeof(struct sink *));
    flow->functions = calloc(config->call_count + 1, sizeof(struct function *));
    if (!flow->sources || !flow->sinks || !flow->functions)
        return false;
    flow->source_count = config->from_count;
    flow->sink_count = config->sink_count;
    flow->function_count = config->call_count;
    for (size_t i = 0; i < config->from_count; i++)
        flow->sources[i] = &engine->sources[config->from[i] - engine->config->sources];
    for (size_t i = 0; i < config->sink_count; i++)
        flow->sinks[i] = &engine->sinks[config->sinks[i] - engine->config->sinks];
    for (size_t i = 0; i < config->call_count; i++)
        flow->functions[i] = &engine->functions[config->call[i] - engine->config->functions];
    return true;
}

int flow_init(struct flow *flow, struct engine *engine, const struct config_route *config, struct error *error)
{
    flow->engine = engine;
    flow->config = config;
    list_init(&flow->pool);
    list_init(&flow->in_hand);
    flow_metrics(flow);
    uv_timer_init(&engine->loop, &flow->timer);
    if (!flow_resolve(flow))
        return error_set(error, WEIR_NOMEM, "route %s: out of memory", config->name);
    flow_functions(flow);
    flow_window(flow);
    struct route_config *pure = malloc(sizeof *pure);
    if (pure) {
        flow_route_config(flow, pure);
        flow->route = route_new(pure);
    }
    free(pure);
    return flow->route ? WEIR_OK : error_set(error, WEIR_NOMEM, "route %s: out of memory", config->name);
}

void flow_free(struct flow *flow)
{
    if (flow->route)
        route_free(flow->route);
    while (!list_empty(&flow->in_hand)) { /* of a run that broke off */
        struct batch *batch = LIST_FIRST(&flow->in_hand, struct batch, hand);
        list_remove(&batch->hand);
        batch_free(batch);
    }
    while (!list_empty(&flow->pool)) {
        struct batch *batch = LIST_FIRST(&flow->pool, struct batch, node);
        list_remove(&batch->node);
        batch_free(batch);
    }
    inputs_fini(&flow->inputs);
    free(flow->sources);
    free(flow->sinks);
    free(flow->functions);
}

/* Links. */

uint64_t link_order(const struct link *link, uint32_t lane)
{
    return link->order_base + lane;
}

const struct state_map *link_lane_state(const struct link *link, uint32_t lane)
{
    return link->lanes ? &link->lanes[lane] : NULL;
}

static int link_state(struct link *link)
{
    const struct flow *flow = link->flow;
    link->scopes = calloc(flow->function_count + 1, sizeof *link->scopes);
    if (!link->scopes)
        return WEIR_NOMEM;
    for (size_t i = 0; i < flow->function_count; i++)
        link->scopes[i] = state_scope(view_of(flow->config->name), view_of(flow->functions[i]->config->name),
                                      view_of(link->shard->source->instance.name), view_of(link->shard->name));
    if (!flow->stateful)
        return WEIR_OK;
    link->lanes = calloc(ROUTE_LANES_MAX, sizeof *link->lanes);
    link->lane_busy = calloc(ROUTE_LANES_MAX, 1);
    return link->lanes && link->lane_busy ? WEIR_OK : WEIR_NOMEM;
}

static void link_key(const struct link *link, struct key *key)
{
    key_position(key, view_of(link->flow->config->name), view_of(link->shard->source->instance.name),
                 view_of(link->shard->name));
}

struct suspects {
    struct route_suspect *items;
    size_t count, room;
};

static bool suspect_visit(void *arg, weir_view key, weir_view value)
{
    struct suspects *suspects = arg;
    if (key.size < 8 || value.size != 4)
        return true;
    if (suspects->count == suspects->room) {
        size_t room = suspects->room ? suspects->room * 2 : 64;
        struct route_suspect *items = realloc(suspects->items, room * sizeof *items);
        if (!items)
            return false;
        suspects->items = items;
        suspects->room = room;
    }
    suspects->items[suspects->count++] =
        (struct route_suspect){get_be64(key.data + key.size - 8), get_le32(value.data) & ~ATTEMPT_AMONG,
                               (get_le32(value.data) & ATTEMPT_AMONG) != 0};
    return true;
}

static int link_suspects(struct link *link, struct suspects *suspects)
{
    struct key from, to;
    weir_view route = view_of(link->flow->config->name), source = view_of(link->shard->source->instance.name),
              shard = view_of(link->shard->name);
    key_attempt(&from, route, source, shard, 0);
    key_attempt(&to, route, source, shard, UINT64_MAX);
    return store_scan(link->flow->engine->reader, TABLE_ATTEMPT, key_view(&from), key_view(&to), suspect_visit,
                      suspects);
}

static int link_open(struct link *link)
{
    struct engine *engine = link->flow->engine;
    struct arena scratch;
    arena_init(&scratch, 0);
    struct key key;
    link_key(link, &key);
    weir_view bytes;
    struct route_vector vector;
    /* What the peer keeps is the truth of the others: a position from a time when it was not would skip events. */
    int found =
        link->durable ? store_get(engine->reader, TABLE_POSITION, key_view(&key), &scratch, &bytes) : WEIR_MISSING;
    link->stored = found == WEIR_OK;
    int result = found == WEIR_OK        ? vector_decode(bytes, &scratch, &vector)
                 : found == WEIR_MISSING ? WEIR_OK
                                         : found;
    struct suspects suspects = {0};
    if (result == WEIR_OK)
        result = crash_attempts(link);
    if (result == WEIR_OK)
        result = link_suspects(link, &suspects);
    if (result == WEIR_OK) {
        struct route_shard_open open = {
            .vector = found == WEIR_OK ? &vector : NULL,
            .suspects = suspects.items,
            .suspect_count = suspects.count,
            .durable = link->durable,
            .user = link,
        };
        link->suspects = suspects.count > 0;
        link->handle = route_open(link->flow->route, &open);
        result = link->handle ? WEIR_OK : WEIR_NOMEM;
    }
    if (link->handle)
        link->low = link->asked = route_resume(link->handle);
    free(suspects.items);
    arena_fini(&scratch);
    return result;
}

int flow_link(struct flow *flow, struct shard *shard, struct link **made)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return WEIR_NOMEM;
    link->flow = flow;
    link->shard = shard;
    link->order_base =
        flow->links++ * ROUTE_LANES_MAX + (size_t)(flow - flow->engine->flows + 1) * ((size_t)1 << 40);
    list_init(&link->done);
    list_init(&link->durable_sets);
    const struct source *source = shard->source;
    link->durable = !source->replays || flow->stateful || !(source->ops->flags & WEIR_SOURCE_KEEPS_POSITION);
    *made = link;
    int result = link_state(link);
    return result == WEIR_OK ? link_open(link) : result;
}

static void sets_free(struct list *sets)
{
    while (!list_empty(sets)) {
        struct state_set *set = LIST_FIRST(sets, struct state_set, node);
        list_remove(&set->node);
        state_set_free(set);
    }
}

void link_free(struct link *link)
{
    if (!link)
        return;
    sets_free(&link->done);
    sets_free(&link->durable_sets);
    for (size_t i = 0; link->lanes && i < ROUTE_LANES_MAX; i++)
        state_map_fini(&link->lanes[i]);
    free(link->lanes);
    free(link->lane_busy);
    free(link->scopes);
    free(link);
}
