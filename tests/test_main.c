/* test_main.c: the built program: signals, exit codes, and every command beside a weir that runs. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "command.h"
#include "control.h"
#include "store_kit.h"
#include "testing.h"

#define ARGUMENTS_MAX 12
#define OUTPUT_MAX (1u << 20)
#define WAIT_S ((time_t)(60 * testing_slow()))

static char folder[PATH_MAX], file[PATH_MAX + 40], place[PATH_MAX + 40], program[PATH_MAX + 40];
static pid_t runner; /* the weir that runs, or 0 */
static int runner_log = -1;
static char log_text[OUTPUT_MAX];
static size_t log_size;
static char output[OUTPUT_MAX]; /* of the last command, both streams */

static void file_write(const char *text)
{
    FILE *to = fopen(file, "w");
    ck_assert_ptr_nonnull(to);
    fputs(text, to);
    fclose(to);
}

static void setup(void)
{
    snprintf(program, sizeof program, "%s", testing_binary());
    kit_folder(folder);
    snprintf(file, sizeof file, "%s/weir.yaml", folder);
    snprintf(place, sizeof place, "%s/store", folder);
    log_size = 0;
}

static void teardown(void)
{
    if (runner > 0) {
        kill(runner, SIGKILL);
        waitpid(runner, NULL, 0);
    }
    runner = 0;
    if (runner_log >= 0)
        close(runner_log);
    runner_log = -1;
    kit_remove(folder);
}

/* Starts the program with both streams in one pipe. */
static pid_t start(char *const words[], int *stream)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(program, words);
        _exit(127);
    }
    close(ends[1]);
    *stream = ends[0];
    return child;
}

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* Reads some more of a stream; false at its end. */
static bool read_more(int stream, char *text, size_t *size, time_t until)
{
    struct pollfd ready = {.fd = stream, .events = POLLIN};
    ck_assert_msg(now() < until && poll(&ready, 1, (int)WAIT_S * 1000) == 1, "nothing more came after: %s", text);
    ck_assert_uint_lt(*size, OUTPUT_MAX - 1);
    ssize_t got = read(stream, text + *size, OUTPUT_MAX - 1 - *size);
    ck_assert_int_ge(got, 0);
    *size += (size_t)got;
    text[*size] = 0;
    return got > 0;
}

