/* module_check.c: whether a table of operations can be trusted with the core's calls.
 *
 * Looks at the name, the flags, the slots that must be there, and every option row: its name and type, that its
 * member lies inside the state, and that its default is a value it would accept. */
#include <stdlib.h>

#include "module.h"
#include "option.h"

#define STATE_MAX ((size_t)64 << 20)
#define ROWS_MAX 256
#define ROWS_DEPTH_MAX 8

static bool name_valid(const char *name)
{
    size_t n = 0;

    if (name == NULL)
        return false;
    for (; n <= 64 && name[n] != '\0'; n++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", name[n]) == NULL)
            return false;
    return n > 0 && n <= 64;
}

static size_t member_size(uint32_t type)
{
    switch (type) {
    case WEIR_OPTION_RANGE:
        return sizeof(weir_range);
    case WEIR_OPTION_LIST:
        return sizeof(weir_list);
    case WEIR_OPTION_MAP:
        return sizeof(weir_map);
    case WEIR_OPTION_BOOL:
    case WEIR_OPTION_INT:
    case WEIR_OPTION_SIZE:
    case WEIR_OPTION_DURATION:
    case WEIR_OPTION_RATE:
    case WEIR_OPTION_CHOICE:
    case WEIR_OPTION_GROUP:
        return sizeof(int64_t);
    default:
        return sizeof(void *);
    }
}

static const char *row_fault(const weir_option *row, size_t state_size)
{
    size_t size = member_size(row->type);

    if (!name_valid(row->name))
        return "its name is not 1 to 64 letters, digits, - or _";
    if (row->help == NULL)
        return "it has no help";
    if (row->type > WEIR_OPTION_MAP)
        return "its type is unknown to this weir";
    if ((row->flags & ~(uint32_t)(WEIR_OPTION_REQUIRED | WEIR_OPTION_TRUE_OK | WEIR_OPTION_IS_PATH)) != 0)
        return "it has a flag that is unknown to this weir";
    if (row->offset % sizeof(void *) != 0 || row->offset > state_size || size > state_size - row->offset)
        return "its member does not lie in the state";
    if (row->type == WEIR_OPTION_CHOICE && (row->choices == NULL || row->choices[0] == NULL))
        return "it is a choice of nothing";
    if (row->type == WEIR_OPTION_GROUP && row->rows == NULL)
        return "it is a group without rows";
    if (row->min > row->max)
        return "its least value is above its greatest";
    return NULL;
}

static int rows_check(const weir_option *rows, size_t state_size, int depth, struct error *error)
{
    size_t count = 0;

    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        const char *fault = row_fault(row, state_size);

        if (fault != NULL || ++count > ROWS_MAX || depth > ROWS_DEPTH_MAX)
            return error_set(error, WEIR_INVALID, "option %.64s: %s", row->name,
                             fault != NULL ? fault : "too many options, or groups too deep");
        for (const weir_option *other = rows; other < row; other++)
            if (strcmp(other->name, row->name) == 0)
                return error_set(error, WEIR_INVALID, "option %.64s: is there twice", row->name);
        if (row->type == WEIR_OPTION_GROUP && rows_check(row->rows, state_size, depth + 1, error) != WEIR_OK) {
            error_prefix(error, "in %.64s", row->name);
            return WEIR_INVALID;
        }
    }
    return WEIR_OK;
}

/* Fills a state with nothing but defaults. */
static int defaults_check(const weir_option *rows, size_t state_size, struct error *error)
{
    struct option_target target = {.rows = rows, .state = calloc(1, state_size + 1)};
    struct yaml_report report = {0};
    struct arena arena;
    int result = WEIR_OK;

    if (target.state == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    arena_init(&arena, 0);
    target.arena = &arena;
    if (option_defaults(&target, &report) != WEIR_OK) {
        const char *text = report.text != NULL ? report.text : "out of memory";

        result = error_set(error, WEIR_INVALID, "a default is wrong: %.*s", (int)strcspn(text, "\n"), text);
    }
    option_release(rows, target.state);
    arena_fini(&arena);
    yaml_report_fini(&report);
    free(target.state);
    return result;
}

struct table {
    const char *sort, *type, *summary;
    const weir_option *options;
    size_t state_size;
    uint32_t flags, known, reserved;
    bool slots;
};

static int table_check(const struct table *t, struct error *error)
{
    if (!name_valid(t->type))
        return error_set(error, WEIR_INVALID, "a %s has a type that is not 1 to 64 letters, digits, - or _",
                         t->sort);
    if (t->summary == NULL)
        error_set(error, WEIR_INVALID, "has no summary");
    else if ((t->flags & ~t->known) != 0 || t->reserved != 0)
        error_set(error, WEIR_INVALID, "has flags that this weir does not know; use a newer weir");
    else if (!t->slots)
        error_set(error, WEIR_INVALID, "lacks an operation that every %s must have", t->sort);
    else if (t->state_size > STATE_MAX)
        error_set(error, WEIR_INVALID, "has a state of more than 64MiB");
    else if (rows_check(t->options, t->state_size, 0, error) == WEIR_OK &&
             defaults_check(t->options, t->state_size, error) == WEIR_OK)
        return WEIR_OK;
    error_prefix(error, "%s %s", t->sort, t->type);
    return WEIR_INVALID;
}

int module_check_source(const weir_source_ops *ops, struct error *error)
{
    struct table table = {.sort = "source",
                          .type = ops->type,
                          .summary = ops->summary,
                          .options = ops->options,
                          .state_size = ops->state_size,
                          .flags = ops->flags,
                          .known = WEIR_SOURCE_REPLAYS | WEIR_SOURCE_KEEPS_POSITION | WEIR_SOURCE_FROM_ZERO,
                          .reserved = ops->reserved};

    table.slots = ops->init != NULL && ops->start != NULL && ops->want != NULL && ops->settle != NULL &&
                  ops->stop != NULL && ops->fini != NULL;
    return table_check(&table, error);
}

int module_check_sink(const weir_sink_ops *ops, struct error *error)
{
    struct table table = {.sort = "sink",
                          .type = ops->type,
                          .summary = ops->summary,
                          .options = ops->options,
                          .state_size = ops->state_size,
                          .flags = ops->flags,
                          .known = WEIR_SINK_ORDERED};

    table.slots =
        ops->init != NULL && ops->start != NULL && ops->write != NULL && ops->stop != NULL && ops->fini != NULL;
    return table_check(&table, error);
}

int module_check_function(const weir_function_ops *ops, struct error *error)
{
    struct table table = {.sort = "function",
                          .type = ops->type,
                          .summary = ops->summary,
                          .options = ops->options,
                          .state_size = ops->state_size,
                          .flags = ops->flags,
                          .known = WEIR_FUNCTION_STATE | WEIR_FUNCTION_CHEAP,
                          .reserved = ops->reserved,
                          .slots = ops->call != NULL};

    return table_check(&table, error);
}
