/* command_kit.h: what the tests of the commands share: a folder with a configuration and a store as a run leaves
 * it, and the command line as a function. */
#ifndef WEIR_COMMAND_KIT_H
#define WEIR_COMMAND_KIT_H

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "journal_block.h"
#include "keys.h"
#include "store_kit.h"
#include "testing.h"

#define ARGUMENTS_MAX 12

static char folder[PATH_MAX], file[PATH_MAX + 20], place[PATH_MAX + 20];
static char *out, *err; /* of the last command */

static inline void file_write(const char *name, const char *text)
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

static inline void setup(void)
{
    kit_folder(folder);
    snprintf(file, sizeof file, "%s/weir.yaml", folder);
    snprintf(place, sizeof place, "%s/store", folder);
    file_write("weir.yaml", fine);
}

static inline void teardown(void)
{
    free(out);
    free(err);
    out = err = NULL;
    kit_remove(folder);
}

/* Runs `weir` with these words, up to NULL. */
static inline int weir(const char *word, ...)
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
static inline cJSON *printed(void)
{
    const char *end = NULL;
    cJSON *document = cJSON_ParseWithOpts(out, &end, false);
    ck_assert_msg(document != NULL, "no JSON: %s", out);
    ck_assert_str_eq(end, "\n");
    return document;
}

static inline cJSON *member(const cJSON *object, const char *name)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(found != NULL, "no %s in %s", name, out);
    return found;
}

static inline const char *text(const cJSON *object, const char *name)
{
    ck_assert(cJSON_IsString(member(object, name)));
    return member(object, name)->valuestring;
}

static inline double number(const cJSON *object, const char *name)
{
    ck_assert(cJSON_IsNumber(member(object, name)));
    return member(object, name)->valuedouble;
}

static inline void ck_contains(const char *where, const char *what)
{
    ck_assert_msg(strstr(where, what) != NULL, "`%s` is not in: %s", what, where);
}

/* A store as a run leaves it. */

static inline void add_position(struct store_ops *ops, const char *route, const char *shard,
                                struct route_vector vector)
{
    struct arena arena;
    struct key key;
    arena_init(&arena, 0);
    key_position(&key, view_of(route), view_of("s"), view_of(shard));
    store_ops_put(ops, TABLE_POSITION, key_view(&key), vector_encode(&vector, &arena));
    arena_fini(&arena);
}

static inline void add_journal(struct store_ops *ops, const char *source, uint64_t first, size_t count)
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

static inline void add_dead(struct store_ops *ops, uint64_t position, const char *route, const char *stage,
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
    key_dead(&key, &dead);
    store_ops_put(ops, TABLE_DEAD, key_view(&key), dead_encode(&dead, &arena));
    arena_fini(&arena);
}

static inline void store_fill(void)
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

static inline void expect_listed(const char *option, const char *value, const char *positions)
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

#endif
