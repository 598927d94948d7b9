/* test_mqtt_connection.c: connections of the module `mqtt`: login, TLS, loss, and every reason in words. The source
 * stands for both, where the code is the same. */
#include "mqtt_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT = 1, PUBACK = 4, SUBSCRIBE = 8, PINGREQ = 12 };

static struct plug *source(const char *url, const char *more)
{
    struct plug *plug = plug_new(PLUG_SOURCE, "mqtt", "{ url: \"%s\", topics: [ \"a/#\" ], client_id: s%s%s }", url,
                                 *more ? ", " : "", more);
    ck_assert_msg(plug != NULL, "%s", plug_refusal());
    plug_start(plug);
    return plug;
}

static struct plug *source_at(int port, const char *more)
{
    char url[64];
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", port);
    return source(url, more);
}

static void works(struct plug *plug)
{
    ck_assert_msg(plug_until(plug, plug_is_subscribed, 1), "%s", plug->log);
    plug_free(plug);
}

static void fails(struct plug *plug, const char *reason)
{
    ck_assert(plug_until_logged(plug, reason));
    ck_assert_int_eq(plug_stat(plug, "connects_total"), 0);
    plug_free(plug);
}

static void refuses(enum plug_sort sort, const char *options, const char *reason)
{
    ck_assert_msg(plug_new(sort, "mqtt", "%s", options) == NULL, "%s was taken", options);
    ck_assert_msg(strstr(plug_refusal(), reason) != NULL, "%s: %s", options, plug_refusal());
}

static const char *in_folder(const struct broker *broker, const char *name)
{
    return testing_path(broker_folder(broker), name);
}

/* Login. */

START_TEST(test_user_and_password)
{
    struct broker *broker = broker_start(&(struct broker_options){.password = true});
    char url[100];
    if (!broker)
        return;
    works(source(broker_url(broker), "username: weir, password: secret"));
    works(source(broker_url(broker), "version: 3.1.1, username: weir, password: secret"));
    snprintf(url, sizeof url, "mqtt://we%%69r:s%%65cret@127.0.0.1:%d/", broker_port(broker));
    works(source(url, ""));
}
END_TEST

START_TEST(test_wrong_password)
{
    struct broker *broker = broker_start(&(struct broker_options){.password = true});
    if (!broker)
        return;
    const char *reason = "the broker refuses the connection: not authorized; correct username and password";
    struct plug *plug = source(broker_url(broker), "username: weir, password: wrong");
    ck_assert(plug_until_logged(plug, reason));
    ck_assert(!plug_logged(plug, "wrong"));
    plug_free(plug);
    fails(source(broker_url(broker), "version: 3.1.1, username: weir, password: wrong"), reason);
    fails(source(broker_url(broker), "username: nobody, password: secret"), reason);
    fails(source(broker_url(broker), ""), reason);
}
END_TEST

