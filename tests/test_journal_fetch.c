/* test_journal_fetch.c: what a route that fell behind gets back from the journal: all of it, in order, and what is
 * damaged or gone is passed over, counted, and said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "journal.h"
#include "journal_block.h"

enum { BLOCKS = 60 };
#define RIG                                                                                                        \
    "limits: { workers: 2, memory: 16MiB }\nsources: { in: { type: probe_journaled } }\n"                          \
    "sinks: { out: { type: probe } }\n"                                                                            \
    "routes: [ { name: r, from: in, to: out, order: shard, in_flight: { events: 8 }, batch: { events: 4 } } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

static void begin(const char *folder)
{
    rig = rig_new(folder);
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

/* Two events that fill a block of the journal. */
static void give_block(void)
{
    static char text[32000];
    memset(text, 'x', sizeof text);
    weir_event events[2] = {{.payload = {text, sizeof text}}, {.payload = {text, sizeof text}}};
    weir_emit emit = {.size = sizeof emit, .events = events, .count = 2};
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_OK);
}

static unsigned long number(size_t i)
{
    return strtoul(strrchr(out->seen.items[i].id, '/') + 1, NULL, 10);
}

static int64_t metric(const char *name)
{
    return rig_metric(rig, name, "source=\"in\"");
}

/* The route has eight; all others are in the journal, few of them also in memory. */
static void fill(size_t blocks)
{
    out->holds = true;
    for (size_t i = 0; i < blocks; i++) {
        give_block();
        RIG_UNTIL(rig, in->settle_count == i + 1);
    }
    RIG_UNTIL(rig, out->open_count > 0);
    rig_rest(rig);
    ck_assert_uint_le(out->seen.count, 8);
    ck_assert_uint_eq(rig_records(rig, TABLE_JOURNAL), blocks);
}

static bool fetching(void)
{
    return rig->engine->sources[0].journal->fetching;
}

START_TEST(test_what_fell_behind_comes_back_in_order)
{
    begin(testing_folder());
    fill(BLOCKS);
    ck_assert_uint_lt(rig->engine->sources[0].journal->recent_count, BLOCKS / 2); /* so the rest must be read */
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, fetching());
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS);
    for (size_t i = 0; i < out->seen.count; i++)
        ck_assert_uint_eq(number(i), i + 1);
    ck_assert_int_eq(metric("weir_source_journal_missing_events_total"), 0);
    ck_assert_int_eq(metric("weir_source_journal_damaged_events_total"), 0);
    finish();
}
END_TEST

/* What arrives meanwhile waits for its turn. */
START_TEST(test_new_events_do_not_overtake)
{
    begin(testing_folder());
    fill(BLOCKS);
    probe_answer_all(out, WEIR_OK);
    for (size_t i = 0; i < 10; i++) {
        give_block();
        RIG_UNTIL(rig, in->settle_count == BLOCKS + i + 1);
    }
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS + 20);
    for (size_t i = 0; i < out->seen.count; i++)
        ck_assert_uint_eq(number(i), i + 1);
    finish();
}
END_TEST

/* Damage. */

static void changed(void *arg, int result)
{
    ck_assert_int_eq(result, WEIR_OK);
    *(volatile bool *)arg = true;
}

static void change(struct store_ops *ops)
{
    volatile bool done = false; /* by changed */
    engine_change(rig->engine, ops, changed, (void *)(uintptr_t)&done);
    RIG_UNTIL(rig, done);
}

/* Each block has two events, so it is filed under its even number. */
static void block_key(struct key *key, uint64_t last)
{
    key_journal(key, view_of("in"), last);
}

static weir_view block_read(uint64_t last)
{
    struct key key;
    weir_view value;
    block_key(&key, last);
    ck_assert_int_eq(store_get(rig->engine->reader, TABLE_JOURNAL, key_view(&key), &rig->config->arena, &value),
                     WEIR_OK);
    return value;
}