static int exit_code(pid_t child)
{
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int weir(const char *word, ...)
{
    char *words[ARGUMENTS_MAX] = {program, (char *)word};
    int count = 2, stream;
    size_t size = 0;
    time_t until = now() + WAIT_S;
    va_list args;
    va_start(args, word);
    while (count < ARGUMENTS_MAX - 1 && (words[count] = va_arg(args, char *)))
        count++;
    va_end(args);
    pid_t child = start(words, &stream);
    while (read_more(stream, output, &size, until))
        ;
    close(stream);
    return exit_code(child);
}

#define WEIR(...) weir(__VA_ARGS__, (char *)NULL)

static void run_start(void)
{
    char *words[] = {program, (char *)"run", file, NULL};
    log_size = 0;
    log_text[0] = 0;
    if (runner_log >= 0)
        close(runner_log);
    runner = start(words, &runner_log);
}

static void log_wait(const char *what)
{
    time_t until = now() + WAIT_S;
    while (!strstr(log_text, what))
        ck_assert_msg(read_more(runner_log, log_text, &log_size, until), "weir ended before `%s`: %s", what,
                      log_text);
}

static void run_ready(void)
{
    run_start();
    log_wait("ready");
}

/* The exit code of the run; all it logged is read. */
static int run_end(void)
{
    time_t until = now() + WAIT_S;
    while (read_more(runner_log, log_text, &log_size, until))
        ;
    pid_t child = runner;
    runner = 0;
    return exit_code(child);
}

static int run_stop(int number)
{
    kill(runner, number);
    return run_end();
}

static cJSON *printed(void)
{
    cJSON *document = cJSON_Parse(output);
    ck_assert_msg(document != NULL, "no JSON: %s", output);
    return document;
}

static void ck_contains(const char *where, const char *what)
{
    ck_assert_msg(strstr(where, what) != NULL, "`%s` is not in: %s", what, where);
}

static bool exists(const char *name)
{
    char path[PATH_MAX + 80];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static const char endless[] = "store: { path: ./store, size_max: 64MiB }\n"
                              "sources: { ticks: { type: generate, rate: 200/s } }\n"
                              "sinks: { out: { type: drop } }\n"
                              "routes: [ { name: through, from: ticks, to: out } ]\n";

/* What is at an endless route's end, and comes from a sink that refuses: `{{payload.x}}` is never there. */
static const char refusing[] = "store: { path: ./store, size_max: 64MiB }\n"
                               "sources:\n"
                               "  some: { type: generate, count: 20, payload: '{\"n\":{{seq}}}' }\n"
                               "  ticks: { type: generate, rate: 10/s }\n"
                               "sinks:\n"
                               "  bad: { type: file, path: './out-{{payload.x}}.txt' }\n"
                               "  out: { type: drop }\n"
                               "routes:\n"
                               "  - { name: refused, from: some, to: bad }\n"
                               "  - { name: through, from: ticks, to: out }\n";

/* Signals. */

START_TEST(test_a_run_ends_with_its_sources)
{
    file_write("store: { path: ./store, size_max: 64MiB }\n"
               "sources: { s: { type: generate, count: 1000 } }\n"
               "sinks: { f: { type: file, path: ./out.txt } }\n"
               "routes: [ { from: s, to: f } ]\n");
    run_start();
    ck_assert_msg(run_end() == EXIT_DONE, "%s", log_text);
    ck_contains(log_text, "ready");
    ck_assert(exists("out.txt"));
    ck_assert(!exists("store/control.sock"));
    struct stat status;
    char path[PATH_MAX + 80];
    snprintf(path, sizeof path, "%s/out.txt", folder);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 077, 0); /* the user's alone */
}
END_TEST

START_TEST(test_a_signal_stops_in_order)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    file_write(endless);
    run_ready();
    ck_assert(exists("store/control.sock"));
    ck_assert_msg(run_stop(numbers[_i]) == EXIT_DONE, "%s", log_text);
    ck_contains(log_text, numbers[_i] == SIGTERM ? "SIGTERM" : "SIGINT");
    ck_assert(!exists("store/control.sock"));
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    ck_contains(output, "stopped");
}
END_TEST

