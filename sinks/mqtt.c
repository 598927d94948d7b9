/* module: mqtt libs: libmosquitto openssl */
/* mqtt.c: the sink `mqtt`: publishes each event, and confirms it when the broker has acknowledged it.
 *
 * The normal path:
 *   1. start connects, with a new session and a client handle of its own.
 *   2. write puts the batch into a line of at most WRITES_MAX; its events are published while fewer than FLIGHT_MAX
 *      are unacknowledged, and leave at once.
 *   3. Each PUBACK is matched with its event. A write is answered when all its events are, and all writes before
 * it. With QoS 0 an event counts as confirmed once it is written to the socket. How it fails: an event that can
 * never pass (its topic, size or headers; the broker's access rules) is rejected with the reason. When the
 * connection is lost, or the broker has no room now, the handle is destroyed, so that the library sends nothing
 * again by itself; what was acknowledged before the first that was not is confirmed, all that follows is to be
 * written again, in order. Writes that come while there is no connection wait for the next attempt, and are
 * answered by its failure. An event at which the connection ends each time is rejected in the end (suspect.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sources/mqtt/connection.h"
#include "../sources/mqtt/words.h"
#include "mqtt/suspect.h"

enum { WRITES_MAX = 16, FLIGHT_MAX = 1000, TOPIC_MAX = 65535, STRING_MAX = 65535, PAYLOAD_MAX = 268435455 };
enum answer { ANSWER_NONE, ANSWER_OK, ANSWER_REJECTED };

struct open_write {
    weir_write *write;
    uint8_t *answers; /* of enum answer, [room] */
    size_t room, next, left;
};

struct flight {
    struct open_write *of;
    size_t index;
    int mid;
};

struct sink {
    struct settings settings; /* first: see settings.h */
    weir_template *topic;
    int64_t qos, retain;
    const weir_host *host;
    struct connection connection;
    struct open_write line[WRITES_MAX];
    size_t line_first, line_count;
    struct flight flights[FLIGHT_MAX];
    size_t flight_first, flight_count, acknowledged;
    char *text; /* of a topic or a header */
    struct suspect suspect;
    bool library, working, alone; /* the suspect is in flight, and nothing else may be */
    int no_room;                  /* a code by which the broker asks for patience; 0: none */
};

static struct open_write *line_at(struct sink *sink, size_t i)
{
    return &sink->line[(sink->line_first + i) % WRITES_MAX];
}

static void answer(struct sink *sink, struct open_write *open, size_t i, const char *rejected)
{
    open->answers[i] = rejected ? ANSWER_REJECTED : ANSWER_OK;
    open->left--;
    if (rejected)
        sink->host->write_event(sink->host, open->write, i, WEIR_REJECT, rejected);
}

/* Acknowledgements come in order, as a rule, so the first in flight is meant. */

static void flight_end(struct sink *sink, int mid, const char *rejected)
{
    for (size_t i = 0; i < sink->flight_count; i++) {
        struct flight *flight = &sink->flights[(sink->flight_first + i) % FLIGHT_MAX];
        if (flight->mid != mid || !flight->of)
            continue;
        answer(sink, flight->of, flight->index, rejected);
        flight->of = NULL;
        if (sink->alone)
            suspect_passed(&sink->suspect);
        sink->alone = false;
        break;
    }
    while (sink->flight_count && !sink->flights[sink->flight_first].of) {
        sink->flight_first = (sink->flight_first + 1) % FLIGHT_MAX;
        sink->flight_count--;
    }
}

/* From the library, inside a read (QoS 1) or a write (QoS 0). */
static void published(struct mosquitto *client, void *arg, int mid, int code, const mosquitto_property *properties)
{
    struct sink *sink = connection_owner(arg);
    (void)client, (void)properties;
    sink->acknowledged++;
    if (code == MQTT_RC_QUOTA_EXCEEDED || code == MQTT_RC_PACKET_ID_IN_USE)
        sink->no_room = code;
    else if (!sink->no_room)
        flight_end(sink, mid, code >= MQTT_RC_UNSPECIFIED ? words_puback(code) : NULL);
}

/* Publishing. Each returns why the event can never pass, or NULL. */

