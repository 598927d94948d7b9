/* yaml_report.c: faults of a configuration, collected for people.
 *
 * 1. yaml_fault writes one line: place, way through the tree, message.
 * 2. The line goes to its place among the others; past the bound the last one leaves.
 * 3. The text is put together anew, so that it can be shown at any time.
 *
 * Out of memory while collecting: the fault is still counted, so the configuration is still refused. */
#include "yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"

#define LINE_MAX_BYTES 1000
#define WAY_DEPTH_MAX 80

struct yaml_line {
    const char *file;
    int line, column;
    char *text;
};

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0)
            return mapping->items[i];
    return NULL;
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (node->size == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

/* The longest prefix of at most `max` bytes that ends between two characters. */
static size_t prefix_length(const char *text, size_t size, size_t max)
{
    if (size <= max)
        return size;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

const char *yaml_shown(const struct yaml_node *scalar, char buffer[YAML_SHOWN_MAX])
{
    size_t length = prefix_length(scalar->text, scalar->size, 60);

    snprintf(buffer, YAML_SHOWN_MAX, "\"%.*s%s\"", (int)length, scalar->text, length < scalar->size ? "..." : "");
    return buffer;
}

/* One step of the way: "/qos", "[2]", or for a route "/hot-meters". */
static void way_step(FILE *to, const struct yaml_node *node, bool first)
{
    const struct yaml_node *name;

    if (node->key != NULL) {
        fprintf(to, "%s%.*s", first ? "" : "/", (int)prefix_length(node->key->text, node->key->size, 80),
                node->key->text);
        return;
    }
    name = yaml_get(node, "name");
    if (name != NULL && name->kind == YAML_SCALAR && name->size > 0)
        fprintf(to, "/%.*s", (int)prefix_length(name->text, name->size, 80), name->text);
    else
        fprintf(to, "[%zu]", node->index);
}

static void way_write(FILE *to, const struct yaml_node *at)
{
    const struct yaml_node *way[WAY_DEPTH_MAX];
    size_t depth = 0;

    for (const struct yaml_node *n = at; n->parent != NULL && depth < WAY_DEPTH_MAX; n = n->parent)
        way[depth++] = n;
    if (depth == 0)
        return;
    for (size_t i = depth; i-- > 0;)
        way_step(to, way[i], i + 1 == depth);
    fputs(": ", to);
}

/* Cuts at the bound and takes out what would break the line. */
static void line_clean(char *text)
{
    size_t length = strlen(text);

    if (length > LINE_MAX_BYTES) {
        length = prefix_length(text, length, LINE_MAX_BYTES - 3);
        memcpy(text + length, "...", 4);
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static char *line_text(const struct yaml_node *at, const char *format, va_list args)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL)
        return NULL;
    if (at != NULL && at->line > 0)
        fprintf(to, "%s:%d:%d: ", at->file, at->line, at->column);
    else if (at != NULL && at->file[0] != '\0')
        fprintf(to, "%s: ", at->file);
    if (at != NULL)
        way_write(to, at);
    vfprintf(to, format, args);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    line_clean(text);
    return text;
}

static bool line_before(const struct yaml_line *a, const struct yaml_line *b)
{
    CHECK(a->file && b->file);
    int files = strcmp(a->file, b->file);

    if (files != 0)
        return files < 0;
    if (a->line != b->line)
        return a->line < b->line;
    return a->column < b->column;
}

static bool report_insert(struct yaml_report *report, struct yaml_line line)
{
    size_t at = report->kept;

    if (report->lines == NULL)
        report->lines = calloc(YAML_FAULTS_MAX + 1, sizeof(*report->lines));
    if (report->lines == NULL)
        return false;
    for (; at > 0 && line_before(&line, &report->lines[at - 1]); at--)
        report->lines[at] = report->lines[at - 1];
    report->lines[at] = line;
    if (++report->kept > YAML_FAULTS_MAX)
        free(report->lines[--report->kept].text);
    return true;
}

static void report_rebuild(struct yaml_report *report)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL)
        return;
    for (size_t i = 0; i < report->kept; i++)
        fprintf(to, "%s\n", report->lines[i].text);
    if (report->count > report->kept)
        fprintf(to, "and %zu more\n", report->count - report->kept);
    if (fclose(to) != 0) {
        free(text);
        return;
    }
    free(report->text);
    report->text = text;
    report->size = size;
}

void yaml_fault(struct yaml_report *report, const struct yaml_node *at, const char *format, ...)
{
    struct yaml_line line = {at != NULL ? at->file : "", at != NULL ? at->line : 0, at != NULL ? at->column : 0,
                             NULL};
    va_list args;

    if (at != NULL && at->bad)
        return;
    va_start(args, format);
    line.text = line_text(at, format, args);
    va_end(args);
    report->count++;
    if (line.text == NULL || !report_insert(report, line))
        free(line.text);
    report_rebuild(report);
}

void yaml_report_fini(struct yaml_report *report)
{
    for (size_t i = 0; i < report->kept; i++)
        free(report->lines[i].text);
    free(report->lines);
    free(report->text);
    memset(report, 0, sizeof(*report));
}
