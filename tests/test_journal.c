/* test_journal.c: a source that cannot be replayed: when it is told that its events are accepted, how they are
 * numbered, what is kept of them and for how long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

#define ONE                                                                                                        \
    "limits: { workers: 2 }\nsources: { in: { type: probe_journaled } }\nsinks: { out: { type: probe } }\n"        \
    "routes: [ { name: r, from: in, to: out, order: shard } ]\n"
#define TWO                                                                                                        \
    "limits: { workers: 2 }\nsources: { in: { type: probe_journaled } }\n"                                         \
    "sinks: { out: { type: probe }, slow: { type: probe } }\n"                                                     \
    "routes: [ { name: q, from: in, to: slow, order: shard }, "                                                    \
    "{ name: r, from: in, to: out, order: shard } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

static void begin(const char *folder, const char *yaml)
{
    rig = rig_new(folder);
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

/* An event that fills a block nearly alone. */
static void give_block(void)
{
    static char text[40000];
    memset(text, 'x', sizeof text);
    weir_event event = {.payload = {text, sizeof text}, .key = view_of("k")};
    ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
}

/* The number at the end of its id. */
static unsigned long number(size_t i)
{
    return strtoul(strrchr(out->seen.items[i].id, '/') + 1, NULL, 10);
}

static size_t durable_at_settle;

static void look_at_settle(struct probe_source *source, const struct settled *settled)
{
    (void)source;
    (void)settled;
    durable_at_settle = rig_records(rig, TABLE_JOURNAL);
}

START_TEST(test_accepted_when_it_is_durable)
{
    begin(testing_folder(), ONE);
    in->on_settle = look_at_settle;
    out->holds = true;
    ck_assert_int_eq(probe_emit(in, shard, 1, 3), WEIR_OK);
    ck_assert_uint_eq(in->settle_count, 0);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 0);
    RIG_UNTIL(rig, in->settle_count == 1);
    ck_assert_uint_eq(durable_at_settle, 1);
    ck_assert_int_eq(in->settles[0].how, WEIR_ACCEPTED);
    ck_assert_uint_eq(in->settles[0].first, 1);
    ck_assert_uint_eq(in->settles[0].last, 3);
    probe_answer_all(out, WEIR_OK);
    finish();
}
END_TEST

START_TEST(test_each_emit_is_settled_once)
{
    begin(testing_folder(), ONE);
    for (uint64_t i = 0; i < 50; i++)
        ck_assert_int_eq(probe_emit(in, shard, 1, 1 + i % 3), WEIR_OK);
    RIG_UNTIL(rig, in->settle_count == 50 && out->seen.count == 99);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, 50);
    ck_assert_uint_eq(probe_settled(in, shard), 99);
    for (size_t i = 0; i < 99; i++)
        ck_assert_uint_eq(number(i), i + 1);
    finish();
}
END_TEST

/* An emit that takes several blocks is accepted with its last one. */
START_TEST(test_a_large_emit_is_accepted_whole)
{
    begin(testing_folder(), ONE);
    static char text[30000];
    memset(text, 'y', sizeof text);
    weir_event events[7] = {{.payload = {text, sizeof text}}};
    for (size_t i = 1; i < 7; i++)
        events[i] = events[0];
    weir_emit emit = {.size = sizeof emit, .events = events, .count = 7};
    out->holds = true;
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_OK);
    ck_assert_uint_eq(emit.first, 1);
    ck_assert_uint_eq(emit.last, 7);
    RIG_UNTIL(rig, in->settle_count > 0);
    ck_assert_uint_eq(in->settle_count, 1);
    ck_assert_uint_eq(in->settles[0].last, 7);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 4);
    probe_answer_all(out, WEIR_OK);
    finish();
}
END_TEST

START_TEST(test_a_borrowed_block_is_copied_at_once)
{
    begin(testing_folder(), ONE);
    out->holds = true;
    ck_assert_int_eq(probe_lend(in, shard, 1, 5), WEIR_OK);
    ck_assert_uint_eq(in->given_back, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(out->seen.items[4].payload, "p5");
    probe_answer_all(out, WEIR_OK);
    finish();
}
END_TEST

static void accepted_part(const char *folder)
{
    begin(folder, ONE);
    out->holds = true;
    probe_emit(in, shard, 1, 10);
    RIG_UNTIL(rig, in->settle_count == 1 && out->open_count == 1);
}

START_TEST(test_what_was_accepted_runs_after_a_crash)
{
    const char *folder = testing_folder();
    rig_crash(folder, accepted_part);
    begin(folder, ONE);
    RIG_UNTIL(rig, out->seen.count == 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_uint_eq(number(i), i + 1);
    ck_assert_str_eq(out->seen.items[9].payload, "p10");
    ck_assert_uint_eq(in->settle_count, 0); /* it was told so before */
    finish();
    begin(folder, ONE);
    rig_rest(rig);
    ck_assert_uint_eq(out->seen.count, 0);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 0);
    finish();
}
END_TEST

START_TEST(test_numbers_go_on_when_all_is_trimmed)
{
    const char *folder = testing_folder();
    for (unsigned long i = 0; i < 3; i++) {
        begin(folder, ONE);
        ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 0);
        probe_emit(in, shard, 1, 4);
        RIG_UNTIL(rig, out->seen.count == 4);
        ck_assert_uint_eq(number(0), 4 * i + 1);
        finish();
    }
}
END_TEST

