/* module: kafka libs: rdkafka */
/* producer.c: see producer.h.
 *
 * The normal path: the library puts its reports into a queue, and a byte into a descriptor when the queue was
 * empty; the loop empties the queue.
 *
 * How it fails. A connection that is lost or refused is the library's to mend: it sends again what was not
 * acknowledged, in order, and an idempotent producer without duplicates, so nothing is given up before `timeout`
 * without any report. A broker refuses batches, not records: when it refuses one of several records, the guilty one
 * is not known. So the handle asks to be stopped by the library at the first gap (enable.gapless.guarantee): the
 * broker then takes nothing of that partition behind it. The handle is left, after what the broker still answers
 * has been heard, and for a while a new one sends every record in a batch of its own, in which only the guilty is
 * refused. A handle that the library calls broken (fatal, fenced) is left in the same way. Ending a handle blocks,
 * so a helper does it. */
#include "producer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 64 };
static const int64_t ending_max_us = 2000000, each_us = 5000000, again_us = 1000000;

static void producer_renew(struct producer *producer);
static void producer_leave(struct producer *producer);

/* What errors mean. */

enum fate { FATE_CONFIRMED, FATE_REFUSED, FATE_SUSPECT, FATE_AGAIN };

/* REFUSED: all records of the topic alike; SUSPECT: one of the batch. */
static enum fate fate_of(const struct producer *producer, rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return FATE_CONFIRMED;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
        return FATE_REFUSED;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return producer->many_topics ? FATE_REFUSED : FATE_AGAIN;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR__BAD_MSG:
        return FATE_SUSPECT;
    default:
        return FATE_AGAIN;
    }
}

static void producer_say(struct producer *producer, rd_kafka_resp_err_t code, const char *detail)
{
    /* That all brokers are down follows from what was said of each. */
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && producer->trouble)
        return;
    words_error(code, detail, producer->reason);
    if (code == producer->trouble)
        return;
    producer->trouble = code;
    producer->said = true;
    producer->host->log(producer->host, WEIR_LOG_WARN, "%s", producer->reason);
}

/* Time. */

static int64_t now_us(const struct producer *producer)
{
    return producer->host->mono_us(producer->host);
}

static void timer_set(struct producer *producer)
{
    int64_t at = producer->progress_us + producer->timeout_us;
    if (producer->state == PRODUCER_ENDING)
        at = producer->ending_us;
    else if (producer->each && producer->whole_us < at)
        at = producer->whole_us;
    int64_t delay = at - now_us(producer);
    producer->host->timer_set(producer->timer, delay > 0 ? delay : 0);
}

/* No more records; what the broker still answers is heard for a while, what it was not sent is given up at once. */
static void producer_end(struct producer *producer, const char *reason)
{
    if (producer->state != PRODUCER_OPEN)
        return;
    producer->state = PRODUCER_ENDING;
    producer->ending_us = now_us(producer) + ending_max_us;
    if (reason != producer->reason)
        snprintf(producer->reason, sizeof producer->reason, "%s", reason);
    rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
    timer_set(producer);
}

static bool each_is_over(const struct producer *producer)
{
    return producer->each && now_us(producer) >= producer->whole_us;
}

static void timer_due(void *state, void *arg)
{
    struct producer *producer = arg;
    (void)state;
    if (producer->state == PRODUCER_NONE && !producer->stopping) {
        producer_renew(producer);
    } else if (producer->state == PRODUCER_ENDING) {
        producer_leave(producer);
    } else if (producer->state == PRODUCER_OPEN && !producer->open && each_is_over(producer)) {
        producer->each_next = false;
        producer_end(producer, "");
        producer_leave(producer);
    } else if (producer->state == PRODUCER_OPEN && producer->open) {
        if (now_us(producer) - producer->progress_us >= producer->timeout_us) {
            producer->host->log(producer->host, WEIR_LOG_WARN,
                                "nothing was confirmed within `timeout`; trying anew");
            producer_end(producer, producer->trouble ? producer->reason
                                                     : "no broker has confirmed anything within `timeout`");
        } else if (!each_is_over(producer)) {
            timer_set(producer);
        }
    }
}

/* Reports. */