START_TEST(test_url)
{
    static const struct {
        const char *options, *reason;
    } bad[] = {
        {"{ topics: a }", "url"},
        {"{ topics: a, url: \"http://h\" }", "mqtt or mqtts"},
        {"{ topics: a, url: \"mqtt://h:0\" }", "url: must end with the host or a port from 1 to 65535"},
        {"{ topics: a, url: \"mqtt://h:99999\" }", "a port from 1 to 65535"},
        {"{ topics: a, url: \"mqtt://h:12x\" }", "a port from 1 to 65535"},
        {"{ topics: a, url: \"mqtt://h/path\" }", "a port from 1 to 65535"},
        {"{ topics: a, url: \"mqtt://:1883\" }", "url: has no host"},
        {"{ topics: a, url: \"mqtt://[::1\" }", "url: has no host"},
        {"{ topics: a, url: \"mqtt://u%4:p@h\" }", "url: has a %"},
        {"{ topics: a, url: \"mqtt://u%00:p@h\" }", "url: has a %"},
        {"{ topics: a, url: \"mqtt://u:p@h\", username: u }", "url: has a user name, and `username` or `password`"},
        {"{ topics: a, url: \"mqtt://h\", version: 3.1.1, password: p }", "password: needs `username`"},
        {"{ topics: a, url: \"mqtt://h\", client_id: \"a\\x01b\" }", "client_id: is not valid UTF-8"},
        {"{ topics: a, url: \"mqtt://h\", client_id: \"\" }", "client_id"},
        {"{ topics: a, url: \"mqtt://h\", keep_alive: 1s }", "keep_alive"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses(PLUG_SOURCE, bad[i].options, bad[i].reason);
}
END_TEST

START_TEST(test_topics_that_no_event_can_have)
{
    static const struct {
        const char *options, *reason;
    } bad[] = {
        {"{ url: \"mqtt://h\", topic: \"a/#\" }", "topic: no event can be published: the topic has a wildcard"},
        {"{ url: \"mqtt://h\", topic: \"a/{{headers.x|+}}\" }", "has a wildcard"},
        {"{ url: \"mqtt://h\", topic: \"\" }", "the topic is empty"},
        {"{ url: \"mqtt://h\", topic: a, qos: 2 }", "qos: 2 is not offered"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses(PLUG_SINK, bad[i].options, bad[i].reason);
    plug_free(plug_new(PLUG_SINK, "mqtt", "{ url: \"mqtt://127.0.0.1:1\", topic: \"a/{{key}}\" }"));
}
END_TEST

START_TEST(test_address_of_ipv6)
{
    struct plug *plug = source("mqtt://[::1]:1", "");
    ck_assert(plug_until_logged(plug, "nothing listens at ::1 port 1; start the broker, or correct the url"));
    plug_free(plug);
}
END_TEST

/* What CONNECT carries. */

static bool connect_has(const struct wire *wire, const char *bytes, size_t size)
{
    return memmem(wire->connect, wire->connect_size, bytes, size) != NULL;
}

START_TEST(test_client_id)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = plug_new(PLUG_SOURCE, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topics: a }", wire->port);
    ck_assert_ptr_nonnull(plug);
    plug_start(plug);
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "\0\x1fweir-0123456789abcdef-meters-in", 33));
    plug_free(plug);
    plug = plug_new(PLUG_SINK, "mqtt", "{ url: \"mqtt://127.0.0.1:%d\", topic: a }", wire->port);
    ck_assert_ptr_nonnull(plug);
    plug_start(plug);
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "\0\x20weir-0123456789abcdef-meters-out", 34));
    plug_free(plug);
    plug = source_at(wire->port, "");
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "\0\1s", 3));
    plug_free(plug);
}
END_TEST

/* Flags and keep-alive follow the protocol's name and level; then the properties (MQTT 5 §3.1.2). */
START_TEST(test_session_of_source)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_at(wire->port, "session_expiry: 2h, receive_maximum: 77, keep_alive: 90s");
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "MQTT\5\0\0\x5a", 8)); /* no clean start */
    ck_assert(connect_has(wire, "\x11\0\0\x1c\x20", 5));
    ck_assert(connect_has(wire, "\x21\0\x4d", 3));
    plug_free(plug);
    plug = source_at(wire->port, "");
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "MQTT\5\0\0\x3c", 8));
    ck_assert(connect_has(wire, "\x11\0\x01\x51\x80", 5));
    ck_assert(connect_has(wire, "\x21\x03\xe8", 3));
    plug_free(plug);
    wire->version = 3;
    plug = source_at(wire->port, "version: 3.1.1");
    ck_assert(plug_until(plug, plug_is_connected, 1));
    ck_assert(connect_has(wire, "MQTT\4\0\0\x3c\0\1s", 11));
    plug_free(plug);
}
END_TEST

/* keep_alive of the client, and then the shorter one that the broker asks for. */
START_TEST(test_keep_alive)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_at(wire->port, "keep_alive: 5s");
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    plug_run(plug, (int)(4000 / testing_slow()));
    ck_assert_uint_eq(wire->packets[PINGREQ], 0);
    plug_run(plug, 2500);
    ck_assert_uint_ge(wire->packets[PINGREQ], 1);
    ck_assert_int_eq(plug_stat(plug, "connections_lost_total"), 0);
    plug_free(plug);
}
END_TEST

START_TEST(test_keep_alive_of_broker)
{
    struct broker *broker = broker_start(&(struct broker_options){.more = "max_keepalive 10\n"});
    if (!broker)
        return;
    struct wire *wire = wire_new(broker_port(broker));
    struct plug *plug = source_at(wire->port, "keep_alive: 600s");
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    for (int i = 0; i < 300 && !wire->packets[PINGREQ]; i++)
        plug_run(plug, 50);
    ck_assert_uint_ge(wire->packets[PINGREQ], 1);
    ck_assert_int_eq(plug_stat(plug, "connections_lost_total"), 0);
    plug_free(plug);
}
END_TEST

