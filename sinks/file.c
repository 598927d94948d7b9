/* file.c: the sink `file`: appends each payload and a newline; confirmed when fdatasync returned.
 *
 * The normal path:
 *   1. write only queues. If no job is under way, all that is queued goes to a helper as one job.
 *   2. The job renders each event's path, gathers its line, rotates where due, writes, and syncs every file it
 *      touched. Events of more paths than files may be open wait for another round of the job.
 *   3. Back on the loop the writes are answered, in order, and what came meanwhile is the next job: one sync for
 *      many writes.
 * How it fails: a file that cannot be opened, written or synced: everything of the round that is not safely in it
 * is taken out again and answered with WEIR_RETRY (a sync that failed is never trusted: the file is cut back to
 * what was synced before and opened anew). A file that somebody put aside, removed or cut is opened anew too. A
 * path that leaves its folder, holds control characters or cannot be a file is rejected. A payload with newlines
 * makes several lines, which is told and counted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "file/out_file.h"

enum { WRITES_MAX = 64, FILES_MAX = 64, PATH_BYTES = 4000 };

struct rejected {
    struct rejected *next;
    size_t index;
    const char *reason;
};

struct item {
    weir_write *write;
    int result;
    struct rejected *rejected;
};

struct touched {
    off_t before; /* the file's length when the job began with it */
    unsigned rotations;
    int used;
};

struct file_sink {
    const weir_host *host;
    weir_template *path;
    int64_t rotate, sync;
    struct out_rules rules;
    struct item queued[WRITES_MAX], job[WRITES_MAX];
    size_t queued_count, job_count;
    int busy;
    /* The job's own, on one helper at a time. */
    struct out_file files[FILES_MAX];
    struct touched touched[FILES_MAX];
    size_t file_count;
    uint64_t uses;
    uint8_t *done; /* [done_room]: which events of the job are written or rejected */
    size_t done_room;
    bool told;   /* that payloads have newlines */
    char *plain; /* the path when it takes nothing from events; NULL: it does */
    char reason[400];
};

/* What comes from an event must stay a name below the folder that the configuration names. */
static const char *path_fault(const char *path, size_t size)
{
    if (memchr(path, '\0', size))
        return "the path holds a NUL";
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7F)
            return "the path holds a control character";
    }
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        int begins = at == path || at[-1] == '/', ends = at[2] == '\0' || at[2] == '/';
        if (begins && ends)
            return "the path leaves its folder by ..";
    }
    return size == 0 || path[size - 1] == '/' ? "the path names no file" : NULL;
}

/* An event without anything gives the path that the configuration names by itself. */
static int plain_find(struct file_sink *sink)
{
    char path[PATH_BYTES + 1];
    size_t size;
    weir_event none = {0};
    weir_batch batch = {.size = sizeof batch, .events = &none, .count = 1};
    if (sink->host->render(sink->path, &batch, 0, path, sizeof path, &size) != WEIR_OK || size > PATH_BYTES)
        return WEIR_OK;
    const char *fault = path_fault(path, size);
    if (fault)
        return sink->host->refuse(sink->host, "path", "%s; name a file", fault);
    sink->plain = strdup(path);
    return sink->plain ? WEIR_OK : WEIR_NOMEM;
}

static int file_init(void *state, const weir_host *host)
{
    struct file_sink *sink = state;
    sink->host = host;
    sink->rules.sync = sink->sync == 0;
    for (size_t i = 0; i < FILES_MAX; i++)
        sink->files[i].fd = -1;
    return plain_find(sink);
}

static int file_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static int job_failed(struct file_sink *sink, const struct out_file *file, const char *what, int error)
{
    snprintf(sink->reason, sizeof sink->reason, "%s: %s: %s", file->path, what, strerror(error));
    return WEIR_RETRY;
}

/* The file for a path: open, or in place of the one not used longest. NULL: all that may be open are touched, or
 * out of memory. */
static struct out_file *file_find(struct file_sink *sink, const char *path)
{
    struct out_file *oldest = NULL;
    for (size_t i = 0; i < sink->file_count; i++) {
        struct out_file *file = &sink->files[i];
        if (strcmp(file->path, path) == 0)
            return file;
        if (!sink->touched[i].used && (!oldest || file->used < oldest->used))
            oldest = file;
    }
    if (sink->file_count == FILES_MAX && !oldest)
        return NULL;
    char *copy = strdup(path);
    if (!copy)
        return NULL;
    if (sink->file_count < FILES_MAX)
        oldest = &sink->files[sink->file_count++];
    out_close(oldest);
    free(oldest->path);
    oldest->path = copy;
    return oldest;
}

/* No try will make a file of such a path. When the configuration alone gave the path, whoever runs weir can make
 * room for it, and the route waits; what an event named must not stop the others. */
static bool never_a_file(const struct file_sink *sink, const char *path, int error)
{
    if (error == ENAMETOOLONG)
        return true;
    bool wrong = error == ENOTDIR || error == EISDIR || error == ELOOP || error == EINVAL || error == ENXIO ||
                 error == EILSEQ;
    return wrong && !(sink->plain && strcmp(sink->plain, path) == 0);
}

