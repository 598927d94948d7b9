/* words.h: what a broker's codes mean, and what to do about it. */
#ifndef WEIR_MQTT_WORDS_H
#define WEIR_MQTT_WORDS_H

/* Return static texts. version: MQTT_5 or MQTT_3_1_1, whose codes differ. */
const char *words_connack(int version, int code); /* why a connection was refused */
const char *words_suback(int version, int code);  /* why a subscription was refused */
const char *words_puback(int code);               /* why a publication was refused */
const char *words_goodbye(int code);              /* why the broker ended a connection (MQTT 5) */

#endif
