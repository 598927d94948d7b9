/* crc32c.c: CRC32C (Castagnoli, RFC 3720 appendix B.4), by the SSE4.2 instruction or, without it, eight bytes at a
 * time from tables ("slicing by 8": Kounavis, Berry, "A Systematic Approach to Building High Performance
 * Software-based CRC Generators", 2005).
 *
 * The tables are linear: the entry of a byte is the sum (xor) of the entries of its bits. So eight numbers make a
 * table of 256, at compile time, and all of it is constant data. */
#include "base.h"

#define ONE(n, a, b, c, d, e, f, g, h)                                                                             \
    (((n)&1 ? (a) : 0u) ^ ((n)&2 ? (b) : 0u) ^ ((n)&4 ? (c) : 0u) ^ ((n)&8 ? (d) : 0u) ^ ((n)&16 ? (e) : 0u) ^     \
     ((n)&32 ? (f) : 0u) ^ ((n)&64 ? (g) : 0u) ^ ((n)&128 ? (h) : 0u))
#define FOUR(n, ...)                                                                                               \
    ONE(n, __VA_ARGS__), ONE((n) + 1, __VA_ARGS__), ONE((n) + 2, __VA_ARGS__), ONE((n) + 3, __VA_ARGS__)
#define SIXTEEN(n, ...)                                                                                            \
    FOUR(n, __VA_ARGS__), FOUR((n) + 4, __VA_ARGS__), FOUR((n) + 8, __VA_ARGS__), FOUR((n) + 12, __VA_ARGS__)
#define SIXTY_FOUR(n, ...)                                                                                         \
    SIXTEEN(n, __VA_ARGS__), SIXTEEN((n) + 16, __VA_ARGS__), SIXTEEN((n) + 32, __VA_ARGS__),                       \
        SIXTEEN((n) + 48, __VA_ARGS__)
#define ALL(...)                                                                                                   \
    {                                                                                                              \
        SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__), SIXTY_FOUR(128, __VA_ARGS__),                     \
            SIXTY_FOUR(192, __VA_ARGS__)                                                                           \
    }

/* Table k: what a byte does to the sum when k more bytes follow it. */
static const uint32_t tables[8][256] = {
    ALL(0xF26B8303, 0xE13B70F7, 0xC79A971F, 0x8AD958CF, 0x105EC76F, 0x20BD8EDE, 0x417B1DBC, 0x82F63B78),
    ALL(0x13A29877, 0x274530EE, 0x4E8A61DC, 0x9D14C3B8, 0x3FC5F181, 0x7F8BE302, 0xFF17C604, 0xFBC3FAF9),
    ALL(0xA541927E, 0x4F6F520D, 0x9EDEA41A, 0x38513EC5, 0x70A27D8A, 0xE144FB14, 0xC76580D9, 0x8B277743),
    ALL(0xDD45AAB8, 0xBF672381, 0x7B2231F3, 0xF64463E6, 0xE964B13D, 0xD725148B, 0xABA65FE7, 0x52A0C93F),
    ALL(0x38116FAC, 0x7022DF58, 0xE045BEB0, 0xC5670B91, 0x8F2261D3, 0x1BA8B557, 0x37516AAE, 0x6EA2D55C),
    ALL(0xEF306B19, 0xDB8CA0C3, 0xB2F53777, 0x6006181F, 0xC00C303E, 0x85F4168D, 0x0E045BEB, 0x1C08B7D6),
    ALL(0x68032CC8, 0xD0065990, 0xA5E0C5D1, 0x4E2DFD53, 0x9C5BFAA6, 0x3D5B83BD, 0x7AB7077A, 0xF56E0EF4),
    ALL(0x493C7D27, 0x9278FA4E, 0x211D826D, 0x423B04DA, 0x847609B4, 0x0D006599, 0x1A00CB32, 0x34019664),
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;
    crc = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint32_t low = crc ^ get_le32(at), high = get_le32(at + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^
              tables[0][high >> 24];
    }
    for (; size; at++, size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const unsigned char *at, size_t size)
{
    uint64_t wide = ~crc;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size; at++, size--)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return ~crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return crc_sse42(crc, data, size);
#endif
    return crc32c_portable(crc, data, size);
}
