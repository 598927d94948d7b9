/* host.c: weir_host over libuv. Every callback of an instance's watches, timers and offloads comes through here;
 * none is made after instance_quiet. A handle is freed by its own close callback, and fini waits for that. */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "field.h"
#include "keys.h"
#include "option.h"
#include "template.h"

#define TRIAL_STORE_ID "0000000000000000" /* of an engine without a store */

struct weir_watch {
    struct list node;
    uv_poll_t poll;
    struct instance *instance;
    weir_watch_callback *callback;
    void *arg;
    int fd;
};

struct weir_timer {
    struct list node;
    uv_timer_t timer;
    struct instance *instance;
    weir_callback *callback;
    void *arg;
};

struct offload {
    struct instance *instance;
    weir_callback *job, *done;
    void *arg;
};

static struct instance *instance_of(const weir_host *host)
{
    return CONTAINER_OF(host, struct instance, host);
}

static void instance_closed(struct instance *instance)
{
    if (--instance->open == 0)
        engine_advance(instance->engine);
}

static void watch_closed(uv_handle_t *handle)
{
    struct weir_watch *watch = CONTAINER_OF((uv_poll_t *)handle, struct weir_watch, poll);
    instance_closed(watch->instance);
    free(watch);
}

static void watch_fired(uv_poll_t *poll, int status, int events)
{
    struct weir_watch *watch = CONTAINER_OF(poll, struct weir_watch, poll);
    if (watch->instance->engine->broken)
        return;
    int ready = (events & UV_READABLE ? WEIR_READABLE : 0) | (events & UV_WRITABLE ? WEIR_WRITABLE : 0);
    if (status != 0 || (events & UV_DISCONNECT))
        ready |= WEIR_READABLE;
    watch->callback(watch->instance->state, watch->arg, ready);
}

