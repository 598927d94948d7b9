/* test_store_full.c: no room in the quota, on the file system or within a file's limit: acceptance stops, the rest
 * goes on, nothing is lost, and it recovers by itself. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "store_kit.h"

#define BLOCK 60000
#define PATIENCE_S 20

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

static struct store *open_sized(uint64_t size_max, uint64_t reserve)
{
    struct store_options options = {.path = folder, .size_max = size_max, .reserve = reserve, .create = true};
    struct error error = {0};
    struct store *store;
    int result = store_open(&store, &options, NULL, &error);

    ck_assert_msg(result == WEIR_OK, "store_open: %s", error.text);
    return store;
}

static struct store_ops *block_ops(enum store_class class_, unsigned number)
{
    struct store_ops *ops = store_ops_new(class_);
    char block[BLOCK], buffer[24];

    memset(block, (int)number, sizeof block);
    store_ops_put(ops, TABLE_JOURNAL, kit_key(buffer, number), view_make(block, sizeof block));
    return ops;
}

/* Accepts blocks from `from` on until refused; returns the first that was. */
static unsigned fill(struct store *store, unsigned from)
{
    int result;

    while ((result = store_apply(store, block_ops(STORE_ACCEPTS, from))) == WEIR_OK)
        from++;
    ck_assert_int_eq(result, WEIR_FULL);
    return from;
}

static void blocks_are_there(struct store *store, unsigned from, unsigned to)
{
    char block[BLOCK], buffer[24];
    bool same;

    for (; from < to; from++) {
        memset(block, (int)from, sizeof block);
        ck_assert_int_eq(
            kit_get(store, TABLE_JOURNAL, kit_key(buffer, from), view_make(block, sizeof block), &same), WEIR_OK);
        ck_assert(same);
    }
    ck_assert_uint_eq(kit_count(store, TABLE_JOURNAL) > 0, true);
}

static void checkpoints_pass(struct store *store, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(kit_put(store, TABLE_POSITION, i % 3, view_make(&i, sizeof i)), WEIR_OK);
}

/* The store thread looks again by itself; nothing is submitted. */
static bool room_comes_back(struct store *store)
{
    struct timespec nap = {0, 5000000};

    for (int i = 0; i < PATIENCE_S * 200 && store_room(store) == 0; i++)
        nanosleep(&nap, NULL);
    return store_room(store) > 0;
}

static void poisoned_is(struct store *store, bool poisoned)
{
    struct store_status status;

    store_status(store, &status);
    ck_assert_int_eq(status.poisoned, poisoned);
}

START_TEST(test_a_full_quota_refuses_events_and_keeps_checkpoints)
{
    struct store *store = open_sized(4 << 20, 1 << 20);
    struct store_status status;
    unsigned end = fill(store, 0), again;

    ck_assert_uint_ge(end, 40);
    ck_assert_uint_lt(store_room(store), 128 * 1024);
    checkpoints_pass(store, 500);
    ck_assert_int_eq(store_apply(store, block_ops(STORE_KEEPS, 1000)), WEIR_OK);
    ck_assert_int_eq(store_apply(store, block_ops(STORE_ACCEPTS, end)), WEIR_FULL);
    store_status(store, &status);
    ck_assert_uint_eq(status.full_refusals, 2);
    ck_assert_uint_le(status.bytes_used, status.bytes_max);
    ck_assert(!status.poisoned);
    blocks_are_there(store, 0, end);
    ck_assert_int_eq(kit_trim(store, TABLE_JOURNAL, 0, end / 2), WEIR_OK);
    ck_assert_uint_gt(store_room(store), 0);
    again = fill(store, end);
    ck_assert_uint_ge(again - end, end / 2 - 2);
    blocks_are_there(store, end / 2 + 1, again);
    store_close(store);
}
END_TEST

START_TEST(test_many_rounds_of_full_and_trimmed_do_not_wear_the_quota_out)
{
    struct store *store = open_sized(4 << 20, 1 << 20);
    unsigned from = 0, end = 0, first = 0;
    char path[2 * PATH_MAX];
    struct stat file;

    for (int round = 0; round < 20; round++) {
        from = end;
        end = fill(store, from);
        if (round == 0)
            first = end;
        ck_assert_uint_ge(end - from, first - 4);
        ck_assert_int_eq(kit_trim(store, TABLE_JOURNAL, from, end), WEIR_OK);
    }
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_le((uint64_t)file.st_size, 8 << 20);
    store_close(store);
}
END_TEST

START_TEST(test_without_deletes_even_checkpoints_stop_at_the_quota)
{
    struct store *store = open_sized(4 << 20, 1 << 20);
    unsigned number = fill(store, 0);
    int result;

    while ((result = store_apply(store, block_ops(STORE_KEEPS, number))) == WEIR_OK)
        number++;
    ck_assert_int_eq(result, WEIR_FULL);
    ck_assert_int_eq(kit_trim(store, TABLE_JOURNAL, 0, 30), WEIR_OK);
    ck_assert_int_eq(store_apply(store, block_ops(STORE_KEEPS, number)), WEIR_OK);
    store_close(store);
}
END_TEST

