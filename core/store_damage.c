/* store_damage.c: what was found damaged, and where it is kept for people to look at.
 *
 *   1. A reader, or the check at open, finds a record damaged: damage_found counts it, logs it once, remembers it.
 *   2. The next write transaction copies the record into the quarantine as it lies there and deletes it.
 *   3. Its key is answered with WEIR_DAMAGED, not WEIR_MISSING, until something new is put there: a lost position
 *      must not look like a route that never ran.
 *
 * The list is bounded: past DAMAGE_PENDING_MAX records, damage is counted and logged only, and found again at the
 * next start. A store that was opened read-only never quarantines. */
#include <stdio.h>
#include <stdlib.h>

#include "store_private.h"

#define KEY_TEXT_MAX 120

int damage_init(struct damage *damage)
{
    return pthread_mutex_init(&damage->lock, NULL) == 0 ? WEIR_OK : WEIR_NOMEM;
}

void damage_fini(struct damage *damage)
{
    pthread_mutex_destroy(&damage->lock);
    free(damage->keys);
}

/* Keys are names, zeros and numbers: what is not printable is shown in hex. */
static void key_text(weir_view key, char text[KEY_TEXT_MAX])
{
    size_t at = 0;

    for (size_t i = 0; i < key.size && at + 5 < KEY_TEXT_MAX; i++) {
        unsigned char byte = (unsigned char)key.data[i];
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';

        at += (size_t)snprintf(text + at, KEY_TEXT_MAX - at, plain ? "%c" : "\\x%02x", byte);
    }
    text[at] = '\0';
}

static bool damage_known(const struct damage *damage, enum store_table table, weir_view key)
{
    for (size_t i = 0; i < damage->count; i++) {
        const struct damaged_key *known = &damage->keys[i];

        if (known->table == table && view_equal(view_make(known->key, known->size), key))
            return true;
    }
    return false;
}

static struct damaged_key *damage_add(struct damage *damage)
{
    if (damage->count == DAMAGE_PENDING_MAX)
        return NULL;
    if (damage->count == damage->capacity) {
        size_t capacity = damage->capacity ? 2 * damage->capacity : 8;
        struct damaged_key *grown = realloc(damage->keys, capacity * sizeof *grown);

        if (!grown)
            return NULL;
        damage->keys = grown;
        damage->capacity = capacity;
    }
    return &damage->keys[damage->count++];
}

/* False: it was known. */
static bool damage_remember(struct store *store, enum store_table table, weir_view key)
{
    struct damage *damage = &store->damage;
    struct damaged_key *added;
    bool known;

    pthread_mutex_lock(&damage->lock);
    known = damage_known(damage, table, key);
    added = known || key.size > sizeof added->key ? NULL : damage_add(damage);
    if (added) {
        *added = (struct damaged_key){.table = table, .size = (uint16_t)key.size, .written = store->read_only};
        memcpy(added->key, key.data, key.size);
        if (!added->written)
            atomic_fetch_add(&damage->pending, 1);
    }
    pthread_mutex_unlock(&damage->lock);
    return !known;
}

void damage_found(struct store *store, enum store_table table, weir_view key, const char *what)
{
    char text[KEY_TEXT_MAX];

    if (!damage_remember(store, table, key))
        return;
    atomic_fetch_add(&store->damage.found, 1);
    key_text(key, text);
    log_write(store->log, LOG_ERROR, "store", "damaged record in table %s, key %s: %s; %s", store_table_name(table),
              text, what, store->read_only ? "it is not served" : "it is not served and goes to quarantine");
}

static weir_view quarantine_key(enum store_table table, weir_view key, char buffer[STORE_KEY_MAX + 2])
{
    buffer[0] = (char)table;
    memcpy(buffer + 1, key.data, key.size);
    return view_make(buffer, key.size + 1);
}

static int quarantine_put(struct store *store, MDB_txn *txn, weir_view key, weir_view content)
{
    MDB_val name = val_of(key), value = {content.size + RECORD_HEADER_BYTES, NULL};
    int rc = mdb_put(txn, store->tables[TABLE_QUARANTINE], &name, &value, MDB_RESERVE);

    if (rc == 0)
        record_write(value.mv_data, TABLE_QUARANTINE, key, content);
    return rc;
}

/* Looks again first: meanwhile something sound may have been put there. A damaged record of the quarantine itself
 * is only deleted. */
static int quarantine_move(struct store *store, MDB_txn *txn, const struct damaged_key *damaged)
{
    weir_view key = view_make(damaged->key, damaged->size), payload;
    char buffer[STORE_KEY_MAX + 2];
    MDB_val name = val_of(key), value;
    int rc = mdb_get(txn, store->tables[damaged->table], &name, &value);

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0 || !record_read(damaged->table, key, view_of_val(value), &payload))
        return rc;
    if (damaged->table != TABLE_QUARANTINE)
        rc = quarantine_put(store, txn, quarantine_key(damaged->table, key, buffer), view_of_val(value));
    return rc == 0 ? mdb_del(txn, store->tables[damaged->table], &name, NULL) : rc;
}

/* The list is only appended to, and by readers; what is looked at here stays as it is, but may move. */
static bool damage_pick(struct damage *damage, size_t index, struct damaged_key *damaged)
{
    bool more;

    pthread_mutex_lock(&damage->lock);
    more = index < damage->count;
    if (more)
        *damaged = damage->keys[index];
    pthread_mutex_unlock(&damage->lock);
    return more;
}

int damage_quarantine(struct store *store, MDB_txn *txn)
{
    struct damaged_key damaged;
    size_t index = 0;
    int rc = 0;

    store->damage.taken = 0;
    /* Without room the evidence stays where it is; it is not served from there either. */
    if (atomic_load(&store->damage.pending) == 0 || atomic_load(&store->room) == 0)
        return 0;
    while (rc == 0 && damage_pick(&store->damage, index, &damaged)) {
        if (!damaged.written)
            rc = quarantine_move(store, txn, &damaged);
        index++;
    }
    store->damage.taken = index;
    return rc;
}

void damage_committed(struct store *store)
{
    struct damage *damage = &store->damage;

    pthread_mutex_lock(&damage->lock);
    for (size_t i = 0; i < damage->taken; i++) {
        if (damage->keys[i].written)
            continue;
        damage->keys[i].written = true;
        atomic_fetch_sub(&damage->pending, 1);
        atomic_fetch_add(&damage->quarantined, 1);
    }
    damage->taken = 0;
    pthread_mutex_unlock(&damage->lock);
}

bool damage_in_quarantine(struct store *store, MDB_txn *txn, enum store_table table, weir_view key)
{
    char buffer[STORE_KEY_MAX + 2];
    MDB_val name, value;

    if (atomic_load(&store->damage.quarantined) == 0 || key.size > STORE_KEY_MAX)
        return false;
    name = val_of(quarantine_key(table, key, buffer));
    return mdb_get(txn, store->tables[TABLE_QUARANTINE], &name, &value) == 0;
}
