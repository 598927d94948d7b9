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
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kafka/consumer.h"

enum { SECOND_US = 1000000, TOPIC_MAX = 238, CLOSE_WAIT_US = 10000000 };

static const struct settings_rule source_rules[] = {
    {"group.id", "use `group`"},
    {"group.instance.id", "use `instance_id`"},
    {"group.protocol", "partitions are assigned by the classic protocol, see `assignment`"},
    {"group.remote.assignor", "partitions are assigned by the classic protocol, see `assignment`"},
    {"auto.offset.reset", "use `start` and `out_of_range`; a position is never moved without a word"},
    {"enable.auto.commit", "an offset is stored when all before it is completed, not when it was read"},
    {"auto.commit.enable", "an offset is stored when all before it is completed, not when it was read"},
    {"auto.commit.interval.ms", "what is completed is told to the group within 50 ms"},
    {"enable.auto.offset.store", "an offset is stored when all before it is completed, not when it was read"},
    {"offset.store.*", "offsets are stored in the group"},
    {"isolation.level", "use `isolation`"},
    {"partition.assignment.strategy", "use `assignment`"},
    {"enable.partition.eof", "it follows from `until`"},
    {"consume.callback.max.messages", "messages are taken in batches"},
    {0}};

static const char *const isolations[] = {"read_committed", "read_uncommitted", NULL};
static const char *const assignments[] = {"cooperative-sticky", "range", "roundrobin", NULL};
static const char *const untils[] = {"none", "end", NULL};
static const char *const ranges[] = {"stop", "earliest", "latest", NULL};

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

static void close_job(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    rd_kafka_consumer_close(source->client);
}

static void client_free(struct source *source)
{
    if (source->control)
        rd_kafka_queue_destroy(source->control);
    if (source->fetched)
        rd_kafka_queue_destroy(source->fetched);
    source->control = source->fetched = NULL;
    if (source->client)
        rd_kafka_destroy_flags(source->client, source->closed ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    source->client = NULL;
}

static void destroy_job(void *state, void *arg)
{
    (void)arg;
    client_free(state);
}

static void destroy_done(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    source->stopped = true;
    source->host->stopped(source->host);
}

/* Blocks that are still lent (the stop was cut short) hold the client; then fini ends it. */
static void close_done(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    source->closed = true;
    read_free(source);
    bool lent = __atomic_load_n(&source->blocks, __ATOMIC_ACQUIRE) != 0;
    if (lent || source->host->offload(source->host, destroy_job, destroy_done, NULL) != WEIR_OK)
        destroy_done(source, NULL);
}

static void stop_advance(struct source *source)
{
    if (source->closing || source->job || source->steps)
        return;
    if (source->client)
        commit_store(source);
    source->closing = true;
    source->host->timer_set(source->tick, -1);
    if (!source->client) {
        destroy_done(source, NULL);
        return;
    }
    rd_kafka_queue_io_event_enable(source->control, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(source->fetched, -1, NULL, 0);
    if (source->host->offload(source->host, close_job, close_done, NULL) != WEIR_OK)
        close_done(source, NULL); /* destroyed without a goodbye: the group notices by the session's end */
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
    source->stopping = true;
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
    client_free(source);
    if (source->conf)
        rd_kafka_conf_destroy(source->conf);
    if (source->wake_fd > 0)
        close(source->wake_fd);
    rebalance_free(source);
    partitions_free(source);
    resolve_free(source);
}

/* Options. */

/* 2026-01-31T08:00:00Z, with a fraction and an offset if need be. */
static bool time_read(const char *text, int64_t *ms)
{
    struct tm parts = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    int64_t part = 0, scale = 100;
    int hours = 0, minutes = 0, used = 0;
    if (!at)
        return false;
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at); at++, scale /= 10)
            part += (*at - '0') * scale;
    }
    int sign = *at == '-' ? -1 : 1;
    if (strcmp(at, "Z") != 0 && (sscanf(at, "%*1[+-]%2d:%2d%n", &hours, &minutes, &used) != 2 || at[used]))
        return false;
    *ms = ((int64_t)timegm(&parts) - sign * (hours * 60 + minutes) * INT64_C(60)) * 1000 + part;
    return *ms >= 0;
}

