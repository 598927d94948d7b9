/* test_sink.c: what the core makes of a sink's answers: late, twice, wrong, for single events, in any order. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"

#define RIG(kind, more)                                                                                            \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\n"                                                   \
    "sinks: { out: { type: " kind ", retry: { backoff: 1ms..2ms } } }\n"                                           \
    "routes: [ { name: r, from: in, to: out " more " } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

static void begin(const char *yaml)
{
    rig = rig_new(testing_folder());
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
    out->holds = true;
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

START_TEST(test_nothing_is_settled_before_the_answer)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, out->open_count == 1);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, 0);
    ck_assert_uint_eq(rig_records(rig, TABLE_POSITION), 0);
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    finish();
}
END_TEST

START_TEST(test_answered_twice_is_said_and_ignored)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    weir_write *write = out->open[0];
    probe_answer(out, 0, WEIR_OK, NULL);
    out->host->write_done(out->host, write, WEIR_RETRY, "again");
    out->host->write_event(out->host, write, 0, WEIR_REJECT, "late");
    ck_assert_uint_eq(rig_said(rig, "0 sink out: the plug-in answered a write twice; ignored"), 1);
    ck_assert_uint_eq(rig_said(rig, "0 sink out: the plug-in answered for event 0 of"), 1);
    probe_emit(in, shard, 2, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2");
    finish();
}
END_TEST

START_TEST(test_only_what_is_to_be_retried_is_written_again)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 4);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 1, WEIR_RETRY, "the second");
    out->host->write_event(out->host, out->open[0], 3, WEIR_REJECT, "the fourth");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2 s/3 s/4 s/2");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 4);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert_uint_eq(dead.position, 4);
    ck_assert(view_is(dead.stage, "out") && view_is(dead.cause, "the fourth") && view_is(dead.event.id, "s/4"));
    ck_assert_int_eq(rig_metric(rig, "weir_sink_events_total", "sink=\"out\""), 3);
    ck_assert_int_eq(rig_metric(rig, "weir_sink_rejected_total", "sink=\"out\""), 1);
    finish();
}
END_TEST

/* Results of single events win over that of the whole write; the others take the whole's. */
START_TEST(test_the_rest_takes_the_result_of_the_whole)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 0, WEIR_OK, NULL);
    probe_answer(out, 0, WEIR_RETRY, "no connection");
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2 s/3 s/2 s/3");
    out->host->write_event(out->host, out->open[0], 1, WEIR_OK, NULL); /* of those that were written: the third */
    probe_answer(out, 0, WEIR_REJECT, "the whole");
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert_uint_eq(dead.position, 2);
    ck_assert(view_is(dead.cause, "the whole"));
    ck_assert(!rig_dead(rig, 1, &dead));
    finish();
}
END_TEST

/* An ordered sink gets all from the first that failed again, also what it had confirmed after it. */
START_TEST(test_an_ordered_sink_writes_again_from_the_first_failure)
{
    begin(RIG("probe_ordered", ", order: shard"));
    probe_emit(in, shard, 1, 4);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 1, WEIR_RETRY, "the second");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2 s/3 s/4 s/2 s/3 s/4");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 4);
    finish();
}
END_TEST

START_TEST(test_answers_come_in_any_order)
{
    begin(RIG("probe", ""));
    for (uint64_t i = 1; i <= 40; i++)
        probe_emit(in, shard, i, 1);
    RIG_UNTIL(rig, out->open_count == 4);
    while (probe_settled(in, shard) < 40) {
        if (out->open_count)
            probe_answer(out, out->open_count - 1, WEIR_OK, NULL);
        rig_turn(rig, INT64_MAX, "", 0, "");
    }
    ck_assert_uint_eq(out->seen.count, 40);
    finish();
}
END_TEST

START_TEST(test_no_more_writes_are_open_than_it_takes)
{
    begin(RIG("probe", ""));
    probe_emit(in, shard, 1, 200);
    RIG_UNTIL(rig, out->open_count == 4);
    rig_rest(rig);
    ck_assert_uint_eq(out->open_count, 4);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 200);
    ck_assert_uint_eq(out->most, 4);
    finish();
}
END_TEST

START_TEST(test_one_write_when_it_says_nothing)
{
    begin(RIG("probe_one", ""));
    probe_emit(in, shard, 1, 200);
    RIG_UNTIL(rig, out->open_count == 1);
    rig_rest(rig);
    ck_assert_uint_eq(out->open_count, 1);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 200);
    finish();
}
END_TEST

