/* test_commands.c: the command line as a function: arguments, help, and every command on stores that are stopped,
 * missing, locked or damaged. Beside a running weir: test_main.c. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "command.h"
#include "journal_block.h"
#include "keys.h"
#include "store_kit.h"
#include "testing.h"

#define ARGUMENTS_MAX 12

static char folder[PATH_MAX], file[PATH_MAX + 20], place[PATH_MAX + 20];
static char *out, *err; /* of the last command */

static void file_write(const char *name, const char *text)
{
    char path[PATH_MAX + 40];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *to = fopen(path, "w");
    ck_assert_ptr_nonnull(to);
    fputs(text, to);
    fclose(to);
}

static const char fine[] = "store: { path: ./store, size_max: 64MiB }\n"
                           "sources: { s: { type: generate, count: 10 } }\n"
                           "functions: { n: { type: count } }\n"
                           "sinks: { o: { type: drop }, p: { type: drop } }\n"
                           "routes:\n"
                           "  - { name: r, from: s, to: [ o, p ], order: none, on_failure: stop }\n"
                           "  - { name: q, from: s, call: n, to: o }\n";

static void setup(void)
{
    kit_folder(folder);
    snprintf(file, sizeof file, "%s/weir.yaml", folder);
    snprintf(place, sizeof place, "%s/store", folder);
    file_write("weir.yaml", fine);
}

static void teardown(void)
{
    free(out);
    free(err);
    out = err = NULL;
    kit_remove(folder);
}

/* Runs `weir` with these words, up to NULL. */
static int weir(const char *word, ...)
{
    char *words[ARGUMENTS_MAX] = {(char *)"weir"};
    int count = 1;
    size_t size;
    va_list args;
    va_start(args, word);
    for (; word; word = va_arg(args, const char *)) {
        ck_assert_int_lt(count, ARGUMENTS_MAX);
        words[count++] = (char *)word;
    }
    va_end(args);
    free(out);
    free(err);
    FILE *to = open_memstream(&out, &size), *complaints = open_memstream(&err, &size);
    int code = command_main(count, words, to, complaints);
    fclose(to);
    fclose(complaints);
    return code;
}

#define WEIR(...) weir(__VA_ARGS__, (const char *)NULL)

/* What was printed, as JSON; the caller deletes it. */
static cJSON *printed(void)
{
    const char *end = NULL;
    cJSON *document = cJSON_ParseWithOpts(out, &end, false);
    ck_assert_msg(document != NULL, "no JSON: %s", out);
    ck_assert_str_eq(end, "\n");
    return document;
}

static cJSON *member(const cJSON *object, const char *name)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(found != NULL, "no %s in %s", name, out);
    return found;
}

static const char *text(const cJSON *object, const char *name)
{
    ck_assert(cJSON_IsString(member(object, name)));
    return member(object, name)->valuestring;
}

static double number(const cJSON *object, const char *name)
{
    ck_assert(cJSON_IsNumber(member(object, name)));
    return member(object, name)->valuedouble;
}

static void ck_contains(const char *where, const char *what)
{
    ck_assert_msg(strstr(where, what) != NULL, "`%s` is not in: %s", what, where);
}

/* A store as a run leaves it. */

static void add_position(struct store_ops *ops, const char *route, const char *shard, struct route_vector vector)
{
    struct arena arena;
    struct key key;
    arena_init(&arena, 0);
    key_position(&key, view_of(route), view_of("s"), view_of(shard));
    store_ops_put(ops, TABLE_POSITION, key_view(&key), vector_encode(&vector, &arena));
    arena_fini(&arena);
}

static void add_journal(struct store_ops *ops, const char *source, uint64_t first, size_t count)
{
    static char block[8192];
    weir_event events[8] = {{.payload = {"0123456789", 10}}};
    struct key key;
    for (size_t i = 1; i < count; i++)
        events[i] = events[0];
    size_t size = journal_block_write(block, first, events, count, NULL, NULL);
    key_journal(&key, view_of(source), first);
    store_ops_put(ops, TABLE_JOURNAL, key_view(&key), view_make(block, size));
}

