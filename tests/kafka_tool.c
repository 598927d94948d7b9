/* kafka_tool.c: what tests need of a Kafka client, as one command.
 *
 *     kafka_tool BROKERS create TOPIC PARTITIONS [NAME=VALUE ...]   of the topic's configuration
 *     kafka_tool BROKERS delete TOPIC
 *     kafka_tool BROKERS grow TOPIC PARTITIONS
 *     kafka_tool BROKERS cut TOPIC PARTITION OFFSET                 deletes the records before it
 *     kafka_tool BROKERS commit GROUP TOPIC PARTITION OFFSET        while the group has no members
 *     kafka_tool BROKERS produce TOPIC [NAME=VALUE ...]             lines of stdin: KEY, VALUE, then HEADER=VALUE
 * ... kafka_tool BROKERS consume TOPIC [NAME=VALUE ...]             all that is there now, as lines: PARTITION,
 * OFFSET, TIME in ms, KEY, VALUE, HEADER=VALUE ... kafka_tool BROKERS offsets GROUP TOPIC lines: PARTITION,
 * COMMITTED (-1001: none), LOW, HIGH kafka_tool mock BROKER_COUNT           the library's mock cluster: tells its
 * brokers, lasts until stdin ends
 *
 * Fields are parted by tabs; in them \t \n \r \\ stand for themselves, \xHH for any other byte, and \N alone for a
 * field that is absent. NAME=VALUE are properties of librdkafka, but for produce `partition=N`, `time=MS`
 * and `transaction=commit|abort` (with transactional.id), and
 * for consume `from=OFFSET` (of every partition), `count=N` (waits until so many were there, however long). */
#include <ctype.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, FIELDS_MAX = 64, PARTITIONS_MAX = 1024, TURN_MS = 100 };

/* NAME=VALUE that are the command's own. */
struct own {
    const char *transaction; /* commit or abort; NULL: none */
    int32_t partition;
    int64_t time_ms, from, count;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("kafka_tool: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void check(rd_kafka_resp_err_t error, const char *what)
{
    if (error)
        die("%s: %s", what, rd_kafka_err2str(error));
}

/* A command ends with its process: what it holds then is no leak. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static void check_error(rd_kafka_error_t *error)
{
    if (error)
        die("transaction: %s", rd_kafka_error_string(error));
}

static bool own_set(struct own *own, const char *name, const char *value)
{
    if (strcmp(name, "partition") == 0)
        own->partition = atoi(value);
    else if (strcmp(name, "transaction") == 0)
        own->transaction = value;
    else if (strcmp(name, "time") == 0)
        own->time_ms = atoll(value);
    else if (strcmp(name, "from") == 0)
        own->from = atoll(value);
    else if (strcmp(name, "count") == 0)
        own->count = atoll(value);
    else
        return false;
    return true;
}

static void conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[500];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        die("%s", text);
}

/* words: NAME=VALUE, ended by NULL. */
static rd_kafka_t *client_new(rd_kafka_type_t type, const char *brokers, char **words, struct own *own)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[500];
    conf_set(conf, "bootstrap.servers", brokers);
    for (; *words; words++) {
        char *value = strchr(*words, '=');
        if (!value)
            die("%s is not NAME=VALUE", *words);
        *value++ = '\0';
        if (!own_set(own, *words, value))
            conf_set(conf, *words, value);
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client)
        die("%s", text);
    return client;
}

static rd_kafka_t *admin_new(const char *brokers)
{
    char *none[] = {NULL};
    struct own own;
    return client_new(RD_KAFKA_PRODUCER, brokers, none, &own);
}

/* Administration: each request gives one event. */

static rd_kafka_event_t *answer_of(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (!event)
        die("the broker does not answer");
    check(rd_kafka_event_error(event), "request");
    return event;
}

static void topics_check(const rd_kafka_topic_result_t **results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(rd_kafka_topic_result_error(results[i]), rd_kafka_topic_result_name(results[i]));
}

/* Waits until the broker tells the topic's partitions, each with a leader; 0: until it is gone. */
static void topic_wait(rd_kafka_t *client, const char *topic, int partitions)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    int led = -1;
    while (led != partitions) {
        led = 0;
        check(rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS), "metadata");
        for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
            led += metadata->topics[0].partitions[i].leader >= 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
}

static void command_create(const char *brokers, char **words)
{
    char text[500];
    rd_kafka_t *client = admin_new(brokers);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    size_t count;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(words[0], atoi(words[1]), 1, text, sizeof text);
    if (!topic)
        die("%s", text);
    for (char **word = words + 2; *word; word++) {
        char *value = strchr(*word, '=');
        if (!value)
            die("%s is not NAME=VALUE", *word);
        *value++ = '\0';
        check(rd_kafka_NewTopic_set_config(topic, *word, value), *word);
    }
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(answer_of(queue));
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(result, &count);
    topics_check(topics, count);
    topic_wait(client, words[0], atoi(words[1]));
}

