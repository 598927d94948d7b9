/* test_mqtt_source.c: the source `mqtt` against a real broker, and against one that is played where a real one
 * would not do what is to be seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mqtt_kit.h"

enum { CONNECT = 1, PUBACK = 4, SUBSCRIBE = 8, PINGREQ = 12, DISCONNECT = 14 };

static struct broker *plain(void)
{
    return broker_start(&(struct broker_options){0});
}

static struct plug *source_at(int port, const char *more)
{
    struct plug *plug = plug_new(
        PLUG_SOURCE, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topics: [ \"a/#\" ], client_id: s, %s }", port, more);
    ck_assert_msg(plug != NULL, "%s", plug_refusal());
    plug_start(plug);
    return plug;
}

static struct plug *source_ready(int port, const char *more)
{
    struct plug *plug = source_at(port, more);
    ck_assert_msg(plug_until(plug, plug_is_subscribed, 1), "%s", plug->log);
    return plug;
}

START_TEST(test_message_becomes_event)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    int64_t before = plug->host.wall_us(&plug->host);
    peer_publish(peer, "a/b", "hello", 5, 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    const struct plug_event *event = &plug->events[0];
    ck_assert_str_eq(event->payload, "hello");
    ck_assert_str_eq(event->key, "a/b");
    ck_assert_str_eq(event->subject, "a/b");
    ck_assert(event->id_absent);
    ck_assert_uint_eq(event->header_count, 0);
    ck_assert_int_ge(event->time_us, before - 1000000);
    ck_assert_int_le(event->time_us, plug->host.wall_us(&plug->host));
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_empty_payload_is_not_absent)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    peer_publish(peer, "a/b", "", 0, 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    ck_assert_uint_eq(plug->events[0].payload_size, 0);
    ck_assert(!plug->events[0].payload_absent);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_large_payload)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    size_t size = 20 << 20;
    char *payload = malloc(size);
    ck_assert_ptr_nonnull(payload);
    for (size_t i = 0; i < size; i++)
        payload[i] = (char)(i * 31 >> 3);
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    peer_publish(peer, "a/b", payload, size, 1);
    peer_publish(peer, "a/c", "small", 5, 1);
    ck_assert(plug_until(plug, plug_has_events, 2));
    ck_assert_uint_eq(plug->events[0].payload_size, size);
    ck_assert_mem_eq(plug->events[0].payload, payload, size);
    ck_assert_str_eq(plug->events[1].payload, "small");
    free(payload);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_user_properties_become_headers)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    static const char *const headers[][2] = {{"unit", "°C"}, {"unit", "K"}, {"empty", ""}};
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    peer_publish(peer, "a/none", "x", 1, 1);
    peer_publish_with(peer, "a/b", headers, 3);
    ck_assert(plug_until(plug, plug_has_events, 2));
    ck_assert_uint_eq(plug->events[0].header_count, 0);
    ck_assert_uint_eq(plug->events[1].header_count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(plug->events[1].headers[i][0], headers[i][0]);
        ck_assert_str_eq(plug->events[1].headers[i][1], headers[i][1]);
    }
    peer_free(peer);
    plug_free(plug);
}
END_TEST

/* libmosquitto ends the connection; the message is not taken as something else. */
START_TEST(test_bad_user_property_is_no_event)
{
    static const unsigned char bad[] = {0x32, 14, 0, 3, 'a', '/', 'b', 0, 9, 6, 38, 0, 1, 0xff, 0, 0};
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "");
    wire_raw(wire, bad, sizeof bad);
    ck_assert(plug_until(plug, plug_is_connected, 2));
    ck_assert_uint_eq(plug->event_count, 0);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    plug_free(plug);
}
END_TEST

