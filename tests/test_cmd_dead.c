/* test_cmd_dead.c: the `weir dead` commands on the store of a stopped weir. */
#include "command_kit.h"

START_TEST(test_dead_list)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_DONE);
    for (int i = 1; i <= 6; i++) {
        char id[20];
        snprintf(id, sizeof id, "s/0/%d ", i);
        ck_contains(out, id);
    }
    ck_contains(out, "time-out\\x1b[31m");
    ck_contains(out, "sink o");
    ck_contains(out, "function parse");
    ck_assert_ptr_null(strchr(out, '\033'));
}
END_TEST

START_TEST(test_dead_list_selects)
{
    store_fill();
    expect_listed("--route", "q", "56");
    expect_listed("--route", "r", "1234");
    expect_listed("--route", "none", "");
    expect_listed("--cause", "such", "2");
    expect_listed("--key", "even", "624");
    expect_listed("--id", "s/0/4", "4");
    expect_listed("--limit", "3", "561");
    expect_listed("--limit", "0", "561234");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "3"), EXIT_DONE);
    ck_contains(out, "there are more");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "6"), EXIT_DONE);
    ck_assert_ptr_null(strstr(out, "there are more"));
    ck_assert_int_eq(WEIR("dead", "list", file, "--route", "none"), EXIT_DONE);
    ck_assert_str_eq(out, "no dead letters\n");
}
END_TEST

START_TEST(test_dead_show)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/2"), EXIT_DONE);
    ck_contains(out, "no such field");
    ck_contains(out, "sink o");
    ck_contains(out, "source s, shard 0, position 2");
    ck_contains(out, "colour: blue\\x1b[0m");
    ck_contains(out, "raw: \\xff");
    ck_contains(out, "2020-09-13T12:26:40.000Z");
    ck_contains(out, "\n{\"a\":1}\n");
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/3"), EXIT_DONE);
    ck_contains(out, "00000000  00 01 ");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/4"), EXIT_DONE);
    ck_contains(out, "absent");
    ck_assert_int_eq(WEIR("dead", "show", file, "--id", "s/0/7"), EXIT_FAILED);
    ck_contains(err, "no such dead letter");
    ck_assert_int_eq(WEIR("dead", "show", file), EXIT_DONE);
    ck_contains(out, "s/0/5\n");
    ck_contains(err, "more are selected");
}
END_TEST

START_TEST(test_dead_show_as_json)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "show", file, "--limit", "0", "--route", "r", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "dead")), 4);
    const cJSON *dead = member(document, "dead")->child;
    ck_assert_str_eq(text(dead, "payload"), "{\"a\":1}");
    ck_assert_str_eq(text(dead, "stage"), "function");
    ck_assert_str_eq(text(dead, "name"), "parse");
    ck_assert_str_eq(text(member(dead, "headers")->child, "value"), "blue\033[0m");
    ck_assert_str_eq(text(member(dead, "headers")->child->next, "value_hex"), "ff");
    ck_assert_str_eq(text(dead, "time"), "2020-09-13T12:26:40.000000Z");
    ck_assert_str_eq(text(dead->next, "name"), "o");
    ck_assert_str_eq(text(dead->next->next, "payload_hex"), "0001");
    ck_assert(cJSON_IsNull(member(dead->next->next->next, "payload")));
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_replay_and_drop_must_be_told_which)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "replay", file), EXIT_USAGE);
    ck_contains(err, "--all");
    ck_assert_int_eq(WEIR("dead", "drop", file), EXIT_USAGE);
    expect_listed("--limit", "0", "561234");
}
END_TEST

START_TEST(test_dead_replay_of_a_stopped_weir)
{
    const cJSON *dead;
    size_t asked = 0;
    store_fill();
    ck_assert_int_eq(WEIR("dead", "replay", file, "--route", "q"), EXIT_DONE);
    ck_contains(out, "2 dead letters will be replayed by the next `weir run");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--route", "q"), EXIT_FAILED);
    ck_contains(out, "nothing was changed");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq((int)number(document, "changed"), 4);
    ck_assert(cJSON_IsFalse(member(document, "running")));
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json"), EXIT_DONE);
    document = printed();
    cJSON_ArrayForEach(dead, member(document, "dead")) asked += cJSON_IsTrue(member(dead, "replay_asked")) != 0;
    cJSON_Delete(document);
    ck_assert_uint_eq(asked, 6);
    ck_assert_int_eq(WEIR("dead", "list", file), EXIT_DONE);
    ck_contains(out, "5, replay");
    ck_assert_int_eq(WEIR("dead", "replay", file, "--all"), EXIT_DONE);
}
END_TEST

START_TEST(test_dead_drop_on_a_stopped_weir)
{
    store_fill();
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", "s/0/2"), EXIT_DONE);
    ck_assert_str_eq(out, "1 dead letter dropped\n");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--id", "s/0/2"), EXIT_FAILED);
    expect_listed("--limit", "0", "56134");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
    ck_assert_str_eq(out, "5 dead letters dropped\n");
    expect_listed("--limit", "0", "");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
}
END_TEST

START_TEST(test_more_dead_letters_than_one_step_takes)
{
    struct store *store = kit_open(place);
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    for (uint64_t i = 10; i < 1510; i++)
        add_dead(ops, i, "r", "", "x");
    ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    store_close(store);
    ck_assert_int_eq(WEIR("dead", "list", file, "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "dead")), 1500);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("dead", "replay", file, "--key", "odd"), EXIT_DONE);
    ck_contains(out, "750 dead letters");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all"), EXIT_DONE);
    ck_contains(out, "1500 dead letters");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cmd_dead");
    TCase *c = tcase_create("cmd_dead");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_dead_list);
    tcase_add_test(c, test_dead_list_selects);
    tcase_add_test(c, test_dead_show);
    tcase_add_test(c, test_dead_show_as_json);
    tcase_add_test(c, test_replay_and_drop_must_be_told_which);
    tcase_add_test(c, test_dead_replay_of_a_stopped_weir);
    tcase_add_test(c, test_dead_drop_on_a_stopped_weir);
    tcase_add_test(c, test_more_dead_letters_than_one_step_takes);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
