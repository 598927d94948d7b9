/* words.h: what the client library's errors mean, and what to do about it. */
#ifndef WEIR_KAFKA_WORDS_H
#define WEIR_KAFKA_WORDS_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#define WORDS_MAX 600

/* Writes "what the library says; what to do" (without the latter when there is nothing to add) and returns text.
 * detail: what the library said beside the code, may be NULL. */
const char *words_error(rd_kafka_resp_err_t code, const char *detail, char text[WORDS_MAX]);
/* Whether it may pass by itself: the library goes on trying. */
int words_passing(rd_kafka_resp_err_t code);

#endif
