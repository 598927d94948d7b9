/* module: kafka libs: rdkafka */
/* kafka.c: the sink `kafka`: a record for each event, confirmed when its delivery report says so.
 *
 * The normal path:
 *   1. write puts the batch at the end of a line; each event becomes a record as long as the library's queue has
 *      room. Payloads are not copied: the batch lives until its write is answered.
 *   2. Each report marks its event. A write is answered when all its events are, whatever others wait for.
 *   3. Reports make room, so the line goes on.
 *
 * How it fails: see kafka/producer.c. An event that can never pass is rejected with the reason. When the producer
 * is lost, what was confirmed stays so, and every other event of the open writes is to be written again, so that
 * nothing overtakes. A topic that does not exist is waited for as long as it is the only one; among many, its
 * events are rejected, as one wrong name must not hold up the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/producer.h"

enum { WRITES_MAX = 256, KEY_ROOM = 1024, KEY_MAX = 8 << 20 };
enum answer { ANSWER_NONE, ANSWER_CONFIRMED, ANSWER_REFUSED };

struct open_write {
    weir_write *write; /* NULL: a free place */
    uint8_t *answers;  /* of enum answer, [room] */
    size_t room, next, left;
    struct open_write *behind; /* in the line */
};

struct sink {
    struct settings settings; /* first: see settings.h */
    weir_template *topic, *key;
    int64_t acks, compression, partitioner, idempotence;
    int64_t linger_us, timeout_us;
    const weir_host *host;
    struct producer producer;
    struct open_write writes[WRITES_MAX];
    struct open_write *line, *line_last; /* what is not put as a whole */
    char topic_text[TOPIC_MAX + 2], *key_text;
    size_t key_room;
    bool working, made;
};

/* Which event a report is of: the place of its write and its index, in one word. */

static void *record_name(const struct sink *sink, const struct open_write *open, size_t i)
{
    return (void *)(i * WRITES_MAX + (size_t)(open - sink->writes));
}

static struct open_write *record_write(struct sink *sink, void *record, size_t *i)
{
    uintptr_t name = (uintptr_t)record;
    *i = name / WRITES_MAX;
    return &sink->writes[name % WRITES_MAX];
}

static void answer(struct sink *sink, struct open_write *open, size_t i, const char *refused)
{
    open->answers[i] = refused ? ANSWER_REFUSED : ANSWER_CONFIRMED;
    open->left--;
    if (refused)
        sink->host->write_event(sink->host, open->write, i, WEIR_REJECT, refused);
}

static void write_answer(struct sink *sink, struct open_write *open, int result, const char *reason)
{
    weir_write *write = open->write;
    open->write = NULL;
    sink->host->write_done(sink->host, write, result, reason);
}

/* Records. Each returns why the event can never pass, or NULL. */

static const char *topic_make(struct sink *sink, const weir_batch *batch, size_t i)
{
    size_t size = 0;
    char *text = sink->topic_text;
    if (sink->host->render(sink->topic, batch, i, text, sizeof sink->topic_text, &size) != WEIR_OK)
        return "the topic needs a field that the event does not have";
    if (size == 0)
        return "the topic is empty";
    if (size > TOPIC_MAX)
        return "the topic is longer than 249 bytes";
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != size ||
        strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return "the topic has other characters than letters, digits, dot, underscore and hyphen";
    return NULL;
}

static const char *key_make(struct sink *sink, const weir_batch *batch, size_t i, weir_view *key)
{
    size_t size = 0;
    *key = batch->events[i].key;
    if (!sink->key)
        return NULL;
    if (sink->host->render(sink->key, batch, i, sink->key_text, sink->key_room, &size) != WEIR_OK)
        return "the key needs a field that the event does not have";
    if (size >= KEY_MAX)
        return "the key is larger than 8 MiB";
    if (size >= sink->key_room) {
        char *text = realloc(sink->key_text, size + 1);
        if (!text)
            return "out of memory for the key";
        sink->key_text = text;
        sink->key_room = size + 1;
        return key_make(sink, batch, i, key);
    }
    *key = (weir_view){sink->key_text, size};
    return NULL;
}

static rd_kafka_headers_t *headers_make(const weir_event *event)
{
    rd_kafka_headers_t *headers = event->header_count ? rd_kafka_headers_new(event->header_count) : NULL;
    for (size_t i = 0; i < event->header_count; i++) {
        const weir_header *header = &event->headers[i];
        rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.size, header->value.data,
                            (ssize_t)header->value.size);
    }
    return headers;
}

static const char *record_make(struct sink *sink, const weir_batch *batch, size_t i, struct producer_record *record)
{
    const weir_event *event = &batch->events[i];
    const char *refused = topic_make(sink, batch, i);
    if (!refused)
        refused = key_make(sink, batch, i, &record->key);
    if (!refused && event->time_us < 0)
        refused = "the event's time lies before 1970, which a record cannot say";
    if (!refused)
        record->headers = headers_make(event);
    record->topic = sink->topic_text;
    record->payload = event->payload;
    record->time_ms = event->time_us / 1000;
    return refused;
}

