/* module: kafka libs: rdkafka openssl */
/* resolve.c: what has to be asked of the brokers before a partition can be read. Each question blocks, so it is
 * asked by a job on a helper; one at a time.
 *
 * 1. Before the subscription, for `start: latest`: how many partitions each topic has, and whether the group was
 * here before. A partition that is new since then is read from its beginning: nothing in it is older than we are.
 * 2. For each assignment: the group's offset of each partition; where there is none, where `start` is.
 * 3. For a position that is out of range: what there is.
 *
 * How it fails: what could not be answered is told, and asked again a second later, as long as it is wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

enum { ASK_MS = 4000, AGAIN_US = 1000000 };

struct question {
    struct source *source;
    struct step *step;
    rd_kafka_topic_partition_list_t *list; /* a copy */
    struct place *places;
    char *topic; /* of one partition that is out of range */
    int32_t number;
    int64_t low, high;
    bool survey;
    rd_kafka_resp_err_t code;
    const char *asked;
};

static void question_free(struct question *question)
{
    if (question->list)
        rd_kafka_topic_partition_list_destroy(question->list);
    free(question->places);
    free(question->topic);
    free(question);
}

static bool ask(struct source *source, struct question *question, weir_callback *job, weir_callback *done)
{
    if (source->host->offload(source->host, job, done, question) != WEIR_OK) {
        question_free(question);
        source_tick_at(source, AGAIN_US);
        return false;
    }
    source->job = true;
    return true;
}

/* On a helper: whether the answer is still wanted. */
static bool wanted(const struct question *question)
{
    return !question->code && !__atomic_load_n(&question->source->stopping, __ATOMIC_RELAXED);
}

static bool failed(struct question *question, rd_kafka_resp_err_t code, const char *asked)
{
    if (!question->code && code) {
        question->code = code;
        question->asked = asked;
    }
    return code != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void question_tell(const struct question *question)
{
    const struct source *source = question->source;
    char text[WORDS_MAX];
    if (source->stopping)
        return;
    source->host->log(source->host, WEIR_LOG_WARN, "%s could not be asked for: %s; asking again", question->asked,
                      words_error(question->code, NULL, text));
}

/* On a helper. */

static struct topic_known *known_find(struct source *source, const char *topic)
{
    struct topic_known *known = source->known;
    while (known && strcmp(known->name, topic) != 0)
        known = known->next;
    return known;
}

static int32_t topic_partitions(struct question *question, const char *topic)
{
    rd_kafka_t *client = question->source->client;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    int32_t count = 0;
    if (!handle || failed(question, rd_kafka_metadata(client, 0, handle, &metadata, ASK_MS), "the topic")) {
        count = -1;
    } else {
        for (int i = 0; i < metadata->topic_cnt; i++) {
            if (strcmp(metadata->topics[i].topic, topic) == 0)
                count = metadata->topics[i].partition_cnt;
        }
        rd_kafka_metadata_destroy(metadata);
    }
    if (handle)
        rd_kafka_topic_destroy(handle);
    return count;
}

static bool topic_committed(struct question *question, const char *topic, int32_t count)
{
    bool committed = false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    if (!failed(question, rd_kafka_committed(question->source->client, list, ASK_MS), "the group's offsets")) {
        for (int i = 0; i < list->cnt; i++)
            committed |= list->elems[i].offset >= 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return committed;
}

static void topic_survey(struct question *question, const char *topic)
{
    struct source *source = question->source;
    if (topic[0] == '^' || known_find(source, topic))
        return;
    int32_t count = topic_partitions(question, topic);
    bool committed = count > 0 && topic_committed(question, topic, count);
    struct topic_known *known = question->code ? NULL : calloc(1, sizeof *known + strlen(topic) + 1);
    if (!known)
        return;
    known->partitions = count;
    known->committed = committed;
    memcpy(known->name, topic, strlen(topic) + 1);
    known->next = source->known;
    source->known = known;
}

static int64_t end_of(struct question *question, const rd_kafka_topic_partition_t *each)
{
    int64_t low = 0, high = 0;
    failed(question,
           rd_kafka_query_watermark_offsets(question->source->client, each->topic, each->partition, &low, &high,
                                            ASK_MS),
           "a partition's end");
    return high;
}

static int64_t latest_of(struct question *question, const rd_kafka_topic_partition_t *each)
{
    topic_survey(question, each->topic);
    const struct topic_known *known = known_find(question->source, each->topic);
    if (!known || known->committed || each->partition >= known->partitions)
        return 0; /* new since then */
    return end_of(question, each);
}

static int64_t time_of(struct question *question, const rd_kafka_topic_partition_t *each)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, each->topic, each->partition)->offset = question->source->start_ms;
    int64_t offset = -1;
    if (!failed(question, rd_kafka_offsets_for_times(question->source->client, list, ASK_MS),
                "an offset by time") &&
        !failed(question, list->elems[0].err, "an offset by time"))
        offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return offset >= 0 || question->code ? offset : end_of(question, each);
}