/* The heart of it: no acknowledgement leaves before the block is settled, and then all of them do. */
START_TEST(test_acknowledges_after_settle)
{
    const char *version = _i ? "version: 3.1.1" : "version: 5";
    struct broker *broker = plain();
    if (!broker)
        return;
    struct wire *wire = wire_new(broker_port(broker));
    struct plug *plug = source_ready(wire->port, version);
    plug->settles = false;
    struct peer *peer = peer_new(broker, NULL);
    peer_many(peer, "a/b", 10);
    ck_assert(plug_until(plug, plug_has_emits, 1));
    plug_run(plug, 300);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    ck_assert_uint_eq(plug->emit_count, 1);
    while (plug->event_count < 10 || plug->unsettled) {
        size_t settled = plug->event_count, emits = plug->emit_count;
        plug_settle(plug);
        plug_run(plug, 20);
        ck_assert_uint_eq(wire->packets[PUBACK], settled);
        if (settled < 10)
            ck_assert(plug_until(plug, plug_has_emits, emits + 1));
    }
    ck_assert_uint_eq(wire->packets[PUBACK], 10);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_refused_is_acknowledged)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "");
    plug->settles = false;
    wire_publish(wire, "a/b", "x", 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    plug->unsettled = 0;
    plug->source->settle(plug->state, (weir_shard *)(void *)plug, 0, 0, WEIR_REFUSED);
    plug_run(plug, 50);
    ck_assert_uint_eq(wire->packets[PUBACK], 1);
    plug_free(plug);
}
END_TEST

/* Nothing else may be written while acknowledgements are held: a ping would take them along. */
START_TEST(test_no_ping_while_held)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "keep_alive: 5s");
    plug->settles = false;
    wire_publish(wire, "a/b", "x", 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    plug_run(plug, (int)(6500 / testing_slow()));
    ck_assert_uint_eq(wire->packets[PINGREQ], 0);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    plug_settle(plug);
    plug_run(plug, 300);
    ck_assert_uint_eq(wire->packets[PUBACK], 1);
    plug_free(plug);
}
END_TEST

START_TEST(test_long_hold_alarms)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "");
    plug->settles = false;
    wire_publish(wire, "a/b", "x", 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    ck_assert(!plug_logged(plug, "acknowledgements are held"));
    ck_assert(plug_until_logged(plug, "acknowledgements are held for 10 s"));
    ck_assert_int_eq(plug_stat(plug, "held_long_total"), 1);
    plug_free(plug);
}
END_TEST

START_TEST(test_kill_without_settle_redelivers)
{
    const char *version = _i ? "version: 3.1.1" : "version: 5";
    struct broker *broker = plain();
    if (!broker)
        return;
    struct wire *wire = wire_new(broker_port(broker));
    struct plug *plug = source_ready(wire->port, version);
    plug->settles = false;
    struct peer *peer = peer_new(broker, NULL);
    peer_many(peer, "a/b", 5);
    ck_assert(plug_until(plug, plug_has_events, 1));
    size_t held = plug->event_count;
    plug_abort(plug);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    ck_assert_uint_eq(wire->duplicates, 0);
    plug = source_at(wire->port, version);
    ck_assert(plug_until(plug, plug_has_events, 5));
    ck_assert_uint_ge(wire->duplicates, held);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(atoi(plug->events[i].payload), (int)i);
    ck_assert_int_eq(plug_stat(plug, "sessions_resumed_total"), 1);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_session_keeps_messages_while_away)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    plug_free(source_ready(broker_port(broker), ""));
    struct peer *peer = peer_new(broker, NULL);
    peer_many(peer, "a/b", 2500);
    struct plug *plug = source_at(broker_port(broker), "");
    ck_assert(plug_until(plug, plug_has_events, 2500));
    for (size_t i = 0; i < 2500; i++)
        ck_assert_int_eq(atoi(plug->events[i].payload), (int)i);
    ck_assert_uint_le(plug->emit_largest, 1000);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

/* A stop waits for the broker's end, so nothing that was settled comes again, though more was on its way to us. */
START_TEST(test_stop_loses_no_acknowledgement)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "receive_maximum: 50");
    struct peer *peer = peer_new(broker, NULL);
    plug->source->want(plug->state, 200, 1 << 20);
    peer_many(peer, "a/b", 400);
    ck_assert(plug_until(plug, plug_has_events, 200));
    plug_free(plug);
    plug = source_ready(broker_port(broker), "");
    ck_assert(plug_until(plug, plug_has_events, 200));
    plug_run(plug, 100);
    ck_assert_uint_eq(plug->event_count, 200);
    for (size_t i = 0; i < 200; i++)
        ck_assert_int_eq(atoi(plug->events[i].payload), (int)i + 200);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_says_goodbye)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "");
    plug_stop(plug);
    ck_assert_uint_eq(wire->packets[DISCONNECT], 1);
    plug_abort(plug);
}
END_TEST

