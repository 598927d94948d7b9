/* mqtt_plug_kit.h: what the tests of the mqtt module share: the module driven by itself on a loop, a listener that
 * records or plays the broker's side, and an ordinary client of the broker.
 *
 *     struct plug *plug = plug_new(PLUG_SOURCE, "{ url: \"mqtt://127.0.0.1:1883\", topics: [ a ] }");
 *     plug_start(plug);
 *     ck_assert(plug_until(plug, plug_has_events, 3));
 *     plug_free(plug);
 *
 * What a helper cannot do fails the test. */
#ifndef WEIR_TEST_MQTT_PLUG_KIT_H
#define WEIR_TEST_MQTT_PLUG_KIT_H

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stddef.h>
#include <uv.h>

#include "weir_plugin.h" /* before check.h, which has a macro named fail */

#include "broker.h"
#include "testing.h"

/* One instance of the module's source or sink, and all it said. */

enum plug_sort { PLUG_SOURCE, PLUG_SINK };

struct plug_event {
    char *payload, *key, *subject;
    size_t payload_size;
    size_t header_count;
    char *headers[8][2];
    int64_t time_us;
    bool payload_absent, id_absent;
};

struct plug_write {
    weir_write write; /* first: the sink's handle */
    int result;       /* -1: not answered */
    char reason[500];
    int results[2000]; /* of events; -1: none of its own */
    char reasons[2000][120];
    size_t order; /* in which writes were answered, from 1 */
};

struct plug {
    weir_host host; /* first */
    uv_loop_t *loop;
    void *state;
    const weir_source_ops *source;
    const weir_sink_ops *sink;
    char *log, *refused; /* lines; what refuse said */
    struct plug_stat {
        char name[64];
        int64_t value;
    } stats[32];
    bool settles; /* at once, on the next turn; else by plug_settle */
    bool stopped, failed;
    int emit_result; /* what emit answers */
    struct plug_event *events;
    size_t event_count, emit_count, emit_largest, unsettled;
    struct plug_parts *parts; /* the kit's own */
    size_t answered;
};

/* Reads the options from YAML text and calls init. NULL: refused; plug_refusal has the text. */
struct plug *plug_new(enum plug_sort sort, const char *options, ...) __attribute__((format(printf, 2, 3)));
const char *plug_refusal(void);
void plug_start(struct plug *plug); /* a source gets credit without end */
void plug_settle(struct plug *plug);
struct plug_write *plug_send(struct plug *plug, const weir_event *events, size_t count);
void plug_stop(struct plug *plug);  /* waits for the answer */
void plug_abort(struct plug *plug); /* as a crash: no stop; descriptors are closed without a word */
void plug_free(struct plug *plug);  /* stops it before if it was started */
bool plug_logged(const struct plug *plug, const char *text);
int64_t plug_stat(const struct plug *plug, const char *name);

/* Runs the loop until condition(plug, number); false: 20 s passed. */
typedef bool plug_condition(struct plug *plug, size_t number);
bool plug_until(struct plug *plug, plug_condition *condition, size_t number);
bool plug_has_events(struct plug *plug, size_t number);
bool plug_has_emits(struct plug *plug, size_t number);
bool plug_has_answers(struct plug *plug, size_t number);
bool plug_is_connected(struct plug *plug, size_t times);
bool plug_is_subscribed(struct plug *plug, size_t filters);
/* Runs it for a time in which nothing is to happen. */
void plug_run(struct plug *plug, int ms);
bool plug_until_logged(struct plug *plug, const char *text);
uv_loop_t *kit_loop(void); /* of this test; plugs and wires run on it */

/* A listener on 127.0.0.1: in front of a broker, or instead of one. It counts the packets of the client. */

struct wire {
    int port, broker_port;       /* broker_port 0: it plays the broker */
    int version;                 /* of MQTT to play: 5 or 3 */
    int connack, suback, puback; /* codes it answers; -1: no answer */
    int session_present;
    int puback_after;         /* so many are acknowledged with 0 first */
    bool mute;                /* answers no ping */
    size_t packets[16];       /* from the client, by type */
    size_t duplicates;        /* packets to the client: PUBLISH with DUP */
    size_t connections, open; /* ever; now */
    unsigned char connect[512];
    size_t connect_size;
    struct wire_parts *parts;
};

struct wire *wire_new(int broker_port);
void wire_publish(struct wire *wire, const char *topic, const char *payload, int qos); /* to the client */
void wire_raw(struct wire *wire, const void *bytes, size_t size);
void wire_cut(struct wire *wire);             /* every connection */
void wire_stop(struct wire *wire, bool stop); /* take no more, and cut */

/* A client of the broker, on a thread of its own. */

struct peer;
struct peer_message {
    char *topic, *payload;
    size_t size;
    bool retain, duplicate;
    size_t header_count;
    char *headers[8][2];
};

struct peer *peer_new(const struct broker *broker, const char *filter); /* subscribed to it at QoS 1; NULL: not */
void peer_publish(struct peer *peer, const char *topic, const void *payload, size_t size, int qos);
void peer_retain(struct peer *peer, const char *topic, const char *payload);
void peer_publish_with(struct peer *peer, const char *topic, const char *const headers[][2], size_t count);
void peer_many(struct peer *peer, const char *topic, size_t count); /* payloads "0", "1", ... at QoS 1 */
size_t peer_count(struct peer *peer);
const struct peer_message *peer_wait(struct peer *peer, size_t index); /* the message, once it is there */
void peer_free(struct peer *peer);

#endif