static void add_dead(struct store_ops *ops, uint64_t position, const char *route, const char *stage,
                     const char *cause)
{
    struct arena arena;
    struct key key;
    char id[40];
    weir_header headers[] = {{view_of("colour"), view_of("blue\033[0m")}, {view_of("raw"), view_make("\xff", 1)}};
    arena_init(&arena, 0);
    snprintf(id, sizeof id, "s/0/%" PRIu64, position);
    struct dead_letter dead = {
        .route = view_of(route),
        .source = view_of("s"),
        .shard = view_of("0"),
        .position = position,
        .stage = view_of(stage),
        .function = view_of("parse"),
        .attempts = 5,
        .cause = view_of(cause),
        .first_us = INT64_C(1700000000000000),
        .last_us = INT64_C(1700000001000000),
        .event = {.id = view_of(id),
                  .key = view_of(position % 2 ? "odd" : "even"),
                  .subject = view_of("plant/1"),
                  .time_us = INT64_C(1600000000000000),
                  .headers = headers,
                  .header_count = 2,
                  .payload = position == 3   ? view_make("\0\1", 2)
                             : position == 4 ? view_make(NULL, 0)
                                             : view_of("{\"a\":1}")},
    };
    key_dead(&key, dead.route, dead.source, dead.shard, position, dead.stage, 0);
    store_ops_put(ops, TABLE_DEAD, key_view(&key), dead_encode(&dead, &arena));
    arena_fini(&arena);
}

static void store_fill(void)
{
    static const uint64_t lanes[] = {7, 5, 12}, base[] = {100}, ranges[][2] = {{102, 105}, {110, UINT64_MAX - 1}};
    struct store *store = kit_open(place);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    struct key key;
    char attempts[4];
    add_position(ops, "q", "0", (struct route_vector){3, lanes, NULL, 0});
    add_position(ops, "r", "shard\n1", (struct route_vector){1, base, ranges, 2});
    key_note(&key, view_of("s"), view_of("0"));
    store_ops_put(ops, TABLE_NOTE, key_view(&key), view_of("inode 5"));
    put_le32(attempts, 3);
    key_attempt(&key, view_of("q"), view_of("s"), view_of("0"), 13);
    store_ops_put(ops, TABLE_ATTEMPT, key_view(&key), view_make(attempts, 4));
    add_journal(ops, "meters", 41, 8);
    add_journal(ops, "meters", 49, 3);
    add_journal(ops, "other", 1, 1);
    for (uint64_t i = 1; i <= 6; i++)
        add_dead(ops, i, i < 5 ? "r" : "q", i % 2 ? "" : "o", i == 2 ? "no such field" : "time-out\033[31m");
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    store_close(store);
}

/* Arguments. */

