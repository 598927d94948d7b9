/* module: kafka libs: rdkafka openssl */
/* partition.c: the partitions that this member has, and how far each is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

struct partition *partition_new(struct source *source, const char *topic, int32_t number)
{
    struct partition *partition = calloc(1, sizeof *partition);
    if (!partition)
        return NULL;
    partition->topic = strdup(topic);
    partition->number = number;
    if (asprintf(&partition->name, "%s/%d", topic, (int)number) < 0)
        partition->name = NULL;
    if (!partition->topic || !partition->name) {
        free(partition->topic);
        free(partition->name);
        free(partition);
        return NULL;
    }
    partition->next = source->partitions;
    source->partitions = partition;
    source->assigned++;
    source->host->stat_add(source->host, "assigned_partitions", 1);
    return partition;
}

static bool partition_is(const struct partition *partition, const char *topic, int32_t number)
{
    return partition && partition->number == number && strcmp(partition->topic, topic) == 0;
}

struct partition *partition_find(struct source *source, const char *topic, int32_t number)
{
    if (partition_is(source->last_found, topic, number))
        return source->last_found;
    struct partition *partition = source->partitions;
    while (partition && !partition_is(partition, topic, number))
        partition = partition->next;
    source->last_found = partition;
    return partition;
}

struct partition *partition_of_shard(struct source *source, const weir_shard *shard)
{
    for (struct partition *each = source->partitions; each; each = each->next) {
        if (each->shard == shard)
            return each;
    }
    for (struct partition *each = source->gone; each; each = each->next) {
        if (each->shard == shard)
            return each;
    }
    return NULL;
}

static void list_take(struct partition **list, struct partition *partition)
{
    while (*list && *list != partition)
        list = &(*list)->next;
    if (*list)
        *list = partition->next;
}

static void partition_free(struct partition *partition)
{
    free(partition->marks);
    free(partition->topic);
    free(partition->name);
    free(partition);
}

static void marks_drop(struct source *source, struct partition *partition, uint64_t position)
{
    while (partition->mark_count && partition->marks[partition->mark_first].position <= position) {
        source->uncommitted -= partition->marks[partition->mark_first].count;
        partition->mark_first = (partition->mark_first + 1) % partition->mark_room;
        partition->mark_count--;
    }
}

void partition_leave(struct source *source, struct partition *partition)
{
    weir_view name = {partition->name, strlen(partition->name)};
    source->last_found = NULL;
    marks_drop(source, partition, UINT64_MAX);
    list_take(&source->partitions, partition);
    source->assigned--;
    source->host->stat_add(source->host, "assigned_partitions", -1);
    source->host->shard_stat(source->host, name, "lag_events", 0);
    if (!partition->shard) {
        partition_free(partition);
        return;
    }
    partition->next = source->gone;
    source->gone = partition;
}

void partition_released(struct source *source, struct partition *partition)
{
    struct partition *each = source->gone;
    partition->shard = NULL;
    while (each && each != partition)
        each = each->next;
    if (!each)
        return;
    list_take(&source->gone, partition);
    partition_free(partition);
}

static bool marks_grow(struct partition *partition)
{
    size_t before = partition->mark_room, room = before ? before * 2 : 16;
    struct mark *marks = malloc(room * sizeof *marks);
    if (!marks)
        return false;
    for (size_t i = 0; i < before; i++) /* it is full */
        marks[i] = partition->marks[(partition->mark_first + i) % before];
    free(partition->marks);
    partition->marks = marks;
    partition->mark_first = 0;
    partition->mark_room = room;
    return true;
}

bool partition_room(struct partition *partition)
{
    return partition->mark_count < partition->mark_room || marks_grow(partition);
}

void partition_emitted(struct source *source, struct partition *partition, uint64_t last, size_t count)
{
    partition->emitted = last;
    if (!source->peer_decides) /* then the group's offset is for others to see, and nothing waits for it */
        return;
    partition->marks[(partition->mark_first + partition->mark_count++) % partition->mark_room] =
        (struct mark){last, count};
    source->uncommitted += count;
}

void partition_confirmed(struct source *source, struct partition *partition, uint64_t position)
{
    partition->committed = position;
    marks_drop(source, partition, position);
}

void partition_stop(struct source *source, struct partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    rd_kafka_pause_partitions(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!partition->stopped)
        source->host->stat_add(source->host, "stopped_partitions", 1);
    partition->stopped = true;
    read_forget(source, partition);
}

void partitions_free(struct source *source)
{
    struct partition **lists[] = {&source->partitions, &source->gone};
    for (size_t i = 0; i < 2; i++) {
        while (*lists[i]) {
            struct partition *partition = *lists[i];
            *lists[i] = partition->next;
            partition_free(partition);
        }
    }
}

/* What the broker has and is not completed; the broker's end is that of the last fetch. */
void partitions_lag(struct source *source)
{
    for (struct partition *each = source->partitions; each; each = each->next) {
        weir_view name = {each->name, strlen(each->name)};
        int64_t low = 0, high = -1;
        if (each->revoked ||
            rd_kafka_get_watermark_offsets(source->client, each->topic, each->number, &low, &high) || high < 0)
            continue;
        int64_t done = (int64_t)each->settled > low ? (int64_t)each->settled : low;
        source->host->shard_stat(source->host, name, "lag_events", high > done ? high - done : 0);
    }
}

bool partitions_ended(const struct source *source)
{
    for (const struct partition *each = source->partitions; each; each = each->next) {
        if (!each->at_end && !each->stopped)
            return false;
    }
    return source->assigned_once && !source->steps && source->held_count == 0;
}
