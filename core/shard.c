/* shard.c: shards of sources: opened with what the store knows, settled with what all routes have completed. */
#include <stdio.h>
#include <stdlib.h>

#include "commit.h"
#include "emit.h"
#include "flow.h"
#include "journal.h"
#include "keys.h"
#include "source.h"

static char *id_prefix(const struct source *source, weir_view name)
{
    char text[WEIR_ID_MAX];
    if (source->replays)
        snprintf(text, sizeof text, "%.*s", (int)name.size, name.data);
    else
        snprintf(text, sizeof text, "%s/%s", store_id(source->instance.engine->store), source->instance.name);
    return strdup(text);
}

static struct shard *shard_named(struct source *source, weir_view name)
{
    LIST_EACH(shard, &source->shards, struct shard, node)
    {
        if (view_is(name, shard->name))
            return shard;
    }
    return NULL;
}

struct shard *source_shard_find(struct source *source, weir_view name)
{
    struct shard *shard = shard_named(source, name);
    return shard && !shard->revoked ? shard : NULL;
}

struct link *shard_link(const struct shard *shard, const struct flow *flow)
{
    for (size_t i = 0; i < shard->source->flow_count; i++) {
        if (shard->source->flows[i] == flow)
            return shard->links[i];
    }
    return NULL;
}

int shard_new(struct source *source, weir_view name, uint64_t generation, struct shard **made)
{
    struct shard *shard = calloc(1, sizeof *shard);
    if (!shard)
        return WEIR_NOMEM;
    list_init(&shard->node);
    list_init(&shard->notes);
    shard->source = source;
    shard->generation = generation;
    shard->name = strndup(name.data, name.size);
    shard->id_prefix = id_prefix(source, name);
    shard->links = calloc(source->flow_count + 1, sizeof(struct link *));
    shard->name_hash = slots_shard_hash(name);
    int result = shard->name && shard->id_prefix && shard->links ? WEIR_OK : WEIR_NOMEM;
    for (size_t i = 0; i < source->flow_count && result == WEIR_OK; i++) {
        result = flow_link(source->flows[i], shard, &shard->links[i]);
        if (shard->links[i])
            shard->links[i]->place = i;
        shard->links_open += result == WEIR_OK;
    }
    list_append(&source->shards, &shard->node);
    *made = shard;
    return result;
}

void shard_free(struct shard *shard)
{
    list_remove(&shard->node);
    for (struct list *at = shard->notes.next, *next; at != &shard->notes; at = next) {
        next = at->next;
        free(CONTAINER_OF(at, struct note, node));
    }
    for (size_t i = 0; i < shard->source->flow_count && shard->links; i++)
        link_free(shard->links[i]);
    free(shard->links);
    free(shard->name);
    free(shard->id_prefix);
    free(shard);
}

uint64_t shard_low(const struct shard *shard)
{
    uint64_t low = UINT64_MAX;
    for (size_t i = 0; i < shard->source->flow_count; i++)
        low = shard->links[i]->low < low ? shard->links[i]->low : low;
    return low;
}

/* The first `count` of them. */
static void notes_drop(struct shard *shard, size_t count)
{
    struct list *at = shard->notes.next, *next;
    for (; count; count--, at = next) {
        next = at->next;
        free(CONTAINER_OF(at, struct note, node));
    }
    shard->notes.next = at;
    at->prev = &shard->notes;
}

/* With the positions that make it true: a start must never find the ones without the other. */
void shard_note(struct shard *shard)
{
    struct note *newest = NULL;
    uint64_t low = UINT64_MAX;
    for (size_t i = 0; i < shard->source->flow_count; i++)
        low = shard->links[i]->asked < low ? shard->links[i]->asked : low;
    size_t done = 0;
    LIST_EACH(note, &shard->notes, struct note, node)
    {
        if (note->position > low)
            break;
        newest = note;
        done++;
    }
    if (!newest)
        return;
    struct key key;
    key_note(&key, view_of(shard->source->instance.name), view_of(shard->name));
    store_ops_put(commit_ops(shard->source->instance.engine), TABLE_NOTE, key_view(&key),
                  view_make(newest->data, newest->size));
    commit_want(shard->source->instance.engine);
    notes_drop(shard, done);
}

