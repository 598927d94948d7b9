/* test_commands.c: check, and the commands about a store: one that is stopped, missing, locked, damaged, or hard to
 * find. Dead letters: test_cmd_dead.c; beside a running weir: test_main.c. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "command_kit.h"

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

/* What only a kind itself can know of its options: check makes every instance, without a store, and starts none. */
START_TEST(test_check_tells_what_a_kind_refuses)
{
    file_write("weir.yaml", "store: { path: ./store }\nsources: { s: { type: generate } }\nfunctions:\n"
                            "  f: { type: filter, field: payload.a }\n"
                            "  g: { type: filter, field: payload.a, above: 5, below: 4 }\n"
                            "sinks: { o: { type: drop } }\nroutes: [ { from: s, call: [ f, g ], to: o } ]\n");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(WEIR(i == 0 ? "check" : "run", file), EXIT_CONFIG);
        ck_contains(err, "weir.yaml:4:29: functions/f/field: nothing to compare with; give equals");
        ck_contains(err, "weir.yaml:5:47: functions/g/above: no number is above 5 and below 4\n");
        ck_contains(err, "2 faults in ");
        ck_assert_int_eq(access(place, F_OK), i == 0 ? -1 : 0);
    }
    ck_assert_int_eq(WEIR("check", file, "-o", "json"), EXIT_CONFIG);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "faults")), 2);
    ck_assert_int_eq((int)number(member(document, "faults")->child, "line"), 4);
    cJSON_Delete(document);
}
END_TEST

/* A source that does in init what is for start gets an error, from check as from run, and nothing else happens. */
START_TEST(test_check_of_a_kind_that_cannot_wait)
{
    char config[PATH_MAX];
    snprintf(
        config, sizeof config,
        "store: { path: ./store }\nsources:\n  s: { type: early, module: '%s' }\nsinks: { o: { type: drop } }\n"
        "routes: [ { from: s, to: o } ]\n",
        testing_module("early"));
    file_write("weir.yaml", config);
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
    ck_contains(err, "weir.yaml:3:6: sources/s: source s: could not be made: closed\n");
    ck_assert_int_eq(access(place, F_OK), -1);
    ck_assert_int_eq(WEIR("run", file), EXIT_FAILED);
    ck_contains(err, "source s: could not be made: closed");
}
END_TEST

/* Its column is counted in what the user wrote, not in the path that is made of it. */
START_TEST(test_check_of_a_path_with_a_fault)
{
    file_write("weir.yaml",
               "sources: { s: { type: generate } }\nsinks:\n  o: { type: file, path: './{{subjct}}' }\n"
               "  p: { type: file, path: '' }\nroutes: [ { from: s, to: [ o, p ] } ]\n");
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
    ck_contains(err, "weir.yaml:3:26: sinks/o/path: column 3: \"subjct\" is not a field");
    ck_contains(err, "weir.yaml:4:26: sinks/p/path: \"\" is not allowed; expected the path of a file\n");
    ck_contains(err, "2 faults");
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
    tcase_add_test(c, test_check_tells_what_each_route_does);
    tcase_add_test(c, test_check_as_json);
    tcase_add_test(c, test_check_tells_every_fault_with_its_place);
    tcase_add_test(c, test_check_tells_what_a_kind_refuses);
    tcase_add_test(c, test_check_of_a_kind_that_cannot_wait);
    tcase_add_test(c, test_check_of_a_path_with_a_fault);
    tcase_add_test(c, test_check_of_a_file_that_is_not_there);
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
