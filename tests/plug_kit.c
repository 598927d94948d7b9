/* plug_kit.c: a weir_host for one instance, on libuv. See plug_kit.h. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "option.h"
#include "plug_kit.h"
#include "registry.h"
#include "template.h"

enum { WAIT_MS = 20000, TICK_MS = 10, HANDLES_MAX = 32, SHARDS_MAX = 16, LOANS_MAX = 4096 };

struct weir_watch {
    uv_poll_t poll;
    struct plug *plug;
    weir_watch_callback *callback;
    void *arg;
    int fd;
};

struct weir_timer {
    uv_timer_t timer;
    struct plug *plug;
    weir_callback *callback;
    void *arg;
};

struct job {
    uv_work_t work;
    struct plug *plug;
    weir_callback *job, *done;
    void *arg;
};

struct weir_shard {
    struct plug *plug;
    char name[128];
    uint64_t last; /* position that was emitted */
};

/* A block that is lent, beside its copy. */
struct loan {
    const weir_event *events;
    size_t first, count; /* of the copies, in plug->events */
    void *owner;
    void (*release)(void *owner);
};

/* An emit that is not settled. */
struct open_emit {
    weir_shard *shard;
    uint64_t first, last;
};

struct plug_parts {
    struct arena arena;
    struct registry *registry;
    weir_shard shards[SHARDS_MAX];
    size_t shard_count;
    struct loan loans[LOANS_MAX];
    size_t loan_count;
    struct open_emit *open;
    size_t open_count;
    uv_async_t wake;
    const weir_option *rows;
    weir_watch *watches[HANDLES_MAX];
    weir_timer *timers[HANDLES_MAX];
    size_t timer_count, jobs;
    uv_timer_t settle;
    bool started, stopping;
};

static struct kit {
    uv_loop_t loop;
    bool made;
    struct error refusal;
} kit; /* of one test, which is a process */

uv_loop_t *kit_loop(void)
{
    if (!kit.made)
        ck_assert_int_eq(uv_loop_init(&kit.loop), 0);
    kit.made = true;
    return &kit.loop;
}

const char *plug_refusal(void)
{
    return kit.refusal.text;
}

static struct plug *plug_of(const weir_host *host)
{
    return (struct plug *)(void *)(uintptr_t)host;
}

static void handle_closed(uv_handle_t *handle)
{
    free(handle); /* the first member of what was allocated */
}

/* The host table. */

static void watch_fired(uv_poll_t *poll, int status, int events)
{
    weir_watch *watch = (weir_watch *)poll;
    int ready = (events & UV_READABLE ? WEIR_READABLE : 0) | (events & UV_WRITABLE ? WEIR_WRITABLE : 0);
    watch->callback(watch->plug->state, watch->arg, status ? WEIR_READABLE : ready);
}

static void kit_watch_stop(weir_watch *watch)
{
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (watch->plug->parts->watches[i] == watch)
            watch->plug->parts->watches[i] = NULL;
    }
    uv_close((uv_handle_t *)&watch->poll, handle_closed);
}

static weir_watch *watch_find(struct plug *plug, int fd)
{
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (plug->parts->watches[i] && plug->parts->watches[i]->fd == fd)
            return plug->parts->watches[i];
    }
    return NULL;
}

static weir_watch *watch_new(struct plug *plug, int fd)
{
    size_t place = 0;
    while (plug->parts->watches[place])
        ck_assert_uint_lt(++place, HANDLES_MAX);
    weir_watch *watch = calloc(1, sizeof *watch);
    ck_assert_ptr_nonnull(watch);
    ck_assert_int_eq(uv_poll_init(plug->loop, &watch->poll, fd), 0);
    watch->plug = plug;
    watch->fd = fd;
    plug->parts->watches[place] = watch;
    return watch;
}

static weir_watch *kit_watch_fd(const weir_host *host, int fd, int events, weir_watch_callback *callback, void *arg)
{
    weir_watch *watch = watch_find(plug_of(host), fd);
    if (!watch && !events)
        return NULL;
    if (!watch)
        watch = watch_new(plug_of(host), fd);
    watch->callback = callback;
    watch->arg = arg;
    int wanted = (events & WEIR_READABLE ? UV_READABLE : 0) | (events & WEIR_WRITABLE ? UV_WRITABLE : 0);
    ck_assert_int_eq(wanted ? uv_poll_start(&watch->poll, wanted, watch_fired) : uv_poll_stop(&watch->poll), 0);
    return watch;
}

