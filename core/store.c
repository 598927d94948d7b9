/* store.c: opens and closes a store, and says what is in it.
 *
 *   1. The folder is prepared, and its owner's lock taken (not when read-only).
 *   2. The meta pages are looked at before LMDB may see the file; then LMDB opens it.
 *   3. The structure is checked page by page, up to OPEN_LEAVES_MAX leaf pages: LMDB itself trusts every number it
 *      finds and would crash, or overwrite what is sound. `weir store check` looks at all of them.
 *   4. The tables are opened, the layout compared, the store's id read or made, the store thread started.
 *
 * How it fails: each step says what it met and what to do about it, and undoes those before. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "store_private.h"

#define OPEN_LEAVES_MAX 65536
#define OPEN_TRIES 100
#define READERS_MAX 250
#define MAP_MIN (UINT64_C(1) << 30)
#define MAP_MAX (UINT64_C(1) << 44)
#define SIZE_MIN (UINT64_C(256) << 10)

const char *store_table_name(enum store_table table)
{
    static const char *const names[TABLE_COUNT] = {"meta", "position", "note",    "state",     "scope",
                                                   "dead", "attempt",  "journal", "quarantine"};

    return table < TABLE_COUNT ? names[table] : "structure";
}

const char *store_id(const struct store *store)
{
    return store->id;
}

uint64_t store_room(const struct store *store)
{
    return atomic_load(&store->room);
}

static int damaged_error(const struct store *store, const char *what, struct error *error)
{
    return error_set(error, WEIR_DAMAGED,
                     "store %s is damaged: %s; put back a copy of it, or move the folder away to begin anew",
                     store->path, what);
}

static int lmdb_error(const struct store *store, int rc, const char *attempt, struct error *error)
{
    int result = result_of(rc);

    if (result == WEIR_DAMAGED)
        return damaged_error(store, mdb_strerror(rc), error);
    return error_set(error, result, "cannot %s %s: %s", attempt, store->path, mdb_strerror(rc));
}

/* Address space only: the quota is enforced by counting pages. A reader leaves room for a writer's larger quota. */
static uint64_t map_bytes(const struct store *store)
{
    uint64_t bytes = 2 * store->size_max;

    if (store->read_only && bytes < 64 * MAP_MIN)
        bytes = 64 * MAP_MIN;
    if (bytes < MAP_MIN)
        bytes = MAP_MIN;
    return bytes < MAP_MAX ? bytes : MAP_MAX;
}

static int file_check(struct store *store, struct error *error)
{
    char file[PATH_MAX], what[200];
    struct stat status;
    int fd, result;

    if (snprintf(file, sizeof file, "%s/data.mdb", store->path) >= (int)sizeof file)
        return error_set(error, WEIR_INVALID, "the path of the store is too long: %s", store->path);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return WEIR_OK;
    if (fd < 0)
        return error_set(error, WEIR_IO, "cannot open %s: %s", file, strerror(errno));
    /* An empty file is one that a crash left before anything was in it. */
    result = fstat(fd, &status) == 0 && status.st_size == 0 ? WEIR_OK : tree_check_meta(fd, what, sizeof what);
    close(fd);
    return result == WEIR_OK ? WEIR_OK : damaged_error(store, what, error);
}

static int env_try(struct store *store, uint64_t map)
{
    unsigned flags = MDB_NOTLS | (store->read_only ? MDB_RDONLY : 0);
    int rc = mdb_env_create(&store->env);

    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT)) == 0 &&
        (rc = mdb_env_set_maxreaders(store->env, READERS_MAX)) == 0 &&
        (rc = mdb_env_set_mapsize(store->env, map)) == 0 &&
        (rc = mdb_env_open(store->env, store->path, flags, 0600)) == 0)
        return 0;
    mdb_env_close(store->env);
    store->env = NULL;
    return rc;
}

/* Where address space is scarce (a limit, a checker's machine), less will do: a full map is treated as a full
 * quota. */
static int env_open(struct store *store, struct error *error)
{
    uint64_t map = map_bytes(store);
    int rc = env_try(store, map);

    while ((rc == ENOMEM || rc == EINVAL) && map / 2 >= MAP_MIN / 4) {
        map /= 2;
        rc = env_try(store, map);
    }
    return rc == 0 ? WEIR_OK : lmdb_error(store, rc, "open", error);
}

static void tree_found(void *arg, enum store_table table, weir_view key, const char *what)
{
    damage_found(arg, table, key, what);
}

