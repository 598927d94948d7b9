/* module: kafka libs: rdkafka openssl */
/* leave.c: how the consumer ends: it says goodbye to the group, and is destroyed when no message of it is left.
 *
 * Both block, so both are jobs on a helper. How it fails: librdkafka has states in which they never return (2.0.2
 * when a topic of ours was deleted, and more before 2.4). Each is given a few seconds; then the client is left to
 * the end of the process, and the group notices by the session's end. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "consumer.h"

enum { WAIT_S = 5, POLL_MS = 50 };

static void close_job(void *state, void *arg)
{
    struct source *source = state;
    const weir_host *host = source->host;
    int64_t until = host->mono_us(host) + WAIT_S * INT64_C(1000000);
    (void)arg;
    rd_kafka_error_destroy(rd_kafka_consumer_close_queue(source->client, source->fetched));
    while (!(source->closed = rd_kafka_consumer_closed(source->client)) && host->mono_us(host) < until) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(source->fetched, POLL_MS);
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rebalance_called(source->client, rd_kafka_event_error(event),
                             rd_kafka_event_topic_partition_list(event), source);
        rd_kafka_event_destroy(event);
    }
}

static void *destroy_thread(void *client)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* it is closed, or was never open */
    return NULL;
}

/* librdkafka before 2.4 aborts the process when a member that shares partitions cooperatively is destroyed between
 * its joining and its first assignment. */
static bool aborts(const struct source *source)
{
    return source->subscribed && !source->given && source->assignment == ASSIGN_COOPERATIVE &&
           rd_kafka_version() < 0x02040000;
}

void leave_destroy(struct source *source)
{
    pthread_t thread;
    struct timespec until;
    if (source->control)
        rd_kafka_queue_destroy(source->control);
    if (source->fetched)
        rd_kafka_queue_destroy(source->fetched);
    source->control = source->fetched = NULL;
    rd_kafka_t *client = source->client;
    source->client = NULL;
    if (aborts(source))
        return;
    if (!client || pthread_create(&thread, NULL, destroy_thread, client) != 0)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    if (pthread_timedjoin_np(thread, NULL, &until) == 0)
        return;
    pthread_detach(thread);
    source->host->log(source->host, WEIR_LOG_INFO,
                      "librdkafka %s does not end; it is left to the end of the process", rd_kafka_version_str());
}

static void destroy_job(void *state, void *arg)
{
    (void)arg;
    leave_destroy(state);
}

static void left(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    source->host->stopped(source->host);
}

/* Blocks that are still lent (the stop was cut short) hold the client; then fini ends it. */
static void close_done(void *state, void *arg)
{
    struct source *source = state;
    (void)arg;
    read_free(source);
    if (!source->closed)
        source->host->log(source->host, WEIR_LOG_WARN,
                          "the group did not let go of us in %d s; left without a goodbye", WAIT_S);
    bool lent = __atomic_load_n(&source->blocks, __ATOMIC_ACQUIRE) != 0;
    if (lent || source->host->offload(source->host, destroy_job, left, NULL) != WEIR_OK)
        left(source, NULL);
}

void leave_begin(struct source *source)
{
    source->closing = true;
    if (!source->client) {
        left(source, NULL);
        return;
    }
    rd_kafka_queue_io_event_enable(source->control, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(source->fetched, -1, NULL, 0);
    if (source->host->offload(source->host, close_job, close_done, NULL) != WEIR_OK)
        close_done(source, NULL);
}