/* WEIR_OK, WEIR_RETRY with the reason, WEIR_REJECT, WEIR_FULL: in another round. */
static int file_take(struct file_sink *sink, const char *path, struct out_file **taken)
{
    struct out_file *file = file_find(sink, path);
    const char *why;
    int error = 0;
    *taken = file;
    if (!file)
        return WEIR_FULL;
    struct touched *touched = &sink->touched[file - sink->files];
    file->used = ++sink->uses;
    if (file->fd >= 0 && !touched->used && out_changed(file))
        out_close(file);
    if (file->fd < 0)
        error = out_open(file, sink->host, &why);
    if (error != 0)
        return never_a_file(sink, path, error) ? WEIR_REJECT : job_failed(sink, file, why, error);
    if (!touched->used)
        *touched = (struct touched){.before = file->length, .rotations = file->rotations, .used = 1};
    return WEIR_OK;
}

static void reject(struct item *item, size_t index, const char *reason)
{
    struct rejected *rejected = malloc(sizeof *rejected);
    if (!rejected) {
        item->result = WEIR_RETRY;
        return;
    }
    *rejected = (struct rejected){item->rejected, index, reason};
    item->rejected = rejected;
}

/* Why the event can never be written, or NULL and its path. */
static const char *event_path(struct file_sink *sink, const weir_batch *batch, size_t i, char path[PATH_BYTES + 1])
{
    size_t size;
    if (sink->host->render(sink->path, batch, i, path, PATH_BYTES + 1, &size) != WEIR_OK)
        return "template: a field of the path is missing";
    return size > PATH_BYTES ? "the path is too long" : path_fault(path, size);
}

static void lines_told(struct file_sink *sink, weir_view payload)
{
    if (!payload.size || !memchr(payload.data, '\n', payload.size))
        return;
    sink->host->stat_add(sink->host, "multiline_events_total", 1);
    if (!sink->told)
        sink->host->log(sink->host, WEIR_LOG_WARN,
                        "a payload has newlines and makes several lines; told once, all are counted");
    sink->told = true;
}

/* WEIR_OK: written or rejected; WEIR_FULL: in another round; WEIR_RETRY: the job has failed. */
static int job_event(struct file_sink *sink, struct item *item, size_t i)
{
    char path[PATH_BYTES + 1];
    struct out_file *file;
    weir_view payload = item->write->batch.events[i].payload;
    const char *fault = event_path(sink, &item->write->batch, i, path);
    if (fault) {
        reject(item, i, fault);
        return WEIR_OK;
    }
    int result = file_take(sink, path, &file);
    if (result == WEIR_REJECT)
        reject(item, i, "the path cannot be a file: it is too long, or what is there is none");
    if (result != WEIR_OK)
        return result == WEIR_REJECT ? WEIR_OK : result;
    lines_told(sink, payload);
    int error = out_line(file, sink->host, &sink->rules, payload);
    return error ? job_failed(sink, file, "it cannot be written", error) : WEIR_OK;
}

/* Syncs what the job touched. A file that fails goes back to what it held before the job. */
static int job_sync(struct file_sink *sink)
{
    int result = WEIR_OK;
    for (size_t i = 0; i < sink->file_count; i++) {
        struct out_file *file = &sink->files[i];
        if (!sink->touched[i].used)
            continue;
        int error = sink->rules.sync ? out_sync(file) : out_flush(file);
        if (error != 0)
            result = job_failed(sink, file, "it cannot be synced", error);
    }
    return result;
}

static void job_undo(struct file_sink *sink)
{
    for (size_t i = 0; i < sink->file_count; i++) {
        struct out_file *file = &sink->files[i];
        if (!sink->touched[i].used)
            continue;
        /* All that a file holds which was begun by rotation is from this job. */
        out_cut(file, file->rotations == sink->touched[i].rotations ? sink->touched[i].before : 0);
        out_close(file);
    }
}

/* Writes the events whose files are open or can be. What is left has paths beyond FILES_MAX. */
static int job_round(struct file_sink *sink, size_t *left)
{
    uint8_t *done = sink->done;
    memset(sink->touched, 0, sizeof sink->touched);
    *left = 0;
    for (size_t n = 0; n < sink->job_count; n++) {
        struct item *item = &sink->job[n];
        for (size_t i = 0; i < item->write->batch.count; i++, done++) {
            int result = *done ? WEIR_OK : job_event(sink, item, i);
            if (result != WEIR_OK && result != WEIR_FULL)
                return result;
            *done = result == WEIR_OK;
            *left += result == WEIR_FULL;
        }
    }
    return WEIR_OK;
}

static bool done_room(struct file_sink *sink)
{
    size_t count = 1;
    for (size_t n = 0; n < sink->job_count; n++)
        count += sink->job[n].write->batch.count;
    if (count > sink->done_room) {
        free(sink->done);
        sink->done = malloc(count);
        sink->done_room = sink->done ? count : 0;
    }
    if (sink->done)
        memset(sink->done, 0, count);
    return sink->done != NULL;
}

