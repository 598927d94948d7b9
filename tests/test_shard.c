/* test_shard.c: shards of a replaying source: where they begin, what is settled, the note, and how they go. */
#include <stdio.h>
#include <string.h>

#include "commit.h"
#include "engine_kit.h"

#define ROUTE(name, call) "{ name: " name ", from: in, " call "to: out }"
#define RIG(kind, routes)                                                                                          \
    "limits: { workers: 2 }\nsources: { in: { type: " kind " } }\nsinks: { out: { type: probe } }\n"               \
    "routes: [ " routes " ]\n"
#define STATELESS RIG("probe_kept", ROUTE("r", ""))
#define PLAIN RIG("probe", ROUTE("r", ""))

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;

static void begin(const char *folder, const char *yaml)
{
    rig = rig_new(folder);
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static weir_view found_note(const weir_resume *resume)
{
    return resume->note;
}

START_TEST(test_a_shard_begins_where_it_was_settled)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin(folder, PLAIN);
    weir_shard *s = probe_shard(in, "s", &resume), *t = probe_shard(in, "t", NULL);
    ck_assert_int_eq(resume.known, 0);
    ck_assert_uint_eq(resume.position, 0);
    ck_assert_ptr_null(resume.note.data);
    probe_emit(in, s, 10, 5);
    probe_emit(in, t, 100, 1);
    RIG_UNTIL(rig, probe_settled(in, s) == 14 && probe_settled(in, t) == 100);
    finish();
    begin(folder, PLAIN);
    probe_shard(in, "t", &resume);
    ck_assert_int_eq(resume.known, 1);
    ck_assert_uint_eq(resume.position, 100);
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 14);
    probe_shard(in, "u", &resume);
    ck_assert_int_eq(resume.known, 0);
    finish();
}
END_TEST

/* A write that is late holds back what comes behind it in other lanes: settles are contiguous and ascending. */
START_TEST(test_settles_are_contiguous)
{
    begin(testing_folder(), PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    out->holds = true;
    probe_emit(in, s, 1, 64);
    RIG_UNTIL(rig, out->open_count == 4);
    uint64_t first = out->open[0]->batch.events[0].position;
    ck_assert_uint_eq(first, 1);
    for (int i = 0; i < 3; i++)
        probe_answer(out, 1, WEIR_OK, NULL);
    rig_rest(rig);
    ck_assert_uint_eq(probe_settled(in, s), 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, s) == 64);
    for (size_t i = 0; i < in->settle_count; i++)
        ck_assert_int_eq(in->settles[i].how, WEIR_COMPLETED);
    finish();
}
END_TEST

/* The note. */

START_TEST(test_the_note_of_the_settled_position_is_found)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin(folder, PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_emit_note(in, s, 1, "inode 5");
    probe_emit_note(in, s, 2, "inode 6");
    probe_emit(in, s, 3, 1);
    RIG_UNTIL(rig, probe_settled(in, s) == 3);
    finish();
    begin(folder, PLAIN);
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 3);
    ck_assert(view_is(found_note(&resume), "inode 6"));
    finish();
}
END_TEST

static void note_part(const char *folder)
{
    begin(folder, PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_emit_note(in, s, 1, "one");
    RIG_UNTIL(rig, probe_settled(in, s) == 1);
    out->holds = true;
    probe_emit_note(in, s, 2, "two");
    RIG_UNTIL(rig, out->open_count == 1);
    rig_rest(rig);
}

START_TEST(test_the_note_of_what_is_open_is_not)
{
    const char *folder = testing_folder();
    weir_resume resume;
    rig_crash(folder, note_part);
    begin(folder, PLAIN);
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 1);
    ck_assert(view_is(found_note(&resume), "one"));
    finish();
}
END_TEST

/* Of two routes the slower one decides. */
START_TEST(test_the_note_waits_for_the_slowest_route)
{
    begin(testing_folder(), "limits: { workers: 2 }\nsources: { in: { type: probe } }\n"
                            "sinks: { out: { type: probe }, slow: { type: probe } }\n"
                            "routes: [ { name: q, from: in, to: slow }, { from: in, to: out } ]\n");
    struct probe_sink *slow = rig_sink(rig, "slow");
    weir_shard *s = probe_shard(in, "s", NULL);
    slow->holds = true;
    probe_emit_note(in, s, 1, "one");
    RIG_UNTIL(rig, slow->open_count == 1 && out->seen.count == 1);
    RIG_UNTIL(rig, rig_records(rig, TABLE_POSITION) == 1); /* the fast one's */
    rig_rest(rig);
    ck_assert_uint_eq(rig_records(rig, TABLE_NOTE), 0);
    ck_assert_uint_eq(in->settle_count, 0);
    probe_answer_all(slow, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, s) == 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_NOTE), 1);
    finish();
}
END_TEST

