/* engine_make.c: what engine_new makes, in order, and engine_free undoes, in reverse. */
#include <stdlib.h>

#include "clock.h"
#include "commit.h"
#include "dead_letter.h"
#include "engine.h"
#include "flow.h"
#include "host.h"
#include "shell.h"
#include "sink.h"
#include "source.h"

static void crashed_visit(void *arg, const struct slot *slot)
{
    struct engine *engine = arg;
    struct slot *crashed = realloc(engine->crashed, (engine->crashed_count + 1) * sizeof *crashed);
    if (!crashed)
        return;
    engine->crashed = crashed;
    crashed[engine->crashed_count++] = *slot;
}

static int make_store(struct engine *engine, struct error *error)
{
    struct store_options options = {
        .path = engine->config->store_path, .size_max = (uint64_t)engine->config->store_size_max, .create = true};
    int result = store_open(&engine->store, &options, engine->log, error);
    if (result != WEIR_OK) /* an older layout is the store's trouble, not the configuration's */
        return result == WEIR_INVALID ? WEIR_DAMAGED : result;
    engine->reader = store_reader_new(engine->store);
    engine->readers = calloc((size_t)engine->config->workers, sizeof(struct store_reader *));
    if (!engine->reader || !engine->readers)
        return error_set(error, WEIR_NOMEM, "out of memory");
    for (int64_t i = 0; i < engine->config->workers; i++) {
        engine->readers[i] = store_reader_new(engine->store);
        if (!engine->readers[i])
            return error_set(error, WEIR_NOMEM, "out of memory");
    }
    return slots_open(&engine->slots, engine->config->store_path, (size_t)engine->config->workers + 1,
                      crashed_visit, engine, error);
}

static int make_loop(struct engine *engine, struct error *error)
{
    if (uv_loop_init(&engine->loop) != 0)
        return error_set(error, WEIR_IO, "the event loop could not be made");
    engine_handles(engine);
    engine->stats = stats_new();
    if (mailbox_init(&engine->mailbox, &engine->loop) != WEIR_OK ||
        helper_init(&engine->helper, &engine->mailbox) != WEIR_OK || !engine->stats)
        return error_set(error, WEIR_NOMEM, "out of memory");
    engine->memory_metric = stats_get(engine->stats, "weir_engine_memory_bytes", "");
    engine->committer = committer_new(engine);
    engine->replays = replays_new(engine);
    return engine->committer && engine->replays ? WEIR_OK : error_set(error, WEIR_NOMEM, "out of memory");
}

static int make_workers(struct engine *engine, struct error *error)
{
    engine->workers = workers_new((size_t)engine->config->workers);
    return engine->workers ? WEIR_OK : error_set(error, WEIR_NOMEM, "out of memory");
}

static void never(struct instance *instance)
{
    UNUSED(instance);
}

static void function_failed(struct instance *instance, const char *reason)
{
    UNUSED(reason);
    engine_fail(instance->engine, EXIT_FAILED);
}

static int make_self(struct function *function, struct engine *engine, size_t self, struct error *error)
{
    const struct config_function *config = function->config;
    struct instance *instance = &function->instances[self];
    struct instance_kind kind = {"function",   config->name,         config->ops->options,
                                 config->node, config_function_skip, config->ops->state_size};
    instance->given = config->has_user;
    instance->state = config->user;
    int result = instance_init(instance, engine, &kind, error);
    if (result != WEIR_OK)
        return result;
    instance->on_stopped = never;
    instance->on_failed = function_failed;
    instance->made = true;
    if (config->ops->init)
        result = config->ops->init(instance->state, &instance->host);
    if (result != WEIR_OK && !error->text[0])
        error_set(error, result, "%s: could not be made: %s", instance->part, result_name(result));
    instance->error = NULL;
    return result;
}

static int make_function(struct function *function, struct engine *engine, struct error *error)
{
    function->selves = engine->trial ? 1 : (size_t)engine->config->workers + 1;
    function->instances = calloc(function->selves, sizeof *function->instances);
    if (!function->instances)
        return error_set(error, WEIR_NOMEM, "out of memory");
    int result = WEIR_OK;
    for (size_t i = 0; i < function->selves && result == WEIR_OK; i++)
        result = make_self(function, engine, i, error);
    return result;
}

