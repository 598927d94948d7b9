/* test_mqtt_sink.c: the sink `mqtt`: what it publishes, when a write is answered, and with what; against a real
 * broker, and one that is played where a real one would not refuse, or not be silent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt_kit.h"

enum { PUBLISH = 3, QUIET_MS = 150, MANY = 400, CUTS = 5 };

static struct broker *broker_with(const char *more)
{
    return broker_start(&(struct broker_options){.more = more});
}

static struct plug *sink_at(int port, const char *more)
{
    struct plug *plug =
        plug_new(PLUG_SINK, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topic: \"t/{{key}}\", client_id: k%s%s }",
                 port, *more ? ", " : "", more);
    ck_assert_msg(plug != NULL, "%s", plug_refusal());
    plug_start(plug);
    return plug;
}

static weir_view view_of(const char *text)
{
    return (weir_view){text, text ? strlen(text) : 0};
}

static weir_event event_of(const char *key, const char *payload)
{
    static uint64_t position;
    return (weir_event){.key = view_of(key), .payload = view_of(payload), .position = ++position};
}

/* Numbers as payloads, of one key. */
static const weir_event *numbers(size_t from, size_t count)
{
    static char texts[MANY][8];
    static weir_event events[MANY];
    for (size_t i = from; i < from + count; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        events[i] = event_of("a", texts[i]);
    }
    return events + from;
}

static struct plug_write *answered(struct plug *plug, const weir_event *events, size_t count)
{
    size_t before = plug->answered;
    struct plug_write *write = plug_send(plug, events, count);
    ck_assert_msg(plug_until(plug, plug_has_answers, before + 1), "%s", plug->log ? plug->log : "");
    return write;
}

static void taken(struct plug *plug, const weir_event *events, size_t count)
{
    struct plug_write *write = answered(plug, events, count);
    ck_assert_msg(write->result == WEIR_OK, "%s", write->reason);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(write->results[i] <= WEIR_OK, "event %zu: %s", i, write->reasons[i]);
    free(write);
}

static struct wire *waited;

static bool has_published(struct plug *plug, size_t number)
{
    (void)plug;
    return waited->packets[PUBLISH] >= number;
}

static bool wire_has(struct plug *plug, struct wire *wire, size_t number)
{
    waited = wire;
    return plug_until(plug, has_published, number);
}

static bool has_attempts(struct plug *plug, size_t number)
{
    return plug_stat(plug, "connection_failures_total") >= (int64_t)number;
}

/* What is published. */

START_TEST(test_event_becomes_message)
{
    struct broker *broker = broker_with(NULL);
    if (!broker)
        return;
    struct peer *peer = peer_new(broker, "#");
    struct plug *plug = sink_at(broker_port(broker), "");
    const weir_header headers[] = {{{"unit", 4}, {"°C", 3}}, {{"unit", 4}, {"", 0}}};
    weir_event events[] = {event_of("a/b", "hello"), event_of("c", ""), event_of("d", NULL)};
    events[0].headers = headers;
    events[0].header_count = 2;
    taken(plug, events, 3);
    peer_wait(peer, 2);
    const struct peer_message *message = peer_wait(peer, 0);
    ck_assert_str_eq(message->topic, "t/a/b");
    ck_assert_str_eq(message->payload, "hello");
    ck_assert_uint_eq(message->header_count, 2);
    ck_assert_str_eq(message->headers[0][0], "unit");
    ck_assert_str_eq(message->headers[0][1], "°C");
    ck_assert_str_eq(message->headers[1][1], "");
    ck_assert_str_eq(peer_wait(peer, 1)->topic, "t/c");
    ck_assert_uint_eq(peer_wait(peer, 1)->size, 0);
    ck_assert_uint_eq(peer_wait(peer, 2)->size, 0);
    plug_free(plug);
    peer_free(peer);
}
END_TEST

