/* borrow.h: the memory of a replaying source's blocks, and how it goes back before the last event is completed. */
#ifndef WEIR_BORROW_H
#define WEIR_BORROW_H

#include "arena.h"
#include "block.h"
#include "list.h"
#include "shell.h"

#define BORROW_US 100000

/* One block: the source's memory until release(owner), or a copy in `arena`. */
struct emitted {
    struct block block;
    struct engine *engine;
    struct arena arena;
    void *owner;
    void (*release)(void *owner); /* NULL: nothing is borrowed */
    struct list node;             /* in engine->borrowed, oldest first, while its memory may be worth having back */
    int64_t since_us;
    size_t event_bytes; /* of one event, on the average */
    /* While it is leaving: */
    size_t open_bytes, low, high; /* open events lie in [low .. high) of the block */
    weir_event *moved;            /* [high - low]: where they go */
    uint8_t *copied;              /* [high - low]: another route had it open too */
    struct arena room;            /* what they lie in */
};

/* It has its memory, its counts and a reference: charges it, and looks after it from now on. */
void borrow_begin(struct emitted *emitted, size_t event_bytes);
void borrow_init(struct engine *engine);

#endif
