/* sim_shell_kit.c: carries out what the routes ask for, as the engine does, and tells the promise of it. */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

enum { ROOM_MIN = 8, ROOM_MAX = 40 };

const struct item *sim_input(const struct route_batch *batch, size_t i)
{
    return (const struct item *)(const void *)batch->events[i].payload.data;
}

uint32_t sim_replayed(const struct route_batch *batch)
{
    return (uint32_t)batch->events[0].subject.size;
}

static uint32_t outputs_of(const struct sim_view *view, const struct route_batch *batch, size_t i)
{
    uint32_t mark = batch->replay ? sim_replayed(batch) : 0;
    return mark > SIM_FUNCTION ? mark >> 1 : sim_input(batch, i)->sinks[view->route->index];
}

struct work *sim_work(struct route_batch *batch)
{
    if (batch->shell)
        return batch->shell;
    struct work *work = calloc(1, sizeof *work);
    CHECK(work != NULL);
    work->view = route_shard_user(batch->shard);
    work->count = batch->count;
    work->failed = calloc(batch->count, sizeof *work->failed);
    work->dead = calloc(batch->count, sizeof *work->dead);
    work->outputs = calloc(batch->count, sizeof *work->outputs);
    work->finished = calloc(batch->count, sizeof *work->finished);
    work->died = calloc(batch->count, sizeof *work->died);
    CHECK(work->failed && work->dead && work->died && work->outputs && work->finished);
    work->batch = batch;
    for (size_t i = 0; i < batch->count; i++) {
        work->outputs[i] = outputs_of(work->view, batch, i);
        work->keys |= sim_input(batch, i)->key_size ? 1u << sim_input(batch, i)->key_number : 0;
    }
    list_init(&work->node);
    list_append(&work->view->route->works, &work->node);
    batch->shell = work;
    return work;
}

static void work_free(struct work *work)
{
    list_remove(&work->node);
    free(work->failed);
    free(work->dead);
    free(work->died);
    free(work->outputs);
    free(work->finished);
    free(work->kept);
    free(work);
}

void sim_work_free(struct route_batch *batch)
{
    if (batch->shell)
        work_free(batch->shell);
    batch->shell = NULL;
}

void sim_jobs_forget(struct sim_world *world)
{
    world->job_count = 0;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        struct list *works = &world->routes[i].works;
        while (!list_empty(works))
            work_free(LIST_FIRST(works, struct work, node));
    }
}

void sim_effect(struct sim_view *view, struct effect effect)
{
    struct effects *effects = &view->effects;
    if (effect.type == EFFECT_DEAD && !effect.replay) /* a replay's old letter stays until the new one is durable */
        view->dead_asked[effect.item->index] |= effect.marks;
    if (effects->count == effects->room) {
        effects->room = effects->room ? effects->room * 2 : 64;
        effects->items = realloc(effects->items, effects->room * sizeof *effects->items);
        CHECK(effects->items != NULL);
    }
    effects->items[effects->count++] = effect;
}

static void job_add(struct sim_world *world, struct route_batch *batch, uint32_t sink)
{
    if (world->job_count == world->job_room) {
        world->job_room = world->job_room ? world->job_room * 2 : 64;
        world->jobs = realloc(world->jobs, world->job_room * sizeof *world->jobs);
        CHECK(world->jobs != NULL);
    }
    world->jobs[world->job_count++] = (struct job){batch, sink};
}

static void do_call(struct sim_route *route, struct route_batch *batch)
{
    struct sim_view *view = route_shard_user(batch->shard);
    sim_check_call(view, batch);
    struct work *work = sim_work(batch);
    if (work->called)
        sim_broken(route->world, "a batch is called twice");
    work->called = work->calling = true;
    job_add(route->world, batch, SIM_SINKS);
}

static void do_write(struct sim_route *route, struct route_batch *batch, uint32_t sink)
{
    struct sim_view *view = route_shard_user(batch->shard);
    struct work *work = sim_work(batch);
    sim_check_write(view, batch, sink);
    work->wrote = true;
    job_add(route->world, batch, sink);
}

static void do_cut(struct sim_route *route, struct route_batch *batch, size_t index)
{
    struct work *work = sim_work(batch);
    if (work->wrote || index != batch->count)
        sim_broken(route->world, "a batch of %zu is cut at %zu", batch->count, index);
    work->count = index;
}

static void do_dead(struct sim_route *route, const struct route_action *action)
{
    struct route_batch *batch = action->batch;
    struct work *work = sim_work(batch);
    sim_check_dead(work->view, batch, action);
    if (action->sink != SIZE_MAX) {
        sim_reach(route->world, SIM_DEAD_SINK);
        sim_writes_dead(batch, action);
        return;
    }
    sim_reach(route->world, batch->replay ? SIM_DEAD_AGAIN : SIM_DEAD_FUNCTION);
    work->dead[action->index] = 1;
    work->failed[action->index] = 1;
    work->outputs[action->index] = 0;
    work->died[action->index] |= SIM_FUNCTION;
    work->view->ever_dead[sim_input(batch, action->index)->index] |= SIM_FUNCTION;
}

