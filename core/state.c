/* state.c: see state.h. */
#include "state.h"

#include <stdlib.h>

#include "base.h"

struct state_entry {
    struct state_entry *next;
    weir_view key, value; /* in the newest set that wrote it */
    uint32_t hash;
    uint32_t open; /* writes of it that are applied and not yet durable */
};

struct state_set *state_set_new(size_t bytes_max)
{
    struct state_set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    list_init(&set->node);
    arena_init(&set->arena, bytes_max);
    return set;
}

void state_set_free(struct state_set *set)
{
    if (!set)
        return;
    arena_fini(&set->arena);
    free(set->writes);
    free(set->slots);
    free(set);
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t *set_slot(const struct state_set *set, weir_view key)
{
    size_t mask = set->slot_count - 1;
    size_t i = crc32c(0, key.data, key.size) & mask;
    while (set->slots[i] && !view_equal(set->writes[set->slots[i] - 1].key, key))
        i = (i + 1) & mask;
    return &set->slots[i];
}

static int set_grow(struct state_set *set)
{
    size_t room = set->room ? set->room * 2 : 16;
    struct state_write *writes = realloc(set->writes, room * sizeof *writes);
    if (!writes)
        return WEIR_NOMEM;
    set->writes = writes;
    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (!slots)
        return WEIR_NOMEM;
    free(set->slots);
    set->slots = slots;
    set->slot_count = room * 2;
    set->room = room;
    for (size_t i = 0; i < set->count; i++)
        *set_slot(set, set->writes[i].key) = (uint32_t)i + 1;
    return WEIR_OK;
}

int state_set_put(struct state_set *set, weir_view key, weir_view value, size_t from)
{
    if (set->count == set->room && set_grow(set) != WEIR_OK)
        return WEIR_NOMEM;
    struct state_write write = {.key = arena_copy(&set->arena, key), .value = {NULL, 0}, .from = from};
    if (value.data)
        write.value = arena_copy(&set->arena, value);
    if (set->arena.overflow)
        return WEIR_NOMEM;
    set->writes[set->count++] = write;
    *set_slot(set, write.key) = (uint32_t)set->count;
    return WEIR_OK;
}

const struct state_write *state_set_find(const struct state_set *set, weir_view key)
{
    if (!set->count)
        return NULL;
    uint32_t slot = *set_slot(set, key);
    return slot ? &set->writes[slot - 1] : NULL;
}

void state_set_cut(struct state_set *set, size_t from)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->writes[i].from < from)
            set->writes[kept++] = set->writes[i];
    }
    set->count = kept;
    memset(set->slots, 0, set->slot_count * sizeof *set->slots);
    for (size_t i = 0; i < kept; i++)
        *set_slot(set, set->writes[i].key) = (uint32_t)i + 1;
}

static struct state_entry **map_place(const struct state_map *map, weir_view key, uint32_t hash)
{
    struct state_entry **place = &map->buckets[hash & (map->bucket_count - 1)];
    while (*place && ((*place)->hash != hash || !view_equal((*place)->key, key)))
        place = &(*place)->next;
    return place;
}

static int map_grow(struct state_map *map, size_t more)
{
    size_t wanted = map->bucket_count ? map->bucket_count : 64;
    while (wanted < map->count + more)
        wanted *= 2;
    if (wanted == map->bucket_count)
        return WEIR_OK;
    struct state_entry **buckets = calloc(wanted, sizeof(struct state_entry *));
    if (!buckets)
        return WEIR_NOMEM;
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct state_entry *entry = map->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (wanted - 1)];
            buckets[entry->hash & (wanted - 1)] = entry;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = wanted;
    return WEIR_OK;
}

void state_map_fini(struct state_map *map)
{
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (struct state_entry *entry = map->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    free(map->buckets);
    memset(map, 0, sizeof *map);
}

/* Makes an entry for every key first, so that applying cannot stop half-way. */
static int map_prepare(struct state_map *map, struct state_set *set)
{
    if (map_grow(map, set->count) != WEIR_OK)
        return WEIR_NOMEM;
    for (size_t i = 0; i < set->count; i++) {
        struct state_write *write = &set->writes[i];
        uint32_t hash = crc32c(0, write->key.data, write->key.size);
        struct state_entry **place = map_place(map, write->key, hash);
        if (!*place) {
            struct state_entry *entry = calloc(1, sizeof *entry);
            if (!entry)
                return WEIR_NOMEM;
            entry->key = write->key;
            entry->hash = hash;
            *place = entry;
            map->count++;
        }
        write->entry = *place;
        write->entry->open++;
    }
    return WEIR_OK;
}

static void map_remove(struct state_map *map, struct state_entry *entry)
{
    *map_place(map, entry->key, entry->hash) = entry->next;
    map->count--;
    free(entry);
}

int state_map_apply(struct state_map *map, struct state_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->writes[i].entry = NULL;
    int result = map_prepare(map, set);
    if (result != WEIR_OK) {
        state_map_settle(map, set);
        return result;
    }
    for (size_t i = 0; i < set->count; i++) {
        set->writes[i].entry->key = set->writes[i].key;
        set->writes[i].entry->value = set->writes[i].value;
    }
    return WEIR_OK;
}

void state_map_settle(struct state_map *map, struct state_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct state_entry *entry = set->writes[i].entry;
        if (entry && --entry->open == 0)
            map_remove(map, entry);
    }
}

bool state_map_find(const struct state_map *map, weir_view key, weir_view *value)
{
    if (!map->count)
        return false;
    struct state_entry *entry = *map_place(map, key, crc32c(0, key.data, key.size));
    if (entry)
        *value = entry->value;
    return entry != NULL;
}

struct commit_item {
    const struct state_write *write;
    size_t order;
};

static int item_compare(const void *a, const void *b)
{
    const struct commit_item *x = a, *y = b;
    size_t shared = size_min(x->write->key.size, y->write->key.size);
    int compared = memcmp(x->write->key.data, y->write->key.data, shared);
    if (compared != 0)
        return compared;
    if (x->write->key.size != y->write->key.size)
        return x->write->key.size < y->write->key.size ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void items_put(const struct commit_item *items, size_t count, struct store_ops *ops)
{
    for (size_t i = 0; i < count; i++) {
        const struct state_write *write = items[i].write;
        if (i + 1 < count && view_equal(write->key, items[i + 1].write->key))
            continue;
        if (write->value.data)
            store_ops_put(ops, TABLE_STATE, write->key, write->value);
        else
            store_ops_del(ops, TABLE_STATE, write->key);
    }
}

int state_commit(const struct list *sets, struct store_ops *ops)
{
    size_t total = 0;
    LIST_EACH(set, sets, struct state_set, node)
    total += set->count;
    if (!total)
        return WEIR_OK;
    struct commit_item *items = malloc(total * sizeof *items);
    if (!items)
        return WEIR_NOMEM;
    size_t at = 0;
    LIST_EACH(set, sets, struct state_set, node)
    {
        for (size_t i = 0; i < set->count; i++, at++)
            items[at] = (struct commit_item){&set->writes[i], at};
    }
    qsort(items, total, sizeof *items, item_compare);
    items_put(items, total, ops);
    free(items);
    return WEIR_OK;
}
