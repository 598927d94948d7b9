/* base.h: what every file may use: views, bounds, assertions, a hash, a seeded generator. No I/O, no state. */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "weir.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define UNUSED(x) ((void)(x))

/* An invariant of our own does not hold: says where and aborts. Stays on in releases. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__, __func__))
void check_failed(const char *condition, const char *file, int line, const char *function)
    __attribute__((noreturn));

/* "1 source", "2 sources" */
static inline const char *plural_s(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline int64_t time_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Views. view_of(NULL) is the absent view. */
weir_view view_of(const char *text);
static inline weir_view view_make(const void *data, size_t size)
{
    weir_view view = {(const char *)data, size};
    return view;
}
bool view_equal(weir_view a, weir_view b);
bool view_is(weir_view a, const char *text);

/* The length of the valid UTF-8 sequence (RFC 3629) at the start of at..end, 0 if there is none. */
size_t utf8_length(const char *at, const char *end);

/* CRC32C (Castagnoli, RFC 3720 appendix B.4): start with 0, feed parts in order. Uses SSE4.2 where present. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size); /* the same, without the instruction */

/* Lane of a key, as stored formats fix it: high 32 bits of crc32c(key) * lanes. */
static inline uint32_t lane_of_key(weir_view key, uint32_t lanes)
{
    return (uint32_t)(((uint64_t)crc32c(0, key.data, key.size) * lanes) >> 32);
}

/* xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: the same seed gives the same sequence everywhere. */
struct random {
    uint64_t state[4];
};
void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound); /* 0 <= r < bound; bound > 0 */

/* Little-endian numbers in stored formats; big-endian where a key must sort. */
void put_le32(void *at, uint32_t value);
void put_le64(void *at, uint64_t value);
uint32_t get_le32(const void *at);
uint64_t get_le64(const void *at);
void put_be64(void *at, uint64_t value);
uint64_t get_be64(const void *at);

/* Writes the decimal digits of value without NUL, returns their count; buffer holds at least 20. */
size_t decimal_write(char *buffer, uint64_t value);

#endif
