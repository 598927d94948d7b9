/* file.c: the sink `file`: appends each payload and a newline; confirmed when fdatasync returned.
 *
 * The normal path:
 *   1. write only queues. If no job is under way, all that is queued goes to a helper as one job.
 *   2. The job renders each event's path, gathers its line, rotates where due, writes, and syncs every file it
 * touched.
 *   3. Back on the loop the writes are answered, in order, and what came meanwhile is the next job: one sync for
 * many writes. How it fails: a file that cannot be opened, written or synced: everything of the job that is not
 * safely in it is taken out again and answered with WEIR_RETRY (a sync that failed is never trusted: the file is
 * cut back to what was synced before and opened anew). A path that leaves its folder or holds control characters is
 * rejected. A payload with newlines makes several lines.
 */
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
    char reason[400];
};

static int file_init(void *state, const weir_host *host)
{
    struct file_sink *sink = state;
    sink->host = host;
    sink->rules.sync = sink->sync == 0;
    for (size_t i = 0; i < FILES_MAX; i++)
        sink->files[i].fd = -1;
    return WEIR_OK;
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

/* The file for a path: open, or opened in place of the one not used longest. */
static struct out_file *file_find(struct file_sink *sink, const char *path)
{
    struct out_file *oldest = &sink->files[0];
    for (size_t i = 0; i < sink->file_count; i++) {
        struct out_file *file = &sink->files[i];
        if (strcmp(file->path, path) == 0)
            return file;
        if (sink->touched[oldest - sink->files].used || (!sink->touched[i].used && file->used < oldest->used))
            oldest = file;
    }
    if (sink->file_count < FILES_MAX)
        oldest = &sink->files[sink->file_count++];
    else if (sink->touched[oldest - sink->files].used)
        return NULL; /* more paths in one job than files may be open */
    out_close(oldest);
    free(oldest->path);
    oldest->path = strdup(path);
    return oldest->path ? oldest : NULL;
}

static int file_take(struct file_sink *sink, const char *path, struct out_file **taken)
{
    struct out_file *file = file_find(sink, path);
    const char *why;
    *taken = file;
    if (!file) {
        snprintf(sink->reason, sizeof sink->reason, "too many files at once (%d), or out of memory", FILES_MAX);
        return WEIR_RETRY;
    }
    file->used = ++sink->uses;
    int error = file->fd < 0 ? out_open(file, sink->host, &why) : 0;
    if (error != 0)
        return job_failed(sink, file, why, error);
    struct touched *touched = &sink->touched[file - sink->files];
    if (!touched->used)
        *touched = (struct touched){.before = file->length, .rotations = file->rotations, .used = 1};
    return WEIR_OK;
}

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

static int job_event(struct file_sink *sink, struct item *item, size_t i)
{
    char path[PATH_BYTES + 1];
    size_t size;
    const weir_batch *batch = &item->write->batch;
    if (sink->host->render(sink->path, batch, i, path, sizeof path, &size) != WEIR_OK) {
        reject(item, i, "template: a field of the path is missing");
        return WEIR_OK;
    }
    const char *fault = size > PATH_BYTES ? "the path is too long" : path_fault(path, size);
    if (fault) {
        reject(item, i, fault);
        return WEIR_OK;
    }
    struct out_file *file;
    int result = file_take(sink, path, &file);
    int error = result == WEIR_OK ? out_line(file, sink->host, &sink->rules, batch->events[i].payload) : 0;
    return error ? job_failed(sink, file, "it cannot be written", error) : result;
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

static void job_run(void *state, void *arg)
{
    struct file_sink *sink = state;
    int result = WEIR_OK;
    (void)arg;
    memset(sink->touched, 0, sizeof sink->touched);
    for (size_t n = 0; n < sink->job_count && result == WEIR_OK; n++) {
        struct item *item = &sink->job[n];
        for (size_t i = 0; i < item->write->batch.count && result == WEIR_OK; i++)
            result = job_event(sink, item, i);
    }
    if (result == WEIR_OK)
        result = job_sync(sink);
    if (result != WEIR_OK)
        job_undo(sink);
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
        free(sink->files[i].buffer);
    }
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
