/* test_emit.c: what happens to a block between a source and its routes: order, size, key:, id: and time:, and whose
 * memory it is. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"

#define RIG(kind, more, limits)                                                                                    \
    "limits: { workers: 2 " limits " }\nsources: { in: { type: " kind " " more " } }\n"                            \
    "sinks: { out: { type: probe } }\nroutes: [ { name: r, from: in, to: out, order: shard } ]\n"

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
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static int64_t refused(void)
{
    return rig_metric(rig, "weir_source_refused_events_total", "source=\"in\"");
}

START_TEST(test_positions_out_of_order_are_refused)
{
    begin(RIG("probe", "", ""));
    weir_event events[] = {{.position = 5}, {.position = 5}};
    weir_emit emit = {.size = sizeof emit, .events = events, .count = 2};
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_INVALID);
    ck_assert_uint_eq(emit.first, 0);
    ck_assert_int_eq(probe_emit(in, shard, 5, 1), WEIR_OK);
    ck_assert_int_eq(probe_emit(in, shard, 5, 1), WEIR_INVALID);
    ck_assert_int_eq(probe_emit(in, shard, 4, 3), WEIR_INVALID);
    emit.count = 0;
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_INVALID);
    ck_assert_int_eq(probe_emit(in, shard, 100, 1), WEIR_OK); /* positions need not be dense */
    RIG_UNTIL(rig, probe_settled(in, shard) == 100);
    ck_assert_str_eq(seen_ids(&out->seen), "s/5 s/100");
    ck_assert_uint_eq(rig_said(rig, "0 source in: the plug-in emitted an empty block or positions out of order"),
                      4);
    finish();
}
END_TEST

START_TEST(test_borrowed_blocks_come_back_when_they_are_done_with)
{
    begin(RIG("probe", "", ""));
    out->holds = true;
    ck_assert_int_eq(probe_lend(in, shard, 1, 40), WEIR_OK);
    RIG_UNTIL(rig, out->open_count == 1);
    rig_rest(rig);
    ck_assert_uint_eq(in->given_back, 0);
    ck_assert(view_is(out->open[0]->batch.events[39].payload, "p40"));
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->given_back == 1 && probe_settled(in, shard) == 40);
    finish();
}
END_TEST

/* The test spoils what it emitted right after the call. */
START_TEST(test_without_a_release_the_events_are_copied)
{
    begin(RIG("probe", "", ""));
    out->holds = true;
    probe_emit(in, shard, 1, 40);
    RIG_UNTIL(rig, out->open_count == 1);
    for (size_t i = 0; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof text, "p%zu", i + 1);
        ck_assert_str_eq(out->seen.items[i].payload, text);
    }
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 40);
    finish();
}
END_TEST

/* Size. */

START_TEST(test_a_large_event_is_refused_and_counted)
{
    static char text[2000];
    const char *const kinds[] = {RIG("probe", "", ", event_bytes: 1KiB"),
                                 RIG("probe_journaled", "", ", event_bytes: 1KiB")};
    begin(kinds[_i]);
    memset(text, 'x', sizeof text);
    weir_event events[] = {{.payload = {text, 1024}, .position = 1},
                           {.payload = {text, 1025}, .position = 2},
                           {.payload = {text, 3}, .position = 3}};
    weir_emit emit = {.size = sizeof emit, .events = events, .count = 3};
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_OK);
    RIG_UNTIL(rig, out->seen.count == 2 && in->settle_count > 0);
    ck_assert_int_eq(refused(), 1);
    ck_assert_int_eq(rig_metric(rig, "weir_source_accepted_events_total", "source=\"in\""), 2);
    ck_assert_uint_eq(rig_said(rig, "1 source in: refused an event of 1025 bytes"), 1);
    finish();
}
END_TEST

/* A block of which nothing is kept is settled all the same, else its source would wait for ever. */
START_TEST(test_a_block_of_refused_events_is_settled)
{
    static char text[2000];
    const char *const kinds[] = {RIG("probe", "", ", event_bytes: 1KiB"),
                                 RIG("probe_journaled", "", ", event_bytes: 1KiB")};
    begin(kinds[_i]);
    memset(text, 'x', sizeof text);
    weir_event event = {.payload = {text, 1500}, .position = 1};
    ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
    if (_i == 1) {
        RIG_UNTIL(rig, in->settle_count == 1);
        ck_assert_int_eq(in->settles[0].how, WEIR_REFUSED);
        ck_assert_uint_eq(in->settles[0].last, 0);
    }
    ck_assert_int_eq(refused(), 1);
    ck_assert_int_eq(probe_emit(in, shard, 2, 1), WEIR_OK);
    RIG_UNTIL(rig,
              out->seen.count == 1 && in->settle_count && in->settles[in->settle_count - 1].how != WEIR_REFUSED);
    finish();
}
END_TEST

