/* test_store_open.c: opening: who may, what is there afterwards, and what is said when it cannot be. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_kit.h"

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

static unsigned mode_of(const char *name)
{
    char path[2 * PATH_MAX];
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_mode & 0777;
}

START_TEST(test_a_new_store_is_private_and_keeps_its_id)
{
    char id[17], path[2 * PATH_MAX];
    struct store_options options = {.path = path, .size_max = KIT_SIZE_MAX, .create = true};
    struct store *store;

    snprintf(path, sizeof path, "%s/new", folder);
    ck_assert_int_eq(store_open(&store, &options, NULL, NULL), WEIR_OK);
    ck_assert_uint_eq(strlen(store_id(store)), 16);
    ck_assert_uint_eq(strspn(store_id(store), "0123456789abcdef"), 16);
    snprintf(id, sizeof id, "%s", store_id(store));
    ck_assert_uint_eq(mode_of("new"), 0700);
    ck_assert_uint_eq(mode_of("new/data.mdb"), 0600);
    ck_assert_uint_eq(mode_of("new/owner"), 0600);
    store_close(store);
    ck_assert_int_eq(store_open(&store, &options, NULL, NULL), WEIR_OK);
    ck_assert_str_eq(store_id(store), id);
    store_close(store);
}
END_TEST

/* A child that holds the store open until `to_child` is closed; returns its pid when it does. */
static pid_t child_with_store(int *to_child)
{
    int ready[2], go[2];
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(go), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct store *store = kit_open(folder);

        close(go[1]);
        if (kit_put(store, TABLE_STATE, 1, view_of("of the child")) != WEIR_OK || write(ready[1], "r", 1) != 1)
            _exit(1);
        (void)!read(go[0], &byte, 1);
        store_close(store);
        _exit(0);
    }
    close(go[0]);
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *to_child = go[1];
    return pid;
}

START_TEST(test_one_process_owns_it_and_others_may_read)
{
    struct error error = {0};
    struct store *store;
    char number[32];
    int to_child;
    pid_t pid = child_with_store(&to_child);
    char buffer[24];
    bool same;

    ck_assert_int_eq(kit_try(&store, folder, false, &error), WEIR_LOCKED);
    snprintf(number, sizeof number, "process %d ", (int)pid);
    ck_assert_msg(strstr(error.text, number) && strstr(error.text, folder), "%s", error.text);
    ck_assert_int_eq(kit_try(&store, folder, true, &error), WEIR_OK);
    ck_assert_int_eq(kit_get(store, TABLE_STATE, kit_key(buffer, 1), view_of("of the child"), &same), WEIR_OK);
    ck_assert(same);
    store_close(store);
    close(to_child);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    store_close(kit_open(folder));
}
END_TEST

START_TEST(test_a_killed_owner_leaves_no_lock)
{
    int to_child;
    pid_t pid = child_with_store(&to_child);
    struct store *store;

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(to_child);
    store = kit_open(folder);
    ck_assert_uint_eq(kit_count(store, TABLE_STATE), 1);
    store_close(store);
}
END_TEST

START_TEST(test_without_a_store_it_says_so)
{
    struct store_options options = {.path = folder, .size_max = KIT_SIZE_MAX};
    char path[2 * PATH_MAX];
    struct error error = {0};
    struct store *store;
    int fd;

    ck_assert_int_eq(kit_try(&store, folder, true, &error), WEIR_MISSING);
    ck_assert_ptr_null(store);
    ck_assert_ptr_nonnull(strstr(error.text, "weir run"));
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_MISSING);
    options.path = "/nowhere/at/all";
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_MISSING);
    options.create = true;
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_IO);
    snprintf(path, sizeof path, "%s/file", folder);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    options.path = path;
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_INVALID);
}
END_TEST

START_TEST(test_a_quota_below_its_reserve_is_refused)
{
    struct store_options options = {.path = folder, .size_max = 4096, .create = true};
    struct error error = {0};
    struct store *store;

    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_INVALID);
    options.size_max = 1 << 20;
    options.reserve = 1 << 20;
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_INVALID);
    options.reserve = 1 << 18;
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_OK);
    store_close(store);
}
END_TEST

static uint64_t address_space_used(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file && fscanf(file, "%lu", &pages) != 1)
        pages = ULONG_MAX / 65536;
    if (file)
        fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(test_scarce_address_space_will_do)
{
    struct store_options options = {.path = folder, .size_max = UINT64_C(64) << 30, .create = true};
    struct rlimit limit = {UINT64_C(4) << 30, UINT64_C(4) << 30};
    struct error error = {0};
    struct store *store;
    int result;

    /* Sanitizers have terabytes mapped before main. */
    if (address_space_used() > limit.rlim_cur / 4) {
        testing_skip("address space", "it is in use already");
        return;
    }
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    result = store_open(&store, &options, NULL, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
    ck_assert_int_eq(kit_put(store, TABLE_NOTE, 1, view_of("x")), WEIR_OK);
    store_close(store);
}
END_TEST

static void layout_set(uint32_t layout)
{
    struct store *store = kit_open(folder);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    char bytes[4];

    put_le32(bytes, layout);
    store_ops_put(ops, TABLE_META, view_of("layout"), view_make(bytes, sizeof bytes));
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    store_close(store);
}

START_TEST(test_another_layout_is_recognised)
{
    struct error error = {0};
    struct store *store;

    layout_set(STORE_LAYOUT + 1);
    ck_assert_int_eq(kit_try(&store, folder, false, &error), WEIR_NEWER);
    ck_assert_ptr_nonnull(strstr(error.text, "newer weir"));
    ck_assert_int_eq(kit_try(&store, folder, true, &error), WEIR_NEWER);
}
END_TEST

START_TEST(test_an_older_layout_is_recognised)
{
    struct error error = {0};
    struct store *store;

    layout_set(STORE_LAYOUT - 1);
    ck_assert_int_eq(kit_try(&store, folder, false, &error), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "older layout 0"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_open");
    TCase *c = tcase_create("store_open");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_a_new_store_is_private_and_keeps_its_id);
    tcase_add_test(c, test_one_process_owns_it_and_others_may_read);
    tcase_add_test(c, test_a_killed_owner_leaves_no_lock);
    tcase_add_test(c, test_without_a_store_it_says_so);
    tcase_add_test(c, test_a_quota_below_its_reserve_is_refused);
    tcase_add_test(c, test_scarce_address_space_will_do);
    tcase_add_test(c, test_another_layout_is_recognised);
    tcase_add_test(c, test_an_older_layout_is_recognised);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
