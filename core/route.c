/* route.c: see route.h: takes an input, lets the other files work out what follows, hands out actions. */
#include "route.h"

#include <stdlib.h>

#include "route_private.h"

enum { ACTIONS_MIN = 64 };

static void route_lists(struct route *route)
{
    list_init(&route->shards);
    list_init(&route->gone);
    list_init(&route->dirty);
    list_init(&route->closing);
    list_init(&route->switching);
    list_init(&route->ready);
    list_init(&route->suspects);
    list_init(&route->callers);
    list_init(&route->blocked);
    list_init(&route->pool);
    list_init(&route->retired);
}

struct route *route_new(const struct route_config *config)
{
    struct route *route = calloc(1, sizeof *route);
    if (!route)
        return NULL;
    CHECK(config->sink_count <= ROUTE_SINKS_MAX && config->lanes >= 1 && config->lanes <= ROUTE_LANES_MAX);
    CHECK(!config->whole || (config->lanes == 1 && config->order != ORDER_NONE));
    route->config = *config;
    route->policy = (struct batch_policy){config->batch_events, config->batch_bytes, config->batch_wait_us};
    random_init(&route->random, config->seed);
    route_lists(route);
    timers_init(&route->timers);
    window_init(&route->window, config->window_events, config->window_bytes);
    route->commit_at = route->armed = INT64_MAX;
    route->all_ordered = true;
    for (uint32_t i = 0; i < config->sink_count; i++)
        route->all_ordered &= config->sinks[i].ordered;
    return route;
}

static void batches_free(struct list *batches)
{
    while (!list_empty(batches))
        batch_discard(LIST_FIRST(batches, struct route_batch_state, node));
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
    timers_fini(&route->timers);
    free(route->actions);
    free(route);
}

bool shard_ended(const struct route_shard *shard)
{
    return shard->lost || shard->route->lost || shard->route->failed;
}

void route_fail(struct route *route, int result)
{
    if (route->failed)
        return;
    route->failed = route->sweep = true;
    route_act(route, (struct route_action){.type = ROUTE_FAILED, .result = result});
}

void route_blocked(struct route *route, struct blocked *blocked)
{
    if (!list_empty(&blocked->node))
        return;
    blocked->since = route->now;
    list_append(&route->blocked, &blocked->node);
    route->blocked_count++;
}

void route_unblocked(struct route *route, struct blocked *blocked)
{
    if (list_empty(&blocked->node))
        return;
    list_remove(&blocked->node);
    route->blocked_count--;
}

int64_t route_delay(struct route *route, const struct retry_policy *policy, uint32_t attempts)
{
    return route->now + retry_delay(policy, attempts, &route->random);
}

void route_act(struct route *route, struct route_action action)
{
    if (route->action_count == route->action_room) {
        size_t room = route->action_room ? route->action_room * 2 : ACTIONS_MIN;
        struct route_action *actions = realloc(route->actions, room * sizeof *actions);
        CHECK(actions != NULL); /* bounded by what is open */
        route->actions = actions;
        route->action_room = room;
    }
    route->actions[route->action_count++] = action;
}

static void timer_fire(struct route *route, struct timer *timer)
{
    if (timer->kind == TIMER_LANE) {
        struct lane *lane = CONTAINER_OF(timer, struct lane, timer);
        if (shard_ended(lane->shard))
            return;
        lane_write_again(lane);
        lane_touch(lane);
        return;
    }
    struct route_batch_state *batch = CONTAINER_OF(timer, struct route_batch_state, timer);
    if (shard_ended(batch->lane->shard))
        return;
    if (batch->stage == STAGE_WAITING)
        list_append(&route->callers, &batch->caller);
    else
        batch_write_again(batch);
}

static void timers_fire(struct route *route)
{
    for (struct timer *timer; (timer = timers_due(&route->timers, route->now)) != NULL;)
        timer_fire(route, timer);
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
        if (!list_empty(&route->dirty))
            route->commit_at = route->now;
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

static void route_want(struct route *route)
{
    struct window *window = &route->window;
    if (window_tell(window, route->failed || route->stopping))
        route_act(route, (struct route_action){
                             .type = ROUTE_WANT, .events = window->told_events, .bytes = window->told_bytes});
}

static void route_arm(struct route *route)
{
    int64_t at = time_min(timers_next(&route->timers), route->commit_at);
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

/* Positions are worked out once in a step, after everything that completes in it: a vector never covers a batch
 * whose ROUTE_DONE comes behind it. */
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
    route_sweep(route);
    timers_fire(route);
    lanes_start(route);
    route_sweep(route);
    route_hurry(route);
    route_flush(route);
    shards_switch(route);
    lanes_start(route);
    route_sweep(route);
    route_endings(route);
    route_want(route);
    route_arm(route);
    return actions_give(route, actions, room, more);
}

void route_status(const struct route *route, struct route_status *status)
{
    *status = (struct route_status){.open_events = route->window.events,
                                    .open_bytes = route->window.bytes,
                                    .calls = route->calls,
                                    .writes = route->writes,
                                    .waiting = route->blocked_count,
                                    .stopping = route->stopping,
                                    .failed = route->failed};
    if (route->blocked_count)
        status->blocked_since_us = LIST_FIRST(&route->blocked, struct blocked, node)->since;
}

const char *route_action_name(enum route_action_type type)
{
    static const char *const names[] = {"call",   "write", "cut", "dead",     "done",   "dropped", "commit",
                                        "settle", "want",  "arm", "released", "failed", "finished"};
    return names[type];
}
