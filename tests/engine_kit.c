/* engine_kit.c: see engine_kit.h. The engine, its loop, and what it leaves in its store and its log. */
#include "engine_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "host.h"
#include "sink.h"
#include "source.h"

enum { WAIT_S = 20, TICK_MS = 5 };

static void rig_log(void *arg, enum log_level level, const char *part, const char *message)
{
    struct rig *rig = arg;
    pthread_mutex_lock(&rig->lock);
    char *line = NULL;
    int size = asprintf(&line, "%d %s: %s\n", (int)level, part, message);
    ck_assert_int_gt(size, 0);
    rig->said = realloc(rig->said, rig->said_size + (size_t)size + 1);
    memcpy(rig->said + rig->said_size, line, (size_t)size + 1);
    rig->said_size += (size_t)size;
    free(line);
    pthread_mutex_unlock(&rig->lock);
}

struct rig *rig_new(const char *folder)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct error error = {0};
    ck_assert_ptr_nonnull(rig);
    rig->folder = folder;
    pthread_mutex_init(&rig->lock, NULL);
    rig->registry = registry_new(testing_module_dir());
    ck_assert_ptr_nonnull(rig->registry);
    ck_assert_msg(registry_add(rig->registry, &probe_module, &error) == WEIR_OK, "%s", error.text);
    return rig;
}

struct probe_function *rig_function(struct rig *rig, const char *name, probe_script *script, uint32_t flags)
{
    ck_assert_uint_lt(rig->function_count, 6);
    struct probe_function *function = &rig->functions[rig->function_count++];
    struct registry_call call = {.type = name, .call = probe_call, .user = function, .flags = flags};
    struct error error = {0};
    function->name = name;
    function->script = script;
    pthread_mutex_init(&function->lock, NULL);
    pthread_cond_init(&function->let, NULL);
    ck_assert_msg(registry_add_call(rig->registry, &call, &error) == WEIR_OK, "%s", error.text);
    return function;
}

/* Opening and ending. */

static void tick(uv_timer_t *timer)
{
    (void)timer; /* it only ends a turn */
}

int rig_try(struct rig *rig, struct error *error, const char *yaml)
{
    char store[600];
    snprintf(store, sizeof store, "{ path: %s/store }", rig->folder);
    struct config_part parts[] = {{.sort = PART_TEXT, .text = yaml},
                                  {.sort = PART_SECTION, .name = "store", .text = store}};
    size_t count = strstr(yaml, "store:") ? 1 : 2;
    int result = config_load_parts(&rig->config, parts, count, rig->registry);
    ck_assert_msg(result == WEIR_OK, "%s", rig->config->report.text);
    rig->log = log_new_call(rig_log, rig, LOG_DEBUG);
    return engine_new(&rig->engine, rig->config, rig->log, error);
}

void rig_open(struct rig *rig, const char *format, ...)
{
    char *yaml = NULL;
    struct error error = {0};
    va_list args;
    va_start(args, format);
    ck_assert_int_gt(vasprintf(&yaml, format, args), 0);
    va_end(args);
    ck_assert_msg(rig_try(rig, &error, yaml) == WEIR_OK, "%s", error.text);
    free(yaml);
    uv_timer_init(engine_loop(rig->engine), &rig->tick);
    engine_begin(rig->engine);
}

