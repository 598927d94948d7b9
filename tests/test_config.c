/* test_config.c: whole configurations: what they fill in, how files are merged, and what is refused in which words.
 */
#include "config_faults.h"
#include "config_kit.h"
#include "field.h"

static char folder[PATH_MAX], modules[PATH_MAX];
static struct registry *registry;
static struct config *config;

static void setup(void)
{
    config_kit_enter(folder);
    unsetenv("WEIR_NONE");
    registry = registry_new(config_kit_modules(modules));
    ck_assert_int_eq(symlink(modules, "m"), 0); /* so that columns do not depend on where the build is */
    config = NULL;
}

static void teardown(void)
{
    config_free(config);
    registry_free(registry);
    config_kit_leave();
}

static int load_file(const char *path)
{
    config_free(config);
    return config_load(&config, path, registry);
}

static void load(const char *text)
{
    config_kit_text("t.yaml", text);
    ck_assert_msg(load_file("t.yaml") == WEIR_OK, "%s", config->report.text);
    ck_assert_uint_eq(config->report.count, 0);
}

/* text with each `word` replaced; buffer holds size bytes. */
static void replace(const char *text, const char *word, const char *by, char *buffer, size_t size)
{
    size_t used = 0;

    while (*text != '\0') {
        bool here = strncmp(text, word, strlen(word)) == 0;

        ck_assert_uint_lt(used + strlen(by) + 2, size);
        used += (size_t)sprintf(buffer + used, "%.*s", here ? (int)strlen(by) : 1, here ? by : text);
        text += here ? strlen(word) : 1;
    }
    buffer[used] = '\0';
}

static const char *placed(const char *text, char *buffer, size_t size)
{
    char half[20000];

    replace(text, "MODULES", modules, half, sizeof(half));
    replace(half, "FOLDER", folder, buffer, size);
    return buffer;
}

static void refused(const char *text, const char *report)
{
    char expected[20000];

    config_kit_text("t.yaml", text);
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_str_eq(config->report.text, placed(report, expected, sizeof(expected)));
}

static void all_refused(const struct fault_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refused(cases[i].text, cases[i].report);
}

START_TEST(test_faults_at_the_top)
{
    all_refused(top_faults, ARRAY_COUNT(top_faults));
}
END_TEST

START_TEST(test_faults_of_sources)
{
    all_refused(source_faults, ARRAY_COUNT(source_faults));
}
END_TEST

START_TEST(test_faults_of_sinks)
{
    all_refused(sink_faults, ARRAY_COUNT(sink_faults));
}
END_TEST

START_TEST(test_faults_of_functions)
{
    all_refused(function_faults, ARRAY_COUNT(function_faults));
    all_refused(module_faults, ARRAY_COUNT(module_faults));
}
END_TEST

START_TEST(test_faults_of_routes)
{
    all_refused(route_faults, ARRAY_COUNT(route_faults));
}
END_TEST

START_TEST(test_all_faults_are_told_at_once)
{
    refused(
        "store: { size_max: 3 }\nsources:\n  in: { type: kit, topics: a, cuont: 1, tls: { verfy: 1 } }\n" SINK
        "routes:\n  - { from: in, to: uot, lanes: 0, order: '${WEIR_NONE}' }\n",
        "t.yaml:1:20: store/size_max: \"3\" is not allowed; expected a size, as in 64KiB, 8MiB or 2GB; allowed is "
        "2MiB..16TiB\n"
        "t.yaml:3:31: sources/in/cuont: unknown key; did you mean count?\n"
        "t.yaml:3:48: sources/in/tls/verfy: unknown key; did you mean verify?\n"
        "t.yaml:7:21: routes[0]/to: there is no sink \"uot\"; did you mean out?\n"
        "t.yaml:7:33: routes[0]/lanes: \"0\" is not allowed; expected a whole number; allowed is 1..1024\n"
        "t.yaml:7:43: routes[0]/order: the environment variable WEIR_NONE is not set; set it, or give a default: "
        "${WEIR_NONE:-default}\n");
}
END_TEST

