/* test_state.c: keyed state between call and commit, against a model: what a lane sees is the store with every
 * applied write laid over it; what is committed is the last value of each key. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base.h"
#include "state.h"
#include "testing.h"

enum { KEYS = 20 };

static weir_view text(const char *chars)
{
    return view_of(chars);
}

START_TEST(test_a_set_finds_its_newest_write)
{
    struct state_set *set = state_set_new(0);
    ck_assert_int_eq(state_set_put(set, text("a"), text("1"), 0), WEIR_OK);
    ck_assert_int_eq(state_set_put(set, text("b"), text("2"), 1), WEIR_OK);
    ck_assert_int_eq(state_set_put(set, text("a"), text("3"), 2), WEIR_OK);
    ck_assert(view_is(state_set_find(set, text("a"))->value, "3"));
    ck_assert(view_is(state_set_find(set, text("b"))->value, "2"));
    ck_assert_ptr_null(state_set_find(set, text("c")));
    state_set_free(set);
}
END_TEST

START_TEST(test_a_cut_uncovers_what_was_before)
{
    struct state_set *set = state_set_new(0);
    for (size_t i = 0; i < 100; i++) {
        char value[8];
        snprintf(value, sizeof value, "%zu", i);
        ck_assert_int_eq(state_set_put(set, text(i % 2 ? "odd" : "even"), text(value), i), WEIR_OK);
    }
    state_set_cut(set, 51);
    ck_assert(view_is(state_set_find(set, text("even"))->value, "50"));
    ck_assert(view_is(state_set_find(set, text("odd"))->value, "49"));
    state_set_cut(set, 0);
    ck_assert_ptr_null(state_set_find(set, text("odd")));
    state_set_free(set);
}
END_TEST

START_TEST(test_a_set_is_bounded)
{
    struct state_set *set = state_set_new(4096);
    char value[512] = {0};
    int result = WEIR_OK;
    for (size_t i = 0; i < 100 && result == WEIR_OK; i++)
        result = state_set_put(set, text("key"), view_make(value, sizeof value), i);
    ck_assert_int_eq(result, WEIR_NOMEM);
    state_set_free(set);
}
END_TEST

/* The model: what each key holds in the store, and the sets that were applied and not yet settled, oldest first. */
struct model {
    char stored[KEYS][16], seen[KEYS][16];
    struct list open;
    struct state_map map;
    struct random random;
    size_t made;
};

static void key_name(char name[16], size_t key)
{
    snprintf(name, 16, "key-%zu", key);
}

static void model_apply(struct model *model)
{
    struct state_set *set = state_set_new(0);
    size_t writes = random_below(&model->random, 12);
    for (size_t i = 0; i < writes; i++) {
        char name[16], value[16];
        size_t key = random_below(&model->random, KEYS);
        bool gone = random_below(&model->random, 5) == 0;
        key_name(name, key);
        snprintf(value, sizeof value, "v%zu", model->made++);
        ck_assert_int_eq(state_set_put(set, text(name), gone ? view_make(NULL, 0) : text(value), i), WEIR_OK);
        snprintf(model->seen[key], 16, "%s", gone ? "" : value);
    }
    ck_assert_int_eq(state_map_apply(&model->map, set), WEIR_OK);
    list_append(&model->open, &set->node);
}

static void model_settle(struct model *model)
{
    if (list_empty(&model->open))
        return;
    struct state_set *set = LIST_FIRST(&model->open, struct state_set, node);
    list_remove(&set->node);
    for (size_t i = 0; i < set->count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%.*s", (int)set->writes[i].key.size - 4, set->writes[i].key.data + 4);
        size_t key = (size_t)atoi(number);
        snprintf(model->stored[key], 16, "%.*s", (int)set->writes[i].value.size,
                 set->writes[i].value.data ? set->writes[i].value.data : "");
    }
    state_map_settle(&model->map, set);
    state_set_free(set);
}

static void model_check(const struct model *model)
{
    for (size_t key = 0; key < KEYS; key++) {
        char name[16];
        weir_view value = text(model->stored[key]);
        key_name(name, key);
        bool known = state_map_find(&model->map, text(name), &value);
        ck_assert_msg(known || strcmp(model->stored[key], model->seen[key]) == 0,
                      "%s is neither in the map nor stored", name);
        if (!value.data)
            value = text("");
        ck_assert(view_is(value, model->seen[key]));
    }
}

START_TEST(test_a_lane_sees_the_store_with_its_writes_laid_over)
{
    struct model *model = calloc(1, sizeof *model);
    list_init(&model->open);
    random_init(&model->random, testing_seed());
    for (int step = 0; step < 5000; step++) {
        if (random_below(&model->random, 2))
            model_apply(model);
        else
            model_settle(model);
        model_check(model);
    }
    while (!list_empty(&model->open))
        model_settle(model);
    ck_assert_uint_eq(model->map.count, 0);
    state_map_fini(&model->map);
    free(model);
}
END_TEST

START_TEST(test_a_commit_writes_the_last_value_of_each_key_in_order)
{
    struct error error;
    struct store *store;
    struct store_options options = {.path = testing_folder(), .size_max = 64 << 20, .create = true};
    ck_assert_int_eq(store_open(&store, &options, NULL, &error), WEIR_OK);
    struct list sets;
    list_init(&sets);
    struct state_set *first = state_set_new(0), *second = state_set_new(0);
    state_set_put(first, text("b"), text("1"), 0);
    state_set_put(first, text("a"), text("2"), 0);
    state_set_put(first, text("gone"), text("3"), 0);
    state_set_put(second, text("b"), text("4"), 0);
    state_set_put(second, text("gone"), view_make(NULL, 0), 0);
    list_append(&sets, &first->node);
    list_append(&sets, &second->node);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    ck_assert_int_eq(state_commit(&sets, ops), WEIR_OK);
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    struct store_reader *reader = store_reader_new(store);
    struct arena arena;
    arena_init(&arena, 0);
    weir_view value;
    ck_assert_int_eq(store_get(reader, TABLE_STATE, text("a"), &arena, &value), WEIR_OK);
    ck_assert(view_is(value, "2"));
    ck_assert_int_eq(store_get(reader, TABLE_STATE, text("b"), &arena, &value), WEIR_OK);
    ck_assert(view_is(value, "4"));
    ck_assert_int_eq(store_get(reader, TABLE_STATE, text("gone"), &arena, &value), WEIR_MISSING);
    arena_fini(&arena);
    store_reader_free(reader);
    store_close(store);
    state_set_free(first);
    state_set_free(second);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("state");
    TCase *c = tcase_create("state");
    tcase_add_test(c, test_a_set_finds_its_newest_write);
    tcase_add_test(c, test_a_cut_uncovers_what_was_before);
    tcase_add_test(c, test_a_set_is_bounded);
    tcase_add_test(c, test_a_lane_sees_the_store_with_its_writes_laid_over);
    tcase_add_test(c, test_a_commit_writes_the_last_value_of_each_key_in_order);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