static void record_reported(struct producer *producer, const rd_kafka_message_t *message, size_t together)
{
    char text[WORDS_MAX];
    enum fate fate = fate_of(producer, message->err);
    producer->open--;
    if (fate == FATE_CONFIRMED) {
        producer->ops->confirmed(producer->owner, message->_private);
        return;
    }
    words_error(message->err, NULL, text);
    if (fate == FATE_SUSPECT || fate == FATE_REFUSED) {
        producer->each_next = true;
        producer->whole_us = now_us(producer) + each_us;
    }
    if (fate == FATE_REFUSED || (fate == FATE_SUSPECT && (producer->each || together == 1)))
        producer->ops->refused(producer->owner, message->_private, text);
    else
        producer_end(producer, text); /* it stays open for the owner, who hears `lost` */
}

static void reports_take(struct producer *producer, rd_kafka_event_t *event)
{
    size_t together = rd_kafka_event_message_count(event);
    const rd_kafka_message_t *message;
    producer->progress_us = now_us(producer);
    while ((message = rd_kafka_event_message_next(event))) {
        if (!message->err && producer->said) {
            producer->said = false;
            producer->trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
            producer->host->log(producer->host, WEIR_LOG_INFO, "records are confirmed again");
        }
        record_reported(producer, message, together);
    }
}

static void error_take(struct producer *producer, rd_kafka_event_t *event)
{
    char text[WORDS_MAX], detail[WORDS_MAX];
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        producer_say(producer, code, rd_kafka_event_error_string(event));
        return;
    }
    code = rd_kafka_fatal_error(producer->client, detail, sizeof detail);
    words_error(code, detail, text);
    if (code != RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE)
        producer->host->log(producer->host, WEIR_LOG_WARN, "%s; starting a new producer", text);
    producer_end(producer, text);
}

static void event_take(struct producer *producer, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        reports_take(producer, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        error_take(producer, event);
        break;
    default: /* nothing else was asked for */
        break;
    }
    rd_kafka_event_destroy(event);
}

