/* test_store.c: the store as its users see it: what comes back, in which order, beside whom. */
#include <pthread.h>

#include "store_kit.h"
#include "store_private.h"

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

START_TEST(test_what_was_put_comes_back)
{
    struct store *store = kit_open(folder);
    weir_view key = view_make("a\0b", 3), empty = view_make("", 0);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    bool same;

    ck_assert(store_ops_empty(ops));
    store_ops_put(ops, TABLE_STATE, key, view_of("first"));
    store_ops_put(ops, TABLE_STATE, key, view_of("second"));
    store_ops_put(ops, TABLE_NOTE, key, empty);
    store_ops_del(ops, TABLE_NOTE, view_of("was never there"));
    ck_assert(!store_ops_empty(ops));
    ck_assert_uint_ge(store_ops_bytes(ops), 17);
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    ck_assert_int_eq(kit_get(store, TABLE_STATE, key, view_of("second"), &same), WEIR_OK);
    ck_assert(same);
    ck_assert_int_eq(kit_get(store, TABLE_NOTE, key, empty, &same), WEIR_OK);
    ck_assert(same);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, key, empty, &same), WEIR_MISSING);
    ck_assert_int_eq(kit_get(store, TABLE_STATE, view_of("a"), empty, &same), WEIR_MISSING);
    store_close(store);
}
END_TEST

START_TEST(test_a_borrowed_value_is_read_at_commit)
{
    struct store *store = kit_open(folder);
    struct store_ops *ops = store_ops_new(STORE_ACCEPTS);
    char value[70000];
    bool same;

    store_ops_put_borrowed(ops, TABLE_DEAD, view_of("k"), view_make(value, sizeof value));
    memset(value, 'x', sizeof value);
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    ck_assert_int_eq(kit_get(store, TABLE_DEAD, view_of("k"), view_make(value, sizeof value), &same), WEIR_OK);
    ck_assert(same);
    store_close(store);
}
END_TEST

struct noted {
    unsigned order[200];
    size_t answered;
};

struct number {
    struct noted *noted;
    unsigned value;
};

static void number_note(void *arg, int result)
{
    struct number *number = arg;

    ck_assert_int_eq(result, WEIR_OK);
    number->noted->order[number->noted->answered++] = number->value;
}

START_TEST(test_what_waits_is_committed_together_and_answered_in_order)
{
    struct store *store = kit_open(folder);
    struct kit_gate gate = KIT_GATE;
    struct noted noted = {.answered = 0};
    struct number numbers[200];
    struct store_status status;
    char buffer[24];

    store_submit(store, store_ops_new(STORE_KEEPS), kit_gate_hold, &gate);
    kit_gate_wait(&gate);
    store_status(store, &status);
    ck_assert_uint_eq(status.commits, 1);
    for (unsigned i = 0; i < 200; i++) {
        struct store_ops *ops = store_ops_new(i % 2 ? STORE_KEEPS : STORE_ACCEPTS);

        numbers[i] = (struct number){&noted, i};
        store_ops_put(ops, TABLE_STATE, kit_key(buffer, i), view_of("v"));
        store_submit(store, ops, number_note, &numbers[i]);
    }
    kit_gate_open(&gate);
    ck_assert_int_eq(store_apply(store, store_ops_new(STORE_KEEPS)), WEIR_OK);
    store_status(store, &status);
    ck_assert_uint_le(status.commits, 3);
    ck_assert_uint_eq(status.submits, 202);
    ck_assert_uint_eq(status.records[TABLE_STATE], 200);
    ck_assert_uint_eq(noted.answered, 200);
    for (unsigned i = 0; i < 200; i++)
        ck_assert_uint_eq(noted.order[i], i);
    store_close(store);
}
END_TEST

START_TEST(test_close_waits_for_what_was_submitted)
{
    struct store *store = kit_open(folder);
    struct noted noted = {.answered = 0};
    struct number numbers[50];
    char buffer[24];

    for (unsigned i = 0; i < 50; i++) {
        struct store_ops *ops = store_ops_new(STORE_KEEPS);

        numbers[i] = (struct number){&noted, i};
        store_ops_put(ops, TABLE_STATE, kit_key(buffer, i), view_of("v"));
        store_submit(store, ops, number_note, &numbers[i]);
    }
    store_close(store);
    ck_assert_uint_eq(noted.answered, 50);
    store = kit_open(folder);
    ck_assert_uint_eq(kit_count(store, TABLE_STATE), 50);
    store_close(store);
}
END_TEST

