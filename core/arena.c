/* arena.c: see arena.h. Chunks double in size up to 1 MiB; a larger request gets a chunk of its own. */
#include "arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"

enum { CHUNK_FIRST = 1024, CHUNK_MOST = 1 << 20, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* of data */
    bool given;        /* the caller's memory, not ours to free */
    _Alignas(16) char data[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

void arena_init_over(struct arena *arena, void *memory, size_t size)
{
    struct arena_chunk *chunk = memory;
    CHECK((uintptr_t)memory % ALIGN == 0 && size >= sizeof *chunk);
    *chunk = (struct arena_chunk){.size = size - sizeof *chunk, .given = true};
    arena_init(arena, 0);
    arena->chunks = chunk;
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        if (!chunk->given)
            free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *arena)
{
    chunks_free(arena->chunks);
    arena_init(arena, arena->limit);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;
    size_t limit = arena->limit;
    if (kept) {
        chunks_free(kept->next);
        kept->next = NULL;
        kept->used = 0;
    }
    *arena = (struct arena){.chunks = kept, .limit = limit};
    arena->reserved = kept && !kept->given ? kept->size + sizeof *kept : 0;
}

static struct arena_chunk *chunk_add(struct arena *arena, size_t size)
{
    size_t wanted = arena->chunks ? arena->chunks->size * 2 : CHUNK_FIRST;
    wanted = size_max(size, size_min(wanted, CHUNK_MOST));
    size_t room = arena->limit ? arena->limit - size_min(arena->limit, arena->reserved) : SIZE_MAX;
    if (wanted + sizeof(struct arena_chunk) > room)
        wanted = size;
    if (size > SIZE_MAX / 2 || wanted + sizeof(struct arena_chunk) > room)
        return NULL;
    struct arena_chunk *chunk = malloc(sizeof *chunk + wanted);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.next = arena->chunks, .size = wanted};
    arena->chunks = chunk;
    arena->reserved += sizeof *chunk + wanted;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct arena_chunk *chunk = arena->chunks;
    if (rounded < size || !chunk || chunk->size - chunk->used < rounded)
        chunk = rounded < size ? NULL : chunk_add(arena, rounded);
    if (!chunk) {
        arena->overflow = true;
        return NULL;
    }
    void *at = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    return at;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *at = arena_alloc(arena, size);
    if (at)
        memset(at, 0, size);
    return at;
}

weir_view arena_copy(struct arena *arena, weir_view view)
{
    if (!view.data)
        return view;
    if (!view.size)
        return view_make("", 0);
    char *at = arena_alloc(arena, view.size);
    if (!at)
        return view_make(NULL, 0);
    memcpy(at, view.data, view.size);
    return view_make(at, view.size);
}

char *arena_text(struct arena *arena, weir_view view)
{
    char *at = arena_alloc(arena, view.size + 1);
    if (!at)
        return NULL;
    if (view.size)
        memcpy(at, view.data, view.size);
    at[view.size] = '\0';
    return at;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *at = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
    if (at)
        vsnprintf(at, (size_t)size + 1, format, again);
    va_end(again);
    return at;
}

bool arena_event(struct arena *arena, weir_event *to, const weir_event *from)
{
    *to = *from;
    to->payload = arena_copy(arena, from->payload);
    to->key = arena_copy(arena, from->key);
    to->subject = arena_copy(arena, from->subject);
    to->id = arena_copy(arena, from->id);
    to->headers = NULL;
    if (!from->header_count)
        return !arena->overflow;
    weir_header *headers = arena_alloc(arena, from->header_count * sizeof *headers);
    for (size_t i = 0; headers && i < from->header_count; i++) {
        headers[i].name = arena_copy(arena, from->headers[i].name);
        headers[i].value = arena_copy(arena, from->headers[i].value);
    }
    to->headers = headers;
    return !arena->overflow;
}
