/* template.c: a sink to start your own from. As it stands it is a real one: `lines` appends each payload as a line
 * to a file, and confirms when the disk has it.
 *
 * STEP 1, copy:    cp sinks/template.c my_sink.c
 * STEP 2, rename:  replace "lines" by your name, here and in `weir_module`.
 * STEP 3, build:   cc -shared -fPIC -O2 -DWEIR_BUILD_MODULE $(pkg-config --cflags weir) my_sink.c -o my_sink.so
 *                  and name it in a configuration:  sinks: { mine: { module: ./my_sink.so, options: { path: ./out }
 * } } STEP 4, change:  the options, where events go, and what a confirmation is.
 *
 * Every slot runs on one thread, weir's loop, and must not block: wait with watch_fd, and give what blocks to
 * offload, as here. A file in weir's own sinks/ needs no WEIR_BUILD_MODULE: it becomes built in, as sink_FILE. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weir_plugin.h"

/* STEP 4a. One for each instance, zeroed, filled with the options before init. */
struct lines {
    const char *path;
    const weir_host *host;
    int fd; /* + 1; 0: not open */
    weir_write *open;
    int error; /* of the job */
};

/* STEP 4b. Each row is an option: it is parsed, held against its bounds, and shown by `weir help`. */
static const weir_option lines_options[] = {
    {.name = "path",
     .type = WEIR_OPTION_PATH,
     .flags = WEIR_OPTION_REQUIRED,
     .offset = offsetof(struct lines, path),
     .help = "The file that lines are appended to."},
    {0},
};

static int bytes_write(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno != EINTR)
            return errno;
        bytes += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* STEP 4c. The work: on a helper thread, so it may block, and nothing else of the instance runs meanwhile. The
 * batch lasts until write_done. */
static void lines_job(void *state, void *arg)
{
    struct lines *lines = state;
    const weir_batch *batch = &lines->open->batch;
    int fd = lines->fd - 1;
    (void)arg;
    lines->error = 0;
    for (size_t i = 0; i < batch->count && !lines->error; i++) {
        lines->error = bytes_write(fd, batch->events[i].payload.data, batch->events[i].payload.size);
        if (!lines->error)
            lines->error = bytes_write(fd, "\n", 1);
    }
    if (!lines->error && fdatasync(fd) != 0)
        lines->error = errno;
}

/* STEP 4d. The answer, exactly once for each write: WEIR_OK only when whoever takes the events has them for good.
 * WEIR_RETRY: the same may pass later, and weir writes them again. WEIR_REJECT: they never can, and become dead
 * letters; write_event before it gives a single event a result of its own. */
static void lines_done(void *state, void *arg)
{
    struct lines *lines = state;
    weir_write *write = lines->open;
    (void)arg;
    lines->open = NULL;
    lines->host->write_done(lines->host, write, lines->error ? WEIR_RETRY : WEIR_OK,
                            lines->error ? strerror(lines->error) : NULL);
}

static void lines_write(void *state, weir_write *write)
{
    struct lines *lines = state;
    lines->open = write;
    if (lines->host->offload(lines->host, lines_job, lines_done, NULL) == WEIR_OK)
        return;
    lines->open = NULL;
    lines->host->write_done(lines->host, write, WEIR_RETRY, "no helper is free");
}

/* Checks options that depend on each other; host->refuse says what is wrong, with its place in the file. */
static int lines_init(void *state, const weir_host *host)
{
    struct lines *lines = state;
    lines->host = host;
    return WEIR_OK;
}

static int lines_start(void *state)
{
    struct lines *lines = state;
    int fd = open(lines->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return lines->host->refuse(lines->host, "path", "cannot be opened: %s", strerror(errno));
    lines->fd = fd + 1;
    return WEIR_OK;
}

/* No write is open any more. */
static void lines_stop(void *state)
{
    struct lines *lines = state;
    lines->host->stopped(lines->host);
}

/* Last, and also after an init that failed half-way. */
static void lines_fini(void *state)
{
    struct lines *lines = state;
    if (lines->fd)
        close(lines->fd - 1);
}

/* STEP 4e. The table. WEIR_SINK_ORDERED would say: several writes of one lane may be open, they take effect in
 * order, and after one failed those behind it fail too. */
const weir_sink_ops sink_template = {
    .size = sizeof(weir_sink_ops),
    .type = "lines",
    .summary = "Appends each payload as a line to a file.",
    .options = lines_options,
    .state_size = sizeof(struct lines),
    .writes_max = 1,
    .init = lines_init,
    .start = lines_start,
    .write = lines_write,
    .stop = lines_stop,
    .fini = lines_fini,
};

#ifdef WEIR_BUILD_MODULE
static const weir_sink_ops *const sinks[] = {&sink_template, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof(weir_module_info),
    .name = "lines",
    .version = "1.0.0",
    .sinks = sinks,
};
#endif
