/* flow.c: see flow.h. The queue of inputs, and what each action does. */
#include "flow.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "commit.h"
#include "dead_letter.h"
#include "journal.h"
#include "keys.h"

enum { ACTIONS_ROOM = 64, POOL_MAX = 64 };

struct batch *flow_take(struct flow *flow, struct route_batch *route)
{
    if (route->shell)
        return route->shell;
    struct batch *batch;
    if (list_empty(&flow->pool)) {
        batch = batch_new(flow, flow->sink_count);
        CHECK(batch != NULL);
    } else {
        batch = LIST_FIRST(&flow->pool, struct batch, node);
        list_remove(&batch->node);
        flow->pooled--;
    }
    list_append(&flow->in_hand, &batch->hand);
    batch->route = route;
    batch->link = route_shard_user(route->shard);
    if (route->replay)
        dead_replay_take(batch);
    route->shell = batch;
    return batch;
}

static void flow_give(struct flow *flow, struct route_batch *route)
{
    struct batch *batch = route->shell;
    route->shell = NULL;
    if (!batch)
        return;
    list_remove(&batch->hand);
    if (flow->pooled >= POOL_MAX) {
        batch_free(batch);
        return;
    }
    memory_give(flow->engine, batch->charged);
    batch->charged = 0;
    batch_reset(batch);
    list_prepend(&flow->pool, &batch->node);
    flow->pooled++;
}

/* Calls. */

static bool functions_free(const struct flow *flow)
{
    for (size_t i = 0; i < flow->function_count; i++) {
        const struct function *function = flow->functions[i];
        if (function->config->concurrency && function->running >= function->config->concurrency)
            return false;
    }
    return true;
}

static void functions_count(const struct flow *flow, int by)
{
    for (size_t i = 0; i < flow->function_count; i++)
        flow->functions[i]->running += by;
}

static void lane_settle(struct link *link, uint32_t lane)
{
    for (struct list *at = link->durable_sets.next, *next; at != &link->durable_sets; at = next) {
        struct state_set *set = CONTAINER_OF(at, struct state_set, node);
        next = at->next;
        if (set->lane != lane)
            continue;
        list_remove(&set->node);
        state_map_settle(&link->lanes[lane], set);
        state_set_free(set);
    }
}

static void flow_state_apply(struct batch *batch)
{
    struct link *link = batch->link;
    uint32_t lane = batch->route->lane;
    if (!link->lanes)
        return;
    link->lane_busy[lane] = 0;
    lane_settle(link, lane);
    if (!batch->set)
        return;
    batch->set->lane = lane;
    if (batch->result == WEIR_OK && state_map_apply(&link->lanes[lane], batch->set) == WEIR_OK)
        return;
    if (batch->result == WEIR_OK)
        batch->result = WEIR_NOMEM;
    state_set_free(batch->set);
    batch->set = NULL;
}

static void flow_called(struct batch *batch)
{
    struct flow *flow = batch->flow;
    flow_state_apply(batch);
    batch->charged += batch->arena.reserved;
    memory_take(flow->engine, batch->arena.reserved);
    metric_add(flow->called, 1);
    if (batch->result != WEIR_OK || batch->failed_count)
        metric_add(flow->failed_calls, 1);
    struct route_input input = {
        .type = ROUTE_CALLED,
        .batch = batch->route,
        .result = batch->result == WEIR_OK || batch->result == WEIR_FATAL ? batch->result : WEIR_RETRY,
        .wrote = batch->wrote,
        .failed = batch->failed,
        .failed_count = batch->result == WEIR_OK ? batch->failed_count : 0,
    };
    if (batch->result != WEIR_OK || batch->failed_count)
        log_write(flow->engine->log, LOG_DEBUG, flow->config->name,
                  "call of %zu events from position %llu failed: %s", batch->route->count,
                  (unsigned long long)batch->route->events[0].position,
                  batch_failure(batch, batch->failed_count ? batch->failed[0] : 0));
    flow_input(flow, &input);
}

static void call_done(struct letter *letter)
{
    struct batch *batch = CONTAINER_OF(letter, struct batch, letter);
    struct engine *engine = batch->flow->engine;
    functions_count(batch->flow, -1);
    flow_called(batch);
    flow_call_waiting(engine);
}

static void call_run(struct job *job, size_t worker)
{
    struct batch *batch = CONTAINER_OF(job, struct batch, job);
    batch_call(batch, worker);
    mailbox_post(&batch->flow->engine->mailbox, &batch->letter);
}

static void flow_call_start(struct batch *batch)
{
    struct flow *flow = batch->flow;
    functions_count(flow, 1);
    batch->job.run = call_run;
    batch->letter.open = call_done;
    if (workers_give(flow->engine->workers, &batch->job) == WEIR_OK)
        return;
    functions_count(flow, -1);
    batch->result = WEIR_NOMEM;
    snprintf(batch->reason, sizeof batch->reason, "no worker thread could be started");
    flow_called(batch);
}

