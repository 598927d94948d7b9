/* config_route.c: routes, with every name resolved.
 *
 * 1. A route's own values are filled in; `from`, `call` and `to` become pointers into the configuration.
 * 2. What cannot work together is refused: a window smaller than a batch, lanes without keys, state without order.
 *
 * A name that is unknown counts as a use of the nearest known one, so that one mistyped name is one fault; one that
 * could not be read, for want of a variable, counts as a use of all. */
#include "config_private.h"

/* The names of one sort, and which of them are used. */
struct names {
    const char *sort;
    const struct yaml_node *section; /* NULL: there is none */
    bool *used;
};

struct route_load {
    struct loading *l;
    struct config_route *route;
    const struct yaml_node *node;
    struct route_values values;
};

static void name_refuse(struct loading *l, const struct names *names, const struct yaml_node *node,
                        const char *text)
{
    size_t count = names->section != NULL ? names->section->count : 0;
    const char **texts = loading_alloc(l, count, sizeof(*texts)), *nearest;

    for (size_t i = 0; i < count && texts != NULL; i++)
        texts[i] = names->section->keys[i]->text;
    nearest = texts != NULL ? option_nearest(text, texts, count) : NULL;
    for (size_t i = 0; i < count && (nearest != NULL || node->bad); i++)
        if (node->bad || texts[i] == nearest)
            names->used[i] = true;
    if (nearest != NULL)
        yaml_fault(l->report, node, "there is no %s \"%.64s\"; did you mean %s?", names->sort, text, nearest);
    else
        yaml_fault(l->report, node, "there is no %s \"%.64s\"; define it under `%ss`", names->sort, text,
                   names->sort);
}

/* The index of a name, or -1 after a fault. */
static int64_t name_find(struct loading *l, const struct names *names, const struct yaml_node *node,
                         const char *text)
{
    int64_t found = -1;

    for (size_t i = 0; names->section != NULL && i < names->section->count; i++)
        if (strcmp(names->section->keys[i]->text, text) == 0) {
            names->used[i] = true; /* also of a second one with that name, which has its own fault */
            found = found < 0 ? (int64_t)i : found;
        }
    if (found < 0)
        name_refuse(l, names, node, text);
    return found;
}

/* The node of entry i of a list that may be one text. */
static const struct yaml_node *list_node(const struct yaml_node *list, size_t i)
{
    return list->kind == YAML_SEQUENCE && i < list->count ? list->items[i] : list;
}

static void from_load(struct route_load *r)
{
    const struct names names = {"source", r->l->sources, r->l->source_used};
    const struct yaml_node *list = yaml_get(r->node, "from");

    r->route->from = loading_alloc(r->l, r->values.from.count, sizeof(*r->route->from));
    for (size_t i = 0; i < r->values.from.count && r->route->from != NULL; i++) {
        int64_t at = name_find(r->l, &names, list_node(list, i), r->values.from.items[i]);
        struct config_source *source = at >= 0 ? &r->l->config->sources[at] : NULL;

        for (size_t j = 0; j < r->route->from_count && source != NULL; j++)
            if (source == r->route->from[j]) {
                yaml_fault(r->l->report, list_node(list, i), "names the source \"%s\" twice; name it once",
                           source->name);
                source = NULL;
            }
        if (source != NULL)
            r->route->from[r->route->from_count++] = source;
    }
}

/* State is scoped by route and function, so one place in the chain for each. */
static bool call_twice(const struct route_load *r, const struct config_function *function)
{
    if (function->ops == NULL || (function->ops->flags & WEIR_FUNCTION_STATE) == 0)
        return false;
    for (size_t i = 0; i < r->route->call_count; i++)
        if (r->route->call[i] == function)
            return true;
    return false;
}

static void call_load(struct route_load *r)
{
    const struct names names = {"function", r->l->functions, r->l->function_used};
    const struct yaml_node *list = yaml_get(r->node, "call");

    r->route->call = loading_alloc(r->l, r->values.call.count, sizeof(*r->route->call));
    for (size_t i = 0; i < r->values.call.count && r->route->call != NULL; i++) {
        int64_t at = name_find(r->l, &names, list_node(list, i), r->values.call.items[i]);
        struct config_function *function = at >= 0 ? &r->l->config->functions[at] : NULL;

        if (function == NULL)
            continue;
        if (call_twice(r, function))
            yaml_fault(r->l->report, list_node(list, i),
                       "calls \"%s\" twice, which keeps state; define it under a second name", function->name);
        else
            r->route->call[r->route->call_count++] = function;
    }
    if (list != NULL && list->kind == YAML_SEQUENCE && list->count == 0)
        yaml_fault(r->l->report, list, "is empty; name a function, or remove the key");
}

