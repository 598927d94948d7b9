/* store_read.c: get and scan.
 *
 *   1. A call renews its reader's read transaction, and gives it back before it returns: an open one keeps the
 *      writer from using pages again. A scan does so every STORE_SLICE records too, and finds its place by key.
 *   2. Each record's checksum is compared before it is served.
 *
 * How it fails: a damaged record is reported to store_damage.c, which moves it to the quarantine. */
#include <stdlib.h>

#include "store_private.h"

struct store_reader {
    struct store *store;
    MDB_txn *txn; /* reset between calls */
};

struct store_reader *store_reader_new(struct store *store)
{
    struct store_reader *reader = calloc(1, sizeof *reader);

    if (reader)
        reader->store = store;
    return reader;
}

void store_reader_free(struct store_reader *reader)
{
    if (!reader)
        return;
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    free(reader);
}

static int reader_begin(struct store_reader *reader)
{
    if (reader->txn)
        return mdb_txn_renew(reader->txn);
    return mdb_txn_begin(reader->store->env, NULL, MDB_RDONLY, &reader->txn);
}

static void reader_end(struct store_reader *reader)
{
    mdb_txn_reset(reader->txn);
}

/* Absent, or gone because it was damaged. */
static int get_missing(struct store_reader *reader, enum store_table table, weir_view key)
{
    return damage_in_quarantine(reader->store, reader->txn, table, key) ? WEIR_DAMAGED : WEIR_MISSING;
}

static int reader_get(struct store_reader *reader, enum store_table table, weir_view key, struct arena *arena,
                      weir_view *value)
{
    MDB_val name = val_of(key), data;
    weir_view payload;
    const char *what;
    int rc = mdb_get(reader->txn, reader->store->tables[table], &name, &data);

    if (rc == MDB_NOTFOUND)
        return get_missing(reader, table, key);
    if (rc != 0)
        return result_of(rc);
    what = record_read(table, key, view_of_val(data), &payload);
    if (what) {
        damage_found(reader->store, table, key, what);
        return WEIR_DAMAGED;
    }
    *value = arena_copy(arena, payload);
    return value->data ? WEIR_OK : WEIR_NOMEM;
}

int store_get(struct store_reader *reader, enum store_table table, weir_view key, struct arena *arena,
              weir_view *value)
{
    int result, rc;

    if (key.size == 0 || key.size > STORE_KEY_MAX)
        return WEIR_INVALID;
    rc = reader_begin(reader);
    if (rc != 0)
        return result_of(rc);
    result = reader_get(reader, table, key, arena, value);
    reader_end(reader);
    return result;
}

/* The first record to visit: at `from`, or after the last one seen. */
static int scan_seek(struct scan *scan, MDB_cursor *cursor, MDB_val *key, MDB_val *data)
{
    weir_view at = view_make(scan->at, scan->at_size);
    int rc;

    *key = val_of(at);
    rc = mdb_cursor_get(cursor, key, data, at.size ? MDB_SET_RANGE : MDB_FIRST);
    if (rc == 0 && scan->again && view_equal(view_of_val(*key), at))
        rc = mdb_cursor_get(cursor, key, data, MDB_NEXT);
    return rc;
}

static bool scan_past(struct scan *scan, MDB_val *key)
{
    MDB_val end = val_of(scan->to);

    return scan->to.data && mdb_cmp(scan->reader->txn, scan->reader->store->tables[scan->table], key, &end) > 0;
}

/* MDB_NOTFOUND: nothing follows. */
static int scan_slice(struct scan *scan, MDB_cursor *cursor)
{
    MDB_val key, data;
    int rc = scan_seek(scan, cursor, &key, &data);

    for (int i = 0; rc == 0 && !scan->ended && i < STORE_SLICE; i++) {
        if (scan_past(scan, &key) || key.mv_size > sizeof scan->at)
            return MDB_NOTFOUND;
        scan->at_size = key.mv_size;
        memcpy(scan->at, key.mv_data, key.mv_size);
        scan->ended = !scan->visit(scan->arg, view_of_val(key), view_of_val(data));
        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    return rc;
}

static int scan_transaction(struct scan *scan)
{
    struct store_reader *reader = scan->reader;
    MDB_cursor *cursor;
    int rc = reader_begin(reader);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_open(reader->txn, reader->store->tables[scan->table], &cursor);
    if (rc == 0) {
        rc = scan_slice(scan, cursor);
        mdb_cursor_close(cursor);
    }
    reader_end(reader);
    return rc;
}

int scan_run(struct scan *scan)
{
    int rc = 0;

    if (scan->from.size > STORE_KEY_MAX || scan->to.size > STORE_KEY_MAX)
        return WEIR_INVALID;
    scan->at_size = scan->from.size;
    if (scan->from.size)
        memcpy(scan->at, scan->from.data, scan->from.size);
    while (rc == 0 && !scan->ended) {
        rc = scan_transaction(scan);
        scan->again = true;
    }
    return rc == MDB_NOTFOUND ? WEIR_OK : result_of(rc);
}

struct visitor {
    struct store *store;
    enum store_table table;
    store_visit *visit;
    void *arg;
};

static bool visitor_record(void *arg, weir_view key, weir_view stored)
{
    struct visitor *visitor = arg;
    weir_view payload;
    const char *what = record_read(visitor->table, key, stored, &payload);

    if (!what)
        return visitor->visit(visitor->arg, key, payload);
    damage_found(visitor->store, visitor->table, key, what);
    return true;
}

int store_scan(struct store_reader *reader, enum store_table table, weir_view from, weir_view to,
               store_visit *visit, void *arg)
{
    struct visitor visitor = {reader->store, table, visit, arg};
    struct scan scan = {
        .reader = reader, .table = table, .from = from, .to = to, .visit = visitor_record, .arg = &visitor};

    return scan_run(&scan);
}
