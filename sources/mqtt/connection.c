/* module: mqtt libs: libmosquitto openssl */
/* connection.c: see connection.h.
 *
 * The normal path:
 *   1. connection_start: a new handle; a helper resolves the name and connects, since libmosquitto blocks in both.
 *   2. Back on the loop: TLS goes on, CONNECT is written, CONNACK is awaited (10 s), the owner is told.
 *   3. The descriptor is watched; the owner reads, what is queued is written when it is not held.
 *   4. One timer, due when the older of the last read and write is a keep-alive old, lets libmosquitto ping.
 *   5. connection_stop: DISCONNECT, then the broker's end is awaited (3 s), so that a reset cannot overtake what
 *      was written.
 * How it fails: anything wrong destroys the handle, which writes nothing more; the next attempt follows after a
 * random time below 100 ms, doubled each time up to 10 s, with a new handle, since a reconnect of the old one would
 * forget the session expiry. The count starts anew after 5 s of being open. Each cause is told once a minute. */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reason.h"

#define SECOND_US INT64_C(1000000)
#define OPEN_US (10 * SECOND_US)
#define STABLE_US (5 * SECOND_US)
#define CLOSE_US (3 * SECOND_US)
#define BACKOFF_US INT64_C(100000)
#define BACKOFF_MAX_US (10 * SECOND_US)
#define LOG_AGAIN_US (60 * SECOND_US)
#define HELD_AGAIN_US INT64_C(100000)

static void connection_connect(struct connection *connection);
static void connection_ready(void *state, void *arg, int events);

static int64_t now_us(const struct connection *connection)
{
    return connection->host->mono_us(connection->host);
}

static uint64_t random_below(struct connection *connection, uint64_t bound)
{
    uint64_t x = connection->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    connection->random = x;
    return x % bound;
}

/* The library's callbacks run inside its calls: they only note. */

static void answered(struct mosquitto *client, void *arg, int code, int flags, const mosquitto_property *properties)
{
    struct connection *connection = arg;
    uint16_t keep_alive;
    (void)client;
    connection->refusal = code;
    connection->answered = code == 0;
    connection->session_present = flags & 1;
    if (mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keep_alive, false) && keep_alive)
        connection->keep_alive_s = keep_alive;
}

static void ended(struct mosquitto *client, void *arg, int code, const mosquitto_property *properties)
{
    struct connection *connection = arg;
    (void)client, (void)properties;
    if (code >= MQTT_RC_UNSPECIFIED)
        connection->goodbye = code;
}

static void library_log(struct mosquitto *client, void *arg, int level, const char *text)
{
    struct connection *connection = arg;
    (void)client;
    if (level == MOSQ_LOG_ERR && strncmp(text, "OpenSSL", 7) == 0)
        snprintf(connection->tls_text, sizeof connection->tls_text, "%s", text);
}

static void failure_log(struct connection *connection, const char *reason)
{
    const weir_host *host = connection->host;
    int64_t now = now_us(connection);
    bool told = strcmp(connection->logged, reason) == 0 && now - connection->logged_us < LOG_AGAIN_US;
    host->log(host, told ? WEIR_LOG_DEBUG : WEIR_LOG_WARN, "%s %s:%d: %s",
              connection->state == CONNECTION_OPEN ? "lost the connection to" : "cannot connect to",
              connection->settings->host, connection->settings->port, reason);
    if (told)
        return;
    snprintf(connection->logged, sizeof connection->logged, "%s", reason);
    connection->logged_us = now;
}

/* The descriptor may be closed already; nobody but the loop watches it, so its number is not yet watched again. */
static void client_drop(struct connection *connection)
{
    if (connection->watch)
        connection->host->watch_stop(connection->watch);
    connection->watch = NULL;
    if (connection->client)
        mosquitto_destroy(connection->client);
    connection->client = NULL;
}

static void retry_later(struct connection *connection)
{
    int64_t most = BACKOFF_US << (connection->attempts < 10 ? connection->attempts : 10);
    if (most > BACKOFF_MAX_US)
        most = BACKOFF_MAX_US;
    connection->attempts++;
    connection->state = CONNECTION_WAITING;
    connection->host->timer_set(connection->timer, (int64_t)random_below(connection, (uint64_t)most));
}