START_TEST(test_dead_broker_is_noticed)
{
    struct wire *wire = wire_new(0);
    wire->mute = true;
    struct plug *plug = source_at(wire->port, "keep_alive: 5s");
    ck_assert(plug_until_logged(plug, "the broker gave no sign of life for 5 s"));
    ck_assert_uint_eq(wire->packets[PINGREQ], 1);
    ck_assert(plug_until(plug, plug_is_connected, 2));
    plug_free(plug);
}
END_TEST

START_TEST(test_no_answer_to_connect)
{
    struct wire *wire = wire_new(0);
    wire->connack = -1;
    struct plug *plug = source_at(wire->port, "");
    ck_assert(plug_until_logged(plug, "the broker did not answer within 10 s"));
    wire->connack = 0;
    ck_assert(plug_until(plug, plug_is_connected, 1));
    plug_free(plug);
}
END_TEST

/* Refusals in words. */

START_TEST(test_connack_reasons)
{
    static const struct {
        int version, code;
        const char *reason;
    } codes[] = {
        {5, 0x84, "set version: 3.1.1"},
        {5, 0x85, "set another client_id"},
        {5, 0x86, "correct username and password"},
        {5, 0x88, "the server is unavailable"},
        {5, 0x8A, "this client is banned"},
        {5, 0x97, "a quota is exceeded"},
        {5, 1, "set version: 3.1.1"},
        {3, 1, "set version: 5"},
        {3, 2, "set another client_id"},
        {3, 3, "the server is unavailable"},
        {3, 4, "correct username and password"},
        {3, 5, "not authorized"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct wire *wire = wire_new(0);
        wire->version = codes[i].version;
        wire->connack = codes[i].code;
        fails(source_at(wire->port, codes[i].version == 3 ? "version: 3.1.1" : ""), codes[i].reason);
    }
}
END_TEST

START_TEST(test_goodbye_reasons)
{
    static const struct {
        unsigned char code;
        const char *reason;
    } codes[] = {{0x8E, "give each its own client_id"}, {0x8B, "the broker is shutting down"}};
    for (size_t i = 0; i < 2; i++) {
        unsigned char goodbye[] = {0xe0, 2, codes[i].code, 0};
        struct wire *wire = wire_new(0);
        struct plug *plug = source_at(wire->port, "");
        ck_assert(plug_until(plug, plug_is_subscribed, 1));
        wire_raw(wire, goodbye, sizeof goodbye);
        ck_assert(plug_until_logged(plug, codes[i].reason));
        ck_assert(plug_until(plug, plug_is_connected, 2));
        plug_free(plug);
    }
}
END_TEST

START_TEST(test_unknown_host)
{
    struct plug *plug = source("mqtt://nowhere.invalid", "");
    ck_assert(plug_until_logged(plug, "the host nowhere.invalid cannot be found"));
    plug_free(plug);
}
END_TEST

/* Loss and coming back. */

START_TEST(test_broker_down_at_start)
{
    struct broker *broker = broker_start(&(struct broker_options){0});
    if (!broker)
        return;
    broker_stop(broker);
    struct plug *plug = source(broker_url(broker), "");
    ck_assert(plug_until_logged(plug, "start the broker, or correct the url"));
    broker_resume(broker);
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    plug_free(plug);
}
END_TEST

START_TEST(test_broker_killed_and_back)
{
    struct broker *broker = broker_start(&(struct broker_options){0});
    if (!broker)
        return;
    struct plug *plug = source(broker_url(broker), "");
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    for (size_t round = 1; round <= 3; round++) {
        struct peer *peer = peer_new(broker, NULL);
        peer_many(peer, "a/b", 10);
        ck_assert(plug_until(plug, plug_has_events, 10 * round));
        peer_free(peer);
        if (round % 2)
            broker_kill(broker);
        else
            broker_stop(broker);
        ck_assert(plug_until_logged(plug, "lost the connection"));
        broker_resume(broker);
        ck_assert(plug_until(plug, plug_is_connected, round + 1));
        plug_run(plug, 100);
    }
    ck_assert_int_ge(plug_stat(plug, "connections_lost_total"), 3);
    plug_free(plug);
}
END_TEST

START_TEST(test_lost_session_is_told)
{
    struct wire *wire = wire_new(0);
    struct plug *plug = source_at(wire->port, "");
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    ck_assert(!plug_logged(plug, "has forgotten the session"));
    wire_cut(wire);
    ck_assert(plug_until_logged(plug, "the broker has forgotten the session of s"));
    ck_assert_int_eq(plug_stat(plug, "sessions_lost_total"), 1);
    ck_assert(plug_until(plug, plug_is_subscribed, 2));
    wire->session_present = 1;
    wire_cut(wire);
    ck_assert(plug_until(plug, plug_is_connected, 3));
    plug_run(plug, 100);
    ck_assert_int_eq(plug_stat(plug, "sessions_lost_total"), 1);
    ck_assert_int_eq(plug_stat(plug, "sessions_resumed_total"), 1);
    ck_assert_uint_eq(wire->packets[SUBSCRIBE], 2); /* the session has them */
    plug_free(plug);
}
END_TEST

/* Attempts get rarer; one cause is told once. */
START_TEST(test_backoff)
{
    struct wire *wire = wire_new(0);
    wire_stop(wire, true);
    struct plug *plug = source_at(wire->port, "");
    plug_run(plug, (int)(3000 / testing_slow()));
    ck_assert_uint_ge(wire->connections, 3);
    ck_assert_uint_le(wire->connections, 40);
    const char *first = strstr(plug->log, "1 cannot connect");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "1 cannot connect"));
    wire_stop(wire, false);
    ck_assert(plug_until(plug, plug_is_connected, 1));
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_at_any_time)
{
    struct wire *wire = wire_new(0);
    plug_free(source_at(wire->port, "")); /* on the helper */
    wire->connack = -1;
    struct plug *plug = source_at(wire->port, "");
    plug_run(plug, 100);
    ck_assert_uint_eq(wire->packets[CONNECT], 1); /* waiting for CONNACK */
    plug_free(plug);
    wire_stop(wire, true);
    plug = source_at(wire->port, "");
    ck_assert(plug_until_logged(plug, "cannot connect"));
    plug_free(plug); /* waiting for the next attempt */
}
END_TEST

