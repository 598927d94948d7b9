/* call.c: runs a route's functions on a batch, and is the weir_api that they call.
 *
 * The normal path, on a worker's thread:
 *   1. Before: the crash slot says what is being called.
 *   2. Each function of the chain gets the outputs of the one before as its batch; what the last one puts becomes
 * the outputs for the sinks. `origin` leads from an output back to the input that it comes from.
 *   3. State writes gather in the batch's set.
 *   4. After: what belongs to failed inputs is taken out again; the slot is cleared.
 * A chain fails as one: its outputs and state writes are void, and it runs again from its first function.
 */
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "field.h"
#include "flow.h"
#include "host.h"
#include "keys.h"

struct call {
    struct weir_out out; /* first: a function's `out` is the call */
    struct batch *batch;
    struct engine *engine;
    struct store_reader *reader;
    weir_batch view; /* what `in` is */
    const weir_batch *in;
    const uint32_t *origin; /* [in->count]; NULL: the inputs themselves */
    size_t stage;
    bool last;
    uint32_t *ordinals;     /* [in->count + 1], outputs put from each; the last is WEIR_BATCH's */
    struct outputs between; /* of a stage that is not the last */
};

static size_t origin_of(const struct call *call, size_t from)
{
    if (from == WEIR_BATCH)
        from = call->in->count - 1;
    return call->origin ? call->origin[from] : from;
}

static int call_refuse(struct call *call, const char *what, const char *name)
{
    struct batch *batch = call->batch;
    if (batch->result == WEIR_OK)
        snprintf(batch->reason, sizeof batch->reason, "%s: %s%s",
                 call->batch->flow->functions[call->stage]->config->name, what, name ? name : "");
    batch->result = WEIR_INVALID;
    return WEIR_INVALID;
}

static int outputs_push(struct outputs *outputs, const weir_event *event, size_t from)
{
    if (outputs->count == outputs->room) {
        size_t room = outputs->room ? outputs->room * 2 : 64;
        weir_event *own = realloc(outputs->own, room * sizeof *own);
        if (!own)
            return WEIR_NOMEM;
        outputs->own = own;
        uint32_t *places = realloc(outputs->from, room * sizeof *places);
        if (!places)
            return WEIR_NOMEM;
        outputs->from = places;
        outputs->room = room;
    }
    outputs->own[outputs->count] = *event;
    outputs->from[outputs->count++] = (uint32_t)from;
    outputs->events = outputs->own;
    return WEIR_OK;
}

static bool output_matches(const struct config_output *output, const char *name)
{
    return name ? output->name && strcmp(output->name, name) == 0 : output->name == NULL;
}

/* Gives the event to every sink that the named output leads to. */
static int call_deliver(struct call *call, const char *name, const weir_event *event, size_t from)
{
    struct batch *batch = call->batch;
    size_t origin = origin_of(call, from);
    if (!call->last)
        return name ? call_refuse(call, "only the last function of a chain has named outputs: ", name)
                    : outputs_push(&call->between, event, origin);
    const struct config_route *route = batch->flow->config;
    bool only = !name && route->output_count == 1;
    size_t found = 0;
    for (size_t i = 0; i < route->output_count; i++) {
        if (!only && !output_matches(&route->outputs[i], name))
            continue;
        found++;
        if (outputs_push(&batch->outputs[route->outputs[i].index], event, origin) != WEIR_OK)
            return WEIR_NOMEM;
    }
    return found ? WEIR_OK : call_refuse(call, "the route has no output ", name ? name : "without a name");
}

/* id of an output: the input's id "." n; of WEIR_BATCH the last input's id ".batch." n. */
static weir_view call_output_id(struct call *call, size_t from)
{
    bool whole = from == WEIR_BATCH;
    size_t input = whole ? call->in->count - 1 : from;
    char id[WEIR_ID_MAX + 40];
    size_t size = event_id_write(call->in, input, id, WEIR_ID_MAX);
    size = size_min(size, WEIR_ID_MAX - 1);
    size_t slot = whole ? call->in->count : from;
    if (whole) {
        memcpy(id + size, ".batch", 6);
        size += 6;
    }
    id[size++] = '.';
    size += decimal_write(id + size, call->ordinals[slot]++);
    return arena_copy(&call->batch->arena, view_make(id, size));
}

static int api_put(weir_out *out, size_t from, const char *output, const weir_event *event)
{
    struct call *call = CONTAINER_OF(out, struct call, out);
    if (from != WEIR_BATCH && from >= call->in->count)
        return call_refuse(call, "put from an input that is not there", NULL);
    weir_event copy;
    if (!arena_event(&call->batch->arena, &copy, event))
        return WEIR_NOMEM;
    const weir_event *input = &call->in->events[from == WEIR_BATCH ? call->in->count - 1 : from];
    copy.id = call_output_id(call, from);
    copy.position = input->position;
    if (copy.time_us == 0)
        copy.time_us = input->time_us;
    if (call->batch->arena.overflow)
        return WEIR_NOMEM;
    return call_deliver(call, output, &copy, from);
}

