/* route_call.c: calls, and what follows from their results.
 *
 * A failed call of several events is bisected until the culprit is alone; a single event (or, without bisect, the
 * batch) uses up its attempts and is dead then. In order, what failed goes back to the front of its lane. Without
 * order, what failed is a batch of its own from then on, and the rest goes on without it. */
#include "route_private.h"

bool route_calls_full(const struct route *route)
{
    return route->config.calls && route->config.calls_max && route->calls >= route->config.calls_max;
}

static bool used_up(const struct route *route, uint32_t attempts)
{
    return route->config.retry.attempts && attempts >= route->config.retry.attempts;
}

static void batch_dead(struct route_batch_state *batch, size_t index, uint32_t attempts)
{
    struct route_shard *shard = batch->lane->shard;
    batch->dead++;
    route_act(shard->route, (struct route_action){.type = ROUTE_DEAD,
                                                  .batch = &batch->pub,
                                                  .shard = shard,
                                                  .sink = SIZE_MAX,
                                                  .index = index,
                                                  .result = WEIR_RETRY,
                                                  .attempts = attempts});
}

/* Attempts are used up: dead letters of all of it, or the end of the route. */
static void batch_give_up(struct route_batch_state *batch, uint32_t attempts)
{
    struct route *route = batch->lane->shard->route;
    if (route->config.on_failure == FAILURE_STOP) {
        batch->stage = STAGE_WAITING;
        route_fail(route, WEIR_RETRY);
        return;
    }
    for (size_t i = 0; i < batch->pub.count; i++)
        batch_dead(batch, i, attempts);
    batch_finish(batch);
}

/* How many calls with this event have failed. */
static uint32_t event_attempts(const struct route_batch_state *batch, size_t index)
{
    const struct lane *lane = batch->lane;
    const struct run *run = index ? NULL : batch_run(batch, 0);
    uint32_t attempts = run ? run->attempts : 0;
    bool lanes = !batch->pub.replay && lane->attempts && lane->attempts_at == batch->pub.events[index].position;
    return lanes && lane->attempts > attempts ? lane->attempts : attempts;
}

void batch_start(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    const struct run *run = batch_run(batch, 0);
    uint32_t attempts = event_attempts(batch, 0);
    if (run->sink >= 0) {
        batch_deliver(batch, 1u << run->sink);
        return;
    }
    if (!route->config.calls) {
        batch_deliver(batch, (uint32_t)((UINT64_C(1) << route->config.sink_count) - 1));
        return;
    }
    if (batch->suspect && !run->among && used_up(route, attempts)) {
        batch_give_up(batch, attempts);
        return;
    }
    batch->pub.attempt = attempts + 1;
    batch->stage = STAGE_CALLING;
    batch->lane->calling = !batch->pub.unordered;
    route->suspects_out += batch->suspect;
    route->calls++;
    route_act(route, (struct route_action){.type = ROUTE_CALL, .batch = &batch->pub});
}

void batch_finish(struct route_batch_state *batch)
{
    struct lane *lane = batch->lane;
    batch->stage = STAGE_FINISHED;
    if (batch->pub.unordered) {
        batch_complete(batch);
        return;
    }
    if (!batch->pub.replay && lane->attempts_at <= batch->pub.events[batch->pub.count - 1].position)
        lane->attempts = 0;
    if (!batch->pub.replay && lane->sought_at <= batch->pub.events[batch->pub.count - 1].position)
        batcher_grow(&lane->batcher); /* not for one before it that was still being written */
    while (!list_empty(&lane->batches)) {
        struct route_batch_state *first = LIST_FIRST(&lane->batches, struct route_batch_state, node);
        if (first->stage != STAGE_FINISHED)
            break;
        batch_complete(first);
    }
    if (!lane->held && !lane->attempts)
        route_unblocked(lane->shard->route, &lane->blocked);
}

/* In order. */

static void lane_back(struct route_batch_state *batch)
{
    batch_put_back(batch, 0);
    batch_drop(batch);
}

/* The event at `index` comes again after a delay. */
static void lane_wait(struct route_batch_state *batch, size_t index, uint32_t attempts)
{
    struct lane *lane = batch->lane;
    struct route *route = lane->shard->route;
    if (batch->pub.replay) {
        batch_run(batch, 0)->attempts = attempts;
    } else {
        lane->attempts = attempts;
        lane->attempts_at = batch->pub.events[index].position;
    }
    lane->retry_at = route_delay(route, &route->config.retry, attempts);
    route_blocked(route, &lane->blocked);
}

