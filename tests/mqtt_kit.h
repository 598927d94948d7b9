/* mqtt_kit.h: what the tests of the mqtt module share: a listener that records or plays the broker's side, and an
 * ordinary client of the broker. The module itself is driven by plug_kit.h. What a helper cannot do fails the test.
 */
#ifndef WEIR_TEST_MQTT_KIT_H
#define WEIR_TEST_MQTT_KIT_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "broker.h"
#include "plug_kit.h"

bool plug_is_connected(struct plug *plug, size_t times);
bool plug_is_subscribed(struct plug *plug, size_t filters);

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
void peer_many_from(struct peer *peer, const char *topic, size_t first, size_t count);
size_t peer_count(struct peer *peer);
const struct peer_message *peer_wait(struct peer *peer, size_t index); /* the message, once it is there */
void peer_free(struct peer *peer);

#endif
