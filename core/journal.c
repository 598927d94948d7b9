/* journal.c: see journal.h. Emit, durable, deliver; reading back is in journal_fetch.c. */
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>

#include "commit.h"
#include "emit.h"
#include "flow.h"
#include "journal_fetch.h"
#include "keys.h"

enum { RECENT_MAX = 512 }; /* chunks kept in memory for routes that are a little behind */

int journal_new(struct source *source, struct journal **made)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return WEIR_NOMEM;
    journal->source = source;
    list_init(&journal->recent);
    journal->reader = store_reader_new(source->instance.engine->store);
    journal->lag = instance_metric(&source->instance, "journal_events");
    journal->damaged = instance_metric(&source->instance, "journal_damaged_events_total");
    journal->gaps = instance_metric(&source->instance, "journal_missing_events_total");
    *made = journal;
    return journal->reader && feed_init(&journal->feed, source->flow_count, 0) == WEIR_OK ? WEIR_OK : WEIR_NOMEM;
}

static void recent_drop(struct journal *journal)
{
    struct journal_chunk *chunk = LIST_FIRST(&journal->recent, struct journal_chunk, node);
    list_remove(&chunk->node);
    journal->recent_bytes -= chunk->lent.block.bytes;
    journal->recent_count--;
    chunk_leave(chunk);
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    while (!list_empty(&journal->recent))
        recent_drop(journal);
    store_reader_free(journal->reader);
    feed_fini(&journal->feed);
    free(journal);
}

static void chunk_release(struct block *block)
{
    struct journal_chunk *chunk = CONTAINER_OF(block, struct journal_chunk, lent.block);
    lent_end(&chunk->lent);
    free(chunk);
}

static void chunk_back(struct lent *lent)
{
    struct journal_chunk *chunk = CONTAINER_OF(lent, struct journal_chunk, lent);
    free(chunk->bytes);
    free(chunk->events);
    chunk->bytes = NULL;
    chunk->events = NULL;
}

/* From here on it is the routes' alone. */
void chunk_leave(struct journal_chunk *chunk)
{
    if (chunk->lent.block.refs > 1)
        lent_watch(&chunk->lent);
    block_drop(&chunk->lent.block);
}

struct journal_chunk *chunk_new(struct journal *journal, size_t size, size_t count, size_t headers)
{
    struct journal_chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    size_t events = count * sizeof(weir_event);
    chunk->bytes = malloc(size_max(size, 1));
    chunk->events = malloc(events + headers * sizeof(weir_header) + 1);
    if (!chunk->bytes || !chunk->events) {
        free(chunk->bytes);
        free(chunk->events);
        free(chunk);
        return NULL;
    }
    list_init(&chunk->node);
    chunk->journal = journal;
    chunk->size = size;
    lent_init(&chunk->lent, journal->source->instance.engine);
    chunk->lent.give_back = chunk_back;
    chunk->lent.event_bytes = size / size_max(count, 1);
    chunk->lent.block =
        (struct block){.events = chunk->events, .count = count, .refs = 1, .release = chunk_release};
    chunk->lent.block.bytes = size + events + headers * sizeof(weir_header);
    memory_take(journal->source->instance.engine, chunk->lent.block.bytes);
    return chunk;
}

/* How many of the events make one chunk. */
static size_t chunk_cut(const weir_event *events, size_t count, size_t *bytes, size_t *headers)
{
    size_t taken = 0;
    *bytes = JOURNAL_HEADER_BYTES;
    *headers = 0;
    while (taken < count) {
        size_t more = journal_event_bytes(&events[taken]);
        if (taken && *bytes + more > JOURNAL_BLOCK_BYTES)
            break;
        *bytes += more;
        *headers += events[taken].header_count;
        taken++;
    }
    return taken;
}

static struct journal_chunk *journal_chunk(struct journal *journal, const weir_event *events, size_t count,
                                           size_t *taken)
{
    size_t bytes, headers;
    *taken = chunk_cut(events, count, &bytes, &headers);
    struct journal_chunk *chunk = chunk_new(journal, bytes, *taken, headers);
    if (!chunk)
        return NULL;
    chunk->first = journal->next;
    chunk->last = journal->next + *taken - 1;
    chunk->size = journal_block_write(chunk->bytes, chunk->first, events, *taken, chunk->events,
                                      (weir_header *)(void *)(chunk->events + *taken));
    journal->next += *taken;
    return chunk;
}

/* All chunks of an emit, or none: numbers are given back when memory runs out half-way. */
static int journal_chunks(struct journal *journal, const weir_event *events, size_t count, struct list *chunks)
{
    uint64_t before = journal->next;
    list_init(chunks);
    while (count) {
        size_t taken;
        struct journal_chunk *chunk = journal_chunk(journal, events, count, &taken);
        if (!chunk) {
            while (!list_empty(chunks)) {
                struct journal_chunk *made = LIST_FIRST(chunks, struct journal_chunk, node);
                list_remove(&made->node);
                block_drop(&made->lent.block);
            }
            journal->next = before;
            return WEIR_NOMEM;
        }
        list_append(chunks, &chunk->node);
        events += taken;
        count -= taken;
    }
    return WEIR_OK;
}