START_TEST(test_a_type_that_nobody_has)
{
    config_kit_text("t.yaml", "sources:\n  in: { type: kti, topics: a }\n" SINK ROUTE);
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(config->report.text, "t.yaml:2:15: sources/in/type: there is no source of type "
                                                      "\"kti\"; did you mean kit? known: "));
    ck_assert_uint_eq(config->report.count, 1);
}
END_TEST

START_TEST(test_many_faults_are_bounded)
{
    char text[20000];
    size_t used = (size_t)sprintf(text, "%s", SOURCE SINK ROUTE "limits:\n");

    for (int i = 0; i < 200; i++)
        used += (size_t)sprintf(text + used, "  unknown%d: 1\n", i);
    config_kit_text("t.yaml", text);
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_uint_eq(config->report.count, 200);
    ck_assert_ptr_nonnull(strstr(config->report.text, "t.yaml:57:3: "));
    ck_assert_ptr_null(strstr(config->report.text, "t.yaml:58:3: "));
    ck_assert_ptr_nonnull(strstr(config->report.text, "\nand 150 more\n"));
}
END_TEST

START_TEST(test_defaults)
{
    char path[PATH_MAX + 20];
    const struct config_route *route;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    load(SOURCE FUNCTION SINK CALLING);
    snprintf(path, sizeof(path), "%s/weir-data", folder);
    ck_assert_str_eq(config->file, "t.yaml");
    ck_assert_str_eq(config->folder, folder);
    ck_assert_str_eq(config->store_path, path);
    ck_assert_int_eq(config->store_size_max, INT64_C(64) << 30);
    ck_assert_int_eq(config->memory, INT64_C(256) << 20);
    ck_assert_int_eq(config->event_bytes, INT64_C(8) << 20);
    ck_assert_int_eq(config->workers, cores > 2 ? cores - 1 : 1);
    ck_assert_int_eq(config->stop_timeout_us, 10000000);
    ck_assert_int_eq(config->log_level, LOG_INFO);
    ck_assert_int_eq(config->log_json, 0);
    ck_assert_int_eq(config->functions[0].concurrency, 0);
    ck_assert_uint_eq(config->sinks[0].retry.attempts, 0);
    ck_assert_int_eq(config->sinks[0].retry.base_us, 100000);
    ck_assert_int_eq(config->sinks[0].retry.cap_us, 30000000);
    ck_assert_ptr_null(config->sources[0].key);
    ck_assert_ptr_null(config->sources[0].id);
    ck_assert_ptr_null(config->sources[0].time);
    route = &config->routes[0];
    ck_assert_str_eq(route->name, "in-f");
    ck_assert(route->batch_events == 500 && route->batch_bytes == INT64_C(1) << 20 && route->batch_wait_us == 0);
    ck_assert(route->window_events == 50000 && route->window_bytes == INT64_C(64) << 20);
    ck_assert(route->order == ORDER_KEY && route->lanes == 8);
    ck_assert_uint_eq(route->retry.attempts, 5);
    ck_assert(route->retry.base_us == 100000 && route->retry.cap_us == 30000000);
    ck_assert(route->bisect == 1 && route->on_failure == FAILURE_DEAD);
    ck_assert_int_eq(route->journal_max, INT64_C(8) << 30);
}
END_TEST

START_TEST(test_every_option_of_the_top_changes_something)
{
    load("store: { path: /elsewhere, size_max: 1GiB }\n"
         "limits: { memory: 32MiB, event_bytes: 1MiB, workers: 7, stop: 3s }\n"
         "log: { level: debug, format: json }\n" SOURCE SINK ROUTE);
    ck_assert_str_eq(config->store_path, "/elsewhere");
    ck_assert_int_eq(config->store_size_max, INT64_C(1) << 30);
    ck_assert_int_eq(config->memory, INT64_C(32) << 20);
    ck_assert_int_eq(config->event_bytes, INT64_C(1) << 20);
    ck_assert_int_eq(config->workers, 7);
    ck_assert_int_eq(config->stop_timeout_us, 3000000);
    ck_assert_int_eq(config->log_level, LOG_DEBUG);
    ck_assert_int_eq(config->log_json, 1);
    load("log: { level: error }\n" SOURCE SINK ROUTE);
    ck_assert_int_eq(config->log_level, LOG_ERROR);
    load("log: { level: warn }\n" SOURCE SINK ROUTE);
    ck_assert_int_eq(config->log_level, LOG_WARN);
}
END_TEST

