/* test_mqtt_run.c: the source `mqtt` with a real broker: when acknowledgements leave, what comes again, sessions,
 * options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqtt_run_kit.h"

static const char *const versions[] = {"version: 5", "version: 3.1.1"};

static struct broker *plain_broker(void)
{
    return broker_start(&(struct broker_options){0});
}

/* What a commit waits at. */

struct gate {
    char file[4096], waiting[4096];
};

static void gate_make(struct gate *gate)
{
    const char *folder = testing_folder(), *asan = getenv("ASAN_OPTIONS");
    char options[500];
    snprintf(gate->file, sizeof gate->file, "%s", testing_path(folder, "gate"));
    snprintf(gate->waiting, sizeof gate->waiting, "%s", testing_path(folder, "gate.waiting"));
    snprintf(options, sizeof options, "%s:verify_asan_link_order=0", asan ? asan : "");
    setenv("ASAN_OPTIONS", options, 1);
    setenv("WEIR_TEST_GATE", gate->file, 1);
}

static void gated_start(struct weir *weir, const char *yaml)
{
    setenv("LD_PRELOAD", testing_module("slow_sync"), 1);
    daemon_start(weir, yaml);
    unsetenv("LD_PRELOAD");
}

static bool file_there(void *arg)
{
    return access(arg, F_OK) == 0;
}

static bool at_once(void *arg)
{
    (void)arg;
    return true;
}

START_TEST(acknowledges_only_what_is_committed)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct gate gate;
    gate_make(&gate);
    struct relay *relay = relay_start(broker_port(broker));
    struct weir *weir = daemon_new();
    gated_start(weir, weir_to_file(relay_port(relay), versions[_i]));
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);

    testing_write(gate.file, "");
    client_publish(client, "in/a", "one");
    relay_wait(relay, FROM_BROKER, PACKET_PUBLISH, 1);
    kit_wait(file_there, (void *)(uintptr_t)gate.waiting, "a commit that waits");
    client_publish(client, "in/a", "two");
    relay_wait(relay, FROM_BROKER, PACKET_PUBLISH, 2);
    kit_wait(at_once, NULL, "a turn");
    ck_assert_uint_eq(relay_count(relay, FROM_WEIR, PACKET_PUBACK), 0);
    ck_assert_uint_eq(weir_lines(weir, NULL), 0);
    int64_t opened = kit_now_us();
    unlink(gate.file);

    relay_wait(relay, FROM_WEIR, PACKET_PUBACK, 2);
    ck_assert_int_gt(relay_packet(relay, FROM_WEIR, PACKET_PUBACK, 0)->seen_us, opened);
    weir_wait_lines(weir, 2);
    ck_assert_uint_eq(weir_lines(weir, "one"), 1);
    ck_assert_uint_eq(weir_lines(weir, "two"), 1);
}
END_TEST

/* Both begin with the packet id, after the topic in a PUBLISH. */
static unsigned packet_id(const struct packet *packet)
{
    const unsigned char *at = packet->bytes + packet->body;
    if (packet->type == PACKET_PUBLISH)
        at += 2 + ((unsigned)at[0] << 8 | at[1]);
    return (unsigned)at[0] << 8 | at[1];
}

START_TEST(what_is_acknowledged_survives_kill)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct relay *relay = relay_start(broker_port(broker));
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(relay_port(relay), versions[_i]));
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);
    client_publish_many(client, "in/a", 0, 300);
    relay_wait(relay, FROM_WEIR, PACKET_PUBACK, 1);
    weir_kill(weir);

    size_t acknowledged = relay_count(relay, FROM_WEIR, PACKET_PUBACK);
    relay_cut(relay);
    broker_stop(broker); /* what is not stored cannot come from anywhere */
    weir_again(weir);
    for (size_t i = 0; i < acknowledged; i++) {
        unsigned id = packet_id(relay_packet(relay, FROM_WEIR, PACKET_PUBACK, i));
        ck_assert_uint_eq(packet_id(relay_packet(relay, FROM_BROKER, PACKET_PUBLISH, i)), id);
    }
    weir_wait_lines(weir, acknowledged);
    for (size_t i = 0; i < acknowledged; i++) {
        char line[24];
        snprintf(line, sizeof line, "%zu", i);
        ck_assert_uint_ge(weir_lines(weir, line), 1);
    }
}
END_TEST

struct relay_wait {
    const struct relay *relay;
    size_t count;
};

struct copies {
    const struct weir *weir;
    char line[24];
};

/* Twice from the broker; and perhaps once more from the journal, when weir was killed before its checkpoint. */
static bool came_twice(void *arg)
{
    const struct copies *copies = arg;
    return weir_lines(copies->weir, copies->line) >= 2;
}

static bool all_came(void *arg)
{
    const struct relay_wait *wait = arg;
    return relay_count(wait->relay, FROM_BROKER, PACKET_PUBLISH) >= wait->count;
}

