/* cmd_check.c: `weir check FILE`: reads a configuration whole, starts nothing, and tells every fault, or what each
 * route would do and promise. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "config.h"
#include "engine.h"
#include "print.h"

static const char *order_text(const struct config_route *route)
{
    switch ((enum route_order)route->order) {
    case ORDER_KEY:
        return "key";
    case ORDER_SHARD:
        return "shard";
    case ORDER_NONE:
        break;
    }
    return "none";
}

static bool route_has_state(const struct config_route *route)
{
    for (size_t i = 0; i < route->call_count; i++)
        if (route->call[i]->ops->flags & WEIR_FUNCTION_STATE)
            return true;
    return false;
}

/* Where the truth about a source's position lies: DESIGN's promise, in words. */
static const char *source_keeps(const struct config_source *source, bool state)
{
    if (!(source->ops->flags & WEIR_SOURCE_REPLAYS))
        return "journal in the store; acknowledged after the commit that holds it";
    if ((source->ops->flags & WEIR_SOURCE_KEEPS_POSITION) && !state)
        return "nothing in the store but dead letters; the peer keeps the position";
    return "position in the store";
}

static const char *route_promise(const struct config_route *route)
{
    if (route_has_state(route))
        return "at least once; function state and positions in one transaction, so state counts each event once";
    return "at least once; after a crash what is in flight runs again with the same ids";
}

static const char *text_of(char *text)
{
    return text ? text : "?";
}

static const char *join(struct arena *arena, const char *before, const char *word)
{
    return *before ? text_of(arena_printf(arena, "%s, %s", before, word)) : word;
}

static const char *route_from(struct arena *arena, const struct config_route *route)
{
    const char *text = "";
    for (size_t i = 0; i < route->from_count; i++)
        text = join(arena, text, route->from[i]->name);
    return text;
}

static const char *route_call(struct arena *arena, const struct config_route *route)
{
    const char *text = "";
    for (size_t i = 0; i < route->call_count; i++)
        text = join(arena, text, route->call[i]->name);
    return text;
}

static const char *route_to(struct arena *arena, const struct config_route *route)
{
    const char *text = "";
    for (size_t i = 0; i < route->output_count; i++) {
        const struct config_output *output = &route->outputs[i];
        text = join(arena, text,
                    output->name ? text_of(arena_printf(arena, "%s: %s", output->name, output->sink->name))
                                 : output->sink->name);
    }
    return text;
}

static void route_print(FILE *out, struct arena *arena, const struct config_route *route)
{
    const char *call = route_call(arena, route), *to = route_to(arena, route);
    fprintf(out, "\nroute %s: %s", route->name, route_from(arena, route));
    fprintf(out, "%s%s%s%s\n", *call ? " -> " : "", call, *to ? " -> " : "", to);
    fprintf(out, "  order      %s, %" PRId64 " lane%s\n", order_text(route), route->lanes,
            route->lanes == 1 ? "" : "s");
    fprintf(out, "  in flight  at most %" PRId64 " events, %s\n", route->window_events,
            print_size(arena, (uint64_t)route->window_bytes));
    fprintf(out, "  failure    %s\n",
            route->on_failure == FAILURE_STOP ? "the route stops" : "dead letter, and the route goes on");
    fprintf(out, "  promise    %s\n", route_promise(route));
    for (size_t i = 0; i < route->from_count; i++)
        fprintf(out, "  keeps      %s: %s\n", route->from[i]->name,
                source_keeps(route->from[i], route_has_state(route)));
}

static void config_print(FILE *out, const struct config *config)
{
    struct arena arena;
    arena_init(&arena, 0);
    fprintf(out, "%s is fine; nothing was started\n", config->file);
    fprintf(out, "store %s, at most %s; memory %s, %" PRId64 " worker%s\n", config->store_path,
            print_size(&arena, (uint64_t)config->store_size_max), print_size(&arena, (uint64_t)config->memory),
            config->workers, config->workers == 1 ? "" : "s");
    for (size_t i = 0; i < config->route_count; i++)
        route_print(out, &arena, &config->routes[i]);
    arena_fini(&arena);
}

