/* sim_promise_kit.c: what must hold, looked at with each action, after each crash, and at the end. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

enum { ITEM_BYTES_MAX = 4096 };

void sim_broken(struct sim_world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("\nseed %llu, step %zu, epoch %zu: BROKEN: ", (unsigned long long)world->seed, world->steps,
           world->epoch);
    vprintf(format, args);
    va_end(args);
    printf("\n  --seed %llu --trace shows how it came to this\n", (unsigned long long)world->seed);
    exit(1);
}

static unsigned long long where(const struct item *item)
{
    return (unsigned long long)item->position;
}

bool sim_covers(const struct checkpoint *checkpoint, const struct item *item)
{
    if (!checkpoint->lanes)
        return false;
    uint32_t lane = item->key_size ? lane_of_key(view_make(item->key, item->key_size), checkpoint->lanes)
                                   : (uint32_t)(item->position % checkpoint->lanes);
    if (item->position <= checkpoint->positions[lane])
        return true;
    for (size_t i = 0; i < checkpoint->range_count; i++) {
        if (item->position >= checkpoint->ranges[i][0] && item->position <= checkpoint->ranges[i][1])
            return true;
    }
    return false;
}

static void check_item(const struct sim_view *view, const struct item *item, const char *what)
{
    struct sim_world *world = view->shard->world;
    if (item->unwanted[view->route->index])
        sim_broken(world, "%s: event %llu is not wanted", what, where(item));
    if (sim_covers(&view->opened, item))
        sim_broken(world, "%s: event %llu was finished before the restart", what, where(item));
    if (view->done[item->index])
        sim_broken(world, "%s: event %llu is done", what, where(item));
}

static bool sinks_ordered(const struct route_config *config)
{
    bool all = true;
    for (uint32_t i = 0; i < config->sink_count; i++)
        all &= config->sinks[i].ordered;
    return all;
}

/* One key is never in two batches at once; where all sinks keep order, never in two calls. */
static void check_alone(struct sim_view *view, const struct work *work)
{
    const struct route_config *config = &view->route->config;
    LIST_EACH(other, &view->route->works, struct work, node)
    {
        if (other == work || other->view != view)
            continue;
        bool keys = other->batch->lane == work->batch->lane || (other->keys & work->keys);
        if (keys && (!sinks_ordered(config) || other->calling))
            sim_broken(view->shard->world, "route %zu: two batches of one key", view->route->index);
    }
}

static bool is_suspect(const struct sim_view *view, const struct route_batch *batch)
{
    for (size_t i = 0; i < batch->count && !batch->replay; i++) {
        if (view->open_attempts[sim_input(batch, i)->index])
            return true;
    }
    return false;
}

static void check_suspect(struct sim_view *view, const struct route_batch *batch)
{
    struct sim_world *world = view->shard->world;
    sim_reach(world, SIM_CALL_SUSPECT);
    if (batch->count != 1)
        sim_broken(world, "a suspect runs with %zu others", batch->count - 1);
    for (size_t i = 0; i < world->job_count; i++) {
        struct route_batch *other = world->jobs[i].batch;
        const struct sim_view *its = sim_work(other)->view;
        if (world->jobs[i].sink == SIM_SINKS && its->route == view->route && is_suspect(its, other))
            sim_broken(world, "two suspects run at once");
    }
}

static void check_size(struct sim_view *view, const struct route_batch *batch)
{
    const struct route_config *config = &view->route->config;
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++)
        bytes += batch->events[i].payload.size + batch->events[i].key.size;
    if (!batch->count || batch->count > config->batch_events || (batch->count > 1 && bytes > config->batch_bytes))
        sim_broken(view->shard->world, "a batch of %zu events, %zu bytes", batch->count, bytes);
}

static size_t calls_out(const struct sim_route *route)
{
    const struct sim_world *world = route->world;
    size_t count = 0;
    for (size_t i = 0; i < world->job_count; i++)
        count += world->jobs[i].sink == SIM_SINKS && sim_work(world->jobs[i].batch)->view->route == route;
    return count;
}

static void check_attempt(struct sim_view *view, const struct route_batch *batch)
{
    struct sim_world *world = view->shard->world;
    const struct item *item = sim_input(batch, 0);
    uint32_t expected = view->open_attempts[item->index] + view->fails[item->index] + 1u;
    bool once_more = view->open_attempts[item->index] && !view->alone[item->index] && !view->fails[item->index];
    if (batch->attempt > view->route->config.retry.attempts && !once_more)
        sim_broken(world, "event %llu: call %u of %u", where(item), batch->attempt,
                   view->route->config.retry.attempts);
    if (batch->replay)
        return;
    uint8_t again = view->again[item->index];
    if (again && (view->route->config.bisect ? batch->count > again : batch->count != again))
        sim_broken(world, "event %llu failed among others: its batch has %zu events now, not %u", where(item),
                   batch->count, again);
    if (batch->attempt != expected)
        sim_broken(world, "event %llu: call %u is said to be call %u", where(item), expected, batch->attempt);
    if (view->again_at[item->index] > world->now)
        sim_broken(world, "event %llu is called again before its delay", where(item));
}

