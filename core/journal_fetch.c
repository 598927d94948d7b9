/* journal_fetch.c: see journal_fetch.h.
 *
 * The normal path: the loop asks; a helper scans the table from the cursor on and copies a few chunks; back on the
 * loop they go to every route that is right at them. The chunks of one fetch are not kept for later. How it fails:
 * a chunk whose header does not hold is skipped and put into quarantine; positions that are not there are counted,
 * logged once, and passed over.
 */
#include "journal_fetch.h"

#include <stdlib.h>

#include "commit.h"
#include "flow.h"
#include "keys.h"

#define FETCH_BYTES (512u << 10)

struct fetch {
    struct journal *journal;
    size_t place;
    uint64_t cursor, head;
    struct list chunks;
    size_t bytes, damaged;
    int result;
};

/* A block may be read several times before its routes are past it: it is told and counted once. */
static bool fetch_told(struct journal *journal, uint64_t position)
{
    for (size_t i = 0; i < JOURNAL_DAMAGE_TOLD; i++) {
        if (journal->told[i] == position)
            return true;
    }
    journal->told[journal->told_count++ % JOURNAL_DAMAGE_TOLD] = position;
    return false;
}

static void fetch_damaged(void *arg, uint64_t position, const char *what)
{
    struct fetch *fetch = arg;
    if (fetch_told(fetch->journal, position))
        return;
    fetch->damaged++;
    instance_log(&fetch->journal->source->instance, LOG_ERROR, "journal: event %llu is damaged and left out: %s",
                 (unsigned long long)position, what);
}

static void fetch_decode(struct fetch *fetch, weir_view value, uint64_t last, const struct journal_block_info *info)
{
    struct journal_chunk *chunk = chunk_new(fetch->journal, value.size, info->count, info->header_count);
    if (!chunk) {
        fetch->result = WEIR_NOMEM;
        return;
    }
    memcpy(chunk->bytes, value.data, value.size);
    chunk->first = info->first;
    chunk->last = last;
    chunk->durable = true;
    chunk->lent.block.count =
        journal_block_read(view_make(chunk->bytes, value.size), chunk->events,
                           (weir_header *)(void *)(chunk->events + info->count), fetch_damaged, fetch);
    list_append(&fetch->chunks, &chunk->node);
    fetch->bytes += value.size;
}

static bool fetch_visit(void *arg, weir_view key, weir_view value)
{
    struct fetch *fetch = arg;
    struct journal_block_info info;
    if (key.size < 8)
        return true;
    uint64_t last = get_be64(key.data + key.size - 8);
    if (last > fetch->head)
        return false;
    int result = journal_block_info(value, &info);
    if (result == WEIR_OK && info.first + info.count - 1 == last)
        fetch_decode(fetch, value, last, &info);
    else
        fetch_damaged(fetch, last,
                      result == WEIR_NEWER ? "written by a newer weir" : "the block's header does not hold");
    return fetch->bytes < FETCH_BYTES && fetch->result == WEIR_OK;
}

static void fetch_work(void *arg)
{
    struct fetch *fetch = arg;
    struct key from, to;
    weir_view source = view_of(fetch->journal->source->instance.name);
    key_journal(&from, source, fetch->cursor + 1);
    key_journal(&to, source, fetch->head);
    int result =
        store_scan(fetch->journal->reader, TABLE_JOURNAL, key_view(&from), key_view(&to), fetch_visit, fetch);
    if (fetch->result == WEIR_OK)
        fetch->result = result;
}

/* Positions between the cursor and the next chunk that nobody has: passed over, never silently. */
static void fetch_gap(struct fetch *fetch, uint64_t before)
{
    struct journal *journal = fetch->journal;
    uint64_t cursor = journal->feed.routes[fetch->place].cursor;
    if (before <= cursor + 1)
        return;
    metric_add(journal->gaps, (int64_t)(before - cursor - 1));
    instance_log(&journal->source->instance, LOG_ERROR,
                 "journal: events %llu to %llu are not in the store; passed over", (unsigned long long)cursor + 1,
                 (unsigned long long)before - 1);
    feed_given(&journal->feed, fetch->place, before - 1);
}

static void fetch_done(void *arg)
{
    struct fetch *fetch = arg;
    struct journal *journal = fetch->journal;
    metric_add(journal->damaged, (int64_t)fetch->damaged);
    if (fetch->result != WEIR_OK && list_empty(&fetch->chunks))
        instance_log(&journal->source->instance, LOG_ERROR, "journal could not be read: %s",
                     result_name(fetch->result));
    else if (list_empty(&fetch->chunks))
        fetch_gap(fetch, fetch->head + 1);
    else
        fetch_gap(fetch, LIST_FIRST(&fetch->chunks, struct journal_chunk, node)->first);
    while (!list_empty(&fetch->chunks)) {
        struct journal_chunk *chunk = LIST_FIRST(&fetch->chunks, struct journal_chunk, node);
        list_remove(&chunk->node);
        for (size_t i = 0; i < journal->feed.count; i++)
            chunk_give(journal, i, chunk);
        chunk_leave(chunk);
    }
    journal->fetching = false;
    free(fetch);
    journal_deliver(journal);
    source_touch(journal->source);
}

/* Reading pays only for a fair piece of the window. */
static bool fetch_due(const struct flow *flow)
{
    size_t events, bytes;
    flow_room(flow, &events, &bytes);
    return events * 8 >= flow->window_events && bytes * 8 >= flow->window_bytes;
}

void journal_fetch(struct journal *journal, size_t place)
{
    struct link *link = journal->shard->links[place];
    if (!link->handle || link->flow->failed || !fetch_due(link->flow) ||
        !memory_room(journal->source->instance.engine))
        return;
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return;
    fetch->journal = journal;
    fetch->place = place;
    fetch->cursor = journal->feed.routes[place].cursor;
    fetch->head = journal->feed.head;
    list_init(&fetch->chunks);
    journal->fetching = true;
    if (helper_run(&journal->source->instance.engine->helper, fetch_work, fetch_done, fetch) == WEIR_OK)
        return;
    journal->fetching = false;
    free(fetch);
}
