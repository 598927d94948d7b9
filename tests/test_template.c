/* test_template.c: templates render what they say, at every size of the buffer, and refuse what nobody could mean.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base.h"
#include "clock.h"
#include "template.h"
#include "testing.h"

static weir_header headers[] = {{{"h", 1}, {"head", 4}}};
static weir_event events[2];
static weir_batch batch;

static void setup(void)
{
    events[0] = (weir_event){.key = view_of("d1"),
                             .subject = view_of("site/7/temp"),
                             .headers = headers,
                             .header_count = 1,
                             .time_us = INT64_C(1795488010123456),
                             .position = 42,
                             .payload = view_of("{\"t\":21.5,\"s\":\"a\\nb\"}")};
    events[1] = (weir_event){.position = 43, .time_us = -1};
    batch = (weir_batch){.size = sizeof batch,
                         .events = events,
                         .count = 2,
                         .source = view_of("src"),
                         .shard = view_of("sh"),
                         .id_prefix = view_of("p")};
}

static weir_template *parsed(const char *text)
{
    struct error error = {.text = ""};
    weir_template *pattern = NULL;
    ck_assert_msg(template_parse(text, &pattern, &error) == WEIR_OK, "%s: %s", text, error.text);
    return pattern;
}

static int rendering(const char *text, size_t i, char *buffer, size_t size)
{
    weir_template *pattern = parsed(text);
    size_t length;
    int result = template_render(pattern, &batch, i, buffer, size, &length);
    ck_assert(result != WEIR_OK || length == strlen(buffer));
    template_free(pattern);
    return result;
}

START_TEST(test_render_table)
{
    static const struct {
        const char *text;
        size_t event;
        const char *shown; /* NULL: rejected */
    } cases[] = {
        {"", 0, ""},
        {"plain", 0, "plain"},
        {"a }} b } { c", 0, "a }} b } { c"},
        {"{{key}}", 0, "d1"},
        {"x/{{key}}/{{topic[1]}}/y", 0, "x/d1/7/y"},
        {"{{ key }}{{id}}{{position}}", 0, "d1p/4242"},
        {"{{headers.h}}-{{source}}-{{shard}}", 0, "head-src-sh"},
        {"{{payload.t}} {{payload.s}}", 0, "21.5 a\nb"},
        {"{{payload}}", 0, "{\"t\":21.5,\"s\":\"a\\nb\"}"},
        {"{\"k\":\"{{key}}\",\"n\":{{position}}}", 0, "{\"k\":\"d1\",\"n\":42}"},
        {"{{time}}", 0, "2026-11-24T02:40:10.123456Z"},
        {"{{time:%Y-%m-%d}}/{{time:%H}}", 0, "2026-11-24/02"},
        {"{{time:%d.%m.%Y %H:%M:%S %j %% %Z}}", 0, "24.11.2026 02:40:10 328 % GMT"},
        {"{{time:%F %T}}", 1, "1969-12-31 23:59:59"},
        {"{{key}}", 1, NULL},
        {"{{key|none}}", 1, "none"},
        {"{{key|}}", 1, ""},
        {"{{key| a b }}", 1, " a b "},
        {"{{key|a|b}}", 1, "a|b"},
        {"{{key|none}}", 0, "d1"},
        {"{{payload.x}}", 0, NULL},
        {"{{payload.x|0}}", 0, "0"},
        {"{{payload.x|0}}", 1, "0"},
        {"{{payload.x}}", 1, NULL},
    };
    char buffer[200];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int result = rendering(cases[i].text, cases[i].event, buffer, sizeof buffer);
        ck_assert_msg(result == (cases[i].shown ? WEIR_OK : WEIR_REJECT), "%s: %d", cases[i].text, result);
        if (cases[i].shown)
            ck_assert_str_eq(buffer, cases[i].shown);
    }
}
END_TEST

