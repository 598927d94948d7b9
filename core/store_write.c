/* store_write.c: one write transaction for all that is waiting.
 *
 *   1. Damaged records found since the last one are moved to the quarantine.
 *   2. Each change set that was let in is applied, in order; after STORE_TRIM_MAX deletes the transaction ends, and
 *      the set that was being trimmed goes on in the next.
 *   3. Commit: pages and then the meta page are synced.
 *
 * How it fails: a put that finds the map or the disk full aborts the transaction; what accepts events is refused,
 * and the rest tried once more. An error of the commit is fatal, since after a failed sync nobody knows what the
 * disk holds. A structure that LMDB finds broken is fatal too. */
#include <errno.h>

#include "store_private.h"

int result_of(int lmdb)
{
    switch (lmdb) {
    case 0:
        return WEIR_OK;
    case MDB_NOTFOUND:
        return WEIR_MISSING;
    case ENOMEM:
        return WEIR_NOMEM;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return WEIR_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return WEIR_DAMAGED;
    case MDB_VERSION_MISMATCH:
        return WEIR_NEWER;
    default:
        return WEIR_IO;
    }
}

static int op_put(struct store *store, MDB_txn *txn, const struct op *op)
{
    MDB_val key = val_of(op->key), value = {RECORD_HEADER_BYTES + op->value.size, NULL};
    int rc = mdb_put(txn, store->tables[op->table], &key, &value, MDB_RESERVE);

    if (rc == 0)
        record_write(value.mv_data, op->table, op->key, op->value);
    return rc;
}

static int op_del(struct store *store, MDB_txn *txn, const struct op *op)
{
    MDB_val key = val_of(op->key);
    int rc = mdb_del(txn, store->tables[op->table], &key, NULL);

    return rc == MDB_NOTFOUND ? 0 : rc;
}

static bool trim_past(MDB_txn *txn, MDB_dbi table, MDB_val *key, weir_view to)
{
    MDB_val end = val_of(to);

    return to.data && mdb_cmp(txn, table, key, &end) > 0;
}

/* Each round looks for the first key that is left, so that it does not matter how much earlier ones deleted. */
static int trim_run(MDB_cursor *cursor, const struct op *op, struct batch *batch)
{
    MDB_txn *txn = mdb_cursor_txn(cursor);
    MDB_dbi table = mdb_cursor_dbi(cursor);
    int rc = 0;

    while (rc == 0) {
        MDB_val key = val_of(op->key), value;

        rc = mdb_cursor_get(cursor, &key, &value, op->key.size ? MDB_SET_RANGE : MDB_FIRST);
        if (rc != 0 || trim_past(txn, table, &key, op->value))
            break;
        if (batch->deletes == STORE_TRIM_MAX) {
            batch->cut = true;
            break;
        }
        rc = mdb_cursor_del(cursor, 0);
        batch->deletes++;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int op_trim(struct store *store, MDB_txn *txn, const struct op *op, struct batch *batch)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, store->tables[op->table], &cursor);

    if (rc != 0)
        return rc;
    rc = trim_run(cursor, op, batch);
    mdb_cursor_close(cursor);
    return rc;
}

static int op_apply(struct store *store, MDB_txn *txn, const struct op *op, struct batch *batch)
{
    switch (op->type) {
    case OP_PUT:
        return op_put(store, txn, op);
    case OP_DEL:
        return op_del(store, txn, op);
    default:
        return op_trim(store, txn, op, batch);
    }
}

static int ops_apply(struct store *store, MDB_txn *txn, struct store_ops *ops, struct batch *batch)
{
    for (ops->at_next = ops->at; ops->at_next < ops->count; ops->at_next++) {
        int rc = op_apply(store, txn, &ops->ops[ops->at_next], batch);

        if (rc != 0 || batch->cut)
            return rc;
    }
    return 0;
}

static int batch_apply(struct store *store, MDB_txn *txn, struct batch *batch)
{
    int rc = damage_quarantine(store, txn);

    batch->deletes = 0;
    batch->served = 0;
    batch->cut = false;
    while (rc == 0 && !batch->cut && batch->served < batch->count) {
        if (batch->results[batch->served] == WEIR_OK)
            rc = ops_apply(store, txn, batch->ops[batch->served], batch);
        batch->served++;
    }
    return rc;
}

/* Commits, or leaves everything as it was; *fatal when it is not known which. */
static int batch_try(struct store *store, struct batch *batch, bool *fatal)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = batch_apply(store, txn, batch);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    *fatal = rc != 0;
    return rc;
}

/* Returns how many were refused by this. */
static size_t batch_refuse(struct batch *batch, int result, bool only_accepting)
{
    size_t refused = 0;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->results[i] != WEIR_OK || (only_accepting && batch->ops[i]->class_ != STORE_ACCEPTS))
            continue;
        batch->results[i] = result;
        refused++;
    }
    return refused;
}

int batch_write(struct store *store, struct batch *batch)
{
    bool fatal = false;
    int rc, result;

    while ((rc = batch_try(store, batch, &fatal)) != 0) {
        result = result_of(rc);
        if (fatal || (result != WEIR_FULL && result != WEIR_NOMEM && rc != EIO)) {
            log_write(store->log, LOG_ERROR, "store", "%s %s: %s; nothing more is written",
                      fatal ? "cannot commit to" : "cannot write to", store->path, mdb_strerror(rc));
            return WEIR_IO;
        }
        batch->served = batch->count;
        batch->cut = false;
        result = result == WEIR_NOMEM ? WEIR_NOMEM : WEIR_FULL;
        if (result == WEIR_FULL && batch_refuse(batch, WEIR_FULL, true) > 0)
            continue;
        batch_refuse(batch, result, false);
        return WEIR_OK;
    }
    damage_committed(store);
    atomic_fetch_add(&store->commits, 1);
    return WEIR_OK;
}

int store_turn(struct store *store)
{
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    int result = ops ? WEIR_OK : WEIR_NOMEM;
    struct batch batch = {.ops = &ops, .results = &result, .count = 1};

    if (!ops)
        return WEIR_NOMEM;
    store_ops_put(ops, TABLE_META, view_of("turn"), view_make("", 0));
    if (!ops->failed)
        result = batch_write(store, &batch);
    store_ops_free(ops);
    return result;
}
