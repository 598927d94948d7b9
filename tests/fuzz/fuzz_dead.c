/* fuzz_dead.c: any bytes as a dead letter, a vector and a key. What can be read is written as the same bytes again.
 */
#include <stdlib.h>

#include "base.h"
#include "keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void dead_round(weir_view bytes, struct arena *arena)
{
    struct dead_letter dead, again;
    weir_view written;

    if (dead_decode(bytes, arena, &dead) != WEIR_OK)
        return;
    written = dead_encode(&dead, arena);
    CHECK(written.size == bytes.size);
    CHECK(dead_decode(written, arena, &again) == WEIR_OK);
    CHECK(view_equal(dead.event.payload, again.event.payload) && view_equal(dead.cause, again.cause));
    CHECK(dead.event.header_count == again.event.header_count);
}

static void vector_round(weir_view bytes, struct arena *arena)
{
    struct route_vector vector;

    if (vector_decode(bytes, arena, &vector) == WEIR_OK)
        CHECK(vector_encode(&vector, arena).size == bytes.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_view bytes = view_make(data, size), parts[4], rest;
    struct arena arena;
    char *copy;

    arena_init(&arena, 0);
    dead_round(bytes, &arena);
    vector_round(bytes, &arena);
    CHECK(key_split(bytes, parts, 4, &rest) <= 4 && rest.size <= size);
    copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (size > 0)
        copy[0] = 1;
    dead_round(view_make(copy, size), &arena);
    vector_round(view_make(copy, size), &arena);
    free(copy);
    arena_fini(&arena);
    return 0;
}
