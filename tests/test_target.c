/* test_target.c: the store that a command works on, found by its configuration: also beside a run, also when the
 * rest of the file is broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "target.h"

static const char *folder;
static char *said;
static size_t said_size;
static struct invocation invocation;
static const struct command command = {.name = "dead list"};

static void setup(void)
{
    folder = testing_folder();
    invocation = (struct invocation){.command = &command, .out = stdout};
    invocation.err = open_memstream(&said, &said_size);
}

static void teardown(void)
{
    fclose(invocation.err);
    free(said);
}

static const char *file(const char *name, const char *text)
{
    const char *path = testing_path(folder, name);
    testing_write(path, text);
    return path;
}

static int find(struct target *target, const char *path)
{
    int code = target_find(target, &invocation, path);
    fflush(invocation.err);
    return code;
}

static void expect_path(const char *path, const char *name)
{
    struct target target;
    ck_assert_int_eq(find(&target, path), EXIT_DONE);
    ck_assert_str_eq(target.path, testing_path(folder, name));
    target_fini(&target);
}

START_TEST(test_the_section_of_the_file)
{
    struct target target;
    expect_path(file("a.yaml", "store: { path: ./here }\n"), "here");
    expect_path(file("b.yaml", "sources: {}\n"), "weir-data"); /* the default, beside the file */
    ck_assert_int_eq(find(&target, file("c.yaml", "store: { path: /x/y, size_max: 3MiB }\n")), EXIT_DONE);
    ck_assert_str_eq(target.path, "/x/y");
    ck_assert_uint_eq(target.size_max, 3 << 20);
    target_fini(&target);
}
END_TEST

/* A path is relative to the file that names it. */
START_TEST(test_the_section_of_an_included_file)
{
    char path[600];
    snprintf(path, sizeof path, "mkdir %s/sub", folder);
    ck_assert_int_eq(system(path), 0);
    file("sub/store.yaml", "store: { path: ./deep }\n");
    expect_path(file("a.yaml", "include: ./sub/store.yaml\n"), "sub/deep");
    expect_path(file("b.yaml", "include: [ ./missing.yaml, ./sub/store.yaml ]\nstore: { path: ./mine }\n"), "mine");
}
END_TEST

START_TEST(test_faults_elsewhere_do_not_matter)
{
    expect_path(file("a.yaml", "store: { path: ./here }\nroutes: [ { from: nowhere, too: much } ]\nwhat: ever\n"),
                "here");
}
END_TEST

static const struct {
    const char *text, *said;
} wrong[] = {
    {"store: { path: [ a ] }\n", "store.path is the path of a folder"},
    {"store: { path: \"\" }\n", "store.path is the path of a folder"},
    {"store: { size_max: much }\n", "store.size_max"},
    {"store: { path: \"${WEIR_UNSET_FOR_TEST}\" }\n", "does not say where the store is"},
    {"store: { path: ./a\n", "does not say where the store is"},
    {"include: ./missing.yaml\n", "does not say where the store is"},
    {"include: ./wrong.yaml\n", "does not say where the store is"}, /* itself, for ever */
};

START_TEST(test_what_may_hide_the_store_is_said)
{
    struct target target;
    if (_i == 6) {
        expect_path(file("wrong.yaml", wrong[_i].text), "weir-data");
        return;
    }
    ck_assert_int_eq(find(&target, file("wrong.yaml", wrong[_i].text)), EXIT_CONFIG);
    ck_assert_msg(strstr(said, wrong[_i].said) != NULL, "%s", said);
    target_fini(&target);
}
END_TEST

START_TEST(test_no_file_and_no_store)
{
    struct target target;
    ck_assert_int_eq(find(&target, testing_path(folder, "none.yaml")), EXIT_CONFIG);
    target_fini(&target);
    ck_assert_int_eq(find(&target, file("a.yaml", "store: { path: ./none }\n")), EXIT_DONE);
    ck_assert_int_eq(target_open(&target, false), EXIT_STORE);
    fflush(invocation.err);
    ck_assert_ptr_nonnull(strstr(said, "there is no store in"));
    target_fini(&target);
}
END_TEST

/* Beside a run it is read; to change it takes the lock, which the run has. */
START_TEST(test_beside_a_run_and_after_it)
{
    struct target target;
    struct rig *rig = rig_new(folder);
    rig_open(rig, "sources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
                  "routes: [ { from: in, to: out } ]\n");
    const char *path = file("a.yaml", "store: { path: ./store }\n");
    weir_shard *shard = probe_shard(rig_source(rig, "in"), "s", NULL);
    probe_emit(rig_source(rig, "in"), shard, 1, 1);
    RIG_UNTIL(rig, rig_records(rig, TABLE_POSITION) == 1);
    /* One process opens one environment once, so it is another that looks. */
    const char *const show[] = {testing_binary(), "checkpoint", "show", path, NULL};
    const char *const drop[] = {testing_binary(), "dead", "drop", path, "--all", NULL};
    char *output = NULL;
    ck_assert_int_eq(testing_command(show, &output), EXIT_DONE);
    ck_assert_msg(strstr(output, "in") != NULL, "%s", output);
    free(output);
    ck_assert_int_eq(testing_command(drop, &output), EXIT_STORE); /* no control socket here, and it has the lock */
    free(output);
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
    ck_assert_int_eq(find(&target, path), EXIT_DONE);
    ck_assert_int_eq(target_open(&target, true), EXIT_DONE);
    ck_assert_ptr_nonnull(target.store);
    target_fini(&target);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("target");
    TCase *c = tcase_create("target");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_the_section_of_the_file);
    tcase_add_test(c, test_the_section_of_an_included_file);
    tcase_add_test(c, test_faults_elsewhere_do_not_matter);
    tcase_add_loop_test(c, test_what_may_hide_the_store_is_said, 0, ARRAY_COUNT(wrong));
    tcase_add_test(c, test_no_file_and_no_store);
    tcase_add_test(c, test_beside_a_run_and_after_it);
    suite_add_tcase(s, c);
    return testing_run(s);
}
