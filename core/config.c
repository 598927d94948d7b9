/* config.c: a configuration from its file to checked structures.
 *
 * 1. The file and its includes become one tree (config_file.c).
 * 2. The top level is filled in; then sources, functions and sinks with their kinds (config_kinds.c).
 * 3. Routes resolve their names; what no route uses is refused (config_route.c).
 *
 * Every step goes on after a fault, so that all of them are reported at once. */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_private.h"
#include "field.h"

#define ARENA_MAX ((size_t)512 << 20)

void *loading_alloc(struct loading *l, size_t count, size_t size)
{
    void *memory = arena_zalloc(&l->config->arena, size_max(count, 1) * size);

    if (memory == NULL)
        yaml_fault(l->report, NULL, "out of memory");
    return memory;
}

static int64_t workers_default(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > 2 ? (int64_t)size_min((size_t)cores - 1, 1024) : 1;
}

static void top_load(struct loading *l)
{
    struct top_values values = {0};
    struct option_target target = {.rows = top_rows, .state = &values, .arena = &l->config->arena};
    struct config *c = l->config;
    char limit[OPTION_NUMBER_MAX];

    option_fill(&target, l->root, l->report);
    c->store_path = values.store_path;
    c->store_size_max = values.store_size_max;
    c->memory = values.memory;
    c->event_bytes = values.event_bytes;
    c->workers = values.workers > 0 ? values.workers : workers_default();
    c->stop_timeout_us = values.stop_us;
    c->log_level = values.log_level;
    c->log_json = values.log_json;
    if (values.memory != 0 && values.event_bytes > values.memory)
        yaml_fault(l->report, option_node(l->root, "limits.event_bytes"),
                   "an event of that size never fits into limits.memory %s; make one of them fit",
                   option_number(WEIR_OPTION_SIZE, values.memory, limit));
}

/* The first file gives the configuration its name. */
static void loading_run(struct loading *l, const struct config_part *parts, size_t count)
{
    struct config *c = l->config;
    const char *path = "-";

    for (size_t i = count; i-- > 0;)
        if (parts[i].sort == PART_FILE)
            path = parts[i].text;
    c->file = arena_text(&c->arena, view_of(path));
    c->folder = option_path(&c->arena, strcmp(path, "-") == 0 ? "" : path, ".");
    if (c->file == NULL || c->folder == NULL) {
        yaml_fault(l->report, NULL, "out of memory");
        return;
    }
    if (!loading_parts(l, parts, count))
        return;
    top_load(l);
    loading_kinds(l);
    loading_routes(l);
}

int config_load(struct config **config, const char *path, struct registry *registry)
{
    struct config_part part = {.sort = PART_FILE, .text = path};

    return config_load_parts(config, &part, 1, registry);
}

int config_load_parts(struct config **config, const struct config_part *parts, size_t count,
                      struct registry *registry)
{
    struct config *c = calloc(1, sizeof(*c));
    struct loading l = {.config = c, .registry = registry};

    *config = c;
    if (c == NULL)
        return WEIR_NOMEM;
    arena_init(&c->arena, ARENA_MAX);
    l.report = &c->report;
    loading_run(&l, parts, count);
    return c->report.count == 0 ? WEIR_OK : WEIR_INVALID;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->source_count; i++) {
        field_free(config->sources[i].key);
        field_free(config->sources[i].id);
        field_free(config->sources[i].time);
    }
    yaml_report_fini(&config->report);
    arena_fini(&config->arena);
    free(config);
}