/* The queue tells only that it is not empty any more, so what is left for later is told by ourselves. */
static void events_due(void *state, void *arg, int events)
{
    struct producer *producer = arg;
    uint64_t count = 0;
    size_t taken = 0;
    rd_kafka_event_t *event = NULL;
    (void)state, (void)events;
    if (read(producer->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        producer->host->failed(producer->host, "an event descriptor cannot be read");
    while (taken < EVENTS_MAX && (event = rd_kafka_queue_poll(producer->queue, 0))) {
        event_take(producer, event);
        taken++;
    }
    count = 1;
    if (event && write(producer->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        producer->host->failed(producer->host, "an event descriptor cannot be written");
    if (taken)
        producer->ops->progressed(producer->owner);
    if (producer->state == PRODUCER_ENDING && !producer->open)
        producer_leave(producer);
    else if (producer->state == PRODUCER_OPEN && !producer->open && each_is_over(producer))
        timer_set(producer);
}

/* Handles. */

static const struct settings_rule rules[] = {
    {"acks", "use `acks` of the sink"},
    {"request.required.acks", "use `acks` of the sink"},
    {"enable.idempotence", "use `idempotence` of the sink"},
    {"compression.codec", "use `compression` of the sink"},
    {"compression.type", "use `compression` of the sink"},
    {"linger.ms", "use `linger` of the sink"},
    {"queue.buffering.max.ms", "use `linger` of the sink"},
    {"partitioner", "use `partitioner` of the sink"},
    {"message.timeout.ms", "weir gives no record up; `timeout` of the sink says when it tries anew"},
    {"delivery.timeout.ms", "weir gives no record up; `timeout` of the sink says when it tries anew"},
    {"retries", "the library sends again until `timeout` of the sink, and then weir does"},
    {"message.send.max.retries", "the library sends again until `timeout` of the sink, and then weir does"},
    {"max.in.flight", "another number could change the order of records"},
    {"max.in.flight.requests.per.connection", "another number could change the order of records"},
    {"queuing.strategy", "it would change the order of records"},
    {"delivery.report.only.error", "a record is done only when its report says so"},
    {"enable.gapless.guarantee", "weir sets it to keep the order of records"},
    {"transactional.id", "this sink does not use transactions"},
    {"batch.num.messages", "weir sets it to find the one record that a broker refuses; use batch.size"},
    {0}};

static int conf_set_ours(struct producer *producer, rd_kafka_conf_t *conf)
{
    const struct settings *settings = producer->settings;
    char number[32];
    int64_t bytes = producer->host->event_bytes_max + (64 << 10);
    snprintf(number, sizeof number, "%lld", (long long)(bytes < 1000000 ? 1000000 : bytes));
    const char *const ours[][2] = {
        {"enable.idempotence", producer->idempotent ? "true" : "false"},
        {"enable.gapless.guarantee", producer->idempotent && !producer->each ? "true" : "false"},
        {"max.in.flight", producer->idempotent ? "5" : "1"},
        {"message.timeout.ms", "0"},
        {"batch.num.messages", producer->each ? "1" : "10000"}};
    int result = settings_default(settings, conf, "message.max.bytes", number);
    if (result == WEIR_OK)
        result = settings_default(settings, conf, "topic.metadata.propagation.max.ms", "5000");
    for (size_t i = 0; i < sizeof ours / sizeof ours[0] && result == WEIR_OK; i++)
        result = settings_set(settings, conf, ours[i][0], ours[i][1]);
    return result == WEIR_OK ? producer->ops->configure(producer->owner, conf) : result;
}

static int conf_new(struct producer *producer, rd_kafka_conf_t **conf)
{
    int result = settings_conf(producer->settings, producer->host, rules, conf);
    if (result != WEIR_OK)
        return result;
    result = conf_set_ours(producer, *conf);
    if (result != WEIR_OK)
        rd_kafka_conf_destroy(*conf);
    else
        rd_kafka_conf_set_events(*conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    return result;
}

int producer_check(struct producer *producer)
{
    rd_kafka_conf_t *conf;
    int result = conf_new(producer, &conf);
    if (result == WEIR_OK)
        rd_kafka_conf_destroy(conf);
    return result;
}

int producer_start(struct producer *producer)
{
    char text[WORDS_MAX];
    static const uint64_t one = 1;
    rd_kafka_conf_t *conf;
    int result = conf_new(producer, &conf);
    if (result != WEIR_OK)
        return result;
    producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!producer->client) {
        rd_kafka_conf_destroy(conf);
        producer->host->log(producer->host, WEIR_LOG_ERROR, "the producer cannot be made: %s", text);
        return WEIR_INVALID;
    }
    result = settings_login(producer->settings, producer->client);
    if (result != WEIR_OK) {
        rd_kafka_destroy(producer->client);
        producer->client = NULL;
        return result;
    }
    producer->state = PRODUCER_OPEN;
    producer->open = 0;
    producer->topic_name[0] = '\0';
    producer->queue = rd_kafka_queue_get_main(producer->client);
    rd_kafka_queue_io_event_enable(producer->queue, producer->fd, &one, sizeof one);
    producer->watch = producer->host->watch_fd(producer->host, producer->fd, WEIR_READABLE, events_due, producer);
    producer->progress_us = now_us(producer);
    if (producer->each)
        timer_set(producer);
    return WEIR_OK;
}

static void topic_drop(struct producer *producer)
{
    if (producer->topic)
        rd_kafka_topic_destroy(producer->topic);
    producer->topic = NULL;
}

static void client_destroy(void *state, void *arg)
{
    struct producer *producer = arg;
    (void)state;
    rd_kafka_destroy(producer->client);
}

static void producer_renew(struct producer *producer)
{
    if (producer_start(producer) == WEIR_OK)
        return;
    producer->state = PRODUCER_NONE;
    producer->host->timer_set(producer->timer, again_us);
}

static void client_destroyed(void *state, void *arg)
{
    struct producer *producer = arg;
    char reason[WORDS_MAX];
    bool planned = producer->reason[0] == '\0';
    (void)state;
    producer->client = NULL;
    producer->state = PRODUCER_NONE;
    if (producer->stopping) {
        producer->ops->closed(producer->owner);
        return;
    }
    if (producer->each && !producer->each_next)
        producer->host->log(producer->host, WEIR_LOG_INFO, "sending whole batches again");
    if (producer->each_next && !producer->each)
        producer->host->log(producer->host, WEIR_LOG_WARN,
                            "a batch was refused (%s); sending each record by itself for a while, to find which",
                            producer->reason);
    producer->each = producer->each_next;
    producer->host->stat_add(producer->host, "producers_replaced_total", 1);
    snprintf(reason, sizeof reason, "%s", producer->reason);
    producer->reason[0] = '\0';
    producer_renew(producer);
    producer->ops->lost(producer->owner, planned ? NULL : reason);
}

/* On the loop, but for the destruction itself. Until it is done the library may touch what is open. */
static void producer_leave(struct producer *producer)
{
    if (producer->host->offload(producer->host, client_destroy, client_destroyed, producer) != WEIR_OK) {
        producer->ending_us = now_us(producer) + again_us;
        timer_set(producer);
        return;
    }
    producer->state = PRODUCER_LEAVING;
    producer->host->timer_set(producer->timer, -1);
    producer->host->watch_stop(producer->watch);
    producer->watch = NULL;
    topic_drop(producer);
    rd_kafka_queue_destroy(producer->queue);
    producer->queue = NULL;
}

/* Putting. */

static int topic_use(struct producer *producer, const char *name)
{
    if (producer->topic && strcmp(name, producer->topic_name) == 0)
        return WEIR_OK;
    topic_drop(producer);
    producer->topic = rd_kafka_topic_new(producer->client, name, NULL);
    snprintf(producer->topic_name, sizeof producer->topic_name, "%s", name);
    if (!producer->first_name[0])
        snprintf(producer->first_name, sizeof producer->first_name, "%s", name);
    producer->many_topics |= strcmp(producer->first_name, name) != 0;
    return producer->topic ? WEIR_OK : WEIR_REJECT;
}

static rd_kafka_resp_err_t record_put(struct producer *producer, const struct producer_record *record)
{
    void *payload = (void *)(uintptr_t)record->payload.data; /* the library only reads it */
    return rd_kafka_producev(producer->client, RD_KAFKA_V_RKT(producer->topic),
                             RD_KAFKA_V_KEY(record->key.data, record->key.size),
                             RD_KAFKA_V_VALUE(payload, record->payload.size), RD_KAFKA_V_HEADERS(record->headers),
                             RD_KAFKA_V_TIMESTAMP(record->time_ms), RD_KAFKA_V_MSGFLAGS(0),
                             RD_KAFKA_V_OPAQUE(record->opaque), RD_KAFKA_V_END);
}

static int put_failed(struct producer *producer, rd_kafka_resp_err_t code, const char **reason)
{
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && producer->open)
        return WEIR_FULL;
    words_error(code, NULL, producer->refusal);
    *reason = producer->refusal;
    enum fate fate = fate_of(producer, code);
    if (fate == FATE_REFUSED || fate == FATE_SUSPECT || code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return WEIR_REJECT; /* alone it does not fit into the queue */
    producer_end(producer, producer->refusal);
    return WEIR_FULL;
}

int producer_put(struct producer *producer, const struct producer_record *record, const char **reason)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    int result = producer->state == PRODUCER_OPEN && !each_is_over(producer) ? WEIR_OK : WEIR_FULL;
    if (result == WEIR_OK) {
        result = topic_use(producer, record->topic);
        code = result == WEIR_OK ? record_put(producer, record) : rd_kafka_last_error();
        result = code ? put_failed(producer, code, reason) : WEIR_OK;
    }
    if (result != WEIR_OK) {
        if (record->headers)
            rd_kafka_headers_destroy(record->headers);
        return result;
    }
    if (producer->open++ == 0) {
        producer->progress_us = now_us(producer);
        timer_set(producer);
    }
    return WEIR_OK;
}

/* Life. */

int producer_init(struct producer *producer)
{
    producer->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    producer->timer = producer->host->timer_new(producer->host, timer_due, producer);
    return producer->timer && producer->fd >= 0 ? WEIR_OK : WEIR_NOMEM;
}

void producer_stop(struct producer *producer)
{
    if (producer->stopping)
        return;
    producer->stopping = true;
    producer->host->timer_set(producer->timer, -1);
    if (producer->state == PRODUCER_NONE) {
        producer->ops->closed(producer->owner);
    } else if (producer->state == PRODUCER_OPEN) {
        producer_end(producer, "stopped");
        producer_leave(producer);
    }
}

void producer_fini(struct producer *producer)
{
    if (producer->client) {
        producer->host->watch_stop(producer->watch);
        topic_drop(producer);
        rd_kafka_queue_destroy(producer->queue);
        rd_kafka_destroy(producer->client);
    }
    if (producer->timer)
        producer->host->timer_free(producer->timer);
    if (producer->timer && producer->fd >= 0)
        close(producer->fd);
}
