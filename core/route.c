/* route.c: see route.h: takes an input, lets the other files work out what follows, hands out actions. */
#include "route.h"

#include <stdlib.h>

#include "route_private.h"

struct route *route_new(const struct route_config *config)
{
    struct route *route = calloc(1, sizeof *route);
    if (!route)
        return NULL;
    CHECK(config->sink_count <= ROUTE_SINKS_MAX && config->lanes >= 1 && config->lanes <= ROUTE_LANES_MAX);
    CHECK(config->batch_events > 0 && config->batch_bytes > 0);
    route->config = *config;
    random_init(&route->random, config->seed);
    list_init(&route->shards);
    list_init(&route->dirty);
    list_init(&route->ready);
    list_init(&route->pool);
    list_init(&route->retired);
    list_init(&route->gone);
    route->commit_at = route->armed = INT64_MAX;
    route->all_ordered = true;
    for (uint32_t i = 0; i < config->sink_count; i++)
        route->all_ordered &= config->sinks[i].ordered;
    return route;
}

static void batch_free(struct route_batch_state *batch)
{
    list_remove(&batch->node);
    for (size_t i = 0; i < batch->portion_count; i++)
        block_drop(batch->portions[i].block);
    free(batch->portions);
    free(batch->own);
    free(batch);
}

static void batches_free(struct list *batches)
{
    while (!list_empty(batches))
        batch_free(LIST_FIRST(batches, struct route_batch_state, node));
}

void route_free(struct route *route)
{
    if (!route)
        return;
    route_recycle(route);
    while (!list_empty(&route->shards)) {
        struct route_shard *shard = LIST_FIRST(&route->shards, struct route_shard, node);
        for (uint32_t i = 0; i < shard->lane_count; i++)
            batches_free(&shard->lanes[i].batches);
        shard_discard(shard);
    }
    batches_free(&route->pool);
    free(route->heap);
    free(route->actions);
    free(route);
}

struct run *shard_run(const struct route_shard *shard, uint64_t number)
{
    return &shard->ring[number & (shard->room - 1)];
}

void *route_shard_user(const struct route_shard *shard)
{
    return shard->user;
}

uint64_t route_resume(const struct route_shard *shard)
{
    return shard->resume;
}

bool shard_ended(const struct route_shard *shard)
{
    return shard->lost || shard->route->lost || shard->route->failed;
}

void shard_window(struct route_shard *shard, ptrdiff_t events, ptrdiff_t bytes)
{
    shard->open_events += (size_t)events;
    shard->open_bytes += (size_t)bytes;
    shard->route->open_events += (size_t)events;
    shard->route->open_bytes += (size_t)bytes;
}

void route_act(struct route *route, struct route_action action)
{
    if (route->action_count == route->action_room) {
        size_t room = route->action_room ? route->action_room * 2 : 64;
        struct route_action *actions = realloc(route->actions, room * sizeof *actions);
        CHECK(actions != NULL); /* bounded by what is open */
        route->actions = actions;
        route->action_room = room;
    }
    route->actions[route->action_count++] = action;
}

void route_fail(struct route *route, int result)
{
    if (route->failed)
        return;
    route->failed = true;
    route_act(route, (struct route_action){.type = ROUTE_FAILED, .result = result});
}

static void timers_fire(struct route *route)
{
    for (struct timer *timer; (timer = timer_due(route, route->now)) != NULL;) {
        if (timer->kind == TIMER_BATCH) {
            struct route_batch_state *batch = CONTAINER_OF(timer, struct route_batch_state, timer);
            if (shard_ended(batch->lane->shard))
                continue;
            if (batch->stage == STAGE_WAITING)
                batch_start(batch);
            else
                writer_again(batch->lane, batch);
            continue;
        }
        struct lane *lane = CONTAINER_OF(timer, struct lane, timer);
        if (lane->writer.again_at <= route->now && !shard_ended(lane->shard))
            writer_again(lane, NULL);
        lane_touch(lane);
    }
}

static void route_input(struct route *route, const struct route_input *input)
{
    switch (input->type) {
    case ROUTE_EMIT:
        route_emit(route, input);
        break;
    case ROUTE_CALLED:
        route_called(route, input);
        break;
    case ROUTE_WRITTEN:
        route_written(route, input);
        break;
    case ROUTE_FLUSH:
        route_flush(route, true);
        break;
    case ROUTE_COMMITTED:
        route_committed(route, input);
        break;
    case ROUTE_REVOKE:
        route_revoke(route, input);
        break;
    case ROUTE_STOP:
        route_stop(route, input->lost);
        break;
    case ROUTE_TICK:
    case ROUTE_MORE:
        break;
    }
}

static void route_arm(struct route *route)
{
    int64_t at = route->heap_count ? time_min(route->heap[0]->at, route->commit_at) : route->commit_at;
    if (at == route->armed)
        return;
    route->armed = at;
    route_act(route, (struct route_action){.type = ROUTE_ARM, .at = at});
}

static size_t actions_give(struct route *route, struct route_action *actions, size_t room, bool *more)
{
    size_t count = size_min(room, route->action_count - route->action_head);
    if (count)
        memcpy(actions, route->actions + route->action_head, count * sizeof *actions);
    route->action_head += count;
    *more = route->action_head < route->action_count;
    if (!*more)
        route->action_head = route->action_count = 0;
    return count;
}

size_t route_step(struct route *route, const struct route_input *input, int64_t now_us,
                  struct route_action *actions, size_t room, bool *more)
{
    CHECK(room >= 8);
    if (input->type == ROUTE_MORE)
        return actions_give(route, actions, room, more);
    CHECK(route->action_count == 0);
    route->now = now_us > route->now ? now_us : route->now;
    if (input->type == ROUTE_TICK || route->armed <= route->now)
        route->armed = INT64_MAX; /* it fired, perhaps a little early: whatever is still due is armed anew */
    route_recycle(route);
    route_input(route, input);
    timers_fire(route);
    lanes_start(route);
    route_flush(route, false);
    route_endings(route);
    lanes_start(route);
    route_want(route);
    route_arm(route);
    return actions_give(route, actions, room, more);
}

void route_status(const struct route *route, struct route_status *status)
{
    *status = (struct route_status){.open_events = route->open_events,
                                    .open_bytes = route->open_bytes,
                                    .calls = route->calls,
                                    .writes = route->writes,
                                    .stopping = route->stopping,
                                    .failed = route->failed};
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    {
        for (uint32_t i = 0; i < shard->lane_count; i++) {
            int64_t since = shard->lanes[i].blocked_us;
            status->waiting += since != 0;
            if (since && (!status->blocked_since_us || since < status->blocked_since_us))
                status->blocked_since_us = since;
        }
    }
}

const char *route_action_name(enum route_action_type type)
{
    static const char *const names[] = {"call",   "write", "cut", "dead",     "done",   "dropped", "commit",
                                        "settle", "want",  "arm", "released", "failed", "finished"};
    return names[type];
}