static cJSON *route_json(const struct config_route *route)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", route->name);
    cJSON *from = cJSON_AddArrayToObject(object, "from"), *call = cJSON_AddArrayToObject(object, "call"),
          *to = cJSON_AddArrayToObject(object, "to");
    for (size_t i = 0; i < route->from_count; i++) {
        cJSON *source = cJSON_CreateObject();
        cJSON_AddStringToObject(source, "source", route->from[i]->name);
        cJSON_AddStringToObject(source, "keeps", source_keeps(route->from[i], route_has_state(route)));
        cJSON_AddItemToArray(from, source);
    }
    for (size_t i = 0; i < route->call_count; i++)
        cJSON_AddItemToArray(call, cJSON_CreateString(route->call[i]->name));
    for (size_t i = 0; i < route->output_count; i++) {
        cJSON *output = cJSON_CreateObject();
        json_add_bytes(output, "output", view_of(route->outputs[i].name));
        cJSON_AddStringToObject(output, "sink", route->outputs[i].sink->name);
        cJSON_AddItemToArray(to, output);
    }
    cJSON_AddStringToObject(object, "order", order_text(route));
    json_add_count(object, "lanes", (uint64_t)route->lanes);
    cJSON_AddStringToObject(object, "on_failure", route->on_failure == FAILURE_STOP ? "stop" : "dead_letter");
    cJSON_AddBoolToObject(object, "state", route_has_state(route));
    cJSON_AddStringToObject(object, "promise", route_promise(route));
    return object;
}

static cJSON *config_json(const struct config *config)
{
    cJSON *document = cJSON_CreateObject(), *store = cJSON_CreateObject();
    cJSON_AddTrueToObject(document, "ok");
    cJSON_AddStringToObject(document, "file", config->file);
    cJSON_AddStringToObject(store, "path", config->store_path);
    json_add_count(store, "size_max", (uint64_t)config->store_size_max);
    cJSON_AddItemToObject(document, "store", store);
    cJSON *routes = cJSON_AddArrayToObject(document, "routes");
    for (size_t i = 0; i < config->route_count; i++)
        cJSON_AddItemToArray(routes, route_json(&config->routes[i]));
    return document;
}

/* "file:line:column: text". A file name may hold colons itself: the first place with two numbers counts. */
static cJSON *fault_json(const char *line, size_t size)
{
    cJSON *fault = cJSON_CreateObject();
    for (size_t i = 0; i < size; i++) {
        int at_line, at_column, length = 0;
        if (line[i] != ':' || !isdigit((unsigned char)line[i + 1]) ||
            sscanf(line + i, ":%d:%d: %n", &at_line, &at_column, &length) != 2 || !length)
            continue;
        json_add_bytes(fault, "file", view_make(line, i));
        cJSON_AddNumberToObject(fault, "line", at_line);
        cJSON_AddNumberToObject(fault, "column", at_column);
        json_add_bytes(fault, "message",
                       view_make(line + i + length, size - i - size_min((size_t)length, size - i)));
        return fault;
    }
    json_add_bytes(fault, "message", view_make(line, size));
    return fault;
}

static cJSON *faults_json(const char *file, const struct yaml_report *report)
{
    cJSON *document = cJSON_CreateObject();
    cJSON_AddFalseToObject(document, "ok");
    cJSON_AddStringToObject(document, "file", file);
    cJSON *faults = cJSON_AddArrayToObject(document, "faults");
    for (size_t at = 0; at < report->size;) {
        size_t length = strcspn(report->text + at, "\n");
        if (length)
            cJSON_AddItemToArray(faults, fault_json(report->text + at, length));
        at += length + 1;
    }
    return document;
}

static int check_faults(const struct invocation *invocation, const char *file, const struct config *config)
{
    if (!config || !config->report.count)
        return invocation_fail(invocation, EXIT_FAILED, "out of memory");
    if (invocation->json) {
        json_print(invocation->out, faults_json(file, &config->report));
        return EXIT_CONFIG;
    }
    fwrite(config->report.text, 1, config->report.size, invocation->err);
    return invocation_fail(invocation, EXIT_CONFIG, "%zu fault%s in %s", config->report.count,
                           config->report.count == 1 ? "" : "s", file);
}

/* What the kinds themselves refuse shows only when everything else is right. What they have to say beside that goes
 * where a run would say it. */
static int check_kinds(struct config *config)
{
    struct log *log = log_new(STDERR_FILENO, LOG_WARN, config->log_json != 0);
    engine_try(config, log, &config->report);
    log_free(log);
    return config->report.count ? WEIR_INVALID : WEIR_OK;
}

static int check_run(struct invocation *invocation)
{
    const char *file = invocation->operands[0];
    struct config *config = NULL;
    struct registry *registry = registry_new(NULL);
    int result = registry ? config_load(&config, file, registry) : WEIR_NOMEM;
    int code = EXIT_DONE;
    if (result == WEIR_OK)
        result = check_kinds(config);
    if (result != WEIR_OK)
        code = check_faults(invocation, file, config);
    else if (invocation->json)
        json_print(invocation->out, config_json(config));
    else
        config_print(invocation->out, config);
    if (config)
        config_free(config);
    if (registry)
        registry_free(registry);
    return code;
}

const struct command command_check = {
    .name = "check",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "read a configuration and tell every fault, or what it would do",
    .text = "Nothing is started, connected or written. The exit code is 3 when there is a fault.\n",
    .prints = true,
    .run = check_run,
};
