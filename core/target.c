/* target.c: see target.h.
 *
 * Fails: EXIT_CONFIG when the file cannot be read or its store section is wrong; EXIT_STORE when there is no store
 * there, or it cannot be opened. */
#include "target.h"

#include <stdlib.h>

#include "config.h"

#define INCLUDE_DEPTH_MAX 16

/* Where the search through a file and its includes stands. */
struct search {
    struct arena *arena;
    struct yaml_report report;
    const struct yaml_node *store; /* the section, once found */
    size_t files;
};

static const char *store_default(const char *option)
{
    for (const struct config_section *section = config_sections; section->name; section++)
        for (const weir_option *row = section->rows; !strcmp(section->name, "store") && row->name; row++)
            if (!strcmp(row->name, option))
                return row->fallback;
    CHECK(!"the store section has no such row");
    return NULL;
}

static void search_file(struct search *search, const char *file, int depth);

static void search_include(struct search *search, const struct yaml_node *include, int depth)
{
    const struct yaml_node *single[] = {include};
    bool list = include->kind == YAML_SEQUENCE;
    const struct yaml_node **items = list ? include->items : single;
    for (size_t i = 0; i < (list ? include->count : 1) && !search->store; i++) {
        const char *file = items[i]->kind == YAML_SCALAR && items[i]->size
                               ? option_path(search->arena, items[i]->file, items[i]->text)
                               : NULL;
        if (file)
            search_file(search, file, depth + 1);
    }
}

static void search_file(struct search *search, const char *file, int depth)
{
    const struct yaml_node *root = NULL;
    if (depth > INCLUDE_DEPTH_MAX || ++search->files > 64)
        return;
    yaml_load(file, search->arena, &root, &search->report);
    search->store = yaml_get(root, "store");
    const struct yaml_node *include = yaml_get(root, "include");
    if (!search->store && include)
        search_include(search, include, depth);
}

static int target_size(struct target *target, const struct yaml_node *size)
{
    struct error error;
    int64_t bytes = 0;
    const char *text = size && size->kind == YAML_SCALAR ? size->text : store_default("size_max");
    if (option_parse_size(text, &bytes, &error) != WEIR_OK)
        return invocation_fail(target->invocation, EXIT_CONFIG, "%s: store.size_max: %s", target->file, error.text);
    target->size_max = (uint64_t)bytes;
    return EXIT_DONE;
}

static int target_section(struct target *target, const struct yaml_node *store)
{
    const struct yaml_node *path = yaml_get(store, "path");
    if (path && (path->kind != YAML_SCALAR || !path->size))
        return invocation_fail(target->invocation, EXIT_CONFIG, "%s:%d:%d: store.path is the path of a folder",
                               path->file, path->line, path->column);
    target->path =
        option_path(&target->arena, path ? path->file : target->file, path ? path->text : store_default("path"));
    if (!target->path)
        return invocation_fail(target->invocation, EXIT_FAILED, "out of memory");
    return target_size(target, yaml_get(store, "size_max"));
}

/* Faults elsewhere do not matter. But they do when what they hide may be the section, or its path. */
static bool store_known(const struct search *search)
{
    const struct yaml_node *path = yaml_get(search->store, "path");
    return !search->report.count || (search->store && !(path && path->bad));
}

int target_find(struct target *target, const struct invocation *invocation, const char *file)
{
    *target = (struct target){.invocation = invocation, .file = file};
    arena_init(&target->arena, 0);
    struct search search = {.arena = &target->arena};
    int code;
    search_file(&search, file, 0);
    if (store_known(&search)) {
        code = target_section(target, search.store);
    } else {
        fwrite(search.report.text, 1, search.report.size, invocation->err);
        code = invocation_fail(invocation, EXIT_CONFIG,
                               "%s does not say where the store is; `weir check %s` says more", file, file);
    }
    yaml_report_fini(&search.report);
    return code;
}

int target_open(struct target *target, bool write)
{
    struct error error = {0};
    struct store_options options = {.path = target->path, .size_max = target->size_max, .read_only = !write};
    int result = store_open(&target->store, &options, NULL, &error);
    if (result == WEIR_MISSING)
        return invocation_fail(target->invocation, EXIT_STORE,
                               "there is no store in %s: the first `weir run %s` makes one", target->path,
                               target->file);
    if (result != WEIR_OK)
        return invocation_fail(target->invocation, result == WEIR_NOMEM ? EXIT_FAILED : EXIT_STORE, "%s",
                               error.text);
    target->reader = store_reader_new(target->store);
    target->out = open_memstream(&target->text, &target->text_size);
    if (!target->reader || !target->out)
        return invocation_fail(target->invocation, EXIT_FAILED, "out of memory");
    return EXIT_DONE;
}

void target_flush(struct target *target)
{
    fflush(target->out);
    fwrite(target->text, 1, target->text_size, target->invocation->out);
    rewind(target->out);
}

void target_fini(struct target *target)
{
    if (target->reader)
        store_reader_free(target->reader);
    if (target->store)
        store_close(target->store);
    if (target->out)
        fclose(target->out);
    free(target->text);
    arena_fini(&target->arena);
}
