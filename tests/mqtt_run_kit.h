/* mqtt_run_kit.h: for tests of the mqtt module in whole weir processes: those, clients of the broker, and a relay
 * that stands between weir and the broker, keeps every packet, and can hold packets back, drop a connection or
 * change a packet.
 *
 * Nothing here has a thread: relays and clients go on inside kit_wait only, so a test sees one thing after the
 * other. */
#ifndef WEIR_TEST_MQTT_RUN_KIT_H
#define WEIR_TEST_MQTT_RUN_KIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker.h"

#define KIT_WAIT_MS 30000

/* Waits until condition(arg) is true; fails the test, with `what`, when it does not become so. */
void kit_wait(bool (*condition)(void *arg), void *arg, const char *what);
int64_t kit_now_us(void); /* CLOCK_MONOTONIC */

/* Packets, by the first four bits of MQTT. */
enum {
    PACKET_CONNECT = 1,
    PACKET_CONNACK = 2,
    PACKET_PUBLISH = 3,
    PACKET_PUBACK = 4,
    PACKET_SUBSCRIBE = 8,
    PACKET_SUBACK = 9,
    PACKET_PINGREQ = 12,
    PACKET_DISCONNECT = 14
};
enum side { FROM_WEIR, FROM_BROKER };

struct packet {
    enum side side;
    int type, flags;
    unsigned char *bytes; /* all of it, the first byte included; room for one more */
    size_t size, body;    /* body: where the variable header begins */
    int64_t seen_us;
};

struct relay;
struct relay *relay_start(int broker_port);
int relay_port(const struct relay *relay);
/* While held, what weir sends is kept and not passed on; released, it goes on its way. */
void relay_hold(struct relay *relay, bool held);
void relay_cut(struct relay *relay);                                           /* ends all connections */
void relay_change(struct relay *relay, void (*change)(struct packet *packet)); /* each, before it goes on */
size_t relay_count(const struct relay *relay, enum side side, int type);
const struct packet *relay_packet(const struct relay *relay, enum side side, int type, size_t n);
void relay_wait(const struct relay *relay, enum side side, int type, size_t count);

/* A client of the broker, by MQTT 5. */
struct message {
    char *topic, *payload; /* ended by NUL */
    char *properties;      /* of the user, as "name=value;" */
    size_t size;
    bool retain;
    int qos;
};
struct client {
    struct mosquitto *handle;
    struct message *messages;
    size_t count, acknowledged, sent;
    bool connected, subscribed;
};
/* filter: subscribes at QoS 1 and waits for it; NULL: only publishes. id: a session to keep; NULL: none. */
struct client *client_start(const struct broker *broker, const char *id, const char *filter);
struct publication {
    const char *topic, *payload, *header, *value;
    size_t size; /* 0: the payload's length as text */
    int qos;
    bool retain;
};
/* Each waits for the broker's answers. */
void client_send(struct client *client, const struct publication *publication);
void client_publish(struct client *client, const char *topic, const char *payload);
void client_publish_many(struct client *client, const char *topic, size_t from, size_t to); /* numbers */
void client_wait(struct client *client, size_t count); /* until so many messages have come */

/* weir, with everything in a folder of its own. */
struct weir {
    const char *folder, *log, *file; /* file: out.txt */
    pid_t pid;
    size_t read; /* of the log: where the next weir_says begins to look */
    struct weir *next;
};
struct weir *daemon_new(void);
void daemon_start(struct weir *weir, const char *yaml); /* `store` and `log` are added */
void weir_again(struct weir *weir);                     /* the same configuration and store */
void weir_kill(struct weir *weir);
int daemon_stop(struct weir *weir); /* SIGTERM; the exit code */
int weir_end(struct weir *weir);    /* waits until it ends by itself; the exit code */
/* Waits until the log has this text, behind what was waited for before. */
void weir_says(struct weir *weir, const char *text);
bool weir_said(const struct weir *weir, const char *text);    /* ever */
void weir_ready(struct weir *weir);                           /* has subscribed */
size_t weir_lines(const struct weir *weir, const char *line); /* how often it is in out.txt; NULL: all lines */
void weir_wait_lines(struct weir *weir, size_t count);
char *weir_command(struct weir *weir, const char *command, const char *subcommand); /* its output; malloc */
/* A configuration: the source `in` (more: further lines of it) of in/# at this port, to the file out.txt. */
const char *weir_to_file(int port, const char *more);

#endif
