/* route_lane.c: when a lane may start a batch.
 *
 * A lane is ready when something about it changed; ready lanes are looked at in turn. A batch is due when its
 * events or bytes suffice, when its oldest event has waited long enough, when a culprit is being sought, or when
 * the shard or the route ends. Suspects run alone, one at a time in the whole route. */
#include <stdlib.h>

#include "route_private.h"

void lane_init(struct lane *lane, struct route_shard *shard, uint32_t index)
{
    *lane = (struct lane){.shard = shard, .index = index};
    batcher_init(&lane->batcher, &shard->route->policy);
    list_init(&lane->ready);
    list_init(&lane->suspects);
    list_init(&lane->batches);
    list_init(&lane->blocked.node);
    timer_init(&lane->timer, TIMER_LANE);
}

void lane_fini(struct lane *lane)
{
    struct route *route = lane->shard->route;
    timers_set(&route->timers, &lane->timer, INT64_MAX);
    route_unblocked(route, &lane->blocked);
    list_remove(&lane->ready);
    list_remove(&lane->suspects);
}

void lane_touch(struct lane *lane)
{
    if (list_empty(&lane->ready))
        list_append(&lane->shard->route->ready, &lane->ready);
}

void lane_push(struct lane *lane, uint32_t number)
{
    struct run *run = tracker_run(&lane->shard->tracker, number);
    run->next = 0;
    if (lane->tail)
        tracker_run(&lane->shard->tracker, lane->tail)->next = number;
    else
        lane->head = number;
    lane->tail = number;
    batcher_add(&lane->batcher, run->count, run->bytes);
    lane_touch(lane);
}

/* When its next batch may start, for all that the lane itself knows. */
static int64_t lane_due(const struct lane *lane)
{
    const struct route_shard *shard = lane->shard;
    const struct run *head = tracker_run(&shard->tracker, lane->head);
    bool hasty = shard->route->stopping || !list_empty(&shard->closing) || head->replay || head->suspect;
    int64_t due = hasty ? INT64_MIN : batcher_due(&lane->batcher, head->at);
    return due > lane->retry_at ? due : lane->retry_at;
}

static bool lane_free(const struct lane *lane)
{
    if (lane->shard->unordered)
        return true;
    if (lane->calling || lane->held)
        return false;
    return lane->open == 0 || (lane->shard->route->all_ordered && lane->open < LANE_BATCHES_MAX);
}

static bool lane_idle(const struct lane *lane)
{
    return !lane->head || shard_ended(lane->shard) || !lane_free(lane);
}

/* One timer for whatever the lane waits for first. */
void lane_arm(struct lane *lane)
{
    struct route *route = lane->shard->route;
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < route->config.sink_count && lane->held; i++)
        at = time_min(at, lane->writers[i].again_at);
    if (!lane_idle(lane)) {
        int64_t due = lane_due(lane);
        if (due > route->now)
            at = time_min(at, due);
    }
    timers_set(&route->timers, &lane->timer, at);
}

/* It waits until no other suspect is in a call. */
static bool lane_suspended(struct lane *lane)
{
    struct route *route = lane->shard->route;
    if (!route->suspects_out || !tracker_run(&lane->shard->tracker, lane->head)->suspect)
        return false;
    if (list_empty(&lane->suspects))
        list_append(&route->suspects, &lane->suspects);
    return true;
}

static bool lane_starts(struct lane *lane)
{
    return !lane_idle(lane) && lane_due(lane) <= lane->shard->route->now && !lane_suspended(lane);
}

/* Batches that come again; suspects among them wait for one another too. */
static void callers_start(struct route *route)
{
    for (struct list *at = route->callers.next, *next; at != &route->callers && !route_calls_full(route);
         at = next) {
        struct route_batch_state *batch = CONTAINER_OF(at, struct route_batch_state, caller);
        next = at->next;
        if (batch->suspect && route->suspects_out)
            continue;
        list_remove(&batch->caller);
        batch_start(batch);
    }
}

static void suspects_touch(struct route *route)
{
    while (!route->suspects_out && !list_empty(&route->suspects)) {
        struct lane *lane = LIST_FIRST(&route->suspects, struct lane, suspects);
        list_remove(&lane->suspects);
        lane_touch(lane);
    }
}

/* Starts what can be started. Lanes that could not for want of a call's place stay ready. */
void lanes_start(struct route *route)
{
    callers_start(route);
    suspects_touch(route);
    while (!list_empty(&route->ready) && !route_calls_full(route)) {
        struct lane *lane = LIST_FIRST(&route->ready, struct lane, ready);
        list_remove(&lane->ready);
        if (lane_starts(lane)) {
            batch_start(batch_take(lane));
            lane_touch(lane);
        } else {
            lane_arm(lane);
        }
    }
}

static bool batch_out(const struct route_batch_state *batch)
{
    return batch->stage == STAGE_CALLING || batch->sinks_out;
}

/* The lane of an ended shard: what is out is waited for. In order, what lies behind it waits too, since it may
 * still complete; then everything goes back, the last first, so that the lane's position stays true. */
void lane_sweep(struct lane *lane)
{
    bool out = false, unordered = lane->shard->unordered;
    for (struct list *at = lane->batches.next, *next; at != &lane->batches; at = next) {
        struct route_batch_state *batch = CONTAINER_OF(at, struct route_batch_state, node);
        next = at->next;
        if (batch_out(batch))
            out = true;
        else if (unordered)
            batch_drop(batch);
    }
    while (!unordered && !out && !list_empty(&lane->batches)) {
        struct route_batch_state *last = CONTAINER_OF(lane->batches.prev, struct route_batch_state, node);
        batch_put_back(last, 0);
        batch_drop(last);
    }
    timers_set(&lane->shard->route->timers, &lane->timer, INT64_MAX);
}

void route_sweep(struct route *route)
{
    if (!route->sweep)
        return;
    route->sweep = false;
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    {
        for (uint32_t i = 0; i < shard->lane_count && shard_ended(shard); i++)
            lane_sweep(&shard->lanes[i]);
    }
}