START_TEST(what_is_not_acknowledged_comes_again)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct relay *relay = relay_start(broker_port(broker));
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(relay_port(relay), versions[_i]));
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);
    relay_hold(relay, true);
    client_publish_many(client, "in/a", 0, 15);
    weir_wait_lines(weir, 15);
    weir_kill(weir);
    relay_cut(relay);
    relay_hold(relay, false);

    size_t before = relay_count(relay, FROM_BROKER, PACKET_PUBLISH);
    weir_again(weir);
    struct relay_wait wait = {relay, before + 15};
    kit_wait(all_came, &wait, "all from the broker");
    for (size_t i = 0; i < 15; i++) {
        struct copies copies = {.weir = weir};
        snprintf(copies.line, sizeof copies.line, "%zu", i);
        kit_wait(came_twice, &copies, "a message that was not acknowledged");
        ck_assert_int_ne(relay_packet(relay, FROM_BROKER, PACKET_PUBLISH, before + i)->flags & 8, 0); /* DUP */
    }
}
END_TEST

START_TEST(killed_before_the_commit_loses_nothing)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct gate gate;
    gate_make(&gate);
    struct weir *weir = daemon_new();
    gated_start(weir, weir_to_file(broker_port(broker), versions[_i]));
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);
    testing_write(gate.file, "");
    client_publish_many(client, "in/a", 0, 15);
    kit_wait(file_there, (void *)(uintptr_t)gate.waiting, "a commit that waits");
    weir_kill(weir);
    ck_assert_uint_eq(weir_lines(weir, NULL), 0);

    weir_again(weir);
    weir_wait_lines(weir, 15);
    ck_assert_uint_eq(weir_lines(weir, "0"), 1);
    ck_assert_uint_eq(weir_lines(weir, "14"), 1);
}
END_TEST

START_TEST(the_session_goes_on_after_a_restart)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), versions[_i]));
    weir_ready(weir);
    ck_assert_int_eq(daemon_stop(weir), 0);
    struct client *client = client_start(broker, NULL, NULL);
    client_publish_many(client, "in/a", 0, 5);
    weir_again(weir);
    weir_says(weir, "session resumed");
    weir_wait_lines(weir, 5);
    ck_assert_int_eq(daemon_stop(weir), 0);
    ck_assert_uint_eq(weir_lines(weir, NULL), 5);
}
END_TEST

START_TEST(waits_for_a_broker_that_is_down)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    broker_stop(broker);
    daemon_start(weir, weir_to_file(broker_port(broker), NULL));
    weir_says(weir, "start the broker");
    broker_resume(broker);
    weir_ready(weir);
    client_publish(client_start(broker, NULL, NULL), "in/a", "late");
    weir_wait_lines(weir, 1);
}
END_TEST

START_TEST(comes_back_after_the_broker_was_killed)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), NULL));
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);
    client_publish(client, "in/a", "before");
    weir_wait_lines(weir, 1);
    broker_kill(broker);
    weir_says(weir, "lost the connection");
    broker_resume(broker);
    weir_says(weir, "connected to");
    client_publish(client_start(broker, NULL, NULL), "in/a", "after");
    weir_wait_lines(weir, 2);
    ck_assert_uint_eq(weir_lines(weir, "after"), 1);
}
END_TEST

START_TEST(says_that_the_broker_forgot_the_session)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), NULL));
    weir_ready(weir);
    broker_kill(broker);
    unlink(testing_path(broker_folder(broker), "mosquitto.db"));
    broker_resume(broker);
    weir_says(weir, "has forgotten the session");
    weir_ready(weir);
    client_publish(client_start(broker, NULL, NULL), "in/a", "new");
    weir_wait_lines(weir, 1);
}
END_TEST

START_TEST(says_after_a_restart_that_the_broker_forgot_the_session)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), versions[_i]));
    weir_ready(weir);
    ck_assert(!weir_said(weir, "has forgotten the session")); /* there was none yet */
    client_publish(client_start(broker, NULL, NULL), "in/a", "one");
    weir_wait_lines(weir, 1);
    ck_assert_int_eq(daemon_stop(weir), 0);
    weir_again(weir);
    weir_ready(weir);
    ck_assert(!weir_said(weir, "has forgotten the session"));
    ck_assert_int_eq(daemon_stop(weir), 0);
    broker_kill(broker);
    unlink(testing_path(broker_folder(broker), "mosquitto.db"));
    broker_resume(broker);
    weir_again(weir);
    weir_says(weir, "has forgotten the session");
    weir_ready(weir);
}
END_TEST

START_TEST(messages_become_events)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    char yaml[1000];
    snprintf(yaml, sizeof yaml,
             "sources:\n  in: { type: mqtt, url: \"%s\", topics: [ \"in/#\", other ] }\n"
             "sinks:\n  out: { type: file, path: \"./{{headers.h|none}}-{{key}}-{{subject}}.txt\" }\n"
             "routes:\n  - { name: r, from: [ in ], to: out }\n",
             broker_url(broker));
    daemon_start(weir, yaml);
    weir_ready(weir);
    struct client *client = client_start(broker, NULL, NULL);
    client_send(client, &(struct publication){.topic = "other", .qos = 2, .header = "h", .value = "v"});
    client_send(client, &(struct publication){.topic = "in/x", .payload = "p", .qos = 0});
    kit_wait(file_there, (void *)(uintptr_t)testing_path(weir->folder, "v-other-other.txt"), "the header");
    kit_wait(file_there, (void *)(uintptr_t)testing_path(weir->folder, "none-in/x-in/x.txt"), "the topic");
    ck_assert_int_eq(daemon_stop(weir), 0);
    char *empty = testing_read(testing_path(weir->folder, "v-other-other.txt"));
    char *text = testing_read(testing_path(weir->folder, "none-in/x-in/x.txt"));
    ck_assert_str_eq(empty, "\n"); /* a payload of no bytes is an event */
    ck_assert_str_eq(text, "p\n");
    free(empty);
    free(text);
}
END_TEST

