/* store_private.h: what the files of the store share. The only header that includes lmdb.h.
 *
 * store.c opens and closes; store_folder.c the folder and the owner's lock; store_ops.c change sets; store_thread.c
 * the queue and the group commit; store_write.c one write transaction; store_room.c how much room there is;
 * store_record.c a record's header and checksum; store_damage.c what was found damaged, and the quarantine;
 * store_read.c get and scan; store_check.c the check on request; store_tree.c, store_page.c and store_meta.c the
 * structure of the file, page by page, without LMDB.
 *
 * Locking: `lock` guards the queue and `stopping`; `damage.lock` the list of damaged records. What other threads
 * read of the rest is atomic. The store thread is the only one that begins write transactions after store_open. */
#ifndef WEIR_STORE_PRIVATE_H
#define WEIR_STORE_PRIVATE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base.h"
#include "store.h"

#define STORE_TRIM_MAX 2000         /* records deleted in one transaction */
#define STORE_SLICE 1000            /* records read in one read transaction */
#define STORE_ROOM_MIN (128 * 1024) /* less room than this counts as none: a journal block would not fit */
#define STORE_FULL_POLL_MS 200
#define STORE_READER_CHECK_US (60 * INT64_C(1000000))
#define DAMAGE_PENDING_MAX 1024

/* Before each value: crc32c, version, and 24 bits of checksum over table and key alone, so that a damaged key is
 * found without reading a long value. */
#define RECORD_HEADER_BYTES 8
#define RECORD_VERSION 1

enum op_type { OP_PUT, OP_DEL, OP_TRIM };

struct op {
    enum op_type type;
    enum store_table table;
    weir_view key;   /* OP_TRIM: from */
    weir_view value; /* OP_TRIM: to */
};

struct store_ops {
    struct store_ops *next;
    enum store_class class_;
    struct arena arena;
    struct op *ops;
    size_t count, capacity;
    size_t bytes;
    uint64_t growth; /* bytes the store will use more, roughly; deletes count nothing */
    uint64_t touch;  /* bytes of pages that may be written, at worst */
    bool frees;      /* has deletes: may pass a full quota, as it is the way out */
    bool failed;     /* a malloc failed */
    bool started;    /* a long trim was cut: the ops before `at` are durable, and the rest must follow */
    size_t at, at_next;
    store_done *done;
    void *arg;
};

struct damaged_key {
    enum store_table table;
    uint16_t size;
    bool written; /* is in the quarantine, or cannot be (read-only) */
    char key[STORE_KEY_MAX + 1];
};

struct damage {
    pthread_mutex_t lock;
    struct damaged_key *keys; /* grown to DAMAGE_PENDING_MAX; those already written stay: each is logged once */
    size_t count, capacity;
    size_t taken; /* the first so many are in the transaction that is being written */
    _Atomic uint64_t found;
    _Atomic uint64_t pending;
    _Atomic uint64_t quarantined; /* records in TABLE_QUARANTINE */
};

struct store {
    char *path;
    struct log *log;
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    char id[17];
    int owner;
    bool read_only;
    size_t page_bytes;
    uint64_t size_max, reserve;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool threaded; /* the thread was started */
    bool stopping;
    struct store_ops *first, **last;

    /* The store thread's own. */
    MDB_txn *counter; /* read transaction for counting free pages; renewed and reset around each use */
    uint64_t file_bytes, used_bytes, free_bytes, disk_bytes;
    uint64_t young_bytes; /* of the free ones: freed by the last transaction */
    uint64_t runs_bytes;  /* of the older ones: in runs that take a block; 0 where the disk is not short */
    int64_t reader_checked_us;

    struct damage damage;
    _Atomic uint64_t room, used;
    _Atomic uint64_t commits, submits, full_refusals;
    _Atomic bool poisoned;
};

