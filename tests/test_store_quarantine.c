/* test_store_quarantine.c: a damaged record is set aside and said to be damaged, its neighbours are served; and
 * what a check finds. */
#include "journal_block.h"
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

/* One store with a known record among others, whose value is damaged on disk. */
static void value_damage(size_t size)
{
    struct store *store = kit_open(folder);
    struct kit_image image;
    char value[9000];

    for (unsigned i = 1; i < 10; i++) {
        memset(value, (int)i, sizeof value);
        ck_assert_int_eq(kit_put(store, TABLE_DEAD, i, view_make(value, size)), WEIR_OK);
    }
    store_close(store);
    image = kit_image_load(folder);
    memset(value, 5, sizeof value);
    /* Older versions of its page hold it too. */
    for (char *at = image.bytes; (at = memmem(at, (size_t)(image.bytes + image.size - at), value, size)); at++)
        at[size / 2] ^= 0x20;
    kit_image_save(folder, &image);
    free(image.bytes);
}

static void damage_counted(struct store *store, uint64_t damaged, uint64_t quarantined)
{
    struct store_status status;

    store_status(store, &status);
    ck_assert_uint_eq(status.damaged, damaged);
    ck_assert_uint_eq(status.records[TABLE_QUARANTINE], quarantined);
}

START_TEST(test_a_damaged_record_goes_to_quarantine_and_its_neighbours_are_served)
{
    size_t sizes[] = {200, 9000}, size = sizes[_i];
    struct store *store;
    char buffer[24], value[9000];
    bool same;

    value_damage(size);
    store = kit_open(folder);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, 5), view_of(""), &same), WEIR_DAMAGED);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, 5), view_of(""), &same), WEIR_DAMAGED);
    damage_counted(store, 1, 0);
    ck_assert_uint_eq(kit_count(store, TABLE_DEAD), 8);
    memset(value, 4, sizeof value);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, 4), view_make(value, size), &same), WEIR_OK);
    ck_assert(same);
    ck_assert_int_eq(kit_put(store, TABLE_NOTE, 1, view_of("any write")), WEIR_OK);
    damage_counted(store, 1, 1);
    store_close(store);
    store = kit_open(folder);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, 5), view_of(""), &same), WEIR_DAMAGED);
    damage_counted(store, 0, 1);
    ck_assert_int_eq(kit_put(store, TABLE_DEAD, 5, view_of("new")), WEIR_OK);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, kit_key(buffer, 5), view_of("new"), &same), WEIR_OK);
    ck_assert(same);
    store_close(store);
}
END_TEST

struct found {
    size_t count;
    enum store_table table;
    char what[200];
};

static void found_note(void *arg, enum store_table table, weir_view key, const char *what)
{
    struct found *found = arg;

    UNUSED(key);
    found->count++;
    found->table = table;
    snprintf(found->what, sizeof found->what, "%s", what);
}

START_TEST(test_a_check_reads_everything_and_changes_nothing)
{
    struct error error = {0};
    struct found found = {.count = 0};
    uint64_t records, damaged;
    struct store *store;

    value_damage(9000);
    ck_assert_int_eq(kit_try(&store, folder, true, &error), WEIR_OK);
    ck_assert_int_eq(store_check(store, found_note, &found, &records, &damaged), WEIR_DAMAGED);
    ck_assert_uint_eq(records, 9 + 2);
    ck_assert_uint_eq(damaged, 1);
    ck_assert_uint_eq(found.count, 1);
    ck_assert_int_eq(found.table, TABLE_DEAD);
    ck_assert_ptr_nonnull(strstr(found.what, "checksum"));
    damage_counted(store, 0, 0);
    store_close(store);
}
END_TEST

static weir_view block_key(uint64_t first, char buffer[24])
{
    memcpy(buffer, "in", 3);
    put_be64(buffer + 3, first);
    return view_make(buffer, 11);
}

START_TEST(test_a_check_looks_into_journal_blocks)
{
    struct found found = {.count = 0};
    struct store *store = kit_open(folder);
    struct store_ops *ops = store_ops_new(STORE_ACCEPTS);
    weir_event events[3] = {
        {.payload = view_of("one")}, {.payload = view_of("two")}, {.payload = view_of("three")}};
    char block[1000], buffer[24];
    size_t size = journal_block_write(block, 8, events, 3, NULL, NULL);
    uint64_t records, damaged;

    block[size - 3] ^= 1;
    store_ops_put(ops, TABLE_JOURNAL, block_key(8, buffer), view_make(block, size));
    block[size - 3] ^= 1;
    store_ops_put(ops, TABLE_JOURNAL, block_key(11, buffer), view_make(block, size));
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    ck_assert_int_eq(store_check(store, found_note, &found, &records, &damaged), WEIR_DAMAGED);
    ck_assert_uint_eq(damaged, 2);
    ck_assert_int_eq(found.table, TABLE_JOURNAL);
    ck_assert_ptr_nonnull(strstr(found.what, "not the one its key names"));
    store_close(store);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_quarantine");
    TCase *c = tcase_create("store_quarantine");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, test_a_damaged_record_goes_to_quarantine_and_its_neighbours_are_served, 0, 2);
    tcase_add_test(c, test_a_check_reads_everything_and_changes_nothing);
    tcase_add_test(c, test_a_check_looks_into_journal_blocks);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
