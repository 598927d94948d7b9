/* test_dead_letter.c: dead letters of a running engine: what is in one, and how it is replayed at the stage where
 * it failed. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "engine_kit.h"

#define RIG                                                                                                        \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"                  \
    "functions: { f: { type: f } }\n"                                                                              \
    "routes: [ { name: r, from: in, call: f, to: out, order: shard, retry: { attempts: 2, backoff: 1ms..1ms } } "  \
    "]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static struct probe_function *f;
static weir_shard *shard;

/* Fails "bad" while it is told to; of what passes it puts two. */
static int bad_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    for (size_t i = 0; i < batch->count; i++) {
        const weir_event *event = &batch->events[i];
        if (view_is(event->payload, "bad") && atomic_load(&function->fails))
            weir_out_fail(to, i, "is bad");
        weir_out_put(to, i, NULL, event);
        weir_out_put(to, i, NULL, event);
    }
    return WEIR_OK;
}

static void begin(const char *folder)
{
    rig = rig_new(folder);
    f = rig_function(rig, "f", bad_script, 0);
    f->fails = 1;
    rig_open(rig, "%s", RIG);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static void give(uint64_t position, const char *text)
{
    weir_header headers[] = {{view_of("h"), view_of("v")}, {view_of("h"), view_make(NULL, 0)}};
    weir_event event = {.payload = view_of(text),
                        .key = view_of("key"),
                        .subject = view_of("a/b"),
                        .headers = headers,
                        .header_count = 2,
                        .time_us = 77,
                        .position = position};
    ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
}

START_TEST(test_a_letter_has_all_of_its_event)
{
    struct dead_letter dead;
    int64_t before = clock_wall_us();
    begin(testing_folder());
    give(5, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.route, "r") && view_is(dead.source, "in") && view_is(dead.shard, "s"));
    ck_assert(!dead.stage.size && view_is(dead.function, "f") && view_is(dead.cause, "is bad"));
    ck_assert(view_is(dead.event.id, "s/5") && view_is(dead.event.payload, "bad"));
    ck_assert(view_is(dead.event.key, "key") && view_is(dead.event.subject, "a/b"));
    ck_assert_uint_eq(dead.event.header_count, 2);
    ck_assert(view_is(dead.event.headers[0].value, "v") && !dead.event.headers[1].value.data);
    ck_assert_int_eq(dead.event.time_us, 77);
    ck_assert_uint_eq(dead.position, 5);
    ck_assert_uint_eq(dead.attempts, 2);
    ck_assert_uint_eq(dead.replays, 0);
    ck_assert(!dead.replay_asked && dead.last_us >= before && dead.last_us <= clock_wall_us());
    finish();
}
END_TEST

START_TEST(test_a_replay_begins_at_the_function)
{
    begin(testing_folder());
    give(5, "bad");
    give(6, "good");
    RIG_UNTIL(rig, probe_settled(in, shard) == 6);
    f->fails = 0;
    rig_ask_replay(rig);
    RIG_UNTIL(rig, rig_records(rig, TABLE_DEAD) == 0);
    ck_assert_str_eq(seen_ids(&out->seen), "s/6.0 s/6.1 s/5.0 s/5.1"); /* with its own id */
    ck_assert_uint_eq(probe_settled(in, shard), 6);
    finish();
}
END_TEST

/* What a sink rejected is an output; only that goes to that sink again. */
START_TEST(test_a_replay_begins_at_the_sink)
{
    struct dead_letter dead;
    begin(testing_folder());
    out->holds = true;
    give(7, "good");
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 1, WEIR_REJECT, "too large");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 7);
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.stage, "out") && view_is(dead.cause, "too large") && view_is(dead.event.id, "s/7.1"));
    ck_assert_uint_eq(dead.ordinal, 1);
    out->holds = false;
    size_t calls = f->calls;
    rig_ask_replay(rig);
    RIG_UNTIL(rig, rig_records(rig, TABLE_DEAD) == 0);
    ck_assert_str_eq(seen_ids(&out->seen), "s/7.0 s/7.1 s/7.1");
    ck_assert_uint_eq(f->calls, calls); /* the function is not called again */
    finish();
}
END_TEST

