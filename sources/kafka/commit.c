/* module: kafka libs: rdkafka openssl */
/* commit.c: tells the group what is completed.
 *
 * 1. Settled: the partition is dirty. After 50 ms, or when half a window is settled, a commit begins; one at a
 * time.
 * 2. Its answer comes through the control queue. What was settled meanwhile goes into the next one.
 *
 * A commit that fails is told once, counted, and tried again a second later, with what is then settled. */
#include "consumer.h"

enum { COMMIT_US = 50000, AGAIN_US = 1000000 };

bool commit_dirty(const struct source *source)
{
    for (const struct partition *each = source->partitions; each; each = each->next) {
        if (each->settled > each->committed && !each->stopped)
            return true;
    }
    return false;
}

void commit_settled(struct source *source, struct partition *partition, uint64_t first, uint64_t last)
{
    partition->settled = last;
    source->settled_since += last - first + 1;
    source_tick_at(source, COMMIT_US);
    if (source->settled_since >= source->window / 2)
        commit_begin(source);
}

/* The members come together anew; what is still ours is committed again later. */
static bool passes(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS || code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST;
}

static void commit_failed(struct source *source, rd_kafka_resp_err_t code)
{
    char text[WORDS_MAX];
    source->host->stat_add(source->host, "commit_failures_total", 1);
    source->commit_not_before_us = source->host->mono_us(source->host) + AGAIN_US;
    source->host->log(source->host, passes(code) ? WEIR_LOG_INFO : WEIR_LOG_WARN,
                      "the group did not take our offsets: %s; what is completed may run again after a crash",
                      words_error(code, NULL, text));
}

static void commit_answered(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                            void *opaque)
{
    struct source *source = opaque;
    rd_kafka_resp_err_t failure = code;
    (void)client;
    source->commit_open = false;
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &list->elems[i];
        struct partition *partition = partition_find(source, each->topic, each->partition);
        bool ours = partition && partition->committing == (uint64_t)each->offset;
        if (!code && !each->err && ours)
            partition_confirmed(source, partition, partition->committing);
        failure = each->err ? each->err : failure;
    }
    if (failure)
        commit_failed(source, failure);
    else
        source->host->stat_add(source->host, "commits_total", 1);
    if (commit_dirty(source))
        source_tick_at(source, COMMIT_US);
}

void commit_begin(struct source *source)
{
    if (source->commit_open || !commit_dirty(source))
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (struct partition *each = source->partitions; each; each = each->next) {
        if (each->settled <= each->committed || each->stopped)
            continue;
        each->committing = each->settled;
        rd_kafka_topic_partition_list_add(list, each->topic, each->number)->offset = (int64_t)each->settled;
    }
    source->settled_since = 0;
    source->commit_open = true;
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(source->client, list, source->control, commit_answered, source);
    if (code) {
        source->commit_open = false;
        commit_failed(source, code);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
