/* plug_host_kit.c: the host table of one instance, on libuv: descriptors, timers, helpers, clocks, log. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plug_parts.h"
#include "template.h"

struct plug *plug_of(const weir_host *host)
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

void plug_handles_end(struct plug *plug)
{
    struct plug_parts *parts = plug->parts;
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (parts->watches[i])
            kit_watch_stop(parts->watches[i]);
    }
    while (parts->timer_count)
        kit_timer_free(parts->timers[0]);
}

static void kit_wake(const weir_host *host)
{
    uv_async_send(&plug_of(host)->parts->wake);
}

void plug_woken(uv_async_t *wake)
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
    snprintf(plug_refused.text, sizeof plug_refused.text, "%s: %s", option, text);
    return WEIR_INVALID;
}

static int kit_render(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                      size_t *length)
{
    return template_render(pattern, batch, i, buffer, size, length);
}

static void kit_ended(const weir_host *host)
{
    ck_assert(!plug_of(host)->ended);
    plug_of(host)->ended = true;
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

void plug_host_fill(struct plug *plug)
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
                             .shard_open = plug_shard_open,
                             .shard_revoke = plug_shard_revoke,
                             .prefetch_bytes = 8 << 20,
                             .shard_stat = kit_shard_stat,
                             .emit = plug_emit,
                             .ended = kit_ended,
                             .write_event = plug_write_event,
                             .write_done = plug_write_done,
                             .stopped = kit_stopped,
                             .failed = kit_failed};
}