struct answers {
    int results[4];
    size_t count;
};

static void answer(void *arg, int result)
{
    struct answers *answers = arg;

    answers->results[answers->count++] = result;
}

START_TEST(test_after_a_refusal_no_later_event_of_the_group_overtakes)
{
    struct store *store = open_sized(4 << 20, 1 << 20);
    struct store_ops *small = store_ops_new(STORE_ACCEPTS), *keeps = store_ops_new(STORE_KEEPS);
    struct store_ops *large = store_ops_new(STORE_ACCEPTS);
    struct answers answers = {.count = 0};
    struct kit_gate gate = KIT_GATE;
    static char huge[5 << 20];
    char buffer[24];

    store_ops_put_borrowed(large, TABLE_JOURNAL, kit_key(buffer, 1), view_make(huge, sizeof huge));
    store_ops_put(small, TABLE_JOURNAL, kit_key(buffer, 2), view_of("small"));
    store_ops_put(keeps, TABLE_POSITION, kit_key(buffer, 3), view_of("kept"));
    store_submit(store, store_ops_new(STORE_KEEPS), kit_gate_hold, &gate);
    kit_gate_wait(&gate);
    store_submit(store, large, answer, &answers);
    store_submit(store, small, answer, &answers);
    store_submit(store, keeps, answer, &answers);
    kit_gate_open(&gate);
    ck_assert_int_eq(store_apply(store, block_ops(STORE_KEEPS, 4)), WEIR_OK);
    ck_assert_uint_eq(answers.count, 3);
    ck_assert_int_eq(answers.results[0], WEIR_FULL);
    ck_assert_int_eq(answers.results[1], WEIR_FULL);
    ck_assert_int_eq(answers.results[2], WEIR_OK);
    ck_assert_uint_eq(kit_count(store, TABLE_JOURNAL), 1);
    ck_assert_uint_eq(kit_count(store, TABLE_POSITION), 1);
    /* Refused ones are the caller's again. */
    store_ops_free(large);
    ck_assert_int_eq(store_apply(store, small), WEIR_OK);
    ck_assert_uint_eq(kit_count(store, TABLE_JOURNAL), 2);
    store_close(store);
}
END_TEST

/* A file system of its own for this process; false: not allowed to. */
static bool small_disk(const char *size)
{
    char options[64];

    snprintf(options, sizeof options, "size=%s,mode=0700", size);
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("weir", folder, "tmpfs", 0, options) == 0;
}

static void filler_write(const char *path, size_t bytes)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
    close(fd);
}

START_TEST(test_a_full_disk_stops_acceptance_and_recovers)
{
    char filler[2 * PATH_MAX];
    struct store *store;
    unsigned end, again;

    if (!small_disk("4m")) {
        testing_skip("root", "a full file system is a tmpfs that it mounts");
        return;
    }
    store = open_sized(64 << 20, 512 * 1024);
    snprintf(filler, sizeof filler, "%s/filler", folder);
    filler_write(filler, 2 << 20);
    end = fill(store, 0);
    ck_assert_uint_ge(end, 5);
    checkpoints_pass(store, 300);
    poisoned_is(store, false);
    ck_assert_uint_eq(store_room(store), 0);
    ck_assert_int_eq(unlink(filler), 0);
    ck_assert(room_comes_back(store));
    again = fill(store, end);
    ck_assert_uint_gt(again, end + 10);
    filler_write(filler, 64 * 1024);
    ck_assert_int_eq(kit_trim(store, TABLE_JOURNAL, 0, end), WEIR_OK);
    poisoned_is(store, false);
    store_close(store);
    store = open_sized(64 << 20, 512 * 1024);
    blocks_are_there(store, end + 1, again);
    store_close(store);
}
END_TEST

START_TEST(test_a_limit_on_file_size_counts_as_a_full_disk)
{
    struct rlimit limit = {3 << 20, 3 << 20};
    struct store *store;
    unsigned end;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    store = open_sized(64 << 20, 512 * 1024);
    end = fill(store, 0);
    ck_assert_uint_ge(end, 20);
    checkpoints_pass(store, 100);
    poisoned_is(store, false);
    blocks_are_there(store, 0, end);
    store_close(store);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_full");
    TCase *c = tcase_create("store_full");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_a_full_quota_refuses_events_and_keeps_checkpoints);
    tcase_add_test(c, test_many_rounds_of_full_and_trimmed_do_not_wear_the_quota_out);
    tcase_add_test(c, test_without_deletes_even_checkpoints_stop_at_the_quota);
    tcase_add_test(c, test_after_a_refusal_no_later_event_of_the_group_overtakes);
    tcase_add_test(c, test_a_full_disk_stops_acceptance_and_recovers);
    tcase_add_test(c, test_a_limit_on_file_size_counts_as_a_full_disk);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
