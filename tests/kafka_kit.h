/* kafka_kit.h: a real Kafka broker for one test (by scripts/kafka), or librdkafka's mock cluster in the test's own
 * process; and what a test puts into topics and finds there.
 *
 *     struct kafka *kafka = kafka_start(&(struct kafka_options){0});
 *     if (!kafka)
 *         return; // Java or Kafka is not here; the test is skipped
 *     kafka_topic(kafka_brokers(kafka), "orders", 3);
 *     ... kafka_kill(kafka); kafka_resume(kafka); ...
 *     struct kafka_records *records = kafka_read(kafka_brokers(kafka), "orders", 1000);
 *     ... kafka_records_free(records);
 *
 * A broker takes two to three seconds to start, so a test that uses one sets its time limit accordingly. It keeps
 * its data over any end, and ends with the test. */
#ifndef WEIR_TEST_KAFKA_KIT_H
#define WEIR_TEST_KAFKA_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "testing.h"

enum { KAFKA_TEST_S = 120 }; /* for tcase_set_timeout */

struct kafka_options {
    bool secure;         /* the listeners beside `plain` that scripts/kafka tells of */
    const char *more[8]; /* NAME=VALUE, lines of server.properties */
};

struct kafka;
/* Starts it and waits until it serves. NULL: skipped. */
struct kafka *kafka_start(const struct kafka_options *options);
void kafka_stop(struct kafka *kafka);
void kafka_kill(struct kafka *kafka);   /* SIGKILL */
void kafka_resume(struct kafka *kafka); /* after stop or kill: the same data and ports; waits until it serves */
void kafka_launch(struct kafka *kafka); /* the same, without waiting */
int kafka_pid(const struct kafka *kafka);
const char *kafka_brokers(const struct kafka *kafka);                    /* of `plain` */
const char *kafka_listener(const struct kafka *kafka, const char *name); /* "127.0.0.1:PORT" */
const char *kafka_file(const struct kafka *kafka, const char *name);     /* "tls/ca.crt" in its folder */

/* Of the mock cluster only what tests of a client need is here; the rest is in librdkafka/rdkafka_mock.h. It lasts
 * until the test ends. NULL brokers: not wanted. */
struct rd_kafka_mock_cluster_s *kafka_mock(int broker_count, const char **brokers);

/* Topics, by kafka_tool. */
void kafka_topic(const char *brokers, const char *topic, int partitions);
void kafka_tool(const char *brokers, const char *command, const char *word, ...) __attribute__((sentinel));

struct kafka_record {
    int32_t partition;
    int64_t offset, time_ms; /* offset: by kafka_read */
    const char *key, *value; /* ended by NUL; NULL: absent */
    size_t key_size, value_size;
    size_t header_count;
    struct {
        const char *name, *value; /* value ended by NUL; NULL: absent */
        size_t size;
    } headers[8];
};
struct kafka_records {
    struct kafka_record *items;
    size_t count;
};
/* Puts records, partition -1: by the key. Sizes 0 with a text: its length. Waits until all are confirmed. */
void kafka_put(const char *brokers, const char *topic, const struct kafka_record *records, size_t count);
/* Reads a topic from its begin, all partitions, until `count` records were there; waits for them. Then it makes
 * sure, by the ends of the partitions, that there are no more; `count` 0: whatever is there now. The records of a
 * partition are in order. Those of aborted transactions are left out. */
struct kafka_records *kafka_read(const char *brokers, const char *topic, size_t count);
void kafka_records_free(struct kafka_records *records);
size_t kafka_count(const char *brokers, const char *topic); /* records there now, by the ends of the partitions */

#endif