static const char *topic_render(struct sink *sink, const weir_batch *batch, size_t i)
{
    size_t size = 0;
    if (sink->host->render(sink->topic, batch, i, sink->text, STRING_MAX + 1, &size) != WEIR_OK)
        return "the topic needs a field that the event does not have";
    if (size == 0)
        return "the topic is empty";
    if (size > TOPIC_MAX)
        return "the topic is longer than 65535 bytes";
    if (memchr(sink->text, '\0', size) || mosquitto_validate_utf8(sink->text, (int)size) != MOSQ_ERR_SUCCESS)
        return "the topic is not valid UTF-8, or has control characters";
    if (mosquitto_pub_topic_check(sink->text) != MOSQ_ERR_SUCCESS)
        return "the topic has a wildcard (+ or #)";
    return NULL;
}

/* A NUL-ended copy in `to`; false: MQTT cannot carry it. */
static bool string_make(weir_view view, char *to)
{
    if (view.size > STRING_MAX || (view.size && memchr(view.data, '\0', view.size)))
        return false;
    if (view.size)
        memcpy(to, view.data, view.size);
    to[view.size] = '\0';
    return mosquitto_validate_utf8(to, (int)view.size) == MOSQ_ERR_SUCCESS;
}

static const char *properties_make(struct sink *sink, const weir_event *event, mosquitto_property **properties)
{
    char *name = sink->text + STRING_MAX + 1, *value = name + STRING_MAX + 1;
    if (sink->settings.version != MQTT_5)
        return NULL;
    for (size_t i = 0; i < event->header_count; i++) {
        const weir_header *header = &event->headers[i];
        if (!string_make(header->name, name) || !string_make(header->value, value) ||
            mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, name, value) !=
                MOSQ_ERR_SUCCESS)
            return "a header is not valid UTF-8, has control characters, or is longer than 65535 bytes";
    }
    return NULL;
}

static const char *refusal(int result)
{
    switch (result) {
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_PAYLOAD_SIZE:
        return words_puback(MQTT_RC_PACKET_TOO_LARGE);
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
        return "the broker does not offer QoS 1";
    case MOSQ_ERR_RETAIN_NOT_SUPPORTED:
        return "the broker does not keep messages (retain)";
    case MOSQ_ERR_MALFORMED_UTF8:
        return "the topic is not valid UTF-8";
    default:
        return NULL;
    }
}

static int event_publish(struct sink *sink, const weir_event *event, int *mid, const char **rejected)
{
    mosquitto_property *properties = NULL;
    *rejected = event->payload.size > PAYLOAD_MAX ? refusal(MOSQ_ERR_PAYLOAD_SIZE)
                                                  : properties_make(sink, event, &properties);
    int result = MOSQ_ERR_SUCCESS;
    if (!*rejected)
        result = mosquitto_publish_v5(sink->connection.client, mid, sink->text, (int)event->payload.size,
                                      event->payload.data, (int)sink->qos, sink->retain != 0, properties);
    mosquitto_property_free_all(&properties);
    if (result != MOSQ_ERR_SUCCESS)
        *rejected = refusal(result);
    return *rejected ? MOSQ_ERR_SUCCESS : result;
}

static const char *event_refuse(struct sink *sink, const weir_batch *batch, size_t i)
{
    if (suspect_never(&sink->suspect, &batch->events[i]))
        return "the broker closes the connection each time this is published: too large for it, or not permitted";
    return topic_render(sink, batch, i);
}

/* Publishes the next event of a write. False: the connection is gone. */
static bool write_step(struct sink *sink, struct open_write *open)
{
    const weir_batch *batch = &open->write->batch;
    size_t i = open->next++;
    int mid = 0, result = MOSQ_ERR_SUCCESS;
    const char *rejected = event_refuse(sink, batch, i);
    sink->alone = !rejected && suspect_alone(&sink->suspect, &batch->events[i]);
    if (!rejected)
        result = event_publish(sink, &batch->events[i], &mid, &rejected);
    if (result != MOSQ_ERR_SUCCESS) {
        connection_fail(&sink->connection, "cannot publish: %s", mosquitto_strerror(result));
        return false;
    }
    if (rejected) {
        answer(sink, open, i, rejected);
        return true;
    }
    size_t last = (sink->flight_first + sink->flight_count++) % FLIGHT_MAX;
    sink->flights[last] = (struct flight){open, i, mid};
    return true;
}