START_TEST(test_a_replay_that_fails_again_is_one_letter)
{
    struct dead_letter dead;
    begin(testing_folder());
    give(5, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    for (uint32_t i = 1; i <= 3; i++) {
        rig_ask_replay(rig);
        RIG_UNTIL(rig, rig_dead(rig, 0, &dead) && dead.replays == i && !dead.replay_asked);
        ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    }
    ck_assert(view_is(dead.event.id, "s/5"));
    finish();
}
END_TEST

/* It fails at another stage this time: the letter at the old one is gone. */
START_TEST(test_a_replay_that_fails_elsewhere_is_one_letter)
{
    struct dead_letter dead;
    begin(testing_folder());
    give(5, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    f->fails = 0;
    out->holds = true;
    rig_ask_replay(rig);
    RIG_UNTIL(rig, out->open_count == 1);
    out->host->write_event(out->host, out->open[0], 0, WEIR_REJECT, "not this one");
    probe_answer(out, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, rig_dead(rig, 0, &dead) && view_is(dead.stage, "out"));
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    ck_assert(view_is(dead.event.id, "s/5.0"));
    ck_assert_uint_eq(dead.replays, 1);
    finish();
}
END_TEST

/* Asked for, and the process ends before it is done: the next run takes it up by itself. */
static void asked_part(const char *folder)
{
    begin(folder);
    give(5, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    f->fails = 0;
    out->holds = true;
    rig_ask_replay(rig);
    RIG_UNTIL(rig, out->open_count == 1);
    rig_rest(rig);
}

START_TEST(test_a_replay_outlives_a_crash)
{
    const char *folder = testing_folder();
    struct dead_letter dead;
    rig_crash(folder, asked_part);
    rig = rig_new(folder);
    f = rig_function(rig, "f", bad_script, 0);
    rig_open(rig, "%s", RIG);
    out = rig_sink(rig, "out");
    ck_assert(rig_dead(rig, 0, &dead) && dead.replay_asked);
    shard = probe_shard(rig_source(rig, "in"), "s", NULL);
    RIG_UNTIL(rig, rig_records(rig, TABLE_DEAD) == 0);
    ck_assert_str_eq(seen_ids(&out->seen), "s/5.0 s/5.1");
    finish();
}
END_TEST

START_TEST(test_many_are_replayed_in_pieces)
{
    begin(testing_folder());
    for (uint64_t i = 1; i <= 300; i++)
        give(i, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 300);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 300);
    f->fails = 0;
    rig_ask_replay(rig);
    RIG_UNTIL(rig, rig_records(rig, TABLE_DEAD) == 0);
    ck_assert_uint_eq(out->seen.count, 600);
    finish();
}
END_TEST

/* Its route is not there now: it stays, and that is said. */
START_TEST(test_a_letter_without_its_route_stays)
{
    const char *folder = testing_folder();
    begin(folder);
    give(5, "bad");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    finish();
    rig = rig_new(folder);
    rig_open(rig, "%s",
             "sources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
             "routes: [ { name: other, from: in, to: out } ]\n");
    shard = probe_shard(rig_source(rig, "in"), "s", NULL);
    rig_ask_replay(rig);
    RIG_UNTIL(rig, rig_said(rig, "of a dead letter to be replayed is not there now; it stays (route r)") == 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dead_letter");
    TCase *c = tcase_create("dead_letter");
    tcase_add_test(c, test_a_letter_has_all_of_its_event);
    tcase_add_test(c, test_a_replay_begins_at_the_function);
    tcase_add_test(c, test_a_replay_begins_at_the_sink);
    tcase_add_test(c, test_a_replay_that_fails_again_is_one_letter);
    tcase_add_test(c, test_a_replay_that_fails_elsewhere_is_one_letter);
    tcase_add_test(c, test_a_replay_outlives_a_crash);
    tcase_add_test(c, test_many_are_replayed_in_pieces);
    tcase_add_test(c, test_a_letter_without_its_route_stays);
    suite_add_tcase(s, c);
    return testing_run(s);
}
