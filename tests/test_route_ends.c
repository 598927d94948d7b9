/* test_route_ends.c: the rules of route.h about writes, commits, settling, credit, and how shards and routes end.
 */
#include "route_kit.h"
#include "testing.h"

static struct kit_route kit;

static struct route_config two_sinks(bool ordered)
{
    struct route_config config = kit_config();
    config.sink_count = 2;
    config.sinks[1] = config.sinks[0];
    config.sinks[0].ordered = config.sinks[1].ordered = ordered;
    return config;
}

static void called_both(struct route_batch *batch)
{
    kit_step(&kit, &(struct route_input){.type = ROUTE_CALLED, .batch = batch, .wrote = 3});
}

/* Writes. */

START_TEST(only_the_failed_sink_is_written_again)
{
    struct route_config config = two_sinks(false);
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    struct route_batch *batch = kit_call(&kit, 1, 2);
    called_both(batch);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 2);
    kit_written(&kit, batch, 0, WEIR_OK);
    kit_written(&kit, batch, 1, WEIR_RETRY);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 0);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 1);
    ck_assert_ptr_eq(kit_write(&kit, 1), batch);
    kit_written(&kit, batch, 1, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DONE), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_write_is_tried_again_for_ever_by_default)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 1);
    struct route_batch *batch = kit_call(&kit, 1, 1);
    kit_called(&kit, batch, WEIR_OK);
    for (int i = 0; i < 200; i++) {
        kit_written(&kit, kit_write(&kit, 0), 0, WEIR_RETRY);
        ck_assert_uint_eq(kit_actions(&kit, ROUTE_DEAD), 0);
        kit_tick(&kit, kit.now + 1000);
    }
    kit_written(&kit, kit_write(&kit, 0), 0, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DONE), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_sink_may_have_so_many_attempts)
{
    struct route_config config = kit_config();
    config.sinks[0].retry.attempts = 2;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    struct route_batch *batch = kit_call(&kit, 1, 2);
    kit_called(&kit, batch, WEIR_OK);
    kit_written(&kit, batch, 0, WEIR_RETRY);
    kit_tick(&kit, kit.now + 1000);
    kit_written(&kit, kit_write(&kit, 0), 0, WEIR_RETRY);
    const struct route_action *dead = kit_action(&kit, ROUTE_DEAD, 0);
    ck_assert(dead->sink == 0 && dead->index == SIZE_MAX && dead->attempts == 2);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DONE), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(what_a_sink_rejects_is_dead_and_the_rest_is_done)
{
    struct route_config config = kit_config();
    static const uint32_t rejected[] = {0, 2};
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    struct route_batch *batch = kit_call(&kit, 1, 3);
    kit_called(&kit, batch, WEIR_OK);
    kit_step(&kit,
             &(struct route_input){.type = ROUTE_WRITTEN, .batch = batch, .failed = rejected, .failed_count = 2});
    ck_assert_uint_eq(kit_action(&kit, ROUTE_DEAD, 0)->index, 0);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_DEAD, 1)->index, 2);
    ck_assert_int_eq(kit_action(&kit, ROUTE_DEAD, 1)->result, WEIR_REJECT);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DONE), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(sinks_that_keep_order_have_several_writes_of_a_lane)
{
    struct route_config config = two_sinks(true);
    config.sink_count = 1;
    config.batch_events = 2;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 6);
    struct route_batch *first = kit_call(&kit, 1, 2);
    kit_called(&kit, first, WEIR_OK);
    struct route_batch *second = kit_call(&kit, 3, 4);
    kit_called(&kit, second, WEIR_OK);
    kit_written(&kit, first, 0, WEIR_RETRY); /* and what follows fails with it */
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 0);
    kit_written(&kit, second, 0, WEIR_RETRY);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 2);
    ck_assert_ptr_eq(kit_action(&kit, ROUTE_WRITE, 0)->batch, first);
    ck_assert_ptr_eq(kit_action(&kit, ROUTE_WRITE, 1)->batch, second);
    kit_close(&kit);
}
END_TEST

START_TEST(other_sinks_have_one)
{
    struct route_config config = kit_config();
    config.batch_events = 2;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 6);
    struct route_batch *first = kit_call(&kit, 1, 2);
    kit_called(&kit, first, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_written(&kit, first, 0, WEIR_OK);
    kit_call(&kit, 3, 4);
    kit_close(&kit);
}
END_TEST

START_TEST(without_outputs_nothing_is_written)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 1);
    kit_step(&kit, &(struct route_input){.type = ROUTE_CALLED, .batch = kit_call(&kit, 1, 1)});
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 0);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DONE), 1);
    kit_close(&kit);
}
END_TEST

/* Commits and settling. */

