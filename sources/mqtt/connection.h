/* connection.h: one client handle of libmosquitto on the loop: connect, keep alive, notice loss, connect again.
 *
 * The source and the sink each have one of their own. libmosquitto is used in its externally threaded mode: what it
 * queues is written only by connection_flush, which is what lets a source hold acknowledgements back. */
#ifndef WEIR_MQTT_CONNECTION_H
#define WEIR_MQTT_CONNECTION_H

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdbool.h>

#include "settings.h"

enum connection_state {
    CONNECTION_IDLE,       /* nothing is wanted of it */
    CONNECTION_WAITING,    /* for the next attempt */
    CONNECTION_CONNECTING, /* on a helper: names, TCP */
    CONNECTION_OPENING,    /* TLS, CONNECT sent, no CONNACK yet */
    CONNECTION_OPEN,
    CONNECTION_CLOSING, /* DISCONNECT sent, the broker closes */
    CONNECTION_CLOSED
};

/* What the owner does. None is called after `closed`. */
struct connection_ops {
    void (*prepare)(void *owner, struct mosquitto *client); /* a new handle: its callbacks, before it connects */
    void (*opened)(void *owner, bool session_present);
    void (*readable)(void *owner); /* calls connection_read */
    /* The handle is gone, with all that was queued in it; or an attempt failed. */
    void (*lost)(void *owner, const char *reason);
    void (*closed)(void *owner); /* the answer to connection_stop */
};

#define CONNECTION_REASON_MAX 500

struct connection {
    const weir_host *host;
    const struct settings *settings;
    const struct connection_ops *ops;
    void *owner;
    bool clean;                  /* start a new session */
    bool in_turn;                /* read nothing while something is to be written */
    uint32_t session_expiry_s;   /* MQTT 5 */
    uint16_t receive_maximum;    /* 0: the library's own */
    enum connection_state state; /* what follows is the connection's own */
    struct mosquitto *client;
    weir_watch *watch;
    weir_timer *timer, *ping;
    int fd, closing_fd, keep_alive_s;
    int64_t in_us, out_us, opened_us, logged_us;
    unsigned attempts;
    uint64_t random;
    bool wanted, reading, held, pinged, stopping;
    bool answered, session_present; /* by CONNACK */
    bool failed_before;             /* logged once a minute */
    int refusal, goodbye;           /* codes; 0: none */
    int result, error;              /* of connecting, from the helper */
    char tls_text[TLS_TEXT_MAX], logged[CONNECTION_REASON_MAX];
};

/* The members down to receive_maximum are set by the owner before. */
int connection_init(struct connection *connection);
void connection_start(struct connection *connection); /* connect, and stay so; again: nothing */
/* Whether the owner wants to read. While it does not, pings go on; when the first is not read, it disconnects. */
void connection_reading(struct connection *connection, bool reading);
/* One call of mosquitto_loop_read. False: the handle is gone. */
bool connection_read(struct connection *connection);
bool connection_pending(const struct connection *connection); /* more is here than the descriptor tells of */
/* Between hold and release nothing is read or written: what is queued are acknowledgements not yet due. */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);
/* Writes what is queued, as far as it goes; not while held. False: the handle is gone. */
bool connection_flush(struct connection *connection);
/* Drops the handle with all that is queued in it, and connects again later. */
void connection_fail(struct connection *connection, const char *format, ...) __attribute__((format(printf, 2, 3)));
void connection_stop(struct connection *connection); /* answered by closed, perhaps at once */
void connection_fini(struct connection *connection);
/* The connection of a handle, in libmosquitto's callbacks. */
static inline void *connection_owner(void *arg)
{
    return ((struct connection *)arg)->owner;
}

#endif
