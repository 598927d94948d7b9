/* yaml_tree.c: a YAML file as a tree.
 *
 * 1. The whole file is read, at most 1 MiB.
 * 2. Its text is checked: UTF-8, no control characters, so that such a fault has a line and a column.
 * 3. libyaml's events become nodes, depth first; the children of what is open wait on a stack.
 * 4. Variables are expanded in values (never in keys), and keys are compared.
 *
 * Fails by what cannot be read, by a syntax error (the first one ends the reading), by an anchor, alias, tag or
 * second document, and by every bound: size, depth, nodes, memory. */
#include "yaml_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base.h"

#define FILE_MAX ((size_t)1 << 20)
#define DEPTH_MAX 64
#define NODES_MAX 100000

struct loader {
    const char *file;
    struct arena *arena;
    struct yaml_report *report;
    yaml_parser_t parser;
    const char *text; /* of the file, checked */
    size_t size;
    struct yaml_node **stack; /* children of open collections, oldest first */
    size_t stack_count, stack_room;
    const struct yaml_node *parent, *key; /* of the node that comes next */
    size_t index;
    size_t nodes, depth;
    bool complete; /* the root is at the bottom of the stack */
};

static struct yaml_node place(const struct loader *loader, size_t line, size_t column)
{
    struct yaml_node node = {.file = loader->file, .line = (int)line + 1, .column = (int)column + 1, .text = ""};

    return node;
}

static void loader_fault(struct loader *loader, yaml_mark_t mark, const char *what)
{
    struct yaml_node at = place(loader, mark.line, mark.column);

    yaml_fault(loader->report, &at, "%s", what);
}

/* Length of the character at `at` if YAML allows it, or 0. */
static size_t character_length(const char *at, const char *end)
{
    const unsigned char *c = (const unsigned char *)at;
    size_t n = utf8_length(at, end);

    if (n == 1 && ((c[0] < 0x20 && c[0] != '\t' && c[0] != '\n' && c[0] != '\r') || c[0] == 0x7f))
        return 0;
    if (n == 2 && c[0] == 0xc2 && c[1] < 0xa0 && c[1] != 0x85)
        return 0;
    /* A byte order mark, and the two that are no characters. */
    if (n == 3 && (memcmp(at, "\xef\xbb\xbf", 3) == 0 || (c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe)))
        return 0;
    return n;
}

static bool text_check(struct loader *loader, const char *text, size_t size)
{
    size_t line = 0, column = 0, n;

    for (size_t i = 0; i < size; i += n) {
        n = character_length(text + i, text + size);
        if (n == 0) {
            struct yaml_node at = place(loader, line, column);

            yaml_fault(loader->report, &at,
                       "byte 0x%02x is no text; save the file as UTF-8 without control characters",
                       (unsigned char)text[i]);
            return false;
        }
        column = text[i] == '\n' ? 0 : column + 1;
        line += text[i] == '\n';
    }
    return true;
}

