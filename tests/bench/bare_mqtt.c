/* bare_mqtt.c: what weir's MQTT source is measured against: libmosquitto and LMDB, and nothing else.
 *
 * The same promise by the shortest way: externally threaded client, read until drained or WINDOW messages are held,
 * one LMDB commit (full sync) with one record for each message, then loop_write lets the PUBACKs leave. usage:
 * bare_mqtt PORT CLIENT_ID TOPIC COUNT FOLDER   (COUNT 0: only makes the session). Prints "seconds S". */
#include <lmdb.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WINDOW 1000

struct message {
    size_t at, size;
};

struct bare {
    struct mosquitto *client;
    MDB_env *env;
    MDB_dbi dbi;
    char *bytes;
    size_t used, room;
    struct message held[WINDOW * 4];
    size_t count;
    uint64_t next, wanted;
    int subscribed;
    double first;
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *message)
{
    struct bare *bare = arg;
    (void)client;
    if (bare->first == 0)
        bare->first = now();
    size_t topic = strlen(message->topic), size = topic + 1 + (size_t)message->payloadlen;
    if (bare->used + size > bare->room) {
        bare->room = (bare->room + size) * 2;
        bare->bytes = realloc(bare->bytes, bare->room);
        if (!bare->bytes)
            abort();
    }
    memcpy(bare->bytes + bare->used, message->topic, topic + 1);
    memcpy(bare->bytes + bare->used + topic + 1, message->payload, (size_t)message->payloadlen);
    bare->held[bare->count++] = (struct message){bare->used, size};
    bare->used += size;
}

static void on_subscribe(struct mosquitto *client, void *arg, int mid, int count, const int *granted)
{
    struct bare *bare = arg;
    (void)client, (void)mid, (void)count, (void)granted;
    bare->subscribed = 1;
}

static void check(int result, const char *what)
{
    if (result != 0) {
        fprintf(stderr, "bare_mqtt: %s failed: %d\n", what, result);
        exit(1);
    }
}

static void commit(struct bare *bare)
{
    MDB_txn *txn;
    check(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
    for (size_t i = 0; i < bare->count; i++) {
        uint64_t number = bare->next++;
        MDB_val key = {sizeof number, &number}, value = {bare->held[i].size, bare->bytes + bare->held[i].at};
        check(mdb_put(txn, bare->dbi, &key, &value, MDB_APPEND), "put");
    }
    check(mdb_txn_commit(txn), "commit");
    bare->count = 0;
    bare->used = 0;
}

static void store(struct bare *bare, const char *folder)
{
    MDB_txn *txn;
    mkdir(folder, 0700);
    check(mdb_env_create(&bare->env), "env");
    mdb_env_set_mapsize(bare->env, (size_t)8 << 30);
    check(mdb_env_open(bare->env, folder, MDB_NOTLS, 0600), "open");
    check(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &bare->dbi), "dbi");
    check(mdb_drop(txn, bare->dbi, 0), "drop");
    check(mdb_txn_commit(txn), "commit");
}

static void connect_broker(struct bare *bare, int port, const char *id, const char *topic)
{
    mosquitto_property *properties = NULL;
    bare->client = mosquitto_new(id, false, bare);
    mosquitto_threaded_set(bare->client, true);
    mosquitto_int_option(bare->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(bare->client, MOSQ_OPT_RECEIVE_MAXIMUM, WINDOW);
    mosquitto_int_option(bare->client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 3600);
    mosquitto_message_callback_set(bare->client, on_message);
    mosquitto_subscribe_callback_set(bare->client, on_subscribe);
    check(mosquitto_connect_bind_v5(bare->client, "127.0.0.1", port, 60, NULL, properties), "connect");
    mosquitto_property_free_all(&properties);
    check(mosquitto_subscribe(bare->client, NULL, topic, 1), "subscribe");
    while (mosquitto_want_write(bare->client))
        check(mosquitto_loop_write(bare->client, 1), "write");
}

/* Reads until nothing is there or the window is full; then commits and lets the acknowledgements go. */
static void turn(struct bare *bare)
{
    struct pollfd fd = {mosquitto_socket(bare->client), POLLIN, 0};
    poll(&fd, 1, 1000);
    while (bare->count < WINDOW) {
        check(mosquitto_loop_read(bare->client, 1), "read");
        fd.revents = 0;
        if (poll(&fd, 1, 0) <= 0)
            break;
    }
    if (bare->count)
        commit(bare);
    while (mosquitto_want_write(bare->client))
        check(mosquitto_loop_write(bare->client, 1), "write");
}

int main(int argc, char **argv)
{
    static struct bare bare;
    if (argc != 6) {
        fprintf(stderr, "usage: bare_mqtt PORT CLIENT_ID TOPIC COUNT FOLDER\n");
        return 2;
    }
    double start = now();
    bare.wanted = strtoull(argv[4], NULL, 10);
    mosquitto_lib_init();
    store(&bare, argv[5]);
    connect_broker(&bare, atoi(argv[1]), argv[2], argv[3]);
    while (!bare.subscribed || bare.next < bare.wanted)
        turn(&bare);
    printf("seconds %.6f\n", now() - start);
    return 0;
}