/* May the next event of the write be published now? */
static bool write_may(const struct sink *sink, const struct open_write *open)
{
    if (open->next == open->write->batch.count || sink->alone)
        return false;
    bool alone = suspect_alone(&sink->suspect, &open->write->batch.events[open->next]);
    return sink->flight_count < (alone ? 1 : FLIGHT_MAX);
}

static bool line_publish(struct sink *sink)
{
    if (sink->connection.state != CONNECTION_OPEN)
        return true;
    for (size_t i = 0; i < sink->line_count; i++) {
        struct open_write *open = line_at(sink, i);
        while (write_may(sink, open)) {
            if (!write_step(sink, open))
                return false;
        }
    }
    return connection_flush(&sink->connection);
}

static weir_write *line_pop(struct sink *sink)
{
    weir_write *write = line_at(sink, 0)->write;
    sink->line_first = (sink->line_first + 1) % WRITES_MAX;
    sink->line_count--;
    return write;
}

/* Answering a write may bring the next one at once, which only gets into the line. */
static void line_go(struct sink *sink)
{
    bool answered = true;
    if (sink->working)
        return;
    sink->working = true;
    while (answered && line_publish(sink)) {
        answered = false;
        while (sink->line_count && line_at(sink, 0)->left == 0) {
            answered = true;
            sink->host->write_done(sink->host, line_pop(sink), WEIR_OK, NULL);
        }
    }
    sink->working = false;
}

static void sink_write(void *state, weir_write *write)
{
    struct sink *sink = state;
    struct open_write *open = line_at(sink, sink->line_count);
    size_t count = write->batch.count;
    if (open->room < count) {
        uint8_t *answers = realloc(open->answers, count);
        if (!answers) {
            sink->host->write_done(sink->host, write, WEIR_RETRY, "out of memory");
            return;
        }
        open->answers = answers;
        open->room = count;
    }
    if (count)
        memset(open->answers, ANSWER_NONE, count);
    open->write = write;
    open->next = 0;
    open->left = count;
    sink->line_count++;
    line_go(sink);
}

/* The connection. */

static void sink_prepare(void *owner, struct mosquitto *client)
{
    (void)owner;
    mosquitto_publish_v5_callback_set(client, published);
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, FLIGHT_MAX);
}

static void sink_opened(void *owner, bool session_present)
{
    (void)session_present;
    line_go(owner);
}

static void sink_readable(void *owner)
{
    struct sink *sink = owner;
    size_t seen;
    do {
        seen = sink->acknowledged;
        if (!connection_read(&sink->connection))
            return;
    } while (!sink->no_room && (sink->acknowledged != seen || connection_pending(&sink->connection)));
    if (sink->no_room)
        connection_fail(&sink->connection, "%s", words_puback(sink->no_room));
    else
        line_go(sink);
}

/* What stands behind an event that is not confirmed is not confirmed either. */
static void write_retry(struct sink *sink, bool first, const char *reason)
{
    struct open_write *open = line_at(sink, 0);
    for (size_t i = 0; first && i < open->next; i++) {
        if (open->answers[i] == ANSWER_OK)
            sink->host->write_event(sink->host, open->write, i, WEIR_OK, NULL);
        first = open->answers[i] != ANSWER_NONE;
    }
    sink->host->write_done(sink->host, line_pop(sink), WEIR_RETRY, reason);
}

static void sink_lost(void *owner, const char *reason)
{
    struct sink *sink = owner;
    bool working = sink->working, first = true;
    sink->working = true;
    if (sink->flight_count && !sink->no_room) {
        const struct flight *flight = &sink->flights[sink->flight_first];
        suspect_lost(&sink->suspect, &flight->of->write->batch.events[flight->index]);
    }
    sink->flight_count = 0;
    sink->alone = false;
    sink->no_room = 0;
    for (size_t count = sink->line_count; count; count--) {
        if (line_at(sink, 0)->left == 0 && first) {
            sink->host->write_done(sink->host, line_pop(sink), WEIR_OK, NULL);
            continue;
        }
        write_retry(sink, first, reason);
        first = false;
    }
    sink->working = working;
}