static void numbers_fill(struct store *store, unsigned count)
{
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    char buffer[24];

    for (unsigned i = 0; i < count; i++)
        store_ops_put(ops, TABLE_STATE, kit_key(buffer, i), view_make(&i, sizeof i));
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
}

START_TEST(test_a_long_trim_is_cut_and_nothing_overtakes_it)
{
    struct store *store = kit_open(folder);
    struct store_ops *trim = store_ops_new(STORE_KEEPS), *after = store_ops_new(STORE_KEEPS);
    struct store_status before, status;
    char first[24], last[24];
    struct noted noted = {.answered = 0};
    struct number number = {&noted, 7};

    numbers_fill(store, 7000);
    store_status(store, &before);
    store_ops_trim(trim, TABLE_STATE, kit_key(first, 100), kit_key(last, 6899));
    store_submit(store, trim, number_note, &number);
    store_ops_put(after, TABLE_STATE, kit_key(first, 5000), view_of("new"));
    ck_assert_int_eq(store_apply(store, after), WEIR_OK);
    store_status(store, &status);
    ck_assert_uint_eq(noted.answered, 1);
    ck_assert_uint_eq(status.records[TABLE_STATE], 201);
    ck_assert_uint_ge(status.commits - before.commits, 6800 / STORE_TRIM_MAX + 1);
    ck_assert_uint_lt(status.bytes_used, before.bytes_used);
    ck_assert_int_eq(kit_trim(store, TABLE_STATE, 100, 6899), WEIR_OK);
    ck_assert_uint_eq(kit_count(store, TABLE_STATE), 200);
    store_close(store);
}
END_TEST

START_TEST(test_a_trim_without_bounds_takes_all)
{
    struct store *store = kit_open(folder);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    weir_view all = {0};

    numbers_fill(store, 100);
    store_ops_trim(ops, TABLE_STATE, all, all);
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    ck_assert_uint_eq(kit_count(store, TABLE_STATE), 0);
    store_close(store);
}
END_TEST

struct window {
    unsigned next, visits, end_after;
};

static bool window_visit(void *arg, weir_view key, weir_view value)
{
    struct window *window = arg;
    char buffer[24];
    unsigned number;

    memcpy(&number, value.data, sizeof number);
    ck_assert_uint_eq(number, window->next);
    ck_assert(view_equal(key, kit_key(buffer, number)));
    window->next++;
    window->visits++;
    return window->visits != window->end_after;
}

START_TEST(test_a_scan_visits_its_range_in_order_over_slices)
{
    struct store *store = kit_open(folder);
    struct store_reader *reader = store_reader_new(store);
    struct window window = {.next = 10};
    weir_view all = {0};
    char first[24], last[24];

    numbers_fill(store, 3 * STORE_SLICE + 1);
    ck_assert_int_eq(
        store_scan(reader, TABLE_STATE, kit_key(first, 10), kit_key(last, 2500), window_visit, &window), WEIR_OK);
    ck_assert_uint_eq(window.visits, 2491);
    window = (struct window){.end_after = 1500};
    ck_assert_int_eq(store_scan(reader, TABLE_STATE, all, all, window_visit, &window), WEIR_OK);
    ck_assert_uint_eq(window.visits, 1500);
    window = (struct window){0};
    ck_assert_int_eq(store_scan(reader, TABLE_STATE, all, all, window_visit, &window), WEIR_OK);
    ck_assert_uint_eq(window.visits, 3 * STORE_SLICE + 1);
    store_reader_free(reader);
    store_close(store);
}
END_TEST

struct beside {
    struct store *store;
    _Atomic bool stop;
    unsigned scans;
};

/* Every commit writes the same number under all keys, so within a slice of one snapshot all are equal. */
static bool beside_visit(void *arg, weir_view key, weir_view value)
{
    unsigned *seen = arg, number;

    UNUSED(key);
    memcpy(&number, value.data, sizeof number);
    if (*seen == UINT_MAX)
        *seen = number;
    ck_assert_uint_eq(number, *seen);
    return true;
}

