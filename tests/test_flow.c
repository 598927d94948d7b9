/* test_flow.c: a route at work: its window, its functions' bound, and that routes on one source do not need each
 * other. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"
#include "flow.h"

#define ONE(limits, route)                                                                                         \
    "limits: { workers: 4 " limits " }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"       \
    "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, to: out " route " } ]\n"
#define TWO(q)                                                                                                     \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\n"                                                   \
    "sinks: { out: { type: probe }, slow: { type: probe } }\n"                                                     \
    "routes: [ { name: q, from: in, to: slow, order: shard " q " }, "                                              \
    "{ name: r, from: in, to: out, order: shard } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static struct probe_function *f;
static weir_shard *shard;

static void begin(const char *yaml, bool calls)
{
    rig = rig_new(testing_folder());
    f = calls ? rig_function(rig, "f", NULL, 0) : NULL;
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

/* A source that takes its credit whenever it has some, and no more. */
static uint64_t position;
static size_t outstanding, outstanding_most, largest_want;

static void greedy_want(struct probe_source *source)
{
    largest_want = size_max(largest_want, source->want_events);
    for (size_t left = source->want_events, count; left && position < 3000; left -= count) {
        count = size_min(left, 25);
        outstanding += count;
        outstanding_most = size_max(outstanding_most, outstanding);
        ck_assert_int_eq(probe_emit(source, shard, position + 1, count), WEIR_OK);
        position += count;
    }
}

static void greedy_settle(struct probe_source *source, const struct settled *settled)
{
    (void)source;
    outstanding -= settled->last - settled->first + 1;
}

START_TEST(test_credit_keeps_within_the_window)
{
    begin(ONE("", ", in_flight: { events: 60 }, batch: { events: 5 }, order: shard"), true);
    in->on_want = greedy_want;
    in->on_settle = greedy_settle;
    RIG_UNTIL(rig, probe_settled(in, shard) >= 3000);
    ck_assert_uint_eq(out->seen.count, position);
    ck_assert_uint_le(largest_want, 60);
    ck_assert_uint_le(outstanding_most, 60);
    ck_assert_uint_gt(outstanding_most, 25); /* and it is used */
    finish();
}
END_TEST

START_TEST(test_a_full_window_wants_nothing)
{
    begin(ONE("", ", in_flight: { events: 60 }, batch: { events: 5 }"), true);
    out->holds = true;
    RIG_UNTIL(rig, in->want_events > 0);
    ck_assert_uint_le(in->want_events, 60);
    probe_emit(in, shard, 1, 60);
    RIG_UNTIL(rig, in->want_events == 0 && in->want_bytes == 0);
    rig_rest(rig);
    ck_assert_uint_eq(in->want_events, 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->want_events > 0);
    finish();
}
END_TEST

START_TEST(test_credit_keeps_within_the_memory)
{
    begin(ONE(", memory: 16MiB", ""), true);
    RIG_UNTIL(rig, in->want_bytes > 0);
    ck_assert_uint_le(in->want_bytes, 16u << 20);
    ck_assert_uint_le(in->want_events, (4u << 20) / sizeof(weir_event));
    out->holds = true;
    static char text[1 << 20];
    weir_event event = {.payload = {text, sizeof text}};
    while (in->want_bytes && event.position < 100) {
        event.position++;
        ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
        rig_turn(rig, INT64_MAX, "", 0, "");
    }
    ck_assert_uint_le(event.position, 16);
    ck_assert_int_le(rig->engine->memory_used, 18 << 20); /* the last event may go beyond */
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == event.position);
    finish();
}
END_TEST

/* Two routes on one source. */

START_TEST(test_two_routes_do_not_wait_for_each_other)
{
    begin(TWO(""), false);
    struct probe_sink *slow = rig_sink(rig, "slow");
    slow->holds = true;
    for (uint64_t i = 1; i <= 100; i++)
        probe_emit(in, shard, i, 1);
    RIG_UNTIL(rig, out->seen.count == 100);
    ck_assert_uint_eq(in->settle_count, 0); /* only what both have completed is settled */
    ck_assert_uint_ge(slow->open_count, 1);
    probe_answer_all(slow, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 100);
    ck_assert_uint_eq(slow->seen.count, 100);
    finish();
}
END_TEST

START_TEST(test_the_slower_route_decides_the_credit)
{
    begin(TWO(", in_flight: { events: 10 }, batch: { events: 5 }"), false);
    rig_sink(rig, "slow")->holds = true;
    RIG_UNTIL(rig, in->want_events > 0);
    ck_assert_uint_le(in->want_events, 10);
    probe_emit(in, shard, 1, 10);
    RIG_UNTIL(rig, in->want_events == 0 && out->seen.count == 10);
    probe_answer_all(rig_sink(rig, "slow"), WEIR_OK);
    RIG_UNTIL(rig, in->want_events > 0);
    finish();
}
END_TEST