void flow_call_waiting(struct engine *engine)
{
    if (engine->broken)
        return;
    for (struct list *at = engine->waiting_calls.next, *next; at != &engine->waiting_calls; at = next) {
        struct batch *batch = CONTAINER_OF(at, struct batch, node);
        next = at->next;
        if (!functions_free(batch->flow))
            continue;
        list_remove(&batch->node);
        flow_call_start(batch);
    }
}

static void flow_call(struct flow *flow, struct route_batch *route)
{
    struct batch *batch = flow_take(flow, route);
    if (batch->link->lanes)
        batch->link->lane_busy[route->lane] = 1;
    if (flow->inline_calls) {
        batch_call(batch, SIZE_MAX);
        flow_called(batch);
    } else if (functions_free(flow)) {
        flow_call_start(batch);
    } else {
        list_append(&flow->engine->waiting_calls, &batch->node);
    }
}

/* Writes. */

static void flow_write(struct flow *flow, const struct route_action *action)
{
    struct batch *batch = flow_take(flow, action->batch);
    struct write *write = &batch->writes[action->sink];
    struct outputs *outputs = &batch->outputs[action->sink];
    if (!outputs->events && !(batch->wrote & (1u << action->sink)))
        batch_pass(batch, 1u << action->sink);
    sink_write(write);
}

void flow_written(struct write *write, int result)
{
    struct route_input input = {
        .type = ROUTE_WRITTEN,
        .batch = write->batch->route,
        .sink = write->index,
        .result = result,
        .failed = write->rejected,
        .failed_count = write->rejected_count,
    };
    flow_input(write->batch->flow, &input);
}

/* The end of a batch. */

static void flow_done(struct flow *flow, const struct route_action *action)
{
    struct route_batch *route = action->batch;
    struct batch *batch = flow_take(flow, route);
    if (batch->set) {
        list_append(&batch->link->done, &batch->set->node);
        batch->set = NULL;
    }
    dead_letters_keep(batch);
    if (route->replay)
        dead_replay_done(batch);
    metric_add(flow->completed, (int64_t)action->events);
    flow_give(flow, route);
}

static void flow_dropped(struct flow *flow, struct route_batch *route)
{
    struct batch *batch = route->shell;
    if (batch && batch->set && batch->link->lanes && batch->result == WEIR_OK)
        state_map_settle(&batch->link->lanes[route->lane], batch->set);
    if (batch && route->replay)
        dead_replay_dropped(batch);
    flow_give(flow, route);
}

/* Commits and settles. */

static void flow_commit(struct flow *flow, const struct route_action *action)
{
    struct link *link = route_shard_user(action->shard);
    struct store_ops *ops = commit_ops(flow->engine);
    if (link->durable) {
        struct arena scratch;
        arena_init(&scratch, 0);
        struct key key;
        key_position(&key, view_of(flow->config->name), view_of(link->shard->source->instance.name),
                     view_of(link->shard->name));
        store_ops_put(ops, TABLE_POSITION, key_view(&key), vector_encode(&action->vector, &scratch));
        arena_fini(&scratch);
    }
    if (link->suspects) {
        struct key from, to;
        key_attempt(&from, view_of(flow->config->name), view_of(link->shard->source->instance.name),
                    view_of(link->shard->name), 0);
        key_attempt(&to, view_of(flow->config->name), view_of(link->shard->source->instance.name),
                    view_of(link->shard->name), action->low);
        store_ops_trim(ops, TABLE_ATTEMPT, key_view(&from), key_view(&to));
    }
    CHECK(state_commit(&link->done, ops) == WEIR_OK);
    link->asked = action->low;
    shard_note(link->shard);
    commit_ticket(link, action->ticket, action->low);
    commit_want(flow->engine);
}

static void flow_settle(const struct route_action *action)
{
    struct link *link = route_shard_user(action->shard);
    link->low = action->low;
    link->asked = link->low > link->asked ? link->low : link->asked; /* not kept in the store: it settles at once */
    if (link->shard->source->journal)
        journal_settled(link->shard->source->journal, link->place, action->low);
    else
        shard_settled(link->shard);
}

static void flow_failed(struct flow *flow, const struct route_action *action)
{
    flow->failed = true;
    dead_replays_forget(flow, NULL);
    if (!flow->reason[0])
        snprintf(flow->reason, sizeof flow->reason, "stopped by a failure (%s)", result_name(action->result));
    log_write(flow->engine->log, LOG_ERROR, flow->config->name, "the route has stopped: %s", flow->reason);
    engine_fail(flow->engine, EXIT_FAILED);
}