static int make_parts(struct engine *engine, struct error *error)
{
    struct config *config = engine->config;
    int result = WEIR_OK;
    for (size_t i = 0; i < config->function_count && result == WEIR_OK; i++) {
        engine->functions[i].config = &config->functions[i];
        engine->functions[i].ops = config->functions[i].ops;
        engine->function_count++;
        result = make_function(&engine->functions[i], engine, error);
    }
    for (size_t i = 0; i < config->sink_count && result == WEIR_OK; i++) {
        engine->sink_count++;
        result = sink_init(&engine->sinks[i], engine, &config->sinks[i], error);
    }
    for (size_t i = 0; i < config->source_count && result == WEIR_OK; i++) {
        engine->source_count++;
        result = source_init(&engine->sources[i], engine, &config->sources[i], error);
    }
    for (size_t i = 0; i < config->route_count && result == WEIR_OK; i++) {
        engine->flow_count++;
        result = flow_init(&engine->flows[i], engine, &config->routes[i], error);
    }
    return result;
}

static int make_wiring(struct engine *engine)
{
    for (size_t i = 0; i < engine->source_count; i++) {
        struct source *source = &engine->sources[i];
        source->flows = calloc(engine->flow_count + 1, sizeof(struct flow *));
        if (!source->flows)
            return WEIR_NOMEM;
        for (size_t j = 0; j < engine->flow_count; j++) {
            for (size_t k = 0; k < engine->flows[j].source_count; k++) {
                if (engine->flows[j].sources[k] == source)
                    source->flows[source->flow_count++] = &engine->flows[j];
            }
        }
    }
    return WEIR_OK;
}

static int make_room(struct engine *engine, struct error *error)
{
    const struct config *config = engine->config;
    engine->functions = calloc(config->function_count + 1, sizeof *engine->functions);
    engine->sinks = calloc(config->sink_count + 1, sizeof *engine->sinks);
    engine->sources = calloc(config->source_count + 1, sizeof *engine->sources);
    engine->flows = calloc(config->route_count + 1, sizeof *engine->flows);
    if (!engine->functions || !engine->sinks || !engine->sources || !engine->flows)
        return error_set(error, WEIR_NOMEM, "out of memory");
    return WEIR_OK;
}

static int make_all(struct engine *engine, struct error *error)
{
    int result = make_room(engine, error);
    if (result == WEIR_OK)
        result = make_loop(engine, error);
    if (result == WEIR_OK)
        result = make_workers(engine, error);
    if (result == WEIR_OK)
        result = make_store(engine, error);
    if (result == WEIR_OK)
        result = make_parts(engine, error);
    if (result == WEIR_OK && make_wiring(engine) != WEIR_OK)
        result = error_set(error, WEIR_NOMEM, "out of memory");
    return result;
}

static struct engine *engine_blank(struct config *config, struct log *log, struct error *error)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->config = config;
    engine->log = log;
    engine->started_us = clock_wall_us();
    list_init(&engine->reaped);
    list_init(&engine->waiting_calls);
    error->text[0] = '\0';
    return engine;
}

int engine_new(struct engine **made, struct config *config, struct log *log, struct error *error)
{
    struct engine *engine = engine_blank(config, log, error);
    *made = NULL;
    if (!engine)
        return error_set(error, WEIR_NOMEM, "out of memory");
    int result = make_all(engine, error);
    if (result == WEIR_OK)
        *made = engine;
    else
        engine_free(engine);
    return result;
}

/* The trial. What failed without a word about an option has its text in error. */

static void try_function(struct engine *engine, size_t i, struct error *error)
{
    struct function *function = &engine->functions[i];
    function->config = &engine->config->functions[i];
    function->ops = function->config->ops;
    engine->function_count++;
    make_function(function, engine, error);
}

static void try_sink(struct engine *engine, size_t i, struct error *error)
{
    engine->sink_count++;
    sink_init(&engine->sinks[i], engine, &engine->config->sinks[i], error);
}

static void try_source(struct engine *engine, size_t i, struct error *error)
{
    engine->source_count++;
    source_init(&engine->sources[i], engine, &engine->config->sources[i], error);
}

static void try_one(struct engine *engine, size_t i, const struct yaml_node *node,
                    void (*make)(struct engine *engine, size_t i, struct error *error))
{
    struct error error = {0};
    size_t before = engine->trial->count;
    make(engine, i, &error);
    if (error.text[0] && engine->trial->count == before)
        yaml_fault(engine->trial, node, "%s", error.text);
}

static void try_parts(struct engine *engine)
{
    const struct config *config = engine->config;
    for (size_t i = 0; i < config->function_count; i++)
        try_one(engine, i, config->functions[i].node, try_function);
    for (size_t i = 0; i < config->sink_count; i++)
        try_one(engine, i, config->sinks[i].node, try_sink);
    for (size_t i = 0; i < config->source_count; i++)
        try_one(engine, i, config->sources[i].node, try_source);
}

