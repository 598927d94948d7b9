/* testing.c: see testing.h. */
#include "testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int testing_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

static bool required(const char *component)
{
    const char *list = getenv("WEIR_TEST_REQUIRE");
    size_t size = strlen(component);
    for (const char *at = list; at && (at = strstr(at, component)) != NULL; at += size) {
        bool begins = at == list || at[-1] == ',';
        if (begins && (at[size] == '\0' || at[size] == ','))
            return true;
    }
    return false;
}

void testing_skip(const char *component, const char *reason)
{
    if (required(component))
        ck_abort_msg("%s is required and not here: %s", component, reason);
    const char *file = getenv("WEIR_TEST_SKIPS");
    FILE *to = file ? fopen(file, "a") : stderr;
    if (!to)
        return;
    fprintf(to, "SKIP %s: %s\n", component, reason);
    if (to != stderr)
        fclose(to);
}

const char *testing_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = malloc(PATH_MAX);
    ck_assert_ptr_nonnull(folder);
    snprintf(folder, PATH_MAX, "%s/weir-test-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

const char *testing_path(const char *folder, const char *name)
{
    static char buffers[8][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    ck_assert_int_lt(snprintf(buffer, PATH_MAX, "%s/%s", folder, name), PATH_MAX);
    return buffer;
}

void testing_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

char *testing_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    char *text = NULL, part[4096];
    size_t size = 0, got;
    do {
        got = fread(part, 1, sizeof part, file);
        text = realloc(text, size + got + 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text + size, part, got);
        size += got;
        text[size] = '\0';
    } while (got);
    fclose(file);
    return text;
}

uint64_t testing_seed(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 20;
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    return seed;
}

double testing_slow(void)
{
    const char *slow = getenv("WEIR_TEST_SLOW");
    return slow ? atof(slow) : 1;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool testing_wait(bool (*condition)(void *arg), void *arg, int timeout_ms)
{
    double end = seconds() + timeout_ms / 1e3 * testing_slow();
    while (!condition(arg)) {
        if (seconds() > end)
            return false;
        usleep(2000);
    }
    return true;
}

const char *testing_build(void)
{
    const char *build = getenv("WEIR_BUILD");
    return build ? build : "build";
}

const char *testing_binary(void)
{
    return testing_path(testing_build(), "weir");
}

const char *testing_module(const char *name)
{
    char file[200];
    snprintf(file, sizeof file, "tests/modules/%s.so", name);
    return testing_path(testing_build(), file);
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t testing_spawn(const char *const *argv, const char *log)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    int to = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600), from = open("/dev/null", O_RDONLY);
    dup2(from, 0);
    dup2(to, 1);
    dup2(to, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int testing_end(pid_t pid, int signal_number)
{
    int status;
    if (signal_number)
        kill(pid, signal_number);
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return exit_code(status);
}

int testing_command(const char *const *argv, char **output)
{
    const char *folder = testing_folder(), *log = testing_path(folder, "output");
    pid_t pid = testing_spawn(argv, log);
    int code = testing_end(pid, 0);
    if (output)
        *output = testing_read(log);
    return code;
}

int testing_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}