START_TEST(test_version_3_publishes_too)
{
    struct broker *broker = broker_with(NULL);
    if (!broker)
        return;
    struct peer *peer = peer_new(broker, "#");
    struct plug *plug = sink_at(broker_port(broker), "version: 3.1.1");
    const weir_header header = {{"unit", 4}, {"K", 1}};
    weir_event event = event_of("a", "x");
    event.headers = &header;
    event.header_count = 1;
    taken(plug, &event, 1);
    ck_assert_str_eq(peer_wait(peer, 0)->payload, "x");
    ck_assert_uint_eq(peer_wait(peer, 0)->header_count, 0);
    plug_free(plug);
    peer_free(peer);
}
END_TEST

/* One who comes later gets what was kept, and then what is new. */
static void later_gets(const char *options, const char *first)
{
    struct broker *broker = broker_with(NULL);
    if (!broker)
        return;
    struct plug *plug = sink_at(broker_port(broker), options);
    weir_event event = event_of("a", "kept");
    taken(plug, &event, 1);
    struct peer *peer = peer_new(broker, "t/#");
    peer_publish(peer, "t/new", "new", 3, 1);
    const struct peer_message *message = peer_wait(peer, 0);
    ck_assert_str_eq(message->payload, first);
    ck_assert_int_eq(message->retain, strcmp(first, "kept") == 0);
    peer_free(peer);
    plug_free(plug);
}

START_TEST(test_retain)
{
    later_gets("retain: true", "kept");
}
END_TEST

START_TEST(test_no_retain)
{
    later_gets("", "new");
}
END_TEST

/* Answers. */

START_TEST(test_a_write_waits_for_its_acknowledgements)
{
    struct wire *wire = wire_new(0);
    wire->puback = -1;
    wire->puback_after = 3;
    struct plug *plug = sink_at(wire->port, "");
    struct plug_write *first = plug_send(plug, numbers(0, 3), 3), *second = plug_send(plug, numbers(3, 7), 7);
    ck_assert(wire_has(plug, wire, 10));
    plug_run(plug, QUIET_MS);
    ck_assert_int_eq(first->result, WEIR_OK);
    ck_assert_int_eq(second->result, -1);
    wire_cut(wire);
    ck_assert(plug_until(plug, plug_has_answers, 2));
    ck_assert_int_eq(second->result, WEIR_RETRY);
    free(first);
    free(second);
    plug_free(plug);
}
END_TEST

START_TEST(test_a_lost_connection_confirms_the_first_that_were_acknowledged)
{
    static const unsigned char fifth[] = {0x40, 3, 0, 5, 0};
    struct wire *wire = wire_new(0);
    wire->puback = -1;
    wire->puback_after = 3;
    struct plug *plug = sink_at(wire->port, "");
    struct plug_write *write = plug_send(plug, numbers(0, 10), 10);
    ck_assert(wire_has(plug, wire, 10));
    wire_raw(wire, fifth, sizeof fifth); /* what stands before it is open, so it comes again */
    plug_run(plug, QUIET_MS);
    wire_cut(wire);
    ck_assert(plug_until(plug, plug_has_answers, 1));
    ck_assert_int_eq(write->result, WEIR_RETRY);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(write->results[i], i < 3 ? WEIR_OK : -1);
    wire->puback = 0;
    taken(plug, numbers(3, 7), 7);
    ck_assert_uint_eq(wire->packets[PUBLISH], 17); /* the library sends nothing again by itself */
    free(write);
    plug_free(plug);
}
END_TEST

