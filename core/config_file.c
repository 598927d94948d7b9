/* config_file.c: files and other parts, with their includes, as one tree.
 *
 * 1. The file is read; what its sections hold is added to the merged ones.
 * 2. Its includes follow, each the same way, paths from the folder of the file that names them.
 * 3. The merged sections become one root, whose nodes still know the file they came from.
 *
 * Fails by a file that cannot be read, that is included twice or in a circle, by a name or a section that two files
 * define. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_private.h"

#define FILES_MAX 64

struct nodes {
    const struct yaml_node **keys, **items;
    size_t count, room;
};

enum { SOURCES, FUNCTIONS, SINKS, ROUTES, SECTIONS };
static const char *const section_names[SECTIONS] = {"sources", "functions", "sinks", "routes"};

struct merge {
    struct loading *l;
    struct nodes rest; /* sections that are there once */
    struct nodes sections[SECTIONS];
    const struct yaml_node *first[SECTIONS]; /* where each is for the first time */
    struct {
        dev_t device;
        ino_t inode;
        const char *path;
        bool open; /* its includes are being read */
    } files[FILES_MAX];
    size_t file_count;
};

static void nodes_add(struct merge *m, struct nodes *nodes, const struct yaml_node *key,
                      const struct yaml_node *item)
{
    if (nodes->count == nodes->room) {
        size_t room = nodes->room * 2 + 8;
        const struct yaml_node **keys = loading_alloc(m->l, room, sizeof(*keys));
        const struct yaml_node **items = loading_alloc(m->l, room, sizeof(*items));

        if (keys == NULL || items == NULL)
            return;
        if (nodes->count > 0) {
            memcpy(keys, nodes->keys, nodes->count * sizeof(*keys));
            memcpy(items, nodes->items, nodes->count * sizeof(*items));
        }
        nodes->keys = keys;
        nodes->items = items;
        nodes->room = room;
    }
    nodes->keys[nodes->count] = key;
    nodes->items[nodes->count++] = item;
}

/* A section of the wrong kind counts as there, so that it is not also missing. */
static void section_add(struct merge *m, int which, const struct yaml_node *node)
{
    bool list = which == ROUTES;

    if (node->kind != (list ? YAML_SEQUENCE : YAML_MAPPING)) {
        yaml_fault(m->l->report, node,
                   list ? "is no list; expected `- from: ...`, an entry for each route"
                        : "is no mapping; expected NAME: { type: ... } for each");
        nodes_add(m, &m->rest, node->key, node);
        return;
    }
    if (m->first[which] == NULL)
        m->first[which] = node;
    for (size_t i = 0; i < node->count; i++)
        nodes_add(m, &m->sections[which], list ? NULL : node->keys[i], node->items[i]);
}

/* A section that only one file may have. */
static void rest_add(struct merge *m, const struct yaml_node *key, const struct yaml_node *item)
{
    for (size_t i = 0; i < m->rest.count; i++)
        if (strcmp(m->rest.keys[i]->text, key->text) == 0) {
            yaml_fault(m->l->report, key, "is there twice, first in %s:%d; keep it in one file",
                       m->rest.keys[i]->file, m->rest.keys[i]->line);
            return;
        }
    nodes_add(m, &m->rest, key, item);
}

static void root_add(struct merge *m, const struct yaml_node *root)
{
    for (size_t i = 0; i < root->count; i++) {
        int which = 0;

        while (which < SECTIONS && strcmp(section_names[which], root->keys[i]->text) != 0)
            which++;
        if (which < SECTIONS)
            section_add(m, which, root->items[i]);
        else if (strcmp(root->keys[i]->text, "include") != 0)
            rest_add(m, root->keys[i], root->items[i]);
    }
}

static void file_load(struct merge *m, const char *path, const struct yaml_node *at);

/* Whether reading it may go well; errno says why not. */
static bool file_readable(const char *path)
{
    struct stat info;

    if (access(path, R_OK) != 0 || stat(path, &info) != 0)
        return false;
    errno = EISDIR;
    return !S_ISDIR(info.st_mode);
}

static void include_load(struct merge *m, const struct yaml_node *item)
{
    const char *slash = strrchr(item->file, '/'), *path = item->text;

    if (item->kind != YAML_SCALAR || item->size == 0) {
        yaml_fault(m->l->report, item, "is not allowed; expected the path of a file");
        return;
    }
    if (path[0] != '/' && slash != NULL)
        path = arena_printf(&m->l->config->arena, "%.*s/%s", (int)(slash - item->file), item->file, path);
    if (path == NULL)
        yaml_fault(m->l->report, item, "out of memory");
    else if (!file_readable(path))
        yaml_fault(m->l->report, item, "cannot be read: %s; paths start at the folder of this file",
                   strerror(errno));
    else
        file_load(m, path, item);
}

static void includes_load(struct merge *m, const struct yaml_node *include)
{
    if (include == NULL)
        return;
    if (include->kind == YAML_SCALAR)
        include_load(m, include);
    else if (include->kind == YAML_MAPPING)
        yaml_fault(m->l->report, include, "is a mapping; expected a list of files");
    else
        for (size_t i = 0; i < include->count; i++)
            include_load(m, include->items[i]);
}

