/* test_testing.c: the harness itself: what a failed test leaves behind and how it is told, and commands. The
 * programs that must fail are this program, run again with a word. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testing.h"

#define LIMIT_MS 30000

static bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* Runs one of the inner suites with its temporary files below `base`. */
static int inner_run(const char *word, const char *base, const char *require, struct testing_output *output)
{
    char self[4096], tmp[4200], skips[4200], required[100];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    ck_assert_int_gt(size, 0);
    self[size] = '\0';
    snprintf(tmp, sizeof tmp, "TMPDIR=%s", base);
    snprintf(skips, sizeof skips, "WEIR_TEST_SKIPS=%s/skips", base);
    snprintf(required, sizeof required, "WEIR_TEST_REQUIRE=%s", require);
    const char *argv[] = {"env", "WEIR_TEST_SEED=77", tmp, skips, required, self, word, NULL};
    return testing_capture(argv, LIMIT_MS, output);
}

static void output_free(struct testing_output *output)
{
    free(output->out);
    free(output->err);
}

START_TEST(test_folders_are_fresh_and_writable)
{
    const char *one = testing_folder(), *two = testing_folder();
    char *text;

    ck_assert_str_ne(one, two);
    testing_write(testing_path(one, "a"), "some text");
    text = testing_read(testing_path(one, "a"));
    ck_assert_str_eq(text, "some text");
    ck_assert_ptr_null(testing_read(testing_path(two, "a")));
    free(text);
}
END_TEST

START_TEST(test_what_passes_leaves_nothing)
{
    struct testing_output output;
    const char *base = testing_folder();

    ck_assert_int_eq(inner_run("pass", base, "", &output), 0);
    ck_assert_msg(rmdir(base) == 0, "%s: %s; %s", base, strerror(errno), output.out);
    output_free(&output);
}
END_TEST

START_TEST(test_what_fails_keeps_its_folder_and_tells_its_seed)
{
    struct testing_output output;
    const char *base = testing_folder();

    ck_assert_int_eq(inner_run("fail", base, "", &output), EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(output.out, "Checks: 1, Failures: 1, Errors: 0"));
    ck_assert_ptr_nonnull(strstr(output.out, "WEIR_TEST_SEED=77 runs it again"));
    char *place = strstr(output.out, "kept in ");
    ck_assert_ptr_nonnull(place);
    *strchr(place, '\n') = '\0';
    ck_assert(file_exists(place + strlen("kept in ")));
    output_free(&output);
}
END_TEST

START_TEST(test_a_skip_is_written_down)
{
    struct testing_output output;
    const char *base = testing_folder();
    char *skips;

    ck_assert_int_eq(inner_run("skip", base, "brick,stones", &output), 0);
    skips = testing_read(testing_path(base, "skips"));
    ck_assert_str_eq(skips, "SKIP stone: there is none\n");
    free(skips);
    output_free(&output);
}
END_TEST

START_TEST(test_a_required_component_is_no_skip)
{
    static const char *const lists[] = {"stone", "brick,stone", "stone,brick", "all"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct testing_output output;
        ck_assert_int_eq(inner_run("skip", testing_folder(), lists[i], &output), EXIT_FAILURE);
        ck_assert_ptr_nonnull(strstr(output.out, "stone is required and not here: there is none"));
        output_free(&output);
    }
}
END_TEST