/* Puts the next event of a write. False: there is no room. */
static bool write_step(struct sink *sink, struct open_write *open)
{
    struct producer_record record = {.opaque = record_name(sink, open, open->next)};
    const char *refused = record_make(sink, &open->write->batch, open->next, &record);
    int result = refused ? WEIR_REJECT : producer_put(&sink->producer, &record, &refused);
    if (result == WEIR_FULL)
        return false;
    if (result == WEIR_REJECT)
        answer(sink, open, open->next, refused);
    open->next++;
    return true;
}

/* False: what is at its head has to wait. */
static bool line_put(struct sink *sink)
{
    struct open_write *open = sink->line;
    while (open->next < open->write->batch.count) {
        if (!write_step(sink, open))
            return false;
    }
    sink->line = open->behind;
    if (open->left == 0)
        write_answer(sink, open, WEIR_OK, NULL);
    return true;
}

/* Answering a write may bring the next one at once, which only gets into the line. */
static void line_go(struct sink *sink)
{
    if (sink->working)
        return;
    sink->working = true;
    while (sink->line && line_put(sink))
        continue;
    sink->working = false;
}

static struct open_write *place_find(struct sink *sink)
{
    struct open_write *open = sink->writes;
    while (open->write)
        open++;
    return open;
}

static void sink_write(void *state, weir_write *write)
{
    struct sink *sink = state;
    struct open_write *open = place_find(sink);
    size_t count = write->batch.count;
    if (open->room < count) {
        uint8_t *answers = realloc(open->answers, count);
        if (!answers) {
            sink->host->write_done(sink->host, write, WEIR_RETRY, "out of memory");
            return;
        }
        open->answers = answers;
        open->room = count;
    }
    if (count)
        memset(open->answers, ANSWER_NONE, count);
    open->write = write;
    open->next = 0;
    open->left = count;
    open->behind = NULL;
    if (sink->line)
        sink->line_last->behind = open;
    else
        sink->line = open;
    sink->line_last = open;
    line_go(sink);
}

/* What the producer tells. */

static void record_confirmed(void *owner, void *record)
{
    size_t i;
    struct open_write *open = record_write(owner, record, &i);
    answer(owner, open, i, NULL);
}

static void record_refused(void *owner, void *record, const char *reason)
{
    size_t i;
    struct open_write *open = record_write(owner, record, &i);
    answer(owner, open, i, reason);
}

/* And out of the line, which answers those that have no record to wait for. */
static bool write_is_done(const struct open_write *open)
{
    return open->write && open->left == 0 && open->next == open->write->batch.count && open->next > 0;
}

static void sink_progressed(void *owner)
{
    struct sink *sink = owner;
    sink->working = true;
    for (size_t i = 0; i < WRITES_MAX; i++) {
        if (write_is_done(&sink->writes[i]))
            write_answer(sink, &sink->writes[i], WEIR_OK, NULL);
    }
    sink->working = false;
    line_go(sink);
}

static void write_retry(struct sink *sink, struct open_write *open, const char *reason)
{
    for (size_t i = 0; i < open->next; i++) {
        if (open->answers[i] == ANSWER_CONFIRMED)
            sink->host->write_event(sink->host, open->write, i, WEIR_OK, NULL);
    }
    write_answer(sink, open, WEIR_RETRY, reason);
}

/* Also writes of which nothing was put are answered: they may stand behind one that failed. */
static void sink_lost(void *owner, const char *reason)
{
    struct sink *sink = owner;
    struct open_write *open[WRITES_MAX];
    size_t count = 0;
    for (size_t i = 0; reason && i < WRITES_MAX; i++) {
        if (sink->writes[i].write)
            open[count++] = &sink->writes[i];
    }
    if (reason)
        sink->line = NULL;
    sink->working = true;
    for (size_t i = 0; i < count; i++) {
        if (write_is_done(open[i]))
            write_answer(sink, open[i], WEIR_OK, NULL);
        else
            write_retry(sink, open[i], reason);
    }
    sink->working = false;
    line_go(sink);
}

static void sink_closed(void *owner)
{
    struct sink *sink = owner;
    sink->host->stopped(sink->host);
}

static const char *const acks_words[] = {"all", "1", "0", NULL};
static const char *const compression_words[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};
static const char *const partitioner_words[] = {
    "murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random", "fnv1a", "random", NULL};

