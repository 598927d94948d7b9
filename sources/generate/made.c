/* made.c: see made.h. */
#include "made.h"

#include <stdlib.h>

void made_free(struct made *made)
{
    while (made) {
        struct made *next = made->next;
        free(made->text);
        free(made);
        made = next;
    }
}

struct made *made_new(struct made_pool *pool, size_t text_bytes)
{
    struct made *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->pool = pool;
    if (!pool->constant.data) {
        made->text_room = size_min(text_bytes, TEXT_BYTES_MAX);
        made->text = malloc(made->text_room);
        if (!made->text) {
            free(made);
            return NULL;
        }
    }
    for (size_t i = 0; i < BLOCK_EVENTS; i++)
        made->events[i].payload = pool->constant;
    return made;
}

struct made *made_take(struct made_pool *pool, size_t text_bytes)
{
    if (!pool->spare)
        pool->spare = atomic_exchange(&pool->returned, NULL);
    struct made *made = pool->spare;
    if (!made)
        return made_new(pool, text_bytes);
    pool->spare = made->next;
    return made;
}

/* Any thread. Blocks are taken back all at once, so the head cannot come again while it is looked at. */
void made_release(void *owner)
{
    struct made *made = owner;
    struct made_pool *pool = made->pool;
    made->next = atomic_load(&pool->returned);
    while (!atomic_compare_exchange_weak(&pool->returned, &made->next, made)) {
    }
}

void made_give(struct made *made)
{
    made->next = made->pool->spare;
    made->pool->spare = made;
}

void made_fini(struct made_pool *pool)
{
    made_free(pool->spare);
    made_free(atomic_exchange(&pool->returned, NULL));
}
