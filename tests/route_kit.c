/* route_kit.c: see route_kit.h. */
#include "route_kit.h"

#include "testing.h"

enum { ROOM = 9 };

static void block_gone(struct block *block)
{
    struct kit_route *kit = block->owner;
    kit->released = true;
}

struct route_config kit_config(void)
{
    return (struct route_config){
        .order = ORDER_KEY,
        .lanes = 1,
        .calls = true,
        .batch_events = 10,
        .batch_bytes = 1000,
        .window_events = 100,
        .window_bytes = 10000,
        .retry = {.attempts = 3, .base_us = 1000, .cap_us = 1000},
        .bisect = true,
        .sinks = {{.retry = {.base_us = 1000, .cap_us = 1000}}},
        .sink_count = 1,
        .seed = 1,
    };
}

void kit_open(struct kit_route *kit, const struct route_config *config, const struct route_shard_open *open)
{
    static const struct route_shard_open fresh = {.durable = true};
    memset(kit, 0, sizeof *kit);
    kit->now = 1000000;
    for (size_t i = 0; i < KIT_EVENTS; i++)
        kit->events[i] = (weir_event){.position = i + 1, .payload = view_make("0123456789", 10)};
    kit->block =
        (struct block){.events = kit->events, .count = KIT_EVENTS, .refs = 1, .release = block_gone, .owner = kit};
    kit->route = route_new(config);
    ck_assert_ptr_nonnull(kit->route);
    kit->shard = route_open(kit->route, open ? open : &fresh);
    ck_assert_ptr_nonnull(kit->shard);
    kit_type(kit, ROUTE_TICK);
}

void kit_close(struct kit_route *kit)
{
    route_free(kit->route);
    block_drop(&kit->block);
    ck_assert(kit->released);
}

void kit_keys(struct kit_route *kit, const char *keys)
{
    for (size_t i = 0; keys[i]; i++)
        kit->events[i].key = keys[i] == '-' ? view_make(NULL, 0) : view_make(keys + i, 1);
}

void kit_step(struct kit_route *kit, const struct route_input *input)
{
    struct route_input next = *input;
    bool more = true;
    kit->action_count = 0;
    while (more) {
        ck_assert_uint_le(kit->action_count + ROOM, KIT_ACTIONS);
        size_t count = route_step(kit->route, &next, kit->now, kit->actions + kit->action_count, ROOM, &more);
        for (size_t i = kit->action_count; i < kit->action_count + count; i++)
            kit->counts[i] = kit->actions[i].batch ? kit->actions[i].batch->count : 0;
        kit->action_count += count;
        next = (struct route_input){.type = ROUTE_MORE};
    }
}

void kit_emit(struct kit_route *kit, size_t first, size_t count)
{
    kit_step(
        kit,
        &(struct route_input){
            .type = ROUTE_EMIT, .shard = kit->shard, .block = &kit->block, .first = first - 1, .count = count});
}

void kit_type(struct kit_route *kit, enum route_input_type type)
{
    kit_step(kit, &(struct route_input){.type = type, .shard = kit->shard});
}

void kit_tick(struct kit_route *kit, int64_t now)
{
    kit->now = now;
    kit_type(kit, ROUTE_TICK);
}

void kit_called(struct kit_route *kit, struct route_batch *batch, int result)
{
    kit_step(kit, &(struct route_input){.type = ROUTE_CALLED, .batch = batch, .result = result, .wrote = 1});
}

void kit_some_failed(struct kit_route *kit, struct route_batch *batch, const uint32_t *failed, size_t count)
{
    kit_step(kit, &(struct route_input){
                      .type = ROUTE_CALLED, .batch = batch, .wrote = 1, .failed = failed, .failed_count = count});
}

void kit_written(struct kit_route *kit, struct route_batch *batch, uint32_t sink, int result)
{
    kit_step(kit, &(struct route_input){.type = ROUTE_WRITTEN, .batch = batch, .sink = sink, .result = result});
}

void kit_committed(struct kit_route *kit, uint64_t ticket)
{
    kit_step(kit, &(struct route_input){.type = ROUTE_COMMITTED, .shard = kit->shard, .ticket = ticket});
}

size_t kit_actions(const struct kit_route *kit, enum route_action_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < kit->action_count; i++)
        count += kit->actions[i].type == type;
    return count;
}

const struct route_action *kit_action(const struct kit_route *kit, enum route_action_type type, size_t n)
{
    for (size_t i = 0; i < kit->action_count; i++) {
        if (kit->actions[i].type == type && n-- == 0)
            return &kit->actions[i];
    }
    ck_abort_msg("there is no such %s", route_action_name(type));
    return NULL;
}

struct route_batch *kit_call(const struct kit_route *kit, uint64_t first, uint64_t last)
{
    ck_assert_uint_eq(kit_actions(kit, ROUTE_CALL), 1);
    struct route_batch *batch = kit_action(kit, ROUTE_CALL, 0)->batch;
    ck_assert_uint_eq(batch->events[0].position, first);
    ck_assert_uint_eq(batch->events[batch->count - 1].position, last);
    return batch;
}

struct route_batch *kit_write(const struct kit_route *kit, uint32_t sink)
{
    for (size_t i = 0; i < kit->action_count; i++) {
        if (kit->actions[i].type == ROUTE_WRITE && kit->actions[i].sink == sink)
            return kit->actions[i].batch;
    }
    ck_abort_msg("nothing is written to sink %u", sink);
    return NULL;
}

void kit_passes(struct kit_route *kit, struct route_batch *batch)
{
    kit_called(kit, batch, WEIR_OK);
    kit_written(kit, batch, 0, WEIR_OK);
}