static int start_check(struct source *source)
{
    if (strcmp(source->start_text, "earliest") == 0)
        source->start = START_EARLIEST;
    else if (strcmp(source->start_text, "latest") == 0)
        source->start = START_LATEST;
    else if (time_read(source->start_text, &source->start_ms))
        source->start = START_TIME;
    else
        return source->host->refuse(source->host, "start",
                                    "\"%s\" is not allowed; expected earliest, latest or a time as in "
                                    "2026-01-31T08:00:00Z",
                                    source->start_text);
    return WEIR_OK;
}

static int topic_check(const struct source *source, const char *topic)
{
    char fault[200];
    regex_t pattern;
    if (topic[0] == '^') {
        int code = regcomp(&pattern, topic, REG_EXTENDED | REG_NOSUB);
        if (code) {
            regerror(code, &pattern, fault, sizeof fault);
            return source->host->refuse(source->host, "topics", "\"%s\" is no regular expression: %s", topic,
                                        fault);
        }
        regfree(&pattern);
        return WEIR_OK;
    }
    size_t size = strlen(topic);
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)topic[i]) && !strchr("._-", topic[i]))
            size = 0;
    }
    if (size == 0 || size > TOPIC_MAX || strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0)
        return source->host->refuse(
            source->host, "topics",
            "\"%s\" is no topic: letters, digits, . _ and -, at most %d; a pattern begins with ^", topic,
            TOPIC_MAX);
    return WEIR_OK;
}

static int options_check(struct source *source)
{
    int result = start_check(source);
    for (size_t i = 0; i < source->topics.count && result == WEIR_OK; i++)
        result = topic_check(source, source->topics.items[i]);
    const char *poll = settings_property(&source->settings, "max.poll.interval.ms");
    int64_t poll_us = (poll ? atoll(poll) : 300000) * 1000;
    if (result == WEIR_OK && source->drain_us >= poll_us)
        return source->host->refuse(
            source->host, "drain",
            "must be shorter than properties.max.poll.interval.ms (%lld ms), or the group gives "
            "the partitions to others before it is over",
            (long long)(poll_us / 1000));
    return result;
}

static int defaults_set(struct source *source)
{
    char kilobytes[24];
    int64_t share =
        source->host->prefetch_bytes / 4 / 1024; /* beside a small message's bytes there is as much again */
    snprintf(kilobytes, sizeof kilobytes, "%lld",
             (long long)(share < 1024      ? 1024
                         : share > 2000000 ? 2000000
                                           : share));
    const char *const defaults[][2] = {
        {"queued.max.messages.kbytes", kilobytes},
        {"queued.min.messages", "10000000"}, /* the limit above decides; at this one a fetcher sleeps for 1 s */
        {"check.crcs", "true"},
        {"socket.nagle.disable", "true"},
        {"reconnect.backoff.max.ms", "2000"},
        {"topic.metadata.refresh.interval.ms", "30000"},
    };
    int result = WEIR_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0] && result == WEIR_OK; i++)
        result = settings_default(&source->settings, source->conf, defaults[i][0], defaults[i][1]);
    if (result == WEIR_OK && rd_kafka_version() >= 0x02020000)
        result = settings_default(&source->settings, source->conf, "fetch.queue.backoff.ms", "20");
    return result;
}

