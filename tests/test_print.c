/* test_print.c: what people and programs are shown: nothing that came from outside may drive a terminal, or make
 * JSON that cannot be read. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "print.h"
#include "testing.h"

static struct arena arena;
static char *text;
static size_t size;
static FILE *memory;

static void setup(void)
{
    arena_init(&arena, 0);
    memory = open_memstream(&text, &size);
}

static void teardown(void)
{
    fclose(memory);
    free(text);
    arena_fini(&arena);
}

static const char *printed(void)
{
    fflush(memory);
    return text;
}

START_TEST(test_foreign_bytes_are_escaped)
{
    static const struct {
        weir_view bytes;
        size_t max;
        const char *shown;
    } cases[] = {
        {{"plain", 5}, 10, "plain"},
        {{NULL, 0}, 10, "-"},
        {{"", 0}, 10, ""},
        {{"\033[2J", 4}, 20, "\\x1b[2J"},
        {{"a\nb\tc", 5}, 20, "a\\x0ab\\x09c"},
        {{"a\0b", 3}, 20, "a\\x00b"},
        {{"\x7f", 1}, 20, "\\x7f"},
        {{"\xc2\x9b", 2}, 20, "\\xc2\\x9b"},
        {{"gr\xc3\xbc\xc3\x9f", 6}, 10, "gr\xc3\xbc\xc3\x9f"},
        {{"\xff\xfe", 2}, 20, "\\xff\\xfe"},
        {{"\xc3", 1}, 20, "\\xc3"},
        {{"\xed\xa0\x80", 3}, 20, "\\xed\\xa0\\x80"},
        {{"\xc0\xaf", 2}, 20, "\\xc0\\xaf"},
        {{"\xf4\x90\x80\x80", 4}, 20, "\\xf4\\x90\\x80\\x80"},
        {{"\xf0\x9f\x98\x80", 4}, 1, "\xf0\x9f\x98\x80"},
        {{"0123456789", 10}, 10, "0123456789"},
        {{"0123456789x", 11}, 10, "0123456789\xe2\x80\xa6"},
        {{"\x01\x02\x03", 3}, 10, "\\x01\\x02\xe2\x80\xa6"},
        {{"\xc3\xbc\xc3\xbc\xc3\xbc", 6}, 2, "\xc3\xbc\xc3\xbc\xe2\x80\xa6"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        ck_assert_str_eq(print_safe(&arena, cases[i].bytes, cases[i].max), cases[i].shown);
}
END_TEST

START_TEST(test_whatever_comes_is_shown_printable_and_bounded)
{
    struct random random;
    random_init(&random, 7);
    for (int round = 0; round < 20000; round++) {
        char bytes[40];
        size_t count = random_below(&random, sizeof bytes + 1), max = 1 + random_below(&random, 50), columns = 0;
        for (size_t i = 0; i < count; i++)
            bytes[i] = (char)random_next(&random);
        arena_reset(&arena);
        const char *shown = print_safe(&arena, view_make(bytes, count), max);
        ck_assert(view_utf8(view_of(shown)));
        for (const unsigned char *at = (const unsigned char *)shown; *at; at++) {
            ck_assert_uint_ge(*at, 0x20);
            ck_assert_uint_ne(*at, 0x7f);
            columns += (*at & 0xc0) != 0x80;
        }
        ck_assert_uint_le(columns, max + 1); /* the mark that it was cut */
    }
}
END_TEST

START_TEST(test_sizes_times_and_durations)
{
    ck_assert_str_eq(print_size(&arena, 0), "0 B");
    ck_assert_str_eq(print_size(&arena, 1023), "1023 B");
    ck_assert_str_eq(print_size(&arena, 1536), "1.5 KiB");
    ck_assert_str_eq(print_size(&arena, UINT64_C(64) << 30), "64.0 GiB");
    ck_assert_str_eq(print_size(&arena, UINT64_C(500) << 20), "500 MiB");
    ck_assert_str_eq(print_size(&arena, UINT64_MAX), "16.0 EiB");
    ck_assert_str_eq(print_time(&arena, 0), "-");
    ck_assert_str_eq(print_time(&arena, INT64_C(1700000000123456)), "2023-11-14T22:13:20.123Z");
    ck_assert_str_eq(print_duration(&arena, 999999), "0s");
    ck_assert_str_eq(print_duration(&arena, 59000000), "59s");
    ck_assert_str_eq(print_duration(&arena, INT64_C(200) * 1000000), "3m 20s");
    ck_assert_str_eq(print_duration(&arena, INT64_C(7260) * 1000000), "2h 1m");
    ck_assert_str_eq(print_duration(&arena, INT64_C(90000) * 1000000), "1d 1h");
    ck_assert_str_eq(print_number(&arena, UINT64_MAX), "18446744073709551615");
    ck_assert_str_eq(print_hex(&arena, view_make("\x00\xab\x7f", 3)), "00ab7f");
}
END_TEST

START_TEST(test_a_printable_payload_is_shown_as_it_is)
{
    print_payload(memory, view_of("{\n\t\"a\": \"gr\xc3\xbc\xc3\x9f\"\n}"));
    ck_assert_str_eq(printed(), "{\n\t\"a\": \"gr\xc3\xbc\xc3\x9f\"\n}\n");
}
END_TEST

START_TEST(test_any_other_payload_is_shown_in_digits)
{
    print_payload(memory, view_make("\x1b[2J 0123456789abc\xff", 19));
    ck_assert_str_eq(printed(), "00000000  1b 5b 32 4a 20 30 31 32 33 34 35 36 37 38 39 61  .[2J 0123456789a\n"
                                "00000010  62 63 ff                                         bc.\n");
}
END_TEST

