/* tls.h: TLS of one instance: certificates loaded once, the broker checked, and what went wrong in words. */
#ifndef WEIR_MQTT_TLS_H
#define WEIR_MQTT_TLS_H

#include <stdbool.h>

#include "weir_plugin.h"

struct mosquitto;

#define TLS_TEXT_MAX 300

struct tls_options {
    int64_t present, verify, min_version; /* min_version: 0 is 1.2, 1 is 1.3 */
    const char *ca, *cert, *key, *key_password, *server_name;
    weir_list alpn;
};

struct tls;

/* WEIR_OK, WEIR_INVALID (refused by host: a file that cannot be used), WEIR_NOMEM. `options` must outlive it. */
int tls_new(const struct tls_options *options, const char *server, const weir_host *host, struct tls **made);
void tls_free(struct tls *tls);
/* The client will talk by it. A result of libmosquitto. */
int tls_use(struct tls *tls, struct mosquitto *client);
/* Bytes that are decrypted and not yet read: the descriptor does not tell of them. */
int tls_pending(struct mosquitto *client);

/* The broker may have said why it refuses us before our first packet fails to reach it; libmosquitto then closes
 * with that unread. So, around a write that may be refused: tls_listen before it, and tls_heard after it, which
 * ends what tls_listen began. With `failed` it reads the broker's last word into `text`, which is left alone if
 * there is none. */
struct tls_ear {
    struct ssl_st *ssl;
    int fd;
};
struct tls_ear tls_listen(struct mosquitto *client);
void tls_heard(struct tls_ear *ear, bool failed, char text[TLS_TEXT_MAX]);

/* What OpenSSL said last is remembered as `text` (from libmosquitto's log). */
/* Why the handshake failed and what to do, by the check of the certificate or by `text`; false: nobody knows. */
int tls_reason(const struct tls *tls, const char *text, char reason[TLS_TEXT_MAX]);
void tls_forget(struct tls *tls); /* before a new attempt */

#endif
