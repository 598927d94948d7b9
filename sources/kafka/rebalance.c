/* module: kafka libs: rdkafka openssl */
/* rebalance.c: partitions come and go.
 *
 * The library tells each change by a callback, while its control queue is served, and then waits for the answer,
 * which may come later. So each is a step; steps are answered one after the other, in order.
 *
 * Partitions come: a helper finds out where each begins (resolve.c); a shard is opened for each; their queues are
 * led to the one that is read; the library is told to fetch. Partitions go: nothing more of them is emitted; what
 * is in flight is drained, at most `drain` long; then what is completed is committed, and the library lets go of
 * them.
 *
 * How it fails: when the group has given our partitions to others already (the session ended), nothing is waited
 * for; what was in flight runs again there. A shard that must not be read keeps its partition, paused. */
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

enum { LOOK_US = 200000, RETRY_US = 1000000 };

static bool cooperative(rd_kafka_t *client)
{
    const char *protocol = rd_kafka_rebalance_protocol(client);
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

/* NULL list: all of them. */
static rd_kafka_error_t *answer(rd_kafka_t *client, bool revoke, const rd_kafka_topic_partition_list_t *list)
{
    if (cooperative(client))
        return revoke ? rd_kafka_incremental_unassign(client, list) : rd_kafka_incremental_assign(client, list);
    rd_kafka_resp_err_t code = rd_kafka_assign(client, revoke ? NULL : list);
    return code ? rd_kafka_error_new(code, "%s", rd_kafka_err2str(code)) : NULL;
}

static void step_free(struct step *step)
{
    rd_kafka_topic_partition_list_destroy(step->list);
    free(step->places);
    free(step);
}

static void step_answer(struct source *source, struct step *step)
{
    rd_kafka_error_t *fault = answer(source->client, step->revoke, step->list);
    if (fault)
        source->host->log(source->host, WEIR_LOG_INFO, "the library did not take the answer to a rebalance: %s",
                          rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    source->steps = step->next;
    step_free(step);
}

void rebalance_called(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                      void *opaque)
{
    struct source *source = opaque;
    bool revoke = code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    source->given |= !revoke;
    if (source->closing) { /* on the helper that closes */
        rd_kafka_error_destroy(answer(client, revoke, list));
        return;
    }
    struct step *step = calloc(1, sizeof *step), **end = &source->steps;
    if (!step) { /* the group gives the partitions to others */
        rd_kafka_error_destroy(answer(client, revoke, list));
        return;
    }
    step->revoke = revoke;
    step->list = rd_kafka_topic_partition_list_copy(list);
    while (*end)
        end = &(*end)->next;
    *end = step;
    source->host->stat_add(source->host, "rebalances_total", 1);
    source->host->log(source->host, WEIR_LOG_INFO, "the group %s %d partitions", revoke ? "takes" : "gives",
                      list->cnt);
}

/* Coming. */

static int64_t partition_open(struct source *source, struct partition *partition, const struct place *place)
{
    weir_view name = {partition->name, strlen(partition->name)};
    weir_resume resume = {.size = sizeof resume,
                          .kept = place->kept < 0 ? 0 : (uint64_t)place->kept,
                          .is_kept = place->kept >= 0,
                          .begin = (uint64_t)place->begin};
    int result = source->host->shard_open(source->host, name, ++source->generation, &resume, &partition->shard);
    if (result != WEIR_OK) {
        partition->shard = NULL;
        partition->stopped = true;
        source->host->stat_add(source->host, "stopped_partitions", 1);
        return place->kept < 0 ? RD_KAFKA_OFFSET_BEGINNING : place->kept;
    }
    source->peer_decides = resume.pins != 0;
    partition->emitted = partition->settled = partition->stored = resume.position;
    if (resume.is_kept)
        partition->stored = resume.kept < resume.position ? resume.kept : resume.position;
    else if (resume.pins || resume.known)
        partition->stored = 0;
    partition->committed = partition->stored;
    partition->silent = true;
    source->host->log(source->host, WEIR_LOG_DEBUG, "%s: reads on from offset %llu", partition->name,
                      (unsigned long long)resume.position);
    return !resume.known && resume.position == 0 ? RD_KAFKA_OFFSET_BEGINNING : (int64_t)resume.position;
}

/* Messages of all partitions go to one queue, so that rebalances, which do not, are seen without credit too. */
static void partition_lead(struct source *source, const struct partition *partition)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(source->client, partition->topic, partition->number);
    if (!queue)
        return;
    rd_kafka_queue_forward(queue, source->fetched);
    rd_kafka_queue_destroy(queue);
}

void rebalance_lead(struct source *source)
{
    for (const struct partition *each = source->partitions; each; each = each->next) {
        if (each->silent && !each->revoked)
            partition_lead(source, each);
    }
}

void rebalance_again(struct source *source, struct partition *partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    bool one = cooperative(source->client);
    for (struct partition *each = source->partitions; each; each = each->next) {
        if (one && each != partition)
            continue;
        int64_t next = each->emitted ? (int64_t)each->emitted : RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_topic_partition_list_add(list, each->topic, each->number)->offset =
            each == partition ? offset : next;
        each->silent = true;
    }
    rd_kafka_error_t *fault = one ? answer(source->client, true, list) : NULL;
    source_tick_at(source, LOOK_US / 4);
    if (!fault)
        fault = answer(source->client, false, list);
    if (fault)
        source->host->log(source->host, WEIR_LOG_ERROR, "%s: could not go on at offset %lld: %s", partition->name,
                          (long long)offset, rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    rd_kafka_topic_partition_list_destroy(list);
}

static void assign_done(struct source *source, struct step *step)
{
    for (int i = 0; i < step->list->cnt; i++) {
        rd_kafka_topic_partition_t *each = &step->list->elems[i];
        struct partition *partition = partition_new(source, each->topic, each->partition);
        each->offset = RD_KAFKA_OFFSET_END;
        if (!partition)
            continue;
        each->offset = partition_open(source, partition, &step->places[i]);
        partition_lead(source, partition);
    }
    source->assigned_once = true;
    step_answer(source, step);
    for (struct partition *each = source->partitions; each; each = each->next) {
        if (each->stopped)
            partition_stop(source, each);
    }
    if (commit_dirty(source))
        source_tick_at(source, 0);
}

/* A shard that was cut is opened again only after the core has let go of it; `released` wakes us. */
static bool assign_early(const struct source *source, const struct step *step)
{
    for (const struct partition *each = source->gone; each; each = each->next) {
        if (rd_kafka_topic_partition_list_find(step->list, each->topic, each->number))
            return true;
    }
    return false;
}

static void assign_advance(struct source *source, struct step *step)
{
    if (source->job || assign_early(source, step))
        return;
    if (step->resolved) {
        assign_done(source, step);
        return;
    }
    if (step->started && source->host->mono_us(source->host) < step->deadline_us) {
        source_tick_at(source, RETRY_US);
        return;
    }
    step->started = true;
    step->deadline_us = source->host->mono_us(source->host) + RETRY_US;
    resolve_start(source, step);
}

/* Going. */

static struct partition *step_partition(struct source *source, const struct step *step, int i)
{
    return partition_find(source, step->list->elems[i].topic, step->list->elems[i].partition);
}

static void revoke_all(struct source *source, struct step *step, int lost)
{
    for (int i = 0; i < step->list->cnt; i++) {
        struct partition *partition = step_partition(source, step, i);
        if (!partition)
            continue;
        partition->revoked = true;
        read_forget(source, partition);
        if (partition->shard)
            source->host->shard_revoke(source->host, partition->shard, lost);
    }
}

static size_t revoke_open(struct source *source, struct step *step)
{
    size_t open = 0;
    for (int i = 0; i < step->list->cnt; i++) {
        struct partition *partition = step_partition(source, step, i);
        open += partition && partition->shard;
    }
    return open;
}

static void revoke_done(struct source *source, struct step *step)
{
    for (int i = 0; i < step->list->cnt; i++) {
        struct partition *partition = step_partition(source, step, i);
        if (partition)
            partition_leave(source, partition);
    }
    step_answer(source, step);
}

/* True: nothing is waited for any more. */
static bool revoke_drained(struct source *source, struct step *step)
{
    const weir_host *host = source->host;
    size_t open = step->lost ? 0 : revoke_open(source, step);
    if (!open)
        return true;
    if (!rd_kafka_assignment_lost(source->client) && host->mono_us(host) < step->deadline_us && !source->stopping)
        return false;
    host->stat_add(host, "drains_cut_total", 1);
    host->log(host, WEIR_LOG_WARN,
              "%zu partitions go while events of them are in flight (%s); those run again at their new owner", open,
              host->mono_us(host) < step->deadline_us ? "the group does not wait" : "`drain` is over");
    revoke_all(source, step, 1);
    return true;
}

static void revoke_advance(struct source *source, struct step *step)
{
    const weir_host *host = source->host;
    if (!step->started) {
        step->started = true;
        step->lost = rd_kafka_assignment_lost(source->client) != 0;
        step->deadline_us = host->mono_us(host) + source->drain_us;
        if (step->lost)
            host->log(host, WEIR_LOG_WARN,
                      "the group has given %d partitions to others; what is in flight of them runs "
                      "again there",
                      step->list->cnt);
        revoke_all(source, step, step->lost);
    }
    source_tick_at(source, LOOK_US);
    if (!revoke_drained(source, step))
        return;
    if (!step->lost)
        commit_store(source); /* the library commits it before it lets go */
    revoke_done(source, step);
}

void rebalance_advance(struct source *source)
{
    struct step *before = NULL;
    while (source->steps && source->steps != before) {
        before = source->steps;
        if (source->stopping && !before->revoke && !source->job)
            step_answer(source, before); /* closing takes them away again */
        else if (before->revoke)
            revoke_advance(source, before);
        else
            assign_advance(source, before);
    }
}

void rebalance_free(struct source *source)
{
    while (source->steps) {
        struct step *step = source->steps;
        source->steps = step->next;
        step_free(step);
    }
}
