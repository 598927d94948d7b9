/* option.c: a mapping into the members of a state, row by row.
 *
 * 1. Each row takes its key's value, or its default; a group goes on with its own rows.
 * 2. Each key that no row and nobody else has is a fault that names the nearest known one.
 *
 * Nothing stops at a fault, so that the user sees all of them at once. */
#include "option.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "field.h"
#include "option_value.h"
#include "template.h"

#define WORD_MAX 64
#define NAMES_MAX 512

struct fill {
    const struct option_target *target;
    struct yaml_report *report;
    const struct yaml_node *root; /* whose file relative defaults start at */
    bool defaults;                /* what is required may be missing */
};

static size_t least(size_t a, size_t b, size_t c)
{
    return size_min(a, size_min(b, c));
}

/* Edits to make b of a: put in, leave out, replace, swap two neighbours. Both are at most WORD_MAX long. */
static size_t word_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1], n = strlen(a), m = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *next = before;

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = size_min(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = next;
    }
    return last[m];
}

const char *option_nearest(const char *word, const char *const *names, size_t count)
{
    size_t best = 4, length = strlen(word);
    const char *nearest = NULL;

    for (size_t i = 0; i < count && length <= WORD_MAX; i++) {
        size_t other = strlen(names[i]), distance;

        if (other > WORD_MAX)
            continue;
        distance = word_distance(word, names[i]);
        if (distance < best && distance * 2 < size_max(length, other)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

/* Goes the first steps of a path, ./ and ../, from a folder that has no links in it; returns what is left. So a
 * path that leaves the folder is as good as any, and `..` in what an event adds to it can be told apart. */
static const char *steps_take(char *folder, const char *path)
{
    for (;;) {
        if (strncmp(path, "./", 2) == 0) {
            path += 2;
        } else if (strncmp(path, "../", 3) == 0 && folder[0] == '/') {
            char *slash = strrchr(folder, '/');
            slash[slash == folder] = '\0';
            path += 3;
        } else {
            return path;
        }
    }
}

const char *option_path(struct arena *arena, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    char folder[PATH_MAX], real[PATH_MAX];

    if (path[0] == '/')
        return arena_text(arena, view_of(path));
    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - file) + 1 : 1,
             slash != NULL ? file : ".");
    if (realpath(folder, real) == NULL)
        snprintf(real, sizeof(real), "%s", folder);
    path = steps_take(real, path);
    if (strcmp(path, ".") == 0)
        return arena_text(arena, view_of(real));
    if (strcmp(real, "/") == 0)
        return arena_printf(arena, "/%s", path);
    return arena_printf(arena, "%s/%s", real, path);
}

const struct yaml_node *option_node(const struct yaml_node *mapping, const char *path)
{
    const struct yaml_node *node = mapping;

    while (node != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        const struct yaml_node *next = node->kind == YAML_MAPPING ? yaml_get(node, path) : NULL;

        if (next != NULL) /* a name of a MAP may have dots in it */
            return next;

        for (size_t i = 0; node->kind == YAML_MAPPING && i < node->count; i++)
            if (strncmp(node->keys[i]->text, path, length) == 0 && node->keys[i]->text[length] == '\0')
                next = node->items[i];
        if (next == NULL)
            return node;
        node = next;
        path += length + (path[length] == '.');
    }
    return node;
}

static const weir_option *row_find(const weir_option *rows, const char *name)
{
    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static bool list_has(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* A key that nobody knows. */
static void key_refuse(struct yaml_report *report, const struct yaml_node *key, const weir_option *rows,
                       const char *const *skip)
{
    const char *names[NAMES_MAX + 1], *nearest;
    size_t count = 0;
    char known[700];

    for (const weir_option *row = rows; row != NULL && row->name != NULL && count < NAMES_MAX; row++)
        names[count++] = row->name;
    for (; skip != NULL && *skip != NULL && count < NAMES_MAX; skip++)
        if (row_find(rows, *skip) == NULL)
            names[count++] = *skip;
    names[count] = NULL;
    nearest = option_nearest(key->text, names, count);
    option_names(names, ", ", known, sizeof(known));
    if (nearest != NULL)
        yaml_fault(report, key, "unknown key; did you mean %s?", nearest);
    else if (count > 0)
        yaml_fault(report, key, "unknown key; known here: %s", known);
    else
        yaml_fault(report, key, "unknown key; there are no options here");
}

static void keys_check(const struct fill *fill, const weir_option *rows, const struct yaml_node *mapping, bool top)
{
    const char *const *skip = top ? fill->target->skip : NULL;

    if (top && fill->target->partial)
        return;
    for (size_t i = 0; i < mapping->count; i++)
        if (row_find(rows, mapping->keys[i]->text) == NULL && !list_has(skip, mapping->keys[i]->text))
            key_refuse(fill->report, mapping->keys[i], rows, skip);
}

/* Cuts "[a, b]" into the items of a list node; any other text stands for itself. */
static void default_list(const struct fill *fill, struct yaml_node *node)
{
    struct yaml_node *item;
    char *at;

    if (node->text[0] != '[')
        return;
    at = arena_text(fill->target->arena, view_make(node->text + 1, node->size - 1));
    node->items = arena_alloc(fill->target->arena, (node->size + 1) * sizeof(*node->items));
    node->kind = YAML_SEQUENCE;
    while (at != NULL && node->items != NULL && *(at += strspn(at, ", ]")) != '\0') {
        item = arena_zalloc(fill->target->arena, sizeof(*item));
        if (item == NULL)
            return;
        *item = (struct yaml_node){.file = node->file, .text = at, .size = strcspn(at, ",]")};
        at += item->size + (at[item->size] != '\0');
        at[-1] = '\0';
        node->items[node->count++] = item;
    }
}

static void default_fill(const struct fill *fill, const weir_option *row)
{
    struct yaml_node node = {.kind = YAML_SCALAR, .plain = true, .file = fill->target->file};
    struct option_slot slot = {row, &node, (char *)fill->target->state + row->offset, fill->target->arena,
                               fill->report};

    if (row->fallback == NULL)
        return;
    if (fill->root != NULL)
        node = (struct yaml_node){.plain = true,
                                  .file = fill->root->file,
                                  .line = fill->root->line,
                                  .column = fill->root->column,
                                  .parent = fill->root->parent,
                                  .key = fill->root->key,
                                  .index = fill->root->index};
    if (node.file == NULL)
        node.file = "";
    node.text = row->fallback;
    node.size = strlen(row->fallback);
    if (row->type == WEIR_OPTION_LIST)
        default_list(fill, &node);
    option_value(&slot);
}

static void rows_fill(const struct fill *fill, const weir_option *rows, const struct yaml_node *mapping, bool top);

static void group_fill(const struct fill *fill, const weir_option *row, const struct yaml_node *node)
{
    int64_t *present = (int64_t *)(void *)((char *)fill->target->state + row->offset);
    bool truth = (row->flags & WEIR_OPTION_TRUE_OK) != 0;
    const char *word = node == NULL ? row->fallback : node->kind == YAML_SCALAR && node->plain ? node->text : NULL;

    *present = 0;
    if (node != NULL && (node->kind == YAML_MAPPING || row->rows == NULL)) {
        *present = 1;
        rows_fill(fill, row->rows, row->rows != NULL ? node : NULL, false);
        return;
    }
    if (truth && word != NULL && strcmp(word, "true") == 0)
        *present = 1;
    else if (node != NULL && !(truth && word != NULL && strcmp(word, "false") == 0))
        yaml_fault(fill->report, node, "is no mapping; expected %s{ key: value, ... }",
                   truth ? "true, false or " : "");
    rows_fill(fill, row->rows, NULL, false);
}

/* mapping NULL: only defaults; what is required is asked for at the top, or in a group that is there. */
static void rows_fill(const struct fill *fill, const weir_option *rows, const struct yaml_node *mapping, bool top)
{
    const struct yaml_node *at = mapping != NULL ? mapping : fill->root;

    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        const struct yaml_node *node = yaml_get(mapping, row->name);
        struct option_slot slot = {row, node, (char *)fill->target->state + row->offset, fill->target->arena,
                                   fill->report};

        if (row->type == WEIR_OPTION_GROUP)
            group_fill(fill, row, node);
        else if (node != NULL)
            option_value(&slot);
        else
            default_fill(fill, row);
        if (node == NULL && (row->flags & WEIR_OPTION_REQUIRED) != 0 && (mapping != NULL || top) && !fill->defaults)
            yaml_fault(fill->report, at, "`%s` is missing; add it: %s", row->name, row->help);
    }
    if (mapping != NULL)
        keys_check(fill, rows, mapping, top);
}

int option_fill(const struct option_target *target, const struct yaml_node *node, struct yaml_report *report)
{
    struct fill fill = {target, report, node, false};
    size_t before = report->count;

    if (node != NULL && node->kind != YAML_MAPPING && !yaml_is_null(node)) {
        yaml_fault(report, node, "is no mapping; expected { key: value, ... }");
        return WEIR_INVALID;
    }
    rows_fill(&fill, target->rows, node != NULL && node->kind == YAML_MAPPING ? node : NULL, true);
    return report->count == before ? WEIR_OK : WEIR_INVALID;
}

int option_defaults(const struct option_target *target, struct yaml_report *report)
{
    struct fill fill = {target, report, NULL, true};
    size_t before = report->count;

    rows_fill(&fill, target->rows, NULL, true);
    return report->count == before ? WEIR_OK : WEIR_INVALID;
}

void option_release(const weir_option *rows, void *state)
{
    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        void **member = (void **)(void *)((char *)state + row->offset);

        if (row->type == WEIR_OPTION_GROUP)
            option_release(row->rows, state);
        if (row->type != WEIR_OPTION_TEMPLATE && row->type != WEIR_OPTION_FIELD)
            continue;
        if (row->type == WEIR_OPTION_TEMPLATE)
            template_free(*member);
        else
            field_free(*member);
        *member = NULL;
    }
}