/* TLS. */

START_TEST(test_tls)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300], url[64];
    if (!broker)
        return;
    snprintf(tls, sizeof tls, "tls: { ca: %s }", in_folder(broker, "ca.crt"));
    struct plug *plug = source(broker_url(broker), tls);
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    ck_assert(plug_logged(plug, "by MQTT 5 and TLS"));
    plug_free(plug);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", broker_port(broker)); /* an address, and by `tls` alone */
    works(source(url, tls));
}
END_TEST

START_TEST(test_tls_wrong_authority)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300];
    if (!broker)
        return;
    snprintf(tls, sizeof tls, "tls: { ca: %s }", in_folder(broker, "client.crt"));
    fails(source(broker_url(broker), tls), "it is not signed by an authority in tls.ca; correct tls.ca");
    fails(source(broker_url(broker), "tls: true"), "set tls.ca to the broker's authority");
    fails(source(broker_url(broker), ""), "set tls.ca to the broker's authority");
    works(source(broker_url(broker), "tls: { verify: false }"));
}
END_TEST

START_TEST(test_tls_server_name)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300], url[64];
    if (!broker)
        return;
    snprintf(tls, sizeof tls, "tls: { ca: %s, server_name: elsewhere.example }", in_folder(broker, "ca.crt"));
    fails(source(broker_url(broker), tls), "it is for another host; correct the url, or set tls.server_name");
    snprintf(url, sizeof url, "mqtts://127.1:%d", broker_port(broker)); /* a spelling that no certificate has */
    snprintf(tls, sizeof tls, "tls: { ca: %s }", in_folder(broker, "ca.crt"));
    fails(source(url, tls), "it is for another host");
    snprintf(tls, sizeof tls, "tls: { ca: %s, server_name: localhost }", in_folder(broker, "ca.crt"));
    works(source(url, tls));
}
END_TEST