static void input_done(struct sim_view *view, const struct route_batch *batch, const struct work *work, size_t i)
{
    const struct item *item = sim_input(batch, i);
    if (work->failed[i] && !work->dead[i])
        return; /* it is in another batch by now */
    if (work->outputs[i] & ~work->finished[i])
        sim_broken(view->shard->world, "event %llu is done, but not all of its outputs are confirmed",
                   (unsigned long long)item->position);
    if (view->route->calls && !work->called && !work->dead[i] && sim_replayed(batch) <= SIM_FUNCTION)
        sim_broken(view->shard->world, "event %llu is done without a call", (unsigned long long)item->position);
    if (work->called && !work->dead[i] && view->route->stateful && item->key_size)
        sim_effect(view, (struct effect){EFFECT_STATE, item, 0, batch->replay});
    if (work->died[i])
        sim_effect(view, (struct effect){EFFECT_DEAD, item, work->died[i], batch->replay});
    if (!batch->replay)
        view->done[item->index] = 1;
}

static void do_done(struct sim_route *route, struct route_batch *batch)
{
    struct work *work = sim_work(batch);
    struct sim_view *view = work->view;
    uint32_t mark = sim_replayed(batch);
    if (work->count != batch->count)
        sim_broken(route->world, "a batch of %zu is done as one of %zu", work->count, batch->count);
    for (size_t i = 0; i < batch->count; i++)
        input_done(view, batch, work, i);
    if (mark && !(work->died[0] & mark))
        sim_effect(view, (struct effect){EFFECT_UNDEAD, sim_input(batch, 0), mark, true});
    else if (mark)
        view->replaying[sim_input(batch, 0)->index] &= ~mark;
    sim_work_free(batch);
}

static void do_settle(struct sim_view *view, uint64_t low)
{
    struct sim_shard *shard = view->shard;
    sim_check_settle(view, low);
    if (shard->journaled) {
        feed_settled(&shard->feed, view->route->index, low);
        shard->trim_to = feed_floor(&shard->feed);
    } else if (!view->durable && sim_chance(shard->world, 600)) {
        view->offset = low; /* the others do not reach the log before it ends */
    }
}

static void do_released(struct sim_route *route, struct sim_view *view)
{
    struct sim_shard *shard = view->shard;
    if (!view->lost && !route->failed && !shard->revoking)
        sim_broken(route->world, "a shard was released that nobody revoked");
    if (!view->lost && !route->failed && !route->world->late && view->settled < view->emitted)
        sim_broken(route->world, "released at %llu, but %llu was emitted", (unsigned long long)view->settled,
                   (unsigned long long)view->emitted);
    view->handle = NULL;
    sim_effects_free(&view->effects); /* lost with the shard */
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        if (shard->views[i].handle)
            return;
    }
    shard->revoking = false;
}

static void act_print(const struct sim_route *route, const struct route_action *action)
{
    const struct route_batch *batch = action->batch;
    const struct route_shard *handle = action->shard ? action->shard : batch ? batch->shard : NULL;
    const struct sim_view *view = handle ? route_shard_user(handle) : NULL;
    printf("%lld route %zu", (long long)route->world->now, route->index);
    if (view)
        printf(" shard %zu", view->shard->index);
    printf(": %s", route_action_name(action->type));
    if (batch)
        printf(" lane %u%s of %zu:", batch->lane, batch->replay ? " replay" : "", batch->count);
    for (size_t i = 0; batch && i < batch->count; i++)
        printf(" %llu", (unsigned long long)batch->events[i].position);
    printf(", sink %zd index %zd low %llu ticket %llu\n", (ssize_t)action->sink, (ssize_t)action->index,
           (unsigned long long)action->low, (unsigned long long)action->ticket);
}

static void act(struct sim_route *route, const struct route_action *action)
{
    struct sim_world *world = route->world;
    world->actions[action->type]++;
    if (world->trace)
        act_print(route, action);
    sim_check_action(route, action);
    switch (action->type) {
    case ROUTE_CALL:
        do_call(route, action->batch);
        break;
    case ROUTE_WRITE:
        do_write(route, action->batch, (uint32_t)action->sink);
        break;
    case ROUTE_CUT:
        do_cut(route, action->batch, action->index);
        break;
    case ROUTE_DEAD:
        do_dead(route, action);
        break;
    case ROUTE_DONE:
        do_done(route, action->batch);
        break;
    case ROUTE_DROPPED:
        sim_work_free(action->batch);
        break;
    case ROUTE_COMMIT:
        sim_commit_ask(route_shard_user(action->shard), action);
        break;
    case ROUTE_SETTLE:
        do_settle(route_shard_user(action->shard), action->low);
        break;
    case ROUTE_WANT:
        route->want_events = action->events;
        route->want_bytes = action->bytes;
        break;
    case ROUTE_ARM:
        route->armed = action->at;
        break;
    case ROUTE_RELEASED:
        do_released(route, route_shard_user(action->shard));
        break;
    case ROUTE_FAILED:
        route->failed = true;
        break;
    case ROUTE_FINISHED:
        route->finished = true;
        break;
    }
}

void sim_step(struct sim_route *route, const struct route_input *input)
{
    struct sim_world *world = route->world;
    struct route_action actions[ROOM_MAX];
    struct route_input next = *input;
    bool more = true;
    while (more) {
        size_t room = ROOM_MIN + sim_below(world, ROOM_MAX - ROOM_MIN + 1);
        size_t count = route_step(route->route, &next, world->now, actions, room, &more);
        for (size_t i = 0; i < count; i++)
            act(route, &actions[i]);
        next = (struct route_input){.type = ROUTE_MORE};
    }
    sim_check_bounds(route);
}