/* Reads to the end or to one byte past the bound; returns the size or -1 with errno. */
static ssize_t read_all(int fd, char *buffer, size_t room)
{
    size_t size = 0;

    while (size < room) {
        ssize_t n = read(fd, buffer + size, room - size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    return (ssize_t)size;
}

static int file_open(const char *path)
{
    struct stat info;
    int fd;

    if (strcmp(path, "-") == 0)
        return dup(STDIN_FILENO);
    /* O_NONBLOCK: opening a pipe that nobody writes must not hang. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &info) != 0 || S_ISDIR(info.st_mode))) {
        close(fd);
        errno = EISDIR;
        return -1;
    }
    return fd;
}

static char *file_read(struct loader *loader, const char *path, size_t *size)
{
    struct yaml_node at = place(loader, 0, 0);
    int fd = file_open(path);
    char *buffer = malloc(FILE_MAX + 1);
    ssize_t n = fd >= 0 && buffer != NULL ? read_all(fd, buffer, FILE_MAX + 1) : -1;

    if (n < 0)
        yaml_fault(loader->report, &at, "cannot be read: %s; check the path and its permissions", strerror(errno));
    else if ((size_t)n > FILE_MAX)
        yaml_fault(loader->report, &at, "is larger than 1MiB; split it with `include`");
    if (fd >= 0)
        close(fd);
    if (n < 0 || (size_t)n > FILE_MAX) {
        free(buffer);
        return NULL;
    }
    *size = (size_t)n;
    return buffer;
}

/* The first byte of a character; a mark of libyaml counts characters. */
static char character_at(const struct loader *loader, size_t index)
{
    const char *at = loader->text, *end = loader->text + loader->size;

    while (index-- > 0 && at < end)
        at += utf8_length(at, end);
    return at < end ? *at : '\0';
}

static bool loader_next(struct loader *loader, yaml_event_t *event)
{
    yaml_parser_t *parser = &loader->parser;
    struct yaml_node at;

    if (yaml_parser_parse(parser, event))
        return true;
    at = place(loader, parser->problem_mark.line, parser->problem_mark.column);
    if (parser->error == YAML_MEMORY_ERROR)
        yaml_fault(loader->report, &at, "out of memory");
    else if (character_at(loader, parser->problem_mark.index) == '\t')
        yaml_fault(loader->report, &at, "YAML syntax: a tab cannot stand here; indent with spaces");
    else if (parser->context != NULL)
        yaml_fault(loader->report, &at, "YAML syntax: %s (%s that began on line %zu)", parser->problem,
                   parser->context, parser->context_mark.line + 1);
    else
        yaml_fault(loader->report, &at, "YAML syntax: %s",
                   parser->problem != NULL ? parser->problem : "unreadable");
    return false;
}

static bool stack_push(struct loader *loader, struct yaml_node *node)
{
    if (loader->stack_count == loader->stack_room) {
        size_t room = loader->stack_room * 2 + 64;
        struct yaml_node **stack = realloc(loader->stack, room * sizeof(*stack));

        if (stack == NULL)
            return false;
        loader->stack = stack;
        loader->stack_room = room;
    }
    loader->stack[loader->stack_count++] = node;
    return true;
}

static struct yaml_node *node_new(struct loader *loader, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *node;

    if (++loader->nodes > NODES_MAX) {
        loader_fault(loader, mark, "more than 100000 values; split the file with `include`");
        return NULL;
    }
    node = arena_zalloc(loader->arena, sizeof(*node));
    if (node == NULL || !stack_push(loader, node)) {
        loader_fault(loader, mark, "out of memory");
        return NULL;
    }
    *node = place(loader, mark.line, mark.column);
    node->kind = kind;
    node->parent = loader->parent;
    node->key = loader->key;
    node->index = loader->index;
    return node;
}

static int key_compare(const void *a, const void *b)
{
    const struct yaml_node *x = *(const struct yaml_node *const *)a, *y = *(const struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);

    if (order != 0)
        return order;
    return x->line != y->line ? (x->line > y->line ? 1 : -1) : (x->column > y->column) - (x->column < y->column);
}

/* Sorts a copy, so that a mapping of any size costs n log n. */
static bool keys_check(struct loader *loader, const struct yaml_node *mapping)
{
    const struct yaml_node **sorted = malloc((mapping->count + 1) * sizeof(*sorted));

    if (sorted == NULL)
        return false;
    memcpy(sorted, mapping->keys, mapping->count * sizeof(*sorted));
    qsort(sorted, mapping->count, sizeof(*sorted), key_compare);
    for (size_t i = 1; i < mapping->count; i++)
        if (strcmp(sorted[i]->text, sorted[i - 1]->text) == 0)
            yaml_fault(loader->report, sorted[i], "is there twice, first on line %d; remove one of the two",
                       sorted[i - 1]->line);
    free(sorted);
    return true;
}

static void mapping_take(struct yaml_node *mapping, struct yaml_node **children)
{
    for (size_t i = 0; i < mapping->count; i++) {
        mapping->keys[i] = children[2 * i];
        mapping->items[i] = children[2 * i + 1];
        children[2 * i]->key = children[2 * i]; /* so that a fault at the key shows the way to it */
    }
}

/* The collection's children are on the stack from `base` on. */
static bool collection_close(struct loader *loader, struct yaml_node *node, size_t base)
{
    struct yaml_node **children = loader->stack + base;
    size_t count = loader->stack_count - base;

    node->count = node->kind == YAML_MAPPING ? count / 2 : count;
    node->items = arena_alloc(loader->arena, (node->count + 1) * sizeof(*node->items));
    if (node->kind == YAML_MAPPING)
        node->keys = arena_alloc(loader->arena, (node->count + 1) * sizeof(*node->keys));
    loader->stack_count = base;
    if (loader->arena->overflow)
        return false;
    if (node->kind == YAML_MAPPING) {
        mapping_take(node, children);
        return keys_check(loader, node);
    }
    for (size_t i = 0; i < count; i++)
        node->items[i] = children[i];
    return true;
}

/* value: not a key, so variables are expanded. */
static bool scalar_load(struct loader *loader, const yaml_event_t *event, bool value)
{
    struct yaml_node *node = node_new(loader, YAML_SCALAR, event->start_mark);
    weir_view text = view_make(event->data.scalar.value, event->data.scalar.length);
    struct error error;

    if (node == NULL)
        return false;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (event->data.scalar.tag != NULL)
        yaml_fault(loader->report, node, "tags (!name) mean nothing here; remove the tag");
    if (memchr(text.data, '\0', text.size) != NULL) {
        yaml_fault(loader->report, node, "a text cannot hold a NUL character; remove \\0");
        text.size = strlen(text.data);
    }
    node->text = value ? yaml_expand(text, loader->arena, &error) : arena_text(loader->arena, text);
    if (node->text == NULL) {
        yaml_fault(loader->report, node, "%s", value ? error.text : "out of memory");
        node->text = "";
        node->bad = true;
    }
    node->size = strlen(node->text);
    return true;
}

static bool node_load(struct loader *loader, const yaml_event_t *event, bool value);

static bool children_load(struct loader *loader, struct yaml_node *node, yaml_event_type_t end)
{
    size_t base = loader->stack_count;
    bool ok = true, done = false;

    while (ok && !done) {
        size_t count = loader->stack_count - base;
        bool key = node->kind == YAML_MAPPING && count % 2 == 0;
        yaml_event_t event;

        loader->parent = node;
        loader->key = node->kind == YAML_MAPPING && !key ? loader->stack[loader->stack_count - 1] : NULL;
        loader->index = count;

        if (!loader_next(loader, &event))
            return false;
        done = event.type == end;
        if (!done && key && event.type != YAML_SCALAR_EVENT && event.type != YAML_ALIAS_EVENT) {
            loader_fault(loader, event.start_mark,
                         "a key must be a plain word; put quotes around text with { or [");
            ok = false;
        }
        ok = ok && (done || node_load(loader, &event, !key));
        yaml_event_delete(&event);
    }
    return ok && collection_close(loader, node, base);
}

static bool collection_load(struct loader *loader, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    struct yaml_node *node = node_new(loader, mapping ? YAML_MAPPING : YAML_SEQUENCE, event->start_mark);
    bool ok;

    if (node == NULL)
        return false;
    if ((mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag) != NULL)
        yaml_fault(loader->report, node, "tags (!name) mean nothing here; remove the tag");
    if (++loader->depth > DEPTH_MAX) {
        loader_fault(loader, event->start_mark, "nested more than 64 deep");
        return false;
    }
    ok = children_load(loader, node, mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT);
    loader->depth--;
    return ok;
}

static const yaml_char_t *event_anchor(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    default:
        return NULL;
    }
}

static bool node_load(struct loader *loader, const yaml_event_t *event, bool value)
{
    if (event->type == YAML_ALIAS_EVENT || event_anchor(event) != NULL) {
        loader_fault(loader, event->start_mark,
                     "anchors and aliases (&name, *name) are not allowed; write the value out");
        return false;
    }
    if (event->type == YAML_SCALAR_EVENT)
        return scalar_load(loader, event, value);
    return collection_load(loader, event);
}

/* The first document's root is on the stack afterwards, if there is one; a second document is a fault. */
static bool documents_load(struct loader *loader)
{
    bool ok = true, end = false;

    while (ok && !end) {
        yaml_event_t event;

        if (!loader_next(loader, &event))
            return false;
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && loader->stack_count > 0) {
            loader_fault(loader, event.start_mark, "a second document begins here; one file holds one");
            ok = false;
        } else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT ||
                   event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT) {
            ok = node_load(loader, &event, true);
        }
        yaml_event_delete(&event);
    }
    return ok;
}

