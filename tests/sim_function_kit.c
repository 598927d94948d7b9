/* sim_function_kit.c: the function: it fails on some events for a while, on some for ever, and sometimes at large;
 * it counts the events of each key, and sees what the calls before it left there. */
#include <stdio.h>

#include "sim.h"

enum { DELAY_MIN_US = 1000, INPUTS_MAX = 64 };

static void value_add(struct value *value, const struct item *item, bool replay)
{
    value->count++;
    value->sum += item->position * UINT64_C(0x9E3779B97F4A7C15);
    if (!replay)
        value->last = item->position;
}

void sim_keep_state(struct sim_view *view, const struct item *item, bool replay)
{
    value_add(&view->state[item->key_number], item, replay);
}

static void state_apply(struct sim_view *view, const struct route_batch *batch, size_t count)
{
    for (size_t i = 0; i < count && view->route->stateful; i++) {
        const struct item *item = sim_input(batch, i);
        struct value *value = &view->now[item->key_number];
        if (!item->key_size)
            continue;
        if (!batch->replay && value->last >= item->position)
            sim_broken(view->shard->world,
                       "route %zu, shard %zu: the state of a key knows event %llu, and now comes %llu",
                       view->route->index, view->shard->index, (unsigned long long)value->last,
                       (unsigned long long)item->position);
        value_add(value, item, batch->replay);
    }
}

/* One more failed call for which this event stands. */
static void item_failed(struct sim_view *view, const struct item *item, uint32_t attempt)
{
    view->fails[item->index] = (uint8_t)(attempt - view->open_attempts[item->index]);
    view->again_at[item->index] = view->shard->world->now + DELAY_MIN_US;
}

static uint32_t item_attempt(const struct sim_view *view, const struct item *item)
{
    return view->open_attempts[item->index] + view->fails[item->index] + 1u;
}

static void poison_weaken(const struct sim_view *view, const struct item *item)
{
    int *poison = &view->shard->items[item->index].poison[view->route->index];
    *poison -= *poison > 0;
}

/* As a whole it failed: it comes again in two halves, or without bisect as it was. */
static void batch_again(struct sim_view *view, const struct route_batch *batch)
{
    size_t half = view->route->config.bisect ? batch->count / 2 : 0;
    view->again[sim_input(batch, 0)->index] = (uint8_t)(half ? half : batch->count);
    if (half && batch->unordered)
        view->again[sim_input(batch, half)->index] = (uint8_t)(batch->count - half);
}

static void call_failed(struct sim_view *view, struct route_batch *batch, int result)
{
    struct sim_world *world = view->shard->world;
    const struct route_config *config = &view->route->config;
    bool counts = !batch->replay && result != WEIR_FATAL && (batch->count == 1 || !config->bisect);
    for (size_t i = 0; i < batch->count; i++) {
        poison_weaken(view, sim_input(batch, i));
        if (counts && (i == 0 || batch->unordered))
            item_failed(view, sim_input(batch, i), batch->attempt);
    }
    if (!batch->replay && result != WEIR_FATAL)
        batch_again(view, batch);
    world->faults++;
    sim_reach(world, result == WEIR_FATAL ? SIM_CALL_FATAL : SIM_CALL_FAILED);
    sim_step(view->route,
             &(struct route_input){
                 .type = ROUTE_CALLED, .batch = batch, .result = result, .wrote = (1u << config->sink_count) - 1});
}

static void events_failed(struct sim_view *view, struct route_batch *batch, const uint32_t *failed, size_t count)
{
    struct work *work = sim_work(batch);
    size_t good = batch->unordered ? batch->count : failed[0];
    uint32_t wrote = 0;
    for (size_t i = 0; i < count; i++) {
        const struct item *item = sim_input(batch, failed[i]);
        work->failed[failed[i]] = 1;
        work->outputs[failed[i]] = 0;
        poison_weaken(view, item);
        view->again[item->index] = 0;
        if (!batch->replay && (i == 0 || batch->unordered))
            item_failed(view, item, item_attempt(view, item));
    }
    for (size_t i = 0; i < good; i++)
        wrote |= work->outputs[i];
    state_apply(view, batch, good);
    work->ok = true;
    view->shard->world->faults++;
    sim_reach(view->shard->world, SIM_CALL_EVENTS_FAILED);
    sim_step(view->route,
             &(struct route_input){
                 .type = ROUTE_CALLED, .batch = batch, .wrote = wrote, .failed = failed, .failed_count = count});
}

static void call_passed(struct sim_view *view, struct route_batch *batch)
{
    struct work *work = sim_work(batch);
    uint32_t wrote = 0;
    for (size_t i = 0; i < batch->count; i++)
        wrote |= work->outputs[i];
    state_apply(view, batch, batch->count);
    work->ok = true;
    sim_reach(view->shard->world, SIM_CALL_OK);
    sim_step(view->route, &(struct route_input){.type = ROUTE_CALLED, .batch = batch, .wrote = wrote});
}

static size_t culprits(struct sim_view *view, const struct route_batch *batch, uint32_t *failed)
{
    struct sim_world *world = view->shard->world;
    size_t count = 0;
    unsigned random = world->calm ? 0 : world->mood_fail / 4;
    for (size_t i = 0; i < batch->count && count < INPUTS_MAX; i++) {
        if (sim_input(batch, i)->poison[view->route->index] || sim_chance(world, random))
            failed[count++] = (uint32_t)i;
    }
    return count;
}

void sim_called(struct sim_world *world, struct route_batch *batch)
{
    struct sim_view *view = sim_work(batch)->view;
    uint32_t failed[INPUTS_MAX];
    size_t count = culprits(view, batch, failed);
    sim_work(batch)->calling = false;
    if (!world->calm && sim_chance(world, 1))
        call_failed(view, batch, WEIR_FATAL);
    else if (!world->calm && sim_chance(world, world->faults < 5 ? 300 : world->mood_fail))
        call_failed(view, batch, WEIR_RETRY);
    else if (count && sim_chance(world, 500))
        call_failed(view, batch, WEIR_RETRY);
    else if (count)
        events_failed(view, batch, failed, count);
    else
        call_passed(view, batch);
}
