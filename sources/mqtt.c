/* module: mqtt libs: libmosquitto openssl */
/* mqtt.c: the source `mqtt`: subscribes, and acknowledges a message when weir has it for good.
 *
 * The normal path:
 *   1. start opens the shard; the first credit connects, with a session that the broker keeps.
 *   2. Each filter is subscribed to at QoS 1, in a packet of its own.
 *   3. When there is something to read: read until nothing is left, credit is used up, or receive_maximum messages
 *      are here; emit them as one block. libmosquitto has queued an acknowledgement for each by then.
 *   4. Nothing is read or written until weir settles the block, after its commit, whatever became of it.
 *   5. Then one write lets all the acknowledgements leave, and reading goes on.
 * How it fails: a lost connection destroys what is queued, so a message that was not settled comes again, and one
 * that was settled and not acknowledged comes twice. A refused subscription is an error in the log and is asked for
 * again; the other filters go on. A session that the broker forgot is told and counted: what was published
 * meanwhile is gone. Without credit nothing is read; see connection_reading. */
#include <stdlib.h>
#include <string.h>

#include "mqtt/connection.h"
#include "mqtt/hold.h"
#include "mqtt/words.h"

#define SECOND_US INT64_C(1000000)
#define HELD_LONG_US (10 * SECOND_US)
#define ASK_AGAIN_US (30 * SECOND_US)

enum { RETAINED_ACCEPT, RETAINED_IGNORE };

struct filter {
    const char *text;
    int mid; /* of the SUBSCRIBE that is open; 0: none */
    bool refused;
};

struct source {
    struct settings settings; /* first: see settings.h */
    weir_list topics;
    int64_t qos, session_expiry_us, receive_maximum, retained;
    const weir_host *host;
    struct connection connection;
    struct hold hold;
    struct filter *filters;
    weir_shard *shard;
    weir_timer *alarm, *again;
    size_t want_events, want_bytes, seen;
    int64_t held_since_us;
    bool library, unsettled, alarmed, stopping;
    bool had_session, no_memory;
    bool ran_before; /* an earlier run stored events, so it had a session */
};

/* Callbacks of the library, inside connection_read. */

static bool headers_take(struct source *source, const mosquitto_property *properties)
{
    char *name = NULL, *value = NULL;
    bool kept = true, skip = false;
    while ((properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value,
                                                             skip)) != NULL) {
        weir_view name_view = {name, strlen(name)}, value_view = {value, strlen(value)};
        kept = kept && hold_header(&source->hold, name_view, value_view);
        free(name);
        free(value);
        name = value = NULL;
        skip = true;
    }
    return kept;
}

static void message_came(struct mosquitto *client, void *arg, const struct mosquitto_message *message,
                         const mosquitto_property *properties)
{
    struct source *source = connection_owner(arg);
    weir_view topic = {message->topic, strlen(message->topic)};
    weir_view payload = {message->payload, (size_t)message->payloadlen};
    (void)client;
    source->seen++;
    if (message->retain && source->retained == RETAINED_IGNORE) {
        source->host->stat_add(source->host, "retained_ignored_total", 1);
        return;
    }
    if ((properties && !headers_take(source, properties)) || !hold_message(&source->hold, topic, payload))
        source->no_memory = true;
}

static void filter_answered(struct source *source, struct filter *filter, int code)
{
    const weir_host *host = source->host;
    filter->mid = 0;
    filter->refused = code >= 0x80;
    if (filter->refused) {
        host->stat_add(host, "subscriptions_refused_total", 1);
        host->log(host, WEIR_LOG_ERROR, "the broker refuses the subscription to %s: %s", filter->text,
                  words_suback((int)source->settings.version, code));
        host->timer_set(source->again, ASK_AGAIN_US);
    } else if (code < source->qos) {
        host->log(host, WEIR_LOG_WARN, "the broker grants only QoS %d for %s: a message may be lost on its way",
                  code, filter->text);
    } else {
        host->stat_add(host, "subscriptions_total", 1);
        host->log(host, WEIR_LOG_DEBUG, "subscribed to %s", filter->text);
    }
}

