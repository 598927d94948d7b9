/* test_dead_select.c: which dead letters a selection means, against a model in memory, and changes step by step. */
#include <stdio.h>
#include <stdlib.h>

#include "dead_select.h"
#include "store_kit.h"
#include "testing.h"

#define RECORDS 2300 /* several steps, and several slices of the store */

static char folder[PATH_MAX];
static struct store *store;
static struct store_reader *reader;

static const char *const routes[] = {"a", "ab", "b"};
static const char *const causes[] = {"no such field", "time-out", "", "no room"};

/* What record number i is made of. */
static const char *route_of(size_t i)
{
    return routes[i % 3];
}

static const char *cause_of(size_t i)
{
    return causes[i % 7 % 4];
}

static void record_put(struct store_ops *ops, size_t i, bool asked, size_t payload)
{
    struct arena arena;
    struct key key;
    char id[30], event_key[30];
    arena_init(&arena, 0);
    snprintf(id, sizeof id, "id-%zu", i / 2);
    snprintf(event_key, sizeof event_key, "key-%zu", i % 11);
    struct dead_letter dead = {
        .route = view_of(route_of(i)),
        .source = view_of("s"),
        .shard = view_of("0"),
        .position = i,
        .stage = view_of(i % 2 ? "out" : ""),
        .cause = view_of(cause_of(i)),
        .attempts = 5,
        .replay_asked = asked,
        .event = {.id = view_of(id), .key = i % 5 ? view_of(event_key) : view_make(NULL, 0)},
    };
    dead.event.payload = view_make(arena_zalloc(&arena, payload + 1), payload);
    key_dead(&key, &dead);
    store_ops_put(ops, TABLE_DEAD, key_view(&key), dead_encode(&dead, &arena));
    arena_fini(&arena);
}

static void fill(size_t count, bool asked, size_t payload)
{
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    for (size_t i = 0; i < count; i++)
        record_put(ops, i, asked, payload);
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
}

static void setup(void)
{
    kit_folder(folder);
    store = kit_open(folder);
    reader = store_reader_new(store);
}

static void teardown(void)
{
    store_reader_free(reader);
    store_close(store);
    kit_remove(folder);
}

/* The model: the same answer without a store, a key or a step. */
static bool model_selects(const struct dead_selection *selection, size_t i)
{
    char id[30], key[30];
    snprintf(id, sizeof id, "id-%zu", i / 2);
    snprintf(key, sizeof key, "key-%zu", i % 11);
    if (selection->route && strcmp(selection->route, route_of(i)) != 0)
        return false;
    if (selection->id && strcmp(selection->id, id) != 0)
        return false;
    if (selection->key && (i % 5 == 0 || strcmp(selection->key, key) != 0))
        return false;
    return !selection->cause || strstr(cause_of(i), selection->cause);
}

struct seen {
    bool record[RECORDS];
    size_t count, between, stop_after;
};

static bool see(void *arg, weir_view key, const struct dead_letter *dead)
{
    struct seen *seen = arg;
    UNUSED(key);
    ck_assert_uint_lt(dead->position, RECORDS);
    ck_assert(!seen->record[dead->position]); /* once */
    seen->record[dead->position] = true;
    return ++seen->count != seen->stop_after;
}

static void see_between(void *arg)
{
    struct seen *seen = arg;
    seen->between++;
}

static void expect_scan(const struct dead_selection *selection)
{
    struct seen seen = {.count = 0};
    struct dead_scan scan = {selection, see, see_between, &seen};
    ck_assert_int_eq(dead_scan(reader, &scan), WEIR_OK);
    for (size_t i = 0; i < RECORDS; i++)
        ck_assert_msg(seen.record[i] == model_selects(selection, i), "record %zu", i);
    ck_assert_uint_ge(seen.between, 1);
}

START_TEST(test_a_scan_sees_what_the_model_selects)
{
    static const char *const some_routes[] = {NULL, "a", "ab", "b", "", "abc"};
    static const char *const some_causes[] = {NULL, "no", "time-out", "", "No", "room"};
    struct random random;
    char id[30], key[30];
    random_init(&random, 11);
    fill(RECORDS, false, 10);
    for (int round = 0; round < 60; round++) {
        struct dead_selection selection = {
            .route = some_routes[random_below(&random, ARRAY_COUNT(some_routes))],
            .cause = some_causes[random_below(&random, ARRAY_COUNT(some_causes))],
        };
        snprintf(id, sizeof id, "id-%u", (unsigned)random_below(&random, RECORDS / 2 + 5));
        snprintf(key, sizeof key, "key-%u", (unsigned)random_below(&random, 12));
        selection.id = random_below(&random, 4) ? NULL : id;
        selection.key = random_below(&random, 3) ? NULL : key;
        expect_scan(&selection);
    }
}
END_TEST

START_TEST(test_a_scan_breathes_between_steps_and_ends_when_told)
{
    struct dead_selection all = {.all = true};
    struct seen seen = {.stop_after = 700};
    struct dead_scan scan = {&all, see, see_between, &seen};
    fill(RECORDS, false, 10);
    ck_assert_int_eq(dead_scan(reader, &scan), WEIR_OK);
    ck_assert_uint_eq(seen.count, 700);
    ck_assert_uint_eq(seen.between, 2);
    seen = (struct seen){.stop_after = 0};
    ck_assert_int_eq(dead_scan(reader, &scan), WEIR_OK);
    ck_assert_uint_eq(seen.count, RECORDS);
    ck_assert_uint_eq(seen.between, (RECORDS + DEAD_STEP_RECORDS - 1) / DEAD_STEP_RECORDS);
}
END_TEST

