/* test_kafka_source.c: the source `kafka` by itself: its options, what becomes of records, credit, and memory. The
 * group is in campaign/kafka_source.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "kafka_kit.h"
#include "plug_kit.h"

#define SHORT_SESSION "properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }"

static const char *mock_with(int partitions)
{
    const char *brokers;
    rd_kafka_mock_topic_create(kafka_mock(1, &brokers), "t", partitions, 1);
    return brokers;
}

static struct plug *source_new(const char *brokers, const char *more)
{
    struct plug *plug = plug_new(PLUG_SOURCE, "kafka", "{ brokers: \"%s\", topics: t, %s }", brokers, more);
    ck_assert_msg(plug != NULL, "%s", plug_refusal());
    return plug;
}

static void numbers_put(const char *brokers, int count, size_t size)
{
    char *payload = calloc(1, size + 1);
    ck_assert_ptr_nonnull(payload);
    memset(payload, 'x', size);
    struct kafka_record *records = calloc((size_t)count, sizeof *records);
    ck_assert_ptr_nonnull(records);
    for (int i = 0; i < count; i++)
        records[i] = (struct kafka_record){.value = payload, .value_size = size};
    kafka_put(brokers, "t", records, (size_t)count);
    free(records);
    free(payload);
}

/* Options. */

START_TEST(test_refusals_say_why)
{
    static const struct {
        const char *options, *text;
    } wrong[] = {
        {"brokers: 'a b', topics: t", "\"a b\" is no broker; write HOST:PORT"},
        {"brokers: 'h:70000', topics: t", "is no broker"},
        {"brokers: h, topics: 'a b'", "is no topic"},
        {"brokers: h, topics: '^a['", "is no regular expression"},
        {"brokers: h, topics: t, start: yesterday", "expected earliest, latest or a time"},
        {"brokers: h, topics: t, start: '2026-01-31T08:00:00'", "expected earliest, latest or a time"},
        {"brokers: h, topics: t, drain: 5m", "must be shorter than properties.max.poll.interval.ms (300000 ms)"},
        {"brokers: h, topics: t, drain: 9s, properties: { session.timeout.ms: 9000, max.poll.interval.ms: 9000 }",
         "must be shorter"},
        {"brokers: h, topics: t, properties: { group.id: g }", "may not be set here: use `group`"},
        {"brokers: h, topics: t, properties: { enable.auto.commit: true }", "completed, not when it was read"},
        {"brokers: h, topics: t, properties: { enable.auto.offset.store: true }",
         "completed, not when it was read"},
        {"brokers: h, topics: t, properties: { auto.offset.reset: latest }", "use `start` and `out_of_range`"},
        {"brokers: h, topics: t, properties: { isolation.level: read_uncommitted }", "use `isolation`"},
        {"brokers: h, topics: t, properties: { partition.assignment.strategy: range }", "use `assignment`"},
        {"brokers: h, topics: t, properties: { offset.store.method: file }", "stored in the group"},
        {"brokers: h, topics: t, properties: { bootstrap.servers: h }", "use `brokers`"},
        {"brokers: h, topics: t, properties: { sasl.password: p }", "use `sasl.password`, which is not shown"},
        {"brokers: h, topics: t, properties: { plugin.library.paths: p }", "would load code into weir"},
        {"brokers: h, topics: t, properties: { no.such.property: 1 }", "librdkafka"},
        {"brokers: h, topics: t, properties: { session.timeout.ms: many }", "librdkafka"},
        {"brokers: h, topics: t, sasl: { username: u }", "needs `username` and `password`"},
        {"brokers: h, topics: t, sasl: { mechanism: OAUTHBEARER }", "OAUTHBEARER needs `token`"},
        {"brokers: h, topics: t, sasl: { username: u, password: p, token: x }", "only OAUTHBEARER takes one"},
        {"brokers: h, topics: t, tls: { cert: /c }", "belong together; key is missing"},
        {"brokers: h, topics: t, tls: { verify: false, server_name: n }", "means nothing with `verify: false`"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct plug *plug = plug_new(PLUG_SOURCE, "kafka", "{ %s }", wrong[i].options);
        ck_assert_msg(plug == NULL, "taken: %s", wrong[i].options);
        ck_assert_msg(strstr(plug_refusal(), wrong[i].text) != NULL, "%s: %s", wrong[i].options, plug_refusal());
    }
}
END_TEST

START_TEST(test_what_is_right_is_taken)
{
    static const char *const right[] = {
        "brokers: [ h, 'h:9093', '[::1]:9092' ], topics: [ t, '^a.*' ]",
        "brokers: h, topics: t, start: '2026-01-31T08:00:00.250Z'",
        "brokers: h, topics: t, start: '2026-01-31T08:00:00+01:00'",
        "brokers: h, topics: t, tls: true, sasl: { mechanism: SCRAM-SHA-256, username: u, password: p }",
        "brokers: h, topics: t, properties: { fetch.wait.max.ms: 10, queued.min.messages: 5 }",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct plug *plug = plug_new(PLUG_SOURCE, "kafka", "{ %s }", right[i]);
        ck_assert_msg(plug != NULL, "%s: %s", right[i], plug_refusal());
        plug_free(plug);
    }
}
END_TEST

/* Records. */

START_TEST(test_records_become_events)
{
    struct kafka *kafka = kafka_start(&(struct kafka_options){0});
    if (!kafka)
        return;
    kafka_topic(kafka_brokers(kafka), "t", 1);
    const struct kafka_record records[] = {
        {.key = "k", .value = "v", .time_ms = 1234567890123},
        {.value = "no key"},
        {.key = "", .value = ""},
        {.key = "tombstone"},
        {.key = "h",
         .value = "x",
         .header_count = 4,
         .headers = {{.name = "a", .value = "1"},
                     {.name = "a", .value = "2"},
                     {.name = "empty", .value = ""},
                     {.name = "absent"}}},
        {.key = "zero", .value = "a\0b", .value_size = 3},
    };
    kafka_put(kafka_brokers(kafka), "t", records, 6);
    struct plug *plug = source_new(kafka_brokers(kafka), "");
    plug->holds = true;
    int64_t before = plug->host.wall_us(&plug->host);
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 6));
    const struct plug_event *events = plug->events;
    for (size_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(events[i].position, i + 1);
        ck_assert_str_eq(events[i].subject, "t");
        ck_assert(events[i].id_absent);
    }
    ck_assert_int_eq(events[0].time_us, INT64_C(1234567890123000));
    ck_assert_int_gt(events[1].time_us, before - INT64_C(60000000));
    ck_assert_str_eq(events[0].key, "k");
    ck_assert_str_eq(events[0].payload, "v");
    ck_assert(events[1].key_absent && !events[1].payload_absent);
    ck_assert(!events[2].key_absent && !events[2].payload_absent && events[2].payload_size == 0);
    ck_assert(events[3].payload_absent && !events[3].key_absent);
    ck_assert_uint_eq(events[4].header_count, 4);
    ck_assert_str_eq(events[4].headers[0][0], "a");
    ck_assert_str_eq(events[4].headers[1][1], "2");
    ck_assert_uint_eq(events[3].header_count, 0);
    ck_assert_uint_eq(events[5].payload_size, 3);
    plug_release(plug);
    plug_free(plug);
    kafka_stop(kafka);
}
END_TEST

