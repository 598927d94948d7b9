/* keys.h: how the records of the store are named and laid out. Frozen: golden tests hold these bytes.
 *
 * Names of routes, sources, functions and sinks have at most NAME_MAX_BYTES bytes and no NUL; shard names at most
 * SHARD_MAX_BYTES. Parts of a key end with a NUL; positions are 8 bytes big-endian, so that order of key is order
 * of position. A state key that does not fit (scope, key and name are longer than STORE_KEY_MAX) keeps a prefix and
 * ends with a 128-bit hash of the whole; the value then begins with the whole key, and a mismatch is damage. */
#ifndef WEIR_KEYS_H
#define WEIR_KEYS_H

#include "arena.h"
#include "route.h"
#include "store.h"

#define NAME_MAX_BYTES 64
#define SHARD_MAX_BYTES 250

struct key {
    size_t size;
    char data[STORE_KEY_MAX];
};
static inline weir_view key_view(const struct key *key)
{
    return view_make(key->data, key->size);
}

void key_position(struct key *key, weir_view route, weir_view source, weir_view shard);
void key_note(struct key *key, weir_view source, weir_view shard);
void key_journal(struct key *key, weir_view source, uint64_t first);
void key_attempt(struct key *key, weir_view route, weir_view source, weir_view shard, uint64_t position);
struct dead_letter;
/* Of its route, source, shard, position, stage ("" for the function stage, else the sink's name), and ordinal:
 * which output of that position, 0 for inputs. */
void key_dead(struct key *key, const struct dead_letter *dead);
/* The scope of keyed state: 64 bits of hash over (route, function, source, shard). */
uint64_t state_scope(weir_view route, weir_view function, weir_view source, weir_view shard);
void key_scope(struct key *key, uint64_t scope);
void key_state(struct key *key, uint64_t scope, weir_view event_key, weir_view name);
/* The value of keyed state as it is stored: itself, or, where the key was hashed, the whole key before it. Absent:
 * out of memory. Reading: WEIR_DAMAGED when it is another key's. */
weir_view state_value(weir_view event_key, weir_view name, weir_view value, struct arena *arena);
int state_value_read(weir_view event_key, weir_view name, weir_view stored, weir_view *value);
/* A record of TABLE_ATTEMPT: calls that never came back, u32 little-endian, and this bit: all of them had others in
 * them, or others beside them that may have ended the process. */
#define ATTEMPT_AMONG 0x80000000u
/* Splits a key into its NUL-ended parts; returns how many of at most `max`; `rest` is what follows the last. */
size_t key_split(weir_view key, weir_view *parts, size_t max, weir_view *rest);

/* A vector <-> bytes. decode: ranges and positions lie in arena. WEIR_OK, WEIR_DAMAGED, WEIR_NEWER, WEIR_NOMEM. */
weir_view vector_encode(const struct route_vector *vector, struct arena *arena);
int vector_decode(weir_view bytes, struct arena *arena, struct route_vector *vector);

/* A dead letter: what could not be completed, why, and where it comes from. */
struct dead_letter {
    weir_view route, source, shard; /* of the origin: the first input */
    uint64_t position;
    weir_view stage;    /* "" the function, else the sink's name */
    weir_view function; /* the call chain's names, "a,b"; for a function failure the one that failed */
    uint32_t ordinal;
    uint32_t attempts;
    uint32_t replays;  /* how often it was replayed and failed again */
    bool replay_asked; /* the next run takes it up */
    weir_view cause;   /* text for people */
    int64_t first_us, last_us;
    weir_event event; /* id always explicit */
};
/* encode: absent when out of memory. decode: texts are views into bytes, headers lie in arena. WEIR_OK,
 * WEIR_DAMAGED, WEIR_NEWER, WEIR_NOMEM. */
weir_view dead_encode(const struct dead_letter *dead, struct arena *arena);
int dead_decode(weir_view bytes, struct arena *arena, struct dead_letter *dead);

#endif
