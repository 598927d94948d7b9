/* config_kinds.c: sources, functions and sinks by name: kind found, options tried, common values taken.
 *
 * A plug-in's options are filled into a state that is thrown away, so that every fault shows before anything
 * starts. */
#include <stdlib.h>

#include "config_private.h"
#include "field.h"

bool config_name_valid(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= CONFIG_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

/* An entry of a section: its name is well formed, and it is a mapping. */
static bool entry_check(struct loading *l, const struct yaml_node *key, const struct yaml_node *node)
{
    if (!config_name_valid(key->text))
        yaml_fault(l->report, key, "is no name; use 1 to 64 letters, digits, _ - or .");
    if (node->kind == YAML_MAPPING)
        return true;
    yaml_fault(l->report, node, "is no mapping; expected { type: KIND, ... }");
    return false;
}

/* Fills what every one of its sort has; options of the kind itself are left alone. */
static void common_fill(struct loading *l, const weir_option *rows, void *values, const struct yaml_node *node)
{
    struct option_target target = {.rows = rows, .state = values, .arena = &l->config->arena, .partial = true};

    option_fill(&target, node, l->report);
}

struct trial {
    const weir_option *rows;
    size_t state_size;
    const struct yaml_node *node;
    const char *const *skip;
};

static void trial_fill(struct loading *l, const struct trial *trial)
{
    struct option_target target = {.rows = trial->rows,
                                   .state = calloc(1, trial->state_size + 1),
                                   .arena = &l->config->arena,
                                   .skip = trial->skip};

    if (target.state == NULL) {
        yaml_fault(l->report, trial->node, "out of memory");
        return;
    }
    option_fill(&target, trial->node, l->report);
    option_release(trial->rows, target.state);
    free(target.state);
}

static bool kind_named(struct loading *l, const struct yaml_node *node, const char *type, const char *module)
{
    if (type != NULL || module != NULL)
        return true;
    if (yaml_get(node, "type") == NULL && yaml_get(node, "module") == NULL)
        yaml_fault(l->report, node, "`type` is missing; add it: `weir list` shows the kinds");
    return false;
}

static void source_load(struct loading *l, struct config_source *source, const struct yaml_node *key,
                        const struct yaml_node *node)
{
    struct source_values values = {0};
    struct error error;

    source->name = key->text;
    source->node = node;
    if (!entry_check(l, key, node))
        return;
    common_fill(l, config_source_rows, &values, node);
    source->key = values.key;
    source->id = values.id;
    source->time = values.time;
    source->time_format = values.time_format;
    if (!kind_named(l, node, values.type, values.module))
        return;
    source->ops = registry_source(l->registry, values.type, values.module, &error);
    if (source->ops == NULL) {
        yaml_fault(l->report, option_node(node, values.module != NULL ? "module" : "type"), "%s", error.text);
        return;
    }
    trial_fill(l, &(struct trial){source->ops->options, source->ops->state_size, node, config_source_skip});
}

static void sink_load(struct loading *l, struct config_sink *sink, const struct yaml_node *key,
                      const struct yaml_node *node)
{
    struct sink_values values = {0};
    struct error error;

    sink->name = key->text;
    sink->node = node;
    if (strcmp(key->text, "dead_letter") == 0 || strcmp(key->text, "stop") == 0)
        yaml_fault(l->report, key, "is a word of `on_failure` and no name for a sink; choose another");
    if (!entry_check(l, key, node))
        return;
    common_fill(l, config_sink_rows, &values, node);
    sink->retry.attempts = (uint32_t)values.attempts;
    sink->retry.base_us = values.backoff.low;
    sink->retry.cap_us = values.backoff.high;
    if (!kind_named(l, node, values.type, values.module))
        return;
    sink->ops = registry_sink(l->registry, values.type, values.module, &error);
    if (sink->ops == NULL) {
        yaml_fault(l->report, option_node(node, values.module != NULL ? "module" : "type"), "%s", error.text);
        return;
    }
    trial_fill(l, &(struct trial){sink->ops->options, sink->ops->state_size, node, config_sink_skip});
}

/* `function` and `options` belong to a module; the options of a built-in kind stand beside `type`. */
static bool function_form(struct loading *l, const struct function_values *values, const struct yaml_node *node)
{
    static const char *const of_module[] = {"function", "options"};
    bool ok = true;

    if (values->type != NULL && values->module != NULL) {
        yaml_fault(l->report, option_node(node, "type"),
                   "`type` and `module` exclude each other; `function` names one of several in a module");
        return false;
    }
    if (!kind_named(l, node, values->type, values->module))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(of_module) && values->type != NULL; i++)
        if (yaml_get(node, of_module[i]) != NULL) {
            yaml_fault(l->report, yaml_get(node, of_module[i])->key,
                       "goes with `module` only; options of a built-in kind stand beside `type`");
            ok = false;
        }
    return ok;
}