static void timer_fired(uv_timer_t *timer)
{
    weir_timer *each = (weir_timer *)timer;
    each->callback(each->plug->state, each->arg);
}

static weir_timer *kit_timer_new(const weir_host *host, weir_callback *callback, void *arg)
{
    struct plug *plug = plug_of(host);
    weir_timer *timer = calloc(1, sizeof *timer);
    ck_assert_ptr_nonnull(timer);
    ck_assert_uint_lt(plug->parts->timer_count, HANDLES_MAX);
    *timer = (weir_timer){.plug = plug, .callback = callback, .arg = arg};
    uv_timer_init(plug->loop, &timer->timer);
    plug->parts->timers[plug->parts->timer_count++] = timer;
    return timer;
}

static void kit_timer_set(weir_timer *timer, int64_t delay_us)
{
    if (delay_us < 0)
        uv_timer_stop(&timer->timer);
    else
        uv_timer_start(&timer->timer, timer_fired, (uint64_t)(delay_us + 999) / 1000, 0);
}

static void kit_timer_free(weir_timer *timer)
{
    struct plug_parts *parts = timer->plug->parts;
    for (size_t i = 0; i < parts->timer_count; i++) {
        if (parts->timers[i] == timer)
            parts->timers[i] = parts->timers[--parts->timer_count];
    }
    uv_close((uv_handle_t *)&timer->timer, handle_closed);
}

static void kit_wake(const weir_host *host)
{
    uv_async_send(&plug_of(host)->parts->wake);
}

static void woken(uv_async_t *wake)
{
    struct plug *plug = wake->data;
    void (*slot)(void *) = plug->source ? plug->source->woken : plug->sink->woken;
    ck_assert_ptr_nonnull(slot);
    slot(plug->state);
}

static void job_work(uv_work_t *work)
{
    struct job *job = (struct job *)work;
    job->job(job->plug->state, job->arg);
}

static void job_done(uv_work_t *work, int status)
{
    struct job *job = (struct job *)work;
    (void)status;
    job->plug->parts->jobs--;
    job->done(job->plug->state, job->arg);
    free(job);
}

static int kit_offload(const weir_host *host, weir_callback *work, weir_callback *done, void *arg)
{
    struct plug *plug = plug_of(host);
    struct job *job = calloc(1, sizeof *job);
    ck_assert_ptr_nonnull(job);
    *job = (struct job){.plug = plug, .job = work, .done = done, .arg = arg};
    plug->parts->jobs++;
    return uv_queue_work(plug->loop, &job->work, job_work, job_done) == 0 ? WEIR_OK : WEIR_FULL;
}

static void kit_log(const weir_host *host, int level, const char *format, ...)
{
    struct plug *plug = plug_of(host);
    char text[1000], *log;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ck_assert_int_ge(asprintf(&log, "%s%d %s\n", plug->log ? plug->log : "", level, text), 0);
    free(plug->log);
    plug->log = log;
}

static void kit_stat_add(const weir_host *host, const char *name, int64_t delta)
{
    struct plug_stat *stat = plug_of(host)->stats;
    while (stat->name[0] && strcmp(stat->name, name) != 0)
        stat++;
    snprintf(stat->name, sizeof stat->name, "%s", name);
    stat->value += delta;
}

static int64_t clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t kit_wall_us(const weir_host *host)
{
    (void)host;
    return clock_us(CLOCK_REALTIME);
}

static int64_t kit_mono_us(const weir_host *host)
{
    (void)host;
    return clock_us(CLOCK_MONOTONIC);
}

static int kit_refuse(const weir_host *host, const char *option, const char *format, ...)
{
    char text[600];
    va_list args;
    (void)host;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(kit.refusal.text, sizeof kit.refusal.text, "%s: %s", option, text);
    return WEIR_INVALID;
}

static int kit_render(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                      size_t *length)
{
    return template_render(pattern, batch, i, buffer, size, length);
}