void shard_settled(struct shard *shard)
{
    uint64_t low = shard_low(shard);
    if (low <= shard->settled)
        return;
    uint64_t first = shard->settled + 1;
    shard->settled = low;
    shard_note(shard);
    if (!shard->lost && !shard->source->instance.engine->broken)
        shard->source->ops->settle(shard->source->instance.state, (weir_shard *)(void *)shard, first, low,
                                   WEIR_COMPLETED);
}

static int shard_resume(struct shard *shard, weir_resume *resume)
{
    struct engine *engine = shard->source->instance.engine;
    bool kept = (shard->source->ops->flags & WEIR_SOURCE_KEEPS_POSITION) != 0;
    int result = kept ? shard_kept(shard, resume) : WEIR_OK;
    if (result != WEIR_OK)
        return result;
    uint64_t low = shard_low(shard);
    struct key key;
    struct arena scratch;
    arena_init(&scratch, 0);
    weir_view note = {0};
    key_note(&key, view_of(shard->source->instance.name), view_of(shard->name));
    int found = store_get(engine->reader, TABLE_NOTE, key_view(&key), &scratch, &note);
    shard->settled = shard->last = low;
    resume->position = low;
    resume->known = kept ? resume->known : low > 0 || found == WEIR_OK;
    resume->note = found == WEIR_OK ? arena_copy(&engine->config->arena, note) : view_make(NULL, 0);
    arena_fini(&scratch);
    return found == WEIR_OK || found == WEIR_MISSING ? WEIR_OK : found;
}

/* Never read from: its routes let go of it at once. */
static void shard_close(struct shard *shard)
{
    shard->silent = true;
    source_shard_revoke(&shard->source->instance.host, (weir_shard *)(void *)shard, 1);
}

int source_shard_open(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                      weir_shard **handle)
{
    struct source *source = source_of(host);
    /* Not started: there may be no store, and no route knows the source yet. */
    if (!source->instance.started || source->instance.engine->broken)
        return WEIR_CLOSED;
    struct shard *shard = shard_named(source, name);
    if (shard && shard->revoked)
        return WEIR_RETRY; /* what is open of it would run twice, and its positions could still move */
    if (!name.size || name.size > SHARD_MAX_BYTES || memchr(name.data, '\0', name.size) || shard ||
        (source->journal && !list_empty(&source->shards)))
        return WEIR_INVALID;
    int result = shard_new(source, name, generation, &shard);
    if (result == WEIR_OK && source->journal)
        result = journal_open(source->journal, shard);
    weir_resume found = {0};
    if (resume)
        memcpy(&found, resume, size_min(resume->size, sizeof found));
    found.size = sizeof found;
    if (result == WEIR_OK)
        result = shard_resume(shard, &found);
    if (result == WEIR_CLOSED) {
        shard_close(shard);
        return result;
    }
    if (result != WEIR_OK) {
        instance_log(&source->instance, LOG_ERROR, "shard %.*s could not be opened: %s", (int)name.size, name.data,
                     result_name(result));
        return result;
    }
    if (resume)
        memcpy(resume, &found, size_min(resume->size ? resume->size : sizeof found, sizeof found));
    *handle = (weir_shard *)(void *)shard;
    return WEIR_OK;
}

void source_shard_revoke(const weir_host *host, weir_shard *handle, int lost)
{
    struct source *source = source_of(host);
    struct shard *shard = (struct shard *)(void *)handle;
    if (shard->lost || (shard->revoked && !lost))
        return;
    shard->revoked = true;
    shard->lost = lost != 0;
    for (size_t i = 0; i < source->flow_count; i++) {
        struct route_input input = {.type = ROUTE_REVOKE, .shard = shard->links[i]->handle, .lost = shard->lost};
        if (input.shard)
            flow_input(source->flows[i], &input);
    }
}

void shard_link_released(struct shard *shard)
{
    if (--shard->links_open)
        return;
    struct source *source = shard->source;
    engine_reap(source->instance.engine, shard); /* so `released` may open it again */
    if (source->ops->released && !shard->silent)
        source->ops->released(source->instance.state, (weir_shard *)(void *)shard);
}