static bool counted(void *arg)
{
    return --*(int *)arg <= 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

START_TEST(test_waiting_ends_by_the_condition_or_the_limit)
{
    int steps = 5;
    ck_assert(testing_wait(counted, &steps, LIMIT_MS));
    ck_assert_int_eq(steps, 0);
    ck_assert(!testing_wait(never, NULL, 10));
}
END_TEST

START_TEST(test_a_command_is_captured)
{
    struct testing_output output;
    const char *argv[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
    char *both;

    ck_assert_int_eq(testing_capture(argv, LIMIT_MS, &output), 3);
    ck_assert_str_eq(output.out, "out\n");
    ck_assert_str_eq(output.err, "err\n");
    output_free(&output);
    ck_assert_int_eq(testing_command(argv, &both), 3);
    ck_assert_str_eq(both, "out\nerr\n");
    free(both);
}
END_TEST

START_TEST(test_a_megabyte_of_output_is_captured)
{
    struct testing_output output;
    const char *argv[] = {"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x", NULL};

    ck_assert_int_eq(testing_capture(argv, LIMIT_MS, &output), 0);
    ck_assert_uint_eq(strlen(output.out), 1000000);
    output_free(&output);
}
END_TEST

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

START_TEST(test_how_commands_end)
{
    const char *killed[] = {"sh", "-c", "kill -9 $$", NULL}, *missing[] = {"no-such-command-at-all", NULL};
    char *begun = strdup(testing_path(testing_folder(), "begun"));
    const char *waits[] = {"sh", "-c", "touch \"$0\"; exec sleep 1000", begun, NULL};

    ck_assert_int_eq(testing_command(killed, NULL), 128 + SIGKILL);
    ck_assert_int_eq(testing_command(missing, NULL), 127);
    pid_t waiting = testing_spawn(waits, NULL);
    ck_assert(testing_wait(is_there, begun, 20000));
    ck_assert_int_eq(testing_end(waiting, SIGTERM), 128 + SIGTERM);
    free(begun);
    ck_assert(testing_command_exists("sh"));
    ck_assert(!testing_command_exists("no-such-command-at-all"));
}
END_TEST

START_TEST(test_a_command_that_hangs_fails_the_test)
{
    struct testing_output output;
    ck_assert_int_eq(inner_run("hang", testing_folder(), "", &output), EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(output.out, "sleep did not end within 20 ms"));
    output_free(&output);
}
END_TEST

static bool process_gone(void *arg)
{
    return kill(*(pid_t *)arg, 0) != 0 && errno == ESRCH;
}

START_TEST(test_commands_end_with_their_test)
{
    struct testing_output output;
    const char *base = testing_folder();
    char *text;
    pid_t pid;

    ck_assert_int_eq(inner_run("leave", base, "", &output), 0);
    text = testing_read(testing_path(base, "pid"));
    ck_assert_ptr_nonnull(text);
    pid = atoi(text);
    ck_assert_int_gt(pid, 0);
    ck_assert(testing_wait(process_gone, &pid, LIMIT_MS));
    free(text);
    output_free(&output);
}
END_TEST

START_TEST(test_a_free_port_answers_nobody)
{
    int port = testing_free_port();
    ck_assert_int_gt(port, 0);
    ck_assert(!testing_port_answers(port));
}
END_TEST

START_TEST(test_the_build_folder_holds_this_program)
{
    ck_assert(file_exists(testing_path(testing_build(), "tests/test_testing")));
    ck_assert_str_eq(testing_binary(), testing_path(testing_build(), "weir"));
    ck_assert_str_eq(testing_module("one"), testing_path(testing_build(), "tests/modules/one.so"));
}
END_TEST

START_TEST(inner_pass)
{
    testing_write(testing_path(testing_folder(), "file"), "");
    ck_assert_uint_eq(testing_seed(), 77);
}
END_TEST

START_TEST(inner_fail)
{
    testing_folder();
    ck_abort_msg("as it should");
}
END_TEST

START_TEST(inner_skip)
{
    testing_skip("stone", "there is none");
}
END_TEST

START_TEST(inner_hang)
{
    struct testing_output output;
    const char *argv[] = {"sleep", "1000", NULL};
    testing_capture(argv, 20, &output);
}
END_TEST

START_TEST(inner_leave)
{
    const char *argv[] = {"sleep", "1000", NULL};
    char text[20];
    snprintf(text, sizeof text, "%d", (int)testing_spawn(argv, NULL));
    testing_write(testing_path(getenv("TMPDIR"), "pid"), text);
}
END_TEST

static void inner_add(TCase *c, const char *word)
{
    if (strcmp(word, "pass") == 0)
        tcase_add_test(c, inner_pass);
    else if (strcmp(word, "fail") == 0)
        tcase_add_test(c, inner_fail);
    else if (strcmp(word, "skip") == 0)
        tcase_add_test(c, inner_skip);
    else if (strcmp(word, "hang") == 0)
        tcase_add_test(c, inner_hang);
    else
        tcase_add_test(c, inner_leave);
}

static void outer_add(TCase *c)
{
    tcase_add_test(c, test_folders_are_fresh_and_writable);
    tcase_add_test(c, test_what_passes_leaves_nothing);
    tcase_add_test(c, test_what_fails_keeps_its_folder_and_tells_its_seed);
    tcase_add_test(c, test_a_skip_is_written_down);
    tcase_add_test(c, test_a_required_component_is_no_skip);
    tcase_add_test(c, test_waiting_ends_by_the_condition_or_the_limit);
    tcase_add_test(c, test_a_command_is_captured);
    tcase_add_test(c, test_a_megabyte_of_output_is_captured);
    tcase_add_test(c, test_how_commands_end);
    tcase_add_test(c, test_a_command_that_hangs_fails_the_test);
    tcase_add_test(c, test_commands_end_with_their_test);
    tcase_add_test(c, test_a_free_port_answers_nobody);
    tcase_add_test(c, test_the_build_folder_holds_this_program);
}

int main(int argc, char **argv)
{
    Suite *s = suite_create("testing");
    TCase *c = tcase_create("testing");

    if (argc > 1)
        inner_add(c, argv[1]);
    else
        outer_add(c);
    suite_add_tcase(s, c);
    return testing_run(s);
}