static int group_set(struct source *source)
{
    char group[300];
    snprintf(group, sizeof group, "weir-%.*s", (int)source->host->name.size, source->host->name.data);
    const char *const values[][2] = {
        {"group.id", source->group ? source->group : group},
        {"group.instance.id", source->instance_id},
        {"isolation.level", isolations[source->isolation]},
        {"partition.assignment.strategy", assignments[source->assignment]},
        {"enable.partition.eof", source->until == UNTIL_END ? "true" : "false"},
        {"auto.offset.reset", "error"},
        {"enable.auto.commit", "true"}, /* of what is stored, see commit.c */
        {"auto.commit.interval.ms", "25"},
        {"enable.auto.offset.store", "false"},
    };
    int result = WEIR_OK;
    for (size_t i = 0; i < sizeof values / sizeof values[0] && result == WEIR_OK; i++) {
        if (values[i][1])
            result = settings_set(&source->settings, source->conf, values[i][0], values[i][1]);
    }
    return result;
}

static int source_init(void *state, const weir_host *host)
{
    struct source *source = state;
    source->host = host;
    source->wake_fd = -1;
    int result = settings_conf(&source->settings, host, source_rules, &source->conf);
    if (result == WEIR_OK)
        result = options_check(source);
    if (result == WEIR_OK)
        result = defaults_set(source);
    if (result == WEIR_OK)
        result = group_set(source);
    if (result != WEIR_OK)
        return result;
    rd_kafka_conf_set_rebalance_cb(source->conf, rebalance_called);
    rd_kafka_conf_set_error_cb(source->conf, error_came);
    rd_kafka_conf_set_offset_commit_cb(source->conf, commit_answered);
    source->tick = host->timer_new(host, tick_due, NULL);
    return source->tick ? WEIR_OK : WEIR_NOMEM;
}

static const weir_option source_options[] = {
    SETTINGS_ROWS,
    {.name = "topics",
     .type = WEIR_OPTION_LIST,
     .flags = WEIR_OPTION_REQUIRED,
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct source, topics),
     .help = "Topics to read; one that begins with ^ is a regular expression."},
    {.name = "group",
     .type = WEIR_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .offset = offsetof(struct source, group),
     .help = "The consumer group: its members share the partitions; default: weir-NAME."},
    {.name = "start",
     .type = WEIR_OPTION_TEXT,
     .fallback = "earliest",
     .offset = offsetof(struct source, start_text),
     .help = "Where a group without offsets begins: earliest, latest or a time, as in 2026-01-31T08:00:00Z."},
    {.name = "out_of_range",
     .type = WEIR_OPTION_CHOICE,
     .choices = ranges,
     .fallback = "stop",
     .offset = offsetof(struct source, out_of_range),
     .help = "When records were deleted before they were read: the partition stops, or goes on without them."},
    {.name = "isolation",
     .type = WEIR_OPTION_CHOICE,
     .choices = isolations,
     .fallback = "read_committed",
     .offset = offsetof(struct source, isolation),
     .help = "Whether records of open and aborted transactions are read."},
    {.name = "assignment",
     .type = WEIR_OPTION_CHOICE,
     .choices = assignments,
     .fallback = "cooperative-sticky",
     .offset = offsetof(struct source, assignment),
     .help = "How the group shares partitions; the same for all its members."},
    {.name = "instance_id",
     .type = WEIR_OPTION_TEXT,
     .min = 1,
     .max = 249,
     .offset = offsetof(struct source, instance_id),
     .help = "A fixed name of this member: it comes back to its partitions within session.timeout.ms."},
    {.name = "until",
     .type = WEIR_OPTION_CHOICE,
     .choices = untils,
     .fallback = "none",
     .offset = offsetof(struct source, until),
     .help = "end: the source ends when it has read all partitions to their end."},
    {.name = "drain",
     .type = WEIR_OPTION_DURATION,
     .fallback = "30s",
     .max = INT64_C(3600000000),
     .offset = offsetof(struct source, drain_us),
     .help = "How long events in flight are finished when the group takes their partition."},
    {0}};

static const weir_source_ops source_kafka = {
    .size = sizeof source_kafka,
    .type = "kafka",
    .summary = "Records of Kafka topics, as a member of a consumer group.",
    .options = source_options,
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

static const weir_source_ops *const sources[] = {&source_kafka, NULL};

WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof weir_module,
    .name = "kafka",
    .version = WEIR_VERSION,
    .sources = sources,
};
