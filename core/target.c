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

/* path, from the folder of the file that names it. */
static const char *path_from(struct arena *arena, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || !slash)
        return arena_text(arena, view_of(path));
    return arena_printf(arena, "%.*s/%s", (int)(slash - file), file, path);
}

static void search_file(struct search *search, const char *file, int depth);

static void search_include(struct search *search, const struct yaml_node *include, int depth)
{
    const struct yaml_node *single[] = {include};
    bool list = include->kind == YAML_SEQUENCE;
    const struct yaml_node **items = list ? include->items : single;
    for (size_t i = 0; i < (list ? include->count : 1) && !search->store; i++) {
        const char *file =
            items[i]->kind == YAML_SCALAR ? path_from(search->arena, items[i]->file, items[i]->text) : NULL;
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

static int target_fault(struct target *target, const char *text)
{
    return invocation_fail(target->invocation, EXIT_CONFIG, "%s", text);
}

static int target_size(struct target *target, const struct yaml_node *size)
{
    struct error error;
    int64_t bytes = 0;
    const char *text = size && size->kind == YAML_SCALAR ? size->text : store_default("size_max");
    if (option_parse_size(text, &bytes, &error) != WEIR_OK)
        return invocation_fail(target->invocation, EXIT_CONFIG, "%s:%d:%d: store.size_max: %s", size->file,
                               size->line, size->column, error.text);
    target->size_max = (uint64_t)bytes;
    return EXIT_DONE;
}

/* The folder need not exist; what of it exists is made absolute by the system. */
static int target_path(struct target *target, const char *path)
{
    char *absolute = path ? realpath(path, NULL) : NULL;
    target->path = absolute ? arena_text(&target->arena, view_of(absolute)) : path;
    free(absolute);
    return target->path ? EXIT_DONE : target_fault(target, "out of memory");
}

static int target_section(struct target *target, const struct search *search)
{
    const struct yaml_node *path = yaml_get(search->store, "path");
    const char *text = store_default("path"), *from = target->file;
    if (path && (path->kind != YAML_SCALAR || !path->size))
        return invocation_fail(target->invocation, EXIT_CONFIG, "%s:%d:%d: store.path is the path of a folder",
                               path->file, path->line, path->column);
    if (path) {
        text = path->text;
        from = path->file;
    }
    int code = target_path(target, path_from(&target->arena, from, text));
    return code == EXIT_DONE ? target_size(target, yaml_get(search->store, "size_max")) : code;
}

int target_find(struct target *target, const struct invocation *invocation, const char *file)
{
    *target = (struct target){.invocation = invocation, .file = file};
    arena_init(&target->arena, 0);
    struct search search = {.arena = &target->arena};
    search_file(&search, file, 0);
    int code = EXIT_DONE;
    /* Without a section the default would do, but not when the file that may hold it could not be read. */
    if (!search.store && search.report.count) {
        fwrite(search.report.text, 1, search.report.size, invocation->err);
        code = target_fault(target, "the store could not be found by this file; `weir check FILE` says more");
    } else {
        code = target_section(target, &search);
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