static void flow_released(const struct route_action *action)
{
    struct link *link = route_shard_user(action->shard);
    inputs_forget(&link->flow->inputs, action->shard);
    dead_replays_forget(link->flow, link);
    link->released = true;
    link->handle = NULL;
    shard_link_released(link->shard);
    struct route_input next = {.type = ROUTE_TICK}; /* the route gives the shard's blocks back in the step after */
    flow_input(link->flow, &next);
}

static void timer_tick(uv_timer_t *timer)
{
    struct route_input tick = {.type = ROUTE_TICK};
    flow_input(CONTAINER_OF(timer, struct flow, timer), &tick);
}

static void flow_arm(struct flow *flow, int64_t at)
{
    if (at == INT64_MAX) {
        uv_timer_stop(&flow->timer);
        return;
    }
    int64_t delay = at - clock_mono_us();
    uint64_t ms = delay <= 0 ? 0 : (uint64_t)delay / MILLISECOND_US + 1;
    uv_update_time(&flow->engine->loop);
    uv_timer_start(&flow->timer, timer_tick, ms, 0);
}

static void flow_touch(struct flow *flow)
{
    for (size_t i = 0; i < flow->source_count; i++)
        source_touch(flow->sources[i]);
}

static void flow_act(struct flow *flow, const struct route_action *action)
{
    switch (action->type) {
    case ROUTE_CALL:
        flow_call(flow, action->batch);
        break;
    case ROUTE_WRITE:
        flow_write(flow, action);
        break;
    case ROUTE_CUT:
        break; /* batch_sift has taken out what left; route->count is already the new one */
    case ROUTE_DEAD:
        dead_letter_write(flow, action);
        break;
    case ROUTE_DONE:
        flow_done(flow, action);
        break;
    case ROUTE_DROPPED:
        flow_dropped(flow, action->batch);
        break;
    case ROUTE_COMMIT:
        flow_commit(flow, action);
        break;
    case ROUTE_SETTLE:
        flow_settle(action);
        break;
    case ROUTE_WANT:
        flow_touch(flow);
        break;
    case ROUTE_ARM:
        flow_arm(flow, action->at);
        break;
    case ROUTE_RELEASED:
        flow_released(action);
        break;
    case ROUTE_FAILED:
        flow_failed(flow, action);
        break;
    case ROUTE_FINISHED:
        flow->finished = true;
        engine_advance(flow->engine);
        break;
    }
}

/* The queue. */

static void flow_step(struct flow *flow, const struct route_input *input)
{
    struct route_action actions[ACTIONS_ROOM];
    struct route_input more = {.type = ROUTE_MORE};
    bool again = true;
    int64_t now = clock_mono_us();
    while (again) {
        size_t count = route_step(flow->route, input, now, actions, ACTIONS_ROOM, &again);
        for (size_t i = 0; i < count; i++)
            flow_act(flow, &actions[i]);
        input = &more;
    }
}

void flow_input(struct flow *flow, const struct route_input *input)
{
    if (flow->engine->broken)
        return;
    if (flow->stepping) {
        inputs_push(&flow->inputs, input);
        return;
    }
    struct route_input next;
    flow->stepping = true;
    flow_step(flow, input);
    while (inputs_next(&flow->inputs, &next)) {
        flow_step(flow, &next);
        if (next.block)
            block_drop(next.block);
    }
    flow->stepping = false;
}

void flow_emit(struct link *link, struct block *block, size_t first, size_t count)
{
    struct route_input input = {
        .type = ROUTE_EMIT, .shard = link->handle, .block = block, .first = first, .count = count};
    metric_add(link->flow->emitted, (int64_t)count);
    flow_input(link->flow, &input);
}

/* Emits that still queue count as open. A window that is empty takes one event of any size. */
void flow_room(const struct flow *flow, size_t *events, size_t *bytes)
{
    struct route_status status;
    route_status(flow->route, &status);
    size_t window = flow->window_events, window_bytes = flow->window_bytes;
    size_t open = status.open_events + inputs_events(&flow->inputs);
    bool closed = flow->failed || flow->stopping;
    *events = closed || open >= window ? 0 : window - open;
    *bytes = closed || status.open_bytes >= window_bytes ? 0 : window_bytes - status.open_bytes;
}

void flow_flush(struct flow *flow)
{
    struct route_input input = {.type = ROUTE_FLUSH};
    flow_input(flow, &input);
}

void flow_stop(struct flow *flow, bool deadline)
{
    struct route_input input = {.type = ROUTE_STOP, .lost = deadline};
    flow->stopping = true;
    flow_input(flow, &input);
}

void flow_sink_failed(struct flow *flow, const struct sink *sink, const char *reason)
{
    for (size_t i = 0; i < flow->sink_count; i++) {
        if (flow->sinks[i] == sink)
            snprintf(flow->reason, sizeof flow->reason, "sink %s: %s", sink->instance.name, reason);
    }
}
