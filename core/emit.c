/* emit.c: see emit.h. */
#include "emit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "borrow.h"
#include "clock.h"
#include "field.h"
#include "flow.h"

static bool time_number(weir_view text, int64_t unit, int64_t *time_us)
{
    char digits[40];
    if (!text.size || text.size >= sizeof digits)
        return false;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    char *end;
    errno = 0;
    double value = strtod(digits, &end);
    if (*end || errno || !(value > -9e12 && value < 9e12 * 1000))
        return false;
    double us = value * (double)unit;
    if (!(us > -9e18 && us < 9e18))
        return false;
    *time_us = (int64_t)us;
    return true;
}

static bool time_override(const struct config_source *config, weir_view text, int64_t *time_us)
{
    switch ((enum config_time)config->time_format) {
    case TIME_UNIX_MS:
        return time_number(text, MILLISECOND_US, time_us);
    case TIME_UNIX_S:
        return time_number(text, SECOND_US, time_us);
    case TIME_RFC3339:
        return time_parse(text.data, text.size, time_us) == WEIR_OK;
    }
    return false;
}

static void refuse(struct source *source, const char *why, const weir_event *event)
{
    metric_add(source->refused, 1);
    instance_log(&source->instance, LOG_WARN, "refused an event of %zu bytes, key %.*s: %s", event->payload.size,
                 (int)size_min(event->key.size, 80), event->key.data ? event->key.data : "", why);
}

/* Applies key:, id: and time: to event. False: refused. */
static bool override(struct source *source, const weir_batch *view, struct arena *arena, weir_event *event)
{
    const struct config_source *config = source->config;
    weir_view value;
    if (config->key) {
        int found = field_read(config->key, view, 0, arena, &value);
        event->key = found == WEIR_OK ? value : view_make(NULL, 0);
    }
    if (config->id && field_read(config->id, view, 0, arena, &value) == WEIR_OK && value.size &&
        value.size < WEIR_ID_MAX)
        event->id = value;
    if (!config->time)
        return true;
    if (field_read(config->time, view, 0, arena, &value) == WEIR_OK &&
        time_override(config, value, &event->time_us))
        return true;
    refuse(source, "its time field is missing or cannot be read", event);
    return false;
}

static bool emit_changes(const struct source *source, const weir_emit *emit)
{
    if (source->config->key || source->config->id || source->config->time)
        return true;
    for (size_t i = 0; i < emit->count; i++) {
        if (emit->events[i].payload.size > (size_t)source->instance.engine->config->event_bytes)
            return true;
    }
    return false;
}

const weir_event *emit_prepare(struct source *source, struct shard *shard, const weir_emit *emit,
                               struct arena *arena, size_t *count)
{
    *count = emit->count;
    if (!emit_changes(source, emit))
        return emit->events;
    weir_event *kept = arena_alloc(arena, emit->count * sizeof *kept);
    if (!kept)
        return NULL;
    size_t limit = (size_t)source->instance.engine->config->event_bytes;
    weir_batch view = {.size = sizeof view,
                       .count = 1,
                       .source = view_of(source->instance.name),
                       .shard = view_of(shard->name),
                       .id_prefix = view_of(shard->id_prefix),
                       .id_less = source_id_less(source)};
    *count = 0;
    for (size_t i = 0; i < emit->count; i++) {
        weir_event *event = &kept[*count];
        *event = emit->events[i];
        view.events = &emit->events[i];
        if (event->payload.size > limit)
            refuse(source, "larger than limits.event_bytes", event);
        else if (override(source, &view, arena, event))
            ++*count;
    }
    return arena->overflow ? NULL : kept;
}

/* The block of a replaying source: the source's memory until release(owner), or a copy. */
struct emitted {
    struct lent lent;
    void *owner;
    void (*release)(void *owner);
};

static void emitted_back(struct lent *lent)
{
    struct emitted *emitted = CONTAINER_OF(lent, struct emitted, lent);
    emitted->release(emitted->owner);
}

