/* sim_disk_kit.c: what is durable, and when: tickets gather while a transaction is under way, as in the engine. A
 * crash keeps the disk; the transaction under way is on it or not. */
#include <stdlib.h>

#include "sim.h"

void sim_effects_free(struct effects *effects)
{
    free(effects->items);
    *effects = (struct effects){0};
}

static void ticket_free(struct sim_ticket *ticket)
{
    list_remove(&ticket->node);
    sim_effects_free(&ticket->effects);
    free(ticket);
}

static void tickets_free(struct list *tickets)
{
    while (!list_empty(tickets))
        ticket_free(LIST_FIRST(tickets, struct sim_ticket, node));
}

static void checkpoint_copy(struct sim_world *world, struct checkpoint *to, const struct route_vector *vector)
{
    if (vector->lanes > SIM_LANES_MAX || vector->range_count > SIM_RANGES_MAX)
        sim_broken(world, "a vector of %u lanes and %zu ranges", vector->lanes, vector->range_count);
    to->lanes = vector->lanes;
    memcpy(to->positions, vector->positions, vector->lanes * sizeof *to->positions);
    to->range_count = vector->range_count;
    if (vector->range_count)
        memcpy(to->ranges, vector->ranges, vector->range_count * sizeof *to->ranges);
}

void sim_commit_ask(struct sim_view *view, const struct route_action *action)
{
    struct sim_world *world = view->shard->world;
    struct sim_ticket *ticket = calloc(1, sizeof *ticket);
    CHECK(ticket != NULL);
    list_init(&ticket->node);
    ticket->view = view;
    ticket->number = action->ticket;
    ticket->low = action->low;
    checkpoint_copy(world, &ticket->checkpoint, &action->vector);
    if (action->vector.range_count)
        sim_reach(world, SIM_RANGES_STORED);
    sim_check_commit(view, &ticket->checkpoint, action->low);
    view->tickets++;
    ticket->effects = view->effects;
    view->effects = (struct effects){0};
    list_append(&world->gathering, &ticket->node);
}

void sim_commit_begin(struct sim_world *world)
{
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        sim_reach(world, SIM_FLUSH);
        sim_step(&world->routes[i], &(struct route_input){.type = ROUTE_FLUSH});
    }
    list_move(&world->committing, &world->gathering);
    world->commit_pending = world->shards[0].pending;
    world->commit_trim = world->shards[0].trim_to;
    world->in_commit = true;
}

static void effect_apply(struct sim_view *view, const struct effect *effect)
{
    uint32_t index = effect->item->index;
    switch (effect->type) {
    case EFFECT_STATE:
        sim_keep_state(view, effect->item, effect->replay);
        break;
    case EFFECT_DEAD:
        view->dead[index] |= effect->marks;
        break;
    case EFFECT_UNDEAD:
        view->dead[index] &= ~effect->marks;
        view->dead_asked[index] &= ~effect->marks;
        view->replaying[index] &= ~effect->marks;
        break;
    }
}

static void ticket_apply(struct sim_ticket *ticket)
{
    ticket->view->disk = ticket->checkpoint;
    for (size_t i = 0; i < ticket->effects.count; i++)
        effect_apply(ticket->view, &ticket->effects.items[i]);
}

static void commit_apply(struct sim_world *world)
{
    struct sim_shard *journal = &world->shards[0];
    LIST_EACH(ticket, &world->committing, struct sim_ticket, node)
    {
        ticket_apply(ticket);
    }
    journal->count += world->commit_pending;
    journal->pending -= world->commit_pending;
    if (world->commit_trim > journal->trimmed) {
        sim_reach(world, SIM_TRIM);
        sim_check_trim(journal, world->commit_trim);
        journal->trimmed = world->commit_trim;
    }
    world->in_commit = false;
}

static bool ticket_last(const struct list *tickets, const struct sim_ticket *ticket)
{
    for (const struct list *at = ticket->node.next; at != tickets; at = at->next) {
        if (CONTAINER_OF(at, struct sim_ticket, node)->view == ticket->view)
            return false;
    }
    return true;
}

void sim_commit_end(struct sim_world *world)
{
    struct sim_shard *journal = &world->shards[0];
    struct list done;
    list_init(&done);
    commit_apply(world);
    journal->accepted += world->commit_pending;
    if (journal->count)
        feed_extend(&journal->feed, journal->items[journal->count - 1].position);
    list_move(&done, &world->committing);
    bool each = sim_chance(world, 500);
    while (!list_empty(&done)) {
        struct sim_ticket *ticket = LIST_FIRST(&done, struct sim_ticket, node);
        ticket->view->tickets--;
        if (each || ticket_last(&done, ticket))
            sim_step(ticket->view->route, &(struct route_input){.type = ROUTE_COMMITTED,
                                                                .shard = ticket->view->handle,
                                                                .ticket = ticket->number});
        ticket_free(ticket);
    }
}