static int sink_configure(void *owner, rd_kafka_conf_t *conf)
{
    struct sink *sink = owner;
    char linger[32];
    snprintf(linger, sizeof linger, "%lld.%03d", (long long)(sink->linger_us / 1000),
             (int)(sink->linger_us % 1000));
    const char *const rows[][2] = {{"acks", acks_words[sink->acks]},
                                   {"compression.type", compression_words[sink->compression]},
                                   {"partitioner", partitioner_words[sink->partitioner]},
                                   {"linger.ms", linger}};
    int result = WEIR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && result == WEIR_OK; i++)
        result = settings_set(&sink->settings, conf, rows[i][0], rows[i][1]);
    return result;
}

static const struct producer_ops sink_producer = {
    .configure = sink_configure,
    .confirmed = record_confirmed,
    .refused = record_refused,
    .progressed = sink_progressed,
    .lost = sink_lost,
    .closed = sink_closed,
};

/* Life. */

static int sink_init(void *state, const weir_host *host)
{
    struct sink *sink = state;
    sink->host = host;
    sink->producer.host = host;
    sink->producer.settings = &sink->settings;
    sink->producer.ops = &sink_producer;
    sink->producer.owner = sink;
    sink->producer.timeout_us = sink->timeout_us;
    sink->producer.idempotent = sink->idempotence != 0;
    sink->made = true;
    int result = producer_init(&sink->producer);
    if (result != WEIR_OK)
        return result;
    if (sink->idempotence && sink->acks != 0)
        return host->refuse(host, "acks",
                            "with `idempotence: true` it can only be all; set that, or idempotence: false");
    sink->key_room = KEY_ROOM;
    sink->key_text = malloc(KEY_ROOM);
    return sink->key_text ? producer_check(&sink->producer) : WEIR_NOMEM;
}

static int sink_start(void *state)
{
    struct sink *sink = state;
    return producer_start(&sink->producer);
}

static void sink_stop(void *state)
{
    struct sink *sink = state;
    producer_stop(&sink->producer);
}

static void sink_fini(void *state)
{
    struct sink *sink = state;
    if (sink->made)
        producer_fini(&sink->producer);
    for (size_t i = 0; i < WRITES_MAX; i++)
        free(sink->writes[i].answers);
    free(sink->key_text);
}

static const weir_option sink_options[] = {
    SETTINGS_ROWS,
    {.name = "topic",
     .type = WEIR_OPTION_TEMPLATE,
     .flags = WEIR_OPTION_REQUIRED,
     .offset = offsetof(struct sink, topic),
     .help = "Where an event goes."},
    {.name = "key",
     .type = WEIR_OPTION_TEMPLATE,
     .offset = offsetof(struct sink, key),
     .help = "The record's key, by which it gets its partition; default: the event's, and none if it has none."},
    {.name = "acks",
     .type = WEIR_OPTION_CHOICE,
     .choices = acks_words,
     .fallback = "all",
     .offset = offsetof(struct sink, acks),
     .help =
         "Who must have a record before it counts as confirmed: all replicas in sync, the leader (1), nobody (0). "
         "Only all is safe."},
    {.name = "compression",
     .type = WEIR_OPTION_CHOICE,
     .choices = compression_words,
     .fallback = "lz4",
     .offset = offsetof(struct sink, compression),
     .help = "How batches are compressed."},
    {.name = "linger",
     .type = WEIR_OPTION_DURATION,
     .fallback = "5ms",
     .max = INT64_C(900000000),
     .offset = offsetof(struct sink, linger_us),
     .help = "How long a record may wait for others of its partition, to be sent with them."},
    {.name = "partitioner",
     .type = WEIR_OPTION_CHOICE,
     .choices = partitioner_words,
     .fallback = "murmur2_random",
     .offset = offsetof(struct sink, partitioner),
     .help = "How a key chooses the partition; the default does as Java's client does."},
    {.name = "idempotence",
     .type = WEIR_OPTION_BOOL,
     .fallback = "true",
     .offset = offsetof(struct sink, idempotence),
     .help = "Nothing is doubled or overtaken when a broker fails; false: records may be, and throughput falls."},
    {.name = "timeout",
     .type = WEIR_OPTION_DURATION,
     .fallback = "2m",
     .min = INT64_C(100000),
     .max = INT64_C(3600000000),
     .offset = offsetof(struct sink, timeout_us),
     .help =
         "Without any confirmation for so long, the write counts as failed, and is tried anew as `retry` says."},
    {0}};

extern const weir_sink_ops sink_kafka;
const weir_sink_ops sink_kafka = {
    .size = sizeof sink_kafka,
    .type = "kafka",
    .summary = "Writes events into Kafka topics, each confirmed by its delivery report.",
    .options = sink_options,
    .state_size = sizeof(struct sink),
    .flags = WEIR_SINK_ORDERED,
    .writes_max = WRITES_MAX,
    .init = sink_init,
    .start = sink_start,
    .write = sink_write,
    .stop = sink_stop,
    .fini = sink_fini,
};