START_TEST(test_every_option_of_kinds_changes_something)
{
    load("sources:\n  in: { type: kit, topics: a, key: payload.a, id: key, time: { field: payload.t, format: "
         "rfc3339 } }\n"
         "functions:\n  f: { type: kit, concurrency: 3 }\n"
         "sinks:\n  out: { type: kit, path: x, retry: { attempts: 9, backoff: 1s..2s } }\n" CALLING);
    ck_assert(field_is_json(config->sources[0].key));
    ck_assert_ptr_nonnull(config->sources[0].id);
    ck_assert(!field_is_json(config->sources[0].id));
    ck_assert(field_is_json(config->sources[0].time));
    ck_assert_int_eq(config->sources[0].time_format, TIME_RFC3339);
    ck_assert_int_eq(config->functions[0].concurrency, 3);
    ck_assert_uint_eq(config->sinks[0].retry.attempts, 9);
    ck_assert(config->sinks[0].retry.base_us == 1000000 && config->sinks[0].retry.cap_us == 2000000);
    load("sources:\n  in: { type: kit, topics: a, time: { field: payload.t } }\n" SINK ROUTE);
    ck_assert_int_eq(config->sources[0].time_format, TIME_UNIX_MS);
    load("sources:\n  in: { module: m/kit.so, topics: a, time: { field: payload.t, format: unix_s } }\n"
         "functions:\n  f: { module: m/kit.so, function: keeper, options: { type: x } }\n"
         "sinks:\n  out: { type: kit, module: m/kit.so, path: x }\n" CALLING);
    ck_assert_int_eq(config->sources[0].time_format, TIME_UNIX_S);
    ck_assert_str_eq(config->functions[0].ops->type, "keeper");
    ck_assert_str_eq(yaml_get(config->functions[0].node, "type")->text, "x");
    ck_assert_str_eq(config->sinks[0].ops->type, "kit");
}
END_TEST

START_TEST(test_every_option_of_a_route_changes_something)
{
    const struct config_route *route;

    load(SOURCE FUNCTION SINK
         "routes:\n"
         "  - { name: r, from: in, call: [f], to: [out], batch: { events: 1, bytes: 2KiB, wait: 20ms },\n"
         "      in_flight: { events: 100, bytes: 1MiB }, order: none, lanes: 4,\n"
         "      retry: { attempts: forever, backoff: 5s..6s, bisect: false }, on_failure: stop, journal_max: 1MiB "
         "}\n"
         "  - { name: s, from: in, to: out, order: shard, lanes: 1 }\n"
         "  - { name: t, from: in, to: out, order: shard }\n");
    route = &config->routes[0];
    ck_assert_str_eq(route->name, "r");
    ck_assert(route->batch_events == 1 && route->batch_bytes == 2048 && route->batch_wait_us == 20000);
    ck_assert(route->window_events == 100 && route->window_bytes == INT64_C(1) << 20);
    ck_assert(route->order == ORDER_NONE && route->lanes == 4);
    ck_assert_uint_eq(route->retry.attempts, 0);
    ck_assert(route->retry.base_us == 5000000 && route->retry.cap_us == 6000000);
    ck_assert(route->bisect == 0 && route->on_failure == FAILURE_STOP);
    ck_assert_int_eq(route->journal_max, INT64_C(1) << 20);
    ck_assert(config->routes[1].order == ORDER_SHARD && config->routes[1].lanes == 1);
    ck_assert(config->routes[2].order == ORDER_SHARD && config->routes[2].lanes == 1);
}
END_TEST

