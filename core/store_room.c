/* store_room.c: how much room is left, in the quota and on the file system.
 *
 * In use are the pages up to the last one, less those in LMDB's list of free pages (database 0: the transaction
 * that freed them -> their count and numbers). The list must be counted: the file never shrinks, so a store that
 * was full once would stay full. A commit leaves few entries there, so counting after each one costs microseconds.
 *
 * What accepts events may use the quota but for the reserve. On the file system it needs the space beyond the
 * reserve, as if no free page were of use to it; or, where the disk is short, free pages that lie side by side, in
 * runs that take a block, twice what it asks for: else a file that once filled its disk would never accept again.
 * Pages that the last transaction freed are not counted as such: LMDB gives them out one transaction later.
 * What keeps (checkpoints, dead letters) may use the reserve; with deletes in it, it may pass a full quota, as it
 * is the way out. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "store_private.h"

#define RESERVE_MIN (UINT64_C(1) << 20)
#define RESERVE_MAX (UINT64_C(64) << 20)
/* Pages that a transaction rewrites whatever it holds: a path in the table, the directory of tables, free list. */
#define PATH_PAGES 8
/* A journal block of 64 KiB with LMDB's header. */
#define RUN_PAGES 17
/* With less than this beyond the reserve, runs of free pages are looked for. */
#define DISK_SHORT (UINT64_C(64) << 20)

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

/* One record of the list of free pages: the transaction that freed them -> how many, and their numbers. */
static uint64_t freed_by(MDB_val key)
{
    size_t txn;

    memcpy(&txn, key.mv_data, sizeof txn);
    return txn;
}

static size_t freed_number(MDB_val data, size_t i)
{
    size_t number;

    memcpy(&number, (const char *)data.mv_data + i * sizeof number, sizeof number);
    return number;
}

static void freed_mark(MDB_val data, unsigned char *map, uint64_t pages)
{
    for (size_t i = freed_number(data, 0); i > 0; i--) {
        size_t page = freed_number(data, i);

        if (page < pages)
            map[page / 8] |= (unsigned char)(1u << page % 8);
    }
}

struct freed {
    uint64_t pages;      /* in the file */
    uint64_t last;       /* the last transaction */
    uint64_t all, young; /* free pages; those of the last transaction */
    unsigned char *map;  /* a bit for each older one; NULL: not wanted */
};

static int freed_count(MDB_txn *txn, struct freed *freed)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, 0, &cursor);

    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        freed->all += freed_number(data, 0);
        if (freed_by(key) >= freed->last)
            freed->young += freed_number(data, 0);
        else if (freed->map)
            freed_mark(data, freed->map, freed->pages);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Pages in runs of at least RUN_PAGES, in whole multiples of it. */
static uint64_t freed_runs(const struct freed *freed)
{
    uint64_t run = 0, sum = 0;

    for (uint64_t page = 0; freed->map && page <= freed->pages; page++) {
        if (page < freed->pages && freed->map[page / 8] >> page % 8 & 1) {
            run++;
            continue;
        }
        sum += run / RUN_PAGES * RUN_PAGES;
        run = 0;
    }
    return sum;
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

/* short_of_disk: the runs of free pages matter. */
static void pages_count(struct store *store, bool short_of_disk)
{
    MDB_envinfo info;

    if (mdb_txn_renew(store->counter) != 0)
        return;
    if (mdb_env_info(store->env, &info) == 0) {
        struct freed freed = {.pages = (uint64_t)info.me_last_pgno + 1, .last = info.me_last_txnid};

        if (short_of_disk)
            freed.map = calloc(freed.pages / 8 + 1, 1);
        if (freed_count(store->counter, &freed) == 0) {
            store->file_bytes = freed.pages * store->page_bytes;
            store->free_bytes = freed.all * store->page_bytes;
            store->young_bytes = freed.young * store->page_bytes;
            store->runs_bytes = freed_runs(&freed) * store->page_bytes;
            store->used_bytes = above(freed.pages, freed.all) * store->page_bytes;
            atomic_store(&store->used, store->used_bytes);
        }
        free(freed.map);
    }
    mdb_txn_reset(store->counter);
}

/* What events may take of the disk. */
static uint64_t disk_room(const struct store *store)
{
    uint64_t beyond = above(store->disk_bytes, store->reserve), runs = store->runs_bytes / 2;

    runs = runs < store->disk_bytes ? runs : store->disk_bytes; /* it need not be true for nothing to fail */
    return beyond > runs ? beyond : runs;
}

void room_update(struct store *store)
{
    uint64_t room, on_disk;

    disk_measure(store);
    pages_count(store, above(store->disk_bytes, store->reserve) < DISK_SHORT);
    room = above(store->size_max, store->reserve + store->used_bytes);
    on_disk = disk_room(store);
    room = room < on_disk ? room : on_disk;
    atomic_store(&store->room, room < STORE_ROOM_MIN ? 0 : room);
}

bool room_turns(const struct store *store)
{
    return atomic_load(&store->room) == 0 && store->young_bytes >= STORE_ROOM_MIN &&
           store->disk_bytes > (uint64_t)2 * PATH_PAGES * store->page_bytes;
}

/* Is there room for ops, when growth and touch are already promised to others of the same transaction? */
bool room_for(const struct store *store, const struct store_ops *ops, uint64_t growth, uint64_t touch)
{
    uint64_t used = store->used_bytes + growth + ops->growth;
    uint64_t pages = touch + ops->touch + PATH_PAGES * store->page_bytes;

    if (ops->class_ == STORE_ACCEPTS)
        return atomic_load(&store->room) > 0 && used + store->reserve <= store->size_max &&
               pages <= disk_room(store);
    /* Half of the free pages: those that the last transaction freed are not to be had yet. */
    return (ops->frees || used <= store->size_max) && pages <= store->disk_bytes + store->free_bytes / 2;
}
