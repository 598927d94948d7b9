/* console.c: the sink `console`: a line for each event, on standard output or standard error.
 *
 * The normal path:
 *   1. write makes the lines of the batch: the payload alone, or for people its subject and key before it.
 *   2. They leave in pieces of whole lines, as long as the stream takes some without blocking. A pipe takes a piece
 *      of up to PIPE_BUF bytes whole, so the lines of two sinks do not run into each other unless one is longer.
 *   3. When the stream takes no more, the rest waits until it does: whoever reads slowly slows the route.
 * How it fails: a reader that has gone ends the sink, since nobody will come back for it. Any other error is tried
 * again; the lines that were out count as confirmed, and a piece of a line that was out is ended first. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir_plugin.h"

enum { STREAM_OUT, STREAM_ERR };
enum { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };
enum { FORMAT_TEXT, FORMAT_PAYLOAD };

struct console {
    int64_t stream, colour, format;
    const weir_host *host;
    int fd;
    int coloured, plain_file, torn; /* torn: a piece of a line is out */
    char *bytes;                    /* the lines of the open write */
    size_t used, room, sent;
    size_t *ends; /* [count]: where each event's line ends */
    size_t ends_room;
    weir_write *open;
    weir_watch *watch;
};

static const char *const streams[] = {"stdout", "stderr", NULL};
static const char *const colours[] = {"auto", "always", "never", NULL};
static const char *const formats[] = {"text", "payload", NULL};

/* Making lines. */

static int lines_grow(struct console *console, size_t more)
{
    if (console->room - console->used >= more)
        return WEIR_OK;
    size_t room = console->room * 2 > console->used + more ? console->room * 2 : console->used + more;
    char *bytes = realloc(console->bytes, room);
    if (!bytes)
        return WEIR_NOMEM;
    console->bytes = bytes;
    console->room = room;
    return WEIR_OK;
}

static void put(struct console *console, const char *text, size_t size)
{
    if (size)
        memcpy(console->bytes + console->used, text, size);
    console->used += size;
}

static void put_hex(struct console *console, unsigned char byte)
{
    char text[5];
    int size = snprintf(text, sizeof text, "\\x%02x", byte);
    put(console, text, (size_t)size);
}

/* Control characters could tear the line, or command the terminal: they are written as \xNN. */
static void put_clean(struct console *console, weir_view view)
{
    for (size_t i = 0; i < view.size; i++) {
        unsigned char byte = (unsigned char)view.data[i];
        if (byte >= ' ' && byte != 0x7f)
            put(console, view.data + i, 1);
        else if (byte == '\t')
            put(console, "\t", 1);
        else if (byte == '\n')
            put(console, "\\n", 2);
        else
            put_hex(console, byte);
    }
}

static void put_part(struct console *console, weir_view view, const char *colour)
{
    if (!view.size)
        return;
    if (console->coloured)
        put(console, colour, strlen(colour));
    put_clean(console, view);
    if (console->coloured)
        put(console, "\033[0m", 4);
    put(console, " ", 1);
}

static int line_add(struct console *console, const weir_event *event)
{
    size_t most = 4 * (event->subject.size + event->key.size + event->payload.size) + 64;
    if (lines_grow(console, most) != WEIR_OK)
        return WEIR_NOMEM;
    if (console->format == FORMAT_PAYLOAD) {
        put(console, event->payload.data, event->payload.size);
    } else {
        put_part(console, event->subject, "\033[36m");
        put_part(console, event->key, "\033[33m");
        put_clean(console, event->payload);
    }
    put(console, "\n", 1);
    return WEIR_OK;
}

static int lines_make(struct console *console, const weir_batch *batch)
{
    console->used = console->sent = 0;
    if (console->ends_room < batch->count) {
        size_t *ends = realloc(console->ends, batch->count * sizeof *ends);
        if (!ends)
            return WEIR_NOMEM;
        console->ends = ends;
        console->ends_room = batch->count;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (line_add(console, &batch->events[i]) != WEIR_OK)
            return WEIR_NOMEM;
        console->ends[i] = console->used;
    }
    return WEIR_OK;
}

/* Writing them. */

static void answer(struct console *console, int result, const char *reason)
{
    weir_write *write = console->open;
    console->open = NULL;
    console->host->write_done(console->host, write, result, reason);
}

static void failed(struct console *console, int error)
{
    char reason[200];
    snprintf(reason, sizeof reason, "cannot write to %s: %s", streams[console->stream], strerror(error));
    if (error == EPIPE) {
        answer(console, WEIR_FATAL, reason);
        return;
    }
    for (size_t i = 0; i < console->open->batch.count && console->ends[i] <= console->sent; i++)
        console->host->write_event(console->host, console->open, i, WEIR_OK, NULL);
    console->torn = console->sent > 0 && console->bytes[console->sent - 1] != '\n';
    answer(console, WEIR_RETRY, reason);
}