/* Nothing of it was kept: the source may acknowledge it all the same, on the next turn. */
struct refusal {
    struct letter letter;
    struct journal *journal;
};

static void refusal_open(struct letter *letter)
{
    struct refusal *refusal = CONTAINER_OF(letter, struct refusal, letter);
    struct source *source = refusal->journal->source;
    if (!source->instance.engine->broken)
        source->ops->settle(source->instance.state, (weir_shard *)(void *)refusal->journal->shard, 0, 0,
                            WEIR_REFUSED);
    free(refusal);
}

static int journal_refuse(struct journal *journal)
{
    struct refusal *refusal = calloc(1, sizeof *refusal);
    if (!refusal)
        return WEIR_NOMEM;
    refusal->journal = journal;
    refusal->letter.open = refusal_open;
    mailbox_post(&journal->source->instance.engine->mailbox, &refusal->letter);
    return WEIR_OK;
}

static int journal_keep(struct journal *journal, weir_emit *emit, const weir_event *events, size_t count)
{
    struct list chunks;
    if (!events)
        return WEIR_NOMEM;
    if (!count)
        return journal_refuse(journal);
    uint64_t first = journal->next;
    int result = journal_chunks(journal, events, count, &chunks);
    if (result != WEIR_OK)
        return result;
    struct journal_chunk *last = CONTAINER_OF(chunks.prev, struct journal_chunk, node);
    last->settles = true;
    last->settle_first = emit->first = first;
    last->settle_last = emit->last = journal->next - 1;
    if (emit->note.data && emit->note.size <= WEIR_NOTE_MAX) {
        char *note = malloc(emit->note.size + 1);
        CHECK(note != NULL);
        memcpy(note, emit->note.data, emit->note.size);
        last->note = view_make(note, emit->note.size);
    }
    while (!list_empty(&chunks)) {
        struct journal_chunk *chunk = LIST_FIRST(&chunks, struct journal_chunk, node);
        list_remove(&chunk->node);
        journal->waiting_bytes += chunk->size;
        commit_append(journal->source->instance.engine, chunk);
    }
    return WEIR_OK;
}

int journal_emit(struct journal *journal, weir_emit *emit)
{
    struct arena scratch;
    arena_init(&scratch, 0);
    size_t count = 0;
    const weir_event *events = NULL;
    if (emit->count)
        events = emit_prepare(journal->source, journal->shard, emit, &scratch, &count);
    int result = emit->count ? journal_keep(journal, emit, events, count) : WEIR_INVALID;
    arena_fini(&scratch);
    if (result == WEIR_OK && emit->release)
        emit->release(emit->owner); /* the journal has its own copy, and it is the only one */
    return result;
}

/* How many events from `first` on fit into the flow's window; the last may go beyond its bytes, as everywhere. */
static size_t fitting(const struct flow *flow, const struct block *block, size_t first)
{
    size_t events, bytes, count = 0;
    flow_room(flow, &events, &bytes);
    while (first + count < block->count && count < events && bytes) {
        bytes -= size_min(bytes, event_bytes(&block->events[first + count]));
        count++;
    }
    return count;
}

/* Gives the route what follows its cursor in this chunk; false: it has no room for all of it. */
bool chunk_give(struct journal *journal, size_t place, struct journal_chunk *chunk)
{
    struct link *link = journal->shard->links[place];
    const struct block *block = &chunk->lent.block;
    uint64_t cursor = journal->feed.routes[place].cursor;
    if (feed_at(&journal->feed, place, chunk->first, chunk->last) == SIZE_MAX)
        return true;
    size_t first = 0;
    while (first < block->count && block->events[first].position <= cursor)
        first++;
    size_t count = fitting(link->flow, block, first);
    bool all = first + count == block->count;
    if (!link->handle)
        return false;
    feed_given(&journal->feed, place,
               all     ? chunk->last
               : count ? block->events[first + count - 1].position
                       : cursor);
    if (count)
        flow_emit(link, &chunk->lent.block, first, count);
    return all;
}

static void deliver_recent(struct journal *journal, size_t place)
{
    struct journal_chunk *newest = CONTAINER_OF(journal->recent.prev, struct journal_chunk, node);
    if (list_empty(&journal->recent) || newest->last <= journal->feed.routes[place].cursor)
        return;
    if (newest->first <= journal->feed.routes[place].cursor + 1) { /* the usual case: only the newest is missing */
        chunk_give(journal, place, newest);
        return;
    }
    LIST_EACH(chunk, &journal->recent, struct journal_chunk, node)
    {
        block_hold(&chunk->lent.block);
        bool all = chunk_give(journal, place, chunk);
        block_drop(&chunk->lent.block);
        if (!all)
            return;
    }
}