START_TEST(test_tls_client_certificate)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS_CLIENT});
    char tls[600];
    if (!broker)
        return;
    snprintf(tls, sizeof tls, "tls: { ca: %s, cert: %s, key: %s }", in_folder(broker, "ca.crt"),
             in_folder(broker, "client.crt"), in_folder(broker, "client.key"));
    works(source(broker_url(broker), tls));
    snprintf(tls, sizeof tls, "tls: { ca: %s }", in_folder(broker, "ca.crt"));
    fails(source(broker_url(broker), tls), "the broker wants a certificate of ours; set tls.cert and tls.key");
}
END_TEST

START_TEST(test_tls_key_password)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS_CLIENT});
    char tls[700], refusal[800];
    if (!broker)
        return;
    const char *argv[] = {"openssl",  "pkey",      "-in",  in_folder(broker, "client.key"), "-aes256",
                          "-passout", "pass:open", "-out", in_folder(broker, "locked.key"), NULL};
    ck_assert_int_eq(testing_command(argv, NULL), 0);
    const char *format = "tls: { ca: %s, cert: %s, key: %s, key_password: %s }";
    snprintf(tls, sizeof tls, format, in_folder(broker, "ca.crt"), in_folder(broker, "client.crt"),
             in_folder(broker, "locked.key"), "open");
    works(source(broker_url(broker), tls));
    snprintf(tls, sizeof tls, format, in_folder(broker, "ca.crt"), in_folder(broker, "client.crt"),
             in_folder(broker, "locked.key"), "shut");
    snprintf(refusal, sizeof refusal, "{ url: \"mqtts://h\", topics: a, %s }", tls);
    refuses(PLUG_SOURCE, refusal, "tls.key: the key of tls.cert cannot be read");
}
END_TEST

START_TEST(test_tls_min_version)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300];
    if (!broker)
        return;
    /* A server of TLS 1.2 only; it speaks no MQTT, so a handshake that succeeds ends with a silent broker. */
    char port[16];
    snprintf(port, sizeof port, "%d", testing_free_port());
    const char *argv[] = {"openssl", "s_server",
                          "-accept", port,
                          "-cert",   in_folder(broker, "server.crt"),
                          "-key",    in_folder(broker, "server.key"),
                          "-tls1_2", "-www",
                          NULL};
    pid_t server = testing_spawn(argv, NULL);
    char url[64];
    snprintf(url, sizeof url, "mqtts://localhost:%s", port);
    snprintf(tls, sizeof tls, "tls: { ca: %s, min_version: 1.3 }", in_folder(broker, "ca.crt"));
    fails(source(url, tls), "the broker's TLS is older than tls.min_version");
    snprintf(tls, sizeof tls, "tls: { ca: %s }", in_folder(broker, "ca.crt"));
    fails(source(url, tls), "the broker did not answer within 10 s");
    testing_end(server, 9);
}
END_TEST

static bool log_has_alpn(void *log)
{
    char *text = testing_read(log);
    bool has = text && strstr(text, "ALPN protocols selected: mqtt") != NULL;
    free(text);
    return has;
}

START_TEST(test_tls_alpn)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300], port[16], url[64];
    if (!broker)
        return;
    char *log = strdup(in_folder(broker, "server.log"));
    snprintf(port, sizeof port, "%d", testing_free_port());
    const char *argv[] = {"stdbuf",  "-o0",
                          "openssl", "s_server",
                          "-accept", port,
                          "-cert",   in_folder(broker, "server.crt"),
                          "-key",    in_folder(broker, "server.key"),
                          "-alpn",   "mqtt",
                          "-www",    NULL};
    pid_t server = testing_spawn(argv, log);
    snprintf(url, sizeof url, "mqtts://localhost:%s", port);
    snprintf(tls, sizeof tls, "tls: { ca: %s, alpn: [ other, mqtt ] }", in_folder(broker, "ca.crt"));
    struct plug *plug = source(url, tls);
    for (int i = 0; i < 200 && !log_has_alpn(log); i++)
        plug_run(plug, 50);
    ck_assert(log_has_alpn(log));
    plug_free(plug);
    snprintf(tls, sizeof tls, "tls: { ca: %s, alpn: other }", in_folder(broker, "ca.crt"));
    fails(source(url, tls), "the broker knows none of the names in tls.alpn");
    testing_end(server, 9);
    free(log);
}
END_TEST

