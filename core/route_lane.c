/* route_lane.c: when a lane may start a batch, and what goes into it.
 *
 * A batch is due when its events or bytes suffice, when its oldest event has waited long enough, when a culprit is
 * being sought, or when the route stops. A suspect and a replayed dead letter go alone. Batches and their arrays
 * come from a pool; what ended in one step is recycled at the next, when the shell has carried out its actions. */
#include <stdlib.h>

#include "route_private.h"

void lane_touch(struct lane *lane)
{
    if (list_empty(&lane->ready))
        list_append(&lane->shard->route->ready, &lane->ready);
}

static size_t lane_limit(const struct lane *lane)
{
    return size_min(lane->limit, lane->shard->route->config.batch_events);
}

/* When the lane's oldest event has waited long enough; now or before: it is due. */
static int64_t lane_due(const struct lane *lane)
{
    const struct route *route = lane->shard->route;
    const struct route_config *config = &route->config;
    const struct run *head = shard_run(lane->shard, lane->head);
    bool full = lane->pending >= lane_limit(lane) || lane->pending_bytes >= config->batch_bytes;
    if (config->batch_wait_us == 0 || full || route->stopping || head->replay || head->suspect)
        return route->now;
    return head->at + config->batch_wait_us;
}

static bool lane_free(const struct lane *lane)
{
    const struct route *route = lane->shard->route;
    if (lane->shard->none)
        return true;
    if (lane->calling || lane->writer.failing || lane->writer.again_at != INT64_MAX)
        return false;
    return lane->open == 0 || (route->all_ordered && lane->open < LANE_BATCHES_MAX);
}

/* One timer for whatever the lane waits for first. */
void lane_arm(struct lane *lane)
{
    struct route *route = lane->shard->route;
    int64_t at = lane->writer.again_at;
    if (lane->head && lane_free(lane) && !shard_ended(lane->shard)) {
        int64_t start = lane_due(lane);
        start = start > lane->retry_at ? start : lane->retry_at;
        if (start > route->now)
            at = time_min(at, start);
    }
    CHECK(timer_set(route, &lane->timer, at));
}

static struct route_batch_state *batch_new(struct route *route)
{
    struct route_batch_state *batch;
    if (!list_empty(&route->pool)) {
        batch = LIST_FIRST(&route->pool, struct route_batch_state, node);
        list_remove(&batch->node);
        return batch;
    }
    batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL); /* as many as were ever open: bounded by lanes and window */
    list_init(&batch->node);
    return batch;
}

static void batch_reset(struct route_batch_state *batch, struct lane *lane)
{
    batch->pub = (struct route_batch){.lane = lane->index, .shard = lane->shard, .state = batch};
    batch->lane = lane;
    batch->portion_count = 0;
    batch->bytes = 0;
    batch->sinks_open = batch->sinks_out = batch->sinks_waiting = 0;
    batch->suspect = false;
    memset(batch->attempts, 0, sizeof batch->attempts);
    batch->writer = (struct writer){.again_at = INT64_MAX};
    timer_init(&batch->timer, TIMER_BATCH);
}

static void portion_add(struct route_batch_state *batch, struct portion portion)
{
    if (batch->portion_count == batch->portion_room) {
        size_t room = batch->portion_room ? batch->portion_room * 2 : 16;
        struct portion *portions = realloc(batch->portions, room * sizeof *portions);
        CHECK(portions != NULL);
        batch->portions = portions;
        batch->portion_room = room;
    }
    batch->portions[batch->portion_count++] = portion;
}

static size_t portion_bytes(const struct run *run, size_t offset, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const weir_event *event = &run->block->events[run->first + offset + i];
        bytes += event->payload.size + event->key.size + event->subject.size + event->id.size;
    }
    return bytes;
}

/* How many of the run's next events fit into `events` and `bytes`; at least one if `first`. */
static size_t run_fits(const struct run *run, size_t events, size_t bytes, bool first, size_t *taken)
{
    size_t left = run->count - run->taken, count = size_min(left, events);
    *taken = count == left ? run->bytes : portion_bytes(run, run->taken, count);
    if (*taken <= bytes)
        return count;
    *taken = 0;
    for (count = 0; count < left && count < events; count++) {
        size_t one = portion_bytes(run, run->taken + count, 1);
        if (*taken + one > bytes && !(first && count == 0))
            break;
        *taken += one;
    }
    return count;
}