START_TEST(test_without_words_the_commands_are_told)
{
    ck_assert_int_eq(weir(NULL), EXIT_USAGE);
    ck_contains(err, "dead replay");
    ck_assert_int_eq(WEIR("--help"), EXIT_DONE);
    ck_contains(out, "dead replay");
    ck_contains(out, "  5  a commit failed");
    ck_assert_int_eq(WEIR("-h"), EXIT_DONE);
    ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(test_every_command_has_help)
{
    size_t count = 0;
    for (; commands[count]; count++) {
        char name[64];
        snprintf(name, sizeof name, "%s", commands[count]->name);
        char *second = strchr(name, ' ');
        if (second)
            *second++ = 0;
        ck_assert_int_eq(second ? WEIR(name, second, "--help") : WEIR(name, "--help"), EXIT_DONE);
        ck_contains(out, commands[count]->name);
        ck_contains(out, commands[count]->summary);
        ck_contains(out, "--help");
        ck_assert_int_eq(strstr(out, "--output") != NULL, commands[count]->prints);
        for (const struct command_option *row = commands[count]->options; row && row->name; row++)
            ck_contains(out, row->help);
        ck_assert_str_eq(err, "");
        ck_assert_ptr_eq(command_find(commands[count]->name), commands[count]);
    }
    ck_assert_uint_eq(count, 12);
}
END_TEST

START_TEST(test_a_wrong_word_names_the_nearest)
{
    static const struct {
        const char *first, *second, *said;
    } cases[] = {
        {"stauts", NULL, "did you mean `weir status`?"},
        {"chek", "x", "did you mean `weir check`?"},
        {"dead", "lst", "did you mean `weir dead list`?"},
        {"ded", "list", "did you mean `weir dead`?"},
        {"frobnicate", NULL, "`weir --help` lists them"},
        {"dead", NULL, "dead replay"},
        {"store", "frobnicate", "no command `store frob"},
        {"checkpoint", "shwo", "`weir checkpoint show`?"},
        {"", NULL, "no command ``"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        ck_assert_int_eq(WEIR(cases[i].first, cases[i].second), EXIT_USAGE);
        ck_contains(err, cases[i].said);
        ck_assert_str_eq(out, "");
    }
    ck_assert_int_eq(WEIR("dead", "--help"), EXIT_DONE);
    ck_contains(out, "dead drop");
}
END_TEST

START_TEST(test_wrong_options_and_operands)
{
    ck_assert_int_eq(WEIR("dead", "list", file, "--rout", "x"), EXIT_USAGE);
    ck_contains(err, "did you mean --route?");
    ck_assert_int_eq(WEIR("dead", "list", file, "-x"), EXIT_USAGE);
    ck_contains(err, "no option --x");
    ck_assert_int_eq(WEIR("dead", "list", file, "--route"), EXIT_USAGE);
    ck_contains(err, "--route NAME");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all=yes"), EXIT_USAGE);
    ck_contains(err, "takes no value");
    ck_assert_int_eq(WEIR("dead", "list"), EXIT_USAGE);
    ck_contains(err, "weir dead list FILE");
    ck_assert_int_eq(WEIR("check", file, "more"), EXIT_USAGE);
    ck_contains(err, "`more` is one argument too many");
    ck_assert_int_eq(WEIR("version", "-o", "xml"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("version", "-o"), EXIT_USAGE);
    ck_contains(err, "`text` or `json`");
    ck_assert_int_eq(WEIR("run", file, "-o", "json"), EXIT_USAGE);
    ck_contains(err, "prints no data");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "-1"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "1x"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("dead", "show", file, "--limit", "99999999999999999999"), EXIT_USAGE);
    ck_contains(err, "takes a count");
}
END_TEST

START_TEST(test_all_ways_to_write_an_option)
{
    static const char *const ways[][3] = {{"-o", "json"}, {"-ojson"}, {"--output", "json"}, {"--output=json"}};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        ck_assert_int_eq(WEIR("version", ways[i][0], ways[i][1]), EXIT_DONE);
        cJSON_Delete(printed());
    }
    ck_assert_int_eq(WEIR("version", "-o", "text"), EXIT_DONE);
    ck_contains(out, "weir " WEIR_VERSION);
    ck_assert_int_eq(WEIR("--version"), EXIT_DONE);
    store_fill();
    ck_assert_int_eq(WEIR("dead", "list", "--route=q", "--", file), EXIT_DONE);
    ck_contains(out, "s/0/5");
    ck_assert_int_eq(WEIR("check", "--", "--help"), EXIT_CONFIG); /* a file of that name */
}
END_TEST

START_TEST(test_output_that_cannot_be_written_is_a_failure)
{
    char *words[] = {(char *)"weir", (char *)"version"};
    FILE *full = fopen("/dev/full", "w"), *complaints = tmpfile();
    if (!full)
        return;
    ck_assert_int_eq(command_main(2, words, full, complaints), EXIT_FAILED);
    ck_assert_int_gt(ftell(complaints), 0);
    fclose(full);
    fclose(complaints);
}
END_TEST

/* Commands that need no store. */

START_TEST(test_version)
{
    ck_assert_int_eq(WEIR("version", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_str_eq(text(document, "version"), WEIR_VERSION);
    ck_assert_int_eq((int)number(document, "abi"), WEIR_ABI);
    ck_assert_int_eq((int)number(document, "store_layout"), STORE_LAYOUT);
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_list)
{
    size_t sources = 0;
    const cJSON *kind;
    ck_assert_int_eq(WEIR("list", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsArray(member(document, "left_out")));
    cJSON_ArrayForEach(kind, member(document, "kinds"))
    {
        sources += !strcmp(text(kind, "sort"), "source") && !strcmp(text(kind, "type"), "generate");
        ck_assert_uint_gt(strlen(text(kind, "where")), 0);
    }
    cJSON_Delete(document);
    ck_assert_uint_eq(sources, 1);
    ck_assert_int_eq(WEIR("list"), EXIT_DONE);
    ck_contains(out, "generate");
    ck_contains(out, "SUMMARY");
}
END_TEST

START_TEST(test_left_out_kinds_are_read_line_by_line)
{
    weir_view name, reason;
    const char *at = "kafka\tlibrdkafka is missing\nodd\n\tonly why\nlast\tno newline";
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "kafka") && view_is(reason, "librdkafka is missing"));
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "odd") && reason.size == 0);
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(name.size == 0 && view_is(reason, "only why"));
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "last") && view_is(reason, "no newline"));
    ck_assert(!left_out_next(&at, &name, &reason));
}
END_TEST

