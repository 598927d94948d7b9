/* store_room.c: how much room is left, in the quota and on the file system.
 *
 * In use are the pages up to the last one, less those in LMDB's list of free pages (database 0: the transaction
 * that freed them -> their count and numbers). The list must be counted: the file never shrinks, so a store that
 * was full once would stay full. A commit leaves few entries there, so counting after each one costs microseconds.
 *
 * What accepts events may use the quota but for the reserve, and needs the space on the file system, since free
 * pages may be too scattered for a block. What keeps (checkpoints, dead letters) may use the reserve; with deletes
 * in it, it may pass a full quota, as it is the way out. */
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "store_private.h"

#define RESERVE_MIN (UINT64_C(1) << 20)
#define RESERVE_MAX (UINT64_C(64) << 20)
/* Pages that a transaction rewrites whatever it holds: a path in the table, the directory of tables, free list. */
#define PATH_PAGES 8

uint64_t room_reserve(const struct store_options *options)
{
    uint64_t reserve = options->size_max / 16;

    if (options->reserve)
        return options->reserve;
    if (reserve < RESERVE_MIN)
        return RESERVE_MIN;
    return reserve < RESERVE_MAX ? reserve : RESERVE_MAX;
}

/* Adds what one put costs: a long value takes whole pages of its own, a short one a share of a leaf that may split,
 * and at worst rewrites a leaf of its own. */
void room_cost(size_t page_bytes, size_t key_size, size_t value_size, uint64_t *growth, uint64_t *touch)
{
    uint64_t node = key_size + value_size + 16;

    if (node <= page_bytes / 2) {
        *growth += 2 * node;
        *touch += page_bytes;
        return;
    }
    node = (value_size + 16 + page_bytes - 1) / page_bytes * page_bytes;
    *growth += node + 2 * (key_size + 32);
    *touch += node + page_bytes;
}

int room_open(struct store *store)
{
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->counter);

    if (rc != 0)
        return rc;
    mdb_txn_reset(store->counter);
    return 0;
}

void room_close(struct store *store)
{
    if (store->counter)
        mdb_txn_abort(store->counter);
    store->counter = NULL;
}

static int free_pages_count(MDB_txn *txn, uint64_t *pages)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, 0, &cursor);

    *pages = 0;
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        size_t count;

        memcpy(&count, data.mv_data, sizeof count);
        *pages += count;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void pages_count(struct store *store)
{
    MDB_envinfo info;
    uint64_t free_pages, pages;

    if (mdb_txn_renew(store->counter) != 0)
        return;
    if (free_pages_count(store->counter, &free_pages) == 0 && mdb_env_info(store->env, &info) == 0) {
        pages = (uint64_t)info.me_last_pgno + 1;
        store->file_bytes = pages * store->page_bytes;
        store->free_bytes = free_pages * store->page_bytes;
        store->used_bytes = (pages - (free_pages < pages ? free_pages : pages)) * store->page_bytes;
        atomic_store(&store->used, store->used_bytes);
    }
    mdb_txn_reset(store->counter);
}

static uint64_t above(uint64_t have, uint64_t need)
{
    return have > need ? have - need : 0;
}

/* What the file may still grow by: the file system's space, or the process's limit of a file's size. */
static void disk_measure(struct store *store)
{
    struct statvfs disk;
    struct rlimit limit;

    if (statvfs(store->path, &disk) == 0)
        store->disk_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        above(limit.rlim_cur, store->file_bytes) < store->disk_bytes)
        store->disk_bytes = above(limit.rlim_cur, store->file_bytes);
}

void room_update(struct store *store)
{
    uint64_t room, on_disk;

    pages_count(store);
    disk_measure(store);
    room = above(store->size_max, store->reserve + store->used_bytes);
    on_disk = above(store->disk_bytes, store->reserve);
    room = room < on_disk ? room : on_disk;
    atomic_store(&store->room, room < STORE_ROOM_MIN ? 0 : room);
}

/* Is there room for ops, when growth and touch are already promised to others of the same transaction? */
bool room_for(const struct store *store, const struct store_ops *ops, uint64_t growth, uint64_t touch)
{
    uint64_t used = store->used_bytes + growth + ops->growth;
    uint64_t pages = touch + ops->touch + PATH_PAGES * store->page_bytes;

    if (ops->class_ == STORE_ACCEPTS)
        return atomic_load(&store->room) > 0 && used + store->reserve <= store->size_max &&
               pages + store->reserve <= store->disk_bytes;
    /* Half of the free pages: those that the last transaction freed are not to be had yet. */
    return (ops->frees || used <= store->size_max) && pages <= store->disk_bytes + store->free_bytes / 2;
}
