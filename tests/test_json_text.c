/* test_json_text.c: strings and numbers of JSON text: the corners by table, escaping at random. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "testing.h"

START_TEST(test_text_table)
{
    static const struct {
        const char *raw, *text; /* text NULL: invalid */
    } cases[] = {
        {"\"\"", ""},
        {"\"abc\"", "abc"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00E4\\u20ac\"", "A\xc3\xa4\xe2\x82\xac"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf"},
        {"\"\\ud83d\"", NULL},
        {"\"\\ud83dx\"", NULL},
        {"\"\\ud83d\\u0020\"", NULL},
        {"\"\\udc00\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\\a\"", NULL},
        {"\"\\\"", NULL},
        {"\"a\"b\"", NULL},
        {"\"\n\"", NULL},
        {"\"\xe4\"", NULL},
        {"\"", NULL},
        {"abc", NULL},
        {"\"abc", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[64];
        size_t length;
        int result = json_text(view_of(cases[i].raw), text, sizeof text, &length);
        ck_assert_msg(result == (cases[i].text ? WEIR_OK : WEIR_INVALID), "%s", cases[i].raw);
        ck_assert(result != WEIR_OK || view_is(view_make(text, length), cases[i].text));
    }
}
END_TEST

START_TEST(test_text_stops_at_the_buffer)
{
    char text[4];
    size_t length;
    ck_assert_int_eq(json_text(view_of("\"abcd\""), text, 4, &length), WEIR_OK);
    ck_assert_int_eq(json_text(view_of("\"abcd\""), text, 3, &length), WEIR_FULL);
    ck_assert_int_eq(json_text(view_of("\"ab\\u20ac\""), text, 4, &length), WEIR_FULL);
    ck_assert_int_eq(json_text(view_of("\"\""), text, 0, &length), WEIR_OK);
}
END_TEST

START_TEST(test_numbers)
{
    double number;
    char text[500];
    ck_assert_int_eq(json_number(view_of("-12.5e-1"), &number), WEIR_OK);
    ck_assert(number == -1.25);
    ck_assert_int_eq(json_number(view_of("1e999"), &number), WEIR_OK);
    ck_assert(isinf(number));
    ck_assert_int_eq(json_number(view_make("12345", 2), &number), WEIR_OK);
    ck_assert(number == 12);
    static const char *const bad[] = {"", "-", "1.", "01", "1e", " 1", "1 ", "\"1\"", "inf", "0x1"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        ck_assert_int_eq(json_number(view_of(bad[i]), &number), WEIR_INVALID);
    memset(text, '1', sizeof text);
    ck_assert_int_eq(json_number(view_make(text, 400), &number), WEIR_INVALID);
    ck_assert_int_eq(json_number(view_make(text, 399), &number), WEIR_OK);
}
END_TEST

/* Every way to read a number gives what the C library gives. */
START_TEST(test_numbers_agree_with_the_library)
{
    struct random random;
    random_init(&random, testing_seed());
    for (int round = 0; round < 100000; round++) {
        char text[64];
        double number;
        uint64_t digits = random_next(&random) >> random_below(&random, 64);
        int size =
            snprintf(text, sizeof text, "%s%llu", random_below(&random, 2) ? "-" : "", (unsigned long long)digits);
        if (random_below(&random, 3))
            size += snprintf(text + size, sizeof text - (size_t)size, ".%0*llu", 1 + (int)random_below(&random, 12),
                             (unsigned long long)random_below(&random, 100000));
        if (random_below(&random, 3) == 0)
            size += snprintf(text + size, sizeof text - (size_t)size, "e%d", (int)random_below(&random, 700) - 350);
        ck_assert_msg(json_number(view_make(text, (size_t)size), &number) == WEIR_OK, "%s", text);
        ck_assert_msg(number == strtod(text, NULL), "%s: %.17g", text, number);
    }
}
END_TEST

/* Whatever is escaped becomes a valid string that reads back as it was, but for what was not UTF-8. */
START_TEST(test_what_is_escaped_comes_back)
{
    struct random random;
    random_init(&random, 4);
    for (int round = 0; round < 3000; round++) {
        char bytes[40], quoted[6 * 40 + 2], back[6 * 40];
        size_t size = random_below(&random, sizeof bytes), length;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(random_below(&random, 4) ? random_below(&random, 128) : random_below(&random, 256));
        quoted[0] = '"';
        size_t took = json_escape(view_make(bytes, size), quoted + 1, sizeof quoted - 2);
        ck_assert_uint_le(took, 6 * size);
        quoted[took + 1] = '"';
        weir_view raw = view_make(quoted, took + 2);
        ck_assert(json_check(raw));
        ck_assert_int_eq(json_text(raw, back, sizeof back, &length), WEIR_OK);
        const char *from = bytes, *to = back;
        while (from < bytes + size) {
            size_t good = utf8_length(from, bytes + size);
            ck_assert(memcmp(to, good ? from : "\xef\xbf\xbd", good ? good : 3) == 0);
            from += good ? good : 1;
            to += good ? good : 3;
        }
        ck_assert_ptr_eq(to, back + length);
    }
}
END_TEST

START_TEST(test_escape_is_bounded)
{
    char buffer[8] = "#######";
    ck_assert_uint_eq(json_escape(view_of("a\"\n\x01\xff"), NULL, 0), 1 + 2 + 2 + 6 + 3);
    ck_assert_uint_eq(json_escape(view_of("a\"\n"), buffer, 3), 5);
    ck_assert_str_eq(buffer, "a\\\"####");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json_text");
    TCase *c = tcase_create("json_text");
    tcase_add_test(c, test_text_table);
    tcase_add_test(c, test_text_stops_at_the_buffer);
    tcase_add_test(c, test_numbers);
    tcase_add_test(c, test_numbers_agree_with_the_library);
    tcase_add_test(c, test_what_is_escaped_comes_back);
    tcase_add_test(c, test_escape_is_bounded);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
