/* test_base.c: the numbers of base.h against slow models, and its views by table. */
#include <signal.h>
#include <stdio.h>

#include "base.h"
#include "testing.h"

/* Bit by bit, as the standard words it. */
static uint32_t crc_model(uint32_t crc, const unsigned char *at, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
    }
    return ~crc;
}

START_TEST(test_crc_is_that_of_the_standard)
{
    unsigned char bytes[32];
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xE3069283);
    ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
    memset(bytes, 0, sizeof bytes);
    ck_assert_uint_eq(crc32c(0, bytes, sizeof bytes), 0x8A9136AA); /* RFC 3720 B.4 */
    memset(bytes, 0xFF, sizeof bytes);
    ck_assert_uint_eq(crc32c(0, bytes, sizeof bytes), 0x62A8AB43);
}
END_TEST

START_TEST(test_crc_agrees_with_the_model)
{
    unsigned char bytes[256];
    struct random random;
    random_init(&random, 1);
    for (int round = 0; round < 5000; round++) {
        size_t at = random_below(&random, 16), size = random_below(&random, sizeof bytes - 16);
        uint32_t start = (uint32_t)random_next(&random);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)random_next(&random);
        uint32_t expected = crc_model(start, bytes + at, size);
        ck_assert_uint_eq(crc32c(start, bytes + at, size), expected);
        ck_assert_uint_eq(crc32c_portable(start, bytes + at, size), expected);
        size_t half = random_below(&random, size + 1);
        ck_assert_uint_eq(crc32c(crc32c(start, bytes + at, half), bytes + at + half, size - half), expected);
    }
}
END_TEST

START_TEST(test_lanes_are_fixed_and_even)
{
    size_t counts[8] = {0};
    ck_assert_uint_eq(lane_of_key(view_of("123456789"), 8), 0xE3069283u >> 29);
    ck_assert_uint_eq(lane_of_key(view_of("123456789"), 1), 0);
    ck_assert_uint_eq(lane_of_key(view_of("123456789"), 1000), (uint32_t)((UINT64_C(0xE3069283) * 1000) >> 32));
    for (int i = 0; i < 8000; i++) {
        char key[20];
        counts[lane_of_key(view_make(key, (size_t)snprintf(key, sizeof key, "device-%d", i)), 8)]++;
    }
    for (int i = 0; i < 8; i++)
        ck_assert(counts[i] > 800 && counts[i] < 1200);
}
END_TEST

/* The sequence is part of what a seed promises. */
START_TEST(test_random_is_fixed)
{
    struct random random;
    random_init(&random, 0);
    ck_assert_uint_eq(random_next(&random), UINT64_C(0x99EC5F36CB75F2B4));
    ck_assert_uint_eq(random_next(&random), UINT64_C(0xBF6E1F784956452A));
    random_init(&random, 1);
    ck_assert_uint_ne(random_next(&random), UINT64_C(0x99EC5F36CB75F2B4));
}
END_TEST

START_TEST(test_random_below_is_below_and_even)
{
    struct random random;
    size_t counts[7] = {0};
    random_init(&random, testing_seed());
    for (int i = 0; i < 70000; i++)
        counts[random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++)
        ck_assert(counts[i] > 9400 && counts[i] < 10600);
    for (int i = 0; i < 1000; i++) {
        uint64_t bound = random_next(&random) >> random_below(&random, 64);
        bound += bound == 0;
        ck_assert(random_below(&random, bound) < bound);
    }
    ck_assert_uint_eq(random_below(&random, 1), 0);
}
END_TEST

START_TEST(test_random_below_nothing_aborts)
{
    struct random random;
    random_init(&random, 1);
    random_below(&random, 0);
}
END_TEST

