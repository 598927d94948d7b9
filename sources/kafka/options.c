/* module: kafka libs: rdkafka openssl */
/* options.c: what the source adds to the settings of both, checked and made into properties of the client library.
 */
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consumer.h"

enum { TOPIC_MAX = 238 };

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
    const char *limit = settings_property(&source->settings, defaults[0][0]);
    if (rd_kafka_version() < 0x02020000)
        source->poke_bytes = (size_t)atoll(limit ? limit : kilobytes) * 1024 / 2;
    else if (result == WEIR_OK)
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
        {"auto.commit.interval.ms", "10"},
        {"enable.auto.offset.store", "false"},
    };
    int result = WEIR_OK;
    for (size_t i = 0; i < sizeof values / sizeof values[0] && result == WEIR_OK; i++) {
        if (values[i][1])
            result = settings_set(&source->settings, source->conf, values[i][0], values[i][1]);
    }
    return result;
}

int consumer_conf(struct source *source)
{
    int result = settings_conf(&source->settings, source->host, source_rules, &source->conf);
    if (result == WEIR_OK)
        result = options_check(source);
    if (result == WEIR_OK)
        result = defaults_set(source);
    if (result == WEIR_OK)
        result = group_set(source);
    return result;
}

const weir_option consumer_options[] = {
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
