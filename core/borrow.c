/* borrow.c: see borrow.h. A block is charged whole until its last event is released, and one of a replaying source
 * pins what the source lent: for a log's client, a whole fetch. So one event that is stuck must not hold all of it.
 *
 * The normal path, every 100 ms while blocks that old exist:
 *   1. A block is worth a look when its open events, counted by references, can take a quarter of its charge at
 *      most; it is marked `leaving`.
 *   2. Every route says which events of leaving blocks are open. Those that are more than a quarter after all stay.
 *   3. Every route asks for the batches that look into a leaving block. What waits (for its lane, for a retry, for
 * a place with the sink) gets a copy of its own and looks into no block any more.
 *   4. A block that no batch looks into gets other memory: its open events are copied, the block points there, the
 *      source has its memory back and the charge falls. Runs find their events through the block, so nothing else
 *      has to follow.
 * A batch in a call or in a write that a sink has not answered keeps its blocks: the function or the sink holds
 * views. They are looked at again 100 ms later, and there are not many: a call for each worker, the open writes of
 * each sink. Routes stay pure: they are only asked. How it fails: without memory for a copy, everything stays.
 *
 * On a route where nothing happens any more, this is also what lets go of the last block. */
#include "borrow.h"

#include <stdlib.h>

#include "batch.h"
#include "clock.h"
#include "emit.h"
#include "flow.h"

enum { LITTLE = 4 }; /* what is open is little when so many times of it fit into the charge */

static struct lent *lent_of(struct block *block)
{
    return CONTAINER_OF(block, struct lent, block);
}

static void lent_return(struct lent *lent)
{
    memory_give(lent->engine, lent->block.bytes);
    if (lent->give_back)
        lent->give_back(lent);
    lent->give_back = NULL;
    arena_fini(&lent->arena);
}

void lent_init(struct lent *lent, struct engine *engine)
{
    *lent = (struct lent){.engine = engine};
    list_init(&lent->node);
}

void lent_end(struct lent *lent)
{
    list_remove(&lent->node);
    lent_return(lent);
}

static void borrow_look(uv_timer_t *timer);

static void borrow_arm(struct engine *engine)
{
    if (!list_empty(&engine->lent) && !uv_is_active((uv_handle_t *)&engine->borrow_timer))
        uv_timer_start(&engine->borrow_timer, borrow_look, BORROW_US / MILLISECOND_US, 0);
}

void lent_watch(struct lent *lent)
{
    lent->since_us = clock_mono_us();
    list_append(&lent->engine->lent, &lent->node);
    borrow_arm(lent->engine);
}

void borrow_init(struct engine *engine)
{
    list_init(&engine->lent);
    uv_timer_init(&engine->loop, &engine->borrow_timer);
    engine->borrow_timer.data = engine;
}

/* Each reference stands for one event at least. */
static bool lent_worth(const struct lent *lent)
{
    const struct block *block = &lent->block;
    return (block->refs - block->views) * (lent->event_bytes + sizeof(weir_event)) <= block->bytes / LITTLE;
}

/* 1. */
static bool borrow_mark(struct engine *engine)
{
    int64_t before = clock_mono_us() - BORROW_US;
    bool any = false;
    LIST_EACH(lent, &engine->lent, struct lent, node)
    {
        if (lent->since_us > before)
            break;
        lent->block.leaving = lent_worth(lent);
        lent->open_bytes = lent->high = 0;
        lent->low = SIZE_MAX;
        any |= lent->block.leaving;
    }
    return any;
}

static size_t event_bytes_whole(const weir_event *event)
{
    size_t bytes = event_bytes(event) + event->header_count * sizeof(weir_header);
    for (size_t i = 0; i < event->header_count; i++)
        bytes += event->headers[i].name.size + event->headers[i].value.size;
    return bytes;
}

/* 2. What two routes have open is counted twice: then it stays a little longer. */
static void count_open(void *arg, struct block *block, size_t first, size_t count)
{
    struct lent *lent = lent_of(block);
    UNUSED(arg);
    lent->low = size_min(lent->low, first);
    lent->high = size_max(lent->high, first + count);
    for (size_t i = 0; i < count; i++)
        lent->open_bytes += event_bytes_whole(block_event(block, first + i));
}

static void borrow_judge(struct engine *engine)
{
    LIST_EACH(lent, &engine->lent, struct lent, node)
    {
        size_t places = lent->high - size_min(lent->low, lent->high);
        size_t left = lent->open_bytes + places * sizeof(weir_event);
        lent->block.leaving &= left <= lent->block.bytes / LITTLE;
    }
}

/* 3. */
static bool keep_batch(void *arg, struct route_batch *route)
{
    return batch_keep(flow_take(arg, route));
}

/* 4. */
static bool room_make(struct lent *lent)
{
    size_t places = lent->high - size_min(lent->low, lent->high);
    arena_init(&lent->room, 0);
    lent->moved = arena_zalloc(&lent->room, size_max(places, 1) * sizeof *lent->moved);
    lent->copied = calloc(size_max(places, 1), 1);
    return lent->moved && lent->copied;
}

static void room_drop(struct lent *lent)
{
    arena_fini(&lent->room);
    free(lent->copied);
    lent->moved = NULL;
    lent->copied = NULL;
}

static void copy_open(void *arg, struct block *block, size_t first, size_t count)
{
    struct lent *lent = lent_of(block);
    UNUSED(arg);
    for (size_t i = first; i < first + count; i++) {
        size_t place = i - lent->low;
        if (!lent->copied[place])
            arena_event(&lent->room, &lent->moved[place], block_event(block, i));
        lent->copied[place] = 1;
    }
}

static void lent_move(struct lent *lent)
{
    lent_return(lent);
    lent->arena = lent->room;
    arena_init(&lent->room, 0);
    lent->block.events = lent->moved;
    lent->block.gone = lent->low;
    lent->block.bytes = lent->arena.reserved;
    memory_take(lent->engine, lent->block.bytes);
    list_remove(&lent->node);
}

static void borrow_move(struct engine *engine)
{
    LIST_EACH(lent, &engine->lent, struct lent, node)
    {
        struct block *block = &lent->block;
        block->leaving = block->leaving && !block->views && room_make(lent);
    }
    for (size_t i = 0; i < engine->flow_count; i++)
        route_open_events(engine->flows[i].route, copy_open, NULL);
    for (struct list *at = engine->lent.next, *next; at != &engine->lent; at = next) {
        struct lent *lent = CONTAINER_OF(at, struct lent, node);
        next = at->next;
        if (lent->block.leaving && !lent->room.overflow)
            lent_move(lent);
        lent->block.leaving = false;
        room_drop(lent);
    }
}

static void borrow_look(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    if (borrow_mark(engine)) {
        for (size_t i = 0; i < engine->flow_count; i++)
            route_open_events(engine->flows[i].route, count_open, NULL);
        borrow_judge(engine);
        for (size_t i = 0; i < engine->flow_count; i++)
            route_keep_batches(engine->flows[i].route, keep_batch, &engine->flows[i]);
        borrow_move(engine);
        for (size_t i = 0; i < engine->source_count; i++)
            source_touch(&engine->sources[i]); /* the charge fell */
    }
    borrow_arm(engine);
}
