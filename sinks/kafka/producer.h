/* producer.h: one handle of the client library that sends records, told of by events on the loop, and replaced as a
 * whole when it cannot go on.
 *
 * Whoever uses it puts records; each gets one report, but for those that are open when `lost` comes: what became of
 * them is not known, and the library does not touch them any more. Records of one partition take effect in the
 * order they were put; after one whose failure is no refusal of that record alone, none behind it does. */
#ifndef WEIR_KAFKA_PRODUCER_H
#define WEIR_KAFKA_PRODUCER_H

#include <stdbool.h>

#include "../../sources/kafka/settings.h"
#include "../../sources/kafka/words.h"

enum { TOPIC_MAX = 249 }; /* bytes of a name, which the broker sets */

struct producer_ops {
    int (*configure)(void *owner, rd_kafka_conf_t *conf); /* sets what the options say; answers as settings_set */
    void (*confirmed)(void *owner, void *record);
    void (*refused)(void *owner, void *record, const char *reason); /* it can never pass */
    void (*progressed)(void *owner); /* all reports that were there are told; there may be room now */
    /* What is open is to be put again, and what was put behind it. NULL: nothing is open, put what waits. */
    void (*lost)(void *owner, const char *reason);
    void (*closed)(void *owner); /* the answer to producer_stop */
};

enum producer_state { PRODUCER_NONE, PRODUCER_OPEN, PRODUCER_ENDING, PRODUCER_LEAVING };

struct producer {
    const weir_host *host;
    struct settings *settings;
    const struct producer_ops *ops;
    void *owner;
    int64_t timeout_us; /* without any report, until what is open counts as failed */
    bool idempotent;

    enum producer_state state;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topic; /* the last one used */
    char topic_name[TOPIC_MAX + 1], first_name[TOPIC_MAX + 1];
    bool many_topics; /* more than one was ever used */
    int fd;
    weir_watch *watch;
    weir_timer *timer;
    size_t open; /* records put and not reported */
    int64_t progress_us, ending_us, whole_us;
    bool each, each_next, stopping, said;
    rd_kafka_resp_err_t trouble; /* what was said last */
    char reason[WORDS_MAX];      /* of the end, or the trouble */
    char refusal[WORDS_MAX];
};

struct producer_record {
    const char *topic;
    weir_view key, payload;
    rd_kafka_headers_t *headers; /* taken when put; NULL: none */
    int64_t time_ms;             /* 0: now */
    void *opaque;
};

/* With the members before `state` set. */
int producer_init(struct producer *producer);
int producer_check(struct producer *producer); /* the configuration, without starting anything */
int producer_start(struct producer *producer);
/* WEIR_OK; WEIR_FULL: not now, `progressed` or `lost` comes; WEIR_REJECT: never, *reason tells why (it lasts until
 * the next call). The key is copied, the payload must last until the report. */
int producer_put(struct producer *producer, const struct producer_record *record, const char **reason);
void producer_stop(struct producer *producer); /* nothing is open */
void producer_fini(struct producer *producer);

#endif