/* Checks the structure of the newest snapshot, held by a read transaction. WEIR_OK, WEIR_DAMAGED with `what`, ...
 */
int store_check_tree(struct store *store, uint64_t leaves_max, char *what, size_t size)
{
    int result = WEIR_RETRY;

    for (int i = 0; i < OPEN_TRIES && result == WEIR_RETRY; i++) {
        struct tree_check check = {.leaves_max = leaves_max, .suspect = tree_found, .arg = store};
        MDB_txn *txn;
        int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

        if (rc == 0)
            rc = mdb_env_get_fd(store->env, &check.fd);
        if (rc != 0) {
            snprintf(what, size, "%s", mdb_strerror(rc));
            return result_of(rc);
        }
        check.txn = mdb_txn_id(txn);
        result = tree_check(&check);
        mdb_txn_abort(txn);
        snprintf(what, size, "%s", check.what);
    }
    return result;
}

static int structure_check(struct store *store, struct error *error)
{
    char what[200];
    int result = store_check_tree(store, OPEN_LEAVES_MAX, what, sizeof what);

    if (result == WEIR_OK)
        return WEIR_OK;
    if (result == WEIR_DAMAGED)
        return damaged_error(store, what, error);
    return error_set(error, result == WEIR_RETRY ? WEIR_IO : result, "cannot check store %s: %s", store->path,
                     what);
}

static int tables_open(struct store *store, MDB_txn *txn)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        unsigned flags = store->read_only ? 0 : MDB_CREATE;
        int rc = mdb_dbi_open(txn, store_table_name((enum store_table)i), flags, &store->tables[i]);

        if (rc != 0)
            return rc;
    }
    return 0;
}

static int meta_put(struct store *store, MDB_txn *txn, weir_view key, weir_view payload)
{
    MDB_val name = val_of(key), value = {payload.size + RECORD_HEADER_BYTES, NULL};
    int rc = mdb_put(txn, store->tables[TABLE_META], &name, &value, MDB_RESERVE);

    if (rc == 0)
        record_write(value.mv_data, TABLE_META, key, payload);
    return rc;
}

static int meta_make(struct store *store, MDB_txn *txn, struct error *error)
{
    uint8_t layout[4];
    uint64_t number;
    int rc;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return error_set(error, WEIR_IO, "no random number for the store's id: %s", strerror(errno));
    snprintf(store->id, sizeof store->id, "%016" PRIx64, number);
    put_le32(layout, STORE_LAYOUT);
    if ((rc = meta_put(store, txn, view_of("layout"), view_make(layout, sizeof layout))) != 0 ||
        (rc = meta_put(store, txn, view_of("id"), view_of(store->id))) != 0)
        return lmdb_error(store, rc, "write to", error);
    return WEIR_OK;
}

static int layout_check(struct store *store, uint32_t layout, struct error *error)
{
    if (layout > STORE_LAYOUT)
        return error_set(error, WEIR_NEWER,
                         "store %s has layout %" PRIu32
                         ", written by a newer weir; this one reads layout %u: use the "
                         "newer weir, or move the folder away to begin anew",
                         store->path, layout, STORE_LAYOUT);
    if (layout < STORE_LAYOUT)
        return error_set(error, WEIR_INVALID,
                         "store %s has the older layout %" PRIu32
                         ", and this weir reads layout %u: let the weir that "
                         "wrote it finish its work, then move the folder away",
                         store->path, layout, STORE_LAYOUT);
    return WEIR_OK;
}

/* WEIR_MISSING: no such record. */
static int meta_get(struct store *store, MDB_txn *txn, const char *name, weir_view *payload, struct error *error)
{
    MDB_val key = val_of(view_of(name)), value;
    int rc = mdb_get(txn, store->tables[TABLE_META], &key, &value);
    const char *what;

    if (rc == MDB_NOTFOUND)
        return WEIR_MISSING;
    if (rc != 0)
        return lmdb_error(store, rc, "read", error);
    what = record_read(TABLE_META, view_of(name), view_of_val(value), payload);
    return what ? damaged_error(store, what, error) : WEIR_OK;
}

static int meta_read(struct store *store, MDB_txn *txn, struct error *error)
{
    weir_view payload = {0};
    int result = meta_get(store, txn, "layout", &payload, error);

    if (result == WEIR_OK && payload.size != 4)
        return damaged_error(store, "its layout record has a wrong size", error);
    if (result == WEIR_OK)
        result = layout_check(store, get_le32(payload.data), error);
    if (result == WEIR_OK)
        result = meta_get(store, txn, "id", &payload, error);
    if (result != WEIR_OK)
        return result;
    if (payload.size != sizeof store->id - 1)
        return damaged_error(store, "its id has a wrong size", error);
    memcpy(store->id, payload.data, payload.size);
    return WEIR_OK;
}