/* A round that fails is undone; what earlier rounds wrote stays, and comes twice. */
static void job_run(void *state, void *arg)
{
    struct file_sink *sink = state;
    size_t left = 0, before;
    int result = WEIR_OK;
    (void)arg;
    snprintf(sink->reason, sizeof sink->reason, "out of memory");
    if (!done_room(sink))
        result = WEIR_RETRY;
    do {
        before = left;
        if (result == WEIR_OK)
            result = job_round(sink, &left);
        if (result == WEIR_OK)
            result = job_sync(sink);
        if (result == WEIR_OK && left && left == before)
            result = WEIR_RETRY; /* no path could be kept: out of memory */
        if (result != WEIR_OK)
            job_undo(sink);
    } while (result == WEIR_OK && left);
    for (size_t n = 0; n < sink->job_count; n++) {
        if (sink->job[n].result == WEIR_OK)
            sink->job[n].result = result;
    }
}

static void file_go(struct file_sink *sink);

static void item_answer(struct file_sink *sink, struct item *item)
{
    for (struct rejected *rejected = item->rejected, *next; rejected; rejected = next) {
        next = rejected->next;
        if (item->result == WEIR_OK)
            sink->host->write_event(sink->host, item->write, rejected->index, WEIR_REJECT, rejected->reason);
        free(rejected);
    }
    sink->host->write_done(sink->host, item->write, item->result, item->result == WEIR_OK ? NULL : sink->reason);
}

static void job_done(void *state, void *arg)
{
    struct file_sink *sink = state;
    struct item done[WRITES_MAX];
    size_t count = sink->job_count;
    (void)arg;
    memcpy(done, sink->job, count * sizeof *done);
    sink->job_count = 0;
    sink->busy = 0;
    for (size_t i = 0; i < count; i++)
        item_answer(sink, &done[i]);
    file_go(sink);
}

static void file_go(struct file_sink *sink)
{
    if (sink->busy || !sink->queued_count)
        return;
    memcpy(sink->job, sink->queued, sink->queued_count * sizeof *sink->job);
    sink->job_count = sink->queued_count;
    sink->queued_count = 0;
    sink->busy = 1;
    if (sink->host->offload(sink->host, job_run, job_done, NULL) == WEIR_OK)
        return;
    snprintf(sink->reason, sizeof sink->reason, "no helper thread is free");
    for (size_t i = 0; i < sink->job_count; i++)
        sink->job[i].result = WEIR_RETRY;
    job_done(sink, NULL);
}

static void file_write(void *state, weir_write *write)
{
    struct file_sink *sink = state;
    sink->queued[sink->queued_count++] = (struct item){.write = write};
    file_go(sink);
}

static void file_stop(void *state)
{
    struct file_sink *sink = state;
    sink->host->stopped(sink->host);
}

static void file_fini(void *state)
{
    struct file_sink *sink = state;
    for (size_t i = 0; i < sink->file_count; i++) {
        out_close(&sink->files[i]);
        free(sink->files[i].path);
    }
    free(sink->done);
    free(sink->plain);
}

static const char *const sync_words[] = {"batch", "none", NULL};
static const weir_option rotate_options[] = {
    {.name = "bytes",
     .type = WEIR_OPTION_SIZE,
     .offset = offsetof(struct file_sink, rules.bytes),
     .fallback = "0",
     .help = "A file that would grow beyond this is put aside; 0: never."},
    {.name = "every",
     .type = WEIR_OPTION_DURATION,
     .offset = offsetof(struct file_sink, rules.every),
     .fallback = "0s",
     .help = "A file older than this is put aside when the next line comes; 0s: never."},
    {.name = "keep",
     .type = WEIR_OPTION_INT,
     .offset = offsetof(struct file_sink, rules.keep),
     .fallback = "0",
     .min = 0,
     .max = 10000,
     .help = "How many files that were put aside are kept; 0: all."},
    {0},
};
static const weir_option file_options[] = {
    {.name = "path",
     .type = WEIR_OPTION_TEMPLATE,
     .flags = WEIR_OPTION_REQUIRED | WEIR_OPTION_IS_PATH,
     .offset = offsetof(struct file_sink, path),
     .help = "The file; a file for each path that the template gives. Folders are made."},
    {.name = "rotate",
     .type = WEIR_OPTION_GROUP,
     .rows = rotate_options,
     .offset = offsetof(struct file_sink, rotate),
     .help = "When a file is put aside as PATH.YYYYmmddTHHMMSS and a new one begun."},
    {.name = "sync",
     .type = WEIR_OPTION_CHOICE,
     .choices = sync_words,
     .offset = offsetof(struct file_sink, sync),
     .fallback = "batch",
     .help = "batch: confirmed after fdatasync; none: after write, a power cut may lose it."},
    {0},
};

const weir_sink_ops sink_file = {
    .size = sizeof sink_file,
    .type = "file",
    .summary = "Appends each payload as a line to a file; confirmed when it is on disk.",
    .options = file_options,
    .state_size = sizeof(struct file_sink),
    .flags = WEIR_SINK_ORDERED,
    .writes_max = WRITES_MAX,
    .init = file_init,
    .start = file_start,
    .write = file_write,
    .stop = file_stop,
    .fini = file_fini,
};