/* The index of the sink in the route, taken in if it is new; -1 after a fault. */
static int64_t sink_take(struct route_load *r, const struct yaml_node *node)
{
    const struct names names = {"sink", r->l->sinks, r->l->sink_used};
    struct config_sink *sink;
    int64_t at;

    if (node->kind != YAML_SCALAR || node->size == 0) {
        yaml_fault(r->l->report, node, "is not allowed; expected the name of a sink");
        return -1;
    }
    at = name_find(r->l, &names, node, node->text);
    if (at < 0)
        return -1;
    sink = &r->l->config->sinks[at];
    for (size_t i = 0; i < r->route->sink_count; i++)
        if (r->route->sinks[i] == sink)
            return (int64_t)i;
    if (r->route->sink_count == ROUTE_SINKS_MAX) {
        yaml_fault(r->l->report, node, "is sink number %d; a route has at most %d", ROUTE_SINKS_MAX + 1,
                   ROUTE_SINKS_MAX);
        return -1;
    }
    r->route->sinks[r->route->sink_count] = sink;
    return (int64_t)r->route->sink_count++;
}

static void output_add(struct route_load *r, const char *name, const struct yaml_node *node)
{
    size_t before = r->route->sink_count;
    int64_t at = sink_take(r, node);

    if (at < 0)
        return;
    if (name == NULL && r->route->sink_count == before) {
        yaml_fault(r->l->report, node, "names the sink \"%s\" twice; name it once", node->text);
        return;
    }
    r->route->outputs[r->route->output_count++] = (struct config_output){name, r->route->sinks[at], (uint32_t)at};
}

static void outputs_load(struct route_load *r, const struct yaml_node *to)
{
    if (to->count == 0)
        yaml_fault(r->l->report, to, "is empty; name a sink%s",
                   r->values.call.count > 0 ? ", or remove the key" : "");
    if (to->count > 0 && to->kind == YAML_MAPPING && r->values.call.count == 0) {
        yaml_fault(r->l->report, to, "names outputs, but only a function has them; add `call`, or name a sink");
        return;
    }
    for (size_t i = 0; i < to->count; i++) {
        if (to->kind == YAML_MAPPING && !config_name_valid(to->keys[i]->text))
            yaml_fault(r->l->report, to->keys[i], "is no name; use 1 to 64 letters, digits, _ - or .");
        output_add(r, to->kind == YAML_MAPPING ? to->keys[i]->text : NULL, to->items[i]);
    }
}

static void to_load(struct route_load *r)
{
    const struct yaml_node *to = yaml_get(r->node, "to");
    size_t count = to != NULL && to->kind != YAML_SCALAR ? to->count : 1;

    r->route->sinks = loading_alloc(r->l, size_min(count, ROUTE_SINKS_MAX), sizeof(*r->route->sinks));
    r->route->outputs = loading_alloc(r->l, count, sizeof(*r->route->outputs));
    if (r->route->sinks == NULL || r->route->outputs == NULL)
        return;
    if (to == NULL && yaml_get(r->node, "call") == NULL)
        yaml_fault(r->l->report, r->node, "goes nowhere; add `to: SINK`, or `call: FUNCTION`");
    else if (to != NULL && to->kind == YAML_SCALAR)
        output_add(r, NULL, to);
    else if (to != NULL)
        outputs_load(r, to);
}

static void values_take(const struct route_load *r)
{
    const struct route_values *v = &r->values;
    struct config_route *route = r->route;

    route->batch_events = v->batch_events;
    route->batch_bytes = v->batch_bytes;
    route->batch_wait_us = v->batch_wait_us;
    route->window_events = v->window_events;
    route->window_bytes = v->window_bytes;
    route->order = v->order;
    route->lanes = v->order == ORDER_SHARD ? 1 : v->lanes;
    route->retry.attempts = (uint32_t)v->attempts;
    route->retry.base_us = v->backoff.low;
    route->retry.cap_us = v->backoff.high;
    route->bisect = v->bisect;
    route->on_failure = v->on_failure;
    route->journal_max = v->journal_max;
    route->moved_state = v->moved_state;
}

static void window_check(const struct route_load *r)
{
    const struct route_values *v = &r->values;
    char batch[OPTION_NUMBER_MAX], window[OPTION_NUMBER_MAX];

    if (v->batch_events > v->window_events)
        yaml_fault(r->l->report, option_node(r->node, "batch.events"),
                   "a batch of %lld events never fits into in_flight.events %lld; make one of them fit",
                   (long long)v->batch_events, (long long)v->window_events);
    if (v->batch_bytes > v->window_bytes)
        yaml_fault(r->l->report, option_node(r->node, "batch.bytes"),
                   "a batch of %s never fits into in_flight.bytes %s; make one of them fit",
                   option_number(WEIR_OPTION_SIZE, v->batch_bytes, batch),
                   option_number(WEIR_OPTION_SIZE, v->window_bytes, window));
}

static void order_check(const struct route_load *r)
{
    const struct yaml_node *list = yaml_get(r->node, "call");

    if (r->values.order == ORDER_SHARD && yaml_get(r->node, "lanes") != NULL && r->values.lanes > 1)
        yaml_fault(r->l->report, yaml_get(r->node, "lanes"),
                   "`order: shard` has one lane; remove `lanes`, or use `order: key`");
    for (size_t i = 0; i < r->route->call_count && r->values.order == ORDER_NONE; i++) {
        const struct config_function *function = r->route->call[i];

        if (function->ops != NULL && (function->ops->flags & WEIR_FUNCTION_STATE) != 0)
            yaml_fault(r->l->report, list_node(list, size_min(i, list->count)),
                       "\"%s\" keeps state per key, which needs an order; remove `order: none`", function->name);
    }
}

