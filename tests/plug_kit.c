/* plug_kit.c: one instance from its options to its end. See plug_kit.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plug_parts.h"

enum { WAIT_MS = 20000, TICK_MS = 10 };

struct error plug_refused;

uv_loop_t *kit_loop(void)
{
    static uv_loop_t loop;
    static bool made;
    if (!made)
        ck_assert_int_eq(uv_loop_init(&loop), 0);
    made = true;
    return &loop;
}

const char *plug_refusal(void)
{
    return plug_refused.text;
}

/* One instance. */

void plug_find(struct plug *plug, enum plug_sort sort, const char *type)
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
        snprintf(plug_refused.text, sizeof plug_refused.text, "%s", report.text);
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
    plug_host_fill(plug);
    plug_find(plug, sort, type);
    uv_async_init(plug->loop, &plug->parts->wake, plug_woken);
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
    int64_t end = plug->host.mono_us(&plug->host) + (int64_t)(ms * testing_slow()) * 1000;
    uv_timer_init(plug->loop, &timer);
    uv_timer_start(&timer, tick, TICK_MS, TICK_MS);
    bool is = condition(plug, number);
    while (!is && plug->host.mono_us(&plug->host) < end) {
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
    plug_handles_end(plug);
    uv_run(plug->loop, UV_RUN_NOWAIT);
    option_release(parts->rows, plug->state);
    arena_fini(&parts->arena);
    plug_events_free(plug);
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
