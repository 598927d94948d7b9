/* vector.c: the checkpoint of one route and shard <-> bytes (keys.h).
 *
 * Layout, little-endian: version u8, zeros u8[3], lanes u32, ranges u32, zeros u32; positions u64[lanes]; ranges
 * u64[ranges][2]. */
#include "keys.h"

#define VECTOR_VERSION 1
#define VECTOR_HEAD 16

weir_view vector_encode(const struct route_vector *vector, struct arena *arena)
{
    size_t size = VECTOR_HEAD + 8 * vector->lanes + 16 * vector->range_count;
    char *to = arena_zalloc(arena, size), *at;

    if (!to)
        return view_make(NULL, 0);
    at = to + VECTOR_HEAD;
    to[0] = VECTOR_VERSION;
    put_le32(to + 4, vector->lanes);
    put_le32(to + 8, (uint32_t)vector->range_count);
    for (uint32_t i = 0; i < vector->lanes; i++, at += 8)
        put_le64(at, vector->positions[i]);
    for (size_t i = 0; i < vector->range_count; i++, at += 16) {
        put_le64(at, vector->ranges[i][0]);
        put_le64(at + 8, vector->ranges[i][1]);
    }
    return view_make(to, size);
}

/* Finished ranges ascend, and lie above the base. */
static bool ranges_ascend(const uint64_t (*ranges)[2], size_t count, uint64_t base)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i][0] <= base || ranges[i][1] < ranges[i][0])
            return false;
        base = ranges[i][1];
    }
    return true;
}

int vector_decode(weir_view bytes, struct arena *arena, struct route_vector *vector)
{
    uint64_t lanes, range_count, *numbers;
    const char *at;

    if (bytes.size < VECTOR_HEAD || bytes.data[0] == 0)
        return WEIR_DAMAGED;
    if ((uint8_t)bytes.data[0] > VECTOR_VERSION)
        return WEIR_NEWER;
    lanes = get_le32(bytes.data + 4);
    range_count = get_le32(bytes.data + 8);
    if (lanes == 0 || lanes > ROUTE_LANES_MAX || bytes.size != VECTOR_HEAD + 8 * lanes + 16 * range_count)
        return WEIR_DAMAGED;
    numbers = arena_alloc(arena, 8 * lanes + 16 * range_count);
    if (!numbers)
        return WEIR_NOMEM;
    at = bytes.data + VECTOR_HEAD;
    for (size_t i = 0; i < lanes + 2 * range_count; i++, at += 8)
        numbers[i] = get_le64(at);
    vector->lanes = (uint32_t)lanes;
    vector->positions = numbers;
    vector->ranges = (const uint64_t(*)[2])(const void *)(numbers + lanes);
    vector->range_count = range_count;
    return ranges_ascend(vector->ranges, range_count, numbers[0]) ? WEIR_OK : WEIR_DAMAGED;
}
