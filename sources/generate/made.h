/* made.h: the blocks of the source `generate`: lent with their events, and used again when they come back. */
#ifndef WEIR_GENERATE_MADE_H
#define WEIR_GENERATE_MADE_H

#include <stdatomic.h>

#include "base.h"

enum {
    BLOCK_EVENTS = 512,      /* a block fits into the second level cache */
    TEXT_BYTES_MAX = 1 << 18 /* payloads of a block, unless one is larger */
};

struct made_pool {
    struct made *spare;
    _Atomic(struct made *) returned; /* by any thread */
    weir_view constant;              /* the payload of all events; absent: each has its own */
};

struct made {
    struct made *next;
    struct made_pool *pool;
    size_t text_used, text_room;
    char *text;
    weir_event events[BLOCK_EVENTS];
};

/* text_bytes: for a start, where each event has its own payload. NULL: out of memory. */
struct made *made_new(struct made_pool *pool, size_t text_bytes);
struct made *made_take(struct made_pool *pool, size_t text_bytes);
void made_free(struct made *made); /* and all behind it */
void made_give(struct made *made); /* not lent after all */
void made_release(void *made);     /* any thread */
void made_fini(struct made_pool *pool);

#endif
