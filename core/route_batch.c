/* route_batch.c: what goes into a batch, and what becomes of it at its end.
 *
 * Batches and their arrays come from a pool, so nothing is allocated in steady state. What ended in one step is
 * recycled at the next, when the shell has carried out its actions. */
#include <stdlib.h>

#include "route_private.h"

enum { PORTIONS_MIN = 16 };

struct run *batch_run(const struct route_batch_state *batch, size_t portion)
{
    return tracker_run(&batch->lane->shard->tracker, batch->portions[portion].number);
}

static struct route_batch_state *batch_make(const struct route *route)
{
    size_t sinks = route->config.sink_count;
    struct route_batch_state *batch = calloc(1, sizeof *batch + sinks * sizeof batch->sinks[0]);
    CHECK(batch != NULL); /* as many as were ever open: bounded by lanes and window */
    list_init(&batch->node);
    list_init(&batch->caller);
    list_init(&batch->blocked.node);
    timer_init(&batch->timer, TIMER_BATCH);
    return batch;
}

static struct route_batch_state *batch_new(struct lane *lane)
{
    struct route *route = lane->shard->route;
    struct route_batch_state *batch =
        list_empty(&route->pool) ? batch_make(route) : LIST_FIRST(&route->pool, struct route_batch_state, node);
    list_remove(&batch->node);
    batch->pub = (struct route_batch){
        .lane = lane->index, .shard = lane->shard, .unordered = lane->shard->unordered, .state = batch};
    batch->lane = lane;
    batch->stage = STAGE_WAITING;
    batch->bytes = 0;
    batch->sinks_open = batch->sinks_out = batch->sinks_waiting = batch->sinks_follow = 0;
    batch->suspect = false;
    batch->dead = 0;
    for (uint32_t i = 0; i < route->config.sink_count; i++) {
        writer_init(&batch->sinks[i].writer);
        batch->sinks[i].attempts = 0;
    }
    list_append(&lane->batches, &batch->node);
    lane->open++;
    lane->shard->open_batches++;
    route->open_batches++;
    return batch;
}

static void portion_blind(struct portion *portion)
{
    portion->block->views -= portion->views;
    portion->views = false;
}

static void portion_drop(struct portion *portion)
{
    portion_blind(portion);
    block_drop(portion->block);
}

static void portions_drop(struct route_batch_state *batch)
{
    for (size_t i = 0; i < batch->portion_count; i++)
        portion_drop(&batch->portions[i]);
    batch->portion_count = 0;
}

void batch_blind(struct route_batch_state *batch)
{
    for (size_t i = 0; i < batch->portion_count; i++)
        portion_blind(&batch->portions[i]);
}

void batch_discard(struct route_batch_state *batch)
{
    list_remove(&batch->node);
    list_remove(&batch->caller);
    list_remove(&batch->blocked.node);
    if (batch->lane)
        timers_set(&batch->lane->shard->route->timers, &batch->timer, INT64_MAX);
    portions_drop(batch);
    free(batch->portions);
    free(batch->own);
    free(batch);
}

static void portion_add(struct route_batch_state *batch, const struct portion *portion)
{
    if (batch->portion_count == batch->portion_room) {
        size_t room = batch->portion_room ? batch->portion_room * 2 : PORTIONS_MIN;
        struct portion *portions = realloc(batch->portions, room * sizeof *portions);
        CHECK(portions != NULL); /* bounded by the size of a batch */
        batch->portions = portions;
        batch->portion_room = room;
    }
    block_hold(portion->block);
    portion->block->views += portion->views;
    batch->portions[batch->portion_count++] = *portion;
    batch->bytes += portion->bytes;
    batch->pub.count += portion->count;
}

static bool portions_adjoin(const struct route_batch_state *batch)
{
    for (size_t i = 1; i < batch->portion_count; i++) {
        const struct portion *before = &batch->portions[i - 1], *portion = &batch->portions[i];
        if (portion->block != before->block || portion->events != before->events + before->count)
            return false;
    }
    return true;
}

/* Points at the events where they lie, or copies the structs when they come from several places. */
static void batch_gather(struct route_batch_state *batch)
{
    if (portions_adjoin(batch)) {
        batch->pub.events = batch->portions[0].events;
        return;
    }
    if (batch->own_room < batch->pub.count) {
        free(batch->own);
        batch->own_room = size_max(batch->pub.count, batch->own_room * 2);
        batch->own = malloc(batch->own_room * sizeof *batch->own);
        CHECK(batch->own != NULL); /* bounded by the size of a batch */
    }
    size_t at = 0;
    for (size_t i = 0; i < batch->portion_count; i++) {
        const struct portion *portion = &batch->portions[i];
        memcpy(&batch->own[at], portion->events, portion->count * sizeof *portion->events);
        at += portion->count;
    }
    batch->pub.events = batch->own;
}

/* How many of the run's next events go into the batch; at least one into an empty one. */
static uint32_t run_fits(const struct run *run, const struct route_batch_state *batch, size_t *bytes)
{
    const struct batcher *batcher = &batch->lane->batcher;
    size_t left = run->count - run->taken, count = size_min(left, batcher->limit - batch->pub.count);
    *bytes = count == left ? run->bytes : run_bytes(run, run->taken, count);
    if (batcher_fits(batcher, batch->bytes, *bytes, false))
        return (uint32_t)count;
    size_t most = count;
    *bytes = 0;
    for (count = 0; count < most; count++) {
        size_t size = run_bytes(run, run->taken + (uint32_t)count, 1);
        if (!batcher_fits(batcher, batch->bytes + *bytes, size, batch->pub.count + count == 0))
            break;
        *bytes += size;
    }
    return (uint32_t)count;
}