static void command_delete(const char *brokers, char **words)
{
    rd_kafka_t *client = admin_new(brokers);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    size_t count;
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(words[0]);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    const rd_kafka_DeleteTopics_result_t *result = rd_kafka_event_DeleteTopics_result(answer_of(queue));
    const rd_kafka_topic_result_t **topics = rd_kafka_DeleteTopics_result_topics(result, &count);
    topics_check(topics, count);
}

static void command_grow(const char *brokers, char **words)
{
    char text[500];
    rd_kafka_t *client = admin_new(brokers);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    size_t count;
    rd_kafka_NewPartitions_t *more =
        rd_kafka_NewPartitions_new(words[0], (size_t)atoi(words[1]), text, sizeof text);
    if (!more)
        die("%s", text);
    rd_kafka_CreatePartitions(client, &more, 1, NULL, queue);
    const rd_kafka_CreatePartitions_result_t *result = rd_kafka_event_CreatePartitions_result(answer_of(queue));
    const rd_kafka_topic_result_t **topics = rd_kafka_CreatePartitions_result_topics(result, &count);
    topics_check(topics, count);
    topic_wait(client, words[0], atoi(words[1]));
}

static void command_cut(const char *brokers, char **words)
{
    rd_kafka_t *client = admin_new(brokers);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, words[0], atoi(words[1]))->offset = atoll(words[2]);
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(offsets);
    rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
    const rd_kafka_topic_partition_list_t *done =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer_of(queue)));
    for (int i = 0; i < done->cnt; i++)
        check(done->elems[i].err, words[0]);
}

/* Fields. */

struct field {
    char *data; /* NULL: absent */
    size_t size;
};

static int hex(const char *at)
{
    char digits[3] = {at[0], at[0] ? at[1] : '\0', '\0'};
    return (int)strtol(digits, NULL, 16);
}

/* In its place; `text` ends with NUL. */
static struct field field_read(char *text)
{
    char *to = text;
    if (strcmp(text, "\\N") == 0)
        return (struct field){NULL, 0};
    for (const char *from = text; *from; from++) {
        if (from[0] != '\\' || !from[1]) {
            *to++ = *from;
            continue;
        }
        switch (*++from) {
        case 't':
            *to++ = '\t';
            break;
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 'x':
            *to++ = (char)hex(from + 1);
            from += from[1] && from[2] ? 2 : 0;
            break;
        default:
            *to++ = *from;
        }
    }
    return (struct field){text, (size_t)(to - text)};
}

static void field_write(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    if (!data)
        fputs("\\N", stdout);
    for (size_t i = 0; data && i < size; i++) {
        if (bytes[i] == '\\')
            fputs("\\\\", stdout);
        else if (bytes[i] == '\t' || bytes[i] == '\n' || bytes[i] == '\r')
            fputs(bytes[i] == '\t' ? "\\t" : bytes[i] == '\n' ? "\\n" : "\\r", stdout);
        else if (isprint(bytes[i]))
            putchar(bytes[i]);
        else
            printf("\\x%02x", bytes[i]);
    }
}

/* Producing. */

static void reported(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client, (void)opaque;
    check(message->err, "delivery");
}

static rd_kafka_headers_t *headers_of(char **fields, size_t count)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++) {
        char *value = strchr(fields[i], '=');
        if (!value)
            die("%s is not HEADER=VALUE", fields[i]);
        *value++ = '\0';
        struct field name = field_read(fields[i]), content = field_read(value);
        rd_kafka_header_add(headers, name.data, (ssize_t)name.size, content.data, (ssize_t)content.size);
    }
    return headers;
}

static void line_produce(rd_kafka_t *client, const char *topic, const struct own *own, char *line)
{
    char *fields[FIELDS_MAX], *rest = line;
    size_t count = 0;
    while (count < FIELDS_MAX && (fields[count] = strsep(&rest, "\t")))
        count++;
    if (count < 2)
        die("a line without a tab");
    struct field key = field_read(fields[0]), value = field_read(fields[1]);
    rd_kafka_headers_t *headers = headers_of(fields + 2, count - 2);
    rd_kafka_resp_err_t error;
    do {
        error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(own->partition),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data, key.size),
                                  RD_KAFKA_V_VALUE(value.data, value.size), RD_KAFKA_V_HEADERS(headers),
                                  RD_KAFKA_V_TIMESTAMP(own->time_ms), RD_KAFKA_V_END);
        rd_kafka_poll(client, error == RD_KAFKA_RESP_ERR__QUEUE_FULL ? TURN_MS : 0);
    } while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    check(error, "produce");
}

