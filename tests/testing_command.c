/* testing_command.c: commands and ports for tests. A command is forked with its streams in files; it stays in the
 * test's process group, which libcheck ends with the test, and dies with the process that started it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing.h"

#define COMMAND_MS 60000
#define SPAWNED_MAX 64

static struct {
    pid_t owner, pids[SPAWNED_MAX]; /* of the test's process; 0: a free place */
} spawned;

bool testing_command_exists(const char *name)
{
    const char *path = getenv("PATH");
    char folders[4096], file[PATH_MAX], *rest = NULL;

    snprintf(folders, sizeof folders, "%s", path ? path : "/usr/bin:/bin");
    for (char *folder = strtok_r(folders, ":", &rest); folder; folder = strtok_r(NULL, ":", &rest)) {
        snprintf(file, sizeof file, "%s/%s", folder, name);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

/* In the child, where all signals are blocked until libcheck's handlers, which would end the test, are gone. */
static void command_become(const char *const *argv, pid_t parent, int out, int err)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || nothing < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126); /* the test may have died before prctl */
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t command_start(const char *const *argv, int out, int err)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;

    fflush(NULL); /* or the child's copy of what is buffered would be written too */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        command_become(argv, parent, out, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
    return pid;
}

/* At exit, before the folders go: a command that still writes would keep them. */
static void spawned_end(void)
{
    for (size_t i = 0; i < SPAWNED_MAX && spawned.owner == getpid(); i++)
        if (spawned.pids[i] && waitpid(spawned.pids[i], NULL, WNOHANG) == 0 && kill(spawned.pids[i], SIGKILL) == 0)
            waitpid(spawned.pids[i], NULL, 0);
}

static void spawned_replace(pid_t from, pid_t to)
{
    size_t i = 0;
    if (spawned.owner != getpid()) {
        memset(&spawned, 0, sizeof spawned);
        spawned.owner = getpid();
        atexit(spawned_end);
    }
    while (i < SPAWNED_MAX && spawned.pids[i] != from)
        i++;
    ck_assert_msg(i < SPAWNED_MAX || to == 0, "a test may have %d commands at once", SPAWNED_MAX);
    if (i < SPAWNED_MAX)
        spawned.pids[i] = to;
}

pid_t testing_spawn(const char *const *argv, const char *log)
{
    int fd = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid;

    ck_assert_msg(fd >= 0, "%s: %s", log, strerror(errno));
    pid = command_start(argv, fd, fd);
    spawned_replace(0, pid);
    close(fd);
    return pid;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int testing_end(pid_t pid, int signal_number)
{
    int status;
    if (signal_number)
        ck_assert_msg(kill(pid, signal_number) == 0, "kill %d: %s", (int)pid, strerror(errno));
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    spawned_replace(pid, 0);
    return exit_code(status);
}

struct ending {
    pid_t pid;
    int status;
};

static bool process_ended(void *arg)
{
    struct ending *ending = arg;
    pid_t pid = waitpid(ending->pid, &ending->status, WNOHANG);
    ck_assert_msg(pid >= 0, "waitpid %d: %s", (int)ending->pid, strerror(errno));
    return pid == ending->pid;
}

static int output_open(void)
{
    int fd = memfd_create("output", MFD_CLOEXEC);
    ck_assert_msg(fd >= 0, "memfd_create: %s", strerror(errno));
    return fd;
}

static char *output_take(int fd)
{
    struct stat status;
    char *text;

    ck_assert_int_eq(fstat(fd, &status), 0);
    text = calloc(1, (size_t)status.st_size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)status.st_size, 0), status.st_size);
    close(fd);
    return text;
}

/* Both streams go to files in memory, so a command that writes much never waits for a reader. */
static int command_run(const char *const *argv, int timeout_ms, int out, int err)
{
    struct ending ending = {command_start(argv, out, err), 0};

    if (!testing_wait(process_ended, &ending, timeout_ms)) {
        testing_end(ending.pid, SIGKILL);
        ck_abort_msg("%s did not end within %d ms; it wrote: %s", argv[0], timeout_ms, output_take(err));
    }
    return exit_code(ending.status);
}

int testing_capture(const char *const *argv, int timeout_ms, struct testing_output *output)
{
    int out = output_open(), err = output_open();
    int code = command_run(argv, timeout_ms, out, err);

    output->out = output_take(out);
    output->err = output_take(err);
    return code;
}

int testing_command(const char *const *argv, char **output)
{
    int both = output_open();
    int code = command_run(argv, COMMAND_MS, both, both);
    char *text = output_take(both);

    if (output)
        *output = text;
    else
        free(text);
    return code;
}

static int loopback_socket(struct sockaddr_in *address, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_msg(fd >= 0, "socket: %s", strerror(errno));
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd;
}

int testing_free_port(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = loopback_socket(&address, 0);

    ck_assert_msg(bind(fd, (struct sockaddr *)&address, size) == 0, "bind: %s", strerror(errno));
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

bool testing_port_answers(int port)
{
    struct sockaddr_in address;
    int fd = loopback_socket(&address, port);
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}
