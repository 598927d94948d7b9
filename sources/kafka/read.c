/* module: kafka libs: rdkafka openssl */
/* read.c: from the library's queues to blocks of events.
 *
 * 1. The fetched queue gives at most as many messages as there is credit for; they are held here.
 * 2. Those that follow one another in one partition become a block, whose events point into the messages.
 * 3. The block is emitted; when weir gives it back, on whatever thread, its messages are destroyed.
 *
 * What goes beyond the bytes of the credit stays held. Fails: a block that weir cannot take now is made again a
 * moment later from what is held; a partition's own error stops that partition alone. */
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

enum {
    ROUNDS_MAX = 8, /* batches in one turn of the loop */
    AGAIN_US = 20000,
    MESSAGE_BYTES = 320 /* about what the library keeps beside a message's bytes */
};

/* In one piece of memory: events, messages and headers follow. */
struct block {
    struct source *source;
    size_t count;
    rd_kafka_message_t **messages;
    weir_event events[];
};

static void block_release(void *owner)
{
    struct block *block = owner;
    struct source *source = block->source;
    for (size_t i = 0; i < block->count; i++)
        rd_kafka_message_destroy(block->messages[i]);
    free(block);
    __atomic_sub_fetch(&source->blocks, 1, __ATOMIC_RELEASE);
}

static size_t message_headers(const rd_kafka_message_t *message, rd_kafka_headers_t **headers)
{
    if (rd_kafka_message_headers(message, headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return rd_kafka_header_cnt(*headers);
}

static void headers_fill(weir_header *to, const rd_kafka_headers_t *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t size = 0;
        rd_kafka_header_get_all(headers, i, &name, &value, &size);
        to[i] = (weir_header){{name, strlen(name)}, {value, size}};
    }
}

/* An empty text has a place, an absent one has none. */
static weir_view view(const void *data, size_t size)
{
    return (weir_view){data, data ? size : 0};
}

static void event_fill(weir_event *event, rd_kafka_message_t *message, weir_view topic, int64_t now_us)
{
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(message, &type);
    memset(event, 0, sizeof *event);
    event->payload = view(message->payload, message->len);
    event->key = view(message->key, message->key_len);
    event->subject = topic;
    event->time_us = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0 ? now_us : ms * 1000;
    event->position = (uint64_t)message->offset + 1;
}

static struct block *block_new(struct source *source, rd_kafka_message_t **messages, size_t count)
{
    size_t header_count = 0;
    rd_kafka_headers_t *headers;
    for (size_t i = 0; i < count; i++)
        header_count += message_headers(messages[i], &headers);
    struct block *block = malloc(sizeof *block + count * (sizeof(weir_event) + sizeof *messages) +
                                 header_count * sizeof(weir_header));
    if (!block)
        return NULL;
    block->source = source;
    block->count = count;
    weir_header *to = (weir_header *)(void *)(block->events + count);
    block->messages = (rd_kafka_message_t **)(void *)(to + header_count);
    memcpy(block->messages, messages, count * sizeof *messages);
    const char *topic = rd_kafka_topic_name(messages[0]->rkt); /* lives as long as its messages */
    weir_view name = {topic, strlen(topic)};
    int64_t now_us = source->host->wall_us(source->host);
    for (size_t i = 0; i < count; i++) {
        event_fill(&block->events[i], messages[i], name, now_us);
        size_t own = header_count ? message_headers(messages[i], &headers) : 0;
        if (own == 0)
            continue;
        headers_fill(to, headers, own);
        block->events[i].headers = to;
        block->events[i].header_count = own;
        to += own;
    }
    return block;
}

static void less(size_t *credit, size_t used)
{
    *credit -= used < *credit ? used : *credit;
}

static void held_take(struct source *source, size_t count)
{
    source->held_first += count;
    source->held_count -= count;
    if (source->held_count == 0)
        source->held_first = 0;
}

static void held_drop(struct source *source, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rd_kafka_message_destroy(source->held[source->held_first + i]);
    held_take(source, count);
}

/* Events that may come now: not more than weir wants, and never more than a window that the group does not know of.
 */
static size_t room(const struct source *source)
{
    size_t most = source->want_bytes ? source->want_events : 0;
    if (source->peer_decides) {
        size_t left = source->uncommitted < source->window ? source->window - source->uncommitted : 0;
        most = left < most ? left : most;
    }
    return most;
}

/* How many of those held, which all are of one partition, fit; *bytes: of payload, key and subject. */
static size_t run_length(const struct source *source, size_t most, size_t *bytes)
{
    rd_kafka_message_t *const *held = source->held + source->held_first;
    size_t count = 0, topic = strlen(rd_kafka_topic_name(held[0]->rkt));
    *bytes = 0;
    while (count < most && count < source->held_count && *bytes < source->want_bytes) {
        const rd_kafka_message_t *message = held[count];
        if (message->err || message->rkt != held[0]->rkt || message->partition != held[0]->partition)
            break;
        *bytes += message->len + message->key_len + topic;
        count++;
    }
    return count;
}

static bool run_emit(struct source *source, struct partition *partition)
{
    size_t bytes, most = room(source), count = most ? run_length(source, most, &bytes) : 0;
    if (!count)
        return false;
    struct block *block =
        partition_room(partition) ? block_new(source, source->held + source->held_first, count) : NULL;
    weir_emit emit = {.size = sizeof emit, .count = count, .owner = block, .release = block_release};
    int result = WEIR_NOMEM;
    if (block) {
        emit.events = block->events;
        emit.bytes = bytes + count * MESSAGE_BYTES;
        __atomic_add_fetch(&source->blocks, 1, __ATOMIC_RELAXED);
        uint64_t last = block->events[count - 1].position;
        result = source->host->emit(source->host, partition->shard, &emit);
        if (result == WEIR_OK) {
            held_take(source, count);
            less(&source->want_events, count);
            less(&source->want_bytes, bytes);
            partition_emitted(source, partition, last, count);
            return true;
        }
        __atomic_sub_fetch(&source->blocks, 1, __ATOMIC_RELAXED);
        free(block);
    }
    source->host->log(source->host, WEIR_LOG_WARN, "%s: %zu events could not be emitted (%d); trying again",
                      partition->name, count, result);
    source_tick_at(source, AGAIN_US);
    return false;
}

/* Errors that come among the messages. */

static void partition_broken(struct source *source, struct partition *partition, const rd_kafka_message_t *message)
{
    char text[WORDS_MAX];
    source->host->log(
        source->host, WEIR_LOG_ERROR,
        "%s: it cannot be read at offset %lld: %s. The partition stops here, the others go on; to pass "
        "over it, stop weir and set the group's offset behind it (kafka-consumer-groups --reset-offsets)",
        partition->name, (long long)message->offset,
        words_error(message->err, rd_kafka_message_errstr(message), text));
    partition_stop(source, partition);
}

static void partition_error(struct source *source, struct partition *partition, const rd_kafka_message_t *message)
{
    char text[WORDS_MAX];
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        partition->at_end = true;
        partition->silent = false;
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        resolve_range(source, partition);
        break;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__UNDERFLOW:
        partition_broken(source, partition, message);
        break;
    default:
        source->host->stat_add(source->host, "partition_errors_total", 1);
        source->host->log(source->host, WEIR_LOG_WARN, "%s: %s", partition->name,
                          words_error(message->err, rd_kafka_message_errstr(message), text));
    }
}

