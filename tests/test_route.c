/* test_route.c: the rules of route.h one by one: batches, order, calls and their retries. Writes, commits and ends
 * are in test_route_ends.c; how they go together is for the simulation. */
#include "route_kit.h"
#include "testing.h"

static struct kit_route kit;

static void by_two_keys(struct route_config *config, const char *keys)
{
    kit_open(&kit, config, NULL);
    kit_keys(&kit, keys);
}

/* Batches. */

START_TEST(a_batch_is_full_by_count)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 9);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_emit(&kit, 10, 3);
    kit_call(&kit, 1, 10);
    kit_close(&kit);
}
END_TEST

START_TEST(a_batch_is_full_by_bytes)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000000;
    config.batch_bytes = 45;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 4);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_emit(&kit, 5, 1);
    kit_call(&kit, 1, 4); /* a fifth would be 50 bytes */
    kit_close(&kit);
}
END_TEST

START_TEST(a_batch_waits_as_long_as_it_may)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 5000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    ck_assert_int_eq(kit_action(&kit, ROUTE_ARM, 0)->at, kit.now + 5000);
    int64_t due = kit.now + 5000;
    kit_tick(&kit, due - 200); /* a little early: it is armed again, not lost */
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    ck_assert_int_eq(kit_action(&kit, ROUTE_ARM, 0)->at, due);
    kit_tick(&kit, due);
    kit_call(&kit, 1, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(without_a_wait_it_takes_what_is_there)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    kit_call(&kit, 1, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(one_key_is_never_in_two_calls)
{
    struct route_config config = kit_config();
    config.lanes = 8;
    by_two_keys(&config, "acacacac");
    ck_assert_uint_ne(lane_of_key(view_make("a", 1), 8), lane_of_key(view_make("c", 1), 8));
    kit_emit(&kit, 1, 4);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 2);
    struct route_batch *first = kit_action(&kit, ROUTE_CALL, 0)->batch;
    ck_assert_uint_eq(first->count, 2);
    kit_emit(&kit, 5, 4);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_passes(&kit, first);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 1);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CALL, 0)->batch->events[0].position, 5);
    kit_close(&kit);
}
END_TEST

START_TEST(calls_at_once_are_bounded)
{
    struct route_config config = kit_config();
    config.order = ORDER_NONE;
    config.batch_events = 1;
    config.calls_max = 3;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 5);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 3);
    kit_called(&kit, kit_action(&kit, ROUTE_CALL, 1)->batch, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(what_is_not_wanted_is_complete)
{
    struct route_config config = kit_config();
    static const uint8_t unwanted[] = {0x0d}; /* 1, 3 and 4 */
    kit_open(&kit, &config, NULL);
    kit_step(&kit,
             &(struct route_input){
                 .type = ROUTE_EMIT, .shard = kit.shard, .block = &kit.block, .count = 4, .unwanted = unwanted});
    kit_call(&kit, 2, 2);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_COMMIT, 0)->low, 1);
    kit_close(&kit);
}
END_TEST

/* Failed calls. */

START_TEST(a_failed_event_comes_again_after_its_delay)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 1);
    ck_assert_uint_eq(kit_call(&kit, 1, 1)->attempt, 1);
    kit_called(&kit, kit_call(&kit, 1, 1), WEIR_RETRY);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    ck_assert_int_eq(kit_action(&kit, ROUTE_ARM, 0)->at, kit.now + 1000);
    kit_tick(&kit, kit.now + 999);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_tick(&kit, kit.now + 1);
    ck_assert_uint_eq(kit_call(&kit, 1, 1)->attempt, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(a_dead_letter_after_the_last_attempt_and_the_route_goes_on)
{
    struct route_config config = kit_config();
    config.batch_events = 1;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    for (int attempt = 1; attempt < 3; attempt++) {
        kit_called(&kit, kit_call(&kit, 1, 1), WEIR_RETRY);
        kit_tick(&kit, kit.now + 1000);
    }
    kit_called(&kit, kit_call(&kit, 1, 1), WEIR_RETRY);
    const struct route_action *dead = kit_action(&kit, ROUTE_DEAD, 0);
    ck_assert(dead->sink == SIZE_MAX && dead->index == 0 && dead->attempts == 3);
    ck_assert_ptr_eq(kit_action(&kit, ROUTE_DONE, 0)->batch, dead->batch);
    kit_call(&kit, 2, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(a_failed_batch_is_halved_until_the_culprit_is_alone)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 8);
    kit_called(&kit, kit_call(&kit, 1, 8), WEIR_RETRY);
    kit_called(&kit, kit_call(&kit, 1, 4), WEIR_RETRY);
    kit_passes(&kit, kit_call(&kit, 1, 2));
    kit_called(&kit, kit_call(&kit, 3, 6), WEIR_RETRY);
    kit_called(&kit, kit_call(&kit, 3, 4), WEIR_RETRY);
    kit_called(&kit, kit_call(&kit, 3, 3), WEIR_RETRY); /* alone: this one counts */
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_call(&kit, 3, 3)->attempt, 2);
    kit_passes(&kit, kit_call(&kit, 3, 3));
    kit_call(&kit, 4, 5);
    kit_close(&kit);
}
END_TEST

