/* borrow.h: the memory of blocks, and how it goes back before their last event is completed. */
#ifndef WEIR_BORROW_H
#define WEIR_BORROW_H

#include "arena.h"
#include "block.h"
#include "list.h"
#include "shell.h"

#define BORROW_US 100000

/* A block and where it lies: what `give_back` returns, or a copy in `arena`, or both. */
struct lent {
    struct block block;
    struct engine *engine;
    struct arena arena;
    void (*give_back)(struct lent *lent); /* called once; NULL: nothing is to be returned */
    struct list node; /* in engine->lent, oldest first, while its memory may be worth having back */
    int64_t since_us;
    size_t event_bytes; /* of one event, on the average */
    /* While it is leaving: */
    size_t open_bytes, low, high; /* open events lie in [low .. high) of the block */
    weir_event *moved;            /* [high - low]: where they go */
    uint8_t *copied;              /* [high - low]: another route had it open too */
    struct arena room;            /* what they lie in */
};

void lent_init(struct lent *lent, struct engine *engine);
void lent_watch(struct lent *lent); /* only routes have it now: its memory may move from now on */
void lent_end(struct lent *lent);   /* the last reference is gone: gives everything back, and the charge */
void borrow_init(struct engine *engine);

#endif