START_TEST(test_stored_numbers_have_a_fixed_layout)
{
    unsigned char bytes[8];
    put_le32(bytes, 0x01020304);
    ck_assert_mem_eq(bytes, "\x04\x03\x02\x01", 4);
    put_le64(bytes, UINT64_C(0x0102030405060708));
    ck_assert_mem_eq(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    put_be64(bytes, UINT64_C(0x0102030405060708));
    ck_assert_mem_eq(bytes, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
}
END_TEST

START_TEST(test_stored_numbers_come_back)
{
    struct random random;
    unsigned char a[8], b[8];
    random_init(&random, 3);
    for (int i = 0; i < 1000; i++) {
        uint64_t one = random_next(&random) >> random_below(&random, 64), two = random_next(&random);
        put_le64(a, one);
        ck_assert_uint_eq(get_le64(a), one);
        put_le32(a, (uint32_t)one);
        ck_assert_uint_eq(get_le32(a), (uint32_t)one);
        put_be64(a, one);
        put_be64(b, two);
        ck_assert_uint_eq(get_be64(a), one);
        ck_assert_int_eq(memcmp(a, b, 8) < 0, one < two);
    }
}
END_TEST

START_TEST(test_decimals)
{
    struct random random;
    random_init(&random, 4);
    for (int i = 0; i < 1000; i++) {
        char buffer[21] = "####################", expected[32];
        uint64_t value = i ? random_next(&random) >> random_below(&random, 64) : UINT64_MAX;
        int size = snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
        ck_assert_uint_eq(decimal_write(buffer, value), (size_t)size);
        ck_assert_mem_eq(buffer, expected, (size_t)size);
        ck_assert(buffer[size] == (size < 20 ? '#' : '\0'));
    }
    char one[20];
    ck_assert(decimal_write(one, 0) == 1 && one[0] == '0');
}
END_TEST

START_TEST(test_absent_and_empty_views_differ)
{
    weir_view absent = view_of(NULL), empty = view_of("");
    ck_assert(absent.data == NULL && absent.size == 0);
    ck_assert(empty.data != NULL && empty.size == 0);
    ck_assert(view_equal(absent, absent));
    ck_assert(view_equal(empty, view_make("x", 0)));
    ck_assert(!view_equal(absent, empty) && !view_equal(empty, absent));
    ck_assert(view_is(view_make("abc", 2), "ab") && !view_is(view_make("abc", 2), "abc"));
    ck_assert(!view_is(view_make("a\0b", 3), "a"));
    ck_assert(view_is(absent, NULL));
}
END_TEST

/* UTF-8 by its definition: decode, then encode the shortest way. */
static size_t utf8_model(const unsigned char *at, size_t left)
{
    size_t length = !left              ? 0
                    : at[0] < 0x80     ? 1
                    : at[0] >> 5 == 6  ? 2
                    : at[0] >> 4 == 14 ? 3
                    : at[0] >> 3 == 30 ? 4
                                       : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (length < 2 || length > left)
        return length > left ? 0 : length;
    uint32_t code = at[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        code = code << 6 | (at[i] & 0x3F);
    }
    return code >= least[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) ? length : 0;
}

START_TEST(test_utf8_agrees_with_the_model)
{
    static const unsigned char leads[] = {0x41, 0x7F, 0x80, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
                                          0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF};
    static const unsigned char others[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
    unsigned char bytes[4];
    for (size_t i = 0; i < ARRAY_COUNT(leads) * 1000; i++) {
        bytes[0] = leads[i / 1000];
        for (size_t k = 1, rest = i % 1000; k < 4; k++, rest /= 10)
            bytes[k] = others[rest % 10];
        for (size_t size = 0; size <= 4; size++)
            ck_assert_uint_eq(utf8_length((char *)bytes, (char *)bytes + size), utf8_model(bytes, size));
    }
}
END_TEST

START_TEST(test_a_broken_invariant_aborts)
{
    CHECK(view_of("").size == 0);
    CHECK(view_of("").size == 1);
}
END_TEST

struct outer {
    int before;
    int inner;
};

START_TEST(test_small_helpers)
{
    struct outer outer = {1, 2};
    int *inner = &outer.inner;
    ck_assert_ptr_eq(CONTAINER_OF(inner, struct outer, inner), &outer);
    ck_assert_uint_eq(size_min(1, 2), 1);
    ck_assert_uint_eq(size_max(1, 2), 2);
    ck_assert_int_eq(time_min(-1, 2), -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base");
    TCase *c = tcase_create("base");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_crc_is_that_of_the_standard);
    tcase_add_test(c, test_crc_agrees_with_the_model);
    tcase_add_test(c, test_lanes_are_fixed_and_even);
    tcase_add_test(c, test_random_is_fixed);
    tcase_add_test(c, test_random_below_is_below_and_even);
    tcase_add_test_raise_signal(c, test_random_below_nothing_aborts, SIGABRT);
    tcase_add_test(c, test_stored_numbers_have_a_fixed_layout);
    tcase_add_test(c, test_stored_numbers_come_back);
    tcase_add_test(c, test_decimals);
    tcase_add_test(c, test_absent_and_empty_views_differ);
    tcase_add_test(c, test_utf8_agrees_with_the_model);
    tcase_add_test_raise_signal(c, test_a_broken_invariant_aborts, SIGABRT);
    tcase_add_test(c, test_small_helpers);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
