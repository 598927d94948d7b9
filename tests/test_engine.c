/* test_engine.c: the life of a run: begin, drain, stop, the deadline, and how it breaks off. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"

#define RIG(limits)                                                                                                \
    "limits: { workers: 2 " limits " }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"       \
    "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, to: out, order: shard } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static struct probe_function *f;
static weir_shard *shard;

static void begin_at(const char *folder, const char *yaml)
{
    rig = rig_new(folder);
    f = rig_function(rig, "f", NULL, 0);
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
}

static void begin(const char *yaml)
{
    begin_at(testing_folder(), yaml);
}

START_TEST(test_a_stop_finishes_what_is_in_flight)
{
    begin(RIG(""));
    out->holds = true;
    probe_emit(in, shard, 1, 30);
    RIG_UNTIL(rig, out->open_count == 1);
    engine_stop(rig->engine);
    RIG_UNTIL(rig, in->want_events == 0);
    rig_rest(rig);
    ck_assert_uint_eq(in->stops, 0); /* it is disconnected after its last settle */
    probe_answer_all(out, WEIR_OK);
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    ck_assert_uint_eq(probe_settled(in, shard), 30);
    ck_assert_uint_eq(in->stops, 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_run_ends_when_its_source_has)
{
    begin(RIG(""));
    probe_emit(in, shard, 1, 30);
    in->host->ended(in->host);
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    ck_assert_uint_eq(probe_settled(in, shard), 30);
    ck_assert_uint_eq(out->seen.count, 30);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_end_waits_for_the_sources_answer)
{
    begin(RIG(", stop: 60s"));
    in->holds_stop = true;
    engine_stop(rig->engine);
    RIG_UNTIL(rig, in->stops == 1);
    rig_rest(rig);
    ck_assert(!engine_over(rig->engine));
    in->host->stopped(in->host);
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    rig_free(rig);
}
END_TEST

/* The deadline: what a sink does not answer in time runs again next time. */
START_TEST(test_after_the_deadline_nothing_is_lost)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin_at(folder, RIG(", stop: 50ms"));
    probe_emit(in, shard, 1, 2);
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    out->holds = true;
    probe_emit(in, shard, 3, 5);
    RIG_UNTIL(rig, out->open_count == 1);
    engine_stop(rig->engine);
    RIG_UNTIL(rig, rig_said(rig, "1 engine: the stop deadline passed") == 1);
    probe_answer_all(out, WEIR_RETRY);
    ck_assert_int_eq(rig_run(rig), EXIT_FAILED);
    ck_assert_uint_eq(in->stops, 1);
    ck_assert_uint_eq(probe_settled(in, shard), 2);
    rig_free(rig);
    rig = rig_new(folder);
    rig_function(rig, "f", NULL, 0);
    rig_open(rig, "%s", RIG(""));
    probe_shard(rig_source(rig, "in"), "s", &resume);
    ck_assert_uint_eq(resume.position, 2);
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}
END_TEST

/* A sink that never answers cannot keep the process. */
START_TEST(test_what_never_ends_is_given_up)
{
    begin(RIG(", stop: 50ms"));
    out->holds = true;
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_int_eq(rig_stop(rig), EXIT_FAILED);
    ck_assert_int_eq(engine_end(rig->engine), ENGINE_HUNG);
    ck_assert(!engine_hangs(rig->engine)); /* no thread is out, so all of it can be given back */
    ck_assert_uint_eq(in->settle_count, 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_stop_in_the_middle_of_a_call)
{
    begin(RIG(""));
    probe_hold(f);
    probe_emit(in, shard, 1, 10);
    RIG_UNTIL(rig, f->calls == 1);
    engine_stop(rig->engine);
    RIG_UNTIL(rig, in->want_events == 0);
    ck_assert(!engine_over(rig->engine));
    probe_let(f);
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    ck_assert_uint_eq(probe_settled(in, shard), 10);
    rig_free(rig);
}
END_TEST

/* Failing instances. */

START_TEST(test_a_source_that_fails_ends_the_run_in_order)
{
    begin(RIG(""));
    probe_emit(in, shard, 1, 10);
    in->host->failed(in->host, "the licence has run out");
    ck_assert_int_eq(rig_run(rig), EXIT_FAILED);
    ck_assert_uint_eq(out->seen.count, 10);
    ck_assert_uint_eq(probe_settled(in, shard), 10);
    ck_assert_uint_eq(rig_said(rig, "0 source in: failed for good: the licence has run out"), 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_two_engines_in_one_process)
{
    struct rig *rigs[2];
    weir_shard *shards[2];
    for (int i = 0; i < 2; i++) {
        begin(RIG(""));
        rigs[i] = rig;
        shards[i] = shard;
    }
    for (int i = 0; i < 2; i++)
        probe_emit(rig_source(rigs[i], "in"), shards[i], 1 + 100 * (uint64_t)i, 7);
    for (int i = 0; i < 2; i++) {
        struct probe_sink *sink = rig_sink(rigs[i], "out");
        RIG_UNTIL(rigs[i], sink->seen.count == 7);
        ck_assert_uint_eq(sink->seen.items[0].position, 1 + 100 * (uint64_t)i);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(rig_stop(rigs[i]), EXIT_DONE);
        rig_free(rigs[i]);
    }
}
END_TEST

/* The memory that blocks and batches took is given back. */
START_TEST(test_no_memory_stays_charged)
{
    begin(RIG(""));
    out->holds = true;
    for (uint64_t i = 0; i < 20; i++)
        probe_lend(in, shard, 1 + 100 * i, 100);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_int_gt(rig->engine->memory_used, 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 2000);
    RIG_UNTIL(rig, rig->engine->memory_used == 0);
    ck_assert_uint_eq(in->given_back, 20);
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("engine");
    TCase *c = tcase_create("engine");
    tcase_add_test(c, test_a_stop_finishes_what_is_in_flight);
    tcase_add_test(c, test_the_run_ends_when_its_source_has);
    tcase_add_test(c, test_the_end_waits_for_the_sources_answer);
    tcase_add_test(c, test_after_the_deadline_nothing_is_lost);
    tcase_add_test(c, test_what_never_ends_is_given_up);
    tcase_add_test(c, test_stop_in_the_middle_of_a_call);
    tcase_add_test(c, test_a_source_that_fails_ends_the_run_in_order);
    tcase_add_test(c, test_two_engines_in_one_process);
    tcase_add_test(c, test_no_memory_stays_charged);
    suite_add_tcase(s, c);
    return testing_run(s);
}
