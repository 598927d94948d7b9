/* store_kit.h: what the tests of the store share: a folder that goes away, stores in it, and records by number. */
#ifndef WEIR_STORE_KIT_H
#define WEIR_STORE_KIT_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "base.h"
#include "store.h"
#include "testing.h"

#define KIT_SIZE_MAX (UINT64_C(64) << 20)
#define KIT_ACKS_KEPT 800

static inline int kit_remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    UNUSED(status);
    UNUSED(type);
    UNUSED(ftw);
    return remove(path);
}

static inline void kit_remove(const char *folder)
{
    nftw(folder, kit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void kit_folder(char folder[PATH_MAX])
{
    const char *base = getenv("TMPDIR");

    snprintf(folder, PATH_MAX, "%s/weir-store-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline int kit_try(struct store **store, const char *folder, bool read_only, struct error *error)
{
    struct store_options options = {
        .path = folder, .size_max = KIT_SIZE_MAX, .create = !read_only, .read_only = read_only};

    return store_open(store, &options, NULL, error);
}

static inline struct store *kit_open(const char *folder)
{
    struct error error = {0};
    struct store *store;
    int result = kit_try(&store, folder, false, &error);

    ck_assert_msg(result == WEIR_OK, "store_open: %s", error.text);
    return store;
}

/* Keys that sort by number. */
static inline weir_view kit_key(char buffer[24], unsigned number)
{
    return view_make(buffer, (size_t)snprintf(buffer, 24, "key-%08u", number));
}

static inline int kit_put(struct store *store, enum store_table table, unsigned number, weir_view value)
{
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    char buffer[24];

    store_ops_put(ops, table, kit_key(buffer, number), value);
    return store_apply(store, ops);
}

static inline int kit_trim(struct store *store, enum store_table table, unsigned from, unsigned to)
{
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    char first[24], last[24];

    store_ops_trim(ops, table, kit_key(first, from), kit_key(last, to));
    return store_apply(store, ops);
}

static inline bool kit_count_one(void *arg, weir_view key, weir_view value)
{
    UNUSED(key);
    UNUSED(value);
    ++*(size_t *)arg;
    return true;
}

static inline size_t kit_count(struct store *store, enum store_table table)
{
    struct store_reader *reader = store_reader_new(store);
    weir_view all = {0};
    size_t count = 0;

    ck_assert_int_eq(store_scan(reader, table, all, all, kit_count_one, &count), WEIR_OK);
    store_reader_free(reader);
    return count;
}

/* Result of a get; *same: and the value is this one. */
static inline int kit_get(struct store *store, enum store_table table, weir_view key, weir_view expected,
                          bool *same)
{
    struct store_reader *reader = store_reader_new(store);
    struct arena arena;
    weir_view value = {0};
    int result;

    arena_init(&arena, 0);
    result = store_get(reader, table, key, &arena, &value);
    *same = result == WEIR_OK && view_equal(value, expected);
    arena_fini(&arena);
    store_reader_free(reader);
    return result;
}

/* The bytes of a closed store's data.mdb. */
struct kit_image {
    char *bytes;
    size_t size;
};

static inline void kit_data_path(const char *folder, char path[2 * PATH_MAX])
{
    snprintf(path, 2 * PATH_MAX, "%s/data.mdb", folder);
}

static inline struct kit_image kit_image_load(const char *folder)
{
    char path[2 * PATH_MAX];
    struct kit_image image;
    struct stat status;
    int fd;

    kit_data_path(folder, path);
    fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    image.size = (size_t)status.st_size;
    image.bytes = malloc(image.size);
    ck_assert_int_eq(read(fd, image.bytes, image.size), (ssize_t)image.size);
    close(fd);
    return image;
}

static inline void kit_image_save(const char *folder, const struct kit_image *image)
{
    char path[2 * PATH_MAX];
    int fd;

    kit_data_path(folder, path);
    fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, image->bytes, image->size), (ssize_t)image->size);
    close(fd);
}

/* A done that holds the store thread until the test lets it go, so that submits gather behind it. */
struct kit_gate {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool entered, open;
};

#define KIT_GATE                                                                                                   \
    {                                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER                                        \
    }

static inline void kit_gate_hold(void *arg, int result)
{
    struct kit_gate *gate = arg;

    ck_assert_int_eq(result, WEIR_OK);
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->wake);
    while (!gate->open)
        pthread_cond_wait(&gate->wake, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void kit_gate_wait(struct kit_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->entered)
        pthread_cond_wait(&gate->wake, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void kit_gate_open(struct kit_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->wake);
    pthread_mutex_unlock(&gate->lock);
}

struct kit_ack {
    int fd;
    unsigned number;
};

static inline void kit_ack_done(void *arg, int result)
{
    struct kit_ack *ack = arg;

    if (result != WEIR_OK || write(ack->fd, &ack->number, sizeof ack->number) != sizeof ack->number)
        _exit(1);
    free(ack);
}

/* Puts one number after the other, deletes those of long ago, and writes what is durable to fd, until killed. */
static inline void kit_acks_write(const char *folder, int fd, unsigned from)
{
    struct store *store = kit_open(folder);
    char buffer[24], value[3000];

    for (unsigned i = from;; i++) {
        struct kit_ack *ack = malloc(sizeof *ack);
        struct store_ops *ops = store_ops_new(STORE_ACCEPTS);

        *ack = (struct kit_ack){fd, i};
        memset(value, (int)i, sizeof value);
        store_ops_put(ops, TABLE_STATE, kit_key(buffer, i), view_make(value, i % sizeof value));
        if (i % 16 == 0)
            store_apply(store, store_ops_new(STORE_KEEPS));
        if (i >= KIT_ACKS_KEPT) {
            char first[24];

            store_ops_trim(ops, TABLE_STATE, kit_key(first, 0), kit_key(buffer, i - KIT_ACKS_KEPT));
        }
        store_submit(store, ops, kit_ack_done, ack);
    }
}

/* Of what was answered, the newest are all there. */
static inline void kit_acks_check(struct store *store, unsigned last)
{
    char buffer[24], value[3000];
    uint64_t records, damaged;
    bool same;

    ck_assert_int_eq(store_check(store, NULL, NULL, &records, &damaged), WEIR_OK);
    for (unsigned i = last > 300 ? last - 300 : 1; i <= last; i++) {
        memset(value, (int)i, sizeof value);
        kit_get(store, TABLE_STATE, kit_key(buffer, i), view_make(value, i % sizeof value), &same);
        ck_assert_msg(same, "number %u of %u is lost", i, last);
    }
}

#endif
