/* cmd_list.c: `weir list`: every kind of source, sink and function that this weir can use, and what it was built
 * without. */
#include <cjson/cJSON.h>

#include "command.h"
#include "print.h"
#include "registry.h"

struct listing {
    struct table table;
    cJSON *kinds; /* with -o json */
};

static void list_kind(void *arg, const char *sort, const char *type, const char *summary,
                      const weir_option *options, const char *where)
{
    struct listing *listing = arg;
    UNUSED(options);
    if (!listing->kinds) {
        table_add(&listing->table, (const char *const[]){sort, type, where, summary});
        return;
    }
    cJSON *kind = cJSON_CreateObject();
    cJSON_AddStringToObject(kind, "sort", sort);
    cJSON_AddStringToObject(kind, "type", type);
    cJSON_AddStringToObject(kind, "where", where);
    cJSON_AddStringToObject(kind, "summary", summary ? summary : "");
    cJSON_AddItemToArray(listing->kinds, kind);
}

bool left_out_next(const char **at, weir_view *name, weir_view *reason)
{
    const char *line = *at;
    size_t length = strcspn(line, "\n"), tab = strcspn(line, "\t\n");
    if (!*line)
        return false;
    *name = view_make(line, tab);
    *reason = view_make(line + size_min(tab + 1, length), length - size_min(tab + 1, length));
    *at = line + length + (line[length] == '\n');
    return true;
}

static void list_left_out(FILE *to)
{
    static const char *const titles[] = {"LEFT OUT", "WHY"};
    struct table table;
    weir_view name, reason;
    table_init(&table, to, titles, ARRAY_COUNT(titles));
    for (const char *at = builtin_left_out; left_out_next(&at, &name, &reason);)
        table_add(&table,
                  (const char *const[]){print_safe(&table.arena, name, 40), print_safe(&table.arena, reason, 200)});
    if (table.rows)
        fputc('\n', to);
    table_fini(&table);
}

static cJSON *left_out_json(void)
{
    cJSON *list = cJSON_CreateArray();
    weir_view name, reason;
    for (const char *at = builtin_left_out; left_out_next(&at, &name, &reason);) {
        cJSON *item = cJSON_CreateObject();
        json_add_bytes(item, "name", name);
        json_add_bytes(item, "why", reason);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static int list_run(struct invocation *invocation)
{
    static const char *const titles[] = {"SORT", "TYPE", "WHERE", "SUMMARY"};
    struct registry *registry = registry_new(NULL);
    if (!registry)
        return invocation_fail(invocation, EXIT_FAILED, "out of memory");
    struct listing listing = {.kinds = invocation->json ? cJSON_CreateArray() : NULL};
    table_init(&listing.table, invocation->out, titles, ARRAY_COUNT(titles));
    registry_each(registry, list_kind, &listing);
    table_fini(&listing.table);
    if (invocation->json) {
        cJSON *document = cJSON_CreateObject();
        cJSON_AddItemToObject(document, "kinds", listing.kinds);
        cJSON_AddItemToObject(document, "left_out", left_out_json());
        json_print(invocation->out, document);
    } else {
        list_left_out(invocation->out);
    }
    registry_free(registry);
    return EXIT_DONE;
}

const struct command command_list = {
    .name = "list",
    .operands = "",
    .summary = "list the kinds of sources, sinks and functions",
    .text = "A kind is built in, or lies in a module that is loaded only when a configuration names it.\n",
    .prints = true,
    .run = list_run,
};
