/* stats.c: see stats.h. A sorted array of pointers under a lock; found ones are kept by their users. */
#include "stats.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STATS_MAX = 10000 };

struct named {
    struct metric metric;
    const char *labels;
    char name[]; /* name NUL labels NUL */
};

struct stats {
    pthread_mutex_t lock;
    struct named **items; /* by name, then labels */
    size_t count, room;
    struct metric spare;
};

struct stats *stats_new(void)
{
    struct stats *stats = calloc(1, sizeof *stats);
    if (stats)
        pthread_mutex_init(&stats->lock, NULL);
    return stats;
}

void stats_free(struct stats *stats)
{
    if (!stats)
        return;
    for (size_t i = 0; i < stats->count; i++)
        free(stats->items[i]);
    free(stats->items);
    pthread_mutex_destroy(&stats->lock);
    free(stats);
}

static int named_compare(const struct named *item, const char *name, const char *labels)
{
    int compared = strcmp(item->name, name);
    return compared ? compared : strcmp(item->labels, labels);
}

/* The place of the name, or where it belongs. */
static size_t stats_place(const struct stats *stats, const char *name, const char *labels)
{
    size_t low = 0, high = stats->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (named_compare(stats->items[middle], name, labels) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct named *named_new(const char *name, const char *labels)
{
    size_t name_size = strlen(name) + 1, labels_size = strlen(labels) + 1;
    struct named *item = calloc(1, sizeof *item + name_size + labels_size);
    if (!item)
        return NULL;
    memcpy(item->name, name, name_size);
    memcpy(item->name + name_size, labels, labels_size);
    item->labels = item->name + name_size;
    return item;
}

static struct metric *stats_add(struct stats *stats, size_t place, const char *name, const char *labels)
{
    if (stats->count >= STATS_MAX)
        return &stats->spare;
    if (stats->count == stats->room) {
        size_t room = stats->room ? stats->room * 2 : 64;
        struct named **items = realloc(stats->items, room * sizeof(struct named *));
        if (!items)
            return &stats->spare;
        stats->items = items;
        stats->room = room;
    }
    struct named *item = named_new(name, labels);
    if (!item)
        return &stats->spare;
    memmove(&stats->items[place + 1], &stats->items[place], (stats->count - place) * sizeof(struct named *));
    stats->items[place] = item;
    stats->count++;
    return &item->metric;
}

struct metric *stats_get(struct stats *stats, const char *name, const char *labels)
{
    if (!labels)
        labels = "";
    pthread_mutex_lock(&stats->lock);
    size_t place = stats_place(stats, name, labels);
    struct metric *found;
    if (place < stats->count && named_compare(stats->items[place], name, labels) == 0)
        found = &stats->items[place]->metric;
    else
        found = stats_add(stats, place, name, labels);
    pthread_mutex_unlock(&stats->lock);
    return found;
}

void stats_each(struct stats *stats, void (*visit)(void *arg, const char *name, const char *labels, int64_t value),
                void *arg)
{
    pthread_mutex_lock(&stats->lock);
    for (size_t i = 0; i < stats->count; i++)
        visit(arg, stats->items[i]->name, stats->items[i]->labels, metric_value(&stats->items[i]->metric));
    pthread_mutex_unlock(&stats->lock);
}