static void filters_told(const struct source *source)
{
    size_t open = 0, refused = 0, count = source->topics.count;
    for (size_t i = 0; i < count; i++) {
        open += source->filters[i].mid != 0;
        refused += source->filters[i].refused;
    }
    if (open == 0)
        source->host->log(source->host, WEIR_LOG_INFO, "subscribed to %zu of %zu topic filters", count - refused,
                          count);
}

static void subscribed(struct mosquitto *client, void *arg, int mid, int count, const int *codes,
                       const mosquitto_property *properties)
{
    struct source *source = connection_owner(arg);
    (void)client, (void)properties;
    source->seen++;
    for (size_t i = 0; i < source->topics.count; i++) {
        if (source->filters[i].mid == mid && count > 0)
            filter_answered(source, &source->filters[i], codes[0]);
    }
    filters_told(source);
}

/* Subscribing. */

/* Retained messages come when a subscription is new, not with each reconnect; MQTT 3.1.1 cannot say so. */
static int subscribe_options(const struct source *source)
{
    if (source->settings.version != MQTT_5)
        return 0;
    return source->retained == RETAINED_IGNORE ? MQTT_SUB_OPT_SEND_RETAIN_NEVER : MQTT_SUB_OPT_SEND_RETAIN_NEW;
}

static void subscribe(struct source *source, bool refused_only)
{
    for (size_t i = 0; i < source->topics.count; i++) {
        struct filter *filter = &source->filters[i];
        if (refused_only && !filter->refused)
            continue;
        filter->refused = false;
        int result = mosquitto_subscribe_v5(source->connection.client, &filter->mid, filter->text, (int)source->qos,
                                            subscribe_options(source), NULL);
        if (result != MOSQ_ERR_SUCCESS) {
            connection_fail(&source->connection, "cannot subscribe to %s: %s", filter->text,
                            mosquitto_strerror(result));
            return;
        }
    }
}

static void ask_again(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    if (source->connection.state != CONNECTION_OPEN)
        return;
    subscribe(source, true);
    connection_flush(&source->connection);
}

/* Reading, holding, settling. */

static void alarm_due(void *state, void *arg)
{
    struct source *source = state;
    const weir_host *host = source->host;
    int64_t held = host->mono_us(host) - source->held_since_us;
    (void)arg;
    source->alarmed = false;
    if (!source->unsettled)
        return;
    if (held >= HELD_LONG_US) {
        host->stat_add(host, "held_long_total", 1);
        host->log(
            host, WEIR_LOG_WARN,
            "acknowledgements are held for %d s, since what was read is not yet stored; after keep_alive (%d s) "
            "the broker disconnects: look at the disk",
            (int)(held / SECOND_US), source->connection.keep_alive_s);
    }
    source->alarmed = true;
    host->timer_set(source->alarm, held >= HELD_LONG_US ? HELD_LONG_US : HELD_LONG_US - held);
}

static void held_begin(struct source *source)
{
    const weir_host *host = source->host;
    source->unsettled = true;
    source->held_since_us = host->mono_us(host);
    connection_hold(&source->connection);
    if (!source->alarmed)
        host->timer_set(source->alarm, HELD_LONG_US);
    source->alarmed = true;
}

static void less(size_t *credit, size_t used)
{
    *credit -= used < *credit ? used : *credit;
}

static void credit_use(struct source *source)
{
    less(&source->want_events, source->hold.count);
    less(&source->want_bytes, source->hold.credit);
    connection_reading(&source->connection, source->want_events && source->want_bytes);
}

static void source_emit(struct source *source)
{
    const weir_host *host = source->host;
    weir_emit emit = {.size = sizeof emit, .count = source->hold.count};
    emit.events = hold_events(&source->hold, host->wall_us(host));
    held_begin(source);
    credit_use(source);
    int result = host->emit(host, source->shard, &emit);
    if (result != WEIR_OK) {
        source->unsettled = false;
        connection_fail(&source->connection, "weir could not take %zu messages (%d); they come again", emit.count,
                        result);
    }
    hold_clear(&source->hold);
}