/* Whether the file may be read now: not a second time. */
static bool file_enter(struct merge *m, const char *path, const struct yaml_node *at)
{
    struct stat info = {0};

    if (strcmp(path, "-") != 0 && stat(path, &info) != 0)
        return true; /* reading it will say why */
    for (size_t i = 0; i < m->file_count; i++)
        if (at != NULL && m->files[i].inode == info.st_ino && m->files[i].device == info.st_dev) {
            yaml_fault(m->l->report, at,
                       m->files[i].open ? "includes go in a circle: %s includes this file; take one include out"
                                        : "%s is included already; take one include out",
                       m->files[i].path);
            return false;
        }
    if (m->file_count == FILES_MAX) {
        yaml_fault(m->l->report, at, "is file number 65; a configuration has at most 64 files");
        return false;
    }
    m->files[m->file_count].device = info.st_dev;
    m->files[m->file_count].inode = info.st_ino;
    m->files[m->file_count].path = path;
    m->files[m->file_count++].open = true;
    return true;
}

static void tree_take(struct merge *m, const struct yaml_node *root)
{
    if (m->l->root == NULL)
        m->l->root = root;
    root_add(m, root);
    includes_load(m, yaml_get(root, "include"));
}

static bool tree_check(struct merge *m, const struct yaml_node *root)
{
    if (root->kind == YAML_MAPPING)
        return true;
    yaml_fault(m->l->report, root, "the file is no mapping; expected `sources:`, `sinks:`, `routes:` ...");
    return false;
}

/* at: the include that names it; NULL: the first file. */
static void file_load(struct merge *m, const char *path, const struct yaml_node *at)
{
    size_t mine = m->file_count;
    const struct yaml_node *root;

    if (!file_enter(m, path, at))
        return;
    yaml_load(path, &m->l->config->arena, &root, m->l->report);
    if (root == NULL || !tree_check(m, root))
        return;
    tree_take(m, root);
    m->files[mine].open = false;
}

static int place_compare(const void *a, const void *b)
{
    const struct yaml_node *x = *(const struct yaml_node *const *)a, *y = *(const struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : strcmp(x->file, y->file);
}

/* One file cannot have a name twice: yaml_load saw to that. */
static void names_check(struct merge *m, const struct nodes *nodes)
{
    const struct yaml_node **sorted = loading_alloc(m->l, nodes->count, sizeof(*sorted));

    if (sorted == NULL || nodes->count == 0)
        return;
    memcpy(sorted, nodes->keys, nodes->count * sizeof(*sorted));
    qsort(sorted, nodes->count, sizeof(*sorted), place_compare);
    for (size_t i = 1; i < nodes->count; i++)
        if (strcmp(sorted[i]->text, sorted[i - 1]->text) == 0 && sorted[i]->file != sorted[i - 1]->file)
            yaml_fault(m->l->report, sorted[i], "is there twice, first in %s:%d; rename or remove one of the two",
                       sorted[i - 1]->file, sorted[i - 1]->line);
}

static const struct yaml_node *node_merge(struct merge *m, const struct yaml_node *like, const struct nodes *nodes)
{
    struct yaml_node *node = loading_alloc(m->l, 1, sizeof(*node));

    if (node == NULL)
        return like;
    *node = *like;
    node->count = nodes->count;
    node->keys = nodes->keys;
    node->items = nodes->items;
    return node;
}

/* A part that cannot be read ends the reading, but only after the others were looked at too: what is missing with
 * it would only be reported as its consequence. */
static bool parts_take(struct merge *m, const struct config_part *parts, size_t count)
{
    bool ok = true;

    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *root = NULL;
        size_t number = 1;

        if (parts[i].sort == PART_FILE) {
            file_load(m, parts[i].text, NULL);
            continue;
        }
        for (size_t j = 0; j < i; j++)
            number += parts[j].sort == parts[i].sort;
        root = part_load(m->l, &parts[i], number);
        if (root != NULL && tree_check(m, root))
            tree_take(m, root);
        else
            ok = false;
    }
    return ok && m->l->root != NULL;
}

bool loading_parts(struct loading *l, const struct config_part *parts, size_t count)
{
    struct merge *m = loading_alloc(l, 1, sizeof(*m));
    const struct yaml_node **targets[SECTIONS] = {&l->sources, &l->functions, &l->sinks, &l->routes};

    if (m == NULL)
        return false;
    m->l = l;
    if (!parts_take(m, parts, count)) {
        if (count == 0)
            yaml_fault(l->report, NULL, "there is no configuration; it needs at least a route");
        return false;
    }
    for (int i = 0; i < SECTIONS; i++) {
        if (m->first[i] == NULL)
            continue;
        if (i != ROUTES)
            names_check(m, &m->sections[i]);
        *targets[i] = node_merge(m, m->first[i], &m->sections[i]);
        nodes_add(m, &m->rest, m->first[i]->key, *targets[i]);
    }
    l->root = node_merge(m, l->root, &m->rest);
    return true;
}
