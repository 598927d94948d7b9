/* module: kafka libs: rdkafka openssl */
/* kafka.c: the source `kafka`: one consumer of a group, whose offsets are stored when what they stand for is
 * completed.
 *
 * The normal path:
 *   1. start makes the consumer and joins the group; two queues of it wake the loop by one descriptor.
 *   2. The group gives partitions: each becomes a shard, read on from where DESIGN's table says (rebalance.c,
 * resolve.c).
 *   3. While there is credit, messages are taken from the queue of all partitions and emitted in place (read.c).
 *   4. Completed positions go to the group within 50 ms (commit.c).
 *   5. The group takes partitions: what is in flight is drained, committed, and let go.
 *   6. stop commits, and leaves the group on a helper.
 * The library's own threads fetch ahead, within its queue limits; without credit nothing is taken, and nothing is
 * paused: rebalances come by the other queue, which is served all the time, so the group sees that we are alive.
 * How it fails: brokers that are away are told once and come back by themselves. A partition that cannot be read
 * (deleted records, a log made anew, a damaged batch, state that moved) stops alone and says what to do. A fatal
 * error of the library (another process with our instance_id) ends the source. A kill loses nothing: what the group
 * does not have as completed comes again, at most one window. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka/consumer.h"

enum { SECOND_US = 1000000 };

/* What the library tells by callbacks. */

void source_fail(struct source *source, const char *reason)
{
    if (!source->failed)
        source->host->failed(source->host, reason);
    source->failed = true;
}

void source_tell(struct source *source, rd_kafka_resp_err_t code, const char *detail)
{
    char text[WORDS_MAX], cause[300];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(source->client, cause, sizeof cause);
        source_fail(source, words_error(code, cause, text));
        return;
    }
    int64_t now = source->host->mono_us(source->host);
    bool again = words_passing(code) && source->told == code && now - source->told_at_us < 30 * (int64_t)SECOND_US;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && source->told && words_passing(source->told))
        again = true; /* the cause was told */
    source->host->stat_add(source->host, "errors_total", 1);
    source->host->log(source->host,
                      again                 ? WEIR_LOG_DEBUG
                      : words_passing(code) ? WEIR_LOG_WARN
                                            : WEIR_LOG_ERROR,
                      "%s", words_error(code, detail, text));
    if (again)
        return;
    source->told = code;
    source->told_at_us = now;
}

static void error_came(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct source *source = opaque;
    (void)client;
    if (!source->closing)
        source_tell(source, code, reason);
}

/* The loop. */

void source_tick_at(struct source *source, int64_t delay_us)
{
    int64_t at = source->host->mono_us(source->host) + delay_us;
    if (source->closed || (source->tick_at_us && at >= source->tick_at_us))
        return;
    source->tick_at_us = at;
    source->host->timer_set(source->tick, delay_us);
}

static void source_end(struct source *source)
{
    size_t stopped = 0;
    if (source->until != UNTIL_END || source->ended || source->failed || source->stopping ||
        !partitions_ended(source))
        return;
    for (const struct partition *each = source->partitions; each; each = each->next)
        stopped += each->stopped;
    source->ended = true;
    if (stopped)
        source_fail(source,
                    "the end is reached, but for partitions that could not be read; they are in the log above");
    else
        source->host->ended(source->host);
}

static void stop_advance(struct source *source)
{
    if (source->closing || source->job || source->poking || source->steps)
        return;
    if (source->client)
        commit_store(source);
    source->host->timer_set(source->tick, -1);
    leave_begin(source);
}

void source_advance(struct source *source)
{
    if (source->closing || !source->client)
        return;
    read_control(source);
    rebalance_advance(source);
    if (source->stopping) {
        stop_advance(source);
        return;
    }
    if (!source->ended)
        read_messages(source);
    source_end(source);
}

static void source_woken(void *state)
{
    source_advance(state);
}

static void descriptor_ready(void *state, void *arg, int events)
{
    struct source *source = state;
    uint64_t count;
    (void)arg, (void)events;
    if (read(source->wake_fd, &count, sizeof count) > 0)
        source_advance(source);
}

static void ranges_ask(struct source *source)
{
    for (struct partition *each = source->partitions; each; each = each->next) {
        if (each->asked && !each->stopped && !each->revoked && !source->job)
            resolve_range(source, each);
    }
}

static void tick_due(void *state, void *arg)
{
    struct source *source = state;
    int64_t now = source->host->mono_us(source->host);
    (void)arg;
    source->tick_at_us = 0;
    if (source->closing)
        return;
    if (!source->subscribed && !source->stopping)
        resolve_survey(source);
    commit_store(source);
    rebalance_lead(source);
    source_advance(source);
    if (source->closing)
        return;
    ranges_ask(source);
    if (now - source->lag_at_us >= SECOND_US) {
        source->lag_at_us = now;
        partitions_lag(source);
    }
    source_tick_at(source, SECOND_US);
}

/* Life. */