static void recent_trim(struct journal *journal)
{
    uint64_t given = UINT64_MAX;
    for (size_t i = 0; i < journal->feed.count; i++)
        given = journal->feed.routes[i].cursor < given ? journal->feed.routes[i].cursor : given;
    size_t bound = (size_t)journal->source->instance.engine->config->memory / 16;
    while (!list_empty(&journal->recent)) {
        struct journal_chunk *oldest = LIST_FIRST(&journal->recent, struct journal_chunk, node);
        if (oldest->last > given && journal->recent_bytes <= bound && journal->recent_count <= RECENT_MAX)
            break;
        recent_drop(journal);
    }
}

void journal_deliver(struct journal *journal)
{
    if (!journal->shard || journal->source->instance.engine->phase != PHASE_RUNNING)
        return;
    for (size_t i = 0; i < journal->feed.count; i++) {
        if (feed_behind(&journal->feed, i))
            deliver_recent(journal, i);
    }
    recent_trim(journal);
    for (size_t i = 0; i < journal->feed.count && !journal->fetching; i++) {
        if (feed_behind(&journal->feed, i))
            journal_fetch(journal, i);
    }
    metric_set(journal->lag, (int64_t)(journal->feed.head - feed_floor(&journal->feed)));
}

void journal_keep_recent(struct journal *journal, struct journal_chunk *chunk)
{
    list_append(&journal->recent, &chunk->node);
    journal->recent_bytes += chunk->lent.block.bytes;
    journal->recent_count++;
}

void journal_durable(struct journal_chunk *chunk)
{
    struct journal *journal = chunk->journal;
    struct source *source = journal->source;
    chunk->durable = true;
    journal->waiting_bytes -= chunk->size;
    journal->held_bytes += chunk->size;
    metric_add(source->accepted, (int64_t)chunk->lent.block.count);
    feed_extend(&journal->feed, chunk->last);
    bool settles = chunk->settles;
    uint64_t first = chunk->settle_first, last = chunk->settle_last;
    free((void *)(uintptr_t)chunk->note.data);
    chunk->note = view_make(NULL, 0);
    journal_keep_recent(journal, chunk);
    journal_deliver(journal);
    if (settles && !source->instance.engine->broken)
        source->ops->settle(source->instance.state, (weir_shard *)(void *)journal->shard, first, last,
                            WEIR_ACCEPTED);
    source_touch(source);
}

void journal_settled(struct journal *journal, size_t place, uint64_t low)
{
    feed_settled(&journal->feed, place, low);
    uint64_t floor = feed_floor(&journal->feed);
    if (floor <= journal->trimmed)
        return;
    struct engine *engine = journal->source->instance.engine;
    struct key from, to;
    key_journal(&from, view_of(journal->source->instance.name), 0);
    key_journal(&to, view_of(journal->source->instance.name), floor);
    store_ops_trim(commit_ops(engine), TABLE_JOURNAL, key_view(&from), key_view(&to));
    journal->held_bytes -= (uint64_t)((double)journal->held_bytes * (double)(floor - journal->trimmed) /
                                      (double)(journal->feed.head - journal->trimmed));
    journal->trimmed = floor;
    source_touch(journal->source);
    if (engine->phase != PHASE_RUNNING)
        commit_want(engine);
}

/* As if all events had one size. */
uint64_t journal_holds(const struct journal *journal, size_t place)
{
    uint64_t head = journal->feed.head, low = journal->feed.routes[place].low, kept = head - journal->trimmed;
    if (low >= head || kept == 0)
        return 0;
    return (uint64_t)((double)journal->held_bytes * (double)(head - low) / (double)kept);
}

bool journal_blocked_by(const struct journal *journal, size_t place)
{
    return journal_holds(journal, place) >= (uint64_t)journal->source->flows[place]->config->journal_max;
}

size_t journal_room(const struct journal *journal)
{
    struct engine *engine = journal->source->instance.engine;
    size_t bound = size_min((size_t)engine->config->memory / 8 / engine->source_count, 16u << 20);
    bound = size_max(bound, (size_t)engine->config->event_bytes);
    if (!journal->shard || commit_full(engine->committer) || journal->waiting_bytes >= bound)
        return 0;
    for (size_t i = 0; i < journal->source->flow_count; i++) {
        if (journal_blocked_by(journal, i))
            return 0;
    }
    size_t room = bound - journal->waiting_bytes;
    uint64_t store = store_room(engine->store);
    if (store == 0)
        commit_no_room(engine);
    room = store < room ? (size_t)store : room;
    return memory_room(engine) ? size_min(room, memory_room(engine)) : 0;
}