static void host_watch_stop(weir_watch *watch)
{
    list_remove(&watch->node);
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static weir_watch *watch_make(struct instance *instance, int fd)
{
    weir_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    if (uv_poll_init(&instance->engine->loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->instance = instance;
    watch->fd = fd;
    instance->open++;
    list_append(&instance->watches, &watch->node);
    return watch;
}

static weir_watch *host_watch_fd(const weir_host *host, int fd, int events, weir_watch_callback *callback,
                                 void *arg)
{
    struct instance *instance = instance_of(host);
    weir_watch *watch = NULL;
    LIST_EACH(each, &instance->watches, weir_watch, node)
    {
        if (each->fd == fd)
            watch = each;
    }
    if (!watch && events)
        watch = watch_make(instance, fd);
    if (!watch)
        return NULL;
    watch->callback = callback;
    watch->arg = arg;
    int wanted = (events & WEIR_READABLE ? UV_READABLE : 0) | (events & WEIR_WRITABLE ? UV_WRITABLE : 0);
    if (wanted)
        uv_poll_start(&watch->poll, wanted, watch_fired);
    else
        uv_poll_stop(&watch->poll);
    return watch;
}

static void timer_fired(uv_timer_t *timer)
{
    weir_timer *each = CONTAINER_OF(timer, weir_timer, timer);
    if (!each->instance->engine->broken)
        each->callback(each->instance->state, each->arg);
}

static weir_timer *host_timer_new(const weir_host *host, weir_callback *callback, void *arg)
{
    struct instance *instance = instance_of(host);
    weir_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    timer->instance = instance;
    timer->callback = callback;
    timer->arg = arg;
    uv_timer_init(&instance->engine->loop, &timer->timer);
    instance->open++;
    list_append(&instance->timers, &timer->node);
    return timer;
}

static void host_timer_set(weir_timer *timer, int64_t delay_us)
{
    if (delay_us < 0) {
        uv_timer_stop(&timer->timer);
        return;
    }
    uv_update_time(timer->timer.loop); /* the loop's time is that of the turn's begin: it would fire early */
    uv_timer_start(&timer->timer, timer_fired, (uint64_t)(delay_us + MILLISECOND_US - 1) / MILLISECOND_US, 0);
}

static void timer_closed(uv_handle_t *handle)
{
    weir_timer *timer = CONTAINER_OF((uv_timer_t *)handle, weir_timer, timer);
    instance_closed(timer->instance);
    free(timer);
}

static void host_timer_free(weir_timer *timer)
{
    if (!timer)
        return;
    list_remove(&timer->node);
    uv_close((uv_handle_t *)&timer->timer, timer_closed);
}

static void instance_woken(struct letter *letter)
{
    struct instance *instance = CONTAINER_OF(letter, struct instance, wake);
    atomic_store(&instance->wake_posted, false);
    if (instance->woken && instance->made && !instance->stopped && !instance->engine->broken)
        instance->woken(instance->state);
}

static void host_wake(const weir_host *host)
{
    struct instance *instance = instance_of(host);
    if (!atomic_exchange(&instance->wake_posted, true))
        mailbox_post(&instance->engine->mailbox, &instance->wake);
}

static void offload_work(void *arg)
{
    struct offload *offload = arg;
    offload->job(offload->instance->state, offload->arg);
}

static void offload_done(void *arg)
{
    struct offload *offload = arg;
    struct instance *instance = offload->instance;
    if (offload->done)
        offload->done(instance->state, offload->arg);
    free(offload);
    instance_closed(instance);
}

static int host_offload(const weir_host *host, weir_callback *job, weir_callback *done, void *arg)
{
    struct instance *instance = instance_of(host);
    if (instance->engine->broken)
        return WEIR_CLOSED;
    struct offload *offload = malloc(sizeof *offload);
    if (!offload)
        return WEIR_NOMEM;
    *offload = (struct offload){instance, job, done, arg};
    int result = helper_run(&instance->engine->helper, offload_work, offload_done, offload);
    if (result == WEIR_OK)
        instance->open++;
    else
        free(offload);
    return result;
}

static void host_log(const weir_host *host, int level, const char *format, ...)
{
    struct instance *instance = instance_of(host);
    va_list args;
    va_start(args, format);
    log_writev(instance->engine->log, (enum log_level)level, instance->part, format, args);
    va_end(args);
}

void instance_log(struct instance *instance, int level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_writev(instance->engine->log, (enum log_level)level, instance->part, format, args);
    va_end(args);
}

struct metric *instance_metric(struct instance *instance, const char *what)
{
    char name[128], labels[128];
    snprintf(name, sizeof name, "weir_%s_%s", instance->sort, what);
    snprintf(labels, sizeof labels, "%s=\"%s\"", instance->sort, instance->name);
    return stats_get(instance->engine->stats, name, labels);
}

static void host_stat_add(const weir_host *host, const char *name, int64_t delta)
{
    metric_add(instance_metric(instance_of(host), name), delta);
}

static int64_t host_wall_us(const weir_host *host)
{
    UNUSED(host);
    return clock_wall_us();
}

static int64_t host_mono_us(const weir_host *host)
{
    UNUSED(host);
    return clock_mono_us();
}

/* Where the option is written, its own place names it; else the mapping that lacks it does not. */
static void refuse_report(struct yaml_report *report, const struct yaml_node *at, const char *option,
                          const char *text)
{
    const char *dot = strrchr(option, '.'), *last = dot ? dot + 1 : option;
    bool named = at && at->key && !strcmp(at->key->text, last);
    yaml_fault(report, at, "%s%s%s", named ? "" : option, named ? "" : ": ", text);
}

/* During init the caller takes the text; later (a start that fails) it goes to the log. */
static int host_refuse(const weir_host *host, const char *option, const char *format, ...)
{
    struct instance *instance = instance_of(host);
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct yaml_node *at = instance->node ? option_node(instance->node, option) : NULL;
    if (instance->engine->trial)
        refuse_report(instance->engine->trial, at, option, text);
    else if (at && instance->error)
        error_set(instance->error, WEIR_INVALID, "%s:%d:%d: %s: %s: %s", at->file, at->line, at->column,
                  instance->part, option, text);
    else if (instance->error)
        error_set(instance->error, WEIR_INVALID, "%s: %s: %s", instance->part, option, text);
    else if (at)
        instance_log(instance, LOG_ERROR, "%s:%d:%d: %s: %s", at->file, at->line, at->column, option, text);
    else
        instance_log(instance, LOG_ERROR, "%s: %s", option, text);
    return WEIR_INVALID;
}

static int host_render(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                       size_t *length)
{
    return template_render(pattern, batch, i, buffer, size, length);
}

static void host_stopped(const weir_host *host)
{
    struct instance *instance = instance_of(host);
    instance->stopped = true;
    instance->on_stopped(instance);
}

static void host_failed(const weir_host *host, const char *reason)
{
    struct instance *instance = instance_of(host);
    instance->failed = true;
    instance_log(instance, LOG_ERROR, "failed for good: %s", reason);
    instance->on_failed(instance, reason);
}

static int64_t host_prefetch(const struct instance *instance)
{
    const struct engine *engine = instance->engine;
    return engine->config->memory / 8 / (int64_t)size_max(engine->config->source_count, 1);
}

static void host_shard_stat(const weir_host *host, weir_view shard, const char *name, int64_t value)
{
    struct instance *instance = instance_of(host);
    char full[128], labels[128 + SHARD_MAX_BYTES];
    snprintf(full, sizeof full, "weir_%s_%s", instance->sort, name);
    snprintf(labels, sizeof labels, "%s=\"%s\",shard=\"%.*s\"", instance->sort, instance->name, (int)shard.size,
             shard.data);
    metric_set(stats_get(instance->engine->stats, full, labels), value);
}

static void host_table(struct instance *instance)
{
    instance->host = (weir_host){
        .size = sizeof instance->host,
        .name = view_of(instance->name),
        .store_id = view_of(instance->engine->store ? store_id(instance->engine->store) : TRIAL_STORE_ID),
        .event_bytes_max = instance->engine->config->event_bytes,
        .watch_fd = host_watch_fd,
        .watch_stop = host_watch_stop,
        .timer_new = host_timer_new,
        .timer_set = host_timer_set,
        .timer_free = host_timer_free,
        .wake = host_wake,
        .offload = host_offload,
        .log = host_log,
        .stat_add = host_stat_add,
        .wall_us = host_wall_us,
        .mono_us = host_mono_us,
        .refuse = host_refuse,
        .render = host_render,
        .event_id = event_id_write,
        .shard_open = source_shard_open,
        .emit = source_emit,
        .shard_revoke = source_shard_revoke,
        .ended = source_ended,
        .write_event = sink_write_event,
        .write_done = sink_write_done,
        .stopped = host_stopped,
        .failed = host_failed,
        .prefetch_bytes = host_prefetch(instance),
        .shard_stat = host_shard_stat,
    };
}

int instance_init(struct instance *instance, struct engine *engine, const struct instance_kind *kind,
                  struct error *error)
{
    instance->engine = engine;
    instance->sort = kind->sort;
    instance->name = kind->name;
    instance->rows = kind->rows;
    instance->node = kind->node;
    instance->error = error;
    list_init(&instance->watches);
    list_init(&instance->timers);
    instance->wake.open = instance_woken;
    snprintf(instance->part, sizeof instance->part, "%s %s", kind->sort, kind->name);
    host_table(instance);
    if (instance->given)
        return WEIR_OK;
    instance->state = calloc(1, size_max(kind->state_size, 1));
    if (!instance->state)
        return error_set(error, WEIR_NOMEM, "%s: out of memory", instance->part);
    if (!kind->rows)
        return WEIR_OK;
    struct option_target target = {
        .rows = kind->rows, .state = instance->state, .arena = &engine->config->arena, .skip = kind->skip};
    struct yaml_report report = {0};
    int result = option_fill(&target, kind->node, &report);
    if (result != WEIR_OK)
        error_set(error, result, "%s", report.text ? report.text : instance->part);
    yaml_report_fini(&report);
    return result;
}

void instance_quiet(struct instance *instance)
{
    if (!instance->engine)
        return;
    while (!list_empty(&instance->watches))
        host_watch_stop(LIST_FIRST(&instance->watches, weir_watch, node));
    while (!list_empty(&instance->timers))
        host_timer_free(LIST_FIRST(&instance->timers, weir_timer, node));
}

void instance_fini(struct instance *instance)
{
    if (!instance->state || instance->given)
        return;
    if (instance->rows)
        option_release(instance->rows, instance->state);
    free(instance->state);
    instance->state = NULL;
}