START_TEST(without_bisect_the_same_batch_comes_again)
{
    struct route_config config = kit_config();
    config.bisect = false;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 4);
    kit_called(&kit, kit_call(&kit, 1, 4), WEIR_RETRY);
    kit_emit(&kit, 5, 4);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_call(&kit, 1, 4)->attempt, 2);
    kit_called(&kit, kit_call(&kit, 1, 4), WEIR_RETRY);
    kit_tick(&kit, kit.now + 1000);
    kit_called(&kit, kit_call(&kit, 1, 4), WEIR_RETRY);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DEAD), 4);
    kit_close(&kit);
}
END_TEST

START_TEST(in_order_what_is_behind_a_failed_event_comes_again)
{
    struct route_config config = kit_config();
    static const uint32_t failed[] = {2, 3};
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 5);
    struct route_batch *batch = kit_call(&kit, 1, 5);
    kit_some_failed(&kit, batch, failed, 2);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CUT, 0)->index, 2);
    ck_assert_ptr_eq(kit_write(&kit, 0), batch);
    ck_assert_uint_eq(batch->count, 2);
    kit_written(&kit, batch, 0, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_call(&kit, 3, 5)->attempt, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(without_order_only_the_failed_come_again)
{
    struct route_config config = kit_config();
    static const uint32_t failed[] = {1, 3};
    config.order = ORDER_NONE;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 5);
    struct route_batch *batch = kit_call(&kit, 1, 5);
    kit_some_failed(&kit, batch, failed, 2);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CUT), 0);
    ck_assert_ptr_eq(kit_write(&kit, 0), batch);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 2);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CALL, 0)->batch->events[0].position, 2);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CALL, 1)->batch->events[0].position, 4);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CALL, 1)->batch->attempt, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(on_failure_stop_stops_the_route)
{
    struct route_config config = kit_config();
    config.on_failure = FAILURE_STOP;
    config.retry.attempts = 1;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 1);
    kit_called(&kit, kit_call(&kit, 1, 1), WEIR_RETRY);
    ck_assert_int_eq(kit_action(&kit, ROUTE_FAILED, 0)->result, WEIR_RETRY);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DEAD), 0);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DROPPED), 1);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_WANT, 0)->events, 0);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 0);
    kit_close(&kit);
}
END_TEST

START_TEST(a_fatal_result_stops_the_route_at_once)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    kit_called(&kit, kit_call(&kit, 1, 3), WEIR_FATAL);
    ck_assert_int_eq(kit_action(&kit, ROUTE_FAILED, 0)->result, WEIR_FATAL);
    kit_close(&kit);
}
END_TEST

/* What a restart knows. */

START_TEST(suspects_run_alone_and_their_crashes_count)
{
    struct route_config config = kit_config();
    static const struct route_suspect suspects[] = {{2, 1, false}, {3, 3, false}};
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .suspects = suspects, .suspect_count = 2});
    kit_emit(&kit, 1, 5);
    kit_passes(&kit, kit_call(&kit, 1, 1));
    ck_assert_uint_eq(kit_call(&kit, 2, 2)->attempt, 2);
    kit_passes(&kit, kit_call(&kit, 2, 2));
    const struct route_action *dead = kit_action(&kit, ROUTE_DEAD, 0); /* 3 has used up its attempts */
    ck_assert(dead->batch->events[0].position == 3 && dead->attempts == 3);
    kit_call(&kit, 4, 5);
    kit_close(&kit);
}
END_TEST

