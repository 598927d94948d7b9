/* testing.h: what every test program stands on. Plain libcheck, and a little beside it.
 *
 *     #include "testing.h"
 *
 *     START_TEST(test_it_adds) { ck_assert_int_eq(1 + 1, 2); } END_TEST
 *
 *     int main(void)
 *     {
 *         Suite *s = suite_create("sums");
 *         TCase *c = tcase_create("sums");
 *         tcase_add_test(c, test_it_adds);
 *         suite_add_tcase(s, c);
 *         return testing_run(s);
 *     }
 *
 * Each test runs in a process of its own for 60 s at most, or what tcase_set_timeout says; all times grow by the
 * factor WEIR_TEST_SLOW (sanitizers, valgrind). What a helper cannot do fails the test. No test sleeps: it waits on
 * a condition. Commands that a test started end with it. */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include "weir.h" /* before check.h, which has a macro `fail` */

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int testing_run(Suite *suite); /* runs and reports; the exit code of main */

/* Says that the rest of this test needs what is not here. Returns, so: { testing_skip("root", "mounts"); return; }
 * A failure instead when WEIR_TEST_REQUIRE (a comma-separated list, or "all") names the component. */
void testing_skip(const char *component, const char *reason);

/* A fresh folder at each call; removed at the end of a test that passed, else its place is told. The text lasts
 * until the process ends. */
const char *testing_folder(void);
/* "folder/name", in one of a few rotating buffers. */
const char *testing_path(const char *folder, const char *name);
void testing_write(const char *path, const char *text);
char *testing_read(const char *path); /* malloc; NULL: no such file */

/* WEIR_TEST_SEED, or a random one for the whole program; told when a test of it failed. */
uint64_t testing_seed(void);
/* How much more time things may take here. */
double testing_slow(void);
/* Waits until condition(arg) is true; false: timeout_ms times testing_slow() passed. */
bool testing_wait(bool (*condition)(void *arg), void *arg, int timeout_ms);

const char *testing_build(void);              /* the build folder this program lies in */
const char *testing_binary(void);             /* the weir executable */
const char *testing_module_dir(void);         /* weir's own modules */
const char *testing_module(const char *name); /* build/tests/modules/NAME.so */

/* Commands: argv ends with NULL, argv[0] is looked up in PATH. Exit codes: 128 + n for signal n, 127: not found. */
bool testing_command_exists(const char *name);
/* Runs one to its end, 60 s at most. output (malloc) holds stdout and stderr; NULL: not wanted. */
int testing_command(const char *const *argv, char **output);
/* The same with the streams apart (malloc) and a time limit. */
struct testing_output {
    char *out, *err;
};
int testing_capture(const char *const *argv, int timeout_ms, struct testing_output *output);
/* Starts one in the background, stderr and stdout to the end of the file `log`; NULL: nowhere. */
pid_t testing_spawn(const char *const *argv, const char *log);
int testing_end(pid_t pid, int signal_number); /* sends it (0: none), waits; the exit code */

int testing_free_port(void);         /* a port of 127.0.0.1 that nobody had a moment ago */
bool testing_port_answers(int port); /* can 127.0.0.1:port be connected to? */

#endif
