/* stdin.c: the source `stdin`: a line is an event; the run ends when the pipe does.
 *
 * The normal path:
 *   1. start opens the shard and finds out whether descriptor 0 can be watched (pipes, terminals, sockets) or must
 * be read on a helper (regular files).
 *   2. While there is credit and nothing is unsettled, a piece is read, cut into lines, and emitted as one block.
 *   3. settle: the next piece. At the end of input, once the last block is settled: ended.
 * A final line without newline counts; one carriage return before the newline is cut off; an empty line is an event
 * with an empty payload. How it fails: a line longer than limits.event_bytes is refused, counted and logged once it
 * is known to be, and never held whole; a read error ends the input like its end does, and is logged. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir_plugin.h"

enum { PIECE = 65536, EVENTS_MAX = 4096 };

struct input {
    const weir_host *host;
    weir_shard *shard;
    weir_watch *watch;
    char *bytes; /* what was read and not yet emitted; a line may be in its first part */
    size_t used, room, emitted;
    weir_event events[EVENTS_MAX];
    size_t want_events, want_bytes;
    ssize_t got; /* of the last read on a helper */
    int got_errno;
    int watched, reading, unsettled, at_end, ended, stopping;
    int skipping; /* inside a line that is too long */
};

static void input_go(struct input *input);

static int input_init(void *state, const weir_host *host)
{
    struct input *input = state;
    input->host = host;
    return WEIR_OK;
}

static void input_watch(struct input *input, int events);