static void sink_closed(void *owner)
{
    struct sink *sink = owner;
    sink->host->stopped(sink->host);
}

static const struct connection_ops sink_connection = {
    .prepare = sink_prepare,
    .opened = sink_opened,
    .readable = sink_readable,
    .lost = sink_lost,
    .closed = sink_closed,
};

/* Life. */

/* A topic that needs nothing of an event is the same for all, so what is wrong with it is wrong with the file. */
static int topic_check(struct sink *sink)
{
    const weir_event nothing = {.time_us = 0};
    const weir_batch batch = {.size = sizeof batch, .events = &nothing, .count = 1};
    size_t size;
    if (sink->host->render(sink->topic, &batch, 0, sink->text, STRING_MAX + 1, &size) != WEIR_OK)
        return WEIR_OK;
    const char *why = topic_render(sink, &batch, 0);
    return why ? sink->host->refuse(sink->host, "topic", "no event can be published: %s", why) : WEIR_OK;
}

static int sink_init(void *state, const weir_host *host)
{
    struct sink *sink = state;
    sink->host = host;
    mosquitto_lib_init();
    sink->library = true;
    int result = settings_init(&sink->settings, host, "out");
    if (result != WEIR_OK)
        return result;
    if (sink->qos == 2)
        return host->refuse(host, "qos", "2 is not offered; set 1, which confirms each event");
    sink->text = malloc(3 * (STRING_MAX + 1));
    if (!sink->text)
        return WEIR_NOMEM;
    result = topic_check(sink);
    if (result != WEIR_OK)
        return result;
    sink->connection.host = host;
    sink->connection.settings = &sink->settings;
    sink->connection.ops = &sink_connection;
    sink->connection.owner = sink;
    sink->connection.clean = true;
    return connection_init(&sink->connection);
}

static int sink_start(void *state)
{
    struct sink *sink = state;
    connection_start(&sink->connection);
    return WEIR_OK;
}

static void sink_stop(void *state)
{
    struct sink *sink = state;
    connection_stop(&sink->connection);
}

static void sink_fini(void *state)
{
    struct sink *sink = state;
    connection_fini(&sink->connection);
    settings_fini(&sink->settings);
    for (size_t i = 0; i < WRITES_MAX; i++)
        free(sink->line[i].answers);
    free(sink->text);
    if (sink->library)
        mosquitto_lib_cleanup();
}

static const weir_option sink_options[] = {
    SETTINGS_ROWS("How the broker knows this client, which must be the only one of that name; default: "
                  "weir-STORE_ID-NAME-out."),
    {.name = "topic",
     .type = WEIR_OPTION_TEMPLATE,
     .flags = WEIR_OPTION_REQUIRED,
     .offset = offsetof(struct sink, topic),
     .help = "Where to publish an event."},
    {.name = "qos",
     .type = WEIR_OPTION_INT,
     .fallback = "1",
     .max = 2,
     .offset = offsetof(struct sink, qos),
     .help = "1: confirmed by the broker; 0: confirmed when written to the connection, and may be lost; 2 is an "
             "error."},
    {.name = "retain",
     .type = WEIR_OPTION_BOOL,
     .fallback = "false",
     .offset = offsetof(struct sink, retain),
     .help = "The broker keeps the last message of each topic for later subscribers."},
    {0}};

extern const weir_sink_ops sink_mqtt;
const weir_sink_ops sink_mqtt = {
    .size = sizeof sink_mqtt,
    .type = "mqtt",
    .summary = "Publishes events to an MQTT broker; headers become user properties (MQTT 5).",
    .options = sink_options,
    .state_size = sizeof(struct sink),
    .flags = WEIR_SINK_ORDERED,
    .writes_max = WRITES_MAX,
    .init = sink_init,
    .start = sink_start,
    .write = sink_write,
    .stop = sink_stop,
    .fini = sink_fini,
};