static int kit_shard_open(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                          weir_shard **shard)
{
    struct plug *plug = plug_of(host);
    ck_assert_uint_gt(name.size, 0);
    ck_assert_uint_eq(resume->size, sizeof *resume);
    ck_assert_uint_lt(plug->parts->shard_count, SHARDS_MAX);
    (void)generation;
    if (plug->source->flags & WEIR_SOURCE_KEEPS_POSITION) { /* as for routes without state */
        resume->position = resume->is_kept ? resume->kept : resume->begin;
        resume->known = resume->is_kept;
        resume->pins = 1;
    }
    *shard = &plug->parts->shards[plug->parts->shard_count++];
    (*shard)->plug = plug;
    snprintf((*shard)->name, sizeof(*shard)->name, "%.*s", (int)name.size, name.data);
    (*shard)->last = resume->position;
    return WEIR_OK;
}

/* Let go at once: what it had open is settled no more. */
static void kit_shard_revoke(const weir_host *host, weir_shard *shard, int lost)
{
    struct plug *plug = plug_of(host);
    struct open_emit *open = plug->parts->open;
    size_t kept = 0;
    (void)lost;
    for (size_t i = 0; i < plug->parts->open_count; i++) {
        if (open[i].shard != shard)
            open[kept++] = open[i];
    }
    plug->parts->open_count = kept;
    plug->unsettled = kept ? plug->unsettled : 0;
    plug->source->released(plug->state, shard);
}

static void kit_shard_stat(const weir_host *host, weir_view shard, const char *name, int64_t value)
{
    char full[64];
    struct plug_stat *stat = plug_of(host)->stats;
    snprintf(full, sizeof full, "%.*s %s", (int)shard.size, shard.data, name);
    while (stat->name[0] && strcmp(stat->name, full) != 0)
        stat++;
    snprintf(stat->name, sizeof stat->name, "%s", full);
    stat->value = value;
}

static char *text_of(weir_view view)
{
    char *text = malloc(view.size + 1);
    ck_assert_ptr_nonnull(text);
    if (view.size)
        memcpy(text, view.data, view.size);
    text[view.size] = '\0';
    return text;
}

static void event_keep(struct plug_event *to, const weir_event *event)
{
    *to = (struct plug_event){.position = event->position,
                              .payload = text_of(event->payload),
                              .key = text_of(event->key),
                              .subject = text_of(event->subject),
                              .payload_size = event->payload.size,
                              .header_count = event->header_count,
                              .time_us = event->time_us,
                              .payload_absent = event->payload.data == NULL,
                              .key_absent = event->key.data == NULL,
                              .id_absent = event->id.data == NULL};
    for (size_t i = 0; i < event->header_count && i < 8; i++) {
        to->headers[i][0] = text_of(event->headers[i].name);
        to->headers[i][1] = text_of(event->headers[i].value);
    }
}

static void settle_due(uv_timer_t *timer)
{
    struct plug *plug = timer->data;
    if (plug->unsettled)
        plug_settle(plug);
}

/* "At most so many more events and bytes"; the last event may go beyond the bytes. */
static void credit_take(struct plug *plug, const weir_emit *emit)
{
    size_t bytes = 0, last = 0;
    for (size_t i = 0; i < emit->count; i++) {
        const weir_event *event = &emit->events[i];
        bytes += last;
        last = event->payload.size + event->key.size + event->subject.size + event->id.size;
    }
    ck_assert_uint_gt(emit->count, 0);
    ck_assert_uint_le(emit->count, plug->credit_events);
    ck_assert_uint_gt(plug->credit_bytes, 0);
    ck_assert_uint_lt(bytes, plug->credit_bytes);
    plug->credit_events -= emit->count;
    plug->credit_bytes -= bytes + last < plug->credit_bytes ? bytes + last : plug->credit_bytes;
}

/* A replaying source numbers its events itself, the others are numbered here. */
static void emit_number(weir_shard *shard, weir_emit *emit)
{
    if (shard->plug->source->flags & WEIR_SOURCE_KEEPS_POSITION) { /* the peer's log may have gaps */
        emit->first = emit->events[0].position;
        for (size_t i = 0; i < emit->count; i++) {
            ck_assert_uint_gt(emit->events[i].position, shard->last);
            emit->last = shard->last = emit->events[i].position;
        }
        return;
    }
    if (shard->plug->source->flags & WEIR_SOURCE_REPLAYS) {
        for (size_t i = 0; i < emit->count; i++)
            ck_assert_uint_eq(emit->events[i].position, shard->last + 1 + i);
    }
    emit->first = shard->last + 1;
    emit->last = shard->last + emit->count;
    shard->last = emit->last;
}