/* store_folder.c */
int folder_prepare(const struct store_options *options, struct error *error);
int folder_lock(const char *path, int *owner, struct error *error);
void folder_unlock(int owner);
int folder_sync(const char *path, struct error *error);

/* store_thread.c */
int store_thread_start(struct store *store, struct error *error);
void store_thread_stop(struct store *store);

/* store_write.c: one write transaction on the calling thread. */
struct batch {
    struct store_ops **ops;
    int *results; /* WEIR_OK: is or will be applied; else what `done` will hear */
    size_t count;
    size_t deletes; /* records deleted in this transaction */
    size_t served;  /* how many, from the first, this transaction dealt with */
    bool cut;       /* the last of those goes on in the next transaction */
};
/* Returns WEIR_OK when what has result WEIR_OK is durable, else an error that poisons the store. */
int batch_write(struct store *store, struct batch *batch);
/* A transaction for its own sake: what the last one freed can be had after it. */
int store_turn(struct store *store);

/* store_room.c: store thread, or before it was started. */
uint64_t room_reserve(const struct store_options *options);
int room_open(struct store *store);
void room_close(struct store *store);
void room_update(struct store *store);
bool room_turns(const struct store *store); /* one more transaction would show more room */
bool room_for(const struct store *store, const struct store_ops *ops, uint64_t growth, uint64_t touch);
void room_cost(size_t page_bytes, size_t key_size, size_t value_size, uint64_t *growth, uint64_t *touch);

/* store_record.c */
void record_write(void *to, enum store_table table, weir_view key, weir_view payload);
/* NULL: sound, payload is set; else what is wrong with it, in words. */
const char *record_read(enum store_table table, weir_view key, weir_view stored, weir_view *payload);
/* Looks at the header alone; `head` are the first RECORD_HEADER_BYTES. */
const char *record_peek(enum store_table table, weir_view key, const void *head);

/* store_damage.c: any thread. */
int damage_init(struct damage *damage);
void damage_fini(struct damage *damage);
void damage_found(struct store *store, enum store_table table, weir_view key, const char *what);
/* Copies what is pending into the quarantine and deletes it, within `txn`. */
int damage_quarantine(struct store *store, MDB_txn *txn);
void damage_committed(struct store *store); /* that transaction is durable */
bool damage_in_quarantine(struct store *store, MDB_txn *txn, enum store_table table, weir_view key);

/* store_read.c: records as they lie there, in order of key, unchecked. */
struct scan {
    struct store_reader *reader;
    enum store_table table;
    weir_view from, to;
    store_visit *visit;
    void *arg;
    /* scan_run's own. */
    bool ended, again;
    size_t at_size; /* the last key seen, where the next slice goes on */
    char at[STORE_KEY_MAX + 12];
};
int scan_run(struct scan *scan);

/* store_tree.c */
typedef void tree_suspect(void *arg, enum store_table table, weir_view key, const char *what);
struct tree_check {
    int fd;                /* of data.mdb */
    uint64_t txn;          /* the snapshot, held open by a read transaction */
    uint64_t leaves_max;   /* leaf pages to look at, at most */
    tree_suspect *suspect; /* a record whose header or content is damaged; the structure is sound */
    void *arg;
    char what[200]; /* the answer when the structure is damaged */
};
/* store_meta.c: before LMDB may see the file. */
int tree_check_meta(int fd, char *what, size_t size);
/* WEIR_OK, WEIR_DAMAGED, WEIR_NOMEM, WEIR_RETRY (the snapshot is not there any more). */
int tree_check(struct tree_check *check);

/* store.c */
int store_check_tree(struct store *store, uint64_t leaves_max, char *what, size_t size);
int result_of(int lmdb);

static inline MDB_val val_of(weir_view view)
{
    MDB_val val = {view.size, (void *)(uintptr_t)view.data};
    return val;
}

static inline weir_view view_of_val(MDB_val val)
{
    return view_make(val.mv_data, val.mv_size);
}

#endif
