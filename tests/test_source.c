/* test_source.c: a configured source: its start and end, its credit, and what of a plug-in's mistakes is seen. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"
#include "source.h"

#define TWO                                                                                                        \
    "limits: { workers: 2 }\nsources: { a: { type: probe }, b: { type: probe } }\n"                                \
    "sinks: { out: { type: probe } }\nroutes: [ { name: r, from: [ a, b ], to: out, order: shard, "                \
    "in_flight: { events: 100 }, batch: { events: 10 } } ]\n"

static struct rig *rig;
static struct probe_source *a, *b;
static struct probe_sink *out;

static void begin(void)
{
    rig = rig_new(testing_folder());
    rig_open(rig, "%s", TWO);
    a = rig_source(rig, "a");
    b = rig_source(rig, "b");
    out = rig_sink(rig, "out");
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

/* Sources of one route share its window; ids and shards of one do not meet those of the other. */
START_TEST(test_two_sources_share_a_window)
{
    begin();
    RIG_UNTIL(rig, a->wants && b->wants);
    ck_assert_uint_le(a->want_events + b->want_events, 102); /* rounded up by one each */
    ck_assert_uint_ge(a->want_events, 50);
    weir_shard *of_a = probe_shard(a, "s", NULL), *of_b = probe_shard(b, "s", NULL);
    out->holds = true;
    probe_emit(a, of_a, 1, 80);
    RIG_UNTIL(rig, b->want_events < 20);
    probe_emit(b, of_b, 1000, 1);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(a, of_a) == 80 && probe_settled(b, of_b) == 1000);
    ck_assert_uint_eq(out->seen.count, 81);
    finish();
}
END_TEST

START_TEST(test_a_shard_of_another_source_is_refused)
{
    begin();
    weir_shard *of_b = probe_shard(b, "s", NULL);
    ck_assert_int_eq(probe_emit(a, of_b, 1, 1), WEIR_CLOSED);
    rig_rest(rig);
    ck_assert_uint_eq(out->seen.count, 0);
    finish();
}
END_TEST

/* It is said when all is completed again, also when it had not fallen by half. */
START_TEST(test_credit_is_said_again_when_all_is_completed)
{
    begin();
    weir_shard *shard = probe_shard(a, "s", NULL);
    RIG_UNTIL(rig, a->wants > 0);
    size_t full = a->want_events;
    for (uint64_t i = 1; i <= 5; i++) {
        size_t wants = a->wants;
        probe_emit(a, shard, 20 * i, 20);
        RIG_UNTIL(rig, a->wants > wants && a->want_events == full);
    }
    finish();
}
END_TEST

START_TEST(test_nothing_is_wanted_while_nothing_happens)
{
    begin();
    RIG_UNTIL(rig, a->wants > 0);
    size_t wants = a->wants;
    rig_rest(rig);
    ck_assert_uint_eq(a->wants, wants);
    finish();
}
END_TEST

START_TEST(test_more_than_was_wanted_is_taken_and_said)
{
    begin();
    weir_shard *shard = probe_shard(a, "s", NULL);
    RIG_UNTIL(rig, a->wants > 0);
    ck_assert_int_eq(probe_emit(a, shard, 1, 300), WEIR_OK);
    ck_assert_uint_eq(rig_said(rig, "3 source a: the plug-in emitted 300 events,"), 1);
    RIG_UNTIL(rig, probe_settled(a, shard) == 300);
    ck_assert_uint_eq(out->seen.count, 300);
    finish();
}
END_TEST

