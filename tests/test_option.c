/* test_option.c: values, every type of row, groups, secrets, help. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "config_kit.h"
#include "field.h"
#include "template.h"

static char folder[PATH_MAX];
static struct arena arena;
static struct yaml_report report;

static void setup(void)
{
    config_kit_enter(folder);
    arena_init(&arena, 0);
    memset(&report, 0, sizeof(report));
}

static void teardown(void)
{
    yaml_report_fini(&report);
    arena_fini(&arena);
    config_kit_leave();
}

/* One member of each type. */
struct all {
    const char *text, *secret, *path, *url;
    int64_t truth, number, size, duration, rate, choice;
    weir_range range;
    weir_list list;
    weir_map map;
    weir_template *template;
    weir_field *field;
    int64_t group, inner, needed, flag, flag_inner, deep, deepest;
};

#define ROW(name_, type_, member, ...)                                                                             \
    {                                                                                                              \
        .name = name_, .type = WEIR_OPTION_##type_, .offset = offsetof(struct all, member), .help = "A sentence.", \
        __VA_ARGS__                                                                                                \
    }

static const char *const colours[] = {"red", "green", "blue", NULL};
static const char *const forever[] = {"forever", NULL};
static const char *const schemes[] = {"mqtt", "mqtts", NULL};
static const weir_option deepest_rows[] = {ROW("deepest", INT, deepest, .fallback = "9"), {0}};
static const weir_option inner_rows[] = {ROW("inner", INT, inner, .fallback = "3"),
                                         ROW("needed", INT, needed, .flags = WEIR_OPTION_REQUIRED),
                                         ROW("deep", GROUP, deep, .rows = deepest_rows),
                                         {0}};
static const weir_option flag_rows[] = {ROW("inner", INT, flag_inner, .fallback = "4"), {0}};
static const weir_option rows[] = {
    ROW("text", TEXT, text, .fallback = "hello", .min = 2, .max = 8),
    ROW("secret", SECRET, secret, .min = 1, .max = 8),
    ROW("path", PATH, path, .fallback = "./data"),
    ROW("url", URL, url, .choices = schemes),
    ROW("truth", BOOL, truth, .fallback = "true"),
    ROW("number", INT, number, .fallback = "7", .min = 1, .max = 100, .choices = forever),
    ROW("size", SIZE, size, .fallback = "1MiB", .min = 1024, .max = INT64_C(1) << 30),
    ROW("duration", DURATION, duration, .fallback = "5s", .min = INT64_C(1000000), .max = INT64_C(86400000000)),
    ROW("rate", RATE, rate, .fallback = "0"),
    ROW("choice", CHOICE, choice, .fallback = "green", .choices = colours),
    ROW("range", RANGE, range, .fallback = "100ms..30s", .min = 1000, .max = INT64_C(60000000)),
    ROW("list", LIST, list, .fallback = "[a, b]", .max = 3),
    ROW("map", MAP, map),
    ROW("template", TEMPLATE, template, .fallback = "{{key}}"),
    ROW("field", FIELD, field, .fallback = "payload.a"),
    ROW("group", GROUP, group, .rows = inner_rows),
    ROW("flag", GROUP, flag, .rows = flag_rows, .flags = WEIR_OPTION_TRUE_OK),
    {0}};

/* Fills `all` from text; the state is released at once, except for what is in the arena. */
static int fill_with(const char *text, struct all *all, const char *const *skip, bool partial)
{
    struct option_target target = {.rows = rows, .state = all, .arena = &arena, .skip = skip, .partial = partial};
    const struct yaml_node *root = NULL;

    memset(all, 0, sizeof(*all));
    yaml_report_fini(&report);
    if (text != NULL) {
        config_kit_text("t.yaml", text);
        yaml_load("t.yaml", &arena, &root, &report);
        ck_assert_ptr_nonnull(root);
    }
    return option_fill(&target, root, &report);
}

static void fill(const char *text, struct all *all)
{
    fill_with(text, all, NULL, false);
    ck_assert_msg(report.count == 0, "%s", report.text);
}

static void refused(const char *text, const char *expected)
{
    struct all all;

    fill_with(text, &all, NULL, false);
    option_release(rows, &all);
    ck_assert_ptr_nonnull(report.text);
    ck_assert_str_eq(report.text, expected);
}