START_TEST(test_names_are_resolved)
{
    const struct config_route *route;

    load("sources: { a: { type: kit, topics: x }, b: { type: kit, topics: x } }\n"
         "functions: { f: { type: kit }, g: { type: kit } }\n"
         "sinks: { s: { type: kit, path: x }, t: { type: kit, path: x } }\n"
         "routes:\n"
         "  - { from: [b, a], call: [g, f], to: { good: t, bad: s, odd: t } }\n"
         "  - { from: a, to: [s, t] }\n"
         "  - { from: a, call: g }\n");
    route = &config->routes[0];
    ck_assert_uint_eq(route->from_count, 2);
    ck_assert_ptr_eq(route->from[0], &config->sources[1]);
    ck_assert_ptr_eq(route->from[1], &config->sources[0]);
    ck_assert_uint_eq(route->call_count, 2);
    ck_assert_ptr_eq(route->call[0], &config->functions[1]);
    ck_assert_uint_eq(route->sink_count, 2);
    ck_assert_uint_eq(route->output_count, 3);
    ck_assert_str_eq(route->outputs[0].name, "good");
    ck_assert_ptr_eq(route->outputs[0].sink, &config->sinks[1]);
    ck_assert_uint_eq(route->outputs[0].index, 0);
    ck_assert_uint_eq(route->outputs[1].index, 1);
    ck_assert_ptr_eq(route->outputs[1].sink, &config->sinks[0]);
    ck_assert_uint_eq(route->outputs[2].index, 0);
    ck_assert_str_eq(route->name, "b-g");
    route = &config->routes[1];
    ck_assert_str_eq(route->name, "a-s");
    ck_assert_ptr_null(route->outputs[1].name);
    ck_assert_uint_eq(route->outputs[1].index, 1);
    ck_assert_uint_eq(config->routes[2].sink_count, 0);
    ck_assert_uint_eq(config->routes[2].output_count, 0);
}
END_TEST

/* What the engine fills later: the same nodes with the lists of common keys. */
START_TEST(test_nodes_can_be_filled_again)
{
    struct yaml_report report = {0};
    struct option_target target = {0};

    load("sources:\n  in: { type: kit, topics: [a, b], key: id, tls: true }\n" FUNCTION SINK CALLING);
    target.arena = &config->arena;
    target.rows = config->sources[0].ops->options;
    target.skip = config_source_skip;
    target.state = calloc(1, config->sources[0].ops->state_size);
    ck_assert_int_eq(option_fill(&target, config->sources[0].node, &report), WEIR_OK);
    free(target.state);
    target.rows = config->functions[0].ops->options;
    target.skip = config_function_skip;
    target.state = calloc(1, config->functions[0].ops->state_size);
    ck_assert_int_eq(option_fill(&target, config->functions[0].node, &report), WEIR_OK);
    ck_assert_int_eq(*(int64_t *)target.state, 10);
    free(target.state);
}
END_TEST

START_TEST(test_includes_are_merged)
{
    char path[PATH_MAX + 20];

    ck_assert_int_eq(mkdir("parts", 0700), 0);
    ck_assert_int_eq(mkdir("parts/deep", 0700), 0);
    config_kit_text("parts/sinks.yaml", "include: deep/store.yaml\n" SINK);
    config_kit_text("parts/deep/store.yaml", "store: { path: data }\nsources:\n  two: { type: kit, topics: a }\n");
    config_kit_text("more.yaml", "routes:\n  - { from: two, to: out }\n");
    load("include: [parts/sinks.yaml, ./more.yaml]\n" SOURCE ROUTE);
    ck_assert_uint_eq(config->source_count, 2);
    ck_assert_uint_eq(config->sink_count, 1);
    ck_assert_uint_eq(config->route_count, 2);
    snprintf(path, sizeof(path), "%s/parts/deep/data", folder);
    ck_assert_str_eq(config->store_path, path);
    ck_assert_str_eq(config->sinks[0].node->file, "parts/sinks.yaml");
}
END_TEST