/* Trimming. */

START_TEST(test_trimmed_by_whole_blocks_at_the_slowest_route)
{
    begin(testing_folder(), TWO);
    struct probe_sink *slow = rig_sink(rig, "slow");
    slow->holds = true;
    for (size_t i = 0; i < 6; i++)
        give_block();
    RIG_UNTIL(rig, out->seen.count == 6 && in->settle_count == 6);
    rig_rest(rig);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 6);
    uint64_t at = 0;
    while (at < 3) { /* three, one by one */
        RIG_UNTIL(rig, slow->open_count > 0);
        at += slow->open[0]->batch.count;
        probe_answer(slow, 0, WEIR_OK, NULL);
    }
    RIG_UNTIL(rig, rig_records(rig, TABLE_POSITION) == 3); /* the head, and both routes' */
    give_block();                                          /* the trim goes with the next transaction */
    RIG_UNTIL(rig, rig_records(rig, TABLE_JOURNAL) == 7 - at);
    probe_answer_all(slow, WEIR_OK);
    finish();
}
END_TEST

static void two_part(const char *folder)
{
    begin(folder, TWO);
    rig_sink(rig, "slow")->holds = true;
    for (size_t i = 0; i < 6; i++)
        give_block();
    RIG_UNTIL(rig, out->seen.count == 6 && in->settle_count == 6 && rig_records(rig, TABLE_POSITION) >= 2);
}

START_TEST(test_a_route_that_is_gone_holds_nothing)
{
    const char *folder = testing_folder();
    rig_crash(folder, two_part);
    begin(folder, ONE);
    give_block();
    RIG_UNTIL(rig, rig_records(rig, TABLE_JOURNAL) <= 1);
    finish();
    begin(folder, ONE);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), 0);
    finish();
}
END_TEST

/* It may hold so much; then its source stops, and the log names nobody else. */
START_TEST(test_a_route_that_holds_its_journal_max_stops_the_source)
{
    begin(testing_folder(),
          "limits: { workers: 2 }\nsources: { in: { type: probe_journaled } }\nsinks: { out: { type: probe } }\n"
          "routes: [ { name: r, from: in, to: out, order: shard, journal_max: 100KiB } ]\n");
    out->holds = true;
    RIG_UNTIL(rig, in->want_bytes > 0);
    for (size_t i = 0; i < 4; i++)
        give_block();
    RIG_UNTIL(rig, in->settle_count == 4 && in->want_bytes == 0 && in->want_events == 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->want_bytes > 0);
    finish();
}
END_TEST

/* Opening. */

START_TEST(test_it_has_one_shard)
{
    weir_shard *other = NULL;
    begin(testing_folder(), ONE);
    ck_assert_int_eq(in->host->shard_open(in->host, view_of("t"), 1, NULL, &other), WEIR_INVALID);
    finish();
}
END_TEST

START_TEST(test_a_note_is_durable_with_its_events)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin(folder, ONE);
    probe_emit_note(in, shard, 1, "cursor 9");
    RIG_UNTIL(rig, in->settle_count == 1);
    finish();
    rig = rig_new(folder);
    rig_open(rig, "%s", ONE);
    probe_shard(rig_source(rig, "in"), "s", &resume);
    ck_assert(view_is(resume.note, "cursor 9"));
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal");
    TCase *c = tcase_create("journal");
    tcase_add_test(c, test_accepted_when_it_is_durable);
    tcase_add_test(c, test_each_emit_is_settled_once);
    tcase_add_test(c, test_a_large_emit_is_accepted_whole);
    tcase_add_test(c, test_a_borrowed_block_is_copied_at_once);
    tcase_add_test(c, test_what_was_accepted_runs_after_a_crash);
    tcase_add_test(c, test_numbers_go_on_when_all_is_trimmed);
    tcase_add_test(c, test_trimmed_by_whole_blocks_at_the_slowest_route);
    tcase_add_test(c, test_a_route_that_is_gone_holds_nothing);
    tcase_add_test(c, test_a_route_that_holds_its_journal_max_stops_the_source);
    tcase_add_test(c, test_it_has_one_shard);
    tcase_add_test(c, test_a_note_is_durable_with_its_events);
    suite_add_tcase(s, c);
    return testing_run(s);
}