START_TEST(test_faults_say_where_and_what_is_allowed)
{
    static const struct {
        const char *text, *column, *hint;
    } cases[] = {
        {"{{", "column 1: ", "{{ without }}"},
        {"ab{{key", "column 3: ", "{{ without }}"},
        {"{{key}} {{id", "column 9: ", "{{ without }}"},
        {"{{}}", "column 1: ", "headers.NAME"},
        {"x{{kye}}", "column 2: ", "\"kye\" is not a field; one of id, key"},
        {"{{key {{id}}", "column 1: ", "is not a field"},
        {"{{key}}{{|x}}", "column 8: ", "is not a field"},
        {"{{seq}}", "column 1: ", "is not a field"},
        {"{{time:}}", "column 1: ", "for example {{time:%Y-%m-%d}}"},
        {"{{time:%Q}}", "column 1: ", "knows no %Q; allowed is % and one of aAb"},
        {"{{time:%Y%}}", "column 1: ", "knows no %; allowed"},
        {"{{time:%s}}", "column 1: ", "knows no %s"},
        {"{{time:%%%}}", "column 1: ", "knows no %"},
        {"{{time:012345678901234567890123456789012345678901234567890123456789012345678901234567890}}",
         "column 1: ", "longer than 80"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        weir_template *pattern = NULL;
        struct error error;
        ck_assert_msg(template_parse(cases[i].text, &pattern, &error) == WEIR_INVALID, "%s", cases[i].text);
        ck_assert_ptr_null(pattern);
        ck_assert_msg(strncmp(error.text, cases[i].column, strlen(cases[i].column)) == 0, "%s", error.text);
        ck_assert_msg(strstr(error.text, cases[i].hint) != NULL, "%s", error.text);
    }
    weir_template *pattern = NULL;
    ck_assert_int_eq(template_parse("{{nothing}}", &pattern, NULL), WEIR_INVALID);
    template_free(NULL);
}
END_TEST

START_TEST(test_own_names)
{
    static const char *const own[] = {"seq", "random", NULL};
    weir_template *pattern = NULL;
    struct error error;
    char buffer[100];
    struct template_target target = {.buffer = buffer, .size = sizeof buffer};
    const weir_view values[] = {view_of("17"), view_of("0.5")};
    ck_assert_int_eq(template_parse_with("{{random}} {{key}} {{seq}} {{ seq }}", own, &pattern, &error), WEIR_OK);
    ck_assert_int_eq(template_render_with(pattern, &batch, 0, values, &target), WEIR_OK);
    ck_assert_str_eq(buffer, "0.5 d1 17 17");
    ck_assert_uint_eq(target.length, strlen(buffer));
    ck_assert_ptr_null(template_constant(pattern));
    size_t length; /* a rendering without them: they are missing */
    ck_assert_int_eq(template_render(pattern, &batch, 0, buffer, sizeof buffer, &length), WEIR_REJECT);
    template_free(pattern);
    ck_assert_int_eq(template_parse_with("{{seq|none}}", own, &pattern, &error), WEIR_OK);
    ck_assert_int_eq(template_render(pattern, &batch, 0, buffer, sizeof buffer, &length), WEIR_OK);
    ck_assert_str_eq(buffer, "none");
    template_free(pattern);
    ck_assert_int_eq(template_parse_with("{{sequence}}", own, &pattern, &error), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "payload.a.b[0], seq, random"));
}
END_TEST

START_TEST(test_constants_and_prefixes)
{
    static const struct {
        const char *text;
        bool constant;
        const char *prefix;
    } cases[] = {{"", true, ""},
                 {"a/b", true, "a/b"},
                 {"a/{{key}}", false, "a/"},
                 {"{{key}}/a", false, ""},
                 {"{{time:%Y}}", false, ""}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        weir_template *pattern = parsed(cases[i].text);
        const char *constant = template_constant(pattern);
        ck_assert_int_eq(constant != NULL, cases[i].constant);
        if (constant)
            ck_assert_str_eq(constant, cases[i].text);
        ck_assert(view_is(template_prefix(pattern), cases[i].prefix));
        template_free(pattern);
    }
}
END_TEST

START_TEST(test_every_size_of_the_buffer)
{
    weir_template *pattern = parsed("to/{{key}}/{{id}}/{{time:%Y}}/{{payload.s}}!");
    char whole[100], part[100];
    size_t length, again;
    ck_assert_int_eq(template_render(pattern, &batch, 0, whole, sizeof whole, &length), WEIR_OK);
    for (size_t size = 0; size < sizeof part; size++) {
        memset(part, '#', sizeof part);
        ck_assert_int_eq(template_render(pattern, &batch, 0, part, size, &again), WEIR_OK);
        ck_assert_uint_eq(again, length);
        ck_assert_int_eq(part[size], '#');
        if (size)
            ck_assert(strlen(part) == size_min(size - 1, length) && memcmp(part, whole, strlen(part)) == 0);
    }
    ck_assert_int_eq(template_render(pattern, &batch, 0, NULL, 0, &again), WEIR_OK);
    ck_assert_uint_eq(again, length);
    template_free(pattern);
}
END_TEST