static void block_put(uint64_t last, weir_view value)
{
    struct key key;
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    block_key(&key, last);
    if (value.data)
        store_ops_put(ops, TABLE_JOURNAL, key_view(&key), value);
    else
        store_ops_del(ops, TABLE_JOURNAL, key_view(&key));
    change(ops);
}

/* The numbers 1.. without those of `gone`, in order. */
static void expect_without(const unsigned long *gone, size_t count)
{
    unsigned long next = 1;
    for (size_t i = 0; i < out->seen.count; i++, next++) {
        for (size_t j = 0; j < count; j++)
            next += next == gone[j];
        ck_assert_uint_eq(number(i), next);
    }
}

static void run_without(const unsigned long *gone, size_t count)
{
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS - count);
    expect_without(gone, count);
    finish();
}

START_TEST(test_one_damaged_event_is_left_out)
{
    static const unsigned long gone[] = {39};
    begin(testing_folder());
    fill(BLOCKS);
    weir_view block = block_read(40);
    char *bytes = (char *)(uintptr_t)block.data; /* in the arena, so it is ours */
    bytes[20000] ^= 1;
    block_put(40, block);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS - 1);
    expect_without(gone, 1);
    ck_assert_int_eq(metric("weir_source_journal_damaged_events_total"), 1);
    ck_assert_uint_eq(rig_said(rig, "journal: event 39 is damaged and left out"), 1);
    finish();
}
END_TEST

START_TEST(test_a_damaged_block_is_skipped)
{
    static const unsigned long gone[] = {39, 40};
    begin(testing_folder());
    fill(BLOCKS);
    block_put(40, view_of("this is no block of a journal, and never was"));
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS - 2);
    expect_without(gone, 2);
    ck_assert_int_eq(metric("weir_source_journal_missing_events_total"), 2);
    ck_assert_uint_eq(rig_said(rig, "journal: events 39 to 40 are not in the store; passed over"), 1);
    ck_assert_int_eq(metric("weir_source_journal_damaged_events_total"), 1);
    ck_assert_uint_eq(rig_said(rig, "journal: event 40 is damaged and left out"), 1);
    finish();
}
END_TEST

START_TEST(test_a_block_that_is_gone_is_counted)
{
    static const unsigned long gone[] = {39, 40, 41, 42};
    begin(testing_folder());
    fill(BLOCKS);
    block_put(40, view_make(NULL, 0));
    block_put(42, view_make(NULL, 0));
    run_without(gone, 4);
}
END_TEST

/* Also when nothing comes behind it. */
static void last_part(const char *folder)
{
    begin(folder);
    fill(BLOCKS);
    block_put(2 * BLOCKS, view_make(NULL, 0));
}

START_TEST(test_a_gap_at_the_end_is_passed_over)
{
    static const unsigned long gone[] = {2 * BLOCKS - 1, 2 * BLOCKS};
    const char *folder = testing_folder();
    rig_crash(folder, last_part);
    begin(folder);
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS - 2);
    RIG_UNTIL(rig, metric("weir_source_journal_missing_events_total") == 2);
    expect_without(gone, 2);
    give_block();
    RIG_UNTIL(rig, out->seen.count == 2 * BLOCKS);
    ck_assert_uint_eq(number(out->seen.count - 1), 2 * BLOCKS + 2);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal_fetch");
    TCase *c = tcase_create("journal_fetch");
    tcase_add_test(c, test_what_fell_behind_comes_back_in_order);
    tcase_add_test(c, test_new_events_do_not_overtake);
    tcase_add_test(c, test_one_damaged_event_is_left_out);
    tcase_add_test(c, test_a_damaged_block_is_skipped);
    tcase_add_test(c, test_a_block_that_is_gone_is_counted);
    tcase_add_test(c, test_a_gap_at_the_end_is_passed_over);
    suite_add_tcase(s, c);
    return testing_run(s);
}