START_TEST(test_a_note_that_is_too_large_is_refused)
{
    static char note[WEIR_NOTE_MAX + 2];
    begin(testing_folder(), PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    memset(note, 'x', sizeof note - 1);
    ck_assert_int_eq(probe_emit_note(in, s, 1, note), WEIR_INVALID);
    note[WEIR_NOTE_MAX] = '\0';
    ck_assert_int_eq(probe_emit_note(in, s, 1, note), WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, s) == 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_NOTE), 1);
    finish();
}
END_TEST

/* A source whose peer keeps the positions. */

START_TEST(test_kept_positions_are_not_stored)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin(folder, STATELESS);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_emit(in, s, 1, 20);
    RIG_UNTIL(rig, probe_settled(in, s) == 20);
    finish();
    begin(folder, STATELESS);
    ck_assert_uint_eq(rig_records(rig, TABLE_POSITION), 0);
    probe_shard(in, "s", &resume);
    ck_assert_int_eq(resume.known, 0);
    finish();
}
END_TEST

static int state_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    for (size_t i = 0; i < batch->count; i++)
        weir_state_put(to, i, view_of("n"), view_of("1"));
    return WEIR_OK;
}

START_TEST(test_they_are_with_keyed_state)
{
    const char *folder = testing_folder();
    for (int i = 0; i < 2; i++) {
        weir_resume resume;
        rig = rig_new(folder);
        rig_function(rig, "f", state_script, WEIR_FUNCTION_STATE);
        rig_open(rig, "%s",
                 "sources: { in: { type: probe_kept } }\nfunctions: { f: { type: f } }\n"
                 "routes: [ { from: in, call: f } ]\n");
        in = rig_source(rig, "in");
        weir_shard *s = probe_shard(in, "s", &resume);
        ck_assert_int_eq(resume.known, i);
        ck_assert_uint_eq(resume.position, i ? 20 : 0);
        probe_emit(in, s, 1 + 20 * (uint64_t)i, 20);
        RIG_UNTIL(rig, probe_settled(in, s) == 20 + 20 * (uint64_t)i);
        ck_assert_uint_eq(rig_records(rig, TABLE_POSITION), 1);
        finish();
    }
}
END_TEST

/* A dead letter of such a route is durable before its position is settled. */
START_TEST(test_a_dead_letter_is_stored_all_the_same)
{
    begin(testing_folder(), STATELESS);
    weir_shard *s = probe_shard(in, "s", NULL);
    out->holds = true;
    probe_emit(in, s, 1, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer(out, 0, WEIR_REJECT, "never");
    ck_assert_uint_eq(in->settle_count, 0);
    RIG_UNTIL(rig, probe_settled(in, s) == 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    finish();
}
END_TEST

/* Revocation. */

START_TEST(test_a_drained_shard_is_released_after_its_last_settle)
{
    begin(testing_folder(), PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL), *t = probe_shard(in, "t", NULL), *again = NULL;
    out->holds = true;
    probe_emit(in, s, 1, 3);
    RIG_UNTIL(rig, out->open_count > 0);
    in->host->shard_revoke(in->host, s, 0);
    ck_assert_int_eq(probe_emit(in, s, 4, 1), WEIR_CLOSED);
    ck_assert_int_eq(in->host->shard_open(in->host, view_of("s"), 2, NULL, &again), WEIR_RETRY);
    rig_rest(rig);
    ck_assert_uint_eq(in->released_count, 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->released_count == 1);
    ck_assert_ptr_eq(in->released[0], s);
    ck_assert_uint_eq(probe_settled(in, s), 3);
    probe_emit(in, t, 1, 1); /* the other one is as it was */
    RIG_UNTIL(rig, probe_settled(in, t) == 1);
    weir_resume resume;
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 3);
    finish();
}
END_TEST

START_TEST(test_a_lost_shard_is_dropped)
{
    const char *folder = testing_folder();
    begin(folder, PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_lend(in, s, 1, 2);
    RIG_UNTIL(rig, probe_settled(in, s) == 2);
    out->holds = true;
    probe_lend(in, s, 3, 50);
    RIG_UNTIL(rig, out->open_count == 4);
    in->host->shard_revoke(in->host, s, 1);
    ck_assert_uint_eq(in->released_count, 0); /* the sink still holds views */
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->released_count == 1);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, 1);
    RIG_UNTIL(rig, in->given_back == 2);
    weir_resume resume;
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 2);
    finish();
}
END_TEST