/* Random parts: the text is what the parts are, one after another. */
START_TEST(test_random_parts)
{
    static const struct {
        const char *text, *shown;
    } parts[] = {{"a", "a"},
                 {"/", "/"},
                 {"{", "{"},
                 {" ", " "},
                 {"{{key}}", "d1"},
                 {"{{position}}", "42"},
                 {"{{id}}", "p/42"},
                 {"{{headers.no|-}}", "-"},
                 {"{{payload.t}}", "21.5"},
                 {"{{payload.s}}", "a\nb"},
                 {"{{time:%Y}}", "2026"}};
    struct random random;
    random_init(&random, testing_seed());
    for (int round = 0; round < 3000; round++) {
        char text[400] = "", expected[400] = "", buffer[400];
        for (size_t left = random_below(&random, 12); left > 0; left--) {
            size_t pick = random_below(&random, ARRAY_COUNT(parts));
            if (strcmp(parts[pick].text, "{") == 0 && left > 1)
                continue; /* { before {{ would be another text */
            strcat(text, parts[pick].text);
            strcat(expected, parts[pick].shown);
        }
        ck_assert_int_eq(rendering(text, 0, buffer, sizeof buffer), WEIR_OK);
        ck_assert_str_eq(buffer, expected);
    }
}
END_TEST

START_TEST(test_times_agree_with_the_library)
{
    /* as a variable: a compiler warns of years in two digits */
    char text[100], format[] = "%a %A %b %B %C %d %D %e %F %g %G %H %I %j %k %l %m %M %p %P %r %R %S %T %u";
    snprintf(text, sizeof text, "{{time:%s}}", format);
    struct random random;
    weir_template *pattern = parsed(text);
    random_init(&random, 5);
    for (int round = 0; round < 2000; round++) {
        char buffer[1000], expected[1000];
        size_t length;
        struct tm tm;
        time_t seconds = (time_t)random_below(&random, UINT64_C(8000000000)) - 4000000000;
        events[0].time_us = (int64_t)seconds * SECOND_US + (int64_t)random_below(&random, SECOND_US);
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, format, &tm);
        ck_assert_int_eq(template_render(pattern, &batch, 0, buffer, sizeof buffer, &length), WEIR_OK);
        ck_assert_str_eq(buffer, expected);
    }
    template_free(pattern);
}
END_TEST

/* The longest format there may be still gives its text, at the ends of time too. */
START_TEST(test_the_longest_time_is_not_lost)
{
    char text[200] = "{{time:", buffer[4000];
    size_t length;
    for (int i = 0; i < 40; i++)
        strcat(text, "%A");
    strcat(text, "}}");
    weir_template *pattern = parsed(text);
    static const int64_t times[] = {0, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        events[0].time_us = times[i];
        ck_assert_int_eq(template_render(pattern, &batch, 0, buffer, sizeof buffer, &length), WEIR_OK);
        ck_assert_uint_ge(length, 40 * strlen("Friday"));
    }
    template_free(pattern);
}
END_TEST

/* More than the scratch on the stack holds. */
START_TEST(test_large_values)
{
    enum { SIZE = 100000 };
    char *payload = malloc(SIZE + 20), *buffer = malloc(SIZE + 20);
    size_t length, size = (size_t)sprintf(payload, "{\"s\":\"\\n");
    memset(payload + size, 'x', SIZE);
    strcpy(payload + size + SIZE, "\"}");
    events[0].payload = view_of(payload);
    weir_template *pattern = parsed("{{payload.s}}{{payload.s}}");
    ck_assert_int_eq(template_render(pattern, &batch, 0, buffer, SIZE + 20, &length), WEIR_OK);
    ck_assert_uint_eq(length, 2 * (SIZE + 1));
    ck_assert(buffer[0] == '\n' && buffer[1] == 'x' && buffer[SIZE] == 'x' && buffer[SIZE + 1] == '\n');
    template_free(pattern);
    free(payload);
    free(buffer);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("template");
    TCase *c = tcase_create("template");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, test_render_table);
    tcase_add_test(c, test_faults_say_where_and_what_is_allowed);
    tcase_add_test(c, test_own_names);
    tcase_add_test(c, test_constants_and_prefixes);
    tcase_add_test(c, test_every_size_of_the_buffer);
    tcase_add_test(c, test_random_parts);
    tcase_add_test(c, test_times_agree_with_the_library);
    tcase_add_test(c, test_the_longest_time_is_not_lost);
    tcase_add_test(c, test_large_values);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