static void connection_lost(struct connection *connection, const char *reason)
{
    const weir_host *host = connection->host;
    bool open = connection->state == CONNECTION_OPEN;
    failure_log(connection, reason);
    client_drop(connection);
    host->timer_set(connection->ping, -1);
    host->stat_add(host, open ? "connections_lost_total" : "connection_failures_total", 1);
    if (open && now_us(connection) - connection->opened_us >= STABLE_US)
        connection->attempts = 0;
    connection->held = false;
    retry_later(connection);
    connection->ops->lost(connection->owner, reason);
}

void connection_fail(struct connection *connection, const char *format, ...)
{
    char reason[CONNECTION_REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    connection_lost(connection, reason);
}

/* After each call of the library. False: the handle is gone. */
static bool connection_lives(struct connection *connection, int result, int error)
{
    char reason[CONNECTION_REASON_MAX];
    if (result == MOSQ_ERR_SUCCESS && mosquitto_socket(connection->client) >= 0)
        return true;
    reason_lost(connection, result, error, reason);
    connection_lost(connection, reason);
    return false;
}

static void connection_watch(struct connection *connection)
{
    const weir_host *host = connection->host;
    int events = 0;
    if (!connection->held && mosquitto_want_write(connection->client))
        events |= WEIR_WRITABLE;
    if (connection->state == CONNECTION_OPENING || (connection->reading && !connection->held))
        events |= connection->in_turn && events ? 0 : WEIR_READABLE;
    if (connection->held)
        events = 0;
    weir_watch *watch = host->watch_fd(host, connection->fd, events, connection_ready, connection);
    if (watch)
        connection->watch = watch;
    else if (events)
        connection_fail(connection, "the descriptor cannot be watched: out of memory");
}

bool connection_flush(struct connection *connection)
{
    int on = 1, off = 0;
    if (connection->held || !connection->client || connection->state < CONNECTION_OPENING)
        return connection->client != NULL;
    if (mosquitto_want_write(connection->client)) {
        bool opening = connection->state == CONNECTION_OPENING && connection->settings->secure;
        struct tls_ear ear = opening ? tls_listen(connection->client) : (struct tls_ear){.fd = -1};
        /* The library writes each packet by itself; corked, many of them share a segment. */
        setsockopt(connection->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
        errno = 0;
        int result = mosquitto_loop_write(connection->client, 1), error = errno;
        tls_heard(&ear, result != MOSQ_ERR_SUCCESS, connection->tls_text);
        if (!connection_lives(connection, result, error))
            return false;
        setsockopt(connection->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
        connection->out_us = now_us(connection);
    }
    connection_watch(connection);
    return connection->client != NULL;
}

bool connection_read(struct connection *connection)
{
    errno = 0;
    int result = mosquitto_loop_read(connection->client, 1), error = errno;
    return connection_lives(connection, result, error);
}

bool connection_pending(const struct connection *connection)
{
    return connection->settings->secure && tls_pending(connection->client) > 0;
}

static void keep_alive_arm(struct connection *connection, int64_t now)
{
    int64_t older = connection->in_us < connection->out_us ? connection->in_us : connection->out_us;
    int64_t due = older + connection->keep_alive_s * SECOND_US - now;
    connection->host->timer_set(connection->ping, due > 0 ? due : 0);
}

static void connection_opened(struct connection *connection)
{
    const weir_host *host = connection->host;
    const struct settings *settings = connection->settings;
    connection->state = CONNECTION_OPEN;
    connection->opened_us = connection->in_us = connection->out_us = now_us(connection);
    connection->pinged = false;
    connection->logged[0] = '\0';
    host->timer_set(connection->timer, -1);
    keep_alive_arm(connection, connection->in_us);
    host->stat_add(host, "connects_total", 1);
    host->log(host, WEIR_LOG_INFO, "connected to %s:%d by MQTT %s%s as %s%s", settings->host, settings->port,
              settings_versions[settings->version], settings->secure ? " and TLS" : "", settings->id,
              connection->clean             ? ""
              : connection->session_present ? ", session resumed"
                                            : ", new session");
    connection->ops->opened(connection->owner, connection->session_present);
}

/* The broker has shut its side down and nothing is left to read: a half-done TLS handshake does not notice. */
static bool closed_early(const struct connection *connection)
{
    char byte;
    return connection->state == CONNECTION_OPENING && !connection->answered &&
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void connection_ready(void *state, void *arg, int events)
{
    struct connection *connection = arg;
    (void)state;
    if ((events & WEIR_READABLE) && !connection->held) {
        connection->in_us = now_us(connection);
        connection->ops->readable(connection->owner);
        if (connection->client && closed_early(connection))
            connection_lives(connection, MOSQ_ERR_CONN_LOST, 0);
        if (connection->client && connection->state == CONNECTION_OPENING && connection->answered)
            connection_opened(connection);
    }
    if (connection->client && connection->held)
        connection_watch(connection);
    else
        connection_flush(connection);
}

static void connect_job(void *state, void *arg)
{
    struct connection *connection = arg;
    const struct settings *settings = connection->settings;
    mosquitto_property *properties = NULL;
    (void)state;
    errno = 0;
    if (settings->version == MQTT_5 && connection->session_expiry_s)
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, connection->session_expiry_s);
    connection->result = mosquitto_connect_bind_v5(connection->client, settings->host, settings->port,
                                                   connection->keep_alive_s, NULL, properties);
    connection->error = errno;
    mosquitto_property_free_all(&properties);
}

static void connect_done(void *state, void *arg)
{
    struct connection *connection = arg;
    char reason[CONNECTION_REASON_MAX];
    (void)state;
    if (connection->stopping) {
        client_drop(connection);
        return;
    }
    if (connection->result != MOSQ_ERR_SUCCESS) {
        reason_unreachable(connection, reason);
        connection_lost(connection, reason);
        return;
    }
    /* A peer that went away without a word is noticed half a keep-alive after something was written to it. */
    unsigned patience_ms = (unsigned)connection->keep_alive_s * 500;
    connection->fd = mosquitto_socket(connection->client);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
    connection->state = CONNECTION_OPENING;
    connection->host->timer_set(connection->timer, OPEN_US);
    connection_flush(connection);
}

static int client_set(struct connection *connection, struct mosquitto *client)
{
    const struct settings *settings = connection->settings;
    int version = settings->version == MQTT_5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
    int result = mosquitto_threaded_set(client, true);
    if (result == MOSQ_ERR_SUCCESS)
        result = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);
    if (result == MOSQ_ERR_SUCCESS)
        result = mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    if (result == MOSQ_ERR_SUCCESS && connection->receive_maximum)
        result = mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, connection->receive_maximum);
    if (result == MOSQ_ERR_SUCCESS && (settings->user || settings->secret))
        result = mosquitto_username_pw_set(client, settings->user, settings->secret);
    if (result == MOSQ_ERR_SUCCESS && settings->secure)
        result = tls_use(settings->secure, client);
    mosquitto_connect_v5_callback_set(client, answered);
    mosquitto_disconnect_v5_callback_set(client, ended);
    mosquitto_log_callback_set(client, library_log);
    return result;
}

static void connection_connect(struct connection *connection)
{
    connection->refusal = connection->goodbye = 0;
    connection->answered = connection->session_present = false;
    connection->tls_text[0] = '\0';
    connection->keep_alive_s = (int)(connection->settings->keep_alive_us / SECOND_US);
    if (connection->settings->secure)
        tls_forget(connection->settings->secure);
    connection->state = CONNECTION_CONNECTING;
    connection->client = mosquitto_new(connection->settings->id, connection->clean, connection);
    int result = connection->client ? client_set(connection, connection->client) : MOSQ_ERR_NOMEM;
    if (result != MOSQ_ERR_SUCCESS) {
        connection_fail(connection, "the client library cannot be set up: %s", mosquitto_strerror(result));
        return;
    }
    connection->ops->prepare(connection->owner, connection->client);
    if (connection->host->offload(connection->host, connect_job, connect_done, connection) != WEIR_OK)
        connection_fail(connection, "no helper thread is free");
}

static void closing_end(struct connection *connection)
{
    const weir_host *host = connection->host;
    if (connection->watch)
        host->watch_stop(connection->watch);
    connection->watch = NULL;
    if (connection->closing_fd > 0)
        close(connection->closing_fd);
    connection->closing_fd = 0;
    host->timer_set(connection->timer, -1);
    connection->state = CONNECTION_CLOSED;
    connection->ops->closed(connection->owner);
}

static void closing_ready(void *state, void *arg, int events)
{
    struct connection *connection = arg;
    char bytes[4096];
    (void)state, (void)events;
    ssize_t got = recv(connection->closing_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        closing_end(connection);
}

static void timer_due(void *state, void *arg)
{
    struct connection *connection = arg;
    (void)state;
    if (connection->state == CONNECTION_CLOSING)
        closing_end(connection);
    else if (connection->state == CONNECTION_OPENING)
        connection_fail(connection, "the broker did not answer within %d s", (int)(OPEN_US / SECOND_US));
    else if (connection->state == CONNECTION_WAITING && connection->wanted)
        connection_connect(connection);
    else if (connection->state == CONNECTION_WAITING)
        connection->state = CONNECTION_IDLE;
}

/* Not reading means that the answer to a ping is not read either, so there is only one: then the session waits at
 * the broker, which keeps what is published either way. */
static void park(struct connection *connection)
{
    connection->wanted = false;
    connection_fail(connection, "no room for more events for %d s: disconnected until there is",
                    2 * connection->keep_alive_s);
}

static void ping_due(void *state, void *arg)
{
    struct connection *connection = arg;
    const weir_host *host = connection->host;
    int64_t now = now_us(connection), alive_us = connection->keep_alive_s * SECOND_US;
    (void)state;
    if (connection->state != CONNECTION_OPEN)
        return;
    if (connection->held) {
        host->timer_set(connection->ping, HELD_AGAIN_US);
        return;
    }
    if (now - connection->in_us < alive_us && now - connection->out_us < alive_us) {
        keep_alive_arm(connection, now);
        return;
    }
    if (!connection->reading && connection->pinged) {
        park(connection);
        return;
    }
    connection->pinged = !connection->reading;
    errno = 0;
    int result = mosquitto_loop_misc(connection->client);
    if (result == MOSQ_ERR_CONN_LOST || result == MOSQ_ERR_KEEPALIVE) {
        connection_fail(connection, "the broker gave no sign of life for %d s", connection->keep_alive_s);
        return;
    }
    connection->in_us = connection->out_us = now;
    if (connection_lives(connection, result, errno) && connection_flush(connection))
        keep_alive_arm(connection, now);
}

int connection_init(struct connection *connection)
{
    const weir_host *host = connection->host;
    connection->reading = true;
    if (getrandom(&connection->random, sizeof connection->random, GRND_NONBLOCK) < 0 || !connection->random)
        connection->random = (uint64_t)now_us(connection) | 1;
    connection->timer = host->timer_new(host, timer_due, connection);
    connection->ping = host->timer_new(host, ping_due, connection);
    return connection->timer && connection->ping ? WEIR_OK : WEIR_NOMEM;
}

void connection_start(struct connection *connection)
{
    connection->wanted = true;
    if (connection->state == CONNECTION_IDLE)
        connection_connect(connection);
}

void connection_reading(struct connection *connection, bool reading)
{
    if (connection->reading == reading)
        return;
    connection->reading = reading;
    if (reading)
        connection->pinged = false;
    if (connection->client && connection->state >= CONNECTION_OPENING)
        connection_watch(connection);
}

void connection_hold(struct connection *connection)
{
    connection->held = true;
}

void connection_release(struct connection *connection)
{
    connection->held = false;
    connection_flush(connection);
}

/* The library closes the descriptor as soon as DISCONNECT is written; a copy of it sees the broker's end. */
static void goodbye(struct connection *connection)
{
    const weir_host *host = connection->host;
    connection->closing_fd = dup(connection->fd);
    connection->state = CONNECTION_CLOSING;
    mosquitto_disconnect_v5(connection->client, 0, NULL);
    mosquitto_loop_write(connection->client, 1);
    client_drop(connection);
    if (connection->closing_fd <= 0) {
        closing_end(connection);
        return;
    }
    shutdown(connection->closing_fd, SHUT_WR);
    connection->watch = host->watch_fd(host, connection->closing_fd, WEIR_READABLE, closing_ready, connection);
    host->timer_set(connection->timer, CLOSE_US);
}

void connection_stop(struct connection *connection)
{
    const weir_host *host = connection->host;
    if (connection->stopping)
        return;
    connection->stopping = true;
    connection->wanted = false;
    host->timer_set(connection->ping, -1);
    if (connection->state == CONNECTION_OPEN) {
        goodbye(connection);
        return;
    }
    if (connection->state != CONNECTION_CONNECTING) /* else the helper has the handle: see connect_done */
        client_drop(connection);
    closing_end(connection);
}

/* The host has ended watches and timers. */
void connection_fini(struct connection *connection)
{
    if (connection->client)
        mosquitto_destroy(connection->client);
    if (connection->closing_fd > 0)
        close(connection->closing_fd);
    connection->client = NULL;
    connection->closing_fd = 0;
}
