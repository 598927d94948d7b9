/* base.c: see base.h. */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "weir: %s:%d: %s: this must hold and does not: %s\n", file, line, function, condition);
    abort();
}

weir_view view_of(const char *text)
{
    return view_make(text, text ? strlen(text) : 0);
}

bool view_equal(weir_view a, weir_view b)
{
    if (!a.data || !b.data)
        return a.data == b.data;
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

bool view_is(weir_view a, const char *text)
{
    return view_equal(a, view_of(text));
}

/* CRC32C without the instruction: the reflected polynomial 0x82F63B78, four bits at a time, from a table that fits
 * into one cache line (the first 16 entries of the byte-wise table, every 16th). */
static const uint32_t crc_nibbles[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

static uint32_t crc_portable(uint32_t crc, const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
        crc = (crc >> 4) ^ crc_nibbles[crc & 15];
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const unsigned char *at, size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size; at++, size--)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_sse42(~crc, data, size);
#endif
    return ~crc_portable(~crc, data, size);
}

void random_init(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9E3779B97F4A7C15));
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        random->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Draws again what would make small results likelier. */
uint64_t random_below(struct random *random, uint64_t bound)
{
    CHECK(bound > 0);
    uint64_t unfair = (0 - bound) % bound, drawn;
    do
        drawn = random_next(random);
    while (drawn < unfair);
    return drawn % bound;
}

void put_le32(void *at, uint32_t value)
{
    unsigned char *to = at;
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

void put_le64(void *at, uint64_t value)
{
    unsigned char *to = at;
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

uint32_t get_le32(const void *at)
{
    const unsigned char *from = at;
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

uint64_t get_le64(const void *at)
{
    return get_le32(at) | (uint64_t)get_le32((const char *)at + 4) << 32;
}

void put_be64(void *at, uint64_t value)
{
    unsigned char *to = at;
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(value >> (56 - 8 * i));
}

uint64_t get_be64(const void *at)
{
    const unsigned char *from = at;
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

size_t decimal_write(char *buffer, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < count; i++)
        buffer[i] = digits[count - 1 - i];
    return count;
}
