/* kafka_kit.c: see kafka_kit.h. The broker is a child that scripts/kafka becomes; it serves when its log says so.
 */
#include "kafka_kit.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 60000, ANSWER_MS = 30000, TURN_MS = 100, SKIP_CODE = 77 };
static const char started_text[] = "Kafka Server started";

struct kafka {
    struct kafka *before; /* each lasts until the test ends */
    struct kafka_options options;
    const char *folder;
    pid_t pid;     /* 0: not running */
    size_t starts; /* that its log tells of */
    char brokers[64], listener[64];
};
static struct kafka *kept;

static const char *script_path(void)
{
    static char path[PATH_MAX + 20];
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", testing_build());
    for (char *end = strrchr(folder, '/'); end; end = strrchr(folder, '/')) {
        *end = '\0';
        snprintf(path, sizeof path, "%s/scripts/kafka", folder);
        if (access(path, X_OK) == 0)
            return path;
    }
    return "scripts/kafka";
}

static size_t starts_count(const struct kafka *kafka)
{
    size_t count = 0;
    char *log = testing_read(testing_path(kafka->folder, "broker.log"));
    for (const char *at = log; at && (at = strstr(at, started_text)); at++)
        count++;
    free(log);
    return count;
}

static bool kafka_settled(void *arg)
{
    struct kafka *kafka = arg;
    int status;
    if (waitpid(kafka->pid, &status, WNOHANG) == kafka->pid) {
        kafka->pid = 0;
        return true;
    }
    return starts_count(kafka) > kafka->starts;
}

void kafka_launch(struct kafka *kafka)
{
    const char *argv[16] = {script_path(), "run", kafka->folder};
    size_t count = 3;
    if (kafka->options.secure)
        argv[count++] = "secure";
    for (size_t i = 0; i < 8 && kafka->options.more[i]; i++)
        argv[count++] = kafka->options.more[i];
    ck_assert_int_eq(kafka->pid, 0);
    kafka->starts = starts_count(kafka);
    kafka->pid = testing_spawn(argv, testing_path(kafka->folder, "kafka.log"));
}

static void kafka_wait(struct kafka *kafka)
{
    ck_assert_msg(testing_wait(kafka_settled, kafka, READY_MS) && kafka->pid, "Kafka does not start, see %s",
                  kafka->folder);
}

void kafka_resume(struct kafka *kafka)
{
    kafka_launch(kafka);
    kafka_wait(kafka);
}

struct kafka *kafka_start(const struct kafka_options *options)
{
    const char *argv[] = {script_path(), "jars", NULL};
    char *output;
    int code = testing_command(argv, &output);
    if (code == SKIP_CODE || code == 127) {
        output[strcspn(output, "\n")] = '\0';
        testing_skip("kafka", strchr(output, ':') ? strchr(output, ':') + 2 : output);
        free(output);
        return NULL;
    }
    ck_assert_msg(code == 0, "scripts/kafka jars: %s", output);
    free(output);
    struct kafka *kafka = calloc(1, sizeof *kafka);
    ck_assert_ptr_nonnull(kafka);
    kafka->before = kept;
    kept = kafka;
    kafka->options = *options;
    kafka->folder = testing_folder();
    kafka_resume(kafka);
    snprintf(kafka->brokers, sizeof kafka->brokers, "%s", kafka_listener(kafka, "plain"));
    return kafka;
}

static void kafka_end(struct kafka *kafka, int signal_number)
{
    ck_assert_int_ne(kafka->pid, 0);
    testing_end(kafka->pid, signal_number);
    kafka->pid = 0;
}

void kafka_stop(struct kafka *kafka)
{
    kafka_end(kafka, SIGTERM);
}

void kafka_kill(struct kafka *kafka)
{
    kafka_end(kafka, SIGKILL);
}

int kafka_pid(const struct kafka *kafka)
{
    return kafka->pid;
}

const char *kafka_brokers(const struct kafka *kafka)
{
    return kafka->brokers;
}

const char *kafka_listener(const struct kafka *kafka, const char *name)
{
    char *ports = testing_read(testing_path(kafka->folder, "ports")), *rest = ports;
    size_t length = strlen(name);
    ck_assert_ptr_nonnull(ports);
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            snprintf(((struct kafka *)(uintptr_t)kafka)->listener, sizeof kafka->listener, "127.0.0.1:%s",
                     line + length + 1);
    }
    free(ports);
    return kafka->listener;
}

const char *kafka_file(const struct kafka *kafka, const char *name)
{
    return testing_path(kafka->folder, name);
}

/* Clients. */

static rd_kafka_t *client_new(rd_kafka_type_t type, const char *const *settings)
{
    char text[500];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; settings[0]; settings += 2)
        ck_assert_msg(rd_kafka_conf_set(conf, settings[0], settings[1], text, sizeof text) == RD_KAFKA_CONF_OK,
                      "%s", text);
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    ck_assert_msg(client != NULL, "%s", text);
    return client;
}

rd_kafka_mock_cluster_t *kafka_mock(int broker_count, const char **brokers)
{
    const char *const settings[] = {"client.id", "mock", NULL};
    rd_kafka_mock_cluster_t *mock =
        rd_kafka_mock_cluster_new(client_new(RD_KAFKA_PRODUCER, settings), broker_count);
    ck_assert_ptr_nonnull(mock);
    if (brokers)
        *brokers = rd_kafka_mock_cluster_bootstraps(mock);
    return mock;
}

void kafka_tool(const char *brokers, const char *command, const char *word, ...)
{
    const char *argv[16] = {testing_path(testing_build(), "tests/kafka_tool"), brokers, command};
    size_t count = 3;
    char *output;
    va_list args;
    va_start(args, word);
    for (; word && count < 15; word = va_arg(args, const char *))
        argv[count++] = word;
    va_end(args);
    int code = testing_command(argv, &output);
    ck_assert_msg(code == 0, "kafka_tool %s: %s", command, output);
    free(output);
}

