/* config_part.c: a part of a configuration that is no file, as the root that a file with it alone would have.
 *
 * 1. A text is read as it is. Of any other part the way to its entry is made first: `sources`, its name.
 * 2. Its mapping is read by the same reader as files, right where it belongs, so that its faults are told the same.
 * 3. `type` is put into the mapping when the call gave it.
 *
 * Fails by what the reader refuses, and by a `type` that is there twice. */
#include "config_private.h"

struct part {
    struct loading *l;
    const struct config_part *config;
    const char *file; /* how faults call it */
};

static struct yaml_node *node_make(const struct part *part, enum yaml_kind kind, const char *text)
{
    struct yaml_node *node = loading_alloc(part->l, 1, sizeof(*node));

    if (node == NULL)
        return NULL;
    *node = (struct yaml_node){.kind = kind, .file = part->file, .line = 1, .column = 1, .text = text};
    node->size = strlen(text);
    return node;
}

/* A collection with room for one child. */
static struct yaml_node *parent_make(const struct part *part, enum yaml_kind kind)
{
    struct yaml_node *node = node_make(part, kind, "");

    if (node == NULL)
        return NULL;
    node->count = 1;
    node->items = loading_alloc(part->l, 1, sizeof(*node->items));
    node->keys = kind == YAML_MAPPING ? loading_alloc(part->l, 1, sizeof(*node->keys)) : NULL;
    return node->items != NULL && (node->keys != NULL || kind != YAML_MAPPING) ? node : NULL;
}

/* Puts `child` (NULL: only the key) below a mapping. */
static const struct yaml_node *key_put(const struct part *part, struct yaml_node *parent, const char *name,
                                       struct yaml_node *child)
{
    const char *text = arena_text(&part->l->config->arena, view_of(name));
    struct yaml_node *key = text != NULL ? node_make(part, YAML_SCALAR, text) : NULL;

    if (key == NULL)
        return NULL;
    key->parent = parent;
    key->key = key;
    parent->keys[0] = key;
    if (child != NULL) {
        child->parent = parent;
        child->key = key;
        parent->items[0] = child;
    }
    return key;
}

/* The mapping with `type` in front of what it holds. Its children go on telling their way through the old one. */
static const struct yaml_node *type_put(const struct part *part, const struct yaml_node *node)
{
    struct yaml_node *typed = parent_make(part, YAML_MAPPING), *value;

    value = typed != NULL ? node_make(part, YAML_SCALAR, part->config->type) : NULL;
    if (value == NULL)
        return NULL;
    value->text = arena_text(&part->l->config->arena, view_of(part->config->type));
    typed->parent = node->parent;
    typed->key = node->key;
    typed->keys = loading_alloc(part->l, node->count + 1, sizeof(*typed->keys));
    typed->items = loading_alloc(part->l, node->count + 1, sizeof(*typed->items));
    if (value->text == NULL || typed->keys == NULL || typed->items == NULL ||
        key_put(part, typed, "type", value) == NULL)
        return NULL;
    for (size_t i = 0; i < node->count; i++) {
        typed->keys[i + 1] = node->keys[i];
        typed->items[i + 1] = node->items[i];
    }
    typed->count = node->count + 1;
    return typed;
}

/* The part's own value, below `parent`. */
static const struct yaml_node *value_load(const struct part *part, const struct yaml_node *parent,
                                          const struct yaml_node *key)
{
    struct loading *l = part->l;
    const char *text = part->config->text;
    struct yaml_text from = {
        .file = part->file, .text = text != NULL && *text != '\0' ? text : "{}", .parent = parent, .key = key};
    const struct yaml_node *node, *typed;

    yaml_load_text(&from, &l->config->arena, &node, l->report);
    if (node == NULL || part->config->type == NULL || node->kind != YAML_MAPPING)
        return node;
    typed = yaml_get(node, "type");
    if (typed == NULL)
        return type_put(part, node);
    yaml_fault(l->report, typed->key, "is given beside the options already; take it out of one of the two");
    return node;
}

static const struct yaml_node *entry_load(const struct part *part, const char *section, bool list)
{
    struct yaml_node *root = parent_make(part, YAML_MAPPING);
    struct yaml_node *entries = parent_make(part, list ? YAML_SEQUENCE : YAML_MAPPING);
    const struct yaml_node *key = NULL, *value;

    if (root == NULL || entries == NULL || key_put(part, root, section, entries) == NULL)
        return NULL;
    if (!list && (key = key_put(part, entries, part->config->name, NULL)) == NULL)
        return NULL;
    value = value_load(part, entries, key);
    entries->items[0] = value;
    return value != NULL ? root : NULL;
}

static const struct yaml_node *section_load(const struct part *part)
{
    struct yaml_node *root = parent_make(part, YAML_MAPPING);
    const struct yaml_node *key = root != NULL ? key_put(part, root, part->config->name, NULL) : NULL;

    if (key == NULL)
        return NULL;
    root->items[0] = value_load(part, root, key);
    return root->items[0] != NULL ? root : NULL;
}

const struct yaml_node *part_load(struct loading *l, const struct config_part *config, size_t number)
{
    static const char *const sorts[] = {"file", "text", "source", "function", "sink", "route", "section"};
    static const char *const sections[] = {"", "", "sources", "functions", "sinks", "routes", ""};
    struct part part = {.l = l, .config = config};
    const char *name = config->name;

    part.file = name != NULL ? arena_printf(&l->config->arena, "<%s %.64s>", sorts[config->sort], name)
                             : arena_printf(&l->config->arena, "<%s %zu>", sorts[config->sort], number);
    if (part.file == NULL) {
        yaml_fault(l->report, NULL, "out of memory");
        return NULL;
    }
    if (config->sort == PART_SECTION)
        return section_load(&part);
    if (config->sort == PART_TEXT)
        return value_load(&part, NULL, NULL);
    return entry_load(&part, sections[config->sort], config->sort == PART_ROUTE);
}