START_TEST(test_includes_that_are_wrong)
{
    config_kit_text("a.yaml", "include: [b.yaml]\n" SINK);
    config_kit_text("b.yaml", "include: [t.yaml]\n");
    refused("include: a.yaml\n" SOURCE ROUTE,
            "b.yaml:1:11: include[0]: includes go in a circle: t.yaml includes this file; take one include out\n");
    refused("include: t.yaml\n" SOURCE SINK ROUTE,
            "t.yaml:1:10: include: includes go in a circle: t.yaml includes this file; take one include out\n");
    config_kit_text("b.yaml", "log: {}\n");
    refused("include: [a.yaml, ./b.yaml]\n" SOURCE ROUTE,
            "t.yaml:1:19: include[1]: b.yaml is included already; take one include out\n");
    config_kit_text("a.yaml", SINK "log: {}\n");
    refused("include: a.yaml\nlog: {}\n" SOURCE SINK ROUTE,
            "a.yaml:3:1: log: is there twice, first in t.yaml:2; keep it in one file\n"
            "t.yaml:6:3: sinks/out: is there twice, first in a.yaml:2; rename or remove one of the two\n");
    config_kit_text("a.yaml", "- x\n");
    refused("include: a.yaml\n" SOURCE SINK ROUTE,
            "a.yaml:1:1: the file is no mapping; expected `sources:`, `sinks:`, `routes:` ...\n");
    refused("include: .\n" SOURCE SINK ROUTE,
            "t.yaml:1:10: include: cannot be read: Is a directory; paths start at the folder of this file\n");
    config_kit_text("a.yaml", "x: [\n");
    refused("include: a.yaml\n" SOURCE SINK ROUTE,
            "a.yaml:2:1: YAML syntax: did not find expected node content (while parsing a flow node that began on "
            "line 2)\n");
}
END_TEST

START_TEST(test_no_more_than_64_files)
{
    char name[40], text[2000];
    size_t used = (size_t)sprintf(text, "%s", SOURCE SINK ROUTE "include: [");

    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "p%d.yaml", i);
        config_kit_text(name, "functions: {}\n");
        used += (size_t)sprintf(text + used, "%s%s", i > 0 ? ", " : "", name);
    }
    sprintf(text + used, "]\n");
    config_kit_text("t.yaml", text);
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_uint_eq(config->report.count, 1);
    ck_assert_ptr_nonnull(
        strstr(config->report.text, "include[63]: is file number 65; a configuration has at most 64 files\n"));
}
END_TEST

START_TEST(test_files_that_are_none)
{
    static const char binary[] = "\x7f"
                                 "ELF\x02\x01\x01\0\0\0";

    ck_assert_int_eq(load_file("none.yaml"), WEIR_INVALID);
    ck_assert_str_eq(
        config->report.text,
        "none.yaml:1:1: cannot be read: No such file or directory; check the path and its permissions\n");
    config_kit_write("t.yaml", binary, sizeof(binary));
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_str_eq(config->report.text,
                     "t.yaml:1:1: byte 0x7f is no text; save the file as UTF-8 without control characters\n");
    config_kit_text("t.yaml", "");
    ck_assert_int_eq(load_file("t.yaml"), WEIR_INVALID);
    ck_assert_str_eq(config->report.text,
                     "t.yaml:1:1: the file is empty; write a section into it, at least `routes:`\n");
}
END_TEST

START_TEST(test_standard_input)
{
    char path[PATH_MAX + 20];

    config_kit_text("t.yaml", SOURCE SINK ROUTE);
    ck_assert_ptr_nonnull(freopen("t.yaml", "r", stdin));
    ck_assert_int_eq(load_file("-"), WEIR_OK);
    snprintf(path, sizeof(path), "%s/weir-data", folder);
    ck_assert_str_eq(config->store_path, path);
    ck_assert_str_eq(config->folder, folder);
}
END_TEST