static bool run_alone(const struct run *run)
{
    return run->replay || run->suspect;
}

/* Points at the events where they lie, or copies the structs when they come from several places. */
static void batch_gather(struct route_batch_state *batch)
{
    struct route_shard *shard = batch->pub.shard;
    if (batch->portion_count == 1) {
        const struct portion *portion = &batch->portions[0];
        batch->pub.events = &portion->block->events[shard_run(shard, portion->number)->first + portion->offset];
        return;
    }
    if (batch->own_room < batch->pub.count) {
        free(batch->own);
        batch->own_room = size_max(batch->pub.count, batch->own_room * 2);
        batch->own = malloc(batch->own_room * sizeof *batch->own);
        CHECK(batch->own != NULL);
    }
    size_t at = 0;
    for (size_t i = 0; i < batch->portion_count; i++) {
        const struct portion *portion = &batch->portions[i];
        const weir_event *from =
            &portion->block->events[shard_run(shard, portion->number)->first + portion->offset];
        memcpy(&batch->own[at], from, portion->count * sizeof *from);
        at += portion->count;
    }
    batch->pub.events = batch->own;
}

static void run_take(struct lane *lane, struct route_batch_state *batch, uint64_t number, size_t count,
                     size_t bytes)
{
    struct run *run = shard_run(lane->shard, number);
    block_hold(run->block);
    portion_add(batch, (struct portion){number, run->taken, (uint32_t)count, run->block});
    run->taken += (uint32_t)count;
    run->bytes -= bytes;
    batch->bytes += bytes;
    batch->pub.count += count;
    lane->pending -= count;
    lane->pending_bytes -= bytes;
    if (run->taken < run->count)
        return;
    lane->head = run->next;
    if (!lane->head)
        lane->tail = 0;
}

struct route_batch_state *batch_take(struct lane *lane, size_t limit)
{
    struct route *route = lane->shard->route;
    struct route_batch_state *batch = batch_new(route);
    batch_reset(batch, lane);
    size_t bytes_max = route->config.batch_bytes;
    while (lane->head && batch->pub.count < limit) {
        uint64_t number = lane->head;
        struct run *run = shard_run(lane->shard, number);
        bool first = batch->pub.count == 0, alone = run_alone(run);
        if (alone && !first)
            break;
        size_t bytes, left = bytes_max > batch->bytes ? bytes_max - batch->bytes : 0;
        size_t count = run_fits(run, limit - batch->pub.count, left, first, &bytes);
        if (!count)
            break;
        batch->suspect = run->suspect;
        batch->pub.replay = run->replay;
        run_take(lane, batch, number, count, bytes);
        if (alone)
            break;
    }
    batch_gather(batch);
    list_append(&lane->batches, &batch->node);
    lane->open++;
    lane->shard->open_batches++;
    return batch;
}

static void portion_back(struct lane *lane, struct portion *portion, size_t count)
{
    struct run *run = shard_run(lane->shard, portion->number);
    uint32_t offset = portion->offset + portion->count - (uint32_t)count;
    size_t bytes = portion_bytes(run, offset, count);
    run->taken = offset;
    run->bytes += bytes;
    lane->pending += count;
    lane->pending_bytes += bytes;
    lane->head = portion->number;
    if (!lane->tail)
        lane->tail = portion->number;
    portion->count -= (uint32_t)count;
}

/* Events from index `from` on are the lane's next again. Only the lane's last batch can do this. */
void batch_put_back(struct route_batch_state *batch, size_t from)
{
    struct lane *lane = batch->lane;
    while (batch->pub.count > from) {
        struct portion *last = &batch->portions[batch->portion_count - 1];
        size_t count = size_min(last->count, batch->pub.count - from);
        size_t before = lane->pending_bytes;
        portion_back(lane, last, count);
        batch->bytes -= lane->pending_bytes - before;
        batch->pub.count -= count;
        if (last->count == 0) {
            block_drop(last->block);
            batch->portion_count--;
        }
    }
}