static void run_take(struct route_batch_state *batch, uint32_t count, size_t bytes)
{
    struct lane *lane = batch->lane;
    struct run *run = tracker_run(&lane->shard->tracker, lane->head);
    portion_add(batch, &(struct portion){lane->head, run_event(run, run->taken), run->block, bytes, count, true});
    run->taken += count;
    run->bytes -= bytes;
    batcher_take(&lane->batcher, count, bytes);
    if (run->taken < run->count)
        return;
    lane->head = run->next;
    if (!lane->head)
        lane->tail = 0;
}

static bool run_alone(const struct run *run)
{
    return run->replay || run->suspect;
}

struct route_batch_state *batch_take(struct lane *lane)
{
    struct route_batch_state *batch = batch_new(lane);
    bool alone = false;
    while (lane->head && batch->pub.count < lane->batcher.limit && !alone) {
        const struct run *run = tracker_run(&lane->shard->tracker, lane->head);
        alone = run_alone(run);
        if (alone && batch->pub.count)
            break;
        size_t bytes;
        uint32_t count = run_fits(run, batch, &bytes);
        if (!count)
            break;
        batch->suspect = batch->pub.suspect = run->suspect;
        batch->pub.replay = run->replay;
        run_take(batch, count, bytes);
    }
    batch_gather(batch);
    return batch;
}

static void portion_back(struct route_batch_state *batch, uint32_t count)
{
    struct lane *lane = batch->lane;
    struct portion *portion = &batch->portions[batch->portion_count - 1];
    struct run *run = tracker_run(&lane->shard->tracker, portion->number);
    run->taken -= count;
    size_t bytes = count == portion->count ? portion->bytes : run_bytes(run, run->taken, count);
    run->bytes += bytes;
    batcher_add(&lane->batcher, count, bytes);
    if (lane->head != portion->number) {
        run->next = lane->head; /* what came since the run was taken is behind it */
        lane->head = portion->number;
    }
    if (!lane->tail)
        lane->tail = portion->number;
    portion->count -= count;
    portion->bytes -= bytes;
    batch->bytes -= bytes;
    batch->pub.count -= count;
}

void batch_put_back(struct route_batch_state *batch, size_t from)
{
    CHECK(batch->node.next == &batch->lane->batches && !batch->pub.unordered);
    while (batch->pub.count > from) {
        struct portion *last = &batch->portions[batch->portion_count - 1];
        portion_back(batch, (uint32_t)size_min(last->count, batch->pub.count - from));
        if (last->count)
            break;
        portion_drop(last);
        batch->portion_count--;
    }
}

struct route_batch_state *batch_split(struct route_batch_state *batch, size_t first, size_t count)
{
    struct route_batch_state *split = batch_new(batch->lane);
    CHECK(batch->pub.unordered);
    for (size_t i = 0; i < count; i++) {
        struct portion *portion = &batch->portions[first + i], again = *portion;
        const struct run *run = batch_run(batch, first + i);
        again.events = run_event(run, run->taken - portion->count); /* not the old one's copy: that goes with it */
        again.views = true;
        portion_add(split, &again);
        batch->bytes -= portion->bytes;
        portion->count = 0; /* the inputs stay where the shell sees them, but they are not its to complete */
        portion->bytes = 0;
    }
    split->pub.replay = batch->pub.replay;
    split->suspect = split->pub.suspect = batch->suspect;
    batch_gather(split);
    return split;
}

/* The batch left its lane; its memory is used again from the next step on. */
static void batch_retire(struct route_batch_state *batch)
{
    struct lane *lane = batch->lane;
    struct route *route = lane->shard->route;
    timers_set(&route->timers, &batch->timer, INT64_MAX);
    route_unblocked(route, &batch->blocked);
    list_remove(&batch->caller);
    list_remove(&batch->node);
    list_append(&route->retired, &batch->node);
    lane->open--;
    lane->shard->open_batches--;
    route->open_batches--;
    lane_touch(lane);
}

void batch_complete(struct route_batch_state *batch)
{
    struct route_shard *shard = batch->lane->shard;
    size_t events = 0;
    for (size_t i = 0; i < batch->portion_count; i++) {
        const struct portion *portion = &batch->portions[i];
        if (portion->count)
            tracker_done(&shard->tracker, portion->number, portion->count);
        events += portion->count;
    }
    route_act(shard->route,
              (struct route_action){.type = ROUTE_DONE, .batch = &batch->pub, .shard = shard, .events = events});
    shard->dead += batch->dead;
    shard_completed(shard, events, batch->bytes);
    batch_retire(batch);
}

/* Nothing of it counts. What was not put back comes again after a restart. */
void batch_drop(struct route_batch_state *batch)
{
    struct route_shard *shard = batch->lane->shard;
    route_act(shard->route, (struct route_action){.type = ROUTE_DROPPED, .batch = &batch->pub, .shard = shard});
    batch_retire(batch);
}

void route_recycle(struct route *route)
{
    while (!list_empty(&route->retired)) {
        struct route_batch_state *batch = LIST_FIRST(&route->retired, struct route_batch_state, node);
        list_remove(&batch->node);
        portions_drop(batch);
        batch->lane = NULL; /* its shard may go before it does */
        list_prepend(&route->pool, &batch->node);
    }
    while (!list_empty(&route->gone))
        shard_discard(LIST_FIRST(&route->gone, struct route_shard, node));
}