/* Where the options lie: beside `type`, in `options`, or nowhere, which is as good as an empty mapping there. */
static const struct yaml_node *function_options(struct loading *l, const struct yaml_node *node, bool module)
{
    const struct yaml_node *options = module ? yaml_get(node, "options") : node;
    struct yaml_node *empty;

    if (options != NULL)
        return options;
    empty = loading_alloc(l, 1, sizeof(*empty));
    if (empty == NULL)
        return NULL;
    *empty = *node;
    empty->count = 0;
    return empty;
}

static void function_load(struct loading *l, struct config_function *function, const struct yaml_node *key,
                          const struct yaml_node *node)
{
    bool module = yaml_get(node, "module") != NULL;
    struct function_values values = {0};
    /* With a module the outer mapping has no keys but the common ones. */
    struct option_target target = {
        .rows = config_function_rows, .state = &values, .arena = &l->config->arena, .partial = !module};
    struct error error;

    function->name = key->text;
    if (!entry_check(l, key, node))
        return;
    option_fill(&target, node, l->report);
    if (!function_form(l, &values, node) || (module && values.module == NULL))
        return;
    function->concurrency = values.concurrency;
    function->node = function_options(l, node, module);
    function->ops = registry_function(l->registry, module ? values.function : values.type, values.module, &error);
    if (function->ops == NULL) {
        yaml_fault(l->report,
                   option_node(node, values.function != NULL ? "function"
                                     : module                ? "module"
                                                             : "type"),
                   "%s", error.text);
        return;
    }
    function->has_user = registry_user(l->registry, function->ops, &function->user);
    trial_fill(l, &(struct trial){function->ops->options, function->ops->state_size, function->node,
                                  module ? NULL : config_function_skip});
}

void loading_kinds(struct loading *l)
{
    struct config *c = l->config;
    size_t sources = l->sources != NULL ? l->sources->count : 0, sinks = l->sinks != NULL ? l->sinks->count : 0;
    size_t functions = l->functions != NULL ? l->functions->count : 0;

    c->sources = loading_alloc(l, sources, sizeof(*c->sources));
    c->sinks = loading_alloc(l, sinks, sizeof(*c->sinks));
    c->functions = loading_alloc(l, functions, sizeof(*c->functions));
    l->source_used = loading_alloc(l, sources, sizeof(bool));
    l->sink_used = loading_alloc(l, sinks, sizeof(bool));
    l->function_used = loading_alloc(l, functions, sizeof(bool));
    if (c->arena.overflow)
        return;
    c->source_count = sources;
    c->sink_count = sinks;
    c->function_count = functions;
    for (size_t i = 0; i < sources; i++)
        source_load(l, &c->sources[i], l->sources->keys[i], l->sources->items[i]);
    for (size_t i = 0; i < sinks; i++)
        sink_load(l, &c->sinks[i], l->sinks->keys[i], l->sinks->items[i]);
    for (size_t i = 0; i < functions; i++)
        function_load(l, &c->functions[i], l->functions->keys[i], l->functions->items[i]);
}
