/* source.c: see source.h.
 *
 * The normal path of a replaying source: source_account says `want`; the plug-in emits a block; every flow gets it;
 * what all of them have settled is told to the plug-in, with the note that goes with it. How it fails: events of
 * wrong size or order are the plug-in's fault or bad input: refused, counted and logged; a plug-in that emits more
 * than it may is logged, its events are taken all the same.
 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "commit.h"
#include "emit.h"
#include "flow.h"
#include "journal.h"
#include "keys.h"

struct source *source_of(const weir_host *host)
{
    return CONTAINER_OF(CONTAINER_OF(host, struct instance, host), struct source, instance);
}

static void source_stopped(struct instance *instance)
{
    engine_advance(instance->engine);
}

static void source_failed(struct instance *instance, const char *reason)
{
    struct source *source = CONTAINER_OF(instance, struct source, instance);
    UNUSED(reason);
    source->ended = true;
    engine_fail(instance->engine, EXIT_FAILED);
    engine_advance(instance->engine);
}

int source_init(struct source *source, struct engine *engine, const struct config_source *config,
                struct error *error)
{
    struct instance_kind kind = {"source",     config->name,       config->ops->options,
                                 config->node, config_source_skip, config->ops->state_size};
    source->config = config;
    source->ops = config->ops;
    source->replays = (config->ops->flags & WEIR_SOURCE_REPLAYS) != 0;
    list_init(&source->shards);
    int result = instance_init(&source->instance, engine, &kind, error);
    if (result != WEIR_OK)
        return result;
    source->instance.woken = source->ops->woken;
    source->instance.on_stopped = source_stopped;
    source->instance.on_failed = source_failed;
    source->accepted = instance_metric(&source->instance, "accepted_events_total");
    source->refused = instance_metric(&source->instance, "refused_events_total");
    source->bytes = instance_metric(&source->instance, "accepted_bytes_total");
    source->instance.made = true;
    if (source->ops->init)
        result = source->ops->init(source->instance.state, &source->instance.host);
    if (result != WEIR_OK && !error->text[0])
        error_set(error, result, "%s: could not be made: %s", source->instance.part, result_name(result));
    source->instance.error = NULL;
    return result;
}

void source_free(struct source *source)
{
    while (!list_empty(&source->shards))
        shard_free(LIST_FIRST(&source->shards, struct shard, node));
    journal_free(source->journal);
    free(source->flows);
}

int source_start(struct source *source)
{
    if (!source->replays) {
        int result = journal_new(source, &source->journal);
        if (result != WEIR_OK)
            return result;
    }
    source->instance.started = true;
    int result = source->ops->start(source->instance.state);
    source_touch(source);
    return result;
}

void source_touch(struct source *source)
{
    source->dirty = true;
    engine_advance(source->instance.engine);
}

/* What every route of a replaying source has room for: the slowest decides; a route that failed holds nobody. */
static void source_room(const struct source *source, size_t *events, size_t *bytes)
{
    size_t working = 0;
    *events = *bytes = SIZE_MAX;
    for (size_t i = 0; i < source->flow_count; i++) {
        size_t flow_events, flow_bytes;
        if (source->flows[i]->failed)
            continue;
        working++;
        flow_room(source->flows[i], &flow_events, &flow_bytes);
        size_t share = source->flows[i]->source_count;
        *events = size_min(*events, share > 1 && flow_events ? flow_events / share + 1 : flow_events);
        *bytes = size_min(*bytes, flow_bytes / share);
    }
    if (!working)
        *events = *bytes = 0;
    *bytes = size_min(*bytes, memory_room(source->instance.engine) / source->instance.engine->source_count);
}

static bool want_changed(const struct source *source, size_t events, size_t bytes)
{
    bool less = events < source->told_events || bytes < source->told_bytes;
    bool none = source->told_events == 0 || source->told_bytes == 0;
    bool more = events / 2 > source->told_events || bytes / 2 > source->told_bytes;
    /* All that it emitted is completed: said again, whatever the plug-in makes of its bytes. */
    bool recovered = source->emitted && events >= source->said_events && bytes >= source->said_bytes;
    return less || more || recovered || (none && events && bytes);
}

void source_account(struct source *source)
{
    struct engine *engine = source->instance.engine;
    source->dirty = false;
    if (!source->instance.started || source->instance.stopping || source->ended)
        return;
    size_t events = 0, bytes = 0;
    if (engine->phase == PHASE_RUNNING) {
        if (source->journal) {
            bytes = journal_room(source->journal);
            events = bytes ? 65536 : 0;
        } else {
            source_room(source, &events, &bytes);
        }
    }
    if (!events || !bytes)
        events = bytes = 0;
    if (!want_changed(source, events, bytes))
        return;
    source->told_events = source->said_events = events;
    source->told_bytes = source->said_bytes = bytes;
    source->emitted = false;
    source->ops->want(source->instance.state, events, bytes);
}

void source_stop(struct source *source)
{
    if (source->instance.started && !source->instance.stopping) {
        source->instance.stopping = true;
        source->ops->stop(source->instance.state);
    }
}

void source_ended(const weir_host *host)
{
    struct source *source = source_of(host);
    source->ended = true;
    instance_log(&source->instance, LOG_INFO, "has ended");
    engine_advance(source->instance.engine);
}

int source_emit(const weir_host *host, weir_shard *handle, weir_emit *emit)
{
    struct source *source = source_of(host);
    struct shard *shard = (struct shard *)(void *)handle;
    emit->first = emit->last = 0;
    if (shard->revoked || shard->source != source || source->instance.engine->broken)
        return WEIR_CLOSED;
    size_t bytes = 0;
    for (size_t i = 0; i < emit->count; i++)
        bytes += event_bytes(&emit->events[i]);
    if (emit->count > source->told_events)
        instance_log(&source->instance, LOG_DEBUG, "the plug-in emitted %zu events, %zu were wanted", emit->count,
                     source->told_events);
    source->emitted = true;
    source->told_events -= size_min(source->told_events, emit->count);
    source->told_bytes -= size_min(source->told_bytes, bytes);
    metric_add(source->bytes, (int64_t)bytes);
    int result = source->journal ? journal_emit(source->journal, emit) : emit_replayed(shard, emit, bytes);
    source_touch(source);
    return result;
}