static void tree_load(struct loader *loader, const char *text, size_t size)
{
    struct yaml_node empty = place(loader, 0, 0);

    if (!yaml_parser_initialize(&loader->parser)) {
        yaml_fault(loader->report, &empty, "out of memory");
        return;
    }
    loader->text = text;
    loader->size = size;
    yaml_parser_set_encoding(&loader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&loader->parser, (const unsigned char *)text, size);
    loader->complete = documents_load(loader);
    if (loader->complete && (loader->stack_count == 0 || yaml_is_null(loader->stack[0]))) {
        loader->complete = false;
        yaml_fault(loader->report, &empty, "the file is empty; write a section into it, at least `routes:`");
    }
    yaml_parser_delete(&loader->parser);
}

/* text: NULL after a fault. */
static int loader_run(struct loader *loader, const char *text, size_t size, const struct yaml_node **root)
{
    struct yaml_report *report = loader->report;
    size_t before = report->count, skip = text != NULL && size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    *root = NULL;
    if (text != NULL && text_check(loader, text + skip, size - skip))
        tree_load(loader, text + skip, size - skip);
    if (loader->arena->overflow && report->count == before)
        yaml_fault(report, NULL, "%s: out of memory", loader->file);
    if (loader->complete && !loader->arena->overflow)
        *root = loader->stack[0];
    free(loader->stack);
    return text != NULL && report->count == before ? WEIR_OK : WEIR_INVALID;
}

int yaml_load(const char *path, struct arena *arena, const struct yaml_node **root, struct yaml_report *report)
{
    struct loader loader = {.arena = arena, .report = report};
    size_t size = 0;
    char *text;
    int result;

    *root = NULL;
    loader.file = arena_text(arena, view_of(strcmp(path, "-") == 0 ? "<stdin>" : path));
    if (loader.file == NULL) {
        yaml_fault(report, NULL, "out of memory");
        return WEIR_INVALID;
    }
    text = file_read(&loader, path, &size);
    result = loader_run(&loader, text, size, root);
    free(text);
    return result;
}

int yaml_load_text(const struct yaml_text *text, struct arena *arena, const struct yaml_node **root,
                   struct yaml_report *report)
{
    struct loader loader = {.arena = arena,
                            .report = report,
                            .file = text->file,
                            .parent = text->parent,
                            .key = text->key,
                            .index = text->index};
    struct yaml_node at = {.file = text->file};
    size_t size = strlen(text->text);

    *root = NULL;
    if (size <= FILE_MAX)
        return loader_run(&loader, text->text, size, root);
    yaml_fault(report, &at, "is larger than 1MiB; split it into several");
    return WEIR_INVALID;
}