static void emit_lend(struct plug *plug, const weir_emit *emit)
{
    plug->borrowed++;
    if (!plug->holds) {
        emit->release(emit->owner);
        return;
    }
    ck_assert_uint_lt(plug->parts->loan_count, LOANS_MAX);
    plug->parts->loans[plug->parts->loan_count++] =
        (struct loan){emit->events, plug->event_count - emit->count, emit->count, emit->owner, emit->release};
}

static int kit_emit(const weir_host *host, weir_shard *shard, weir_emit *emit)
{
    struct plug *plug = plug_of(host);
    struct plug_parts *parts = plug->parts;
    ck_assert_ptr_eq(shard->plug, plug);
    /* Those of ours that cannot replay have one emit open at a time. */
    ck_assert(plug->unsettled == 0 || (plug->source->flags & WEIR_SOURCE_REPLAYS));
    if (plug->emit_result != WEIR_OK)
        return plug->emit_result;
    credit_take(plug, emit);
    emit_number(shard, emit);
    plug->events = realloc(plug->events, (plug->event_count + emit->count) * sizeof *plug->events);
    for (size_t i = 0; i < emit->count; i++)
        event_keep(&plug->events[plug->event_count++], &emit->events[i]);
    plug->emit_count++;
    plug->unsettled += emit->count;
    plug->emit_largest = emit->count > plug->emit_largest ? emit->count : plug->emit_largest;
    parts->open = realloc(parts->open, (parts->open_count + 1) * sizeof *parts->open);
    parts->open[parts->open_count++] = (struct open_emit){shard, emit->first, emit->last};
    if (emit->release)
        emit_lend(plug, emit);
    if (plug->settles)
        uv_timer_start(&parts->settle, settle_due, 0, 0);
    return WEIR_OK;
}

static void *loans_return(void *arg)
{
    struct plug_parts *parts = arg;
    for (size_t i = 0; i < parts->loan_count; i++)
        parts->loans[i].release(parts->loans[i].owner);
    parts->loan_count = 0;
    return NULL;
}

void plug_release(struct plug *plug)
{
    pthread_t thread;
    for (size_t i = 0; i < plug->parts->loan_count; i++) {
        const struct loan *loan = &plug->parts->loans[i];
        for (size_t j = 0; j < loan->count; j++) {
            const struct plug_event *kept = &plug->events[loan->first + j];
            ck_assert_uint_eq(loan->events[j].payload.size, kept->payload_size);
            if (kept->payload_size)
                ck_assert_int_eq(memcmp(loan->events[j].payload.data, kept->payload, kept->payload_size), 0);
        }
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, loans_return, plug->parts), 0);
    pthread_join(thread, NULL);
}

static void kit_ended(const weir_host *host)
{
    ck_assert(!plug_of(host)->ended);
    plug_of(host)->ended = true;
}

static void kit_write_event(const weir_host *host, weir_write *write, size_t index, int result, const char *reason)
{
    struct plug_write *open = (struct plug_write *)write;
    (void)host;
    ck_assert_uint_lt(index, write->batch.count);
    ck_assert_int_eq(open->result, -1);
    open->results[index] = result;
    snprintf(open->reasons[index], sizeof open->reasons[index], "%s", reason ? reason : "");
}

static void kit_write_done(const weir_host *host, weir_write *write, int result, const char *reason)
{
    struct plug_write *open = (struct plug_write *)write;
    ck_assert_int_eq(open->result, -1);
    open->result = result;
    open->order = ++plug_of(host)->answered;
    snprintf(open->reason, sizeof open->reason, "%s", reason ? reason : "");
    free(open->memory);
    open->memory = NULL;
}

static void kit_stopped(const weir_host *host)
{
    struct plug *plug = plug_of(host);
    ck_assert_uint_lt(plug->stopped, plug->stops);
    plug->stopped++;
}

static void kit_failed(const weir_host *host, const char *reason)
{
    kit_log(host, WEIR_LOG_ERROR, "failed: %s", reason);
    plug_of(host)->failed = true;
}

