/* module: kafka libs: rdkafka openssl */
/* commit.c: tells the group what is completed.
 *
 * 1. Settled: the partition is dirty. A moment later, or when half a window is settled, its offset is stored in the
 *    library, which commits what is new every 10 ms, when the group takes the partition, and when it is left.
 * 2. The library tells what the group has taken. Until then those events count as in flight (read.c).
 *
 * The library's own commit timer is used, and none of ours, because only it knows when the members come together
 * anew: a commit then meets a new generation, and librdkafka before 2.10 gives up all partitions for that. A commit
 * that fails is told, counted, and made again with what is then stored. */
#include "consumer.h"

enum { STORE_US = 25000 };

static bool dirty(const struct partition *partition)
{
    return partition->settled > partition->stored;
}

bool commit_dirty(const struct source *source)
{
    for (const struct partition *each = source->partitions; each; each = each->next) {
        if (dirty(each))
            return true;
    }
    return false;
}

void commit_settled(struct source *source, struct partition *partition, uint64_t first, uint64_t last)
{
    partition->settled = last;
    source->settled_since += last - first + 1;
    source_tick_at(source, STORE_US);
    if (source->settled_since >= source->window / 2)
        commit_store(source);
}

void commit_store(struct source *source)
{
    source->settled_since = 0;
    if (!commit_dirty(source))
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (const struct partition *each = source->partitions; each; each = each->next) {
        if (dirty(each))
            rd_kafka_topic_partition_list_add(list, each->topic, each->number)->offset = (int64_t)each->settled;
    }
    rd_kafka_offsets_store(source->client, list);
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition = partition_find(source, list->elems[i].topic, list->elems[i].partition);
        if (!list->elems[i].err) /* else it is being taken from us, or not yet fetched: later */
            partition->stored = (uint64_t)list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
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
    bool again = source->commit_told == code;
    source->commit_told = code;
    source->host->stat_add(source->host, "commit_failures_total", 1);
    source->host->log(source->host,
                      again          ? WEIR_LOG_DEBUG
                      : passes(code) ? WEIR_LOG_INFO
                                     : WEIR_LOG_WARN,
                      "the group did not take our offsets: %s; what is completed may run again after a crash",
                      words_error(code, NULL, text));
}

void commit_answered(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                     void *opaque)
{
    struct source *source = opaque;
    rd_kafka_resp_err_t failure = code;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__NO_OFFSET || source->closing)
        return;
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &list->elems[i];
        struct partition *partition = partition_find(source, each->topic, each->partition);
        if (!code && !each->err && partition && each->offset > 0 && (uint64_t)each->offset <= partition->stored)
            partition_confirmed(source, partition, (uint64_t)each->offset);
        failure = each->err ? each->err : failure;
    }
    if (failure) {
        commit_failed(source, failure);
        return;
    }
    source->commit_told = RD_KAFKA_RESP_ERR_NO_ERROR;
    source->host->stat_add(source->host, "commits_total", 1);
    source->host->wake(source->host); /* there may be room again */
}
