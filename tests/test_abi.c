/* test_abi.c: what modules and programs were built for stays: sizes, offsets and values against the frozen table,
 * and a module built with the headers of the first release, at work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi_kit.h"
#include "testing.h"
#include "weir_embed.h"
#include "weir_plugin.h"

struct row {
    const char *name;
    long long now, then;
    bool grows;
    long long size_now, size_then; /* of a member */
};

#define GROWS(table, bytes) {#table, sizeof(table), bytes, true, 0, 0},
#define FIXED(table, bytes) {#table, sizeof(table), bytes, false, 0, 0},
#define MEMBER(table, member, at, bytes)                                                                           \
    {#table "." #member, offsetof(table, member), at, false, sizeof(((table *)0)->member), bytes},
#define VALUE(name, value) {#name, (long long)name, value, false, 0, 0},

static const struct row rows[] = {ABI_LAYOUT ABI_VALUES};

START_TEST(test_layout)
{
    if (sizeof(void *) != 8 || sizeof(long) != 8) {
        testing_skip("lp64", "the table is for machines with 64 bit pointers");
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        ck_assert_msg(row->grows ? row->now >= row->then : row->now == row->then, "%s is %lld, was frozen at %lld",
                      row->name, row->now, row->then);
        ck_assert_msg(row->size_now == row->size_then, "%s has %lld bytes, was frozen with %lld", row->name,
                      row->size_now, row->size_then);
    }
}
END_TEST

/* A table that grows tells its size first. */
START_TEST(test_size_comes_first)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool info = strcmp(rows[i].name, "weir_module_info") == 0; /* after its ABI number */
        if (rows[i].grows && !info)
            ck_assert_msg(strstr(rows[i + 1].name, ".size") && rows[i + 1].now == 0, "%s", rows[i].name);
    }
}
END_TEST

START_TEST(test_frozen_module_works)
{
    static const char *const texts[] = {"store: { path: %s/store }\nlog: { level: warn }\n",
                                        "sinks: { out: { module: %s, type: frozen, path: %s/out.txt } }\n"};
    const char *module = testing_module("frozen"), *folder = testing_folder();
    char text[4096];
    weir *w = weir_new(NULL);
    snprintf(text, sizeof text, texts[0], folder);
    weir_text(w, text);
    snprintf(text, sizeof text, texts[1], module, folder);
    weir_text(w, text);
    snprintf(text, sizeof text, "{ module: %s, type: frozen }", module);
    weir_source(w, "in", NULL, text);
    snprintf(text, sizeof text, "{ module: %s, function: frozen, options: { every: 3 } }", module);
    weir_function(w, "thin", NULL, text);
    weir_route(w, "{ from: in, call: thin, to: out }");
    ck_assert_msg(weir_run(w) == WEIR_OK, "%s", weir_error(w));
    weir_free(w);
    char *lines = testing_read(testing_path(folder, "out.txt"));
    size_t a = 0, b = 0;
    for (const char *at = lines; at && (at = strstr(at, " payload\n")); at++)
        at[-1] == 'a' ? a++ : b++;
    ck_assert_uint_eq(a, 2);
    ck_assert_uint_eq(b, 2);
    free(lines);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("abi");
    TCase *c = tcase_create("abi");
    tcase_add_test(c, test_layout);
    tcase_add_test(c, test_size_comes_first);
    tcase_add_test(c, test_frozen_module_works);
    suite_add_tcase(s, c);
    return testing_run(s);
}