static void *beside_run(void *arg)
{
    struct beside *beside = arg;
    struct store_reader *reader = store_reader_new(beside->store);
    weir_view all = {0};

    while (!atomic_load(&beside->stop)) {
        unsigned seen = UINT_MAX;

        ck_assert_int_eq(store_scan(reader, TABLE_STATE, all, all, beside_visit, &seen), WEIR_OK);
        beside->scans++;
    }
    store_reader_free(reader);
    return NULL;
}

START_TEST(test_readers_see_whole_commits_beside_a_writer)
{
    struct store *store = kit_open(folder);
    struct beside besides[2] = {{.store = store}, {.store = store}};
    pthread_t threads[2];
    char buffer[24];

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, beside_run, &besides[i]), 0);
    for (unsigned round = 0; round < 300; round++) {
        struct store_ops *ops = store_ops_new(STORE_KEEPS);

        for (unsigned i = 0; i < 50; i++)
            store_ops_put(ops, TABLE_STATE, kit_key(buffer, i), view_make(&round, sizeof round));
        ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&besides[i].stop, true);
        pthread_join(threads[i], NULL);
        ck_assert_uint_gt(besides[i].scans, 0);
    }
    store_close(store);
}
END_TEST

START_TEST(test_the_record_layout_is_fixed)
{
    static const char sound[] = "\x1c\xff\xbd\xd3\x01\xcf\x12\xf8value";
    char record[RECORD_HEADER_BYTES + 5];
    weir_view key = view_of("key"), payload;

    record_write(record, TABLE_STATE, key, view_of("value"));
    ck_assert_mem_eq(record, sound, sizeof record);
    ck_assert_ptr_null(record_read(TABLE_STATE, key, view_make(sound, sizeof record), &payload));
    ck_assert(view_is(payload, "value"));
    ck_assert_ptr_nonnull(record_read(TABLE_NOTE, key, view_make(sound, sizeof record), &payload));
    ck_assert_ptr_nonnull(record_read(TABLE_STATE, view_of("kez"), view_make(sound, sizeof record), &payload));
    for (size_t i = 0; i < 8 * sizeof record; i++) {
        record[i / 8] ^= (char)(1 << i % 8);
        ck_assert_ptr_nonnull(record_read(TABLE_STATE, key, view_make(record, sizeof record), &payload));
        record[i / 8] ^= (char)(1 << i % 8);
    }
}
END_TEST

START_TEST(test_status_counts_and_names)
{
    struct store *store = kit_open(folder);
    struct store_status status;

    numbers_fill(store, 10);
    store_status(store, &status);
    ck_assert_uint_eq(status.records[TABLE_STATE], 10);
    ck_assert_uint_eq(status.records[TABLE_META], 2);
    ck_assert_uint_eq(status.bytes_max, KIT_SIZE_MAX);
    ck_assert_uint_gt(status.bytes_used, 4 * 4096);
    ck_assert_uint_eq(status.room, store_room(store));
    ck_assert_uint_eq(status.damaged + status.full_refusals, 0);
    ck_assert(!status.poisoned);
    ck_assert_str_eq(store_table_name(TABLE_JOURNAL), "journal");
    ck_assert_str_eq(store_table_name(TABLE_QUARANTINE), "quarantine");
    store_close(store);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store");
    TCase *c = tcase_create("store");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_what_was_put_comes_back);
    tcase_add_test(c, test_a_borrowed_value_is_read_at_commit);
    tcase_add_test(c, test_what_waits_is_committed_together_and_answered_in_order);
    tcase_add_test(c, test_close_waits_for_what_was_submitted);
    tcase_add_test(c, test_a_long_trim_is_cut_and_nothing_overtakes_it);
    tcase_add_test(c, test_a_trim_without_bounds_takes_all);
    tcase_add_test(c, test_a_scan_visits_its_range_in_order_over_slices);
    tcase_add_test(c, test_readers_see_whole_commits_beside_a_writer);
    tcase_add_test(c, test_the_record_layout_is_fixed);
    tcase_add_test(c, test_status_counts_and_names);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
