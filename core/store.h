/* store.h: everything that must survive a crash, in one LMDB environment: the only file that knows lmdb.h.
 *
 * The normal path of a change:
 *   1. The loop fills a `struct store_ops` (puts and deletes over tables) and hands it over with store_submit.
 *   2. The store thread takes all that is waiting, checks that there is room, applies each in one write
 * transaction, commits (data and meta page are synced), and calls each one's `done` on the store thread. How it
 * fails: no room (quota or file system) refuses only what accepts new events, with WEIR_FULL, and leaves a reserve
 * for checkpoints and dead letters; an error of the commit itself poisons the store: every later done gets WEIR_IO,
 * nothing more is written. Every record has a version and a CRC32C over table, key and value; a damaged one is
 * reported, copied to the quarantine table by the next write, and never served.
 *
 * Environment: default durability + MDB_NOTLS, never WRITEMAP or NOSYNC, no DUPSORT. Files: data.mdb, lock.mdb, and
 * `owner`, an flock-ed file that says which process runs on it. Folder 0700, files 0600.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "log.h"
#include "weir.h"

#define STORE_LAYOUT 1u   /* an older layout is recognised and said so, a newer one is refused */
#define STORE_KEY_MAX 500 /* LMDB's limit is 511 */

enum store_table {
    TABLE_META,     /* store's own */
    TABLE_POSITION, /* route, source, shard -> vector */
    TABLE_NOTE,     /* source, shard -> the source's note */
    TABLE_STATE,    /* scope, key, name -> value of keyed state */
    TABLE_SCOPE,    /* scope -> route, function, source, shard */
    TABLE_DEAD,     /* route, source, shard, position, stage, ordinal -> dead letter */
    TABLE_ATTEMPT,  /* route, source, shard, position -> attempts that never came back */
    TABLE_JOURNAL,  /* source, first position -> block; carries its own checksums (journal_block.h) */
    TABLE_QUARANTINE,
    TABLE_COUNT
};

struct store;

struct store_options {
    const char *path;
    uint64_t size_max; /* quota; bytes of data.mdb in use */
    uint64_t reserve;  /* of the quota and of the file system, kept for checkpoints and dead letters; 0: 1/16 of the
                          quota, at least 1 MiB and at most 64 MiB */
    bool create;       /* make folder and store when absent */
    bool read_only;    /* beside a running weir: no lock, no thread, no writes */
};

/* WEIR_LOCKED names the process that has it; WEIR_NEWER, WEIR_DAMAGED, WEIR_MISSING, WEIR_IO say what to do. */
int store_open(struct store **store, const struct store_options *options, struct log *log, struct error *error);
void store_close(struct store *store);           /* waits for what was submitted */
const char *store_id(const struct store *store); /* 16 hex digits, made once */

/* A change set. Built on one thread, given to store_submit. Memory grows as needed; a failed malloc is sticky and
 * makes store_submit answer WEIR_NOMEM. */
struct store_ops;
enum store_class {
    STORE_KEEPS,  /* checkpoints, dead letters, state, deletes: may use the reserve */
    STORE_ACCEPTS /* journal appends: refused with WEIR_FULL when only the reserve is left */
};
struct store_ops *store_ops_new(enum store_class class_);
void store_ops_free(struct store_ops *ops);
void store_ops_put(struct store_ops *ops, enum store_table table, weir_view key, weir_view value); /* copies both */
/* `value` stays borrowed until done was called. */
void store_ops_put_borrowed(struct store_ops *ops, enum store_table table, weir_view key, weir_view value);
void store_ops_del(struct store_ops *ops, enum store_table table, weir_view key); /* absent is fine */
/* Deletes from <= key <= to in order. Long runs are cut: at most 2,000 records go in one transaction, the store
 * thread carries on with the rest in its next ones. */
void store_ops_trim(struct store_ops *ops, enum store_table table, weir_view from, weir_view to);
size_t store_ops_bytes(const struct store_ops *ops);
bool store_ops_empty(const struct store_ops *ops);

/* Takes ops; done(arg, result) on the store thread: WEIR_OK durable; WEIR_FULL, WEIR_NOMEM nothing of it was
 * applied, and ops is the caller's again, to be submitted once more or freed; WEIR_IO the store is poisoned. Order
 * among submits is kept. Any thread. */
typedef void store_done(void *arg, int result);
void store_submit(struct store *store, struct store_ops *ops, store_done *done, void *arg);
/* Submits and waits; for start-up and the command line, never on a running loop. Takes ops. */
int store_apply(struct store *store, struct store_ops *ops);

/* Room for what accepts events: bytes until WEIR_FULL; 0: full now. Any thread, cheap (updated with each commit
 * and, while full, by the store thread every 200 ms, so that it recovers by itself). */
uint64_t store_room(const struct store *store);

/* Reads: one reader for each thread that reads; a call opens and ends its read transaction (sliced every 1,000
 * records), so none outlives it. */
struct store_reader;
struct store_reader *store_reader_new(struct store *store);
void store_reader_free(struct store_reader *reader);
/* The value is copied into arena. WEIR_OK, WEIR_MISSING, WEIR_DAMAGED (quarantined), WEIR_NOMEM, WEIR_IO. */
int store_get(struct store_reader *reader, enum store_table table, weir_view key, struct arena *arena,
              weir_view *value);
/* Visits from <= key <= to in order of key (absent: from the first, to the last); visit returns false to end.
 * The views last for the visit. Damaged records are skipped and counted. */
typedef bool store_visit(void *arg, weir_view key, weir_view value);
int store_scan(struct store_reader *reader, enum store_table table, weir_view from, weir_view to,
               store_visit *visit, void *arg);

struct store_status {
    uint64_t bytes_used, bytes_max, room;
    uint64_t records[TABLE_COUNT];
    uint64_t bytes[TABLE_COUNT]; /* of the pages that each table takes now */
    uint64_t commits, submits, damaged, full_refusals;
    bool poisoned;
};
void store_status(struct store *store, struct store_status *status);
const char *store_table_name(enum store_table table);

/* Reads every record of every table, checks it, and reports the damaged ones. Works read-only. */
typedef void store_report(void *arg, enum store_table table, weir_view key, const char *what);
int store_check(struct store *store, store_report *report, void *arg, uint64_t *records, uint64_t *damaged);

#endif
