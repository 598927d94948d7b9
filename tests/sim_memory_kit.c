/* sim_memory_kit.c: the memory of blocks. Any of them may be taken away at any time, as the engine does for blocks
 * that little is open of: whoever still looks into one from then on finds nothing there. */
#include <stdlib.h>

#include "sim.h"

static void block_release(struct block *block)
{
    struct sim_block *whole = CONTAINER_OF(block, struct sim_block, block);
    whole->world->blocks--;
    list_remove(&whole->node);
    free(whole->moved);
    free(whole);
}

struct sim_block *sim_block_make(struct sim_world *world)
{
    struct sim_block *whole = calloc(1, sizeof *whole);
    CHECK(whole != NULL);
    whole->world = world;
    whole->block = (struct block){.events = whole->events, .refs = 1, .release = block_release};
    list_init(&whole->node);
    list_append(&world->block_list, &whole->node);
    world->blocks++;
    return whole;
}

static bool write_out(const struct sim_world *world, const struct route_batch *batch)
{
    for (size_t i = 0; i < world->job_count; i++) {
        if (world->jobs[i].batch == batch)
            return true;
    }
    return false;
}

static bool move_ask(void *arg, struct route_batch *batch)
{
    struct sim_world *world = arg;
    struct work *work = sim_work(batch);
    if (work->calling)
        sim_broken(world, "a batch in a call is asked to keep its events");
    if (work->kept)
        sim_broken(world, "a batch is asked twice to keep its events");
    if (write_out(world, batch))
        return false;
    work->kept = malloc(batch->count * sizeof *work->kept);
    CHECK(work->kept != NULL);
    memcpy(work->kept, batch->events, batch->count * sizeof *work->kept);
    batch->events = work->kept;
    sim_reach(world, SIM_MOVE_KEPT);
    return true;
}

struct moving {
    struct sim_block *whole;
    weir_event *to;
    size_t low, high;
};

static void move_measure(void *arg, struct block *block, size_t first, size_t count)
{
    struct moving *moving = arg;
    CHECK(block == &moving->whole->block);
    moving->low = size_min(moving->low, first);
    moving->high = size_max(moving->high, first + count);
}

static void move_copy(void *arg, struct block *block, size_t first, size_t count)
{
    struct moving *moving = arg;
    for (size_t i = first; i < first + count; i++)
        moving->to[i - moving->low] = *block_event(block, i);
}

static void block_visit(struct sim_world *world, route_open_visit *visit, struct moving *moving)
{
    for (size_t i = 0; i < SIM_ROUTES; i++)
        route_open_events(world->routes[i].route, visit, moving);
}

static void block_move(struct sim_block *whole)
{
    struct sim_world *world = whole->world;
    struct moving moving = {.whole = whole, .low = SIZE_MAX};
    block_visit(world, move_measure, &moving);
    size_t places = moving.high - size_min(moving.low, moving.high);
    moving.to = calloc(places + 1, sizeof *moving.to);
    CHECK(moving.to != NULL);
    block_visit(world, move_copy, &moving);
    memset(whole->events, 0xff, sizeof whole->events);
    free(whole->moved);
    whole->moved = moving.to;
    whole->block.events = moving.to;
    whole->block.gone = moving.low;
    sim_reach(world, SIM_MOVE);
}

bool sim_move(struct sim_world *world)
{
    if (!world->blocks)
        return false;
    struct list *at = world->block_list.next;
    for (uint64_t skip = sim_below(world, world->blocks); skip; skip--)
        at = at->next;
    struct sim_block *whole = CONTAINER_OF(at, struct sim_block, node);
    block_hold(&whole->block);
    whole->block.leaving = true;
    for (size_t i = 0; i < SIM_ROUTES; i++)
        route_keep_batches(world->routes[i].route, move_ask, world);
    if (whole->block.views)
        sim_reach(world, SIM_MOVE_HELD);
    else
        block_move(whole);
    whole->block.leaving = false;
    block_drop(&whole->block);
    return true;
}