static void moved_check(const struct route_load *r)
{
    const struct yaml_node *node = yaml_get(r->node, "moved_state");
    bool state = false, kept = false;

    for (size_t i = 0; i < r->route->call_count; i++) {
        const struct config_function *function = r->route->call[i];

        state = state || function->ops == NULL || (function->ops->flags & WEIR_FUNCTION_STATE) != 0;
    }
    for (size_t i = 0; i < r->route->from_count; i++) {
        const struct config_source *source = r->route->from[i];

        kept = kept || source->ops == NULL || (source->ops->flags & WEIR_SOURCE_KEEPS_POSITION) != 0;
    }
    if (node != NULL && !(state && kept))
        yaml_fault(
            r->l->report, node,
            "is of no use: only a source whose peer keeps positions has shards that move, and only a function "
            "that keeps state has some to leave behind; remove it");
}

/* A cheap function keeps nothing and touches nothing, so without a sink the route is dead. */
static void effect_check(const struct route_load *r)
{
    if (yaml_get(r->node, "to") != NULL || r->route->call_count == 0)
        return;
    for (size_t i = 0; i < r->route->call_count; i++)
        if (r->route->call[i]->ops == NULL || (r->route->call[i]->ops->flags & WEIR_FUNCTION_CHEAP) == 0)
            return;
    yaml_fault(r->l->report, r->node, "has no effect: \"%s\" keeps nothing and sends nothing; add `to: SINK`",
               r->route->call[r->route->call_count - 1]->name);
}

/* <from>-<function or sink> */
static void name_take(struct route_load *r)
{
    struct config_route *route = r->route;
    const char *second = route->call_count > 0 ? route->call[0]->name : NULL;

    route->name = r->values.name;
    if (second == NULL && route->sink_count > 0)
        second = route->sinks[0]->name;
    if (route->name == NULL && route->from_count > 0 && second != NULL) {
        route->name = arena_printf(&r->l->config->arena, "%s-%s", route->from[0]->name, second);
        if (route->name != NULL && strlen(route->name) > CONFIG_NAME_MAX)
            yaml_fault(r->l->report, r->node, "has a name of more than 64 characters by default; give it a `name`");
    } else if (route->name != NULL && !config_name_valid(route->name)) {
        yaml_fault(r->l->report, option_node(r->node, "name"), "is no name; use 1 to 64 letters, digits, _ - or .");
    }
    for (const struct config_route *other = r->l->config->routes; other < route && route->name != NULL; other++)
        if (other->name != NULL && strcmp(other->name, route->name) == 0) {
            yaml_fault(r->l->report, option_node(r->node, "name"),
                       "is the second route called \"%s\", after line %d; give it another `name`", route->name,
                       other->node->line);
            break;
        }
}

static void route_load(struct loading *l, struct config_route *route, const struct yaml_node *node)
{
    struct route_load r = {.l = l, .route = route, .node = node};
    struct option_target target = {.rows = config_route_rows, .state = &r.values, .arena = &l->config->arena};
    bool filled;

    route->node = node;
    if (node->kind != YAML_MAPPING) {
        yaml_fault(l->report, node, "is no mapping; expected { from: SOURCE, to: SINK }");
        return;
    }
    filled = option_fill(&target, node, l->report) == WEIR_OK;
    from_load(&r);
    call_load(&r);
    to_load(&r);
    values_take(&r);
    name_take(&r);
    if (filled) {
        window_check(&r);
        order_check(&r);
        moved_check(&r);
        effect_check(&r);
    }
}

static void unused_report(struct loading *l, const struct names *names, const char *how)
{
    for (size_t i = 0; names->section != NULL && i < names->section->count; i++)
        if (!names->used[i])
            yaml_fault(l->report, names->section->keys[i],
                       "no route uses this %s; name it in `%s` of a route, or remove it", names->sort, how);
}

void loading_routes(struct loading *l)
{
    size_t count = l->routes != NULL ? l->routes->count : 0;
    const struct names sources = {"source", l->sources, l->source_used};
    const struct names functions = {"function", l->functions, l->function_used};
    const struct names sinks = {"sink", l->sinks, l->sink_used};

    l->config->routes = loading_alloc(l, count, sizeof(*l->config->routes));
    if (l->config->routes == NULL)
        return;
    l->config->route_count = count;
    for (size_t i = 0; i < count; i++)
        route_load(l, &l->config->routes[i], l->routes->items[i]);
    if (l->routes != NULL && count == 0)
        yaml_fault(l->report, l->routes, "is empty; add at least one: - { from: SOURCE, to: SINK }");
    if (count == 0)
        return; /* that everything is unused then says nothing new */
    unused_report(l, &sources, "from");
    unused_report(l, &functions, "call");
    unused_report(l, &sinks, "to");
}