void rig_control(struct rig *rig)
{
    struct error error = {0};
    int result = control_engine_open(&rig->control, rig->engine, rig->config->store_path, rig->log, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
}

int64_t rig_deadline(void)
{
    return clock_mono_us() + (int64_t)(WAIT_S * testing_slow() * SECOND_US);
}

void rig_turn(struct rig *rig, int64_t end, const char *file, int line, const char *condition)
{
    if (clock_mono_us() > end)
        ck_abort_msg("%s:%d: this did not come: %s\n%s", file, line, condition, rig->said ? rig->said : "");
    uv_timer_start(&rig->tick, tick, TICK_MS, 0);
    uv_run(engine_loop(rig->engine), UV_RUN_ONCE);
}

void rig_rest(struct rig *rig)
{
    int64_t until = clock_mono_us() + 2 * ROUTE_COMMIT_US;
    while (clock_mono_us() < until)
        rig_turn(rig, INT64_MAX, __FILE__, __LINE__, "");
}

int rig_run(struct rig *rig)
{
    RIG_UNTIL(rig, engine_over(rig->engine));
    return engine_exit_code(rig->engine);
}

int rig_stop(struct rig *rig)
{
    engine_stop(rig->engine);
    return rig_run(rig);
}

void rig_free(struct rig *rig)
{
    if (rig->control.engine)
        control_engine_close(&rig->control);
    if (rig->engine)
        uv_close((uv_handle_t *)&rig->tick, NULL);
    engine_free(rig->engine);
    config_free(rig->config);
    registry_free(rig->registry);
    log_free(rig->log);
    for (size_t i = 0; i < rig->function_count; i++)
        free(rig->functions[i].seen.items);
    free(rig->said);
    free(rig);
}

void rig_crash(const char *folder, void (*part)(const char *folder))
{
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        part(folder);
        _exit(77);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 77, "the part that is to crash failed before");
}

/* Looking. */

struct probe_source *rig_source(const struct rig *rig, const char *name)
{
    for (size_t i = 0; i < rig->engine->source_count; i++) {
        if (!strcmp(rig->engine->sources[i].instance.name, name))
            return rig->engine->sources[i].instance.state;
    }
    ck_abort_msg("there is no source %s", name);
    return NULL;
}

struct probe_sink *rig_sink(const struct rig *rig, const char *name)
{
    for (size_t i = 0; i < rig->engine->sink_count; i++) {
        if (!strcmp(rig->engine->sinks[i].instance.name, name))
            return rig->engine->sinks[i].instance.state;
    }
    ck_abort_msg("there is no sink %s", name);
    return NULL;
}

size_t rig_said(struct rig *rig, const char *text)
{
    size_t count = 0;
    pthread_mutex_lock(&rig->lock);
    for (const char *at = rig->said; at && (at = strstr(at, text)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&rig->lock);
    return count;
}

int64_t rig_metric(const struct rig *rig, const char *name, const char *labels)
{
    return metric_value(stats_get(engine_stats(rig->engine), name, labels));
}

static bool record_count(void *arg, weir_view key, weir_view value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return true;
}

size_t rig_records(const struct rig *rig, enum store_table table)
{
    size_t count = 0;
    weir_view none = {0};
    ck_assert_int_eq(store_scan(rig->engine->reader, table, none, none, record_count, &count), WEIR_OK);
    return count;
}

struct letter_search {
    struct arena *arena;
    size_t left;
    bool found;
    struct dead_letter *dead;
};

static bool letter_visit(void *arg, weir_view key, weir_view value)
{
    struct letter_search *search = arg;
    (void)key;
    if (search->left--)
        return true;
    value = arena_copy(search->arena, value);
    ck_assert_int_eq(dead_decode(value, search->arena, search->dead), WEIR_OK);
    search->found = true;
    return false;
}

bool rig_dead(const struct rig *rig, size_t i, struct dead_letter *dead)
{
    struct letter_search search = {.arena = &rig->config->arena, .left = i, .dead = dead};
    weir_view none = {0};
    ck_assert_int_eq(store_scan(rig->engine->reader, TABLE_DEAD, none, none, letter_visit, &search), WEIR_OK);
    return search.found;
}

static void change_done(void *arg, int result)
{
    ck_assert_int_eq(result, WEIR_OK);
    *(volatile bool *)arg = true;
}

void rig_ask_replay(struct rig *rig)
{
    struct dead_selection selection = {.all = true};
    struct dead_step step;
    volatile bool done = false; /* by change_done */
    ck_assert_int_eq(dead_step(rig->engine->reader, &selection, DEAD_REPLAY, NULL, &step), WEIR_OK);
    ck_assert_uint_gt(step.changed, 0);
    engine_change(rig->engine, step.ops, change_done, (void *)(uintptr_t)&done);
    RIG_UNTIL(rig, done);
    engine_replay(rig->engine);
}
