/* test_commit.c: transactions of a running engine: what goes into one, what waits for one, a store that is full,
 * and a commit that fails.
 *
 * The call by which LMDB synchronises its file is taken over here, so that a commit can be made to fail. */
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commit.h"
#include "engine_kit.h"

static atomic_bool broken_disk;
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    if (!atomic_load(&broken_disk))
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

#define RIG(kind, store)                                                                                           \
    store "limits: { workers: 2 }\nsources: { in: { type: " kind " } }\nsinks: { out: { type: probe } }\n"         \
          "functions: { f: { type: f } }\n"                                                                        \
          "routes: [ { name: r, from: in, call: f, to: out, order: shard, retry: { attempts: 1 } } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

/* Counts its events in keyed state; what has an even position fails. */
static int half_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    for (size_t i = 0; i < batch->count; i++) {
        weir_state_put(to, i, view_of("n"), batch->events[i].payload);
        if (batch->events[i].position % 2 == 0)
            weir_out_fail(to, i, "even");
        else
            weir_out_forward(to, i, NULL);
    }
    return WEIR_OK;
}

static void begin_at(const char *folder, const char *yaml)
{
    rig = rig_new(folder);
    rig_function(rig, "f", half_script, WEIR_FUNCTION_STATE);
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
}

static void begin(const char *yaml)
{
    begin_at(testing_folder(), yaml);
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static uint64_t commits(void)
{
    struct store_status status;
    store_status(rig->engine->store, &status);
    return status.commits;
}

/* At every moment at which a reader can look, state, dead letters and position say the same. */
START_TEST(test_one_transaction_holds_all)
{
    begin(RIG("probe", ""));
    uint64_t before = commits();
    probe_emit_note(in, shard, 1, "one");
    RIG_UNTIL(rig, commits() > before);
    ck_assert_uint_eq(rig_records(rig, TABLE_POSITION), 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_STATE), 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_NOTE), 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert_uint_eq(commits(), before + 1);
    probe_emit_note(in, shard, 2, "two");
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_STATE), 1); /* the failed one wrote none */
    ck_assert_uint_eq(commits(), before + 2);
    finish();
}
END_TEST

/* What completes while one is under way goes into the next: many batches, few commits. */
START_TEST(test_many_batches_share_one)
{
    begin(RIG("probe", ""));
    uint64_t before = commits();
    for (uint64_t i = 1; i < 400; i += 2)
        probe_emit(in, shard, i, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 399);
    ck_assert_uint_lt(commits() - before, 100);
    finish();
}
END_TEST

/* A store without room. */

#define SMALL "store: { path: %s/store, size_max: 4MiB }\n"

static const char *small(const char *folder, const char *kind)
{
    static char yaml[2000];
    snprintf(yaml, sizeof yaml, RIG("%s", SMALL), folder, kind);
    return yaml;
}

static size_t give_until_full(size_t most)
{
    static char text[60000];
    weir_event event = {.payload = {text, sizeof text}, .key = view_of("k"), .position = 1};
    size_t given = 0;
    while (given < most && !commit_full(rig->engine->committer)) {
        ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
        given++;
        RIG_UNTIL(rig, in->settle_count == given || commit_full(rig->engine->committer));
    }
    return given;
}

START_TEST(test_a_full_store_accepts_nothing_and_recovers)
{
    const char *folder = testing_folder();
    begin_at(folder, small(folder, "probe_journaled"));
    out->holds = true;
    size_t given = give_until_full(200), settled = in->settle_count;
    ck_assert_uint_lt(given, 200);
    ck_assert_uint_ge(given, settled);
    RIG_UNTIL(rig, in->want_bytes == 0);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, settled);
    ck_assert_uint_eq(rig_said(rig, "0 store: no room in "), 1);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->settle_count == given && in->want_bytes > 0);
    ck_assert_uint_eq(rig_said(rig, "there is room again; events are accepted"), 1);
    RIG_UNTIL(rig, out->seen.count + rig_records(rig, TABLE_DEAD) == given);
    finish();
}
END_TEST

/* A commit that fails. */

static void broken_part(const char *folder)
{
    begin_at(folder, RIG("probe_journaled", ""));
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, in->settle_count == 1);
    broken_disk = true;
    probe_emit(in, shard, 1, 1);
    ck_assert_int_eq(rig_run(rig), EXIT_COMMIT);
    ck_assert_int_eq(engine_end(rig->engine), ENGINE_DIED);
    ck_assert_uint_eq(in->settle_count, 1);
    ck_assert_int_eq(probe_emit(in, shard, 1, 1), WEIR_CLOSED);
    ck_assert_uint_eq(rig_said(rig, "0 store: a commit failed"), 1);
    ck_assert_uint_eq(in->stops, 0); /* nothing more is asked of anyone */
    rig_free(rig);
}

START_TEST(test_a_failed_commit_ends_the_run)
{
    const char *folder = testing_folder();
    rig_crash(folder, broken_part);
    begin_at(folder, RIG("probe_journaled", ""));
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, in->settle_count == 1 && out->seen.count + rig_records(rig, TABLE_DEAD) >= 1);
    finish();
}
END_TEST

static void broken_checkpoint_part(const char *folder)
{
    begin_at(folder, RIG("probe", ""));
    broken_disk = true;
    probe_emit(in, shard, 1, 1);
    ck_assert_int_eq(rig_run(rig), EXIT_COMMIT);
    ck_assert_uint_eq(in->settle_count, 0);
    rig_free(rig);
}

START_TEST(test_nothing_is_settled_whose_checkpoint_failed)
{
    rig_crash(testing_folder(), broken_checkpoint_part);
}
END_TEST

/* Changes of the command line. */

static int change_result = -1;

static void change_done(void *arg, int result)
{
    change_result = result;
    *(size_t *)arg = rig_records(rig, TABLE_NOTE);
}

START_TEST(test_a_change_is_durable_when_it_is_answered)
{
    begin(RIG("probe", ""));
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    struct key key;
    size_t notes = 0;
    key_note(&key, view_of("in"), view_of("x"));
    store_ops_put(ops, TABLE_NOTE, key_view(&key), view_of("n"));
    engine_change(rig->engine, ops, change_done, &notes);
    ck_assert_int_eq(change_result, -1);
    RIG_UNTIL(rig, change_result >= 0);
    ck_assert_int_eq(change_result, WEIR_OK);
    ck_assert_uint_eq(notes, 1);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("commit");
    TCase *c = tcase_create("commit");
    tcase_add_test(c, test_one_transaction_holds_all);
    tcase_add_test(c, test_many_batches_share_one);
    tcase_add_test(c, test_a_full_store_accepts_nothing_and_recovers);
    tcase_add_test(c, test_a_failed_commit_ends_the_run);
    tcase_add_test(c, test_nothing_is_settled_whose_checkpoint_failed);
    tcase_add_test(c, test_a_change_is_durable_when_it_is_answered);
    suite_add_tcase(s, c);
    return testing_run(s);
}