START_TEST(test_help)
{
    ck_assert_int_eq(WEIR("help"), EXIT_DONE);
    ck_contains(out, "Sections:");
    ck_assert_int_eq(WEIR("help", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "commands")), 12);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("help", "dead", "list"), EXIT_DONE);
    ck_contains(out, "--cause TEXT");
    ck_assert_int_eq(WEIR("help", "exit-codes"), EXIT_DONE);
    ck_contains(out, "  4  the store");
    ck_assert_int_eq(WEIR("help", "stor"), EXIT_USAGE);
    ck_contains(err, "did you mean `weir help store`?");
    ck_assert_int_eq(WEIR("help", "frobnicate"), EXIT_USAGE);
    ck_contains(err, "see `weir list`");
    ck_assert_int_eq(WEIR("help", "a", "b", "c"), EXIT_USAGE);
}
END_TEST

START_TEST(test_help_of_sections_and_kinds)
{
    ck_assert_int_eq(WEIR("help", "routes"), EXIT_DONE);
    ck_contains(out, "on_failure");
    ck_assert_int_eq(WEIR("help", "route"), EXIT_DONE);
    ck_contains(out, "on_failure");
    ck_assert_int_eq(WEIR("help", "generate"), EXIT_DONE);
    ck_contains(out, "source generate");
    ck_contains(out, "seed");
    ck_assert_int_eq(WEIR("help", "store", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    const cJSON *kind = member(document, "kinds")->child;
    ck_assert_str_eq(text(kind, "sort"), "section");
    ck_assert_str_eq(text(member(kind, "options")->child, "name"), "path");
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_check_tells_what_each_route_does)
{
    ck_assert_int_eq(WEIR("check", file), EXIT_DONE);
    ck_contains(out, "is fine; nothing was started");
    ck_contains(out, place);
    ck_contains(out, "64.0 MiB");
    ck_contains(out, "route r: s -> o, p\n");
    ck_contains(out, "route q: s -> n -> o\n");
    ck_contains(out, "order      none");
    ck_contains(out, "order      key, 8 lanes");
    ck_contains(out, "the route stops");
    ck_contains(out, "dead letter, and the route goes on");
    ck_contains(out, "function state and positions in one transaction");
    ck_contains(out, "at least once; after a crash");
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(access(place, F_OK), -1); /* nothing was made */
}
END_TEST

START_TEST(test_check_as_json)
{
    ck_assert_int_eq(WEIR("check", "-o", "json", file), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsTrue(member(document, "ok")));
    ck_assert_str_eq(text(member(document, "store"), "path"), place);
    const cJSON *route = member(document, "routes")->child;
    ck_assert_str_eq(text(route, "name"), "r");
    ck_assert_str_eq(text(route, "order"), "none");
    ck_assert_str_eq(text(route, "on_failure"), "stop");
    ck_assert(cJSON_IsFalse(member(route, "state")));
    ck_assert_int_eq(cJSON_GetArraySize(member(route, "to")), 2);
    ck_assert_str_eq(text(member(route, "from")->child, "source"), "s");
    ck_assert(cJSON_IsTrue(member(route->next, "state")));
    ck_assert_int_eq((int)number(route->next, "lanes"), 8);
    ck_assert_str_eq(member(route->next, "call")->child->valuestring, "n");
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_check_tells_every_fault_with_its_place)
{
    file_write("weir.yaml", "sources:\n  s: { type: generate, cuont: 1 }\nsinks:\n  o: { type: dorp }\nroutes:\n"
                            "  - { from: s, to: o, lanes: 5000 }\n");
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
    ck_contains(err, "weir.yaml:2:");
    ck_contains(err, "count");
    ck_contains(err, "weir.yaml:4:");
    ck_contains(err, "weir.yaml:6:");
    ck_contains(err, "3 faults");
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(WEIR("check", file, "-o", "json"), EXIT_CONFIG);
    cJSON *document = printed();
    ck_assert(cJSON_IsFalse(member(document, "ok")));
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "faults")), 3);
    const cJSON *fault = member(document, "faults")->child;
    ck_assert_str_eq(text(fault, "file"), file);
    ck_assert_int_eq((int)number(fault, "line"), 2);
    ck_assert_int_gt((int)number(fault, "column"), 1);
    ck_contains(text(fault, "message"), "cuont");
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_check_of_a_file_that_is_not_there)
{
    ck_assert_int_eq(WEIR("check", "/nowhere/weir.yaml"), EXIT_CONFIG);
    ck_contains(err, "/nowhere/weir.yaml");
    ck_assert_int_eq(WEIR("check", "/nowhere/weir.yaml", "-o", "json"), EXIT_CONFIG);
    cJSON_Delete(printed());
    file_write("empty.yaml", "");
    snprintf(file, sizeof file, "%s/empty.yaml", folder);
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
}
END_TEST