void sim_check_call(struct sim_view *view, const struct route_batch *batch)
{
    const struct sim_route *route = view->route;
    struct sim_world *world = view->shard->world;
    if (!route->calls)
        sim_broken(world, "a call on a route without functions");
    if (route->config.calls_max && calls_out(route) >= route->config.calls_max)
        sim_broken(world, "more than %u calls at once", route->config.calls_max);
    check_size(view, batch);
    check_attempt(view, batch);
    for (size_t i = 0; i < batch->count && !batch->replay; i++) {
        check_item(view, sim_input(batch, i), "call");
        if (i && batch->events[i].position <= batch->events[i - 1].position)
            sim_broken(world, "event %llu comes behind a later one", where(sim_input(batch, i)));
    }
    if (!batch->unordered)
        check_alone(view, sim_work((struct route_batch *)(uintptr_t)batch));
    if (is_suspect(view, batch))
        check_suspect(view, batch);
}

static void check_lane_writes(struct sim_view *view, const struct route_batch *batch, uint32_t sink)
{
    struct sim_world *world = view->shard->world;
    for (size_t i = 0; i < world->job_count; i++) {
        struct job job = world->jobs[i];
        if (job.sink != sink || job.batch == batch || job.batch->lane != batch->lane ||
            sim_work(job.batch)->view != view)
            continue;
        sim_reach(world, SIM_WRITES_OF_ONE_LANE);
        if (!view->route->config.sinks[sink].ordered)
            sim_broken(world, "two writes of one lane to a sink that does not keep order");
    }
}

static bool write_out(const struct sim_world *world, const struct route_batch *batch, uint32_t sink)
{
    for (size_t i = 0; i < world->job_count; i++) {
        if (world->jobs[i].batch == batch && world->jobs[i].sink == sink)
            return true;
    }
    return false;
}

/* What lies before it in its lane is confirmed there, dead, or out as well. */
static void check_lane_order(struct sim_view *view, const struct work *work, uint32_t sink)
{
    LIST_EACH(other, &view->route->works, struct work, node)
    {
        if (other == work)
            return;
        if (other->view != view || other->batch->lane != work->batch->lane ||
            write_out(view->shard->world, other->batch, sink))
            continue;
        for (size_t i = 0; i < other->batch->count; i++) {
            if (other->outputs[i] & ~other->finished[i] & 1u << sink)
                sim_broken(view->shard->world, "event %llu is written before %llu of its lane, which waits",
                           where(sim_input(work->batch, 0)), where(sim_input(other->batch, i)));
        }
    }
}

void sim_check_write(struct sim_view *view, const struct route_batch *batch, uint32_t sink)
{
    struct sim_world *world = view->shard->world;
    const struct work *work = batch->shell;
    bool to_sink = batch->replay && sim_replayed(batch) > SIM_FUNCTION, open = false;
    if (work->called && !work->ok)
        sim_broken(world, "outputs of a failed call are written");
    if (view->route->calls && !work->called && !to_sink)
        sim_broken(world, "a write before the call");
    for (size_t i = 0; i < batch->count; i++) {
        open |= work->outputs[i] & ~work->finished[i] & 1u << sink;
        if (!batch->replay && (!work->failed[i] || work->dead[i]))
            check_item(view, sim_input(batch, i), "write");
    }
    if (!open)
        sim_broken(world, "a write of nothing");
    if (!batch->unordered) {
        check_lane_writes(view, batch, sink);
        check_lane_order(view, work, sink);
    }
    if (!view->route->calls && !batch->unordered)
        check_alone(view, work);
}

void sim_check_dead(struct sim_view *view, const struct route_batch *batch, const struct route_action *action)
{
    const struct sim_route *route = view->route;
    struct sim_world *world = view->shard->world;
    const struct work *work = batch->shell;
    if (action->sink != SIZE_MAX) {
        uint32_t most = route->config.sinks[action->sink].retry.attempts, tries = work->tries[action->sink];
        if (action->result == WEIR_RETRY && (!most || tries != most || action->attempts != most))
            sim_broken(world, "dead after %u failed writes, %u are said, %u allowed", tries, action->attempts,
                       most);
        return;
    }
    const struct item *item = sim_input(batch, action->index);
    if (route->config.on_failure == FAILURE_STOP)
        sim_broken(world, "event %llu is dead on a route that is to stop", where(item));
    if (action->attempts < route->config.retry.attempts)
        sim_broken(world, "event %llu is dead after %u of %u calls", where(item), action->attempts,
                   route->config.retry.attempts);
    uint32_t calls = view->open_attempts[item->index] + view->fails[item->index];
    if (calls && !view->fails[item->index] && !view->alone[item->index] && !batch->replay)
        sim_broken(world, "event %llu is dead, and may be innocent", where(item));
    if (!batch->replay && (work->failed[action->index] || action->index == 0) && action->attempts != calls)
        sim_broken(world, "event %llu is dead after %u calls, it is said after %u", where(item), calls,
                   action->attempts);
}