static bool meta_empty(struct store *store, MDB_txn *txn)
{
    MDB_stat stat;

    return mdb_stat(txn, store->tables[TABLE_META], &stat) == 0 && stat.ms_entries == 0;
}

static int meta_open(struct store *store, MDB_txn *txn, struct error *error)
{
    MDB_stat stat;
    int result;

    if (!store->read_only && meta_empty(store, txn))
        result = meta_make(store, txn, error);
    else
        result = meta_read(store, txn, error);
    if (result == WEIR_MISSING)
        return damaged_error(store, "its layout or id is missing", error);
    if (result == WEIR_OK && mdb_stat(txn, store->tables[TABLE_QUARANTINE], &stat) == 0)
        atomic_store(&store->damage.quarantined, stat.ms_entries);
    return result;
}

static int layout_open(struct store *store, struct error *error)
{
    MDB_txn *txn;
    int result, rc = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);

    if (rc != 0)
        return lmdb_error(store, rc, "read", error);
    rc = tables_open(store, txn);
    if (rc == MDB_NOTFOUND)
        result = error_set(error, WEIR_MISSING, "the store at %s is still being made", store->path);
    else
        result = rc != 0 ? lmdb_error(store, rc, "open the tables of", error) : meta_open(store, txn, error);
    if (result != WEIR_OK) {
        mdb_txn_abort(txn);
        return result;
    }
    rc = mdb_txn_commit(txn);
    return rc != 0 ? lmdb_error(store, rc, "commit to", error) : WEIR_OK;
}

static struct store *store_new(const struct store_options *options, struct log *log)
{
    struct store *store = calloc(1, sizeof *store);
    pthread_condattr_t clock;

    if (!store)
        return NULL;
    store->path = strdup(options->path);
    if (!store->path || damage_init(&store->damage) != WEIR_OK) {
        free(store->path);
        free(store);
        return NULL;
    }
    store->log = log;
    store->owner = -1;
    store->read_only = options->read_only;
    store->size_max = options->size_max;
    store->reserve = room_reserve(options);
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &clock);
    pthread_condattr_destroy(&clock);
    return store;
}

static int room_prepare(struct store *store, struct error *error)
{
    MDB_stat stat;
    int dead, rc;

    if ((rc = mdb_env_stat(store->env, &stat)) != 0 || (rc = room_open(store)) != 0)
        return lmdb_error(store, rc, "read", error);
    store->page_bytes = stat.ms_psize;
    store->reader_checked_us = clock_mono_us();
    mdb_reader_check(store->env, &dead);
    room_update(store);
    return WEIR_OK;
}

static int store_begin(struct store *store, const struct store_options *options, struct error *error)
{
    int result = folder_prepare(options, error);

    if (result == WEIR_OK && !store->read_only)
        result = folder_lock(store->path, &store->owner, error);
    if (result == WEIR_OK)
        result = file_check(store, error);
    if (result == WEIR_OK)
        result = env_open(store, error);
    if (result == WEIR_OK)
        result = structure_check(store, error);
    if (result == WEIR_OK)
        result = layout_open(store, error);
    if (result == WEIR_OK && options->create && !store->read_only)
        result = folder_sync(store->path, error);
    if (result == WEIR_OK)
        result = room_prepare(store, error);
    if (result == WEIR_OK && !store->read_only)
        result = store_thread_start(store, error);
    return result;
}

int store_open(struct store **opened, const struct store_options *options, struct log *log, struct error *error)
{
    struct store *store;
    int result;

    *opened = NULL;
    if (!options->read_only && (options->size_max < SIZE_MIN || room_reserve(options) >= options->size_max))
        return error_set(error, WEIR_INVALID,
                         "store %s: size_max must be at least %" PRIu64 " bytes and larger "
                         "than the reserve",
                         options->path, SIZE_MIN);
    store = store_new(options, log);
    if (!store)
        return error_set(error, WEIR_NOMEM, "out of memory while opening store %s", options->path);
    result = store_begin(store, options, error);
    if (result != WEIR_OK) {
        store_close(store);
        return result;
    }
    *opened = store;
    return WEIR_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_thread_stop(store);
    room_close(store);
    if (store->env)
        mdb_env_close(store->env);
    folder_unlock(store->owner);
    damage_fini(&store->damage);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}