START_TEST(test_a_payload_with_a_return_or_a_nul_is_not_text)
{
    print_payload(memory, view_make("a\rb", 3));
    print_payload(memory, view_make("a\0b", 3));
    ck_assert_ptr_nonnull(strstr(printed(), "61 0d 62"));
    ck_assert_ptr_nonnull(strstr(printed(), "61 00 62"));
}
END_TEST

static const char *const titles[] = {"NAME", "COUNT"};

START_TEST(test_a_table_is_aligned)
{
    struct table table;
    table_init(&table, memory, titles, 2);
    table.before = "some";
    table_add(&table, (const char *const[]){"a", "1"});
    table_add(&table, (const char *const[]){"longer", NULL});
    table_add(&table, (const char *const[]){"gr\xc3\xbc\xc3\x9f", "22"});
    table_fini(&table);
    ck_assert_str_eq(printed(), "\nsome\nNAME    COUNT\na       1\nlonger  -\ngr\xc3\xbc\xc3\x9f    22\n");
}
END_TEST

START_TEST(test_an_empty_table_is_nothing)
{
    struct table table;
    table_init(&table, memory, titles, 2);
    table.before = "some";
    table_fini(&table);
    ck_assert_str_eq(printed(), "");
}
END_TEST

START_TEST(test_a_long_table_is_written_as_it_comes_with_one_line_of_titles)
{
    struct table table;
    size_t lines = 0, heads = 0;
    table_init(&table, memory, titles, 2);
    for (unsigned i = 0; i < 50000; i++) {
        table_add(&table, (const char *const[]){print_number(&table.arena, i), "x"});
        ck_assert_uint_lt(table.arena.reserved, 1u << 20);
        if (i == TABLE_ROWS_MAX)
            ck_assert_uint_gt(strlen(printed()), 0);
    }
    table_fini(&table);
    for (const char *line = printed(); *line; line = strchr(line, '\n') + 1) {
        heads += !strncmp(line, "NAME ", 5);
        lines++;
    }
    ck_assert_uint_eq(lines, 50001);
    ck_assert_uint_eq(heads, 1);
    ck_assert_ptr_nonnull(strstr(text, "\n49999  x\n"));
}
END_TEST

START_TEST(test_no_colour_but_on_a_terminal)
{
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    ck_assert(!print_coloured(memory));
    print_title(memory, "Usage");
    ck_assert_str_eq(printed(), "Usage\n");
}
END_TEST

static cJSON *member(cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

START_TEST(test_bytes_in_json)
{
    cJSON *object = cJSON_CreateObject();
    json_add_bytes(object, "absent", view_make(NULL, 0));
    json_add_bytes(object, "empty", view_make("", 0));
    json_add_bytes(object, "text", view_of("gr\xc3\xbc\xc3\x9f \"\033"));
    json_add_bytes(object, "broken", view_make("\xff\x01", 2));
    json_add_bytes(object, "nul", view_make("a\0b", 3));
    json_add_count(object, "most", UINT64_MAX);
    json_add_time(object, "time", INT64_C(1700000000123456));
    json_add_time(object, "never", 0);
    json_print(memory, object);
    ck_assert_ptr_nonnull(strstr(printed(), "18446744073709551615"));
    object = cJSON_Parse(printed());
    ck_assert(cJSON_IsNull(member(object, "absent")));
    ck_assert_str_eq(member(object, "empty")->valuestring, "");
    ck_assert_str_eq(member(object, "text")->valuestring, "gr\xc3\xbc\xc3\x9f \"\033");
    ck_assert_str_eq(member(object, "broken_hex")->valuestring, "ff01");
    ck_assert_str_eq(member(object, "nul_hex")->valuestring, "610062");
    ck_assert_ptr_null(member(object, "nul"));
    ck_assert_str_eq(member(object, "time")->valuestring, "2023-11-14T22:13:20.123456Z");
    ck_assert(cJSON_IsNull(member(object, "never")));
    cJSON_Delete(object);
}
END_TEST

START_TEST(test_a_list_is_one_document)
{
    for (int count = 0; count < 3; count++) {
        for (int with_rest = 0; with_rest < 3; with_rest++) {
            struct json_list list;
            cJSON *rest = with_rest ? cJSON_CreateObject() : NULL;
            if (with_rest == 2)
                cJSON_AddNumberToObject(rest, "n", 5);
            rewind(memory);
            json_list_open(&list, memory, "items");
            for (int i = 0; i < count; i++)
                json_list_add(&list, cJSON_CreateNumber(i));
            json_list_close(&list, rest);
            fputc(0, memory);
            cJSON *document = cJSON_Parse(printed());
            ck_assert_msg(document != NULL, "%s", text);
            ck_assert_int_eq(cJSON_GetArraySize(member(document, "items")), count);
            ck_assert_int_eq(member(document, "n") != NULL, with_rest == 2);
            cJSON_Delete(document);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("print");
    TCase *c = tcase_create("print");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_foreign_bytes_are_escaped);
    tcase_add_test(c, test_whatever_comes_is_shown_printable_and_bounded);
    tcase_add_test(c, test_sizes_times_and_durations);
    tcase_add_test(c, test_a_printable_payload_is_shown_as_it_is);
    tcase_add_test(c, test_any_other_payload_is_shown_in_digits);
    tcase_add_test(c, test_a_payload_with_a_return_or_a_nul_is_not_text);
    tcase_add_test(c, test_a_table_is_aligned);
    tcase_add_test(c, test_an_empty_table_is_nothing);
    tcase_add_test(c, test_a_long_table_is_written_as_it_comes_with_one_line_of_titles);
    tcase_add_test(c, test_no_colour_but_on_a_terminal);
    tcase_add_test(c, test_bytes_in_json);
    tcase_add_test(c, test_a_list_is_one_document);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