/* Dead letters. */

START_TEST(test_dead_list)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_DONE);
    for (int i = 1; i <= 6; i++) {
        char id[10];
        snprintf(id, sizeof id, "s/0/%d ", i);
        ck_contains(out, id);
    }
    ck_contains(out, "time-out\\x1b[31m");
    ck_contains(out, "sink o");
    ck_contains(out, "function parse");
    ck_assert_ptr_null(strchr(out, '\033'));
}
END_TEST

static void expect_listed(const char *option, const char *value, const char *positions)
{
    char found[20] = "";
    const cJSON *dead;
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json", option, value), EXIT_DONE);
    cJSON *document = printed();
    cJSON_ArrayForEach(dead, member(document, "dead"))
        sprintf(found + strlen(found), "%d", (int)number(dead, "position"));
    ck_assert_str_eq(found, positions);
    ck_assert_int_eq((int)number(document, "count"), (int)strlen(positions));
    cJSON_Delete(document);
}

START_TEST(test_dead_list_selects)
{
    store_fill();
    expect_listed("--route", "q", "56");
    expect_listed("--route", "r", "1234");
    expect_listed("--route", "none", "");
    expect_listed("--cause", "such", "2");
    expect_listed("--key", "even", "624");
    expect_listed("--id", "s/0/4", "4");
    expect_listed("--limit", "3", "561");
    expect_listed("--limit", "0", "561234");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "3"), EXIT_DONE);
    ck_contains(out, "there are more");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "6"), EXIT_DONE);
    ck_assert_ptr_null(strstr(out, "there are more"));
    ck_assert_int_eq(WEIR("dead", "list", file, "--route", "none"), EXIT_DONE);
    ck_assert_str_eq(out, "no dead letters\n");
}
END_TEST

START_TEST(test_dead_show)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/2"), EXIT_DONE);
    ck_contains(out, "no such field");
    ck_contains(out, "sink o");
    ck_contains(out, "source s, shard 0, position 2");
    ck_contains(out, "colour: blue\\x1b[0m");
    ck_contains(out, "raw: \\xff");
    ck_contains(out, "2020-09-13T12:26:40.000Z");
    ck_contains(out, "\n{\"a\":1}\n");
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/3"), EXIT_DONE);
    ck_contains(out, "00000000  00 01 ");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/4"), EXIT_DONE);
    ck_contains(out, "absent");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/7"), EXIT_FAILED);
    ck_contains(err, "no such dead letter");
    ck_assert_int_eq(WEIR("dead", "show", file), EXIT_DONE);
    ck_contains(out, "s/0/5\n");
    ck_contains(err, "more are selected");
}
END_TEST

START_TEST(test_dead_show_as_json)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "show", file, "--limit", "0", "--route", "r", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "dead")), 4);
    const cJSON *dead = member(document, "dead")->child;
    ck_assert_str_eq(text(dead, "payload"), "{\"a\":1}");
    ck_assert_str_eq(text(dead, "stage"), "function");
    ck_assert_str_eq(text(dead, "name"), "parse");
    ck_assert_str_eq(text(member(dead, "headers")->child, "value"), "blue\033[0m");
    ck_assert_str_eq(text(member(dead, "headers")->child->next, "value_hex"), "ff");
    ck_assert_str_eq(text(dead, "time"), "2020-09-13T12:26:40.000000Z");
    ck_assert_str_eq(text(dead->next, "name"), "o");
    ck_assert_str_eq(text(dead->next->next, "payload_hex"), "0001");
    ck_assert(cJSON_IsNull(member(dead->next->next->next, "payload")));
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_replay_and_drop_must_be_told_which)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "replay", file), EXIT_USAGE);
    ck_contains(err, "--all");
    ck_assert_int_eq(WEIR("dead", "drop", file), EXIT_USAGE);
    expect_listed("--limit", "0", "561234");
}
END_TEST