START_TEST(test_maps)
{
    struct all all;

    fill(NULL, &all);
    ck_assert_uint_eq(all.map.count, 0);
    option_release(rows, &all);
    fill("map: { a.b: 1, c: true, \"d e\": 'x: y', f: \"\" }\n", &all);
    ck_assert_uint_eq(all.map.count, 4);
    static const char *const expected[][2] = {{"a.b", "1"}, {"c", "true"}, {"d e", "x: y"}, {"f", ""}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(all.map.names[i], expected[i][0]);
        ck_assert_str_eq(all.map.values[i], expected[i][1]);
    }
    option_release(rows, &all);
    refused("map: x\n",
            "t.yaml:1:6: map: \"x\" is not allowed; expected a mapping of texts, as in { name: value }\n");
    refused("map: [ x ]\n", "t.yaml:1:6: map: is a list; expected a mapping of texts, as in { name: value }\n");
    refused("map: { a: [ 1 ] }\n", "t.yaml:1:11: map/a: is a list; expected a text\n");
    refused("map: { a: }\n", "t.yaml:1:11: map/a: has no value; remove the key, or give it one: expected a text\n");
}
END_TEST

START_TEST(test_sizes)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"17", 17},
                {"17B", 17},
                {"64KiB", 65536},
                {"8MiB", 8388608},
                {"2GB", 2000000000},
                {"1TiB", INT64_C(1099511627776)},
                {"3kB", 3000},
                {"3KB", 3000},
                {"1.5KiB", 1536},
                {"0.25GB", 250000000},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "1.5",
                                      "1.3KiB",
                                      "1 KiB",
                                      "KiB",
                                      "1kib",
                                      "1KiBx",
                                      "+1",
                                      "1.KiB",
                                      ".5KiB",
                                      "9223372036854775808",
                                      "8388608TiB",
                                      "0.0000000001GB",
                                      "1e3",
                                      "0x10"};
    int64_t value;

    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        ck_assert_int_eq(option_parse_size(good[i].text, &value, NULL), WEIR_OK);
        ck_assert_int_eq(value, good[i].value);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        ck_assert_msg(option_parse_size(bad[i], &value, NULL) == WEIR_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(test_durations_rates_ranges_and_integers)
{
    static const char *const bad_durations[] = {"",      "5",   "-5s",   "5S",          "5sec",
                                                "1h30m", "1.5", "0.5us", "9999999999d", "s"};
    static const char *const bad_rates[] = {"",   "5",        "5/d", "-5/s",  "5 /s",
                                            "/s", "0.0001/s", "0/m", "1.5/m", "9223372036854775807/s"};
    static const char *const bad_ranges[] = {
        "",     "..",      "1s..",       "..1s", "2s..1s",
        "1..2", "1s...2s", "1s..2s..3s", "x",    "1111111111111111111111111111111111s..2s"};
    static const char *const bad_integers[] = {"",   "-", "1.0", "1x", " 1", "+1", "0x1", "9223372036854775808",
                                               "--1"};
    struct error error;
    weir_range range;
    int64_t value;

    ck_assert_int_eq(option_parse_duration("1.5s", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 1500000);
    ck_assert_int_eq(option_parse_duration("0", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad_durations); i++)
        ck_assert_msg(option_parse_duration(bad_durations[i], &value, &error) == WEIR_INVALID, "%s",
                      bad_durations[i]);
    ck_assert_str_eq(error.text, "expected a duration, as in 20ms, 5s, 2h or 1d");
    ck_assert_int_eq(option_parse_rate("1000/s", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 1000000);
    ck_assert_int_eq(option_parse_rate("0.5/s", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 500);
    ck_assert_int_eq(option_parse_rate("30/m", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 500);
    ck_assert_int_eq(option_parse_rate("7200/h", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 2000);
    ck_assert_int_eq(option_parse_rate("2/h", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, 1);
    for (size_t i = 0; i < ARRAY_COUNT(bad_rates); i++)
        ck_assert_msg(option_parse_rate(bad_rates[i], &value, NULL) == WEIR_INVALID, "%s", bad_rates[i]);
    ck_assert_int_eq(option_parse_range("3s", &range, NULL), WEIR_OK);
    ck_assert(range.low == 3000000 && range.high == 3000000);
    for (size_t i = 0; i < ARRAY_COUNT(bad_ranges); i++)
        ck_assert_msg(option_parse_range(bad_ranges[i], &range, NULL) == WEIR_INVALID, "%s", bad_ranges[i]);
    ck_assert_int_eq(option_parse_int("-12", &value, NULL), WEIR_OK);
    ck_assert_int_eq(value, -12);
    for (size_t i = 0; i < ARRAY_COUNT(bad_integers); i++)
        ck_assert_msg(option_parse_int(bad_integers[i], &value, NULL) == WEIR_INVALID, "%s", bad_integers[i]);
}
END_TEST

/* What is written can be read again, and reads as the same number. */
START_TEST(test_numbers_at_random)
{
    char text[OPTION_NUMBER_MAX], range_text[2 * OPTION_NUMBER_MAX + 2], high_text[OPTION_NUMBER_MAX];
    struct random random;
    weir_range range;

    random_init(&random, 3);
    for (int round = 0; round < 20000; round++) {
        int64_t value = (int64_t)(random_next(&random) >> (1 + random_below(&random, 63))), back = -1;
        static const int64_t steps[] = {1, 1000, 1024, 1000000, 1048576, 60000000, INT64_C(3600000000)};
        int64_t step = steps[random_below(&random, ARRAY_COUNT(steps))];

        value = value / step * step;
        ck_assert_int_eq(option_parse_size(option_number(WEIR_OPTION_SIZE, value, text), &back, NULL), WEIR_OK);
        ck_assert_int_eq(back, value);
        ck_assert_int_eq(option_parse_duration(option_number(WEIR_OPTION_DURATION, value, text), &back, NULL),
                         WEIR_OK);
        ck_assert_int_eq(back, value);
        ck_assert_int_eq(option_parse_int(option_number(WEIR_OPTION_INT, value, text), &back, NULL), WEIR_OK);
        ck_assert_int_eq(back, value);
        ck_assert_int_eq(option_parse_rate(option_number(WEIR_OPTION_RATE, value, text), &back, NULL), WEIR_OK);
        ck_assert_int_eq(back, value);
        option_number(WEIR_OPTION_RANGE, value / 2, text);
        snprintf(range_text, sizeof(range_text), "%s..%s", text,
                 option_number(WEIR_OPTION_RANGE, value, high_text));
        ck_assert_int_eq(option_parse_range(range_text, &range, NULL), WEIR_OK);
        ck_assert(range.low == value / 2 && range.high == value);
    }
}
END_TEST

START_TEST(test_numbers_as_a_user_would_write_them)
{
    char text[OPTION_NUMBER_MAX], bounds[OPTION_BOUNDS_MAX];
    weir_option row = {.type = WEIR_OPTION_DURATION, .min = INT64_C(1000000), .max = INT64_C(86400000000)};

    ck_assert_str_eq(option_number(WEIR_OPTION_SIZE, 65536, text), "64KiB");
    ck_assert_str_eq(option_number(WEIR_OPTION_SIZE, 2000000000, text), "2GB");
    ck_assert_str_eq(option_number(WEIR_OPTION_SIZE, 1001, text), "1001B");
    ck_assert_str_eq(option_number(WEIR_OPTION_SIZE, 0, text), "0");
    ck_assert_str_eq(option_number(WEIR_OPTION_DURATION, 90000000, text), "90s");
    ck_assert_str_eq(option_number(WEIR_OPTION_RATE, 2500, text), "2.5/s");
    ck_assert_str_eq(option_number(WEIR_OPTION_INT, -4, text), "-4");
    ck_assert_str_eq(option_bounds(&row, bounds), "1s..1d");
    row.max = INT64_MAX;
    ck_assert_str_eq(option_bounds(&row, bounds), "at least 1s");
    row.min = row.max = 0;
    ck_assert_str_eq(option_bounds(&row, bounds), "");
}
END_TEST

START_TEST(test_defaults_fill_every_member)
{
    char path[PATH_MAX + 20];
    struct all all;

    fill(NULL, &all);
    option_release(rows, &all);
    fill("group: { needed: 1 }\n", &all);
    snprintf(path, sizeof(path), "%s/data", folder);
    ck_assert_str_eq(all.text, "hello");
    ck_assert_ptr_null(all.secret);
    ck_assert_str_eq(all.path, path);
    ck_assert_ptr_null(all.url);
    ck_assert_int_eq(all.truth, 1);
    ck_assert_int_eq(all.number, 7);
    ck_assert_int_eq(all.size, 1048576);
    ck_assert_int_eq(all.duration, 5000000);
    ck_assert_int_eq(all.rate, 0);
    ck_assert_int_eq(all.choice, 1);
    ck_assert(all.range.low == 100000 && all.range.high == 30000000);
    ck_assert_uint_eq(all.list.count, 2);
    ck_assert_str_eq(all.list.items[0], "a");
    ck_assert_str_eq(all.list.items[1], "b");
    ck_assert_ptr_nonnull(all.template);
    ck_assert_ptr_nonnull(all.field);
    ck_assert(all.group == 1 && all.inner == 3 && all.needed == 1 && all.deep == 0 && all.deepest == 9);
    ck_assert(all.flag == 0 && all.flag_inner == 4);
    option_release(rows, &all);
    ck_assert_ptr_null(all.template);
    ck_assert_ptr_null(all.field);
}
END_TEST

START_TEST(test_every_row_changes_its_member)
{
    struct all all;

    fill("{ text: other, secret: s, path: /abs/x, url: 'mqtts://u:p@h:1', truth: false, number: 42, size: 2KiB,\n"
         "  duration: 2h, rate: 10/s, choice: blue, range: 1s..2s, list: [x, y, z], template: 'a{{id}}',\n"
         "  field: subject, group: { inner: 5, needed: 6, deep: { deepest: 8 } }, flag: { inner: 9 } }\n",
         &all);
    ck_assert_str_eq(all.text, "other");
    ck_assert_str_eq(all.secret, "s");
    ck_assert_str_eq(all.path, "/abs/x");
    ck_assert_str_eq(all.url, "mqtts://u:p@h:1");
    ck_assert_int_eq(all.truth, 0);
    ck_assert_int_eq(all.number, 42);
    ck_assert_int_eq(all.size, 2048);
    ck_assert_int_eq(all.duration, INT64_C(7200000000));
    ck_assert_int_eq(all.rate, 10000);
    ck_assert_int_eq(all.choice, 2);
    ck_assert(all.range.low == 1000000 && all.range.high == 2000000);
    ck_assert_uint_eq(all.list.count, 3);
    ck_assert_str_eq(all.list.items[2], "z");
    ck_assert(view_is(template_prefix(all.template), "a"));
    ck_assert(!field_is_json(all.field));
    ck_assert(all.group == 1 && all.inner == 5 && all.needed == 6 && all.deep == 1 && all.deepest == 8);
    ck_assert(all.flag == 1 && all.flag_inner == 9);
    option_release(rows, &all);
}
END_TEST

START_TEST(test_other_ways_to_write_a_value)
{
    struct all all;

    fill("{ number: forever, flag: true, list: one, text: '12', choice: 'red' }\n", &all);
    ck_assert_int_eq(all.number, 0);
    ck_assert(all.flag == 1 && all.flag_inner == 4);
    ck_assert_uint_eq(all.list.count, 1);
    ck_assert_str_eq(all.list.items[0], "one");
    ck_assert_str_eq(all.text, "12");
    ck_assert_int_eq(all.choice, 0);
    option_release(rows, &all);
    fill("{ flag: false, text: 99, list: [] }\n", &all);
    ck_assert(all.flag == 0 && all.flag_inner == 4);
    ck_assert_str_eq(all.text, "99");
    ck_assert_uint_eq(all.list.count, 0);
    option_release(rows, &all);
    fill("{}", &all);
    ck_assert_int_eq(all.number, 7);
    option_release(rows, &all);
}
END_TEST

START_TEST(test_wrong_values)
{
    refused("text: x\n", "t.yaml:1:7: text: \"x\" is not allowed; expected a text; allowed is 2..8 bytes\n");
    refused("text: [x]\n", "t.yaml:1:7: text: is a list; expected a text; allowed is 2..8 bytes\n");
    refused("text:\n",
            "t.yaml:1:6: text: has no value; remove the key, or give it one: expected a text; allowed is "
            "2..8 bytes\n");
    refused("path: ''\n", "t.yaml:1:7: path: \"\" is not allowed; expected a path\n");
    refused("url: 'http://secret@h'\n",
            "t.yaml:1:6: url: is not allowed; expected SCHEME://HOST:PORT with the scheme mqtt or mqtts\n");
    refused("truth: yes\n", "t.yaml:1:8: truth: \"yes\" is not allowed; expected true or false\n");
    refused("truth: 'true'\n",
            "t.yaml:1:8: truth: \"true\" in quotes is a text; expected true or false, without quotes\n");
    refused("number: '7'\n", "t.yaml:1:9: number: \"7\" in quotes is a text; expected a whole number; allowed is "
                             "1..100 or forever, without quotes\n");
    refused("number: 101\n",
            "t.yaml:1:9: number: \"101\" is not allowed; expected a whole number; allowed is 1..100 or forever\n");
    refused("size: 5\n",
            "t.yaml:1:7: size: \"5\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed "
            "is 1KiB..1GiB\n");
    refused("duration: 2d\n",
            "t.yaml:1:11: duration: \"2d\" is not allowed; expected a duration, as in 20ms, 5s, 2h "
            "or 1d; allowed is 1s..1d\n");
    refused("rate: fast\n", "t.yaml:1:7: rate: \"fast\" is not allowed; expected a rate, as in 1000/s\n");
    refused("choice: geen\n",
            "t.yaml:1:9: choice: \"geen\" is not allowed; did you mean green? expected red, green or blue\n");
    refused("choice: 7\n", "t.yaml:1:9: choice: \"7\" is not allowed; expected red, green or blue\n");
    refused("range: 1s..2m\n", "t.yaml:1:8: range: \"1s..2m\" is not allowed; expected a range of durations, as in "
                               "100ms..30s; allowed is 1ms..1m\n");
    refused("list: { a: b }\n",
            "t.yaml:1:7: list: is a mapping; expected a text or a list of texts; allowed is 0..3\n");
    refused("list: [a, b, c, d]\n",
            "t.yaml:1:7: list: has 4 entries; expected a text or a list of texts; allowed is 0..3\n");
    refused("list: [a, [b]]\n", "t.yaml:1:11: list[1]: is a list; expected a text\n");
    refused("group: 7\n", "t.yaml:1:8: group: is no mapping; expected { key: value, ... }\n");
    refused("group: true\n", "t.yaml:1:8: group: is no mapping; expected { key: value, ... }\n");
    refused("flag: maybe\n", "t.yaml:1:7: flag: is no mapping; expected true, false or { key: value, ... }\n");
    refused("flag: 'true'\n", "t.yaml:1:7: flag: is no mapping; expected true, false or { key: value, ... }\n");
    refused("group: { inner: 1 }\n", "t.yaml:1:8: group: `needed` is missing; add it: A sentence.\n");
    refused("group: { needed: 1, deep: { deepst: 1 } }\n",
            "t.yaml:1:29: group/deep/deepst: unknown key; did you mean deepest?\n");
    refused("[a]\n", "t.yaml:1:1: is no mapping; expected { key: value, ... }\n");
    refused("colour: 1\n", "t.yaml:1:1: colour: unknown key; known here: text, secret, path, url, truth, number, "
                           "size, duration, rate, choice, range, list, map, template, field, group, flag\n");
}
END_TEST

START_TEST(test_wrong_templates_and_fields_say_what_their_parsers_say)
{
    struct error error;
    weir_template *pattern;
    weir_field *field;
    char expected[1200];

    ck_assert_int_eq(template_parse("{{nothing}}", &pattern, &error), WEIR_INVALID);
    snprintf(expected, sizeof(expected), "t.yaml:1:11: template: %s\n", error.text);
    refused("template: '{{nothing}}'\n", expected);
    ck_assert_int_eq(field_parse("nothing", &field, &error), WEIR_INVALID);
    snprintf(expected, sizeof(expected), "t.yaml:1:8: field: %s\n", error.text);
    refused("field: nothing\n", expected);
}
END_TEST

START_TEST(test_a_template_may_have_names_of_its_own)
{
    static const char *const own[] = {"seq", NULL};
    const weir_option with_own[] = {ROW("template", TEMPLATE, template, .fallback = "{{seq}}", .choices = own),
                                    {0}};
    struct all all = {0};
    struct option_target target = {.rows = with_own, .state = &all, .arena = &arena};

    ck_assert_int_eq(option_fill(&target, NULL, &report), WEIR_OK);
    ck_assert_ptr_nonnull(all.template);
    ck_assert_ptr_null(template_constant(all.template));
    option_release(with_own, &all);
}
END_TEST

START_TEST(test_keys_of_others)
{
    static const char *const skip[] = {"type", "text", NULL};
    struct all all;

    ck_assert_int_eq(fill_with("{ type: x, text: mine }\n", &all, skip, false), WEIR_OK);
    ck_assert_str_eq(all.text, "mine");
    option_release(rows, &all);
    ck_assert_int_eq(fill_with("{ tpe: x, group: { type: 1, needed: 1 } }\n", &all, skip, false), WEIR_INVALID);
    ck_assert_str_eq(report.text, "t.yaml:1:3: tpe: unknown key; did you mean type?\n"
                                  "t.yaml:1:20: group/type: unknown key; known here: inner, needed, deep\n");
    option_release(rows, &all);
    ck_assert_int_eq(fill_with("{ other: x, number: 3 }\n", &all, NULL, true), WEIR_OK);
    ck_assert_int_eq(all.number, 3);
    option_release(rows, &all);
}
END_TEST

START_TEST(test_required_at_the_top_and_defaults_alone)
{
    static const weir_option needs[] = {ROW("text", TEXT, text, .flags = WEIR_OPTION_REQUIRED),
                                        ROW("list", LIST, list, .flags = WEIR_OPTION_REQUIRED),
                                        ROW("number", INT, number, .fallback = "5"),
                                        {0}};
    struct all all = {0};
    struct option_target target = {.rows = needs, .state = &all, .arena = &arena};
    const struct yaml_node *root;

    ck_assert_int_eq(option_defaults(&target, &report), WEIR_OK);
    ck_assert_int_eq(all.number, 5);
    config_kit_text("t.yaml", "\n list: []\n");
    ck_assert_int_eq(yaml_load("t.yaml", &arena, &root, &report), WEIR_OK);
    ck_assert_int_eq(option_fill(&target, root, &report), WEIR_INVALID);
    ck_assert_str_eq(report.text, "t.yaml:2:2: `text` is missing; add it: A sentence.\n"
                                  "t.yaml:2:8: list: is empty; give at least one\n");
}
END_TEST

static void secret_file(const char *text, size_t size, mode_t mode, uid_t owner)
{
    unlink("secret");
    config_kit_write("secret", text, size);
    ck_assert_int_eq(chmod("secret", mode), 0);
    if (geteuid() == 0)
        ck_assert_int_eq(chown("secret", owner, (gid_t)-1), 0);
}

START_TEST(test_secrets)
{
    struct all all;

    secret_file("pass\n", 5, 0600, 0);
    fill("secret: { file: ./secret }\n", &all);
    option_release(rows, &all);
    ck_assert_str_eq(all.secret, "pass");
    secret_file("a\nb\r\n", 5, 0600, 0);
    fill("secret: { file: secret }\n", &all);
    option_release(rows, &all);
    ck_assert_str_eq(all.secret, "a\nb");
    setenv("WEIR_SECRET", "env", 1);
    fill("secret: { env: WEIR_SECRET }\n", &all);
    option_release(rows, &all);
    ck_assert_str_eq(all.secret, "env");
    if (geteuid() == 0) {
        secret_file("root", 4, 0644, 0);
        fill("secret: { file: secret }\n", &all);
        option_release(rows, &all);
        ck_assert_str_eq(all.secret, "root");
    }
}
END_TEST

START_TEST(test_secrets_that_are_refused)
{
    refused("secret: { file: none }\n",
            "t.yaml:1:17: secret/file: cannot be read: No such file or directory; check "
            "the path and its permissions\n");
    secret_file("pass", 4, 0640, 1234);
    refused("secret: { file: secret }\n",
            "t.yaml:1:17: secret/file: can be read by others; run: chmod 600 secret\n");
    secret_file("pass", 4, 0604, 1234);
    refused("secret: { file: secret }\n",
            "t.yaml:1:17: secret/file: can be read by others; run: chmod 600 secret\n");
    secret_file("\n", 1, 0600, 0);
    refused("secret: { file: secret }\n", "t.yaml:1:17: secret/file: is empty; write the secret into it\n");
    secret_file("a\0b", 3, 0600, 0);
    refused("secret: { file: secret }\n", "t.yaml:1:17: secret/file: holds a NUL byte; a secret is a text\n");
    secret_file("123456789", 9, 0600, 0);
    refused("secret: { file: secret }\n",
            "t.yaml:1:17: secret/file: has 9 bytes; expected a text, { file: PATH } or "
            "{ env: NAME }; allowed is 1..8 bytes\n");
    refused("secret: { file: . }\n", "t.yaml:1:17: secret/file: is no regular file; put the secret into one\n");
    unsetenv("WEIR_NONE");
    refused("secret: { env: WEIR_NONE }\n",
            "t.yaml:1:16: secret/env: the environment variable WEIR_NONE is not set; set it\n");
    refused("secret: { flie: x }\n",
            "t.yaml:1:9: secret: is not allowed; expected a text, { file: PATH } or { env: "
            "NAME }; allowed is 1..8 bytes\n");
    refused("secret: [x]\n",
            "t.yaml:1:9: secret: is not allowed; expected a text, { file: PATH } or { env: NAME }; "
            "allowed is 1..8 bytes\n");
    refused("secret: hush-hush-hush\n",
            "t.yaml:1:9: secret: has 14 bytes; expected a text, { file: PATH } or { env: "
            "NAME }; allowed is 1..8 bytes\n");
    refused("secret:\n",
            "t.yaml:1:8: secret: has no value; remove the key, or give it one: expected a text, { file: "
            "PATH } or { env: NAME }; allowed is 1..8 bytes\n");
}
END_TEST

START_TEST(test_paths)
{
    char expected[PATH_MAX + 20];

    ck_assert_int_eq(mkdir("sub", 0700), 0);
    ck_assert_str_eq(option_path(&arena, "t.yaml", "/x/y"), "/x/y");
    snprintf(expected, sizeof(expected), "%s/x", folder);
    ck_assert_str_eq(option_path(&arena, "t.yaml", "x"), expected);
    ck_assert_str_eq(option_path(&arena, "./t.yaml", "././x"), expected);
    ck_assert_str_eq(option_path(&arena, "", "x"), expected);
    ck_assert_str_eq(option_path(&arena, "sub/t.yaml", "../x"), expected);
    ck_assert_str_eq(option_path(&arena, "sub/t.yaml", "./.././x"), expected);
    ck_assert_int_eq(symlink("sub", "link"), 0);
    ck_assert_str_eq(option_path(&arena, "link/t.yaml", "../x"), expected);
    ck_assert_str_eq(option_path(&arena, "/t.yaml", "../../x"), "/x");
    ck_assert_str_eq(option_path(&arena, "t.yaml", "."), folder);
    ck_assert_str_eq(option_path(&arena, "/t.yaml", "x"), "/x");
}
END_TEST

START_TEST(test_the_node_of_an_option)
{
    const struct yaml_node *root, *tls;

    config_kit_text("t.yaml", "url: x\ntls: { ca: y }\n");
    ck_assert_int_eq(yaml_load("t.yaml", &arena, &root, &report), WEIR_OK);
    tls = yaml_get(root, "tls");
    ck_assert_str_eq(option_node(root, "url")->text, "x");
    ck_assert_str_eq(option_node(root, "tls.ca")->text, "y");
    ck_assert_ptr_eq(option_node(root, "tls.cert"), tls);
    ck_assert_ptr_eq(option_node(root, "tl"), root);
    ck_assert_ptr_eq(option_node(root, ""), root);
    ck_assert_ptr_null(option_node(NULL, "url"));
}
END_TEST

/* Plain recursion: put in, leave out, replace, swap neighbours. */
static size_t distance_model(const char *a, const char *b)
{
    size_t best, other;

    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b);
    best = distance_model(a + 1, b + 1) + (*a != *b);
    other = distance_model(a + 1, b) + 1;
    best = size_min(best, other);
    other = distance_model(a, b + 1) + 1;
    best = size_min(best, other);
    if (a[1] != '\0' && b[1] != '\0' && a[0] == b[1] && a[1] == b[0])
        best = size_min(best, distance_model(a + 2, b + 2) + 1);
    return best;
}

START_TEST(test_the_nearest_name)
{
    static const char *const names[] = {"topics", "client_id", "qos"};
    struct random random;
    char wide[200];

    ck_assert_str_eq(option_nearest("topcis", names, 3), "topics");
    ck_assert_str_eq(option_nearest("clientid", names, 3), "client_id");
    ck_assert_str_eq(option_nearest("qso", names, 3), "qos");
    ck_assert_ptr_null(option_nearest("url", names, 3));
    ck_assert_ptr_null(option_nearest("", names, 3));
    ck_assert_ptr_null(option_nearest("x", names, 0));
    memset(wide, 'q', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    ck_assert_ptr_null(option_nearest(wide, names, 3));
    random_init(&random, 5);
    for (int round = 0; round < 2000; round++) {
        char a[7] = "", b[7] = "";
        const char *one[] = {b};
        size_t n = (size_t)random_below(&random, 7), m = (size_t)random_below(&random, 7), distance;

        for (size_t i = 0; i < n; i++)
            a[i] = (char)('a' + random_below(&random, 3));
        for (size_t i = 0; i < m; i++)
            b[i] = (char)('a' + random_below(&random, 3));
        distance = distance_model(a, b);
        ck_assert_int_eq(option_nearest(a, one, 1) != NULL, distance <= 3 && distance * 2 < size_max(n, m));
    }
}
END_TEST

static char *help_text(bool json)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (json)
        option_help_json(to, rows);
    else
        option_help(to, rows, 2);
    fclose(to);
    return text;
}

START_TEST(test_help_for_people)
{
    char *text = help_text(false);
    const char *line = text;

    ck_assert_ptr_nonnull(strstr(text, "\n  duration     duration 1s..1d           5s          A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  number       int 1..100 | forever      7           A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  url          url | mqtt:// | mqtts://  -           A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  choice       red | green | blue        green       A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n    needed     int                       required    A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n      deepest  int                       9           A sentence.\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  flag         true | false | group      -           A sentence.\n"));
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");

        ck_assert_uint_le(length, 100);
        ck_assert(length == 0 || line[length - 1] != ' ');
        line += length + 1;
    }
    free(text);
}
END_TEST

START_TEST(test_help_wraps_long_sentences)
{
    static const weir_option wide[] = {
        {.name = "a_rather_long_name_of_an_option",
         .type = WEIR_OPTION_CHOICE,
         .choices = colours,
         .fallback = "red",
         .help = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen."},
        {0}};
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    option_help(to, wide, 0);
    fclose(to);
    ck_assert_str_eq(text,
                     "a_rather_long_name_of_an_option  red | green | blue  red  One two three four five six seven "
                     "eight\n"
                     "                                                          nine ten eleven twelve thirteen "
                     "fourteen\n"
                     "                                                          fifteen.\n");
    free(text);
}
END_TEST

START_TEST(test_help_as_json)
{
    char *text = help_text(true);
    cJSON *list = cJSON_Parse(text), *item, *group;

    ck_assert(cJSON_IsArray(list));
    ck_assert_int_eq(cJSON_GetArraySize(list), (int)ARRAY_COUNT(rows) - 1);
    item = cJSON_GetArrayItem(list, 5);
    ck_assert_str_eq(cJSON_GetObjectItem(item, "name")->valuestring, "number");
    ck_assert_str_eq(cJSON_GetObjectItem(item, "type")->valuestring, "int");
    ck_assert_str_eq(cJSON_GetObjectItem(item, "default")->valuestring, "7");
    ck_assert_int_eq(cJSON_GetObjectItem(item, "min")->valueint, 1);
    ck_assert_int_eq(cJSON_GetObjectItem(item, "max")->valueint, 100);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(item, "choices")), 1);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "default")));
    group = cJSON_GetObjectItem(cJSON_GetArrayItem(list, 15), "options");
    ck_assert_int_eq(cJSON_GetArraySize(group), 3);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(group, 1), "required")));
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetArrayItem(group, 0), "required")));
    cJSON_Delete(list);
    free(text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("option");
    TCase *c = tcase_create("option");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_sizes);
    tcase_add_test(c, test_maps);
    tcase_add_test(c, test_durations_rates_ranges_and_integers);
    tcase_add_test(c, test_numbers_at_random);
    tcase_add_test(c, test_numbers_as_a_user_would_write_them);
    tcase_add_test(c, test_defaults_fill_every_member);
    tcase_add_test(c, test_every_row_changes_its_member);
    tcase_add_test(c, test_other_ways_to_write_a_value);
    tcase_add_test(c, test_wrong_values);
    tcase_add_test(c, test_wrong_templates_and_fields_say_what_their_parsers_say);
    tcase_add_test(c, test_a_template_may_have_names_of_its_own);
    tcase_add_test(c, test_keys_of_others);
    tcase_add_test(c, test_required_at_the_top_and_defaults_alone);
    tcase_add_test(c, test_secrets);
    tcase_add_test(c, test_secrets_that_are_refused);
    tcase_add_test(c, test_paths);
    tcase_add_test(c, test_the_node_of_an_option);
    tcase_add_test(c, test_the_nearest_name);
    tcase_add_test(c, test_help_for_people);
    tcase_add_test(c, test_help_wraps_long_sentences);
    tcase_add_test(c, test_help_as_json);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