static void emitted_end(struct block *block)
{
    struct emitted *emitted = CONTAINER_OF(block, struct emitted, lent.block);
    lent_end(&emitted->lent);
    free(emitted);
}

static bool emitted_copy(struct emitted *emitted, const weir_event *events, size_t count)
{
    weir_event *copies = arena_alloc(&emitted->lent.arena, size_max(count, 1) * sizeof *copies);
    for (size_t i = 0; copies && i < count; i++) {
        if (!arena_event(&emitted->lent.arena, &copies[i], &events[i]))
            return false;
    }
    emitted->lent.block.events = copies;
    return copies != NULL;
}

static struct emitted *emitted_new(struct shard *shard, weir_emit *emit, size_t bytes)
{
    struct emitted *emitted = calloc(1, sizeof *emitted);
    if (!emitted)
        return NULL;
    lent_init(&emitted->lent, shard->source->instance.engine);
    size_t count;
    const weir_event *events = emit_prepare(shard->source, shard, emit, &emitted->lent.arena, &count);
    emitted->lent.block.events = events;
    if (!events || (!emit->release && !emitted_copy(emitted, events, count))) {
        arena_fini(&emitted->lent.arena);
        free(emitted);
        return NULL;
    }
    emitted->lent.block.count = count;
    emitted->lent.block.bytes = (emit->bytes ? emit->bytes : bytes) + count * sizeof(weir_event);
    emitted->lent.block.refs = 1;
    emitted->lent.block.release = emitted_end;
    emitted->lent.event_bytes = bytes / emit->count;
    emitted->owner = emit->owner;
    emitted->release = emit->release;
    emitted->lent.give_back = emit->release ? emitted_back : NULL;
    memory_take(emitted->lent.engine, emitted->lent.block.bytes);
    lent_watch(&emitted->lent);
    return emitted;
}

static int note_keep(struct shard *shard, const weir_emit *emit, uint64_t position)
{
    if (!emit->note.data || emit->note.size > WEIR_NOTE_MAX)
        return emit->note.data ? WEIR_INVALID : WEIR_OK;
    struct note *note = malloc(sizeof *note + emit->note.size);
    if (!note)
        return WEIR_NOMEM;
    list_init(&note->node);
    note->position = position;
    note->size = emit->note.size;
    memcpy(note->data, emit->note.data, emit->note.size);
    list_append(&shard->notes, &note->node);
    return WEIR_OK;
}

static bool emit_ascends(const weir_emit *emit, uint64_t last)
{
    for (size_t i = 0; i < emit->count; i++) {
        if (emit->events[i].position <= last)
            return false;
        last = emit->events[i].position;
    }
    return emit->count > 0;
}

/* The source reads from where the slowest route was left: the others have what lies before their own place. */
static void link_emit(struct link *link, struct block *block)
{
    size_t first = 0;
    if (!link->handle)
        return;
    while (first < block->count && block->events[first].position <= route_resume(link->handle))
        first++;
    if (first < block->count)
        flow_emit(link, block, first, block->count - first);
}

int emit_replayed(struct shard *shard, weir_emit *emit, size_t bytes)
{
    struct source *source = shard->source;
    if (!emit_ascends(emit, shard->last)) {
        instance_log(&source->instance, LOG_ERROR, "the plug-in emitted an empty block or positions out of order");
        return WEIR_INVALID;
    }
    int result = note_keep(shard, emit, emit->events[emit->count - 1].position);
    struct emitted *emitted = result == WEIR_OK ? emitted_new(shard, emit, bytes) : NULL;
    if (!emitted)
        return result == WEIR_OK ? WEIR_NOMEM : result;
    emit->first = emit->events[0].position;
    emit->last = shard->last = emit->events[emit->count - 1].position;
    metric_add(source->accepted, (int64_t)emitted->lent.block.count);
    for (size_t i = 0; i < source->flow_count; i++)
        link_emit(shard->links[i], &emitted->lent.block);
    block_drop(&emitted->lent.block);
    return WEIR_OK;
}