/* Overrides. */

START_TEST(test_key_and_id_come_from_where_they_are_told)
{
    begin(RIG("probe", ", key: payload.dev, id: headers.nr", ""));
    weir_header headers[] = {{view_of("nr"), view_of("n-7")}};
    weir_event event = {.payload = view_of("{\"dev\":\"m1\"}"),
                        .key = view_of("of the source"),
                        .headers = headers,
                        .header_count = 1,
                        .position = 1};
    probe_give(in, shard, &event);
    event.payload = view_of("{}");
    event.header_count = 0;
    event.position = 2;
    probe_give(in, shard, &event);
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_str_eq(seen_ids(&out->seen), "n-7 s/2"); /* what is missing leaves the source's own id */
    ck_assert_str_eq(out->seen.items[0].key, "m1");
    ck_assert_str_eq(out->seen.items[1].key, "");
    finish();
}
END_TEST

static int time_script(struct probe_sink *sink, weir_write *write)
{
    for (size_t i = 0; i < write->batch.count; i++)
        snprintf(sink->seen.items[sink->seen.count - write->batch.count + i].key, 40, "%lld",
                 (long long)write->batch.events[i].time_us);
    return WEIR_OK;
}

static const struct {
    const char *format, *good, *time;
} times[] = {
    {"unix_s", "1700000000.5", "1700000000500000"},
    {"unix_ms", "1700000000123", "1700000000123000"},
    {"rfc3339", "2023-11-14T22:13:20.25Z", "1700000000250000"},
};

START_TEST(test_time_is_read_and_what_cannot_be_is_refused)
{
    static const char *const wrong[] = {"", "soon", "1e300", "nan", "12 "};
    char yaml[600], payload[100];
    snprintf(yaml, sizeof yaml, RIG("probe", ", time: { field: payload.at, format: %s }", ""), times[_i].format);
    begin(yaml);
    out->script = time_script;
    snprintf(payload, sizeof payload, "{\"at\":\"%s\"}", times[_i].good);
    weir_event event = {.payload = view_of(payload), .position = 1, .time_us = 42};
    probe_give(in, shard, &event);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char bad[100];
        snprintf(bad, sizeof bad, "{\"at\":\"%s\"}", wrong[i]);
        event = (weir_event){.payload = view_of(bad), .position = 2 + i, .time_us = 42};
        ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
    }
    event = (weir_event){.payload = view_of(payload), .position = 50, .time_us = 42};
    probe_give(in, shard, &event);
    RIG_UNTIL(rig, out->seen.count == 2);
    ck_assert_str_eq(out->seen.items[0].key, times[_i].time);
    ck_assert_int_eq(refused(), ARRAY_COUNT(wrong));
    finish();
}
END_TEST

/* With overrides the block is another array, but what it points to stays the source's. */
START_TEST(test_a_borrowed_block_with_overrides)
{
    begin(RIG("probe", ", key: payload", ""));
    out->holds = true;
    probe_lend(in, shard, 1, 3);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(out->seen.items[2].key, "p3");
    ck_assert_uint_eq(in->given_back, 0);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->given_back == 1);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("emit");
    TCase *c = tcase_create("emit");
    tcase_add_test(c, test_positions_out_of_order_are_refused);
    tcase_add_test(c, test_borrowed_blocks_come_back_when_they_are_done_with);
    tcase_add_test(c, test_without_a_release_the_events_are_copied);
    tcase_add_loop_test(c, test_a_large_event_is_refused_and_counted, 0, 2);
    tcase_add_loop_test(c, test_a_block_of_refused_events_is_settled, 0, 2);
    tcase_add_test(c, test_key_and_id_come_from_where_they_are_told);
    tcase_add_loop_test(c, test_time_is_read_and_what_cannot_be_is_refused, 0, 3);
    tcase_add_test(c, test_a_borrowed_block_with_overrides);
    suite_add_tcase(s, c);
    return testing_run(s);
}