/* Whole lines, as many as one piece takes; or a piece of one that is longer. */
static size_t piece(const struct console *console)
{
    size_t left = console->used - console->sent;
    if (console->plain_file || left <= PIPE_BUF)
        return left;
    size_t size = PIPE_BUF;
    while (size && console->bytes[console->sent + size - 1] != '\n')
        size--;
    return size ? size : PIPE_BUF;
}

static int stream_ready(const struct console *console)
{
    struct pollfd ready = {.fd = console->fd, .events = POLLOUT};
    return console->plain_file || poll(&ready, 1, 0) != 0;
}

static void console_wait(struct console *console);

static void console_send(struct console *console)
{
    while (console->sent < console->used) {
        if (!stream_ready(console)) {
            console_wait(console);
            return;
        }
        ssize_t done = write(console->fd, console->bytes + console->sent, piece(console));
        if (done > 0) {
            console->sent += (size_t)done;
        } else if (done < 0 && errno == EAGAIN) {
            console_wait(console);
            return;
        } else if (done < 0 && errno != EINTR) {
            failed(console, errno);
            return;
        }
    }
    answer(console, WEIR_OK, NULL);
}

static void console_ready(void *state, void *arg, int events)
{
    struct console *console = state;
    (void)arg, (void)events;
    console->host->watch_stop(console->watch);
    console->watch = NULL;
    if (console->open)
        console_send(console);
}

static void console_wait(struct console *console)
{
    console->watch = console->host->watch_fd(console->host, console->fd, WEIR_WRITABLE, console_ready, NULL);
    if (!console->watch)
        failed(console, EAGAIN);
}

/* What a failed write left of a line is ended by itself, never joined to the next one. */
static int torn_end(struct console *console)
{
    if (!console->torn || write(console->fd, "\n", 1) == 1)
        console->torn = 0;
    return console->torn ? WEIR_RETRY : WEIR_OK;
}

static void console_write(void *state, weir_write *write)
{
    struct console *console = state;
    console->open = write;
    if (lines_make(console, &write->batch) != WEIR_OK)
        answer(console, WEIR_RETRY, "out of memory");
    else if (torn_end(console) != WEIR_OK)
        answer(console, WEIR_RETRY, strerror(errno));
    else
        console_send(console);
}

static int console_init(void *state, const weir_host *host)
{
    struct console *console = state;
    struct stat stat;
    console->host = host;
    console->fd = console->stream == STREAM_ERR ? STDERR_FILENO : STDOUT_FILENO;
    if (fstat(console->fd, &stat) != 0)
        return host->refuse(host, "stream", "%s is not open", streams[console->stream]);
    console->plain_file = S_ISREG(stat.st_mode);
    console->coloured = console->colour == COLOUR_ALWAYS || (console->colour == COLOUR_AUTO && isatty(console->fd));
    return WEIR_OK;
}

static int console_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static void console_stop(void *state)
{
    struct console *console = state;
    console->host->stopped(console->host);
}

static void console_fini(void *state)
{
    struct console *console = state;
    if (console->watch)
        console->host->watch_stop(console->watch);
    free(console->bytes);
    free(console->ends);
}

static const weir_option console_options[] = {
    {.name = "stream",
     .type = WEIR_OPTION_CHOICE,
     .choices = streams,
     .fallback = "stdout",
     .offset = offsetof(struct console, stream),
     .help = "Where the lines go."},
    {.name = "format",
     .type = WEIR_OPTION_CHOICE,
     .choices = formats,
     .fallback = "text",
     .offset = offsetof(struct console, format),
     .help = "text: subject, key and payload for people, without control characters; payload: as it is."},
    {.name = "colour",
     .type = WEIR_OPTION_CHOICE,
     .choices = colours,
     .fallback = "auto",
     .offset = offsetof(struct console, colour),
     .help = "Colours in text; auto: when a terminal shows it."},
    {0},
};

const weir_sink_ops sink_console = {
    .size = sizeof sink_console,
    .type = "console",
    .summary = "Writes a line for each event to standard output or standard error.",
    .options = console_options,
    .state_size = sizeof(struct console),
    .flags = WEIR_SINK_ORDERED,
    .writes_max = 1,
    .init = console_init,
    .start = console_start,
    .write = console_write,
    .stop = console_stop,
    .fini = console_fini,
};