START_TEST(test_tls_and_plain_mixed_up)
{
    struct broker *secure = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char url[64];
    if (!secure)
        return;
    struct broker *plain = broker_start(&(struct broker_options){0});
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", broker_port(secure));
    fails(source(url, ""), "does the port want TLS (mqtts://)?");
    snprintf(url, sizeof url, "mqtts://127.0.0.1:%d", broker_port(plain));
    fails(source(url, ""), "is TLS spoken at this port?");
}
END_TEST

START_TEST(test_tls_options)
{
    static const struct {
        const char *tls, *reason;
    } bad[] = {
        {"{ ca: ./nothing.crt }", "tls.ca: no certificates can be read from"},
        {"{ cert: ./nothing.crt }", "tls.cert: needs `key` beside it"},
        {"{ key: ./nothing.key }", "tls.key: needs `cert` beside it"},
        {"{ key_password: p }", "tls.key_password: needs `cert` beside it"},
        {"{ cert: ./nothing.crt, key: ./nothing.key }", "tls.cert: no certificate can be read from"},
        {"{ alpn: [ \"\" ] }", "tls.alpn: a name must have 1 to 255 bytes"},
        {"{ min_version: 1.1 }", "min_version"},
        {"{ unknown: 1 }", "unknown"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char options[300];
        snprintf(options, sizeof options, "{ url: \"mqtts://h\", topics: a, tls: %s }", bad[i].tls);
        refuses(PLUG_SOURCE, options, bad[i].reason);
    }
}
END_TEST

/* With TLS, what is decrypted and not yet read is not seen at the descriptor. */
START_TEST(test_tls_many)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char tls[300];
    if (!broker)
        return;
    snprintf(tls, sizeof tls, "tls: { ca: %s }, receive_maximum: 7", in_folder(broker, "ca.crt"));
    struct plug *plug = source(broker_url(broker), tls);
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    const char *ca = in_folder(broker, "ca.crt");
    char port[16];
    snprintf(port, sizeof port, "%d", broker_port(broker));
    const char *argv[] = {"sh", "-c", "seq 0 499 | mosquitto_pub -h localhost -p $1 --cafile $2 -t a/b -q 1 -l",
                          "sh", port, ca,
                          NULL};
    ck_assert_int_eq(testing_command(argv, NULL), 0);
    ck_assert(plug_until(plug, plug_has_events, 500));
    for (size_t i = 0; i < 500; i++)
        ck_assert_int_eq(atoi(plug->events[i].payload), (int)i);
    plug_free(plug);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mqtt connection");
    TCase *login = tcase_create("login"), *packet = tcase_create("connect"), *loss = tcase_create("loss");
    TCase *tls = tcase_create("tls");
    tcase_add_test(login, test_user_and_password);
    tcase_add_test(login, test_wrong_password);
    tcase_add_test(login, test_url);
    tcase_add_test(login, test_address_of_ipv6);
    tcase_add_test(login, test_topics_that_no_event_can_have);
    tcase_add_test(packet, test_client_id);
    tcase_add_test(packet, test_session_of_source);
    tcase_add_test(packet, test_keep_alive);
    tcase_add_test(packet, test_keep_alive_of_broker);
    tcase_add_test(packet, test_connack_reasons);
    tcase_add_test(packet, test_goodbye_reasons);
    tcase_add_test(packet, test_unknown_host);
    tcase_add_test(loss, test_dead_broker_is_noticed);
    tcase_add_test(loss, test_no_answer_to_connect);
    tcase_add_test(loss, test_broker_down_at_start);
    tcase_add_test(loss, test_broker_killed_and_back);
    tcase_add_test(loss, test_lost_session_is_told);
    tcase_add_test(loss, test_backoff);
    tcase_add_test(loss, test_stop_at_any_time);
    tcase_add_test(tls, test_tls);
    tcase_add_test(tls, test_tls_wrong_authority);
    tcase_add_test(tls, test_tls_server_name);
    tcase_add_test(tls, test_tls_client_certificate);
    tcase_add_test(tls, test_tls_key_password);
    tcase_add_test(tls, test_tls_min_version);
    tcase_add_test(tls, test_tls_alpn);
    tcase_add_test(tls, test_tls_and_plain_mixed_up);
    tcase_add_test(tls, test_tls_options);
    tcase_add_test(tls, test_tls_many);
    suite_add_tcase(suite, login);
    suite_add_tcase(suite, packet);
    suite_add_tcase(suite, loss);
    suite_add_tcase(suite, tls);
    return testing_run(suite);
}