static int api_forward(weir_out *out, size_t from, const char *output)
{
    struct call *call = CONTAINER_OF(out, struct call, out);
    if (from >= call->in->count)
        return call_refuse(call, "forward of an input that is not there", NULL);
    return call_deliver(call, output, &call->in->events[from], from);
}

static void fail_each(struct batch *batch, size_t index, const char *reason)
{
    size_t count = batch->route->count;
    if (!batch->fail_marks) {
        batch->fail_marks = arena_zalloc(&batch->arena, count);
        batch->fail_reasons = arena_zalloc(&batch->arena, count * sizeof *batch->fail_reasons);
    }
    if (!batch->fail_marks || !batch->fail_reasons) {
        batch->fail_marks = NULL;
        batch->result = WEIR_NOMEM;
        return;
    }
    if (!batch->fail_marks[index])
        batch->fail_reasons[index] = arena_text(&batch->arena, view_of(reason ? reason : "the function failed it"));
    batch->fail_marks[index] = 1;
}

static void api_fail(weir_out *out, size_t from, const char *reason)
{
    struct call *call = CONTAINER_OF(out, struct call, out);
    struct batch *batch = call->batch;
    if (from != WEIR_BATCH && from >= call->in->count) {
        call_refuse(call, "fail of an input that is not there", NULL);
        return;
    }
    if (from == WEIR_BATCH) {
        call_refuse(call, reason ? reason : "the function failed the batch", NULL);
        return;
    }
    size_t origin = origin_of(call, from);
    if (!batch->route->unordered && origin >= batch->cut)
        return;
    fail_each(batch, origin, reason);
    if (origin < batch->cut)
        batch->cut = origin;
}

/* event_key: of the first input of the chain, as that is what the lane was chosen by. */
static int state_key(struct call *call, size_t from, weir_view name, struct key *key, weir_view *event_key)
{
    const struct function *function = call->batch->flow->functions[call->stage];
    if (!(function->ops->flags & WEIR_FUNCTION_STATE))
        return call_refuse(call, "uses keyed state without WEIR_FUNCTION_STATE", NULL);
    if (from >= call->in->count)
        return call_refuse(call, "state of an input that is not there", NULL);
    *event_key = call->batch->route->events[origin_of(call, from)].key;
    if (!event_key->data)
        return WEIR_INVALID;
    key_state(key, call->batch->link->scopes[call->stage], *event_key, name);
    return WEIR_OK;
}

static int api_state_get(weir_out *out, size_t from, weir_view name, weir_view *value)
{
    struct call *call = CONTAINER_OF(out, struct call, out);
    struct batch *batch = call->batch;
    struct key key;
    weir_view event_key, stored;
    int result = state_key(call, from, name, &key, &event_key);
    if (result != WEIR_OK)
        return result;
    const struct state_write *write = batch->set ? state_set_find(batch->set, key_view(&key)) : NULL;
    const struct state_map *map = link_lane_state(batch->link, batch->route->lane);
    if (write)
        stored = write->value;
    else if (!map || !state_map_find(map, key_view(&key), &stored))
        result = store_get(call->reader, TABLE_STATE, key_view(&key), &batch->arena, &stored);
    if (result != WEIR_OK)
        return result;
    return stored.data ? state_value_read(event_key, name, stored, value) : WEIR_MISSING;
}

static int state_write(weir_out *out, size_t from, weir_view name, weir_view value)
{
    struct call *call = CONTAINER_OF(out, struct call, out);
    struct batch *batch = call->batch;
    struct key key;
    weir_view event_key;
    int result = state_key(call, from, name, &key, &event_key);
    if (result != WEIR_OK)
        return result;
    if (value.data)
        value = state_value(event_key, name, value, &batch->arena);
    if (batch->arena.overflow)
        return WEIR_NOMEM;
    if (!batch->set)
        batch->set = state_set_new(batch->arena.limit);
    if (!batch->set || state_set_put(batch->set, key_view(&key), value, origin_of(call, from)) != WEIR_OK) {
        batch->arena.overflow = true;
        return WEIR_NOMEM;
    }
    return WEIR_OK;
}

static int api_state_put(weir_out *out, size_t from, weir_view name, weir_view value)
{
    if (!value.data)
        value = view_make("", 0);
    return state_write(out, from, name, value);
}

static int api_state_del(weir_out *out, size_t from, weir_view name)
{
    return state_write(out, from, name, view_make(NULL, 0));
}

static void *api_alloc(weir_out *out, size_t size)
{
    return arena_alloc(&CONTAINER_OF(out, struct call, out)->batch->arena, size);
}

