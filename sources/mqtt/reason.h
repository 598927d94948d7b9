/* reason.h: why a connection ended or could not be made, for people, with what to do about it. */
#ifndef WEIR_MQTT_REASON_H
#define WEIR_MQTT_REASON_H

#include "connection.h"

/* Write a text of at most CONNECTION_REASON_MAX bytes. result, error: of libmosquitto's call, and errno after it.
 */
void reason_lost(const struct connection *connection, int result, int error, char *reason);
void reason_unreachable(const struct connection *connection, char *reason); /* connecting failed, on the helper */

#endif