START_TEST(a_commit_is_asked_for_within_its_time)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    kit_passes(&kit, kit_call(&kit, 1, 3));
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 0);
    ck_assert_int_eq(kit_action(&kit, ROUTE_ARM, 0)->at, kit.now + ROUTE_COMMIT_US);
    kit_tick(&kit, kit.now + ROUTE_COMMIT_US);
    const struct route_action *commit = kit_action(&kit, ROUTE_COMMIT, 0);
    ck_assert_uint_eq(commit->low, 3);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_SETTLE), 0); /* not before it is durable */
    kit_committed(&kit, commit->ticket);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 3);
    kit_close(&kit);
}
END_TEST

START_TEST(a_flush_gives_it_at_once)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 0);
    kit_emit(&kit, 1, 3);
    kit_passes(&kit, kit_call(&kit, 1, 3));
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(half_a_window_does_not_wait)
{
    struct route_config config = kit_config();
    config.window_events = 10;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 6);
    kit_passes(&kit, kit_call(&kit, 1, 6));
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(what_need_not_be_durable_settles_by_itself)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, &(struct route_shard_open){.durable = false});
    kit_emit(&kit, 1, 3);
    kit_passes(&kit, kit_call(&kit, 1, 3));
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_COMMIT), 0);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 3);
    kit_close(&kit);
}
END_TEST

START_TEST(but_not_before_its_dead_letters)
{
    struct route_config config = kit_config();
    config.retry.attempts = 1;
    kit_open(&kit, &config, &(struct route_shard_open){.durable = false});
    kit_emit(&kit, 1, 1);
    kit_called(&kit, kit_call(&kit, 1, 1), WEIR_RETRY);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DEAD), 1);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_SETTLE), 0);
    kit_committed(&kit, kit_action(&kit, ROUTE_COMMIT, 0)->ticket);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(one_ticket_stands_for_those_before_it)
{
    struct route_config config = kit_config();
    config.batch_events = 1;
    kit_open(&kit, &config, NULL);
    for (size_t i = 1; i <= 3; i++) {
        kit_emit(&kit, i, 1);
        kit_passes(&kit, kit_call(&kit, i, i));
        kit_type(&kit, ROUTE_FLUSH);
        ck_assert_uint_eq(kit_action(&kit, ROUTE_COMMIT, 0)->ticket, i);
    }
    kit_committed(&kit, 2);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 2);
    kit_committed(&kit, 3);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 3);
    kit_close(&kit);
}
END_TEST

START_TEST(the_room_is_told)
{
    struct route_config config = kit_config();
    config.window_events = 10;
    config.batch_wait_us = 1000000;
    kit_open(&kit, &config, NULL);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_WANT, 0)->events, 10);
    kit_emit(&kit, 1, 10);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_WANT, 0)->events, 0);
    struct route_batch *batch = kit_call(&kit, 1, 10);
    kit_called(&kit, batch, WEIR_OK);
    kit_written(&kit, batch, 0, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WANT), 0); /* completed is not durable */
    kit_committed(&kit, kit_action(&kit, ROUTE_COMMIT, 0)->ticket);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_WANT, 0)->events, 10);
    kit_close(&kit);
}
END_TEST

START_TEST(a_replay_moves_no_position)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 5);
    kit_passes(&kit, kit_call(&kit, 1, 5));
    kit_step(&kit, &(struct route_input){.type = ROUTE_EMIT,
                                         .shard = kit.shard,
                                         .block = &kit.block,
                                         .first = 1,
                                         .count = 1,
                                         .replay = true,
                                         .replay_sink = SIZE_MAX});
    struct route_batch *replay = kit_call(&kit, 2, 2);
    ck_assert(replay->replay && replay->count == 1);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_COMMIT, 0)->low, 5);
    kit_passes(&kit, replay);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_COMMIT, 0)->low, 5);
    kit_close(&kit);
}
END_TEST

START_TEST(a_replay_may_begin_at_a_sink)
{
    struct route_config config = two_sinks(false);
    kit_open(&kit, &config, NULL);
    kit_step(&kit, &(struct route_input){.type = ROUTE_EMIT,
                                         .shard = kit.shard,
                                         .block = &kit.block,
                                         .count = 1,
                                         .replay = true,
                                         .replay_sink = 1});
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 1);
    ck_assert(kit_write(&kit, 1)->replay);
    kit_close(&kit);
}
END_TEST

START_TEST(without_order_ranges_say_what_is_finished)
{
    struct route_config config = kit_config();
    config.order = ORDER_NONE;
    config.batch_events = 2;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 6);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 3);
    struct route_batch *second = kit_action(&kit, ROUTE_CALL, 1)->batch;
    kit_passes(&kit, second);
    kit_type(&kit, ROUTE_FLUSH);
    const struct route_vector *vector = &kit_action(&kit, ROUTE_COMMIT, 0)->vector;
    ck_assert(vector->lanes == 1 && vector->positions[0] == 0 && vector->range_count == 1);
    ck_assert(vector->ranges[0][0] == 3 && vector->ranges[0][1] == 4);
    kit_close(&kit);
}
END_TEST

