/* block.h: what a source hands over at once: events of one shard and the memory they lie in.
 *
 * One counter for the whole block, changed on the loop thread only. Each route that was given events of it holds
 * one reference for each slice that is still open. The last reference gives the memory back. A second one counts
 * the batches whose events lie in it: while there is none, the shell may give what is open other memory (borrow.h).
 */
#ifndef WEIR_BLOCK_H
#define WEIR_BLOCK_H

#include <stdbool.h>

#include "weir.h"

struct block {
    const weir_event *events;
    size_t count;
    size_t gone;  /* so many events before events[0] are completed and have no place any more */
    size_t bytes; /* charged to the process-wide ceiling until release */
    uint32_t refs;
    uint32_t views;                       /* batches that look into it; also they hold references */
    bool leaving;                         /* the shell wants its memory back */
    void (*release)(struct block *block); /* called once, when refs falls to 0 */
    void *owner;
};

static inline const weir_event *block_event(const struct block *block, size_t index)
{
    return &block->events[index - block->gone];
}

static inline void block_hold(struct block *block)
{
    block->refs++;
}

static inline void block_drop(struct block *block)
{
    if (--block->refs == 0)
        block->release(block);
}

#endif