/* One that has ended is asked for nothing, and the run goes on for the other. */
START_TEST(test_one_ends_the_other_goes_on)
{
    begin();
    weir_shard *shard = probe_shard(b, "s", NULL);
    a->host->ended(a->host);
    RIG_UNTIL(rig, rig_said(rig, "2 source a: has ended") == 1);
    size_t wants = a->wants;
    probe_emit(b, shard, 1, 90);
    RIG_UNTIL(rig, probe_settled(b, shard) == 90);
    ck_assert_uint_eq(a->wants, wants);
    ck_assert(!engine_over(rig->engine));
    ck_assert_uint_eq(a->stops, 0);
    b->host->ended(b->host);
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    ck_assert_uint_eq(a->stops, 1);
    ck_assert_uint_eq(b->stops, 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_stop_says_that_nothing_is_wanted)
{
    begin();
    RIG_UNTIL(rig, a->want_events > 0);
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    ck_assert_uint_eq(a->want_events, 0);
    ck_assert_uint_eq(a->want_bytes, 0);
    ck_assert_uint_eq(a->stops, 1);
    rig_free(rig);
}
END_TEST

/* A source of another kind: its start fails, so what was started before is stopped again and the rest never is. */
static int starts, stops, finis;
static const weir_host *bad_host;

static int bad_init(void *state, const weir_host *host)
{
    weir_shard *shard = NULL;
    (void)state;
    bad_host = host;
    /* There is no store for it yet, and no route knows it. */
    return host->shard_open(host, view_of("s"), 1, NULL, &shard) == WEIR_CLOSED ? WEIR_OK : WEIR_FATAL;
}

static int bad_start(void *state)
{
    (void)state;
    starts++;
    return WEIR_IO;
}

static void bad_want(void *state, size_t events, size_t bytes)
{
    (void)state;
    (void)events;
    (void)bytes;
}

static void bad_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    (void)state;
    (void)shard;
    (void)first;
    (void)last;
    (void)how;
}

static void bad_stop(void *state)
{
    (void)state;
    stops++;
    bad_host->stopped(bad_host);
}

static void bad_fini(void *state)
{
    (void)state;
    finis++;
}

static const weir_source_ops bad_ops = {.size = sizeof bad_ops,
                                        .type = "bad",
                                        .summary = "Does not start.",
                                        .state_size = 1,
                                        .flags = WEIR_SOURCE_REPLAYS,
                                        .init = bad_init,
                                        .start = bad_start,
                                        .want = bad_want,
                                        .settle = bad_settle,
                                        .stop = bad_stop,
                                        .fini = bad_fini};
static const weir_source_ops *const bad_sources[] = {&bad_ops, NULL};
static const weir_module_info bad_module = {
    .abi = WEIR_ABI, .size = sizeof bad_module, .name = "bad", .version = "1", .sources = bad_sources};

START_TEST(test_a_start_that_fails_ends_the_run)
{
    struct error error;
    rig = rig_new(testing_folder());
    ck_assert_int_eq(registry_add(rig->registry, &bad_module, &error), WEIR_OK);
    rig_open(rig, "sources: { first: { type: probe }, bad: { type: bad }, last: { type: probe } }\n"
                  "sinks: { out: { type: probe } }\nroutes: [ { from: [ first, bad, last ], to: out } ]\n");
    ck_assert_int_eq(rig_run(rig), EXIT_FAILED);
    ck_assert_uint_eq(rig_said(rig, "0 source bad: could not be started: "), 1);
    ck_assert_int_eq(starts, 1);
    ck_assert_uint_eq(rig_source(rig, "first")->stops, 1);
    ck_assert_uint_eq(rig_source(rig, "last")->stops, 0); /* it was never started */
    ck_assert_uint_eq(rig_source(rig, "last")->wants, 0);
    rig_free(rig);
    ck_assert_int_eq(finis, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("source");
    TCase *c = tcase_create("source");
    tcase_add_test(c, test_two_sources_share_a_window);
    tcase_add_test(c, test_a_shard_of_another_source_is_refused);
    tcase_add_test(c, test_credit_is_said_again_when_all_is_completed);
    tcase_add_test(c, test_nothing_is_wanted_while_nothing_happens);
    tcase_add_test(c, test_more_than_was_wanted_is_taken_and_said);
    tcase_add_test(c, test_one_ends_the_other_goes_on);
    tcase_add_test(c, test_a_stop_says_that_nothing_is_wanted);
    tcase_add_test(c, test_a_start_that_fails_ends_the_run);
    suite_add_tcase(s, c);
    return testing_run(s);
}