START_TEST(a_thousand_and_more_arrive_in_order)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), "receive_maximum: 7"));
    weir_ready(weir);
    client_publish_many(client_start(broker, NULL, NULL), "in/a", 0, 3000);
    weir_wait_lines(weir, 3000);
    char *text = testing_read(weir->file), *at = text;
    for (unsigned long i = 0; i < 3000; i++)
        ck_assert_uint_eq(strtoul(at, &at, 10), i);
    free(text);
}
END_TEST

/* Refusals. */

static size_t refused;

static void refuse_first(struct packet *packet)
{
    if (packet->side == FROM_BROKER && packet->type == PACKET_SUBACK && refused++ == 0)
        packet->bytes[packet->size - 1] = 0x87;
}

START_TEST(a_refused_subscription_is_told_and_the_others_go_on)
{
    struct broker *broker = plain_broker();
    if (!broker)
        return;
    struct relay *relay = relay_start(broker_port(broker));
    struct weir *weir = daemon_new();
    char yaml[1000];
    relay_change(relay, refuse_first);
    snprintf(yaml, sizeof yaml,
             "sources:\n  in: { type: mqtt, url: \"mqtt://127.0.0.1:%d\", topics: [ secret, open ] }\n"
             "sinks:\n  out: { type: file, path: ./out.txt }\n"
             "routes:\n  - { name: r, from: [ in ], to: out }\n",
             relay_port(relay));
    daemon_start(weir, yaml);
    weir_says(weir, "refuses the subscription to secret: not authorized");
    weir_says(weir, "subscribed to open");
    client_publish(client_start(broker, NULL, NULL), "open", "yes");
    weir_wait_lines(weir, 1);
}
END_TEST

START_TEST(a_wrong_password_is_told)
{
    struct broker *broker = broker_start(&(struct broker_options){.password = true});
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    daemon_start(weir, weir_to_file(broker_port(broker), "username: weir, password: wrong"));
    weir_says(weir, "correct username and password");
    ck_assert(!weir_said(weir, "wrong"));
    weir_kill(weir);
    daemon_start(weir, weir_to_file(broker_port(broker), "username: weir, password: secret"));
    weir_ready(weir);
}
END_TEST

START_TEST(the_login_may_be_in_the_url)
{
    struct broker *broker = broker_start(&(struct broker_options){.password = true});
    if (!broker)
        return;
    struct weir *weir = daemon_new();
    char yaml[1000];
    snprintf(yaml, sizeof yaml,
             "sources:\n  in: { type: mqtt, url: \"mqtt://weir:s%%65cret@127.0.0.1:%d\", topics: in }\n"
             "sinks:\n  out: { type: file, path: ./out.txt }\n"
             "routes:\n  - { name: r, from: [ in ], to: out }\n",
             broker_port(broker));
    daemon_start(weir, yaml);
    weir_ready(weir);
    ck_assert(!weir_said(weir, "s%65cret"));
}
END_TEST

static void add_cases(Suite *s)
{
    TCase *c = tcase_create("delivery");
    tcase_add_loop_test(c, acknowledges_only_what_is_committed, 0, 2);
    tcase_add_loop_test(c, what_is_acknowledged_survives_kill, 0, 2);
    tcase_add_loop_test(c, what_is_not_acknowledged_comes_again, 0, 2);
    tcase_add_loop_test(c, killed_before_the_commit_loses_nothing, 0, 2);
    tcase_add_test(c, messages_become_events);
    tcase_add_test(c, a_thousand_and_more_arrive_in_order);
    suite_add_tcase(s, c);
    c = tcase_create("connection");
    tcase_add_loop_test(c, the_session_goes_on_after_a_restart, 0, 2);
    tcase_add_test(c, waits_for_a_broker_that_is_down);
    tcase_add_test(c, comes_back_after_the_broker_was_killed);
    tcase_add_test(c, says_that_the_broker_forgot_the_session);
    tcase_add_loop_test(c, says_after_a_restart_that_the_broker_forgot_the_session, 0, 2);
    suite_add_tcase(s, c);
    c = tcase_create("refusals");
    tcase_add_test(c, a_refused_subscription_is_told_and_the_others_go_on);
    tcase_add_test(c, a_wrong_password_is_told);
    tcase_add_test(c, the_login_may_be_in_the_url);
    suite_add_tcase(s, c);
}

int main(void)
{
    Suite *s = suite_create("mqtt");
    add_cases(s);
    return testing_run(s);
}