START_TEST(test_qos_0_is_confirmed_when_written)
{
    struct wire *wire = wire_new(0);
    wire->puback = -1;
    struct plug *plug = sink_at(wire->port, "qos: 0");
    taken(plug, numbers(0, 50), 50);
    ck_assert(wire_has(plug, wire, 50));
    plug_free(plug);
    ck_assert_ptr_null(
        plug_new(PLUG_SINK, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topic: a, qos: 2 }", wire->port));
    ck_assert_ptr_nonnull(strstr(plug_refusal(), "qos: 2 is not offered"));
}
END_TEST

START_TEST(test_what_the_broker_refuses_for_good_is_rejected)
{
    static const struct {
        int code;
        const char *reason;
    } codes[] = {
        {0x80, "gives no reason"},    {0x83, "reason of its own"}, {0x87, "not authorized"},
        {0x90, "topic name invalid"}, {0x95, "packet too large"},  {0x99, "payload format invalid"},
    };
    struct wire *wire = wire_new(0);
    wire->puback = codes[_i].code;
    wire->puback_after = 1;
    struct plug *plug = sink_at(wire->port, "");
    struct plug_write *write = answered(plug, numbers(0, 2), 2);
    ck_assert_int_eq(write->result, WEIR_OK);
    ck_assert_int_le(write->results[0], WEIR_OK);
    ck_assert_int_eq(write->results[1], WEIR_REJECT);
    ck_assert_msg(strstr(write->reasons[1], codes[_i].reason) != NULL, "%s", write->reasons[1]);
    ck_assert_uint_eq(wire->connections, 1);
    free(write);
    plug_free(plug);
}
END_TEST

/* 0x10: nobody has subscribed. */
START_TEST(test_no_matching_subscribers_is_no_refusal)
{
    struct wire *wire = wire_new(0);
    wire->puback = 0x10;
    struct plug *plug = sink_at(wire->port, "");
    taken(plug, numbers(0, 2), 2);
    plug_free(plug);
}
END_TEST

START_TEST(test_a_broker_without_room_is_asked_again)
{
    struct wire *wire = wire_new(0);
    wire->puback = _i ? 0x91 : 0x97;
    wire->puback_after = 2;
    struct plug *plug = sink_at(wire->port, "");
    struct plug_write *write = answered(plug, numbers(0, 5), 5);
    ck_assert_int_eq(write->result, WEIR_RETRY);
    ck_assert_msg(strstr(write->reason, _i ? "packet id in use" : "quota exceeded") != NULL, "%s", write->reason);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(write->results[i], i < 2 ? WEIR_OK : -1);
    wire->puback = 0;
    taken(plug, numbers(2, 3), 3);
    free(write);
    plug_free(plug);
}
END_TEST

START_TEST(test_what_can_never_pass_is_rejected_and_the_rest_goes_on)
{
    static const char nul[] = {'a', 0, 'b'};
    struct broker *broker = broker_with(NULL);
    if (!broker)
        return;
    char *large = malloc(70000);
    ck_assert_ptr_nonnull(large);
    memset(large, 'x', 69999);
    large[69999] = '\0';
    const weir_header bad = {{"h", 1}, {"\xff", 1}};
    weir_event events[] = {event_of("first", "1"), event_of("a+", "x"),   event_of("a/#", "x"),
                           event_of("\xff", "x"),  event_of("\x01", "x"), event_of(large, "x"),
                           event_of(NULL, "x"),    event_of("h", "x"),    {.key = {nul, sizeof nul}},
                           event_of("last", "2")};
    enum { COUNT = sizeof events / sizeof events[0] };
    events[7].headers = &bad;
    events[7].header_count = 1;
    struct peer *peer = peer_new(broker, "#");
    struct plug *plug = sink_at(broker_port(broker), "");
    struct plug_write *write = answered(plug, events, COUNT);
    ck_assert_msg(write->result == WEIR_OK, "%s", write->reason);
    for (size_t i = 1; i < COUNT - 1; i++)
        ck_assert_msg(write->results[i] == WEIR_REJECT && write->reasons[i][0], "event %zu", i);
    ck_assert_str_eq(peer_wait(peer, 1)->payload, "2");
    ck_assert_str_eq(peer_wait(peer, 0)->payload, "1");
    ck_assert_int_eq(plug_stat(plug, "connects_total"), 1);
    free(write);
    free(large);
    plug_free(plug);
    peer_free(peer);
}
END_TEST

/* The broker has said its limit, so nothing of it is sent, and the connection stays. */
START_TEST(test_larger_than_the_broker_allows)
{
    struct broker *broker = broker_with("max_packet_size 2000\n");
    if (!broker)
        return;
    static char large[5000];
    memset(large, 'x', sizeof large - 1);
    weir_event events[] = {event_of("a", "1"), event_of("a", large), event_of("a", "2")};
    struct peer *peer = peer_new(broker, "#");
    struct plug *plug = sink_at(broker_port(broker), "");
    struct plug_write *write = answered(plug, events, 3);
    ck_assert_msg(write->result == WEIR_OK, "%s\n%s", write->reason, plug->log);
    ck_assert_int_eq(write->results[1], WEIR_REJECT);
    ck_assert_msg(strstr(write->reasons[1], "too large") != NULL, "%s", write->reasons[1]);
    ck_assert_str_eq(peer_wait(peer, 1)->payload, "2");
    free(write);
    plug_free(plug);
    peer_free(peer);
}
END_TEST

/* A broker that is away. */

START_TEST(test_writes_of_a_broker_that_is_away_are_answered_and_told)
{
    struct wire *wire = wire_new(0);
    wire_stop(wire, true);
    struct plug *plug = sink_at(wire->port, "");
    for (size_t i = 0; i < 3; i++) {
        struct plug_write *write = answered(plug, numbers(0, 5), 5);
        ck_assert_int_eq(write->result, WEIR_RETRY);
        ck_assert_uint_gt(strlen(write->reason), 0);
        free(write);
    }
    ck_assert(plug_until(plug, has_attempts, 3));
    ck_assert_uint_eq(wire->packets[PUBLISH], 0);
    wire_stop(wire, false);
    taken(plug, numbers(0, 5), 5);
    plug_free(plug);
}
END_TEST

/* What the core does with the answers: writes again what is open, in order. */
static size_t answer_take(const struct plug_write *write, size_t from)
{
    size_t done = 0, count = write->write.batch.count;
    while (done < count && (write->result == WEIR_OK || write->results[done] == WEIR_OK))
        done++;
    return from + done;
}

START_TEST(test_all_come_in_order_though_the_connection_is_cut_again_and_again)
{
    struct broker *broker = broker_with(NULL);
    if (!broker)
        return;
    struct peer *peer = peer_new(broker, "t/#");
    struct wire *wire = wire_new(broker_port(broker));
    struct plug *plug = sink_at(wire->port, "");
    uint64_t random = testing_seed();
    size_t at = 0, cuts = 0;
    while (at < MANY) {
        size_t count = MANY - at < 40 ? MANY - at : 40, before = plug->answered;
        struct plug_write *write = plug_send(plug, numbers(at, count), count);
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (cuts < CUTS && wire_has(plug, wire, wire->packets[PUBLISH] + 1 + (random >> 60)) && ++cuts)
            wire_cut(wire);
        ck_assert(plug_until(plug, plug_has_answers, before + 1));
        at = answer_take(write, at);
        free(write);
    }
    ck_assert_uint_eq(cuts, CUTS);
    plug_free(plug);
    long next = 0;
    for (size_t i = 0; next < MANY; i++) {
        long number = strtol(peer_wait(peer, i)->payload, NULL, 10);
        ck_assert_msg(number <= next, "%ld came when %ld was next", number, next);
        next += number == next;
    }
    peer_free(peer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mqtt sink");
    TCase *messages = tcase_create("messages"), *answers = tcase_create("answers"), *away = tcase_create("away");
    tcase_add_test(messages, test_event_becomes_message);
    tcase_add_test(messages, test_version_3_publishes_too);
    tcase_add_test(messages, test_retain);
    tcase_add_test(messages, test_no_retain);
    tcase_add_test(answers, test_a_write_waits_for_its_acknowledgements);
    tcase_add_test(answers, test_a_lost_connection_confirms_the_first_that_were_acknowledged);
    tcase_add_test(answers, test_qos_0_is_confirmed_when_written);
    tcase_add_loop_test(answers, test_what_the_broker_refuses_for_good_is_rejected, 0, 6);
    tcase_add_test(answers, test_no_matching_subscribers_is_no_refusal);
    tcase_add_loop_test(answers, test_a_broker_without_room_is_asked_again, 0, 2);
    tcase_add_test(answers, test_what_can_never_pass_is_rejected_and_the_rest_goes_on);
    tcase_add_test(answers, test_larger_than_the_broker_allows);
    tcase_add_test(away, test_writes_of_a_broker_that_is_away_are_answered_and_told);
    tcase_add_test(away, test_all_come_in_order_though_the_connection_is_cut_again_and_again);
    suite_add_tcase(suite, messages);
    suite_add_tcase(suite, answers);
    suite_add_tcase(suite, away);
    return testing_run(suite);
}