static void lane_failed(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    size_t count = batch->pub.count;
    if (!batch->pub.replay)
        batch->lane->sought_at = batch->pub.events[0].position;
    if (count > 1 && route->config.bisect) {
        batcher_halve(&batch->lane->batcher, count);
        lane_back(batch);
        return;
    }
    batcher_keep(&batch->lane->batcher, count);
    if (used_up(route, batch->pub.attempt)) {
        batch_give_up(batch, batch->pub.attempt);
        return;
    }
    lane_wait(batch, 0, batch->pub.attempt);
    lane_back(batch);
}

/* The event at `index` failed by itself; those before it go on, those behind it come again. */
static void lane_event_failed(struct route_batch_state *batch, size_t index, uint32_t wrote)
{
    struct route *route = batch->lane->shard->route;
    uint32_t attempts = event_attempts(batch, index) + 1;
    bool dead = used_up(route, attempts);
    if (dead && route->config.on_failure == FAILURE_STOP) {
        route_fail(route, WEIR_RETRY);
        return;
    }
    if (!dead)
        lane_wait(batch, index, attempts);
    size_t keep = index + dead;
    if (keep == 0) {
        lane_back(batch);
        return;
    }
    if (keep < batch->pub.count) {
        batch_put_back(batch, keep);
        route_act(route, (struct route_action){.type = ROUTE_CUT, .batch = &batch->pub, .index = keep});
    }
    if (dead)
        batch_dead(batch, index, attempts);
    batch_deliver(batch, wrote);
}

/* Without order. */

static void unordered_wait(struct route_batch_state *batch, uint32_t attempts)
{
    struct route *route = batch->lane->shard->route;
    for (size_t i = 0; i < batch->portion_count; i++)
        batch_run(batch, i)->attempts = attempts;
    route_blocked(route, &batch->blocked);
    timers_set(&route->timers, &batch->timer, route_delay(route, &route->config.retry, attempts));
}

static void unordered_failed(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    size_t count = batch->pub.count, half = count / 2;
    if (count > 1 && route->config.bisect) {
        list_append(&route->callers, &batch_split(batch, 0, half)->caller);
        list_append(&route->callers, &batch_split(batch, half, count - half)->caller);
        batch_drop(batch);
    } else if (used_up(route, batch->pub.attempt)) {
        batch_give_up(batch, batch->pub.attempt);
    } else {
        unordered_wait(batch_split(batch, 0, count), batch->pub.attempt);
        batch_drop(batch);
    }
}

/* The shell still sees the inputs of the batch as they were: outputs of failed ones do not exist. A dead letter is
 * completed with the batch, whose words about it the shell has; the others leave it. */
static void unordered_events_failed(struct route_batch_state *batch, const struct route_input *input)
{
    struct route *route = batch->lane->shard->route;
    for (size_t i = 0; i < input->failed_count && !route->failed; i++) {
        uint32_t index = input->failed[i];
        uint32_t attempts = batch_run(batch, index)->attempts + 1;
        if (!used_up(route, attempts))
            unordered_wait(batch_split(batch, index, 1), attempts);
        else if (route->config.on_failure == FAILURE_STOP)
            route_fail(route, WEIR_RETRY);
        else
            batch_dead(batch, index, attempts);
    }
    if (!route->failed)
        batch_deliver(batch, input->wrote);
}

static void batch_events_failed(struct route_batch_state *batch, const struct route_input *input)
{
    if (!batch->pub.unordered)
        lane_event_failed(batch, input->failed[0], input->wrote);
    else if (batch->pub.count == 1)
        unordered_failed(batch);
    else
        unordered_events_failed(batch, input);
}

void route_called(struct route *route, const struct route_input *input)
{
    struct route_batch_state *batch = input->batch->state;
    struct lane *lane = batch->lane;
    CHECK(batch->stage == STAGE_CALLING);
    batch->stage = STAGE_WAITING;
    route->calls--;
    route->suspects_out -= batch->suspect;
    lane->calling = false;
    lane_touch(lane);
    if (shard_ended(lane->shard)) {
        lane_sweep(lane);
    } else if (input->result == WEIR_FATAL) {
        route_fail(route, WEIR_FATAL);
    } else if (input->result != WEIR_OK) {
        batch->pub.unordered ? unordered_failed(batch) : lane_failed(batch);
    } else if (input->failed_count) {
        batch_events_failed(batch, input);
    } else {
        batch_deliver(batch, input->wrote);
    }
}
