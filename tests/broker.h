/* broker.h: a real mosquitto for one test, on a port of 127.0.0.1 of its own.
 *
 *     struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
 *     if (!broker)
 *         return; // mosquitto is not here; the test is skipped
 *     ... broker_url(broker) ... broker_kill(broker); broker_resume(broker);
 *
 * It keeps sessions and messages over any end (persistence), and ends with the test. */
#ifndef WEIR_TEST_BROKER_H
#define WEIR_TEST_BROKER_H

#include <stdbool.h>

#include "testing.h"

enum broker_tls {
    BROKER_PLAIN,
    BROKER_TLS,       /* ca.crt in the folder signed the server's certificate, for localhost and 127.0.0.1 */
    BROKER_TLS_CLIENT /* and it wants client.crt with client.key */
};

struct broker_options {
    enum broker_tls tls;
    bool password;    /* only the user "weir" with the password "secret" may connect */
    int queued_max;   /* messages waiting for one client; 0: no limit */
    int inflight_max; /* messages sent to one client and not acknowledged; 0: no limit */
    const char *more; /* further lines of mosquitto.conf, each with its newline; NULL: none */
};

struct broker;

/* Starts it and waits until it can be connected to. NULL: skipped. The broker lasts until the test ends. */
struct broker *broker_start(const struct broker_options *options);
void broker_stop(struct broker *broker);   /* asks it to end, as a service manager does */
void broker_kill(struct broker *broker);   /* SIGKILL */
void broker_resume(struct broker *broker); /* after stop or kill: the same folder and port */

int broker_port(const struct broker *broker);
const char *broker_url(const struct broker *broker);    /* mqtt://127.0.0.1:PORT or mqtts://localhost:PORT */
const char *broker_folder(const struct broker *broker); /* ca.crt, client.crt, client.key, mosquitto.log */

#endif
