/* keys.c: see keys.h. Keys are built into a fixed buffer; the bounds on names make every one fit, so one that does
 * not is a defect of the caller, and aborts. */
#include "keys.h"

#define STATE_HASHED 0xffffu /* in place of the event key's size */
#define STATE_HEAD 10        /* scope u64, event key's size u16, both big-endian */
#define STATE_HASH 16

static void key_bytes(struct key *key, const void *data, size_t size)
{
    CHECK(key->size + size <= STORE_KEY_MAX);
    if (size)
        memcpy(key->data + key->size, data, size);
    key->size += size;
}

static void key_name(struct key *key, weir_view name, size_t max)
{
    CHECK(name.size <= max && (name.size == 0 || !memchr(name.data, 0, name.size)));
    key_bytes(key, name.data, name.size);
    key_bytes(key, "", 1);
}

static void key_number(struct key *key, uint64_t number)
{
    char bytes[8];

    put_be64(bytes, number);
    key_bytes(key, bytes, sizeof bytes);
}

void key_note(struct key *key, weir_view source, weir_view shard)
{
    key->size = 0;
    key_name(key, source, NAME_MAX_BYTES);
    key_name(key, shard, SHARD_MAX_BYTES);
}

void key_position(struct key *key, weir_view route, weir_view source, weir_view shard)
{
    key->size = 0;
    key_name(key, route, NAME_MAX_BYTES);
    key_name(key, source, NAME_MAX_BYTES);
    key_name(key, shard, SHARD_MAX_BYTES);
}

void key_journal(struct key *key, weir_view source, uint64_t first)
{
    key->size = 0;
    key_name(key, source, NAME_MAX_BYTES);
    key_number(key, first);
}

void key_attempt(struct key *key, weir_view route, weir_view source, weir_view shard, uint64_t position)
{
    key_position(key, route, source, shard);
    key_number(key, position);
}

void key_dead(struct key *key, const struct dead_letter *dead)
{
    char number[8];

    key_attempt(key, dead->route, dead->source, dead->shard, dead->position);
    key_name(key, dead->stage, NAME_MAX_BYTES);
    put_be64(number, dead->ordinal);
    key_bytes(key, number + 4, 4);
}

size_t key_split(weir_view key, weir_view *parts, size_t max, weir_view *rest)
{
    size_t count = 0;

    while (count < max && key.size) {
        const char *end = memchr(key.data, 0, key.size);

        if (!end)
            break;
        parts[count++] = view_make(key.data, (size_t)(end - key.data));
        key.size -= (size_t)(end + 1 - key.data);
        key.data = end + 1;
    }
    *rest = key;
    return count;
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output. */
static uint64_t hash_mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Eight bytes at a time, little-endian, the last filled up with zeros; then the size. Not against an adversary:
 * what is stored under a hash begins with the whole key. */
static uint64_t hash_add(uint64_t hash, weir_view part)
{
    size_t at = 0;
    char last[8] = {0};

    for (; at + 8 <= part.size; at += 8)
        hash = hash_mix(hash ^ get_le64(part.data + at)) + UINT64_C(0x9e3779b97f4a7c15);
    if (at < part.size)
        memcpy(last, part.data + at, part.size - at);
    hash = hash_mix(hash ^ get_le64(last)) + UINT64_C(0x9e3779b97f4a7c15);
    return hash_mix(hash ^ part.size);
}

uint64_t state_scope(weir_view route, weir_view function, weir_view source, weir_view shard)
{
    return hash_add(hash_add(hash_add(hash_add(0, route), function), source), shard);
}

void key_scope(struct key *key, uint64_t scope)
{
    key->size = 0;
    key_number(key, scope);
}

static bool state_fits(weir_view event_key, weir_view name)
{
    return event_key.size <= STORE_KEY_MAX && name.size <= STORE_KEY_MAX &&
           STATE_HEAD + event_key.size + name.size <= STORE_KEY_MAX;
}

static void state_hash(struct key *key, weir_view event_key, weir_view name)
{
    char hash[STATE_HASH];

    put_le64(hash, hash_add(hash_add(1, event_key), name));
    put_le64(hash + 8, hash_add(hash_add(2, event_key), name));
    key_bytes(key, hash, sizeof hash);
}

void key_state(struct key *key, uint64_t scope, weir_view event_key, weir_view name)
{
    bool fits = state_fits(event_key, name);
    size_t size = fits ? event_key.size : STATE_HASHED;
    char head[2] = {(char)(size >> 8), (char)size};
    size_t room = STORE_KEY_MAX - STATE_HEAD - STATE_HASH;

    key->size = 0;
    key_number(key, scope);
    key_bytes(key, head, sizeof head);
    if (fits) {
        key_bytes(key, event_key.data, event_key.size);
        key_bytes(key, name.data, name.size);
        return;
    }
    key_bytes(key, event_key.data, size_min(event_key.size, room));
    room -= size_min(event_key.size, room);
    key_bytes(key, name.data, size_min(name.size, room));
    state_hash(key, event_key, name);
}

weir_view state_value(weir_view event_key, weir_view name, weir_view value, struct arena *arena)
{
    size_t size = 8 + event_key.size + name.size + value.size;
    char *to;

    if (state_fits(event_key, name))
        return value;
    to = arena_alloc(arena, size);
    if (!to)
        return view_make(NULL, 0);
    put_le32(to, (uint32_t)event_key.size);
    put_le32(to + 4, (uint32_t)name.size);
    if (event_key.size)
        memcpy(to + 8, event_key.data, event_key.size);
    if (name.size)
        memcpy(to + 8 + event_key.size, name.data, name.size);
    if (value.size)
        memcpy(to + 8 + event_key.size + name.size, value.data, value.size);
    return view_make(to, size);
}

int state_value_read(weir_view event_key, weir_view name, weir_view stored, weir_view *value)
{
    size_t size = 8 + event_key.size + name.size;

    *value = stored;
    if (state_fits(event_key, name))
        return WEIR_OK;
    if (stored.size < size || get_le32(stored.data) != event_key.size || get_le32(stored.data + 4) != name.size ||
        !view_equal(view_make(stored.data + 8, event_key.size), event_key) ||
        (name.size && memcmp(stored.data + 8 + event_key.size, name.data, name.size) != 0))
        return WEIR_DAMAGED;
    *value = view_make(stored.data + size, stored.size - size);
    return WEIR_OK;
}