/* More of it may be here: the last call brought something, and there is room. */
static bool more(const struct source *source, size_t seen, size_t most)
{
    return (source->seen != seen || connection_pending(&source->connection)) && source->hold.count < most &&
           source->hold.credit < source->want_bytes && !source->no_memory;
}

static void source_readable(void *owner)
{
    struct source *source = owner;
    size_t seen, most = (size_t)source->receive_maximum;
    if (source->want_events < most)
        most = source->want_events;
    do {
        seen = source->seen;
        if (!connection_read(&source->connection))
            return;
    } while (more(source, seen, most));
    if (source->no_memory)
        connection_fail(&source->connection, "out of memory for what was read; it comes again");
    else if (source->hold.count)
        source_emit(source);
}

static void source_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct source *source = state;
    (void)shard, (void)first, (void)last, (void)how;
    if (!source->unsettled)
        return;
    source->unsettled = false;
    connection_release(&source->connection);
}

static void source_want(void *state, size_t events, size_t bytes)
{
    struct source *source = state;
    source->want_events = events;
    source->want_bytes = bytes;
    connection_reading(&source->connection, events && bytes);
    if (events && bytes && !source->stopping)
        connection_start(&source->connection);
}

/* The connection. */

static void source_prepare(void *owner, struct mosquitto *client)
{
    (void)owner;
    mosquitto_message_v5_callback_set(client, message_came);
    mosquitto_subscribe_v5_callback_set(client, subscribed);
}

static void source_opened(void *owner, bool session_present)
{
    struct source *source = owner;
    const weir_host *host = source->host;
    if (session_present)
        host->stat_add(host, "sessions_resumed_total", 1);
    if ((source->had_session || source->ran_before) && !session_present) {
        host->stat_add(host, "sessions_lost_total", 1);
        host->log(
            host, WEIR_LOG_ERROR,
            "the broker has forgotten the session of %s: what was published since the connection was lost did "
            "not arrive; look at its persistence, and at session_expiry",
            source->settings.id);
    }
    /* A session of ours that is still there has the subscriptions; MQTT 3.1.1 would send retained messages again.
     */
    bool there = source->had_session && session_present;
    source->had_session = true;
    source->ran_before = false;
    subscribe(source, there);
}

static void source_lost(void *owner, const char *reason)
{
    struct source *source = owner;
    (void)reason;
    hold_clear(&source->hold);
    source->no_memory = false;
    for (size_t i = 0; i < source->topics.count; i++) {
        source->filters[i].refused |= source->filters[i].mid != 0; /* not answered: asked for again */
        source->filters[i].mid = 0;
    }
}

static void source_closed(void *owner)
{
    struct source *source = owner;
    source->host->stopped(source->host);
}

static const struct connection_ops source_connection = {
    .prepare = source_prepare,
    .opened = source_opened,
    .readable = source_readable,
    .lost = source_lost,
    .closed = source_closed,
};

/* Life. */

static int filters_init(struct source *source)
{
    source->filters = calloc(source->topics.count + 1, sizeof *source->filters);
    if (!source->filters)
        return WEIR_NOMEM;
    for (size_t i = 0; i < source->topics.count; i++) {
        const char *text = source->topics.items[i];
        source->filters[i].text = text;
        if (!text[0] || mosquitto_sub_topic_check(text) != MOSQ_ERR_SUCCESS ||
            mosquitto_validate_utf8(text, (int)strlen(text)) != MOSQ_ERR_SUCCESS)
            return source->host->refuse(source->host, "topics",
                                        "\"%s\" is no topic filter: + stands for one whole level, # for all that "
                                        "follow and only at the end",
                                        text);
    }
    return WEIR_OK;
}

static int options_check(struct source *source)
{
    const weir_host *host = source->host;
    if (source->qos == 2)
        return host->refuse(host, "qos",
                            "2 would be no safer than 1 and is not offered; set 1, what is published at QoS 2 then "
                            "arrives at QoS 1");
    return filters_init(source);
}