static void host_fill(struct plug *plug)
{
    plug->host = (weir_host){.size = sizeof plug->host,
                             .name = {"meters", 6},
                             .store_id = {"0123456789abcdef", 16},
                             .event_bytes_max = 8 << 20,
                             .watch_fd = kit_watch_fd,
                             .watch_stop = kit_watch_stop,
                             .timer_new = kit_timer_new,
                             .timer_set = kit_timer_set,
                             .timer_free = kit_timer_free,
                             .wake = kit_wake,
                             .offload = kit_offload,
                             .log = kit_log,
                             .stat_add = kit_stat_add,
                             .wall_us = kit_wall_us,
                             .mono_us = kit_mono_us,
                             .refuse = kit_refuse,
                             .render = kit_render,
                             .shard_open = kit_shard_open,
                             .shard_revoke = kit_shard_revoke,
                             .prefetch_bytes = 8 << 20,
                             .shard_stat = kit_shard_stat,
                             .emit = kit_emit,
                             .ended = kit_ended,
                             .write_event = kit_write_event,
                             .write_done = kit_write_done,
                             .stopped = kit_stopped,
                             .failed = kit_failed};
}

/* One instance. */

static void ops_find(struct plug *plug, enum plug_sort sort, const char *type)
{
    const char *module = strchr(type, '/') ? type : NULL;
    struct error error;
    struct registry *registry = registry_new(testing_module_dir());
    ck_assert_ptr_nonnull(registry);
    if (sort == PLUG_SOURCE)
        plug->source = registry_source(registry, module ? NULL : type, module, &error);
    else
        plug->sink = registry_sink(registry, module ? NULL : type, module, &error);
    ck_assert_msg(plug->source || plug->sink, "%s", error.text);
    plug->parts->rows = sort == PLUG_SOURCE ? plug->source->options : plug->sink->options;
    plug->state = calloc(1, sort == PLUG_SOURCE ? plug->source->state_size : plug->sink->state_size);
    ck_assert_ptr_nonnull(plug->state);
    plug->parts->registry = registry;
}

static int options_fill(struct plug *plug, const char *text)
{
    struct option_target target = {.rows = plug->parts->rows, .state = plug->state, .arena = &plug->parts->arena};
    struct yaml_report report = {0};
    const struct yaml_node *root;
    const char *path = testing_path(testing_folder(), "options.yaml");
    testing_write(path, text);
    int result = yaml_load(path, &plug->parts->arena, &root, &report);
    if (result == WEIR_OK)
        result = option_fill(&target, root, &report);
    if (result != WEIR_OK)
        snprintf(kit.refusal.text, sizeof kit.refusal.text, "%s", report.text);
    yaml_report_fini(&report);
    return result;
}

