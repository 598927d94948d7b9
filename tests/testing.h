/* testing.h: what every test program shares. Plain libcheck, and a little beside it.
 *
 *     START_TEST(test_it_adds) { ck_assert_int_eq(1 + 1, 2); } END_TEST
 *     static Suite *suite(void) { ... tcase_add_test(c, test_it_adds); ... }
 *     int main(void) { return testing_run(suite()); }
 *
 * Each test runs in a process of its own with a time limit (CK_DEFAULT_TIMEOUT, multiplied by WEIR_TEST_SLOW). No test sleeps: it
 * waits on a condition. A component that is not there is skipped visibly; WEIR_TEST_REQUIRE=mosquitto,root,... makes that a failure. */
#ifndef WEIR_TESTING_H
#define WEIR_TESTING_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int testing_run(Suite *suite); /* runs and reports; the exit code of main */

/* Says that the rest of this test needs what is not here. Returns, so: { testing_skip("root", "mounts"); return; } */
void testing_skip(const char *component, const char *reason);

/* A fresh folder, removed by the runner when all went well. The text lasts until the process ends. */
const char *testing_folder(void);
/* "folder/name", in one of a few rotating buffers. */
const char *testing_path(const char *folder, const char *name);
void testing_write(const char *path, const char *text);
char *testing_read(const char *path); /* malloc; NULL: no such file */

/* WEIR_TEST_SEED, or a random one; printed, so that a failure can be tried again. */
uint64_t testing_seed(void);
/* How much more time things may take here. */
double testing_slow(void);
/* Waits until condition(arg) is true; false: the time limit passed. */
bool testing_wait(bool (*condition)(void *arg), void *arg, int timeout_ms);

const char *testing_build(void);  /* the build folder */
const char *testing_binary(void); /* the weir executable */
const char *testing_module(const char *name); /* build/tests/modules/NAME.so */

/* Runs a command to its end. output (malloc) holds stdout and stderr; NULL: not wanted. Returns the exit code, 128 + n for signal n. */
int testing_command(const char *const *argv, char **output);
/* Starts one in the background, stderr and stdout to the file `log`. */
pid_t testing_spawn(const char *const *argv, const char *log);
int testing_end(pid_t pid, int signal_number); /* sends it, waits; exit code as above */
int testing_free_port(void);

#endif
