/* batch.c: batches and their pool's life. What a function does to one is in call.c. */
#include "batch.h"

#include <stdlib.h>

#include "flow.h"

enum { POOLED_BYTES = 128 << 10 };

/* What a call may put: a multiple of what it was given, and room for one whole event in any case. */
static size_t batch_bytes_max(const struct flow *flow)
{
    const struct config *config = flow->engine->config;
    return (size_t)flow->config->batch_bytes * 4 + (size_t)config->event_bytes * 2 + 65536;
}

struct batch *batch_new(struct flow *flow, size_t sinks)
{
    struct batch *batch = calloc(1, sizeof *batch + sinks * sizeof batch->outputs[0]);
    if (!batch)
        return NULL;
    batch->writes = calloc(size_max(sinks, 1), sizeof *batch->writes);
    if (!batch->writes) {
        free(batch);
        return NULL;
    }
    batch->flow = flow;
    list_init(&batch->node);
    list_init(&batch->hand);
    arena_init(&batch->arena, batch_bytes_max(flow));
    for (size_t i = 0; i < sinks; i++) {
        list_init(&batch->writes[i].node);
        batch->writes[i].batch = batch;
        batch->writes[i].index = (uint32_t)i;
        batch->writes[i].sink = flow->sinks[i];
    }
    batch_reset(batch);
    return batch;
}

void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->flow->sink_count; i++) {
        free(batch->outputs[i].own);
        free(batch->outputs[i].from);
        free(batch->writes[i].some);
        free(batch->writes[i].places);
    }
    memory_give(batch->flow->engine, batch->charged);
    state_set_free(batch->set);
    arena_fini(&batch->arena);
    arena_fini(&batch->kept);
    arena_fini(&batch->dead_arena);
    free(batch->writes);
    free(batch);
}

/* What waits in the pool is charged to nobody, so it must be little. */
static void pooled_reset(struct arena *arena)
{
    arena_reset(arena);
    if (arena->reserved > POOLED_BYTES)
        arena_fini(arena);
}

void batch_reset(struct batch *batch)
{
    for (size_t i = 0; i < batch->flow->sink_count; i++) {
        batch->outputs[i].events = NULL;
        batch->outputs[i].closed = NULL;
        batch->outputs[i].reasons = NULL;
        batch->outputs[i].count = 0;
        batch->writes[i].results = NULL;
        batch->writes[i].reasons = NULL;
        batch->writes[i].rejected = NULL;
        batch->writes[i].rejected_count = 0;
    }
    state_set_free(batch->set);
    batch->set = NULL;
    pooled_reset(&batch->arena);
    arena_fini(&batch->kept);
    pooled_reset(&batch->dead_arena);
    list_init(&batch->dead);
    batch->route = NULL;
    batch->link = NULL;
    batch->result = WEIR_OK;
    batch->reason[0] = '\0';
    batch->cut = SIZE_MAX;
    batch->fail_marks = NULL;
    batch->fail_reasons = NULL;
    batch->failed = NULL;
    batch->failed_count = 0;
    batch->wrote = 0;
    batch->replay_key_size = 0;
    batch->replays = 0;
}

weir_batch batch_view(const struct batch *batch)
{
    weir_batch view = {
        .size = sizeof view,
        .events = batch->route->events,
        .count = batch->route->count,
        .route = view_of(batch->flow->config->name),
        .source = view_of(batch->link->shard->source->instance.name),
        .shard = view_of(batch->link->shard->name),
        .id_prefix = view_of(batch->link->shard->id_prefix),
        .attempt = batch->route->attempt,
        .id_less = source_id_less(batch->link->shard->source),
    };
    return view;
}

void batch_pass(struct batch *batch, uint32_t sinks)
{
    for (size_t i = 0; i < batch->flow->sink_count; i++) {
        if (sinks & (1u << i)) {
            batch->outputs[i].events = batch->route->events;
            batch->outputs[i].count = batch->route->count;
        }
    }
}

static const weir_event *inputs_copy(struct batch *batch)
{
    size_t count = batch->route->count;
    weir_event *copies = arena_alloc(&batch->kept, size_max(count, 1) * sizeof *copies);
    for (size_t i = 0; copies && i < count; i++) {
        if (!arena_event(&batch->kept, &copies[i], &batch->route->events[i]))
            return NULL;
    }
    return copies;
}

/* A forwarded input is the very same; what was put lies in the batch's arena. */
static bool event_same(const weir_event *a, const weir_event *b)
{
    return a->payload.data == b->payload.data && a->key.data == b->key.data && a->subject.data == b->subject.data &&
           a->id.data == b->id.data && a->headers == b->headers && a->position == b->position;
}

static void outputs_follow(struct outputs *outputs, const weir_event *before, const weir_event *now)
{
    if (outputs->events == before)
        outputs->events = now;
    for (size_t i = 0; outputs->events == outputs->own && i < outputs->count; i++) {
        if (event_same(&outputs->own[i], &before[outputs->from[i]]))
            outputs->own[i] = now[outputs->from[i]];
    }
}

bool batch_keep(struct batch *batch)
{
    for (size_t i = 0; i < batch->flow->sink_count; i++) {
        if (batch->writes[i].open)
            return false;
    }
    const weir_event *before = batch->route->events, *now = inputs_copy(batch);
    if (!now) {
        arena_fini(&batch->kept);
        return false;
    }
    for (size_t i = 0; i < batch->flow->sink_count; i++)
        outputs_follow(&batch->outputs[i], before, now);
    batch->route->events = now;
    batch->charged += batch->kept.reserved;
    memory_take(batch->flow->engine, batch->kept.reserved);
    return true;
}

void batch_reject(struct batch *batch, uint32_t sink, size_t place, const char *reason)
{
    struct outputs *outputs = &batch->outputs[sink];
    if (!outputs->reasons)
        outputs->reasons = arena_zalloc(&batch->arena, outputs->count * sizeof *outputs->reasons);
    if (outputs->reasons)
        outputs->reasons[place] = reason;
}

const char *batch_failure(const struct batch *batch, size_t index)
{
    if (batch->fail_reasons && batch->fail_reasons[index])
        return batch->fail_reasons[index];
    return batch->reason[0] ? batch->reason : "the call failed";
}
