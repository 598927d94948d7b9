/* test_store_faults.c: the n-th write or sync of the store fails, for every n and in every way. Whatever fails:
 * after an answer of WEIR_IO nothing is answered with WEIR_OK any more, and what was is there after reopening.
 *
 * The calls of LMDB are taken over here by functions of the same names, which the linker prefers. */
#undef _FORTIFY_SOURCE /* which would rename them */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "store_kit.h"

#define ROUNDS 12

enum fault_kind { FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT, FAULT_KINDS };

/* Armed in a child process of its own; the store thread counts. */
struct fault {
    int left; /* calls until the one that fails; 0: not armed */
    enum fault_kind kind;
    bool lasting;
};
static struct fault fault;

#define SHOWN __attribute__((visibility("default")))
SHOWN ssize_t pwrite(int fd, const void *data, size_t size, off_t at);
SHOWN ssize_t writev(int fd, const struct iovec *parts, int count);
SHOWN int fdatasync(int fd);

static bool fault_due(void)
{
    if (fault.left == 0)
        return false;
    if (fault.left > 1) {
        fault.left--;
        return false;
    }
    if (!fault.lasting)
        fault.left = 0;
    return true;
}

static int fault_fail(void)
{
    errno = fault.kind == FAULT_ENOSPC ? ENOSPC : EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (!fault_due())
        return syscall(SYS_pwrite64, fd, data, size, at);
    if (fault.kind != FAULT_SHORT)
        return fault_fail();
    return syscall(SYS_pwrite64, fd, data, size / 2, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!fault_due())
        return syscall(SYS_writev, fd, parts, count);
    if (fault.kind != FAULT_SHORT)
        return fault_fail();
    return syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2);
}

int fdatasync(int fd)
{
    return fault_due() ? fault_fail() : (int)syscall(SYS_fdatasync, fd);
}

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

static int round_put(struct store *store, unsigned number)
{
    struct store_ops *ops = store_ops_new(STORE_ACCEPTS);
    char buffer[24], value[5000];

    memset(value, (int)number, sizeof value);
    store_ops_put(ops, TABLE_DEAD, kit_key(buffer, number), view_make(value, sizeof value));
    store_ops_put(ops, TABLE_STATE, kit_key(buffer, number), view_make(value, 100));
    return store_apply(store, ops);
}

/* Exits with how many were answered WEIR_OK, or 200 when something is wrong, or 100 + that when nothing failed. */
static void faulty_run(int left, enum fault_kind kind, bool lasting)
{
    struct store *store = kit_open(folder);
    struct store_status status;
    unsigned durable = 0;

    fault = (struct fault){left, kind, lasting};
    while (durable < ROUNDS && round_put(store, durable) == WEIR_OK)
        durable++;
    store_status(store, &status);
    if (durable == ROUNDS)
        _exit(status.poisoned ? 200 : 100 + ROUNDS);
    for (unsigned i = 0; i < 3; i++)
        if (!status.poisoned || round_put(store, durable) != WEIR_IO || store_room(store) != 0)
            _exit(200);
    store_close(store);
    _exit((int)durable);
}

static void durable_are_there(unsigned durable)
{
    struct store *store = kit_open(folder);
    uint64_t records, damaged;
    char buffer[24], value[5000];
    bool same;

    ck_assert_int_eq(store_check(store, NULL, NULL, &records, &damaged), WEIR_OK);
    for (unsigned i = 0; i < durable; i++) {
        memset(value, (int)i, sizeof value);
        ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, i), view_make(value, sizeof value), &same),
                         WEIR_OK);
        ck_assert(same);
        ck_assert_int_eq(kit_get(store, TABLE_STATE, kit_key(buffer, i), view_make(value, 100), &same), WEIR_OK);
        ck_assert(same);
    }
    store_close(store);
}

/* For n = 1, 2, ... until a run meets no fault any more; returns how many did. */
static int faults_everywhere(enum fault_kind kind, bool lasting)
{
    for (int left = 1;; left++) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
            faulty_run(left, kind, lasting);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 200, "fault %d: status %d", left, status);
        durable_are_there((unsigned)WEXITSTATUS(status) % 100);
        kit_remove(folder);
        ck_assert_int_eq(mkdir(folder, 0700), 0);
        if (WEXITSTATUS(status) >= 100)
            return left - 1;
    }
}

START_TEST(test_the_nth_call_fails)
{
    /* At least pages, sync and meta page of each commit. */
    ck_assert_int_ge(faults_everywhere((enum fault_kind)_i, false), 3 * ROUNDS);
}
END_TEST

START_TEST(test_all_calls_from_the_nth_on_fail)
{
    ck_assert_int_ge(faults_everywhere((enum fault_kind)_i, true), 3 * ROUNDS);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_faults");
    TCase *c = tcase_create("store_faults");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, test_the_nth_call_fails, 0, FAULT_KINDS);
    tcase_add_loop_test(c, test_all_calls_from_the_nth_on_fail, 0, FAULT_KINDS);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