static void source_want(void *state, size_t events, size_t bytes)
{
    struct source *source = state;
    bool more = events && bytes && !source->stopping;
    source->want_events = events;
    source->want_bytes = bytes;
    source->window = events > source->window ? events : source->window;
    if (more)
        source->host->wake(source->host);
}

static void source_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct source *source = state;
    struct partition *partition = partition_of_shard(source, shard);
    (void)how;
    if (partition && partition_find(source, partition->topic, partition->number) == partition)
        commit_settled(source, partition, first, last);
}

static void source_released(void *state, weir_shard *shard)
{
    struct source *source = state;
    struct partition *partition = partition_of_shard(source, shard);
    if (partition)
        partition_released(source, partition);
    source->host->wake(source->host);
}

int source_subscribe(struct source *source)
{
    char text[WORDS_MAX];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)source->topics.count);
    for (size_t i = 0; i < source->topics.count; i++)
        rd_kafka_topic_partition_list_add(list, source->topics.items[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    source->subscribed = true;
    if (!code)
        return WEIR_OK;
    source_fail(source, words_error(code, "the topics cannot be subscribed to", text));
    return WEIR_INVALID;
}

static int queues_watch(struct source *source)
{
    static const uint64_t one = 1;
    source->control = rd_kafka_queue_get_consumer(source->client);
    source->fetched = rd_kafka_queue_new(source->client);
    source->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!source->control || !source->fetched || source->wake_fd < 0)
        return WEIR_NOMEM;
    rd_kafka_queue_io_event_enable(source->control, source->wake_fd, &one, sizeof one);
    rd_kafka_queue_io_event_enable(source->fetched, source->wake_fd, &one, sizeof one);
    return source->host->watch_fd(source->host, source->wake_fd, WEIR_READABLE, descriptor_ready, NULL)
               ? WEIR_OK
               : WEIR_NOMEM;
}

static int source_start(void *state)
{
    struct source *source = state;
    char fault[500], text[WORDS_MAX];
    source->client = rd_kafka_new(RD_KAFKA_CONSUMER, source->conf, fault, sizeof fault);
    if (!source->client) {
        source->host->log(source->host, WEIR_LOG_ERROR, "the consumer could not be made: %s",
                          words_error(rd_kafka_last_error(), fault, text));
        return WEIR_INVALID;
    }
    source->conf = NULL;
    settings_login(&source->settings, source->client);
    rd_kafka_poll_set_consumer(source->client);
    int result = queues_watch(source);
    if (result != WEIR_OK)
        return result;
    source_tick_at(source, SECOND_US);
    if (source->start == START_LATEST)
        resolve_survey(source);
    else
        result = source_subscribe(source);
    return result;
}

static void source_stop(void *state)
{
    struct source *source = state;
    if (source->stopping)
        return;
    __atomic_store_n(&source->stopping, true, __ATOMIC_RELAXED); /* jobs look at it */
    source->want_events = source->want_bytes = 0;
    if (source->client)
        source_advance(source);
    else
        stop_advance(source);
}

static void source_fini(void *state)
{
    struct source *source = state;
    read_free(source);
    source->closing = true;
    leave_destroy(source);
    if (source->conf)
        rd_kafka_conf_destroy(source->conf);
    if (source->wake_fd > 0)
        close(source->wake_fd);
    rebalance_free(source);
    partitions_free(source);
    resolve_free(source);
}

static int source_init(void *state, const weir_host *host)
{
    struct source *source = state;
    source->host = host;
    source->wake_fd = -1;
    int result = consumer_conf(source);
    if (result != WEIR_OK)
        return result;
    rd_kafka_conf_set_rebalance_cb(source->conf, rebalance_called);
    rd_kafka_conf_set_error_cb(source->conf, error_came);
    rd_kafka_conf_set_offset_commit_cb(source->conf, commit_answered);
    source->tick = host->timer_new(host, tick_due, NULL);
    return source->tick ? WEIR_OK : WEIR_NOMEM;
}

static const weir_source_ops source_kafka = {
    .size = sizeof source_kafka,
    .type = "kafka",
    .summary = "Records of Kafka topics, as a member of a consumer group.",
    .options = consumer_options,
    .state_size = sizeof(struct source),
    .flags = WEIR_SOURCE_REPLAYS | WEIR_SOURCE_KEEPS_POSITION | WEIR_SOURCE_FROM_ZERO,
    .init = source_init,
    .start = source_start,
    .want = source_want,
    .settle = source_settle,
    .released = source_released,
    .woken = source_woken,
    .stop = source_stop,
    .fini = source_fini,
};

extern const weir_sink_ops sink_kafka; /* sinks/kafka.c */
static const weir_source_ops *const sources[] = {&source_kafka, NULL};
static const weir_sink_ops *const sinks[] = {&sink_kafka, NULL};

WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof weir_module,
    .name = "kafka",
    .version = WEIR_VERSION,
    .sources = sources,
    .sinks = sinks,
};
