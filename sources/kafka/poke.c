/* module: kafka libs: rdkafka openssl */
/* poke.c: wakes the library's fetchers before their queue is empty.
 *
 * When the queue of messages is at its limit, a broker's thread of librdkafka before 2.2 sleeps for a whole second,
 * whatever is taken from the queue meanwhile: with a limit that fits into memory it would sleep most of the time.
 * It looks again when anything comes from its broker. So after half the limit was taken, and when the queue is
 * empty although the log goes on, the brokers of our partitions are asked for their ends: one small request each,
 * by a job on a helper, one at a time. From 2.2 on `fetch.queue.backoff.ms` does it. */
#include "consumer.h"

enum { ASK_MS = 1000, AGAIN_US = 5000 };

static void poke_job(void *state, void *arg)
{
    struct source *source = state;
    rd_kafka_offsets_for_times(source->client, arg, ASK_MS);
}

static void poke_done(void *state, void *arg)
{
    struct source *source = state;
    source->poking = false;
    rd_kafka_topic_partition_list_destroy(arg);
    if (source->stopping)
        source_advance(source);
}

static void poke(struct source *source)
{
    int64_t now = source->host->mono_us(source->host);
    if (source->poking || now - source->poked_at_us < AGAIN_US || !source->partitions)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)source->assigned);
    for (const struct partition *each = source->partitions; each; each = each->next)
        rd_kafka_topic_partition_list_add(list, each->topic, each->number)->offset = RD_KAFKA_OFFSET_END;
    source->poked_at_us = now;
    source->taken_bytes = 0;
    source->poking = source->host->offload(source->host, poke_job, poke_done, list) == WEIR_OK;
    if (!source->poking)
        rd_kafka_topic_partition_list_destroy(list);
}

void poke_taken(struct source *source, size_t bytes)
{
    source->taken_bytes += bytes;
    if (source->poke_bytes && source->taken_bytes >= source->poke_bytes)
        poke(source);
}

static bool behind(const struct source *source)
{
    for (const struct partition *each = source->partitions; each; each = each->next) {
        int64_t low = 0, high = -1;
        bool read = !each->stopped && !each->revoked && !each->silent;
        if (read && !rd_kafka_get_watermark_offsets(source->client, each->topic, each->number, &low, &high) &&
            high > (int64_t)each->emitted)
            return true;
    }
    return false;
}

void poke_empty(struct source *source)
{
    if (source->poke_bytes && source->taken_bytes && behind(source))
        poke(source);
}