START_TEST(test_credit_bounds_reading)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    plug->source->want(plug->state, 7, 1 << 20);
    peer_many(peer, "a/b", 100);
    ck_assert(plug_until(plug, plug_has_events, 7));
    plug_run(plug, 200);
    ck_assert_uint_eq(plug->event_count, 7);
    plug->source->want(plug->state, 1000, 30); /* bytes: a message is 6 and its payload */
    ck_assert(plug_until(plug, plug_has_events, 8));
    plug_run(plug, 200);
    ck_assert_uint_lt(plug->event_count, 20);
    plug->source->want(plug->state, 1000, 1 << 20);
    ck_assert(plug_until(plug, plug_has_events, 100));
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_pings_without_credit_then_parks)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_ready(wire->port, "keep_alive: 5s");
    plug->source->want(plug->state, 0, 0);
    wire_publish(wire, "a/b", "x", 1);
    ck_assert(plug_until_logged(plug, "no room for more events"));
    ck_assert_uint_eq(wire->packets[PINGREQ], 1);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    plug_run(plug, 300);
    ck_assert_uint_eq(wire->connections, 1);
    plug->source->want(plug->state, 10, 1000);
    ck_assert(plug_until(plug, plug_is_connected, 2));
    plug_free(plug);
}
END_TEST

START_TEST(test_emit_error_gives_messages_back)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "");
    struct peer *peer = peer_new(broker, NULL);
    plug->emit_result = WEIR_NOMEM;
    peer_publish(peer, "a/b", "x", 1, 1);
    ck_assert(plug_until_logged(plug, "they come again"));
    ck_assert_uint_eq(plug->event_count, 0);
    plug->emit_result = WEIR_OK;
    ck_assert(plug_until(plug, plug_has_events, 1));
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_connects_without_credit_not)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = plug_new(PLUG_SOURCE, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topics: a }", wire->port);
    ck_assert_ptr_nonnull(plug);
    ck_assert_int_eq(plug->source->start(plug->state), WEIR_OK);
    plug_run(plug, 200);
    ck_assert_uint_eq(wire->connections, 0);
    plug->source->want(plug->state, 1, 1000);
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    plug_stop(plug);
    plug_abort(plug);
}
END_TEST

/* Options that show only in what comes. */

START_TEST(test_retained)
{
    static const struct {
        const char *options, *first;
        int ignored;
    } cases[] = {{"", "old", 0},
                 {"retained: accept, version: 3.1.1", "old", 0},
                 {"retained: ignore", "new", 0},                  /* the broker does not send it */
                 {"retained: ignore, version: 3.1.1", "new", 1}}; /* it is thrown away here */
    struct broker *broker = plain();
    if (!broker)
        return;
    struct wire *wire = wire_new(broker_port(broker));
    struct peer *peer = peer_new(broker, NULL);
    peer_retain(peer, "a/b", "old");
    struct plug *plug = source_ready(wire->port, cases[_i].options);
    peer_publish(peer, "a/c", "new", 3, 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    ck_assert_str_eq(plug->events[0].payload, cases[_i].first);
    if (strcmp(cases[_i].first, "old") == 0)
        ck_assert(plug_until(plug, plug_has_events, 2));
    plug_run(plug, 50);
    ck_assert_int_eq(plug_stat(plug, "retained_ignored_total"), cases[_i].ignored);
    ck_assert_uint_eq(wire->packets[PUBACK], plug->event_count + (size_t)cases[_i].ignored);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_qos)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct wire *wire = wire_new(broker_port(broker));
    struct plug *plug = source_ready(wire->port, "qos: 0");
    struct peer *peer = peer_new(broker, NULL);
    peer_publish(peer, "a/b", "x", 1, 1);
    ck_assert(plug_until(plug, plug_has_events, 1));
    plug_run(plug, 50);
    ck_assert_uint_eq(wire->packets[PUBACK], 0);
    plug_free(plug);
    ck_assert_ptr_null(plug_new(PLUG_SOURCE, "mqtt", "{ url: \"mqtt://h\", topics: a, qos: 2 }"));
    ck_assert_ptr_nonnull(strstr(plug_refusal(), "qos: 2 would be no safer than 1"));
    peer_free(peer);
}
END_TEST

