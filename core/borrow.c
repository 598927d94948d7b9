/* borrow.c: see borrow.h. A block is charged whole until its last event is released, and a borrowed one pins what
 * the source lent: for a log's client, a whole fetch. So one event that is stuck must not hold all of it.
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

static struct emitted *emitted_of(struct block *block)
{
    return CONTAINER_OF(block, struct emitted, block);
}

static void emitted_give_back(struct emitted *emitted)
{
    memory_give(emitted->engine, emitted->block.bytes);
    if (emitted->release)
        emitted->release(emitted->owner);
    arena_fini(&emitted->arena);
}

static void emitted_end(struct block *block)
{
    struct emitted *emitted = emitted_of(block);
    list_remove(&emitted->node);
    emitted_give_back(emitted);
    free(emitted);
}

static void borrow_look(uv_timer_t *timer);

static void borrow_arm(struct engine *engine)
{
    if (!list_empty(&engine->borrowed) && !uv_is_active((uv_handle_t *)&engine->borrow_timer))
        uv_timer_start(&engine->borrow_timer, borrow_look, BORROW_US / MILLISECOND_US, 0);
}

void borrow_begin(struct emitted *emitted, size_t event_bytes)
{
    emitted->block.release = emitted_end;
    emitted->event_bytes = event_bytes;
    emitted->since_us = clock_mono_us();
    list_init(&emitted->node);
    list_append(&emitted->engine->borrowed, &emitted->node);
    memory_take(emitted->engine, emitted->block.bytes);
    borrow_arm(emitted->engine);
}

void borrow_init(struct engine *engine)
{
    list_init(&engine->borrowed);
    uv_timer_init(&engine->loop, &engine->borrow_timer);
    engine->borrow_timer.data = engine;
}

/* Each reference stands for one event at least. */
static bool emitted_worth(const struct emitted *emitted)
{
    const struct block *block = &emitted->block;
    return (block->refs - block->views) * (emitted->event_bytes + sizeof(weir_event)) <= block->bytes / LITTLE;
}

/* 1. */
static bool borrow_mark(struct engine *engine)
{
    int64_t before = clock_mono_us() - BORROW_US;
    bool any = false;
    LIST_EACH(emitted, &engine->borrowed, struct emitted, node)
    {
        if (emitted->since_us > before)
            break;
        emitted->block.leaving = emitted_worth(emitted);
        emitted->open_bytes = emitted->high = 0;
        emitted->low = SIZE_MAX;
        any |= emitted->block.leaving;
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
    struct emitted *emitted = emitted_of(block);
    UNUSED(arg);
    emitted->low = size_min(emitted->low, first);
    emitted->high = size_max(emitted->high, first + count);
    for (size_t i = 0; i < count; i++)
        emitted->open_bytes += event_bytes_whole(block_event(block, first + i));
}

static void borrow_judge(struct engine *engine)
{
    LIST_EACH(emitted, &engine->borrowed, struct emitted, node)
    {
        size_t places = emitted->high - size_min(emitted->low, emitted->high);
        size_t left = emitted->open_bytes + places * sizeof(weir_event);
        emitted->block.leaving &= left <= emitted->block.bytes / LITTLE;
    }
}

/* 3. */
static bool keep_batch(void *arg, struct route_batch *route)
{
    return batch_keep(flow_take(arg, route));
}

/* 4. */
static bool room_make(struct emitted *emitted)
{
    size_t places = emitted->high - size_min(emitted->low, emitted->high);
    arena_init(&emitted->room, 0);
    emitted->moved = arena_zalloc(&emitted->room, size_max(places, 1) * sizeof *emitted->moved);
    emitted->copied = calloc(size_max(places, 1), 1);
    return emitted->moved && emitted->copied;
}

static void room_drop(struct emitted *emitted)
{
    arena_fini(&emitted->room);
    free(emitted->copied);
    emitted->moved = NULL;
    emitted->copied = NULL;
}

static void copy_open(void *arg, struct block *block, size_t first, size_t count)
{
    struct emitted *emitted = emitted_of(block);
    UNUSED(arg);
    for (size_t i = first; i < first + count; i++) {
        size_t place = i - emitted->low;
        if (!emitted->copied[place])
            arena_event(&emitted->room, &emitted->moved[place], block_event(block, i));
        emitted->copied[place] = 1;
    }
}

static void emitted_move(struct emitted *emitted)
{
    emitted_give_back(emitted);
    emitted->release = NULL;
    emitted->arena = emitted->room;
    arena_init(&emitted->room, 0);
    emitted->block.events = emitted->moved;
    emitted->block.gone = emitted->low;
    emitted->block.bytes = emitted->arena.reserved;
    memory_take(emitted->engine, emitted->block.bytes);
    list_remove(&emitted->node);
}

static void borrow_move(struct engine *engine)
{
    LIST_EACH(emitted, &engine->borrowed, struct emitted, node)
    {
        struct block *block = &emitted->block;
        block->leaving = block->leaving && !block->views && room_make(emitted);
    }
    for (size_t i = 0; i < engine->flow_count; i++)
        route_open_events(engine->flows[i].route, copy_open, NULL);
    for (struct list *at = engine->borrowed.next, *next; at != &engine->borrowed; at = next) {
        struct emitted *emitted = CONTAINER_OF(at, struct emitted, node);
        next = at->next;
        if (emitted->block.leaving && !emitted->room.overflow)
            emitted_move(emitted);
        emitted->block.leaving = false;
        room_drop(emitted);
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