static void calls_crash(struct sim_world *world)
{
    for (size_t at = 0; at < world->job_count; at++) {
        struct job job = world->jobs[at];
        if (job.sink != SIM_SINKS || job.batch->replay)
            continue;
        sim_reach(world, SIM_CRASH_IN_CALL);
        struct sim_view *view = sim_work(job.batch)->view;
        for (size_t i = 0; i < job.batch->count; i++) {
            view->attempts[sim_input(job.batch, i)->index]++;
            view->alone[sim_input(job.batch, i)->index] |= job.batch->suspect;
        }
    }
}

void sim_crash(struct sim_world *world)
{
    sim_reach(world, SIM_CRASH);
    world->crashes++;
    world->faults++;
    if (world->in_commit) {
        sim_reach(world, SIM_CRASH_IN_COMMIT);
        if (sim_chance(world, 500)) {
            sim_reach(world, SIM_COMMIT_DONE_UNTOLD);
            commit_apply(world);
        }
    }
    sim_sinks_crash(world);
    sim_check_again(world);
    calls_crash(world);
    sim_end(world);
}

void sim_end(struct sim_world *world)
{
    sim_jobs_forget(world);
    tickets_free(&world->gathering);
    tickets_free(&world->committing);
    world->in_commit = false;
    world->shards[0].pending = 0;
    for (size_t i = 0; i < world->shard_count; i++) {
        for (size_t j = 0; j < SIM_ROUTES; j++) {
            sim_effects_free(&world->shards[i].views[j].effects);
            world->shards[i].views[j].handle = NULL;
        }
        world->shards[i].revoking = false;
    }
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        route_free(world->routes[i].route);
        world->routes[i].route = NULL;
    }
    feed_fini(&world->shards[0].feed);
    if (world->blocks)
        sim_broken(world, "%zu blocks were not given back", world->blocks);
}

static void view_forget(struct sim_view *view)
{
    memset(view->done, 0, sizeof view->done);
    memset(view->fails, 0, sizeof view->fails);
    memset(view->again_at, 0, sizeof view->again_at);
    memset(view->again, 0, sizeof view->again);
    memset(view->arrived, 0, sizeof view->arrived);
    view->tickets = 0;
    memset(view->replaying, 0, sizeof view->replaying);
    memset(view->failing, 0, sizeof view->failing);
    memcpy(view->open_attempts, view->attempts, sizeof view->attempts);
    memset(view->dead_asked, 0, sizeof view->dead_asked);
    memcpy(view->now, view->state, sizeof view->state);
    view->durable = view->route->kept || view->shard->journaled;
    view->lost = false;
    view->opened = view->disk;
    if (!view->durable)
        view->opened = (struct checkpoint){.lanes = 1, .positions = {view->offset}};
}

static size_t view_suspects(const struct sim_view *view, struct route_suspect *suspects)
{
    size_t count = 0;
    for (size_t i = 0; i < view->shard->count; i++) {
        const struct item *item = &view->shard->items[i];
        if (view->attempts[i] && !sim_covers(&view->opened, item))
            suspects[count++] = (struct route_suspect){item->position, view->attempts[i], !view->alone[i]};
    }
    return count;
}

static void view_open(struct sim_view *view)
{
    struct route_suspect suspects[SIM_ITEMS_MAX];
    view_forget(view);
    const struct checkpoint *opened = &view->opened;
    struct route_vector vector = {.lanes = opened->lanes,
                                  .positions = opened->positions,
                                  .ranges = opened->ranges,
                                  .range_count = opened->range_count};
    struct route_shard_open open = {.vector = opened->lanes ? &vector : NULL,
                                    .suspects = suspects,
                                    .suspect_count = view_suspects(view, suspects),
                                    .durable = view->durable,
                                    .user = view};
    view->handle = route_open(view->route->route, &open);
    CHECK(view->handle != NULL);
    view->settled = view->emitted = route_resume(view->handle);
}

void sim_shard_open(struct sim_shard *shard)
{
    uint64_t low = UINT64_MAX;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        view_open(&shard->views[i]);
        uint64_t resume = route_resume(shard->views[i].handle);
        low = resume < low ? resume : low;
        if (shard->journaled)
            feed_open(&shard->feed, i, resume);
    }
    for (shard->next = 0; shard->next < shard->count && shard->items[shard->next].position <= low;)
        shard->next++;
    if (shard->journaled && low < shard->trimmed)
        sim_broken(shard->world, "a route resumes behind %llu, the journal is trimmed to %llu",
                   (unsigned long long)low, (unsigned long long)shard->trimmed);
    shard->trim_to = shard->trimmed;
}