static const weir_api call_api = {
    .size = sizeof call_api,
    .put = api_put,
    .forward = api_forward,
    .fail = api_fail,
    .state_get = api_state_get,
    .state_put = api_state_put,
    .state_del = api_state_del,
    .event_id = event_id_write,
    .alloc = api_alloc,
};

static int call_stage(struct call *call, void *self)
{
    struct batch *batch = call->batch;
    struct function *function = batch->flow->functions[call->stage];
    call->ordinals = arena_zalloc(&batch->arena, (call->in->count + 1) * sizeof *call->ordinals);
    if (!call->ordinals)
        return WEIR_NOMEM;
    int result = function->ops->call(self, call->in, &call->out);
    if (result != WEIR_OK && batch->result == WEIR_OK) {
        batch->result = result;
        snprintf(batch->reason, sizeof batch->reason, "%s returned %s", function->config->name,
                 result_name(result));
    }
    if (batch->arena.overflow && batch->result == WEIR_OK) {
        batch->result = WEIR_NOMEM;
        snprintf(batch->reason, sizeof batch->reason, "%s put more than one batch may hold (%zu bytes)",
                 function->config->name, batch->arena.limit);
    }
    return batch->result;
}

static void call_chain(struct call *call, size_t self)
{
    struct flow *flow = call->batch->flow;
    call->view = batch_view(call->batch);
    call->in = &call->view;
    struct outputs given = {0};
    for (call->stage = 0; call->stage < flow->function_count && call->in->count; call->stage++) {
        call->last = call->stage + 1 == flow->function_count;
        call->between = (struct outputs){0};
        int result = call_stage(call, flow->functions[call->stage]->instances[self].state);
        free(given.own);
        free(given.from);
        given = call->between;
        if (result != WEIR_OK)
            break;
        call->view.events = given.own;
        call->view.count = given.count;
        call->origin = given.from;
    }
    free(given.own);
    free(given.from);
}

static bool input_failed(const struct batch *batch, size_t from)
{
    if (batch->route->unordered)
        return batch->fail_marks && batch->fail_marks[from];
    return from >= batch->cut;
}

/* Takes out what failed inputs put. */
static void batch_sift(struct batch *batch)
{
    bool any = batch->cut != SIZE_MAX;
    for (size_t i = 0; i < batch->flow->sink_count; i++) {
        struct outputs *outputs = &batch->outputs[i];
        size_t kept = 0;
        for (size_t j = 0; any && j < outputs->count; j++) {
            if (input_failed(batch, outputs->from[j]))
                continue;
            outputs->own[kept] = outputs->own[j];
            outputs->from[kept++] = outputs->from[j];
        }
        if (any)
            outputs->count = kept;
        if (outputs->count)
            batch->wrote |= 1u << i;
    }
    if (any && batch->set)
        state_set_cut(batch->set, batch->cut);
}

/* The list of failed inputs for the route: all of them without order, the first one otherwise. */
static void batch_failed(struct batch *batch)
{
    if (batch->cut == SIZE_MAX)
        return;
    size_t count = batch->route->count;
    batch->failed = arena_alloc(&batch->arena, count * sizeof *batch->failed);
    if (!batch->failed) {
        batch->result = WEIR_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (batch->fail_marks[i] && (batch->route->unordered || i == batch->cut))
            batch->failed[batch->failed_count++] = (uint32_t)i;
    }
}

static void slot_of_batch(const struct batch *batch, struct slot *slot)
{
    const struct link *link = batch->link;
    *slot = (struct slot){.lane = batch->route->lane,
                          .attempt = batch->route->attempt,
                          .suspect = batch->route->suspect,
                          .replay = batch->route->replay};
    snprintf(slot->route, sizeof slot->route, "%s", batch->flow->config->name);
    snprintf(slot->source, sizeof slot->source, "%s", link->shard->source->instance.name);
    slot->shard_hash = link->shard->name_hash;
    slot->first = batch->route->events[0].position;
    slot->last = batch->route->events[batch->route->count - 1].position;
}

void batch_call(struct batch *batch, size_t worker)
{
    struct engine *engine = batch->flow->engine;
    size_t self = worker == SIZE_MAX ? (size_t)engine->config->workers : worker;
    struct call call = {.out = {&call_api}, .batch = batch, .engine = engine};
    call.reader = worker == SIZE_MAX ? engine->reader : engine->readers[worker];
    if (engine->slots) {
        struct slot slot;
        slot_of_batch(batch, &slot);
        slots_fill(engine->slots, self, &slot);
    }
    call_chain(&call, self);
    if (engine->slots)
        slots_clear(engine->slots, self);
    if (batch->result == WEIR_OK)
        batch_sift(batch);
    if (batch->result == WEIR_OK)
        batch_failed(batch);
}