static void resolve_job(void *state, void *arg)
{
    struct question *question = arg;
    struct source *source = state;
    if (failed(question, rd_kafka_committed(source->client, question->list, ASK_MS), "the group's offsets"))
        return;
    for (int i = 0; i < question->list->cnt && wanted(question); i++) {
        const rd_kafka_topic_partition_t *each = &question->list->elems[i];
        struct place *place = &question->places[i];
        if (failed(question, each->err, "the group's offset"))
            return;
        place->kept = each->offset >= 0 ? each->offset : -1;
        if (place->kept < 0 && source->start != START_EARLIEST)
            place->begin = source->start == START_LATEST ? latest_of(question, each) : time_of(question, each);
    }
}

static void survey_job(void *state, void *arg)
{
    struct question *question = arg;
    const struct source *source = state;
    for (size_t i = 0; i < source->topics.count && wanted(question); i++)
        topic_survey(question, source->topics.items[i]);
}

static void range_job(void *state, void *arg)
{
    struct question *question = arg;
    struct source *source = state;
    failed(question,
           rd_kafka_query_watermark_offsets(source->client, question->topic, question->number, &question->low,
                                            &question->high, ASK_MS),
           "a partition's bounds");
}

/* Back on the loop. */

static void resolve_done(void *state, void *arg)
{
    struct question *question = arg;
    struct source *source = state;
    source->job = false;
    if (question->code) {
        question_tell(question);
    } else {
        question->step->places = question->places;
        question->step->resolved = true;
        question->places = NULL;
    }
    question_free(question);
    source_advance(source);
}

void resolve_start(struct source *source, struct step *step)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return;
    question->source = source;
    question->step = step;
    question->list = rd_kafka_topic_partition_list_copy(step->list);
    question->places = calloc((size_t)step->list->cnt + 1, sizeof *question->places);
    if (!question->places)
        question_free(question);
    else
        ask(source, question, resolve_job, resolve_done);
}

static void survey_done(void *state, void *arg)
{
    struct question *question = arg;
    struct source *source = state;
    bool good = question->code == RD_KAFKA_RESP_ERR_NO_ERROR;
    source->job = false;
    if (!good)
        question_tell(question);
    question_free(question);
    if (good && !source->stopping)
        source_subscribe(source);
    else
        source_tick_at(source, AGAIN_US);
    source_advance(source);
}

void resolve_survey(struct source *source)
{
    struct question *question = source->job ? NULL : calloc(1, sizeof *question);
    if (!question)
        return;
    question->source = source;
    question->survey = true;
    ask(source, question, survey_job, survey_done);
}

/* Out of range. */

static void range_answer(struct source *source, struct partition *partition, const struct question *question)
{
    const weir_host *host = source->host;
    long long at = (long long)partition->emitted, low = question->low, high = question->high;
    host->stat_add(host, "out_of_range_total", 1);
    if (at > high) {
        host->log(
            host, WEIR_LOG_ERROR,
            "%s: the next offset would be %lld, but the log ends at %lld: it was made anew, or lost records. The "
            "partition is not read; to go on, stop weir and set the group's offset (kafka-consumer-groups "
            "--reset-offsets), or use another group",
            partition->name, at, high);
        partition_stop(source, partition);
    } else if (at >= low) {
        rebalance_again(source, partition, at); /* it is back */
    } else if (source->out_of_range == RANGE_STOP) {
        host->log(
            host, WEIR_LOG_ERROR,
            "%s: the next offset would be %lld, but the log begins at %lld: %lld offsets were deleted before they "
            "were read. The partition is not read; set `out_of_range: earliest` or `latest` to go on without "
            "them",
            partition->name, at, low, low - at);
        partition_stop(source, partition);
    } else {
        int64_t next = source->out_of_range == RANGE_EARLIEST ? low : high;
        host->stat_add(host, "skipped_offsets_total", next - at);
        host->log(host, WEIR_LOG_ERROR,
                  "%s: offsets %lld to %lld were deleted before they were read; goes on at %lld", partition->name,
                  at, (long long)next - 1, (long long)next);
        rebalance_again(source, partition, next);
    }
}

static void range_done(void *state, void *arg)
{
    struct question *question = arg;
    struct source *source = state;
    struct partition *partition = partition_find(source, question->topic, question->number);
    source->job = false;
    if (partition && !partition->revoked && !source->stopping) {
        partition->asked = question->code != RD_KAFKA_RESP_ERR_NO_ERROR; /* then again, by the tick */
        if (question->code)
            question_tell(question);
        else
            range_answer(source, partition, question);
    }
    question_free(question);
    source_tick_at(source, AGAIN_US);
    source_advance(source);
}

void resolve_range(struct source *source, struct partition *partition)
{
    partition->asked = true;
    if (source->job) {
        source_tick_at(source, AGAIN_US);
        return;
    }
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return;
    question->source = source;
    question->topic = strdup(partition->topic);
    question->number = partition->number;
    if (question->topic)
        ask(source, question, range_job, range_done);
    else
        question_free(question);
}

void resolve_free(struct source *source)
{
    while (source->known) {
        struct topic_known *known = source->known;
        source->known = known->next;
        free(known);
    }
}