static void message_error(struct source *source, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : NULL;
    struct partition *partition = topic ? partition_find(source, topic, message->partition) : NULL;
    char text[WORDS_MAX];
    if (partition && !partition->revoked)
        partition_error(source, partition, message);
    else if (topic && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        source->host->log(source->host, WEIR_LOG_ERROR, "topic %s: %s", topic,
                          words_error(message->err, rd_kafka_message_errstr(message), text));
    else if (!topic)
        source_tell(source, message->err, rd_kafka_message_errstr(message));
}

/* Positions come again when a partition was read anew; what was emitted is not emitted twice. */
static bool unwanted(const struct partition *partition, const rd_kafka_message_t *message)
{
    return !partition || !partition->shard || partition->revoked || partition->stopped ||
           (uint64_t)message->offset + 1 <= partition->emitted;
}

/* Emits what is held. False: no more fits now. */
static bool held_emit(struct source *source)
{
    while (source->held_count) {
        rd_kafka_message_t *message = source->held[source->held_first];
        if (message->err) {
            held_take(source, 1);
            message_error(source, message);
            rd_kafka_message_destroy(message);
            continue;
        }
        struct partition *partition = partition_find(source, rd_kafka_topic_name(message->rkt), message->partition);
        if (unwanted(partition, message)) {
            held_drop(source, 1);
            continue;
        }
        partition->at_end = partition->silent = false;
        if (!run_emit(source, partition))
            return false;
    }
    return true;
}

static size_t messages_bytes(rd_kafka_message_t *const *messages, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += messages[i]->len + messages[i]->key_len;
    return bytes;
}

void read_messages(struct source *source)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (!held_emit(source))
            return;
        size_t most = room(source);
        if (most == 0)
            return;
        most = most < HELD_MAX ? most : HELD_MAX;
        ssize_t count = rd_kafka_consume_batch_queue(source->fetched, 0, source->held, most);
        if (count <= 0) {
            poke_empty(source);
            return;
        }
        poke_taken(source, messages_bytes(source->held, (size_t)count));
        source->held_first = 0;
        source->held_count = (size_t)count;
    }
    source->host->wake(source->host);
}

/* Rebalances and commits are answered by callbacks in here. A message may have come this way before its partition's
 * queue was led to the other one. */
void read_control(struct source *source)
{
    rd_kafka_message_t *messages[16];
    ssize_t count = 1;
    while (count > 0 && source->held_first + source->held_count + 16 <= HELD_ROOM) {
        count = rd_kafka_consume_batch_queue(source->control, 0, messages, 16);
        for (ssize_t i = 0; i < count; i++) {
            if (!messages[i]->err) {
                source->held[source->held_first + source->held_count++] = messages[i];
                continue;
            }
            message_error(source, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
}

void read_forget(struct source *source, const struct partition *partition)
{
    size_t kept = 0;
    rd_kafka_message_t **held = source->held + source->held_first;
    for (size_t i = 0; i < source->held_count; i++) {
        bool of = held[i]->rkt && held[i]->partition == partition->number &&
                  strcmp(rd_kafka_topic_name(held[i]->rkt), partition->topic) == 0;
        if (of)
            rd_kafka_message_destroy(held[i]);
        else
            held[kept++] = held[i];
    }
    source->held_count = kept;
}

void read_free(struct source *source)
{
    held_drop(source, source->held_count);
}
