/* mqtt_plug_kit.c: a weir_host for one instance of the mqtt module, on libuv. See mqtt_plug_kit.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "module.h"
#include "mqtt_plug_kit.h"
#include "option.h"
#include "template.h"

enum { WAIT_MS = 20000, TICK_MS = 10, HANDLES_MAX = 32 };

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

struct plug_parts {
    struct arena arena;
    struct module *module;
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
    ck_assert_uint_gt(name.size, 0);
    ck_assert_uint_eq(resume->size, sizeof *resume);
    (void)generation;
    *shard = (weir_shard *)(void *)(uintptr_t)host;
    return WEIR_OK;
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
    *to = (struct plug_event){.payload = text_of(event->payload),
                              .key = text_of(event->key),
                              .subject = text_of(event->subject),
                              .payload_size = event->payload.size,
                              .header_count = event->header_count,
                              .time_us = event->time_us,
                              .payload_absent = event->payload.data == NULL,
                              .id_absent = event->id.data == NULL};
    for (size_t i = 0; i < event->header_count && i < 8; i++) {
        to->headers[i][0] = text_of(event->headers[i].name);
        to->headers[i][1] = text_of(event->headers[i].value);
    }
}

static void settle_due(uv_timer_t *timer)
{
    plug_settle(timer->data);
}

static int kit_emit(const weir_host *host, weir_shard *shard, weir_emit *emit)
{
    struct plug *plug = plug_of(host);
    ck_assert_ptr_eq(shard, plug);
    ck_assert_uint_eq(plug->unsettled, 0);
    if (plug->emit_result != WEIR_OK)
        return plug->emit_result;
    plug->events = realloc(plug->events, (plug->event_count + emit->count) * sizeof *plug->events);
    for (size_t i = 0; i < emit->count; i++)
        event_keep(&plug->events[plug->event_count++], &emit->events[i]);
    emit->last = plug->event_count;
    emit->first = emit->last - emit->count + 1;
    plug->emit_count++;
    plug->unsettled = emit->count;
    plug->emit_largest = emit->count > plug->emit_largest ? emit->count : plug->emit_largest;
    if (emit->release)
        emit->release(emit->owner);
    if (plug->settles)
        uv_timer_start(&plug->parts->settle, settle_due, 0, 0);
    return WEIR_OK;
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
}

static void kit_stopped(const weir_host *host)
{
    ck_assert(!plug_of(host)->stopped);
    plug_of(host)->stopped = true;
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
                             .offload = kit_offload,
                             .log = kit_log,
                             .stat_add = kit_stat_add,
                             .wall_us = kit_wall_us,
                             .mono_us = kit_mono_us,
                             .refuse = kit_refuse,
                             .render = kit_render,
                             .shard_open = kit_shard_open,
                             .emit = kit_emit,
                             .write_event = kit_write_event,
                             .write_done = kit_write_done,
                             .stopped = kit_stopped,
                             .failed = kit_failed};
}

/* One instance. */

static void ops_find(struct plug *plug, enum plug_sort sort)
{
    struct module *module;
    struct error error;
    const char *path = testing_path(testing_module_dir(), "mqtt.so");
    ck_assert_msg(module_open(path, &module, &error) == WEIR_OK, "%s", error.text);
    if (sort == PLUG_SOURCE)
        plug->source = module->sources[0];
    else
        plug->sink = module->sinks[0];
    plug->parts->rows = sort == PLUG_SOURCE ? plug->source->options : plug->sink->options;
    plug->state = calloc(1, sort == PLUG_SOURCE ? plug->source->state_size : plug->sink->state_size);
    ck_assert_ptr_nonnull(plug->state);
    plug->parts->module = module;
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

struct plug *plug_new(enum plug_sort sort, const char *format, ...)
{
    char text[2000];
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
    ops_find(plug, sort);
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

void plug_start(struct plug *plug)
{
    plug->parts->started = true;
    if (plug->sink) {
        ck_assert_int_eq(plug->sink->start(plug->state), WEIR_OK);
        return;
    }
    ck_assert_int_eq(plug->source->start(plug->state), WEIR_OK);
    plug->source->want(plug->state, 1000000, SIZE_MAX / 2);
}

void plug_settle(struct plug *plug)
{
    uint64_t last = plug->event_count, first = last - plug->unsettled + 1;
    ck_assert_uint_gt(plug->unsettled, 0);
    plug->unsettled = 0;
    plug->source->settle(plug->state, (weir_shard *)(void *)plug, first, last, WEIR_ACCEPTED);
}

struct plug_write *plug_send(struct plug *plug, const weir_event *events, size_t count)
{
    struct plug_write *open = calloc(1, sizeof *open);
    ck_assert_ptr_nonnull(open);
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

bool plug_is_connected(struct plug *plug, size_t times)
{
    return plug_stat(plug, "connects_total") >= (int64_t)times;
}

bool plug_is_subscribed(struct plug *plug, size_t filters)
{
    return plug_stat(plug, "subscriptions_total") >= (int64_t)filters;
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
    (void)number;
    return plug->stopped;
}

void plug_stop(struct plug *plug)
{
    plug->parts->stopping = true;
    if (plug->source) {
        plug->source->want(plug->state, 0, 0);
        if (plug->unsettled)
            plug_settle(plug);
        plug->source->stop(plug->state);
    } else {
        plug->sink->stop(plug->state);
    }
    ck_assert(plug_until(plug, has_stopped, 0));
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

/* In the order of the core: watches and timers end, offloads end, then fini. */
void plug_abort(struct plug *plug)
{
    struct plug_parts *parts = plug->parts;
    ck_assert(plug_until(plug, has_no_jobs, 0));
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (parts->watches[i])
            kit_watch_stop(parts->watches[i]);
    }
    for (size_t i = 0; i < parts->timer_count; i++)
        uv_close((uv_handle_t *)&parts->timers[i]->timer, handle_closed);
    uv_close((uv_handle_t *)&parts->settle, NULL);
    uv_run(plug->loop, UV_RUN_NOWAIT);
    if (plug->source)
        plug->source->fini(plug->state);
    else
        plug->sink->fini(plug->state);
    option_release(parts->rows, plug->state);
    arena_fini(&parts->arena);
    events_free(plug);
    free(plug->state);
    free(plug->log);
    module_free(parts->module);
    free(parts);
    free(plug);
}

void plug_free(struct plug *plug)
{
    if (plug->parts->started && !plug->parts->stopping)
        plug_stop(plug);
    plug_abort(plug);
}