START_TEST(test_variables_in_values)
{
    setenv("WEIR_LANES", "3", 1);
    load(SOURCE SINK "routes:\n  - from: in\n    to: ${WEIR_NONE:-out}\n    lanes: ${WEIR_LANES}\n");
    ck_assert_int_eq(config->routes[0].lanes, 3);
}
END_TEST

START_TEST(test_the_order_of_sections_does_not_matter)
{
    load(CALLING SINK FUNCTION SOURCE);
    ck_assert_str_eq(config->routes[0].name, "in-f");
}
END_TEST

START_TEST(test_every_core_row_is_complete)
{
    size_t sections = 0;

    for (const struct config_section *s = config_sections; s->name != NULL; s++, sections++) {
        ck_assert_ptr_nonnull(s->summary);
        for (const weir_option *row = s->rows; row->name != NULL; row++) {
            ck_assert_ptr_nonnull(row->help);
            ck_assert_int_eq(row->help[strlen(row->help) - 1], '.');
            ck_assert_int_le(row->min, row->max);
        }
    }
    ck_assert_uint_eq(sections, 8);
}
END_TEST

/* Lines of good configurations, put together at random: never a crash, and a report exactly when it is refused. */
START_TEST(test_random_configurations)
{
    static const char *const lines[] = {SOURCE,
                                        SINK,
                                        FUNCTION,
                                        ROUTE,
                                        CALLING,
                                        "  - { from: in, to: { a: out } }\n",
                                        "  two: { type: kit }\n",
                                        "store: { path: x }\n",
                                        "limits: { workers: 2, stop: 0 }\n",
                                        "  - [in]\n",
                                        "include: t.yaml\n",
                                        "log:\n",
                                        "  level: warn\n"};
    struct random random;
    int good = 0;

    random_init(&random, testing_seed());
    for (int round = 0; round < 1500; round++) {
        char text[1000] = "";

        for (uint64_t i = 1 + random_below(&random, 6); i > 0; i--)
            strcat(text, lines[random_below(&random, ARRAY_COUNT(lines))]);
        config_kit_text("t.yaml", round % 100 == 0 ? SOURCE SINK ROUTE : text);
        if (load_file("t.yaml") == WEIR_OK) {
            good++;
            ck_assert_ptr_null(config->report.text);
        } else {
            ck_assert_uint_gt(config->report.count, 0);
            ck_assert_ptr_nonnull(config->report.text);
        }
    }
    ck_assert_int_ge(good, 15);
}
END_TEST

static void faults_add(Suite *s)
{
    TCase *c = tcase_create("faults");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_faults_at_the_top);
    tcase_add_test(c, test_faults_of_sources);
    tcase_add_test(c, test_faults_of_sinks);
    tcase_add_test(c, test_faults_of_functions);
    tcase_add_test(c, test_faults_of_routes);
    tcase_add_test(c, test_all_faults_are_told_at_once);
    tcase_add_test(c, test_a_type_that_nobody_has);
    tcase_add_test(c, test_many_faults_are_bounded);
    suite_add_tcase(s, c);
}

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *c = tcase_create("config");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_defaults);
    tcase_add_test(c, test_every_option_of_the_top_changes_something);
    tcase_add_test(c, test_every_option_of_kinds_changes_something);
    tcase_add_test(c, test_every_option_of_a_route_changes_something);
    tcase_add_test(c, test_names_are_resolved);
    tcase_add_test(c, test_nodes_can_be_filled_again);
    tcase_add_test(c, test_includes_are_merged);
    tcase_add_test(c, test_includes_that_are_wrong);
    tcase_add_test(c, test_no_more_than_64_files);
    tcase_add_test(c, test_files_that_are_none);
    tcase_add_test(c, test_standard_input);
    tcase_add_test(c, test_variables_in_values);
    tcase_add_test(c, test_the_order_of_sections_does_not_matter);
    tcase_add_test(c, test_every_core_row_is_complete);
    tcase_add_test(c, test_random_configurations);
    suite_add_tcase(s, c);
    faults_add(s);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