/* Without order a run is one event: portions first..first+count become a batch of their own, which stays open. */
struct route_batch_state *batch_split(struct route_batch_state *batch, size_t first, size_t count)
{
    struct lane *lane = batch->lane;
    struct route_batch_state *split = batch_new(lane->shard->route);
    batch_reset(split, lane);
    for (size_t i = 0; i < count; i++) {
        const struct portion *portion = &batch->portions[first + i];
        block_hold(portion->block);
        portion_add(split, *portion);
        size_t bytes = portion_bytes(shard_run(lane->shard, portion->number), portion->offset, portion->count);
        split->bytes += bytes;
        split->pub.count += portion->count;
    }
    split->pub.replay = batch->pub.replay;
    split->suspect = batch->suspect;
    batch_gather(split);
    list_append(&lane->batches, &split->node);
    lane->open++;
    lane->shard->open_batches++;
    return split;
}

/* The batch left its lane; its memory is used again from the next step on. */
void batch_retire(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    timer_set(route, &batch->timer, INT64_MAX);
    list_remove(&batch->node);
    list_append(&route->retired, &batch->node);
    batch->lane->open--;
    batch->lane->shard->open_batches--;
    if (!shard_ended(batch->lane->shard))
        lane_touch(batch->lane);
}

void route_recycle(struct route *route)
{
    while (!list_empty(&route->retired)) {
        struct route_batch_state *batch = LIST_FIRST(&route->retired, struct route_batch_state, node);
        list_remove(&batch->node);
        for (size_t i = 0; i < batch->portion_count; i++)
            block_drop(batch->portions[i].block);
        batch->portion_count = 0;
        list_prepend(&route->pool, &batch->node);
    }
    while (!list_empty(&route->gone))
        shard_discard(LIST_FIRST(&route->gone, struct route_shard, node));
}

static uint32_t batch_attempts(const struct route_batch_state *batch)
{
    const struct lane *lane = batch->lane;
    const struct run *run = shard_run(lane->shard, batch->portions[0].number);
    bool failed_before = lane->attempts && lane->attempts_at == batch->pub.events[0].position && !run->replay;
    return failed_before && lane->attempts > run->attempts ? lane->attempts : run->attempts;
}

static bool suspect_waits(const struct lane *lane)
{
    return shard_run(lane->shard, lane->head)->suspect && lane->shard->route->suspects_out > 0;
}

void batch_start(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    const struct run *run = shard_run(batch->lane->shard, batch->portions[0].number);
    uint32_t attempts = batch_attempts(batch), most = route->config.retry.attempts;
    if (run->sink >= 0) {
        batch_deliver(batch, 1u << run->sink);
        return;
    }
    if (!route->config.calls) {
        batch_deliver(batch, route->config.sink_count == 32 ? UINT32_MAX : (1u << route->config.sink_count) - 1);
        return;
    }
    if (batch->suspect && most && attempts >= most) {
        batch_dead(batch, 0, attempts);
        batch->suspect = false;
        batch_finish(batch);
        return;
    }
    batch->pub.attempt = attempts + 1;
    batch->stage = STAGE_CALLING;
    if (!batch->lane->shard->none)
        batch->lane->calling = true;
    route->suspects_out += batch->suspect;
    route->calls++;
    route_act(route, (struct route_action){.type = ROUTE_CALL, .batch = &batch->pub});
}

static bool lane_starts(const struct lane *lane)
{
    const struct route *route = lane->shard->route;
    if (!lane->head || shard_ended(lane->shard) || !lane_free(lane) || lane->retry_at > route->now ||
        suspect_waits(lane))
        return false;
    return lane_due(lane) <= route->now;
}

/* Starts what can be started. A lane that could not for want of a call's place stays ready. */
void lanes_start(struct route *route)
{
    while (!list_empty(&route->ready)) {
        struct lane *lane = LIST_FIRST(&route->ready, struct lane, ready);
        if (route->config.calls_max && route->config.calls && route->calls >= route->config.calls_max)
            return;
        list_remove(&lane->ready);
        while (lane_starts(lane)) {
            if (route->config.calls_max && route->config.calls && route->calls >= route->config.calls_max) {
                lane_touch(lane);
                return;
            }
            batch_start(batch_take(lane, lane_limit(lane)));
        }
        lane_arm(lane);
    }
}