static int source_init(void *state, const weir_host *host)
{
    struct source *source = state;
    source->host = host;
    mosquitto_lib_init();
    source->library = true;
    int result = settings_init(&source->settings, host, "in");
    if (result == WEIR_OK)
        result = options_check(source);
    if (result != WEIR_OK)
        return result;
    source->connection.host = host;
    source->connection.settings = &source->settings;
    source->connection.ops = &source_connection;
    source->connection.owner = source;
    source->connection.in_turn = true;
    source->connection.session_expiry_s = (uint32_t)(source->session_expiry_us / SECOND_US);
    source->connection.receive_maximum = (uint16_t)source->receive_maximum;
    source->alarm = host->timer_new(host, alarm_due, NULL);
    source->again = host->timer_new(host, ask_again, NULL);
    result = connection_init(&source->connection);
    return source->alarm && source->again ? result : WEIR_NOMEM;
}

static int source_start(void *state)
{
    struct source *source = state;
    weir_view name = {"mqtt", 4};
    weir_resume resume = {.size = sizeof resume};
    connection_reading(&source->connection, false);
    int result = source->host->shard_open(source->host, name, 1, &resume, &source->shard);
    source->ran_before = result == WEIR_OK && resume.known;
    return result;
}

static void source_stop(void *state)
{
    struct source *source = state;
    source->stopping = true;
    source->host->timer_set(source->alarm, -1);
    source->host->timer_set(source->again, -1);
    connection_stop(&source->connection);
}

static void source_fini(void *state)
{
    struct source *source = state;
    connection_fini(&source->connection);
    settings_fini(&source->settings);
    hold_fini(&source->hold);
    free(source->filters);
    if (source->library)
        mosquitto_lib_cleanup();
}

static const char *const retained_words[] = {"accept", "ignore", NULL};
static const weir_option source_options[] = {
    SETTINGS_ROWS("The name of the session at the broker, for one client only; default: weir-STORE_ID-NAME-in."),
    {.name = "topics",
     .type = WEIR_OPTION_LIST,
     .flags = WEIR_OPTION_REQUIRED,
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct source, topics),
     .help = "Topic filters to subscribe to."},
    {.name = "qos",
     .type = WEIR_OPTION_INT,
     .fallback = "1",
     .max = 2,
     .offset = offsetof(struct source, qos),
     .help = "1: at least once; 0: may lose messages until they arrive here; 2 is an error."},
    {.name = "session_expiry",
     .type = WEIR_OPTION_DURATION,
     .fallback = "1d",
     .min = INT64_C(1000000),
     .max = INT64_C(4294967294000000),
     .offset = offsetof(struct source, session_expiry_us),
     .help = "How long the broker keeps messages for us while we are away (MQTT 5; whole seconds)."},
    {.name = "receive_maximum",
     .type = WEIR_OPTION_INT,
     .fallback = "1000",
     .min = 1,
     .max = 65535,
     .offset = offsetof(struct source, receive_maximum),
     .help = "Messages that may be here without acknowledgement; more than some thousand is slow."},
    {.name = "retained",
     .type = WEIR_OPTION_CHOICE,
     .choices = retained_words,
     .fallback = "accept",
     .offset = offsetof(struct source, retained),
     .help = "What to do with messages that were published before and kept by the broker."},
    {0}};

static const weir_source_ops source_mqtt = {
    .size = sizeof source_mqtt,
    .type = "mqtt",
    .summary = "Messages of an MQTT broker, acknowledged once they are stored.",
    .options = source_options,
    .state_size = sizeof(struct source),
    .init = source_init,
    .start = source_start,
    .want = source_want,
    .settle = source_settle,
    .stop = source_stop,
    .fini = source_fini,
};

extern const weir_sink_ops sink_mqtt; /* sinks/mqtt.c */
static const weir_source_ops *const sources[] = {&source_mqtt, NULL};
static const weir_sink_ops *const sinks[] = {&sink_mqtt, NULL};

WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof weir_module,
    .name = "mqtt",
    .version = WEIR_VERSION,
    .sources = sources,
    .sinks = sinks,
};