START_TEST(a_suspect_that_had_others_with_it_is_called_once_more)
{
    struct route_config config = kit_config();
    static const struct route_suspect suspects[] = {{1, 3, true}, {2, 3, false}};
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .suspects = suspects, .suspect_count = 2});
    kit_emit(&kit, 1, 2);
    struct route_batch *batch = kit_call(&kit, 1, 1);
    ck_assert(batch->suspect && batch->attempt == 4);
    kit_passes(&kit, batch);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DEAD), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(suspects_of_two_lanes_do_not_run_at_once)
{
    struct route_config config = kit_config();
    static const struct route_suspect suspects[] = {{1, 1, false}, {2, 1, false}};
    config.lanes = 8;
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .suspects = suspects, .suspect_count = 2});
    kit_keys(&kit, "ac");
    kit_emit(&kit, 1, 2);
    struct route_batch *first = kit_call(&kit, 1, 1);
    kit_called(&kit, first, WEIR_OK);
    kit_call(&kit, 2, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(what_a_lane_had_finished_is_passed_over)
{
    struct route_config config = kit_config();
    config.lanes = 2;
    uint32_t lane = lane_of_key(view_make("a", 1), 2);
    uint64_t positions[2] = {2, 2};
    positions[lane] = 4;
    struct route_vector vector = {.lanes = 2, .positions = positions};
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .vector = &vector});
    kit_keys(&kit, "aaaaaaa");
    ck_assert_uint_eq(route_resume(kit.shard), 2);
    kit_emit(&kit, 3, 4);
    kit_call(&kit, 5, 6);
    kit_close(&kit);
}
END_TEST

START_TEST(finished_ranges_are_passed_over)
{
    struct route_config config = kit_config();
    static const uint64_t base[] = {2}, ranges[][2] = {{4, 5}, {8, 8}};
    struct route_vector vector = {.lanes = 1, .positions = base, .ranges = ranges, .range_count = 2};
    config.order = ORDER_NONE;
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .vector = &vector});
    kit_emit(&kit, 3, 7);
    struct route_batch *batch = kit_action(&kit, ROUTE_CALL, 0)->batch;
    static const uint64_t left[] = {3, 6, 7, 9};
    ck_assert_uint_eq(batch->count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(batch->events[i].position, left[i]);
    kit_close(&kit);
}
END_TEST

START_TEST(new_lanes_hold_above_what_the_old_ones_knew)
{
    struct route_config config = kit_config();
    static const uint64_t positions[] = {2, 5};
    struct route_vector vector = {.lanes = 2, .positions = positions};
    config.lanes = 8;
    kit_open(&kit, &config, &(struct route_shard_open){.durable = true, .vector = &vector});
    kit_emit(&kit, 3, 6); /* without keys: by position */
    struct route_batch *old = kit_call(&kit, 4, 4);
    ck_assert_uint_eq(old->lane, 0); /* 3 and 5 were finished by lane 1, 6 and above wait */
    kit_passes(&kit, old);
    const struct route_action *commit = kit_action(&kit, ROUTE_COMMIT, 0);
    ck_assert_uint_eq(commit->vector.lanes, 2);
    ck_assert_uint_eq(commit->low, 5);
    kit_committed(&kit, commit->ticket);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 3);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_CALL, 0)->batch->lane, 6);
    kit_close(&kit);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("route");
    TCase *c = tcase_create("route");
    tcase_add_test(c, a_batch_is_full_by_count);
    tcase_add_test(c, a_batch_is_full_by_bytes);
    tcase_add_test(c, a_batch_waits_as_long_as_it_may);
    tcase_add_test(c, without_a_wait_it_takes_what_is_there);
    tcase_add_test(c, one_key_is_never_in_two_calls);
    tcase_add_test(c, calls_at_once_are_bounded);
    tcase_add_test(c, what_is_not_wanted_is_complete);
    tcase_add_test(c, a_failed_event_comes_again_after_its_delay);
    tcase_add_test(c, a_dead_letter_after_the_last_attempt_and_the_route_goes_on);
    tcase_add_test(c, a_failed_batch_is_halved_until_the_culprit_is_alone);
    tcase_add_test(c, without_bisect_the_same_batch_comes_again);
    tcase_add_test(c, in_order_what_is_behind_a_failed_event_comes_again);
    tcase_add_test(c, without_order_only_the_failed_come_again);
    tcase_add_test(c, on_failure_stop_stops_the_route);
    tcase_add_test(c, a_fatal_result_stops_the_route_at_once);
    tcase_add_test(c, suspects_run_alone_and_their_crashes_count);
    tcase_add_test(c, a_suspect_that_had_others_with_it_is_called_once_more);
    tcase_add_test(c, suspects_of_two_lanes_do_not_run_at_once);
    tcase_add_test(c, what_a_lane_had_finished_is_passed_over);
    tcase_add_test(c, finished_ranges_are_passed_over);
    tcase_add_test(c, new_lanes_hold_above_what_the_old_ones_knew);
    suite_add_tcase(s, c);
    return testing_run(s);
}