/* The broker keeps to it, or oversteps it to twice as many (mosquitto 2.0.11). */
START_TEST(test_receive_maximum)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug = source_ready(broker_port(broker), "receive_maximum: 5");
    plug->settles = false;
    struct peer *peer = peer_new(broker, NULL);
    peer_many(peer, "a/b", 100);
    for (size_t emits = 1; plug->event_count < 100; emits++) {
        ck_assert(plug_until(plug, plug_has_emits, emits));
        plug_run(plug, 20);
        ck_assert_uint_eq(plug->emit_count, emits);
        plug_settle(plug);
    }
    ck_assert_uint_le(plug->emit_largest, 5);
    peer_free(peer);
    plug_free(plug);
}
END_TEST

START_TEST(test_topics)
{
    struct broker *broker = plain();
    if (!broker)
        return;
    struct plug *plug =
        plug_new(PLUG_SOURCE, "mqtt", "{ url: \"%s\", topics: [ one, \"two/+/x\" ] }", broker_url(broker));
    ck_assert_ptr_nonnull(plug);
    plug_start(plug);
    ck_assert(plug_until(plug, plug_is_subscribed, 2));
    struct peer *peer = peer_new(broker, NULL);
    peer_publish(peer, "three", "no", 2, 1);
    peer_publish(peer, "two/a/b/x", "no", 2, 1);
    peer_publish(peer, "one", "1", 1, 1);
    peer_publish(peer, "two/a/x", "2", 1, 1);
    ck_assert(plug_until(plug, plug_has_events, 2));
    ck_assert_str_eq(plug->events[0].payload, "1");
    ck_assert_str_eq(plug->events[1].payload, "2");
    plug_free(plug);
    for (size_t i = 0; i < 3; i++) {
        static const char *const bad[] = {"a#", "a/#/b", "\"\""};
        ck_assert_ptr_null(plug_new(PLUG_SOURCE, "mqtt", "{ url: \"mqtt://h\", topics: [ ok, %s ] }", bad[i]));
        ck_assert_ptr_nonnull(strstr(plug_refusal(), "is no topic filter"));
    }
    peer_free(peer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mqtt source");
    TCase *events = tcase_create("events"), *acks = tcase_create("acknowledgements");
    tcase_add_test(events, test_message_becomes_event);
    tcase_add_test(events, test_empty_payload_is_not_absent);
    tcase_add_test(events, test_large_payload);
    tcase_add_test(events, test_user_properties_become_headers);
    tcase_add_test(events, test_bad_user_property_is_no_event);
    tcase_add_loop_test(acks, test_acknowledges_after_settle, 0, 2);
    tcase_add_test(acks, test_refused_is_acknowledged);
    tcase_add_test(acks, test_no_ping_while_held);
    tcase_add_test(acks, test_long_hold_alarms);
    tcase_add_loop_test(acks, test_kill_without_settle_redelivers, 0, 2);
    tcase_add_test(acks, test_session_keeps_messages_while_away);
    tcase_add_test(acks, test_stop_loses_no_acknowledgement);
    tcase_add_test(acks, test_stop_says_goodbye);
    tcase_add_test(acks, test_credit_bounds_reading);
    tcase_add_test(acks, test_pings_without_credit_then_parks);
    tcase_add_test(acks, test_emit_error_gives_messages_back);
    tcase_add_test(acks, test_connects_without_credit_not);
    TCase *options = tcase_create("options");
    tcase_add_loop_test(options, test_retained, 0, 4);
    tcase_add_test(options, test_qos);
    tcase_add_test(options, test_receive_maximum);
    tcase_add_test(options, test_topics);
    suite_add_tcase(suite, options);
    suite_add_tcase(suite, events);
    suite_add_tcase(suite, acks);
    return testing_run(suite);
}