START_TEST(test_a_route_name_that_none_can_have)
{
    char name[2 * NAME_MAX_BYTES];
    fill(10, false, 10);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    struct dead_selection selection = {.route = name};
    expect_scan(&selection);
}
END_TEST

/* Steps until there are no more; each is committed. Returns what was changed. */
static uint64_t change_all(const struct dead_selection *selection, enum dead_change change, size_t *steps)
{
    struct dead_step step = {0};
    uint64_t changed = 0;
    *steps = 0;
    do {
        struct key after = step.last;
        ck_assert_int_eq(dead_step(reader, selection, change, after.size ? &after : NULL, &step), WEIR_OK);
        changed += step.changed;
        ++*steps;
        ck_assert_int_eq(store_apply(store, step.ops), WEIR_OK);
    } while (step.more);
    return changed;
}

struct tally {
    size_t count, asked, wrong;
    const struct dead_selection *selection;
};

static bool tally_visit(void *arg, weir_view key, const struct dead_letter *dead)
{
    struct tally *tally = arg;
    UNUSED(key);
    tally->count++;
    tally->asked += dead->replay_asked;
    tally->wrong += tally->selection && dead->replay_asked != model_selects(tally->selection, dead->position);
    return true;
}

static void tally_between(void *arg)
{
    UNUSED(arg);
}

static struct tally tally_all(const struct dead_selection *selection)
{
    struct dead_selection all = {.all = true};
    struct tally tally = {.selection = selection};
    struct dead_scan scan = {&all, tally_visit, tally_between, &tally};
    ck_assert_int_eq(dead_scan(reader, &scan), WEIR_OK);
    return tally;
}

START_TEST(test_replay_marks_the_selected_ones_once)
{
    struct dead_selection selection = {.cause = "no"};
    size_t expected = 0, steps;
    fill(RECORDS, false, 10);
    for (size_t i = 0; i < RECORDS; i++)
        expected += model_selects(&selection, i);
    ck_assert_uint_eq(change_all(&selection, DEAD_REPLAY, &steps), expected);
    ck_assert_uint_eq(steps, (RECORDS + DEAD_STEP_RECORDS - 1) / DEAD_STEP_RECORDS);
    struct tally tally = tally_all(&selection);
    ck_assert_uint_eq(tally.count, RECORDS);
    ck_assert_uint_eq(tally.asked, expected);
    ck_assert_uint_eq(tally.wrong, 0);
    ck_assert_uint_eq(change_all(&selection, DEAD_REPLAY, &steps), 0);
}
END_TEST

START_TEST(test_drop_deletes_the_selected_ones_marked_or_not)
{
    struct dead_selection selection = {.route = "ab"}, all = {.all = true};
    size_t expected = 0, steps;
    fill(RECORDS, true, 10);
    for (size_t i = 0; i < RECORDS; i++)
        expected += model_selects(&selection, i);
    ck_assert_uint_eq(change_all(&selection, DEAD_DROP, &steps), expected);
    ck_assert_uint_eq(tally_all(NULL).count, RECORDS - expected);
    ck_assert_uint_eq(change_all(&all, DEAD_DROP, &steps), RECORDS - expected);
    ck_assert_uint_eq(tally_all(NULL).count, 0);
    ck_assert_uint_eq(change_all(&all, DEAD_DROP, &steps), 0);
}
END_TEST

START_TEST(test_a_step_is_bounded_in_bytes_too)
{
    struct dead_selection all = {.all = true};
    struct dead_step step;
    fill(30, false, 1u << 20);
    ck_assert_int_eq(dead_step(reader, &all, DEAD_REPLAY, NULL, &step), WEIR_OK);
    ck_assert(step.more);
    ck_assert_uint_ge(step.changed, 4);
    ck_assert_uint_le(step.changed, 5);
    ck_assert_uint_le(store_ops_bytes(step.ops), DEAD_STEP_BYTES + (2u << 20));
    store_ops_free(step.ops);
}
END_TEST

START_TEST(test_what_cannot_be_read_as_a_dead_letter_is_left_alone)
{
    struct dead_selection all = {.all = true};
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    size_t steps;
    record_put(ops, 1, false, 10);
    store_ops_put(ops, TABLE_DEAD, view_of("zzz"), view_of("no dead letter"));
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    ck_assert_uint_eq(change_all(&all, DEAD_DROP, &steps), 1);
    ck_assert_uint_eq(kit_count(store, TABLE_DEAD), 1);
}
END_TEST

START_TEST(test_nothing_given_is_nothing_selected)
{
    struct dead_selection nothing = {0}, all = {.all = true}, some = {.cause = ""};
    ck_assert(dead_selection_empty(&nothing));
    ck_assert(!dead_selection_empty(&all));
    ck_assert(!dead_selection_empty(&some));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("dead_select");
    TCase *c = tcase_create("dead_select");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_a_scan_sees_what_the_model_selects);
    tcase_add_test(c, test_a_scan_breathes_between_steps_and_ends_when_told);
    tcase_add_test(c, test_a_route_name_that_none_can_have);
    tcase_add_test(c, test_replay_marks_the_selected_ones_once);
    tcase_add_test(c, test_drop_deletes_the_selected_ones_marked_or_not);
    tcase_add_test(c, test_a_step_is_bounded_in_bytes_too);
    tcase_add_test(c, test_what_cannot_be_read_as_a_dead_letter_is_left_alone);
    tcase_add_test(c, test_nothing_given_is_nothing_selected);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