static bool call_open(void *arg)
{
    UNUSED(arg);
    ck_assert_int_eq(WEIR("status", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    int calls = cJSON_GetObjectItem(cJSON_GetObjectItem(document, "routes")->child, "calls")->valueint;
    cJSON_Delete(document);
    return calls > 0;
}

START_TEST(test_a_second_signal_ends_at_once)
{
    char text[2000];
    snprintf(text, sizeof text,
             "store: { path: ./store, size_max: 64MiB }\n"
             "limits: { stop: 1h }\n"
             "sources: { s: { type: generate, count: 1 } }\n"
             "functions: { m: { module: '%s' } }\n"
             "sinks: { o: { type: drop } }\n"
             "routes: [ { from: s, call: m, to: o } ]\n",
             testing_module("stuck"));
    file_write(text);
    run_ready();
    ck_assert(testing_wait(call_open, NULL, 60000));
    kill(runner, SIGTERM);
    log_wait("once more ends at once");
    ck_assert(exists("store/control.sock")); /* it is still there, finishing */
    ck_assert_msg(run_stop(SIGTERM) == EXIT_FAILED, "%s", log_text);
    ck_contains(log_text, "second signal");
}
END_TEST

START_TEST(test_a_log_that_nobody_reads_ends_nothing)
{
    file_write(endless);
    run_ready();
    close(runner_log);
    runner_log = -1;
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    kill(runner, SIGTERM);
    pid_t child = runner;
    runner = 0;
    ck_assert_int_eq(exit_code(child), EXIT_DONE);
}
END_TEST

START_TEST(test_what_a_killed_weir_leaves_is_replaced)
{
    file_write(endless);
    run_ready();
    ck_assert_int_eq(run_stop(SIGKILL), -SIGKILL);
    ck_assert(exists("store/control.sock"));
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    ck_contains(output, "stopped");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
    run_ready();
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    ck_contains(output, "running");
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

/* Exit codes of a run that does not begin. */

START_TEST(test_a_second_weir_on_one_store_is_refused)
{
    char pid[20];
    file_write(endless);
    run_ready();
    ck_assert_int_eq(WEIR("run", file), EXIT_STORE);
    snprintf(pid, sizeof pid, "%d", (int)runner);
    ck_contains(output, pid);
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE); /* the first one's socket is still its own */
    ck_contains(output, "running");
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

START_TEST(test_exit_codes)
{
    char path[PATH_MAX + 80];
    ck_assert_int_eq(WEIR("version"), EXIT_DONE);
    ck_assert_int_eq(WEIR("nonsense"), EXIT_USAGE);
    file_write("routes: nonsense\n");
    ck_assert_int_eq(WEIR("run", file), EXIT_CONFIG);
    ck_contains(output, "weir.yaml:1:9");
    ck_assert_int_eq(WEIR("check", file), EXIT_CONFIG);
    file_write(endless);
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_STORE);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    snprintf(path, sizeof path, "%s/data.mdb", place);
    FILE *to = fopen(path, "w");
    for (int i = 0; i < 10000; i++)
        fputs("no store ", to);
    fclose(to);
    ck_assert_int_eq(WEIR("run", file), EXIT_STORE);
    ck_contains(output, "damaged");
}
END_TEST

START_TEST(test_what_a_kind_refuses_at_start_is_a_fault_of_the_file)
{
    char text[2000];
    snprintf(text, sizeof text,
             "store: { path: ./store, size_max: 64MiB }\n"
             "sources: { s: { type: generate, count: 1 } }\n"
             "sinks:\n  o: { type: lines, module: '%s', path: /nowhere/x }\n"
             "routes: [ { from: s, to: o } ]\n",
             testing_module("template_sink"));
    file_write(text);
    ck_assert_int_eq(WEIR("check", file), EXIT_DONE);
    ck_assert_int_eq(WEIR("run", file), EXIT_CONFIG);
    ck_contains(output, "sink o: ");
    ck_contains(output, "weir.yaml:4:");
    ck_contains(output, "path: cannot be opened: No such file or directory");
}
END_TEST

/* Beside a weir that runs. */

START_TEST(test_status)
{
    file_write(endless);
    run_ready();
    ck_assert_int_eq(WEIR("status", file), EXIT_DONE);
    ck_contains(output, "running for");
    ck_contains(output, "through");
    ck_contains(output, "ticks");
    ck_contains(output, "IN FLIGHT");
    ck_contains(output, "BLOCKED SINCE");
    ck_contains(output, "CONFIRMED");
    ck_assert_int_eq(WEIR("status", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(document, "running")));
    const cJSON *route = cJSON_GetObjectItem(document, "routes")->child;
    ck_assert_str_eq(cJSON_GetObjectItem(route, "name")->valuestring, "through");
    cJSON_Delete(document);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

/* How many dead letters there are, and how many were replayed and failed again. */
static int dead_count(int *replayed)
{
    const cJSON *dead;
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    int count = cJSON_GetArraySize(cJSON_GetObjectItem(document, "dead"));
    *replayed = 0;
    cJSON_ArrayForEach(dead, cJSON_GetObjectItem(document, "dead")) *replayed +=
        cJSON_GetObjectItem(dead, "replays")->valueint > 0;
    cJSON_Delete(document);
    return count;
}

static void dead_wait(int count, int replayed)
{
    time_t until = now() + WAIT_S;
    int are = -1, were = -1;
    while (are != count || were != replayed) {
        ck_assert_msg(now() < until, "%d dead letters, %d replayed; log: %s", are, were, log_text);
        are = dead_count(&were);
    }
}

START_TEST(test_dead_letters_of_a_running_weir)
{
    int replayed;
    file_write(refusing);
    run_ready();
    dead_wait(20, 0);
    ck_assert_int_eq(WEIR("dead", "show", file, "--limit", "20", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    const cJSON *dead = cJSON_GetObjectItem(document, "dead")->child;
    char id[200];
    snprintf(id, sizeof id, "%s", cJSON_GetObjectItem(dead, "id")->valuestring);
    ck_assert_str_eq(cJSON_GetObjectItem(dead, "route")->valuestring, "refused");
    ck_assert_str_eq(cJSON_GetObjectItem(dead, "name")->valuestring, "bad");
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "replay", file, "--id", id), EXIT_DONE);
    ck_contains(output, "1 dead letter on the way again");
    dead_wait(20, 1); /* and it fails again */
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", id), EXIT_DONE);
    ck_contains(output, "1 dead letter dropped");
    ck_assert_int_eq(dead_count(&replayed), 19);
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all"), EXIT_DONE);
    dead_wait(19, 19);
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all", "-o", "json"), EXIT_DONE);
    document = printed();
    ck_assert_int_eq(cJSON_GetObjectItem(document, "changed")->valueint, 19);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(document, "running")));
    cJSON_Delete(document);
    ck_assert_int_eq(dead_count(&replayed), 0);
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", id), EXIT_FAILED);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

START_TEST(test_a_replay_asked_of_a_stopped_weir_is_taken_up_by_the_next_run)
{
    file_write(refusing);
    run_ready();
    dead_wait(20, 0);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all"), EXIT_DONE);
    ck_contains(output, "20 dead letters will be replayed");
    run_ready();
    dead_wait(20, 20);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

START_TEST(test_commands_that_read_work_beside_a_running_weir)
{
    file_write(refusing);
    run_ready();
    dead_wait(20, 0);
    ck_assert_int_eq(WEIR("store", "check", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(document, "sound")));
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("checkpoint", "show", file, "-o", "json"), EXIT_DONE);
    document = printed();
    ck_assert_int_ge(cJSON_GetArraySize(cJSON_GetObjectItem(document, "positions")), 1);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_DONE);
    ck_contains(output, "refused");
    ck_assert_int_eq(WEIR("check", file), EXIT_DONE);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

/* The control socket of the real program. */

static int raw_connect(struct control_client *client)
{
    struct error error = {0};
    int result = control_connect(client, place, (int)WAIT_S * 1000, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
    return client->fd;
}

/* Sends a line as it is, returns whether it was answered with ok; the answer is in output. */
static bool raw_ask(int fd, const char *line)
{
    size_t size = 0;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        ck_assert_int_eq(errno, EPIPE);
    while (size < OUTPUT_MAX - 1 && recv(fd, output + size, 1, 0) == 1 && output[size] != '\n')
        size++;
    output[size] = 0;
    return strstr(output, "\"ok\":true") != NULL;
}

START_TEST(test_hostile_input_does_not_hurt_a_run)
{
    struct control_client clients[100];
    char *megabyte = malloc(1u << 20);
    file_write(endless);
    run_ready();
    memset(megabyte, '[', (1u << 20) - 1);
    megabyte[(1u << 20) - 1] = 0;
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        raw_connect(&clients[i]);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        int fd = clients[i].fd;
        if (i % 4 == 0)
            raw_ask(fd, megabyte);
        else if (i % 4 == 1)
            raw_ask(fd, "\xff\xfe garbage\n");
        else if (i % 4 == 2)
            send(fd, "{\"comm", 6, MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        control_disconnect(&clients[i]);
    free(megabyte);
    time_t until = now() + WAIT_S;
    while (WEIR("status", file) != EXIT_DONE) /* until it has seen that they left */
        ck_assert_msg(now() < until, "%s", output);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

START_TEST(test_requests_that_mean_nothing_change_nothing)
{
    static const char *const bad[] = {
        "{\"command\":\"dead-drop\"}\n",
        "{\"command\":\"dead-drop\",\"all\":false}\n",
        "{\"command\":\"dead-drop\",\"all\":\"yes\"}\n",
        "{\"command\":\"dead-drop\",\"all\":true,\"rout\":\"x\"}\n",
        "{\"command\":\"dead-drop\",\"all\":true,\"route\":7}\n",
        "{\"command\":\"dead-drop\",\"all\":true,\"after\":\"xyz\"}\n",
        "{\"command\":\"dead-drop\",\"all\":true,\"after\":\"0\"}\n",
        "{\"command\":\"dead-replay\",\"id\":[]}\n",
        "{\"command\":\"frobnicate\"}\n",
    };
    struct control_client client;
    int replayed;
    file_write(refusing);
    run_ready();
    dead_wait(20, 0);
    int fd = raw_connect(&client);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        ck_assert_msg(!raw_ask(fd, bad[i]) && strstr(output, "\"error\""), "%s: %s", bad[i], output);
    ck_assert(raw_ask(fd, "{\"command\":\"ping\"}\n"));
    ck_assert(raw_ask(fd, "{\"command\":\"dead-drop\",\"route\":\"none\"}\n"));
    ck_contains(output, "\"changed\":0");
    ck_assert_int_eq(dead_count(&replayed), 20);
    ck_assert_int_eq(replayed, 0);
    control_disconnect(&client);
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
}
END_TEST

START_TEST(test_the_socket_can_stop_a_run)
{
    struct control_client client;
    file_write(endless);
    run_ready();
    ck_assert(raw_ask(raw_connect(&client), "{\"command\":\"stop\"}\n"));
    ck_assert_msg(run_end() == EXIT_DONE, "%s", log_text);
    control_disconnect(&client);
}
END_TEST

START_TEST(test_a_run_without_a_socket_still_runs)
{
    file_write(endless);
    run_ready();
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
    char path[PATH_MAX + 80];
    snprintf(path, sizeof path, "%s/control.sock", place);
    close(open(path, O_CREAT | O_WRONLY, 0600)); /* somebody's file */
    run_ready();
    ck_contains(log_text, "in the way");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_STORE); /* it has the lock */
    ck_assert_int_eq(run_stop(SIGTERM), EXIT_DONE);
    ck_assert(exists("store/control.sock"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("main");
    TCase *c = tcase_create("main");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, test_a_run_ends_with_its_sources);
    tcase_add_loop_test(c, test_a_signal_stops_in_order, 0, 2);
    tcase_add_test(c, test_a_second_signal_ends_at_once);
    tcase_add_test(c, test_a_log_that_nobody_reads_ends_nothing);
    tcase_add_test(c, test_what_a_killed_weir_leaves_is_replaced);
    tcase_add_test(c, test_a_second_weir_on_one_store_is_refused);
    tcase_add_test(c, test_exit_codes);
    tcase_add_test(c, test_what_a_kind_refuses_at_start_is_a_fault_of_the_file);
    tcase_add_test(c, test_status);
    tcase_add_test(c, test_dead_letters_of_a_running_weir);
    tcase_add_test(c, test_a_replay_asked_of_a_stopped_weir_is_taken_up_by_the_next_run);
    tcase_add_test(c, test_commands_that_read_work_beside_a_running_weir);
    tcase_add_test(c, test_hostile_input_does_not_hurt_a_run);
    tcase_add_test(c, test_requests_that_mean_nothing_change_nothing);
    tcase_add_test(c, test_the_socket_can_stop_a_run);
    tcase_add_test(c, test_a_run_without_a_socket_still_runs);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
