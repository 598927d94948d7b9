/* test_slots.c: which call a killed process was in is known afterwards, and nothing else is taken for one. */
#include "slots.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing.h"

#define SLOT 256

static char folder[PATH_MAX], path[PATH_MAX + 16];

static void setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/weir-slots-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/calls", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

struct left {
    struct slot slots[8];
    size_t count;
};

static void left_note(void *arg, const struct slot *slot)
{
    struct left *left = arg;

    ck_assert_uint_lt(left->count, 8);
    left->slots[left->count++] = *slot;
}

static struct slots *slots_begin(size_t count, struct left *left)
{
    struct error error = {0};
    struct slots *slots;

    left->count = 0;
    ck_assert_msg(slots_open(&slots, folder, count, left_note, left, &error) == WEIR_OK, "%s", error.text);
    return slots;
}

static struct slot slot_make(unsigned number)
{
    struct slot slot = {.shard_hash = slots_shard_hash(view_of("topic/0")),
                        .lane = number,
                        .first = 10 * number,
                        .last = 10 * number + 9,
                        .attempt = number + 1};

    snprintf(slot.route, sizeof slot.route, "route-%u", number);
    snprintf(slot.source, sizeof slot.source, "source-%u", number);
    return slot;
}

static void slot_equal(const struct slot *a, const struct slot *b)
{
    ck_assert_str_eq(a->route, b->route);
    ck_assert_str_eq(a->source, b->source);
    ck_assert(a->shard_hash == b->shard_hash && a->lane == b->lane && a->attempt == b->attempt);
    ck_assert(a->first == b->first && a->last == b->last);
}

/* Calls of three workers; the second returned. Then the process dies. */
static void die_in_calls(void)
{
    struct left left;
    struct slots *slots = slots_begin(4, &left);

    for (unsigned i = 0; i < 3; i++) {
        struct slot slot = slot_make(i);

        slots_fill(slots, i, &slot);
    }
    slots_clear(slots, 1);
    raise(SIGKILL);
}

START_TEST(test_a_killed_process_leaves_its_calls)
{
    struct slot first = slot_make(0), third = slot_make(2);
    struct left left;
    struct stat file;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        die_in_calls();
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    slots_close(slots_begin(2, &left));
    ck_assert_uint_eq(left.count, 2);
    slot_equal(&left.slots[0], &first);
    slot_equal(&left.slots[1], &third);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq((size_t)file.st_size, 2 * SLOT);
    ck_assert_uint_eq(file.st_mode & 0777, 0600);
    ck_assert_uint_eq((size_t)file.st_blocks * 512 >= 2 * SLOT, true);
    slots_close(slots_begin(2, &left));
    ck_assert_uint_eq(left.count, 0);
}
END_TEST

START_TEST(test_calls_that_returned_leave_nothing)
{
    struct left left;
    struct slots *slots = slots_begin(2, &left);

    for (unsigned i = 0; i < 1000; i++) {
        struct slot slot = slot_make(i);

        slots_fill(slots, i % 2, &slot);
        slots_clear(slots, i % 2);
    }
    slots_close(slots);
    slots_close(slots_begin(2, &left));
    ck_assert_uint_eq(left.count, 0);
}
END_TEST

START_TEST(test_names_of_full_length_come_back)
{
    struct slot slot = slot_make(3);
    struct left left;
    struct slots *slots = slots_begin(1, &left);

    memset(slot.route, 'r', 64);
    memset(slot.source, 's', 64);
    slots_fill(slots, 0, &slot);
    slots_close(slots);
    slots_close(slots_begin(1, &left));
    ck_assert_uint_eq(left.count, 1);
    slot_equal(&left.slots[0], &slot);
}
END_TEST

static void file_bytes(void *bytes, size_t size, bool write_them)
{
    int fd = open(path, O_RDWR);

    ck_assert_int_ge(fd, 0);
    if (write_them) {
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    } else {
        ck_assert_int_eq(read(fd, bytes, size), (ssize_t)size);
    }
    close(fd);
}

/* A slot of which any prefix was overwritten by another, as if the process died in between; any flipped bit. */
START_TEST(test_torn_and_foreign_slots_are_ignored)
{
    struct slot slot = slot_make(1), other = slot_make(2);
    unsigned char one[SLOT], two[SLOT], torn[SLOT];
    struct left left;
    struct slots *slots = slots_begin(1, &left);

    slots_fill(slots, 0, &slot);
    file_bytes(one, SLOT, false);
    slots_fill(slots, 0, &other);
    file_bytes(two, SLOT, false);
    slots_close(slots);
    for (size_t cut = 1; cut < 170; cut++) {
        memcpy(torn, one, SLOT);
        memcpy(torn + 8, two + 8, cut);
        file_bytes(torn, SLOT, true);
        slots_close(slots_begin(1, &left));
        ck_assert(left.count == 0 || memcmp(torn, one, SLOT) == 0);
    }
    for (size_t bit = 0; bit < 8 * 170; bit++) {
        memcpy(torn, one, SLOT);
        torn[bit / 8] ^= (unsigned char)(1 << bit % 8);
        file_bytes(torn, SLOT, true);
        slots_close(slots_begin(1, &left));
        ck_assert_uint_eq(left.count, 0);
    }
    file_bytes(one, SLOT - 1, true);
    slots_close(slots_begin(1, &left));
    ck_assert_uint_eq(left.count, 0);
}
END_TEST

START_TEST(test_without_a_folder_it_says_so)
{
    struct error error = {0};
    struct left left = {.count = 0};
    struct slots *slots;

    ck_assert_int_eq(slots_open(&slots, "/nowhere/at/all", 1, left_note, &left, &error), WEIR_IO);
    ck_assert_ptr_null(slots);
    ck_assert_ptr_nonnull(strstr(error.text, "/nowhere/at/all/calls"));
}
END_TEST

START_TEST(test_shard_hashes_are_fixed)
{
    ck_assert_uint_eq(slots_shard_hash(view_of("123456789")), UINT64_C(0x00000009e3069283));
    ck_assert_uint_ne(slots_shard_hash(view_of("topic/0")), slots_shard_hash(view_of("topic/1")));
    ck_assert_uint_ne(slots_shard_hash(view_make("\0", 1)), slots_shard_hash(view_make("\0\0", 2)));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("slots");
    TCase *c = tcase_create("slots");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_a_killed_process_leaves_its_calls);
    tcase_add_test(c, test_calls_that_returned_leave_nothing);
    tcase_add_test(c, test_names_of_full_length_come_back);
    tcase_add_test(c, test_torn_and_foreign_slots_are_ignored);
    tcase_add_test(c, test_without_a_folder_it_says_so);
    tcase_add_test(c, test_shard_hashes_are_fixed);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