START_TEST(test_a_large_record)
{
    struct kafka *kafka = kafka_start(&(struct kafka_options){.more = {"message.max.bytes=20000000"}});
    if (!kafka)
        return;
    kafka_topic(kafka_brokers(kafka), "t", 1);
    numbers_put(kafka_brokers(kafka), 1, 10 << 20);
    struct plug *plug = source_new(kafka_brokers(kafka), "until: end");
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 1));
    ck_assert_uint_eq(plug->events[0].payload_size, 10 << 20);
    plug_free(plug);
    kafka_stop(kafka);
}
END_TEST

/* Offsets. */

static bool lag_is(struct plug *plug, size_t number)
{
    return (size_t)plug_stat(plug, "t/0 lag_events") == number && plug_stat(plug, "assigned_partitions") == 1;
}

static bool has_commits(struct plug *plug, size_t number)
{
    return (size_t)plug_stat(plug, "commits_total") >= number;
}

START_TEST(test_only_what_is_settled_is_committed)
{
    const char *brokers = mock_with(1);
    numbers_put(brokers, 100, 10);
    struct plug *plug = source_new(brokers, SHORT_SESSION);
    plug->settles = false;
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 100));
    ck_assert(plug_until(plug, lag_is, 100));
    ck_assert_int_eq(plug_stat(plug, "commits_total"), 0);
    plug_settle(plug);
    ck_assert(plug_until(plug, has_commits, 1));
    ck_assert(plug_until(plug, lag_is, 0));
    plug->settles = false;
    numbers_put(brokers, 50, 10);
    ck_assert(plug_until(plug, plug_has_events, 150));
    plug_abort(plug);
    plug = source_new(brokers, SHORT_SESSION);
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 50));
    ck_assert_uint_eq(plug->events[0].position, 101);
    plug_free(plug);
}
END_TEST

/* A window that the group does not know of is the most that is emitted, however fast it is completed. */
START_TEST(test_no_more_than_a_window_is_unknown_to_the_group)
{
    const char *brokers;
    rd_kafka_mock_cluster_t *mock = kafka_mock(1, &brokers);
    rd_kafka_mock_topic_create(mock, "t", 1, 1);
    numbers_put(brokers, 1000, 10);
    struct plug *plug = source_new(brokers, "");
    plug->settles = true;
    rd_kafka_resp_err_t refused[40];
    for (size_t i = 0; i < 40; i++)
        refused[i] = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    rd_kafka_mock_push_request_errors_array(mock, 8 /* OffsetCommit */, 40, refused);
    plug_start_dry(plug);
    plug_want(plug, 100, 1 << 20);
    ck_assert(plug_until(plug, plug_has_events, 100));
    plug_want(plug, 100, 1 << 20);
    ck_assert(plug_until_logged(plug, "give this user the right to read with the group"));
    ck_assert_uint_eq(plug->event_count, 100);
    rd_kafka_mock_clear_request_errors(mock, 8);
    ck_assert(plug_until(plug, plug_has_events, 200));
    plug_free(plug);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka source");
    TCase *options = tcase_create("options"), *records = tcase_create("records"),
          *offsets = tcase_create("offsets");
    tcase_add_test(options, test_refusals_say_why);
    tcase_add_test(options, test_what_is_right_is_taken);
    tcase_set_timeout(records, KAFKA_TEST_S);
    tcase_add_test(records, test_records_become_events);
    tcase_add_test(records, test_a_large_record);
    tcase_add_test(offsets, test_only_what_is_settled_is_committed);
    tcase_add_test(offsets, test_no_more_than_a_window_is_unknown_to_the_group);
    suite_add_tcase(suite, options);
    suite_add_tcase(suite, records);
    suite_add_tcase(suite, offsets);
    return testing_run(suite);
}