START_TEST(the_cheap_path_keeps_blocks_together)
{
    struct route_config config = kit_config();
    config.order = ORDER_SHARD;
    config.whole = true;
    config.calls = false;
    config.batch_events = 50;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 40);
    struct route_batch *batch = kit_write(&kit, 0);
    ck_assert_uint_eq(batch->count, 40);
    ck_assert_ptr_eq(batch->events, kit.events);
    kit_written(&kit, batch, 0, WEIR_OK);
    kit_type(&kit, ROUTE_FLUSH);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_COMMIT, 0)->low, 40);
    kit_close(&kit);
}
END_TEST

/* Ends. */

START_TEST(a_revoked_shard_finishes_first)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    kit_type(&kit, ROUTE_REVOKE);
    struct route_batch *batch = kit_call(&kit, 1, 3); /* it does not wait for more */
    kit_emit(&kit, 4, 1);                             /* too late */
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_CALL), 0);
    kit_passes(&kit, batch);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_RELEASED), 0);
    kit_committed(&kit, kit_action(&kit, ROUTE_COMMIT, 0)->ticket);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_SETTLE, 0)->low, 3);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_RELEASED), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_lost_shard_drops_what_is_open)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    struct route_batch *batch = kit_call(&kit, 1, 3);
    kit_step(&kit, &(struct route_input){.type = ROUTE_REVOKE, .shard = kit.shard, .lost = true});
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_RELEASED), 0); /* a call is out */
    kit_called(&kit, batch, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_WRITE), 0);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DROPPED), 1);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_RELEASED), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_stop_finishes_what_was_emitted)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    kit_type(&kit, ROUTE_STOP);
    struct route_batch *batch = kit_call(&kit, 1, 3);
    kit_passes(&kit, batch);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_FINISHED), 0);
    kit_committed(&kit, kit_action(&kit, ROUTE_COMMIT, 0)->ticket);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_FINISHED), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_passed_deadline_leaves_the_position_before_what_is_open)
{
    struct route_config config = kit_config();
    config.batch_events = 2;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 6);
    kit_passes(&kit, kit_call(&kit, 1, 2));
    struct route_batch *open = kit_call(&kit, 3, 4);
    kit_type(&kit, ROUTE_STOP);
    kit_step(&kit, &(struct route_input){.type = ROUTE_STOP, .lost = true});
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_FINISHED), 0);
    kit_called(&kit, open, WEIR_OK);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_DROPPED), 1);
    const struct route_action *commit = kit_action(&kit, ROUTE_COMMIT, 0);
    ck_assert_uint_eq(commit->low, 2);
    kit_committed(&kit, commit->ticket);
    ck_assert_uint_eq(kit_actions(&kit, ROUTE_FINISHED), 1);
    kit_close(&kit);
}
END_TEST

START_TEST(the_status_tells_what_is_open)
{
    struct route_config config = kit_config();
    struct route_status status;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 3);
    route_status(kit.route, &status);
    ck_assert(status.open_events == 3 && status.open_bytes == 30 && status.calls == 1);
    struct route_batch *batch = kit_call(&kit, 1, 3);
    kit_called(&kit, batch, WEIR_OK);
    kit_written(&kit, batch, 0, WEIR_RETRY);
    route_status(kit.route, &status);
    ck_assert(status.calls == 0 && status.writes == 0 && status.waiting == 1);
    ck_assert_int_eq(status.blocked_since_us, kit.now);
    kit_close(&kit);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("route ends");
    TCase *c = tcase_create("route ends");
    tcase_add_test(c, only_the_failed_sink_is_written_again);
    tcase_add_test(c, a_write_is_tried_again_for_ever_by_default);
    tcase_add_test(c, a_sink_may_have_so_many_attempts);
    tcase_add_test(c, what_a_sink_rejects_is_dead_and_the_rest_is_done);
    tcase_add_test(c, sinks_that_keep_order_have_several_writes_of_a_lane);
    tcase_add_test(c, other_sinks_have_one);
    tcase_add_test(c, without_outputs_nothing_is_written);
    tcase_add_test(c, a_commit_is_asked_for_within_its_time);
    tcase_add_test(c, a_flush_gives_it_at_once);
    tcase_add_test(c, half_a_window_does_not_wait);
    tcase_add_test(c, what_need_not_be_durable_settles_by_itself);
    tcase_add_test(c, but_not_before_its_dead_letters);
    tcase_add_test(c, one_ticket_stands_for_those_before_it);
    tcase_add_test(c, the_room_is_told);
    tcase_add_test(c, a_replay_moves_no_position);
    tcase_add_test(c, a_replay_may_begin_at_a_sink);
    tcase_add_test(c, without_order_ranges_say_what_is_finished);
    tcase_add_test(c, the_cheap_path_keeps_blocks_together);
    tcase_add_test(c, a_revoked_shard_finishes_first);
    tcase_add_test(c, a_lost_shard_drops_what_is_open);
    tcase_add_test(c, a_stop_finishes_what_was_emitted);
    tcase_add_test(c, a_passed_deadline_leaves_the_position_before_what_is_open);
    tcase_add_test(c, the_status_tells_what_is_open);
    suite_add_tcase(s, c);
    return testing_run(s);
}