void kafka_topic(const char *brokers, const char *topic, int partitions)
{
    char number[16];
    snprintf(number, sizeof number, "%d", partitions);
    kafka_tool(brokers, "create", topic, number, NULL);
}

static void reported(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client, (void)opaque;
    ck_assert_msg(!message->err, "delivery: %s", rd_kafka_err2str(message->err));
}

static void record_put(rd_kafka_t *client, const char *topic, const struct kafka_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    size_t key = record->key && !record->key_size ? strlen(record->key) : record->key_size;
    size_t value = record->value && !record->value_size ? strlen(record->value) : record->value_size;
    for (size_t i = 0; i < record->header_count; i++)
        rd_kafka_header_add(headers, record->headers[i].name, -1, record->headers[i].value, -1);
    ck_assert_int_eq(rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(record->partition),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
                                       RD_KAFKA_V_KEY(record->key, key),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, value),
                                       RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_TIMESTAMP(record->time_ms),
                                       RD_KAFKA_V_END),
                     0);
    rd_kafka_poll(client, 0);
}

void kafka_put(const char *brokers, const char *topic, const struct kafka_record *records, size_t count)
{
    char text[500];
    const char *const settings[][2] = {{"bootstrap.servers", brokers},
                                       {"enable.idempotence", "true"},
                                       {"queue.buffering.max.messages", "10000000"},
                                       {"message.max.bytes", "100000000"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text);
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    ck_assert_msg(client != NULL, "%s", text);
    for (size_t i = 0; i < count; i++)
        record_put(client, topic, &records[i]);
    ck_assert_int_eq(rd_kafka_flush(client, ANSWER_MS), 0);
    rd_kafka_destroy(client);
}

/* Reading. */

static rd_kafka_t *reader_new(const char *brokers)
{
    const char *const settings[] = {"bootstrap.servers",
                                    brokers,
                                    "group.id",
                                    "kafka_kit",
                                    "enable.auto.commit",
                                    "false",
                                    "enable.partition.eof",
                                    "true",
                                    "auto.offset.reset",
                                    "error",
                                    "isolation.level",
                                    "read_committed",
                                    NULL};
    return client_new(RD_KAFKA_CONSUMER, settings);
}

static int partitions_of(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, handle, &metadata, ANSWER_MS);
    ck_assert_msg(!error, "%s: %s", topic, rd_kafka_err2str(error));
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

static char *copy_of(const void *data, size_t size)
{
    if (!data)
        return NULL;
    char *copy = malloc(size + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static void record_keep(struct kafka_record *record, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t size;
    *record = (struct kafka_record){.partition = message->partition,
                                    .offset = message->offset,
                                    .time_ms = rd_kafka_message_timestamp(message, &type),
                                    .key = copy_of(message->key, message->key_len),
                                    .value = copy_of(message->payload, message->len),
                                    .key_size = message->key_len,
                                    .value_size = message->len};
    rd_kafka_message_headers(message, &headers);
    for (size_t i = 0; i < 8 && headers && !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
        record->headers[i].name = copy_of(name, strlen(name));
        record->headers[i].value = copy_of(value, size);
        record->headers[i].size = size;
        record->header_count = i + 1;
    }
}

static void assign_all(rd_kafka_t *client, const char *topic, int partitions)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    ck_assert_int_eq(rd_kafka_assign(client, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* How many partitions were read to their end without a record since. */
static void records_read(rd_kafka_t *client, struct kafka_records *records, size_t count, int partitions)
{
    size_t room = 0;
    bool *ended = calloc((size_t)partitions, sizeof *ended);
    int left = partitions;
    while (left > 0 || records->count < count) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, (int)(ANSWER_MS * testing_slow()));
        ck_assert_msg(message != NULL, "%zu records of %zu are there", records->count, count);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            left -= !ended[message->partition];
            ended[message->partition] = true;
        }
        if (!message->err) {
            left += ended[message->partition];
            ended[message->partition] = false;
            room = records->count < room ? room : room * 2 + 1024;
            records->items = realloc(records->items, room * sizeof *records->items);
            ck_assert_ptr_nonnull(records->items);
            record_keep(&records->items[records->count++], message);
        }
        rd_kafka_message_destroy(message);
    }
    free(ended);
}

struct kafka_records *kafka_read(const char *brokers, const char *topic, size_t count)
{
    struct kafka_records *records = calloc(1, sizeof *records);
    ck_assert_ptr_nonnull(records);
    rd_kafka_t *client = reader_new(brokers);
    int partitions = partitions_of(client, topic);
    assign_all(client, topic, partitions);
    records_read(client, records, count, partitions);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    ck_assert_msg(!count || records->count == count, "%zu records, not %zu", records->count, count);
    return records;
}

static void record_free(struct kafka_record *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        free((void *)(uintptr_t)record->headers[i].name);
        free((void *)(uintptr_t)record->headers[i].value);
    }
    free((void *)(uintptr_t)record->key);
    free((void *)(uintptr_t)record->value);
}

void kafka_records_free(struct kafka_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        record_free(&records->items[i]);
    free(records->items);
    free(records);
}

size_t kafka_count(const char *brokers, const char *topic)
{
    rd_kafka_t *client = reader_new(brokers);
    int64_t count = 0;
    for (int i = partitions_of(client, topic) - 1; i >= 0; i--) {
        int64_t low, high;
        ck_assert_int_eq(rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, ANSWER_MS), 0);
        count += high - low;
    }
    rd_kafka_destroy(client);
    return (size_t)count;
}
