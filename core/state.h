/* state.h: keyed state between a call and the commit that makes it durable.
 *
 * The normal path of a write:
 *   1. A call puts it into the set of its batch; later gets of that call see it there.
 *   2. When the call succeeded, state_map_apply lays the set over the lane's map: later batches of the lane see it.
 *   3. When the batch is done, its set waits for the shard's next commit; of all sets of one commit the last value
 * of each key is written, sorted by key.
 *   4. When that commit is durable, state_map_settle takes away what no newer write covers: the store has it.
 * A discarded set (failed call) was never applied. A map belongs to whoever holds the lane: the worker during a
 * call, the loop otherwise. Keys here are whole store keys (keys.h).
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include "arena.h"
#include "list.h"
#include "store.h"

struct state_entry;

struct state_write {
    weir_view key, value; /* value absent: deleted */
    size_t from;          /* index of the input it belongs to */
    struct state_entry *entry;
};

struct state_set {
    struct list node;
    struct arena arena;
    struct state_write *writes; /* in order of writing */
    size_t count, room;
    uint32_t *slots; /* newest write of each key + 1, open addressing */
    size_t slot_count;
    uint32_t lane;
};

struct state_set *state_set_new(size_t bytes_max);
void state_set_free(struct state_set *set);
/* value absent: delete. WEIR_NOMEM past the bound. Copies. */
int state_set_put(struct state_set *set, weir_view key, weir_view value, size_t from);
const struct state_write *state_set_find(const struct state_set *set, weir_view key); /* newest, or NULL */
void state_set_cut(struct state_set *set, size_t from); /* forgets what belongs to inputs from there on */

struct state_map {
    struct state_entry **buckets;
    size_t bucket_count, count;
};

void state_map_fini(struct state_map *map);
int state_map_apply(struct state_map *map,
                    struct state_set *set); /* WEIR_OK or WEIR_NOMEM, then nothing was applied */
void state_map_settle(struct state_map *map, struct state_set *set);
/* True when the map knows the key; *value absent: deleted. */
bool state_map_find(const struct state_map *map, weir_view key, weir_view *value);

/* Puts the last value of each key over all sets of the list (in order) into ops, sorted. */
int state_commit(const struct list *sets, struct store_ops *ops);

#endif