/* A route that failed for good holds nobody: the other goes on, the run ends as failed. */
START_TEST(test_a_failed_route_holds_nobody)
{
    begin(TWO(""), false);
    struct probe_sink *slow = rig_sink(rig, "slow");
    slow->holds = true;
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, slow->open_count == 1);
    probe_answer(slow, 0, WEIR_FATAL, "broken");
    RIG_UNTIL(rig, rig_said(rig, "0 q: the route has stopped") == 1);
    probe_emit(in, shard, 4, 20);
    RIG_UNTIL(rig, out->seen.count == 23);
    RIG_UNTIL(rig, in->want_events > 0);
    ck_assert_uint_eq(in->settle_count, 0); /* its events are not completed, so they are not settled */
    ck_assert_int_eq(rig_stop(rig), EXIT_FAILED);
    rig_free(rig);
}
END_TEST

/* Functions. */

static int gather_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    for (size_t i = 0; i < batch->count; i++)
        weir_out_forward(to, i, NULL);
    return WEIR_OK;
}

START_TEST(test_lanes_run_at_once_on_workers)
{
    begin(ONE("", ", batch: { events: 1 }"), true);
    probe_hold(f);
    probe_emit(in, shard, 1, 64);
    RIG_UNTIL(rig, f->running == 4); /* as many as there are workers */
    rig_rest(rig);
    ck_assert_uint_eq(f->most, 4);
    probe_let(f);
    RIG_UNTIL(rig, probe_settled(in, shard) == 64);
    finish();
}
END_TEST

START_TEST(test_concurrency_bounds_calls_over_all_routes)
{
    rig = rig_new(testing_folder());
    f = rig_function(rig, "f", gather_script, 0);
    rig_open(rig, "%s",
             "limits: { workers: 4 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
             "functions: { f: { type: f, concurrency: 2 } }\n"
             "routes: [ { name: r, from: in, call: f, to: out, batch: { events: 1 } },"
             " { name: q, from: in, call: f, to: out, batch: { events: 1 } } ]\n");
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
    probe_hold(f);
    probe_emit(in, shard, 1, 64);
    RIG_UNTIL(rig, f->running == 2);
    rig_rest(rig);
    probe_let(f);
    RIG_UNTIL(rig, probe_settled(in, shard) == 64);
    ck_assert_uint_eq(f->most, 2);
    ck_assert_uint_eq(out->seen.count, 128);
    finish();
}
END_TEST

/* One key is never in two calls at once, and keeps its order. */
START_TEST(test_one_key_is_called_one_after_the_other)
{
    begin(ONE("", ", batch: { events: 1 }"), true);
    weir_event event = {.payload = view_of("x"), .key = view_of("same")};
    probe_hold(f);
    for (event.position = 1; event.position <= 20; event.position++)
        probe_give(in, shard, &event);
    RIG_UNTIL(rig, f->running == 1);
    rig_rest(rig);
    ck_assert_uint_eq(f->running, 1);
    probe_let(f);
    RIG_UNTIL(rig, probe_settled(in, shard) == 20);
    ck_assert_uint_eq(f->most, 1);
    for (size_t i = 0; i < 20; i++)
        ck_assert_uint_eq(out->seen.items[i].position, i + 1);
    finish();
}
END_TEST

/* What a batch and a call took is used again for the next: the pool does not grow with the events. */
START_TEST(test_batches_are_used_again)
{
    begin(ONE("", ", order: shard, batch: { events: 1 }"), true);
    for (uint64_t i = 1; i <= 500; i++)
        probe_emit(in, shard, i, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 500);
    ck_assert_uint_le(rig->engine->flows[0].pooled, 8);
    ck_assert(list_empty(&rig->engine->flows[0].in_hand));
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flow");
    TCase *c = tcase_create("flow");
    tcase_add_test(c, test_credit_keeps_within_the_window);
    tcase_add_test(c, test_a_full_window_wants_nothing);
    tcase_add_test(c, test_credit_keeps_within_the_memory);
    tcase_add_test(c, test_two_routes_do_not_wait_for_each_other);
    tcase_add_test(c, test_the_slower_route_decides_the_credit);
    tcase_add_test(c, test_a_failed_route_holds_nobody);
    tcase_add_test(c, test_lanes_run_at_once_on_workers);
    tcase_add_test(c, test_concurrency_bounds_calls_over_all_routes);
    tcase_add_test(c, test_one_key_is_called_one_after_the_other);
    tcase_add_test(c, test_batches_are_used_again);
    suite_add_tcase(s, c);
    return testing_run(s);
}