static int input_start(void *state)
{
    struct input *input = state;
    weir_view name = {"stdin", 5};
    weir_resume resume = {.size = sizeof resume};
    struct stat status;
    int regular = fstat(0, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
    input->watched = !regular;
    input->room = PIECE;
    input->bytes = malloc(input->room);
    if (!input->bytes)
        return WEIR_NOMEM;
    return input->host->shard_open(input->host, name, 1, &resume, &input->shard);
}

static void refuse_line(struct input *input)
{
    input->host->stat_add(input->host, "refused_events_total", 1);
    input->host->log(input->host, WEIR_LOG_WARN, "refused a line longer than limits.event_bytes (%lld bytes)",
                     (long long)input->host->event_bytes_max);
}

/* Cuts lines out of what was read. Returns how many; *end: the bytes they took, *text_bytes: those of the events.
 */
static size_t input_cut(struct input *input, size_t *end, size_t *text_bytes)
{
    size_t count = 0, at = 0, bytes = 0, most = input->want_events < EVENTS_MAX ? input->want_events : EVENTS_MAX;
    int64_t now = input->host->wall_us(input->host);
    while (count < most) {
        char *line = input->bytes + at, *newline = memchr(line, '\n', input->used - at);
        size_t size = newline ? (size_t)(newline - line) : input->used - at;
        if (!newline && (!input->at_end || !size))
            break;
        size_t next = at + size + (newline != NULL);
        size_t text = newline && size && line[size - 1] == '\r' ? size - 1 : size;
        if (input->skipping || text > (size_t)input->host->event_bytes_max) {
            if (!input->skipping)
                refuse_line(input);
            input->skipping = 0;
            at = next;
            continue;
        }
        if (count && bytes + text > input->want_bytes)
            break;
        input->events[count++] = (weir_event){.payload = {line, text}, .time_us = now};
        bytes += text;
        at = next;
    }
    *end = at;
    *text_bytes = bytes;
    return count;
}

/* A line that is too long is not kept: its rest is skipped as it comes. */
static void input_bound(struct input *input)
{
    if (input->used <= (size_t)input->host->event_bytes_max + 1 || memchr(input->bytes, '\n', input->used))
        return;
    if (!input->skipping)
        refuse_line(input);
    input->skipping = 1;
    input->used = 0;
}

static void input_consume(struct input *input, size_t bytes)
{
    memmove(input->bytes, input->bytes + bytes, input->used - bytes);
    input->used -= bytes;
}

/* False: the block could not be given; it is tried again with the next want. */
static int input_emit(struct input *input)
{
    size_t end, bytes, count = input_cut(input, &end, &bytes);
    if (count) {
        weir_emit emit = {.size = sizeof emit, .events = input->events, .count = count};
        input->unsettled = 1;
        input->want_events -= count;
        input->want_bytes -= bytes < input->want_bytes ? bytes : input->want_bytes;
        int result = input->host->emit(input->host, input->shard, &emit);
        if (result != WEIR_OK) {
            input->unsettled = 0;
            input->host->log(input->host, WEIR_LOG_ERROR, "could not emit %zu lines (%d); trying again", count,
                             result);
            return 0;
        }
    }
    input_consume(input, end);
    input_bound(input);
    return 1;
}

static void input_end(struct input *input)
{
    if (!input->at_end || input->unsettled || input->used || input->ended || input->stopping)
        return;
    input->ended = 1;
    input->host->ended(input->host);
}

static void input_got(struct input *input, ssize_t got, int error)
{
    if (got < 0 && (error == EAGAIN || error == EINTR))
        return;
    if (got < 0)
        input->host->log(input->host, WEIR_LOG_ERROR, "standard input cannot be read: %s; taken as its end",
                         strerror(error));
    if (got <= 0) {
        input->at_end = 1;
        if (input->watch)
            input->host->watch_stop(input->watch);
        input->watch = NULL;
    } else {
        input->used += (size_t)got;
    }
}

static int input_room(struct input *input)
{
    if (input->room - input->used >= PIECE / 2)
        return 1;
    char *bytes = realloc(input->bytes, input->room * 2);
    if (!bytes)
        return 0;
    input->bytes = bytes;
    input->room *= 2;
    return 1;
}

static void input_ready(void *state, void *arg, int events)
{
    struct input *input = state;
    (void)arg, (void)events;
    if (!input_room(input))
        return;
    size_t most = input->room - input->used;
    ssize_t got = read(0, input->bytes + input->used, most < PIECE ? most : PIECE);
    input_got(input, got, errno);
    input_go(input);
}

static void input_read(void *state, void *arg)
{
    struct input *input = state;
    (void)arg;
    size_t most = input->room - input->used;
    input->got = read(0, input->bytes + input->used, most < PIECE ? most : PIECE);
    input->got_errno = errno;
}

static void input_was_read(void *state, void *arg)
{
    struct input *input = state;
    (void)arg;
    input->reading = 0;
    input_got(input, input->got, input->got_errno);
    input_go(input);
}

static void input_watch(struct input *input, int events)
{
    if (!input->watched) {
        if (!events || input->reading || !input_room(input))
            return;
        if (input->host->offload(input->host, input_read, input_was_read, NULL) == WEIR_OK)
            input->reading = 1;
        return;
    }
    if (events || input->watch)
        input->watch = input->host->watch_fd(input->host, 0, events, input_ready, NULL);
    if (events && !input->watch) { /* neither a file nor watchable, as /dev/null */
        input->watched = 0;
        input_watch(input, events);
    }
}

static int has_line(const struct input *input)
{
    return input->used && (input->at_end || memchr(input->bytes, '\n', input->used));
}

/* Does what can be done next: emit, read on, or end. */
static void input_go(struct input *input)
{
    if (input->stopping)
        return;
    while (!input->unsettled && !input->reading && input->want_events && input->want_bytes && has_line(input)) {
        if (!input_emit(input))
            return;
    }
    if (!input->at_end)
        input_bound(input);
    int wants = !input->at_end && !input->unsettled && input->want_events && input->want_bytes && !has_line(input);
    input_watch(input, wants ? WEIR_READABLE : 0);
    input_end(input);
}

static void input_want(void *state, size_t events, size_t bytes)
{
    struct input *input = state;
    input->want_events = events;
    input->want_bytes = bytes;
    input_go(input);
}

static void input_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct input *input = state;
    (void)shard, (void)first, (void)last, (void)how;
    input->unsettled = 0;
    input_go(input);
}

static void input_stop(void *state)
{
    struct input *input = state;
    if (input->watch)
        input->host->watch_stop(input->watch);
    input->watch = NULL;
    input->stopping = 1;
    input->host->stopped(input->host);
}

static void input_fini(void *state)
{
    struct input *input = state;
    free(input->bytes);
}

const weir_source_ops source_stdin = {
    .size = sizeof source_stdin,
    .type = "stdin",
    .summary = "Each line of standard input is an event; the run ends when the pipe does.",
    .state_size = sizeof(struct input),
    .init = input_init,
    .start = input_start,
    .want = input_want,
    .settle = input_settle,
    .stop = input_stop,
    .fini = input_fini,
};