START_TEST(test_drained_then_lost)
{
    begin(testing_folder(), PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    out->holds = true;
    probe_emit(in, s, 1, 3);
    RIG_UNTIL(rig, out->open_count > 0);
    in->host->shard_revoke(in->host, s, 0);
    in->host->shard_revoke(in->host, s, 1);
    in->host->shard_revoke(in->host, s, 0); /* nothing new */
    in->host->shard_revoke(in->host, s, 1);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->released_count == 1);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, 0);
    ck_assert_uint_eq(in->released_count, 1);
    finish();
}
END_TEST

/* Its last commit is under way when it is lost: what is durable then is not settled any more. */
START_TEST(test_lost_while_its_commit_is_under_way)
{
    begin(testing_folder(), PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_emit(in, s, 1, 1);
    RIG_UNTIL(rig, commit_busy(rig->engine->committer));
    in->host->shard_revoke(in->host, s, 1);
    RIG_UNTIL(rig, in->released_count == 1);
    ck_assert_uint_eq(in->settle_count, 0);
    weir_resume resume;
    probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 1);
    finish();
}
END_TEST

/* Opening. */

START_TEST(test_names_that_are_none)
{
    static char name[252];
    weir_shard *shard = NULL;
    begin(testing_folder(), PLAIN);
    memset(name, 'x', sizeof name - 1);
    ck_assert_int_eq(in->host->shard_open(in->host, view_of(name), 1, NULL, &shard), WEIR_INVALID);
    ck_assert_int_eq(in->host->shard_open(in->host, view_of(""), 1, NULL, &shard), WEIR_INVALID);
    ck_assert_int_eq(in->host->shard_open(in->host, view_make("a\0b", 3), 1, NULL, &shard), WEIR_INVALID);
    probe_shard(in, "s", NULL);
    ck_assert_int_eq(in->host->shard_open(in->host, view_of("s"), 1, NULL, &shard), WEIR_INVALID);
    name[250] = '\0';
    ck_assert_int_eq(in->host->shard_open(in->host, view_of(name), 1, NULL, &shard), WEIR_OK);
    finish();
}
END_TEST

/* A route that is new begins with the others' oldest; what it alone has not seen is given to it alone. */
START_TEST(test_a_new_route_gets_what_the_others_have)
{
    const char *folder = testing_folder();
    weir_resume resume;
    begin(folder, PLAIN);
    weir_shard *s = probe_shard(in, "s", NULL);
    probe_emit(in, s, 1, 5);
    RIG_UNTIL(rig, probe_settled(in, s) == 5);
    finish();
    begin(folder, "sources: { in: { type: probe } }\nsinks: { out: { type: probe }, new: { type: probe } }\n"
                  "routes: [ { name: r, from: in, to: out }, { name: n, from: in, to: new } ]\n");
    s = probe_shard(in, "s", &resume);
    ck_assert_uint_eq(resume.position, 0);
    probe_emit(in, s, 1, 6);
    RIG_UNTIL(rig, probe_settled(in, s) == 6);
    ck_assert_uint_eq(rig_sink(rig, "new")->seen.count, 6);
    ck_assert_str_eq(seen_ids(&out->seen), "s/6");
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shard");
    TCase *c = tcase_create("shard");
    tcase_add_test(c, test_a_shard_begins_where_it_was_settled);
    tcase_add_test(c, test_settles_are_contiguous);
    tcase_add_test(c, test_the_note_of_the_settled_position_is_found);
    tcase_add_test(c, test_the_note_of_what_is_open_is_not);
    tcase_add_test(c, test_the_note_waits_for_the_slowest_route);
    tcase_add_test(c, test_a_note_that_is_too_large_is_refused);
    tcase_add_test(c, test_kept_positions_are_not_stored);
    tcase_add_test(c, test_they_are_with_keyed_state);
    tcase_add_test(c, test_a_dead_letter_is_stored_all_the_same);
    tcase_add_test(c, test_a_drained_shard_is_released_after_its_last_settle);
    tcase_add_test(c, test_a_lost_shard_is_dropped);
    tcase_add_test(c, test_drained_then_lost);
    tcase_add_test(c, test_lost_while_its_commit_is_under_way);
    tcase_add_test(c, test_names_that_are_none);
    tcase_add_test(c, test_a_new_route_gets_what_the_others_have);
    suite_add_tcase(s, c);
    return testing_run(s);
}