START_TEST(test_dead_replay_of_a_stopped_weir)
{
    const cJSON *dead;
    size_t asked = 0;
    store_fill();
    ck_assert_int_eq(WEIR("dead", "replay", file, "--route", "q"), EXIT_DONE);
    ck_contains(out, "2 dead letters will be replayed by the next `weir run");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--route", "q"), EXIT_FAILED);
    ck_contains(out, "nothing was changed");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq((int)number(document, "changed"), 4);
    ck_assert(cJSON_IsFalse(member(document, "running")));
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json"), EXIT_DONE);
    document = printed();
    cJSON_ArrayForEach(dead, member(document, "dead")) asked += cJSON_IsTrue(member(dead, "replay_asked")) != 0;
    cJSON_Delete(document);
    ck_assert_uint_eq(asked, 6);
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_DONE);
    ck_contains(out, "5, replay");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all"), EXIT_DONE);
}
END_TEST

START_TEST(test_dead_drop_on_a_stopped_weir)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", "s/0/2"), EXIT_DONE);
    ck_assert_str_eq(out, "1 dead letter dropped\n");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", "s/0/2"), EXIT_FAILED);
    expect_listed("--limit", "0", "56134");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
    ck_assert_str_eq(out, "5 dead letters dropped\n");
    expect_listed("--limit", "0", "");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
}
END_TEST

START_TEST(test_more_dead_letters_than_one_step_takes)
{
    struct store *store = kit_open(place);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    for (uint64_t i = 10; i < 1510; i++)
        add_dead(ops, i, "r", "", "x");
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    store_close(store);
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "dead")), 1500);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "replay", file, "--key", "odd"), EXIT_DONE);
    ck_contains(out, "750 dead letters");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
    ck_contains(out, "1500 dead letters");
}
END_TEST

/* The rest of the store. */

START_TEST(test_checkpoint_show)
{
    store_fill();
    ck_assert_int_eq(WEIR("checkpoint", "show", file), EXIT_DONE);
    ck_contains(out, "LOWEST");
    ck_contains(out, "q      s       0           3      5       12 ");
    ck_contains(out, "shard\\x0a1");
    ck_contains(out, "18446744073709551614");
    ck_contains(out, "inode 5");
    ck_contains(out, "meters  41     51    2");
    ck_assert_int_eq(WEIR("checkpoint", "show", file, "-o", "json"), EXIT_DONE);
    ck_contains(out, "18446744073709551614");
    cJSON *document = printed();
    const cJSON *position = member(document, "positions")->child;
    ck_assert_str_eq(text(position, "route"), "q");
    ck_assert_int_eq(cJSON_GetArraySize(member(position, "positions")), 3);
    ck_assert_int_eq(cJSON_GetArraySize(member(position->next, "ranges")), 2);
    ck_assert_str_eq(text(position->next, "shard"), "shard\n1");
    ck_assert_str_eq(text(member(document, "notes")->child, "note"), "inode 5");
    ck_assert_int_eq((int)number(member(document, "attempts")->child, "position"), 13);
    ck_assert_int_eq((int)number(member(document, "attempts")->child, "attempts"), 3);
    const cJSON *journal = member(document, "journals")->child;
    ck_assert_str_eq(text(journal, "source"), "meters");
    ck_assert_int_eq((int)number(journal, "first"), 41);
    ck_assert_int_eq((int)number(journal, "last"), 51);
    ck_assert_int_eq((int)number(journal, "blocks"), 2);
    ck_assert_int_gt((int)number(journal, "bytes"), 110);
    ck_assert_str_eq(text(journal->next, "source"), "other");
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_store_check_of_a_sound_store)
{
    store_fill();
    ck_assert_int_eq(WEIR("store", "check", file), EXIT_DONE);
    ck_contains(out, "are sound");
    ck_contains(out, "dead        6");
    ck_assert_int_eq(WEIR("store", "check", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsTrue(member(document, "sound")));
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "faults")), 0);
    ck_assert_int_eq((int)number(member(document, "tables"), "journal"), 3);
    ck_assert_int_gt((int)number(document, "records"), 13);
    cJSON_Delete(document);
}
END_TEST