/* `order` tells lanes apart: equal for all writes of one, different between two lanes, shards or routes. */
START_TEST(test_writes_of_one_lane_have_one_order_number)
{
    begin(RIG("probe", ", lanes: 4"));
    out->holds = false;
    weir_shard *other = probe_shard(in, "t", NULL);
    weir_event event = {.payload = view_of("x")};
    const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (uint64_t i = 1; i <= 50; i++) {
        event.key = view_of(keys[i % 5]);
        event.position = i;
        probe_give(in, shard, &event);
        probe_give(in, other, &event);
    }
    RIG_UNTIL(rig, probe_settled(in, shard) == 50 && probe_settled(in, other) == 50);
    const struct seen *seen = out->seen.items;
    size_t apart = 0;
    for (size_t i = 0; i < out->seen.count; i++) {
        for (size_t j = 0; j < i; j++) {
            bool shards = strcmp(seen[i].shard, seen[j].shard) != 0, same = !strcmp(seen[i].key, seen[j].key);
            if (!shards && same)
                ck_assert_uint_eq(seen[i].order, seen[j].order);
            if (shards)
                ck_assert_uint_ne(seen[i].order, seen[j].order);
            apart += !shards && seen[i].order != seen[j].order;
        }
    }
    ck_assert_uint_gt(apart, 0);
    finish();
}
END_TEST

START_TEST(test_a_result_that_is_none_stops_the_route)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 0, WEIR_FULL, "no such result");
    ck_assert_uint_eq(rig_said(rig, "answered for event 0 of 1 with 7; ignored"), 1);
    out->host->write_event(out->host, out->open[0], 5, WEIR_OK, NULL);
    ck_assert_uint_eq(rig_said(rig, "answered for event 5 of 1 with 0; ignored"), 1);
    probe_answer(out, 0, WEIR_IO, "none of the set");
    ck_assert_int_eq(rig_run(rig), EXIT_FAILED); /* its only route has stopped */
    ck_assert_uint_eq(in->settle_count, 0);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 0);
    rig_free(rig);
}
END_TEST

/* A sink that says it is broken answers nothing more; its routes stop, and what was out runs again next time. */
START_TEST(test_a_broken_sink_stops_its_routes)
{
    begin(RIG("probe_one", ""));
    probe_emit(in, shard, 1, 40);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->failed(out->host, "the key is revoked");
    probe_answer(out, 0, WEIR_FATAL, "the key is revoked");
    ck_assert_int_eq(rig_run(rig), EXIT_FAILED);
    ck_assert_uint_eq(out->seen.calls, 1);
    ck_assert_uint_eq(rig_said(rig, "0 r: the route has stopped: sink out: the key is revoked"), 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_trouble_and_its_end_are_said_once)
{
    begin(RIG("probe", ", order: shard"));
    probe_emit(in, shard, 1, 1);
    for (int i = 0; i < 4; i++) {
        RIG_UNTIL(rig, out->open_count == 1);
        probe_answer(out, 0, WEIR_RETRY, "no connection");
    }
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert_uint_eq(rig_said(rig, "1 sink out: write failed (retry): no connection"), 1);
    ck_assert_uint_eq(rig_said(rig, "2 sink out: writes are confirmed again"), 1);
    ck_assert_int_eq(rig_metric(rig, "weir_sink_retries_total", "sink=\"out\""), 4);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sink");
    TCase *c = tcase_create("sink");
    tcase_add_test(c, test_nothing_is_settled_before_the_answer);
    tcase_add_test(c, test_answered_twice_is_said_and_ignored);
    tcase_add_test(c, test_only_what_is_to_be_retried_is_written_again);
    tcase_add_test(c, test_the_rest_takes_the_result_of_the_whole);
    tcase_add_test(c, test_an_ordered_sink_writes_again_from_the_first_failure);
    tcase_add_test(c, test_answers_come_in_any_order);
    tcase_add_test(c, test_no_more_writes_are_open_than_it_takes);
    tcase_add_test(c, test_one_write_when_it_says_nothing);
    tcase_add_test(c, test_writes_of_one_lane_have_one_order_number);
    tcase_add_test(c, test_a_result_that_is_none_stops_the_route);
    tcase_add_test(c, test_a_broken_sink_stops_its_routes);
    tcase_add_test(c, test_trouble_and_its_end_are_said_once);
    suite_add_tcase(s, c);
    return testing_run(s);
}