struct plug *plug_new(enum plug_sort sort, const char *type, const char *format, ...)
{
    char text[4000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct plug *plug = calloc(1, sizeof *plug);
    ck_assert_ptr_nonnull(plug);
    plug->parts = calloc(1, sizeof *plug->parts);
    ck_assert_ptr_nonnull(plug->parts);
    plug->loop = kit_loop();
    plug->settles = true;
    arena_init(&plug->parts->arena, 0);
    host_fill(plug);
    ops_find(plug, sort, type);
    uv_async_init(plug->loop, &plug->parts->wake, woken);
    plug->parts->wake.data = plug;
    uv_timer_init(plug->loop, &plug->parts->settle);
    plug->parts->settle.data = plug;
    int result = options_fill(plug, text);
    if (result == WEIR_OK)
        result = plug->source ? plug->source->init(plug->state, &plug->host)
                              : plug->sink->init(plug->state, &plug->host);
    if (result == WEIR_OK)
        return plug;
    plug_free(plug);
    return NULL;
}

/* Refusals of options. */

static void ck_refused(enum plug_sort sort, const char *type, const char *place, const char *name,
                       const char *value)
{
    char text[2000], where[40];
    /* A group is opened above its member, each on a line of its own. */
    size_t group = strcspn(place, ".");
    bool nested = place[group] == '.';
    if (nested)
        snprintf(text, sizeof text, "%.*s:\n  %s: %s\n", (int)group, place, name, value);
    else
        snprintf(text, sizeof text, "\n%s: %s\n", name, value);
    struct plug *plug = plug_new(sort, type, "%s", text);
    ck_assert_msg(plug == NULL, "%s: taken:\n%s", type, text);
    snprintf(where, sizeof where, "options.yaml:2:");
    ck_assert_msg(strstr(plug_refusal(), where) && strstr(plug_refusal(), name), "%s, given\n%s: %s", type, text,
                  plug_refusal());
}

static size_t rows_refuse(enum plug_sort sort, const char *type, const weir_option *rows, const char *prefix)
{
    size_t count = 0;
    for (const weir_option *row = rows; row && row->name; row++, count++) {
        char place[200], value[60];
        snprintf(place, sizeof place, "%s%s", prefix, row->name);
        ck_refused(sort, type, place, row->name, "[ { nothing: [ such ] } ]");
        bool bounded = row->min != row->max && row->type == WEIR_OPTION_INT;
        if (bounded && row->min > INT64_MIN) {
            snprintf(value, sizeof value, "%lld", (long long)row->min - 1);
            ck_refused(sort, type, place, row->name, value);
        }
        if (bounded && row->max < INT64_MAX) {
            snprintf(value, sizeof value, "%lld", (long long)row->max + 1);
            ck_refused(sort, type, place, row->name, value);
        }
        if (row->type == WEIR_OPTION_CHOICE)
            ck_refused(sort, type, place, row->name, "nothing_such");
        if (row->type == WEIR_OPTION_GROUP) {
            snprintf(place, sizeof place, "%s%s.", prefix, row->name);
            count += rows_refuse(sort, type, row->rows, place);
        }
    }
    return count;
}

size_t plug_refuses_rows(enum plug_sort sort, const char *type)
{
    struct plug found = {.parts = calloc(1, sizeof *found.parts)};
    ck_assert_ptr_nonnull(found.parts);
    ops_find(&found, sort, type);
    size_t count = rows_refuse(sort, type, found.parts->rows, "");
    ck_refused(sort, type, "", "no_such_option", "1");
    for (const weir_option *row = found.parts->rows; row && row->name; row++) {
        if (!(row->flags & WEIR_OPTION_REQUIRED))
            continue;
        ck_assert_ptr_null(plug_new(sort, type, "{}"));
        ck_assert_ptr_nonnull(strstr(plug_refusal(), row->name));
        break; /* the first one that is missing is told */
    }
    registry_free(found.parts->registry);
    free(found.parts);
    free(found.state);
    return count;
}

void plug_start_dry(struct plug *plug)
{
    plug->parts->started = true;
    int result = plug->source ? plug->source->start(plug->state) : plug->sink->start(plug->state);
    ck_assert_int_eq(result, WEIR_OK);
}

void plug_want(struct plug *plug, size_t events, size_t bytes)
{
    plug->credit_events = events;
    plug->credit_bytes = bytes;
    plug->source->want(plug->state, events, bytes);
}

void plug_start(struct plug *plug)
{
    plug_start_dry(plug);
    if (plug->source)
        plug_want(plug, 1000000, SIZE_MAX / 2);
}

/* Each emit by itself and once; a settle may bring the next emit. */
void plug_settle(struct plug *plug)
{
    bool replays = plug->source->flags & WEIR_SOURCE_REPLAYS;
    struct open_emit *open = plug->parts->open;
    size_t count = plug->parts->open_count;
    ck_assert_uint_gt(count, 0);
    plug->parts->open = NULL;
    plug->parts->open_count = 0;
    plug->unsettled = 0;
    for (size_t i = 0; i < count; i++)
        plug->source->settle(plug->state, open[i].shard, open[i].first, open[i].last,
                             replays ? WEIR_COMPLETED : WEIR_ACCEPTED);
    free(open);
}

struct plug_write *plug_send(struct plug *plug, const weir_event *events, size_t count)
{
    return plug_send_owned(plug, NULL, events, count);
}

struct plug_write *plug_send_owned(struct plug *plug, void *memory, const weir_event *events, size_t count)
{
    struct plug_write *open = calloc(1, sizeof *open);
    ck_assert_ptr_nonnull(open);
    open->memory = memory;
    ck_assert_uint_le(count, 2000);
    open->result = -1;
    for (size_t i = 0; i < count; i++)
        open->results[i] = -1;
    open->write = (weir_write){.size = sizeof open->write,
                               .batch = {.size = sizeof(weir_batch), .events = events, .count = count}};
    plug->sink->write(plug->state, &open->write);
    return open;
}

/* Waiting. */

static void tick(uv_timer_t *timer)
{
    (void)timer;
}

static bool is_never(struct plug *plug, size_t number)
{
    (void)plug, (void)number;
    return false;
}

static bool run_until(struct plug *plug, plug_condition *condition, size_t number, int ms)
{
    uv_timer_t timer;
    int64_t end = kit_mono_us(NULL) + (int64_t)(ms * testing_slow()) * 1000;
    uv_timer_init(plug->loop, &timer);
    uv_timer_start(&timer, tick, TICK_MS, TICK_MS);
    bool is = condition(plug, number);
    while (!is && kit_mono_us(NULL) < end) {
        uv_run(plug->loop, UV_RUN_ONCE);
        is = condition(plug, number);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(plug->loop, UV_RUN_NOWAIT);
    return is;
}

bool plug_until(struct plug *plug, plug_condition *condition, size_t number)
{
    return run_until(plug, condition, number, WAIT_MS);
}

void plug_run(struct plug *plug, int ms)
{
    run_until(plug, is_never, 0, ms);
}

bool plug_has_events(struct plug *plug, size_t number)
{
    return plug->event_count >= number;
}

bool plug_has_emits(struct plug *plug, size_t number)
{
    return plug->emit_count >= number;
}

bool plug_has_answers(struct plug *plug, size_t number)
{
    return plug->answered >= number;
}

static bool has_logged(struct plug *plug, size_t text)
{
    return plug_logged(plug, (const char *)(uintptr_t)text);
}

bool plug_until_logged(struct plug *plug, const char *text)
{
    bool is = plug_until(plug, has_logged, (size_t)(uintptr_t)text);
    if (!is)
        fprintf(stderr, "waited for \"%s\" in:\n%s", text, plug->log ? plug->log : "");
    return is;
}

bool plug_logged(const struct plug *plug, const char *text)
{
    return plug->log && strstr(plug->log, text) != NULL;
}

int64_t plug_stat(const struct plug *plug, const char *name)
{
    for (size_t i = 0; i < 32; i++) {
        if (strcmp(plug->stats[i].name, name) == 0)
            return plug->stats[i].value;
    }
    return 0;
}

/* The end. */

static bool has_stopped(struct plug *plug, size_t number)
{
    return plug->stopped >= number;
}

/* As the core does: no credit, every emit settled, then stop. */
void plug_stop(struct plug *plug)
{
    plug->parts->stopping = true;
    if (plug->source) {
        plug_want(plug, 0, 0);
        if (plug->unsettled)
            plug_settle(plug);
    }
    plug->stops++;
    if (plug->source)
        plug->source->stop(plug->state);
    else
        plug->sink->stop(plug->state);
    ck_assert(plug_until(plug, has_stopped, 1));
}

static bool has_no_jobs(struct plug *plug, size_t number)
{
    (void)number;
    return plug->parts->jobs == 0;
}

static void events_free(struct plug *plug)
{
    for (size_t i = 0; i < plug->event_count; i++) {
        struct plug_event *event = &plug->events[i];
        for (size_t j = 0; j < event->header_count && j < 8; j++) {
            free(event->headers[j][0]);
            free(event->headers[j][1]);
        }
        free(event->payload);
        free(event->key);
        free(event->subject);
    }
    free(plug->events);
}

/* In the order of the core: offloads end, what was lent comes back, then fini; what it left is freed after it. */
void plug_abort(struct plug *plug)
{
    struct plug_parts *parts = plug->parts;
    ck_assert(plug_until(plug, has_no_jobs, 0));
    if (parts->loan_count)
        plug_release(plug);
    uv_close((uv_handle_t *)&parts->settle, NULL);
    uv_close((uv_handle_t *)&parts->wake, NULL);
    if (plug->source)
        plug->source->fini(plug->state);
    else
        plug->sink->fini(plug->state);
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (parts->watches[i])
            kit_watch_stop(parts->watches[i]);
    }
    while (parts->timer_count)
        kit_timer_free(parts->timers[0]);
    uv_run(plug->loop, UV_RUN_NOWAIT);
    option_release(parts->rows, plug->state);
    arena_fini(&parts->arena);
    events_free(plug);
    free(plug->state);
    free(plug->log);
    registry_free(parts->registry);
    free(parts->open);
    free(parts);
    free(plug);
}

void plug_free(struct plug *plug)
{
    if (plug->parts->started && !plug->parts->stopping)
        plug_stop(plug);
    plug_abort(plug);
}
