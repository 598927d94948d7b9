/* module: mqtt libs: libmosquitto openssl */
/* reason.c: see reason.h. What the broker said comes before what TLS said, and that before the bare error. */
#include "reason.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

/* EPROTO: libmosquitto's word for an end of the connection inside TLS. */
static bool peer_closed(int error)
{
    return error == EPIPE || error == ECONNRESET || error == EPROTO;
}

void reason_lost(const struct connection *connection, int result, int error, char *reason)
{
    const struct settings *settings = connection->settings;
    char tls[TLS_TEXT_MAX];
    if (connection->refusal)
        snprintf(reason, CONNECTION_REASON_MAX, "the broker refuses the connection: %s",
                 words_connack((int)settings->version, connection->refusal));
    else if (connection->goodbye)
        snprintf(reason, CONNECTION_REASON_MAX, "the broker ended the connection: %s",
                 words_goodbye(connection->goodbye));
    else if (settings->secure && tls_reason(settings->secure, connection->tls_text, tls))
        snprintf(reason, CONNECTION_REASON_MAX, "%s", tls);
    else if (result == MOSQ_ERR_ERRNO && error && !(connection->state == CONNECTION_OPENING && peer_closed(error)))
        snprintf(reason, CONNECTION_REASON_MAX, "%s", strerror(error));
    else if (connection->state == CONNECTION_OPENING)
        snprintf(reason, CONNECTION_REASON_MAX, "the broker closed the connection before it answered; %s",
                 settings->secure ? "is TLS spoken at this port?" : "does the port want TLS (mqtts://)?");
    else if (result == MOSQ_ERR_CONN_LOST || result == MOSQ_ERR_NO_CONN || result == MOSQ_ERR_SUCCESS)
        snprintf(reason, CONNECTION_REASON_MAX, "the broker closed the connection");
    else
        snprintf(reason, CONNECTION_REASON_MAX, "%s", mosquitto_strerror(result));
}

void reason_unreachable(const struct connection *connection, char *reason)
{
    const char *host = connection->settings->host;
    int port = connection->settings->port;
    if (connection->result == MOSQ_ERR_EAI)
        snprintf(reason, CONNECTION_REASON_MAX, "the host %.200s cannot be found (%s); correct the url", host,
                 gai_strerror(connection->error));
    else if (connection->result == MOSQ_ERR_ERRNO && connection->error == ECONNREFUSED)
        snprintf(reason, CONNECTION_REASON_MAX,
                 "nothing listens at %.200s port %d; start the broker, or correct the url", host, port);
    else if (connection->result == MOSQ_ERR_ERRNO)
        snprintf(reason, CONNECTION_REASON_MAX, "%.200s port %d cannot be reached: %s", host, port,
                 strerror(connection->error));
    else
        reason_lost(connection, connection->result, connection->error, reason);
}
