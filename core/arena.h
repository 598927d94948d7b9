/* arena.h: memory of one batch: chunks, grown lazily, bounded, freed at once.
 *
 * Write freely and check the sticky `overflow` once: past the bound, or when malloc fails, alloc returns NULL and
 * sets it. Not thread-safe; it may be handed from thread to thread with its batch. */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "weir.h"

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out, over all chunks */
    size_t reserved;            /* bytes taken from malloc */
    size_t limit;               /* of reserved; 0: none */
    bool overflow;
};

void arena_init(struct arena *arena, size_t limit);
/* The same without a limit, and its first chunk is the caller's memory (aligned to 16): what fits takes no malloc.
 */
void arena_init_over(struct arena *arena, void *memory, size_t size);
void arena_fini(struct arena *arena);                /* frees every chunk; the arena may be used again */
void arena_reset(struct arena *arena);               /* forgets all, keeps one chunk; clears overflow */
void *arena_alloc(struct arena *arena, size_t size); /* aligned to 16; not zeroed */
void *arena_zalloc(struct arena *arena, size_t size);
weir_view arena_copy(struct arena *arena, weir_view view); /* absent stays absent, empty stays empty */
char *arena_text(struct arena *arena, weir_view view);     /* with a NUL at the end */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A copy of the event with everything it points to; false on overflow. */
bool arena_event(struct arena *arena, weir_event *to, const weir_event *from);

#endif