/* Changes one byte of the text wherever it is in the store's file. */
static void store_damage(const char *what)
{
    char path[PATH_MAX + 40];
    struct stat status;
    size_t changed = 0, size = strlen(what);
    snprintf(path, sizeof path, "%s/data.mdb", place);
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(fstat(fd, &status), 0);
    char *bytes = malloc((size_t)status.st_size);
    ck_assert_int_eq(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
    for (size_t at = 0; at + size <= (size_t)status.st_size; at++)
        if (!memcmp(bytes + at, what, size)) {
            ck_assert_int_eq(pwrite(fd, "#", 1, (off_t)at), 1);
            changed++;
        }
    free(bytes);
    close(fd);
    ck_assert_uint_gt(changed, 0);
}

START_TEST(test_store_check_finds_damage)
{
    store_fill();
    store_damage("no such field");
    ck_assert_int_eq(WEIR("store", "check", file), EXIT_STORE);
    ck_contains(out, "damaged: dead r\\x00s\\x000");
    ck_contains(out, "1 of ");
    ck_assert_int_eq(WEIR("store", "check", file, "-o", "json"), EXIT_STORE);
    cJSON *document = printed();
    ck_assert(cJSON_IsFalse(member(document, "sound")));
    ck_assert_int_eq((int)number(document, "damaged"), 1);
    ck_assert_str_eq(text(member(document, "faults")->child, "table"), "dead");
    ck_assert_int_eq(strncmp(text(member(document, "faults")->child, "key_hex"), "7200730030", 10), 0);
    cJSON_Delete(document);
    expect_listed("--limit", "0", "56134"); /* the rest is served */
}
END_TEST

START_TEST(test_status_of_a_stopped_weir)
{
    store_fill();
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    ck_contains(out, "stopped: no weir is running");
    ck_contains(out, "dead letters  6");
    ck_assert_int_eq(WEIR("status", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsFalse(member(document, "running")));
    ck_assert_int_eq((int)number(member(member(document, "store"), "records"), "dead"), 6);
    cJSON_Delete(document);
}
END_TEST

/* Stores that are not as they should be. */

static const char *const store_commands[][2] = {{"dead", "list"},       {"dead", "show"}, {"store", "check"},
                                                {"checkpoint", "show"}, {"status", NULL}, {"dead", "drop"},
                                                {"dead", "replay"}};

static int store_command(size_t i)
{
    const char *const *command = store_commands[i];
    const char *all = i >= 5 ? "--all" : NULL;
    return command[1] ? WEIR(command[0], command[1], file, all) : WEIR(command[0], file);
}

START_TEST(test_a_missing_store)
{
    for (size_t i = 0; i < ARRAY_COUNT(store_commands); i++) {
        ck_assert_int_eq(store_command(i), EXIT_STORE);
        ck_contains(err, place);
        ck_contains(err, "weir run");
        ck_assert_int_eq(access(place, F_OK), -1); /* and none is made */
    }
}
END_TEST

START_TEST(test_a_file_in_place_of_the_store)
{
    file_write("store", "no folder");
    for (size_t i = 0; i < ARRAY_COUNT(store_commands); i++)
        ck_assert_int_eq(store_command(i), EXIT_STORE);
}
END_TEST

START_TEST(test_a_damaged_store)
{
    char path[PATH_MAX + 40];
    store_fill();
    snprintf(path, sizeof path, "%s/data.mdb", place);
    ck_assert_int_eq(truncate(path, 10000), 0);
    for (size_t i = 0; i < ARRAY_COUNT(store_commands); i++) {
        ck_assert_int_eq(store_command(i), EXIT_STORE);
        ck_contains(err, place);
    }
}
END_TEST

START_TEST(test_a_store_that_another_process_has)
{
    int ready[2], done[2];
    char byte;
    store_fill();
    ck_assert_int_eq(pipe(ready) | pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        close(done[1]);
        bool opened = kit_try(&store, place, false, NULL) == WEIR_OK;
        if (write(ready[1], opened ? "y" : "n", 1) != 1 || read(done[0], &byte, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(done[0]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    for (size_t i = 0; i < 5; i++) /* those that only read */
        ck_assert_int_eq(store_command(i), EXIT_DONE);
    for (size_t i = 5; i < ARRAY_COUNT(store_commands); i++) {
        char pid[20];
        ck_assert_int_eq(store_command(i), EXIT_STORE);
        snprintf(pid, sizeof pid, "%d", (int)child);
        ck_contains(err, pid);
    }
    close(done[1]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    expect_listed("--limit", "0", "561234");
}
END_TEST

/* The store is found by its section alone. */

START_TEST(test_faults_elsewhere_do_not_matter)
{
    store_fill();
    file_write("weir.yaml", "store: { path: ./store }\nrouts: [ { from: x } ]\n"
                            "sources: { s: { type: nonsense, secret: \"${SURELY_NOT_SET}\" } }\n");
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
    expect_listed("--limit", "0", "561234");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", "s/0/1"), EXIT_DONE);
}
END_TEST

START_TEST(test_the_section_may_be_included_or_absent)
{
    char moved[PATH_MAX + 40];
    store_fill();
    file_write("weir.yaml", "include: [ part.yaml, other.yaml ]\nroutes: []\n");
    file_write("part.yaml", "sinks: {}\ninclude: part.yaml\n");
    file_write("other.yaml", "store: { path: store }\n");
    expect_listed("--limit", "0", "561234");
    file_write("weir.yaml", "routes: []\n");
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_STORE);
    ck_contains(err, "weir-data");
    snprintf(moved, sizeof moved, "%s/weir-data", folder);
    ck_assert_int_eq(rename(place, moved), 0);
    expect_listed("--limit", "0", "561234");
}
END_TEST

START_TEST(test_a_section_that_cannot_be_read_is_a_fault)
{
    static const char *const bad[] = {
        "store: { path: \"${SURELY_NOT_SET}\" }\n",
        "store: { path: [ 1 ] }\n",
        "store: { path: \"\" }\n",
        "store: { size_max: lots }\n",
        "store: { path: x",
        "include: [ none.yaml ]\n",
        "",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        file_write("weir.yaml", bad[i]);
        ck_assert_msg(WEIR("dead", "list", file) == EXIT_CONFIG, "%s: %s", bad[i], err);
        ck_contains(err, "weir.yaml");
    }
    ck_assert_int_eq(WEIR("dead", "list", "/nowhere/weir.yaml"), EXIT_CONFIG);
}
END_TEST

/* Stopped before anything runs. */

START_TEST(test_run_tells_every_fault_and_starts_nothing)
{
    file_write("weir.yaml",
               "store: { path: ./store }\nsources: { s: { type: nonsense } }\nroutes: [ { from: s } ]\n");
    ck_assert_int_eq(WEIR("run", file), EXIT_CONFIG);
    ck_contains(err, "weir.yaml:2:");
    ck_contains(err, "nothing was started");
    ck_assert_int_eq(access(place, F_OK), -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("commands");
    TCase *c = tcase_create("commands");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_without_words_the_commands_are_told);
    tcase_add_test(c, test_every_command_has_help);
    tcase_add_test(c, test_a_wrong_word_names_the_nearest);
    tcase_add_test(c, test_wrong_options_and_operands);
    tcase_add_test(c, test_all_ways_to_write_an_option);
    tcase_add_test(c, test_output_that_cannot_be_written_is_a_failure);
    tcase_add_test(c, test_version);
    tcase_add_test(c, test_list);
    tcase_add_test(c, test_left_out_kinds_are_read_line_by_line);
    tcase_add_test(c, test_help);
    tcase_add_test(c, test_help_of_sections_and_kinds);
    tcase_add_test(c, test_check_tells_what_each_route_does);
    tcase_add_test(c, test_check_as_json);
    tcase_add_test(c, test_check_tells_every_fault_with_its_place);
    tcase_add_test(c, test_check_of_a_file_that_is_not_there);
    tcase_add_test(c, test_dead_list);
    tcase_add_test(c, test_dead_list_selects);
    tcase_add_test(c, test_dead_show);
    tcase_add_test(c, test_dead_show_as_json);
    tcase_add_test(c, test_replay_and_drop_must_be_told_which);
    tcase_add_test(c, test_dead_replay_of_a_stopped_weir);
    tcase_add_test(c, test_dead_drop_on_a_stopped_weir);
    tcase_add_test(c, test_more_dead_letters_than_one_step_takes);
    tcase_add_test(c, test_checkpoint_show);
    tcase_add_test(c, test_store_check_of_a_sound_store);
    tcase_add_test(c, test_store_check_finds_damage);
    tcase_add_test(c, test_status_of_a_stopped_weir);
    tcase_add_test(c, test_a_missing_store);
    tcase_add_test(c, test_a_file_in_place_of_the_store);
    tcase_add_test(c, test_a_damaged_store);
    tcase_add_test(c, test_a_store_that_another_process_has);
    tcase_add_test(c, test_faults_elsewhere_do_not_matter);
    tcase_add_test(c, test_the_section_may_be_included_or_absent);
    tcase_add_test(c, test_a_section_that_cannot_be_read_is_a_fault);
    tcase_add_test(c, test_run_tells_every_fault_and_starts_nothing);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