static size_t items_after(const struct sim_shard *shard, uint64_t position)
{
    size_t low = 0, high = shard->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (shard->items[middle].position <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A checkpoint says exactly what is finished: no more, or events would be lost; no less, or the state that goes
 * with it would be applied twice. */
void sim_check_commit(struct sim_view *view, const struct checkpoint *checkpoint, uint64_t low)
{
    struct sim_shard *shard = view->shard;
    bool dead = view->tickets > 0;
    for (size_t i = 0; i < view->effects.count; i++)
        dead |= view->effects.items[i].type == EFFECT_DEAD;
    if (!view->durable && !dead)
        sim_broken(shard->world, "a commit of a shard that has no need of it");
    for (uint32_t i = 0; i < checkpoint->lanes; i++) {
        if (checkpoint->positions[i] < low)
            sim_broken(shard->world, "a lane is at %llu, below %llu", (unsigned long long)checkpoint->positions[i],
                       (unsigned long long)low);
    }
    for (size_t i = items_after(shard, view->settled); i < shard->count; i++) {
        const struct item *item = &shard->items[i];
        if (item->unwanted[view->route->index])
            continue;
        bool finished = view->done[i] || sim_covers(&view->opened, item);
        if (sim_covers(checkpoint, item) == finished)
            continue;
        sim_broken(shard->world, "route %zu, shard %zu: the checkpoint %s event %llu, which is %s",
                   view->route->index, shard->index, finished ? "leaves out" : "covers", where(item),
                   finished ? "finished" : "open");
    }
}

void sim_check_settle(struct sim_view *view, uint64_t low)
{
    struct sim_shard *shard = view->shard;
    if (low <= view->settled)
        sim_broken(shard->world, "settled to %llu after %llu", (unsigned long long)low,
                   (unsigned long long)view->settled);
    for (size_t i = items_after(shard, view->settled); i < shard->count && shard->items[i].position <= low; i++) {
        const struct item *item = &shard->items[i];
        if (item->unwanted[view->route->index])
            continue;
        if (!view->done[i] && !sim_covers(&view->opened, item))
            sim_broken(shard->world, "settled to %llu, but event %llu is open", (unsigned long long)low,
                       where(item));
        if (view->durable && !sim_covers(&view->disk, item))
            sim_broken(shard->world, "settled to %llu, but event %llu is not durably finished",
                       (unsigned long long)low, where(item));
        if (view->dead_asked[i] & ~view->dead[i])
            sim_broken(shard->world, "settled to %llu, but the dead letter of %llu is not durable",
                       (unsigned long long)low, where(item));
    }
    view->settled = low;
}

void sim_check_trim(struct sim_shard *shard, uint64_t to)
{
    for (size_t i = items_after(shard, shard->trimmed); i < shard->count && shard->items[i].position <= to; i++) {
        const struct item *item = &shard->items[i];
        for (size_t j = 0; j < SIM_ROUTES; j++) {
            if (!item->unwanted[j] && !sim_covers(&shard->views[j].disk, item))
                sim_broken(shard->world, "event %llu is trimmed from the journal, route %zu has not finished it",
                           where(item), j);
        }
    }
}

/* A lost shard has nothing more to say; a route that has failed, or is past its deadline, starts nothing more. */
void sim_check_action(struct sim_route *route, const struct route_action *action)
{
    const struct route_batch *batch = action->batch;
    const struct route_shard *handle = action->shard ? action->shard : batch ? batch->shard : NULL;
    const struct sim_view *view = handle ? route_shard_user(handle) : NULL;
    bool ends = action->type == ROUTE_DROPPED || action->type == ROUTE_RELEASED;
    if (view && view->lost && !ends)
        sim_broken(route->world, "%s in a shard that is lost", route_action_name(action->type));
    if ((route->failed || route->world->late) && (action->type == ROUTE_CALL || action->type == ROUTE_WRITE))
        sim_broken(route->world, "a %s is started in a route that has %s", route_action_name(action->type),
                   route->failed ? "failed" : "passed its deadline");
}

/* Of what was not durably completed at the end of a life, at most a window had been taken up. */
void sim_check_again(struct sim_world *world)
{
    for (size_t j = 0; j < SIM_ROUTES; j++) {
        size_t count = 0;
        for (size_t i = 0; i < world->shard_count; i++) {
            const struct sim_view *view = &world->shards[i].views[j];
            for (size_t k = 0; k < view->shard->count && view->handle && view->durable; k++)
                count += view->arrived[k] && !sim_covers(&view->disk, &view->shard->items[k]);
        }
        if (count > world->routes[j].config.window_events)
            sim_broken(world, "%zu events will be delivered again, the window is %zu", count,
                       world->routes[j].config.window_events);
    }
}

/* A ticket stands for events of the window, but for one that only moves the position. */
static void check_memory(struct sim_route *route)
{
    struct sim_world *world = route->world;
    size_t works = 0, tickets = 0, blocks = 0;
    LIST_EACH(work, &route->works, struct work, node)
    {
        works++;
    }
    for (size_t i = 0; i < world->shard_count; i++)
        tickets += world->shards[i].views[route->index].tickets;
    for (size_t i = 0; i < SIM_ROUTES; i++)
        blocks += world->routes[i].config.window_events;
    if (works > route->config.window_events || tickets > route->config.window_events + world->shard_count ||
        world->blocks > 2 * blocks + 1)
        sim_broken(world, "%zu batches, %zu tickets, %zu blocks are open", works, tickets, world->blocks);
}

void sim_check_bounds(struct sim_route *route)
{
    struct route_status status;
    route_status(route->route, &status);
    check_memory(route);
    if (!status.open_events && (status.open_bytes || status.calls || status.writes || status.waiting))
        sim_broken(route->world, "nothing is open, but %zu bytes, %zu calls, %zu writes, %zu that wait",
                   status.open_bytes, status.calls, status.writes, status.waiting);
    if (status.open_events > route->config.window_events ||
        status.open_bytes > route->config.window_bytes + ITEM_BYTES_MAX)
        sim_broken(route->world, "%zu events, %zu bytes are open", status.open_events, status.open_bytes);
    if (status.open_events == route->config.window_events)
        sim_reach(route->world, SIM_WINDOW_FULL);
}

/* What was a dead letter for a while left the order. */
void sim_check_delivery(struct sim_view *view, const struct item *item, uint32_t sink, bool replay)
{
    struct sim_world *world = view->shard->world;
    uint32_t bit = 1u << sink;
    if (!(item->sinks[view->route->index] & bit) || item->unwanted[view->route->index])
        sim_broken(world, "event %llu is delivered to a sink it is not for", where(item));
    if (replay)
        return;
    check_item(view, item, "delivery");
    bool ordered = item->key_size && !view->route->ever_unordered && !view->ever_dead[item->index];
    if ((view->delivered[item->index] & bit) || !ordered)
        return;
    uint64_t *newest = &view->newest[sink][item->key_number];
    if (item->position <= *newest)
        sim_broken(world, "route %zu, shard %zu, sink %u: event %llu comes behind %llu, which has the same key",
                   view->route->index, view->shard->index, sink, where(item), (unsigned long long)*newest);
    *newest = item->position;
}

static void check_state(struct sim_view *view)
{
    struct value expected[SIM_KEYS] = {{0}};
    for (size_t i = 0; i < view->shard->count; i++) {
        const struct item *item = &view->shard->items[i];
        if (!item->key_size || item->unwanted[view->route->index] || (view->dead[i] & SIM_FUNCTION))
            continue;
        expected[item->key_number].count++;
        expected[item->key_number].sum += item->position * UINT64_C(0x9E3779B97F4A7C15);
    }
    for (size_t i = 0; i < SIM_KEYS; i++) {
        if (view->state[i].count != expected[i].count || view->state[i].sum != expected[i].sum)
            sim_broken(view->shard->world, "route %zu, shard %zu: the state of key %zu has %llu events of %llu",
                       view->route->index, view->shard->index, i, (unsigned long long)view->state[i].count,
                       (unsigned long long)expected[i].count);
    }
}

static void check_completed(struct sim_view *view)
{
    for (size_t i = 0; i < view->shard->count; i++) {
        const struct item *item = &view->shard->items[i];
        uint32_t wanted = item->sinks[view->route->index], dead = view->dead[i];
        if (item->unwanted[view->route->index] || (dead & SIM_FUNCTION))
            continue;
        if (wanted & ~view->delivered[i] & ~(dead >> 1))
            sim_broken(view->shard->world, "event %llu of shard %zu is LOST on route %zu: wanted by %x, has %x",
                       where(item), view->shard->index, view->route->index, wanted, view->delivered[i]);
    }
}

void sim_check_end(struct sim_world *world)
{
    for (size_t i = 0; i < world->shard_count; i++) {
        for (size_t j = 0; j < SIM_ROUTES; j++) {
            check_completed(&world->shards[i].views[j]);
            if (world->routes[j].stateful)
                check_state(&world->shards[i].views[j]);
        }
    }
}
