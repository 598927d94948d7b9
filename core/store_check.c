/* store_check.c: counts, and the check of every record on request.
 *
 *   1. The whole structure of the file, page by page (store_tree.c).
 *   2. Only when that holds, every record of every table through LMDB, in slices; of journal blocks each event.
 *
 * How it fails: a broken structure is reported as one finding and ends the check, since LMDB may not walk it. */
#include <stdlib.h>

#include "journal_block.h"
#include "store_private.h"

struct check {
    struct store *store;
    enum store_table table; /* TABLE_COUNT: the structure of the file */
    store_report *report;
    void *arg;
    weir_view key;
    uint64_t records, damaged;
};

static void check_found(struct check *check, const char *what)
{
    check->damaged++;
    if (check->report)
        check->report(check->arg, check->table, check->key, what);
}

static void check_event_damaged(void *arg, uint64_t position, const char *what)
{
    UNUSED(position);
    check_found(arg, what);
}

static void check_block(struct check *check, weir_view block)
{
    struct journal_block_info info;
    weir_event *events;
    weir_header *headers;

    if (journal_block_info(block, &info) != WEIR_OK) {
        check_found(check, "the journal block's header is damaged");
        return;
    }
    if (check->key.size < 8 || get_be64(check->key.data + check->key.size - 8) != info.first)
        check_found(check, "the journal block is not the one its key names");
    events = calloc(info.count + 1, sizeof *events);
    headers = calloc(info.header_count + 1, sizeof *headers);
    if (events && headers)
        journal_block_read(block, events, headers, check_event_damaged, check);
    else
        check_found(check, "out of memory while checking it");
    free(headers);
    free(events);
}

static bool check_record(void *arg, weir_view key, weir_view stored)
{
    struct check *check = arg;
    weir_view payload;
    const char *what = record_read(check->table, key, stored, &payload);

    check->records++;
    check->key = key;
    if (what)
        check_found(check, what);
    else if (check->table == TABLE_JOURNAL)
        check_block(check, payload);
    return true;
}

static int check_tables(struct check *check)
{
    struct store_reader *reader = store_reader_new(check->store);
    int result = reader ? WEIR_OK : WEIR_NOMEM;

    for (int i = 0; result == WEIR_OK && i < TABLE_COUNT; i++) {
        struct scan scan = {.reader = reader, .table = (enum store_table)i, .visit = check_record, .arg = check};

        check->table = scan.table;
        result = scan_run(&scan);
    }
    store_reader_free(reader);
    return result;
}

int store_check(struct store *store, store_report *report, void *arg, uint64_t *records, uint64_t *damaged)
{
    struct check check = {.store = store, .table = TABLE_COUNT, .report = report, .arg = arg};
    char what[200];
    int result = store_check_tree(store, UINT64_MAX, what, sizeof what);

    if (result == WEIR_DAMAGED)
        check_found(&check, what);
    if (result == WEIR_OK)
        result = check_tables(&check);
    *records = check.records;
    *damaged = check.damaged;
    return result == WEIR_OK && check.damaged ? WEIR_DAMAGED : result;
}

static void tables_measure(struct store *store, struct store_status *status)
{
    MDB_txn *txn;
    MDB_stat stat;

    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    for (int i = 0; i < TABLE_COUNT; i++)
        if (mdb_stat(txn, store->tables[i], &stat) == 0) {
            status->records[i] = stat.ms_entries;
            status->bytes[i] = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
        }
    mdb_txn_abort(txn);
}

void store_status(struct store *store, struct store_status *status)
{
    memset(status, 0, sizeof *status);
    if (store->read_only)
        room_update(store); /* no store thread keeps it */
    status->bytes_used = atomic_load(&store->used);
    status->bytes_max = store->size_max;
    status->room = atomic_load(&store->room);
    status->commits = atomic_load(&store->commits);
    status->submits = atomic_load(&store->submits);
    status->damaged = atomic_load(&store->damage.found);
    status->full_refusals = atomic_load(&store->full_refusals);
    status->poisoned = atomic_load(&store->poisoned);
    tables_measure(store, status);
}