static void command_produce(const char *brokers, char **words)
{
    struct own own = {.partition = RD_KAFKA_PARTITION_UA};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[500], *line = NULL;
    size_t room = 0;
    conf_set(conf, "bootstrap.servers", brokers);
    conf_set(conf, "enable.idempotence", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    for (char **word = words + 1; *word; word++) {
        char *value = strchr(*word, '=');
        if (!value)
            die("%s is not NAME=VALUE", *word);
        *value++ = '\0';
        if (!own_set(&own, *word, value))
            conf_set(conf, *word, value);
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!client)
        die("%s", text);
    if (own.transaction) {
        check_error(rd_kafka_init_transactions(client, TIMEOUT_MS));
        check_error(rd_kafka_begin_transaction(client));
    }
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) {
        line[strcspn(line, "\n")] = '\0';
        line_produce(client, words[0], &own, line);
    }
    check(rd_kafka_flush(client, TIMEOUT_MS), "flush");
    if (own.transaction)
        check_error(strcmp(own.transaction, "commit") == 0 ? rd_kafka_commit_transaction(client, TIMEOUT_MS)
                                                           : rd_kafka_abort_transaction(client, TIMEOUT_MS));
}

/* Consuming. */

static void record_print(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t size;
    printf("%d\t%lld\t%lld\t", message->partition, (long long)message->offset,
           (long long)rd_kafka_message_timestamp(message, &type));
    field_write(message->key, message->key_len);
    putchar('\t');
    field_write(message->payload, message->len);
    rd_kafka_message_headers(message, &headers);
    for (size_t i = 0; headers && !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
        putchar('\t');
        field_write(name, strlen(name));
        putchar('=');
        field_write(value, size);
    }
    putchar('\n');
}

static int partitions_of(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    check(rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS), "metadata");
    check(metadata->topics[0].err, topic);
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

static rd_kafka_t *reader_new(const char *brokers, char **words, struct own *own)
{
    char *settings[FIELDS_MAX + 5] = {strdup("group.id=kafka_tool"), strdup("enable.auto.commit=false"),
                                      strdup("enable.partition.eof=true"), strdup("auto.offset.reset=error")};
    size_t count = 4;
    while (*words && count < FIELDS_MAX)
        settings[count++] = *words++;
    return client_new(RD_KAFKA_CONSUMER, brokers, settings, own);
}

static void command_consume(const char *brokers, char **words)
{
    struct own own = {.from = RD_KAFKA_OFFSET_BEGINNING};
    rd_kafka_t *client = reader_new(brokers, words + 1, &own);
    int partitions = partitions_of(client, words[0]), ended = 0;
    int64_t seen = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, words[0], i)->offset = own.from;
    check(rd_kafka_assign(client, list), "assign");
    while (own.count ? seen < own.count : ended < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, TIMEOUT_MS);
        if (!message)
            die("nothing comes; %lld records were there", (long long)seen);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            ended++;
        else if (message->err && rd_kafka_fatal_error(client, NULL, 0))
            die("%s", rd_kafka_message_errstr(message));
        else if (!message->err)
            record_print(message), seen++;
        rd_kafka_message_destroy(message);
    }
}

static void command_commit(const char *brokers, char **words)
{
    char text[500];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    conf_set(conf, "bootstrap.servers", brokers);
    conf_set(conf, "group.id", words[0]);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!client || !words[2] || !words[3])
        die("%s", client ? "commit GROUP TOPIC PARTITION OFFSET" : text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, words[1], atoi(words[2]))->offset = atoll(words[3]);
    check(rd_kafka_commit(client, list, 0), "commit");
    check(list->elems[0].err, "commit");
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
}

static void command_offsets(const char *brokers, char **words)
{
    char group[300], *settings[] = {group, NULL};
    struct own own;
    snprintf(group, sizeof group, "group.id=%s", words[0]);
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, brokers, settings, &own);
    int partitions = partitions_of(client, words[1]);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_topic_partition_list_add_range(list, words[1], 0, partitions - 1);
    check(rd_kafka_committed(client, list, TIMEOUT_MS), "committed");
    for (int i = 0; i < list->cnt; i++) {
        int64_t low, high;
        check(rd_kafka_query_watermark_offsets(client, words[1], i, &low, &high, TIMEOUT_MS), "offsets");
        printf("%d\t%lld\t%lld\t%lld\n", i, (long long)list->elems[i].offset, (long long)low, (long long)high);
    }
}

static void mock(const char *count)
{
    char *none[] = {NULL};
    struct own own;
    rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, "127.0.0.1:1", none, &own);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, atoi(count));
    if (!cluster)
        die("no mock cluster");
    puts(rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (getchar() != EOF)
        continue;
}

static const struct {
    const char *name;
    void (*run)(const char *brokers, char **words);
    int words_min;
} commands[] = {{"create", command_create, 2},   {"delete", command_delete, 1},   {"grow", command_grow, 2},
                {"cut", command_cut, 3},         {"produce", command_produce, 1}, {"consume", command_consume, 1},
                {"offsets", command_offsets, 2}, {"commit", command_commit, 4}};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "mock") == 0) {
        mock(argv[2]);
        return 0;
    }
    for (size_t i = 0; argc > 2 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, argv[2]) != 0 || argc - 3 < commands[i].words_min)
            continue;
        commands[i].run(argv[1], argv + 3);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    die("see the head of kafka_tool.c for what it takes");
}
