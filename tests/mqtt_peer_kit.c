/* mqtt_peer_kit.c: an ordinary client of the broker, on libmosquitto's own thread. See mqtt_kit.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt_kit.h"

enum { WAIT_MS = 20000 };

struct peer {
    struct mosquitto *client;
    pthread_mutex_t lock;
    struct peer_message *messages;
    size_t count, wanted, published, confirmed;
    bool ready;
};

static void on_connect(struct mosquitto *client, void *arg, int code)
{
    struct peer *peer = arg;
    (void)client;
    pthread_mutex_lock(&peer->lock);
    peer->ready = code == 0;
    pthread_mutex_unlock(&peer->lock);
}

static void on_subscribe(struct mosquitto *client, void *arg, int mid, int count, const int *codes)
{
    (void)mid, (void)count, (void)codes;
    on_connect(client, arg, 0);
}

static void on_publish(struct mosquitto *client, void *arg, int mid)
{
    struct peer *peer = arg;
    (void)client, (void)mid;
    pthread_mutex_lock(&peer->lock);
    peer->confirmed++;
    pthread_mutex_unlock(&peer->lock);
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct peer *peer = arg;
    char *name, *value;
    (void)client;
    struct peer_message kept = {.topic = strdup(message->topic),
                                .payload = calloc(1, (size_t)message->payloadlen + 1),
                                .size = (size_t)message->payloadlen,
                                .retain = message->retain};
    if (kept.size)
        memcpy(kept.payload, message->payload, kept.size);
    for (bool skip = false; (properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY,
                                                                              &name, &value, skip)) != NULL;
         skip = true) {
        kept.headers[kept.header_count][0] = name;
        kept.headers[kept.header_count++][1] = value;
    }
    pthread_mutex_lock(&peer->lock);
    peer->messages = realloc(peer->messages, (peer->count + 1) * sizeof *peer->messages);
    peer->messages[peer->count++] = kept;
    pthread_mutex_unlock(&peer->lock);
}

static bool is_ready(void *arg)
{
    struct peer *peer = arg;
    pthread_mutex_lock(&peer->lock);
    bool ready = peer->ready;
    pthread_mutex_unlock(&peer->lock);
    return ready;
}

static bool is_confirmed(void *arg)
{
    struct peer *peer = arg;
    pthread_mutex_lock(&peer->lock);
    bool confirmed = peer->confirmed == peer->published;
    pthread_mutex_unlock(&peer->lock);
    return confirmed;
}

static bool has_wanted(void *arg)
{
    struct peer *peer = arg;
    return peer_count(peer) > peer->wanted;
}

struct peer *peer_new(const struct broker *broker, const char *filter)
{
    struct peer *peer = calloc(1, sizeof *peer);
    ck_assert_ptr_nonnull(peer);
    mosquitto_lib_init();
    pthread_mutex_init(&peer->lock, NULL);
    peer->client = mosquitto_new(NULL, true, peer);
    mosquitto_int_option(peer->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(peer->client, MOSQ_OPT_SEND_MAXIMUM, 1000);
    mosquitto_username_pw_set(peer->client, "weir", "secret");
    mosquitto_connect_callback_set(peer->client, on_connect);
    mosquitto_publish_callback_set(peer->client, on_publish);
    mosquitto_message_v5_callback_set(peer->client, on_message);
    ck_assert_int_eq(mosquitto_connect(peer->client, "127.0.0.1", broker_port(broker), 60), MOSQ_ERR_SUCCESS);
    ck_assert_int_eq(mosquitto_loop_start(peer->client), MOSQ_ERR_SUCCESS);
    ck_assert(testing_wait(is_ready, peer, WAIT_MS));
    if (!filter)
        return peer;
    peer->ready = false;
    mosquitto_subscribe_callback_set(peer->client, on_subscribe);
    ck_assert_int_eq(mosquitto_subscribe(peer->client, NULL, filter, 1), MOSQ_ERR_SUCCESS);
    ck_assert(testing_wait(is_ready, peer, WAIT_MS));
    return peer;
}

static void publish(struct peer *peer, const struct peer_message *message, int qos,
                    const mosquitto_property *properties)
{
    pthread_mutex_lock(&peer->lock);
    peer->published++;
    pthread_mutex_unlock(&peer->lock);
    ck_assert_int_eq(mosquitto_publish_v5(peer->client, NULL, message->topic, (int)message->size, message->payload,
                                          qos, message->retain, properties),
                     MOSQ_ERR_SUCCESS);
}

static void publish_all(struct peer *peer)
{
    ck_assert_msg(testing_wait(is_confirmed, peer, WAIT_MS), "not all that was published was confirmed");
}

void peer_publish(struct peer *peer, const char *topic, const void *payload, size_t size, int qos)
{
    struct peer_message message = {
        .topic = (char *)(uintptr_t)topic, .payload = (char *)(uintptr_t)payload, .size = size};
    publish(peer, &message, qos, NULL);
    publish_all(peer);
}

void peer_retain(struct peer *peer, const char *topic, const char *payload)
{
    struct peer_message message = {.topic = (char *)(uintptr_t)topic,
                                   .payload = (char *)(uintptr_t)payload,
                                   .size = strlen(payload),
                                   .retain = true};
    publish(peer, &message, 1, NULL);
    publish_all(peer);
}

void peer_publish_with(struct peer *peer, const char *topic, const char *const headers[][2], size_t count)
{
    struct peer_message message = {.topic = (char *)(uintptr_t)topic, .payload = "x", .size = 1};
    mosquitto_property *properties = NULL;
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(
            mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, headers[i][0], headers[i][1]),
            MOSQ_ERR_SUCCESS);
    publish(peer, &message, 1, properties);
    mosquitto_property_free_all(&properties);
    publish_all(peer);
}

void peer_many(struct peer *peer, const char *topic, size_t count)
{
    peer_many_from(peer, topic, 0, count);
}

void peer_many_from(struct peer *peer, const char *topic, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char text[24];
        struct peer_message message = {.topic = (char *)(uintptr_t)topic, .payload = text};
        message.size = (size_t)snprintf(text, sizeof text, "%zu", i);
        publish(peer, &message, 1, NULL);
    }
    publish_all(peer);
}

size_t peer_count(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    size_t count = peer->count;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

const struct peer_message *peer_wait(struct peer *peer, size_t index)
{
    peer->wanted = index;
    ck_assert_msg(testing_wait(has_wanted, peer, WAIT_MS), "message %zu did not come", index);
    pthread_mutex_lock(&peer->lock);
    const struct peer_message *message = &peer->messages[index];
    pthread_mutex_unlock(&peer->lock);
    return message;
}

void peer_free(struct peer *peer)
{
    mosquitto_disconnect(peer->client);
    mosquitto_loop_stop(peer->client, false);
    mosquitto_destroy(peer->client);
    for (size_t i = 0; i < peer->count; i++) {
        free(peer->messages[i].topic);
        free(peer->messages[i].payload);
        for (size_t j = 0; j < peer->messages[i].header_count; j++) {
            free(peer->messages[i].headers[j][0]);
            free(peer->messages[i].headers[j][1]);
        }
    }
    free(peer->messages);
    free(peer);
}

/* What the plug-in counts. */

bool plug_is_connected(struct plug *plug, size_t times)
{
    return plug_stat(plug, "connects_total") >= (int64_t)times;
}

bool plug_is_subscribed(struct plug *plug, size_t filters)
{
    return plug_stat(plug, "subscriptions_total") >= (int64_t)filters;
}