void engine_try(struct config *config, struct log *log, struct yaml_report *report)
{
    struct error error;
    struct engine *engine = engine_blank(config, log, &error);
    if (!engine) {
        yaml_fault(report, NULL, "out of memory");
        return;
    }
    engine->trial = report;
    int result = make_room(engine, &error);
    if (result == WEIR_OK)
        result = make_loop(engine, &error);
    if (result == WEIR_OK)
        try_parts(engine);
    else
        yaml_fault(report, NULL, "%s", error.text);
    engine_free(engine);
}

/* Undoing. */

static void handle_close(uv_handle_t *handle)
{
    if (handle->loop && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

static size_t open_all(const struct engine *engine)
{
    size_t open = 0;
    for (size_t i = 0; i < engine->source_count; i++)
        open += engine->sources[i].instance.open;
    for (size_t i = 0; i < engine->sink_count; i++)
        open += engine->sinks[i].instance.open;
    return open;
}

/* A plug-in may free its timers and watches in fini; what it left is freed here. */
static void fini_one(struct instance *instance, void (*fini)(void *state))
{
    if (instance->made && fini)
        fini(instance->state);
    instance_quiet(instance);
}

/* Sinks go first, since in a run that broke off they still hold writes; then borrowed buffers come back (flows,
 * shards), and the other plug-ins may go. */
static void free_parts(struct engine *engine)
{
    for (size_t i = 0; i < engine->sink_count; i++)
        fini_one(&engine->sinks[i].instance, engine->sinks[i].ops->fini);
    for (size_t i = 0; i < engine->flow_count; i++)
        flow_free(&engine->flows[i]);
    replays_free(engine->replays);
    if (engine->committer)
        committer_drop(engine->committer);
    for (size_t i = 0; i < engine->source_count; i++)
        source_free(&engine->sources[i]);
    for (size_t i = 0; i < engine->source_count; i++)
        fini_one(&engine->sources[i].instance, engine->sources[i].ops->fini);
    for (size_t i = 0; i < engine->function_count; i++) {
        struct function *function = &engine->functions[i];
        for (size_t j = 0; j < function->selves && function->instances; j++)
            fini_one(&function->instances[j], function->ops->fini);
    }
}

static void free_loop(struct engine *engine)
{
    handle_close((uv_handle_t *)&engine->after_poll);
    handle_close((uv_handle_t *)&engine->again);
    handle_close((uv_handle_t *)&engine->deadline);
    handle_close((uv_handle_t *)&engine->borrow_timer);
    for (size_t i = 0; i < engine->flow_count; i++)
        handle_close((uv_handle_t *)&engine->flows[i].timer);
    if (engine->committer)
        committer_close(engine->committer);
    while (open_all(engine))
        uv_run(&engine->loop, UV_RUN_ONCE);
    if (engine->mailbox.last)
        mailbox_close(&engine->mailbox);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    uv_loop_close(&engine->loop);
}

static void free_instances(struct engine *engine)
{
    for (size_t i = 0; i < engine->source_count; i++)
        instance_fini(&engine->sources[i].instance);
    for (size_t i = 0; i < engine->sink_count; i++)
        instance_fini(&engine->sinks[i].instance);
    for (size_t i = 0; i < engine->function_count; i++) {
        struct function *function = &engine->functions[i];
        for (size_t j = 0; j < function->selves && function->instances; j++)
            instance_fini(&function->instances[j]);
        free(function->instances);
    }
}

static int64_t calls_running(const struct engine *engine)
{
    int64_t running = 0;
    for (size_t i = 0; i < engine->function_count; i++)
        running += engine->functions[i].running;
    return running;
}

/* No call, offload or transaction is open any more: their answers have been opened. */
static void wait_helpers(struct engine *engine)
{
    while (calls_running(engine) || engine->helper.open || (engine->committer && commit_busy(engine->committer)))
        uv_run(&engine->loop, UV_RUN_ONCE);
    helper_fini(&engine->helper);
}

/* A call or an offload may come back at any time, so nothing that it knows may go. */
bool engine_hangs(const struct engine *engine)
{
    return engine->broken == ENGINE_HUNG && (calls_running(engine) || engine->helper.open);
}

void engine_free(struct engine *engine)
{
    if (!engine || engine_hangs(engine))
        return;
    engine->phase = PHASE_ENDED;
    workers_free(engine->workers);
    wait_helpers(engine);
    free_parts(engine);
    if (engine->after_poll.loop)
        free_loop(engine);
    committer_free(engine->committer);
    free_instances(engine);
    slots_close(engine->slots);
    for (int64_t i = 0; engine->readers && i < engine->config->workers; i++)
        store_reader_free(engine->readers[i]);
    store_reader_free(engine->reader);
    store_close(engine->store);
    stats_free(engine->stats);
    free(engine->readers);
    free(engine->crashed);
    free(engine->functions);
    free(engine->sinks);
    free(engine->sources);
    free(engine->flows);
    free(engine);
}
