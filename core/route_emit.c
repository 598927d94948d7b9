/* route_emit.c: shards: opened with what the store knows, filled by emits.
 *
 * What was finished before a restart is passed over per lane. While the stored vector has another shape than the
 * configured lanes, the shard runs in the old shape up to the vector's highest position; what lies above is parked,
 * and laid into the configured lanes once everything below is completed. */
#include <stdlib.h>

#include "route_private.h"

static void lane_init(struct lane *lane, struct route_shard *shard, uint32_t index)
{
    *lane = (struct lane){.shard = shard, .index = index, .limit = shard->route->config.batch_events};
    list_init(&lane->ready);
    list_init(&lane->batches);
    lane->writer.again_at = INT64_MAX;
    timer_init(&lane->timer, TIMER_LANE);
}

int shard_lanes(struct route_shard *shard, uint32_t count)
{
    struct lane *lanes = calloc(count, sizeof *lanes);
    uint64_t *skip = calloc(count, sizeof *skip), *vector = calloc(count, sizeof *vector);
    if (!lanes || !skip || !vector) {
        free(lanes);
        free(skip);
        free(vector);
        return WEIR_NOMEM;
    }
    free(shard->lanes);
    free(shard->skip);
    free(shard->vector);
    shard->lanes = lanes;
    shard->skip = skip;
    shard->vector = vector;
    shard->lane_count = count;
    for (uint32_t i = 0; i < count; i++)
        lane_init(&lanes[i], shard, i);
    return WEIR_OK;
}

static uint32_t configured_lanes(const struct route_config *config)
{
    return config->order == ORDER_KEY && !config->whole ? config->lanes : 1;
}

static int shard_restore(struct route_shard *shard, const struct route_vector *vector)
{
    uint64_t low = UINT64_MAX, high = 0;
    if (shard_lanes(shard, vector->lanes) != WEIR_OK)
        return WEIR_NOMEM;
    for (uint32_t i = 0; i < vector->lanes; i++) {
        shard->skip[i] = vector->positions[i];
        low = vector->positions[i] < low ? vector->positions[i] : low;
        high = vector->positions[i] > high ? vector->positions[i] : high;
    }
    shard->range_count = vector->range_count;
    shard->ranges = malloc((vector->range_count + 1) * sizeof *shard->ranges);
    if (!shard->ranges)
        return WEIR_NOMEM;
    if (vector->range_count) {
        memcpy(shard->ranges, vector->ranges, vector->range_count * sizeof *shard->ranges);
        high = vector->ranges[vector->range_count - 1][1];
    }
    const struct route_config *config = &shard->route->config;
    bool was_none = vector->range_count > 0;
    bool same = vector->lanes == configured_lanes(config) && (!was_none || config->order == ORDER_NONE);
    if (!same && low < high) {
        shard->switch_at = high;
        shard->none = was_none;
        shard->whole = false;
    } else if (!same && shard_lanes(shard, configured_lanes(config)) != WEIR_OK) {
        return WEIR_NOMEM;
    }
    shard->high = shard->resume = shard->settled = low;
    return WEIR_OK;
}

static int shard_fill(struct route_shard *shard, const struct route_shard_open *open)
{
    const struct route_config *config = &shard->route->config;
    shard->none = config->order == ORDER_NONE;
    shard->whole = config->whole;
    shard->switch_at = UINT64_MAX;
    shard->first = shard->end = 1;
    shard->suspects = malloc((open->suspect_count + 1) * sizeof *shard->suspects);
    if (!shard->suspects)
        return WEIR_NOMEM;
    if (open->suspect_count)
        memcpy(shard->suspects, open->suspects, open->suspect_count * sizeof *shard->suspects);
    shard->suspect_count = open->suspect_count;
    if (open->vector && open->vector->lanes)
        return shard_restore(shard, open->vector);
    return shard_lanes(shard, configured_lanes(config));
}

struct route_shard *route_open(struct route *route, const struct route_shard_open *open)
{
    struct route_shard *shard = calloc(1, sizeof *shard);
    if (!shard)
        return NULL;
    shard->route = route;
    shard->durable = open->durable;
    shard->user = open->user;
    list_init(&shard->node);
    list_init(&shard->dirty);
    if (shard_fill(shard, open) != WEIR_OK) {
        shard_discard(shard);
        return NULL;
    }
    list_append(&route->shards, &shard->node);
    return shard;
}

void shard_discard(struct route_shard *shard)
{
    for (uint64_t number = shard->first; number < shard->end; number++) {
        struct run *run = shard_run(shard, number);
        if (run->block && run->done < run->count)
            block_drop(run->block);
    }
    for (uint32_t i = 0; i < shard->lane_count && shard->lanes; i++) {
        timer_set(shard->route, &shard->lanes[i].timer, INT64_MAX);
        if (!list_empty(&shard->lanes[i].ready))
            list_remove(&shard->lanes[i].ready);
    }
    list_remove(&shard->node);
    list_remove(&shard->dirty);
    free(shard->lanes);
    free(shard->skip);
    free(shard->vector);
    free(shard->ranges);
    free(shard->done_ranges);
    free(shard->suspects);
    free(shard->ring);
    free(shard->tickets);
    free(shard);
}

/* Room for one more run. The ring grows by doubling; runs are found by number, so nothing moves for others. */
static void ring_grow(struct route_shard *shard)
{
    size_t room = shard->room ? shard->room * 2 : 64;
    struct run *ring = calloc(room, sizeof *ring);
    CHECK(ring != NULL); /* bounded by the window */
    for (uint64_t number = shard->first; number < shard->end; number++)
        ring[number & (room - 1)] = *shard_run(shard, number);
    free(shard->ring);
    shard->ring = ring;
    shard->room = room;
}

static size_t event_size(const weir_event *event)
{
    return event->payload.size + event->key.size + event->subject.size + event->id.size;
}

static uint32_t event_lane(const struct route_shard *shard, const weir_event *event)
{
    if (shard->lane_count == 1)
        return 0;
    return event->key.data ? lane_of_key(event->key, shard->lane_count)
                           : (uint32_t)(event->position % shard->lane_count);
}

static void run_lay(struct route_shard *shard, uint64_t number)
{
    struct run *run = shard_run(shard, number);
    run->lane = event_lane(shard, &run->block->events[run->first]);
    struct lane *lane = &shard->lanes[run->lane];
    run->next = 0;
    if (lane->tail)
        shard_run(shard, lane->tail)->next = number;
    else
        lane->head = number;
    lane->tail = number;
    lane->pending += run->count;
    lane->pending_bytes += run->bytes;
    lane_touch(lane);
}

static struct run *run_add(struct route_shard *shard, const struct route_input *input, size_t first, size_t count)
{
    struct route *route = shard->route;
    if (shard->end - shard->first == shard->room)
        ring_grow(shard);
    uint64_t number = shard->end++;
    struct run *run = shard_run(shard, number);
    *run = (struct run){
        .block = input->block, .first = (uint32_t)first, .count = (uint32_t)count, .sink = -1, .at = route->now};
    for (size_t i = 0; i < count; i++)
        run->bytes += event_size(&input->block->events[first + i]);
    block_hold(input->block);
    shard_window(shard, (ptrdiff_t)count, (ptrdiff_t)run->bytes);
    return run;
}

static bool finished_before(const struct route_shard *shard, const weir_event *event)
{
    uint64_t position = event->position;
    if (position <= shard->skip[event_lane(shard, event)])
        return true;
    for (size_t i = 0; i < shard->range_count; i++) {
        if (position >= shard->ranges[i][0] && position <= shard->ranges[i][1])
            return true;
    }
    return false;
}

static uint32_t suspect_attempts(const struct route_shard *shard, uint64_t position)
{
    size_t low = 0, high = shard->suspect_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (shard->suspects[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < shard->suspect_count && shard->suspects[low].position == position ? shard->suspects[low].attempts
                                                                                   : 0;
}

static bool unwanted(const struct route_input *input, size_t i)
{
    return input->unwanted && (input->unwanted[i / 8] >> (i % 8) & 1);
}

/* True: the event needs nothing, or nothing any more. */
static bool emit_passes(const struct route_shard *shard, const struct route_input *input, size_t i)
{
    if (unwanted(input, i))
        return true;
    bool restored = shard->switch_at != UINT64_MAX || shard->resume;
    return restored && finished_before(shard, &input->block->events[input->first + i]);
}

static void emit_run(struct route_shard *shard, const struct route_input *input, size_t first, size_t count)
{
    uint64_t position = input->block->events[first].position;
    struct run *run = run_add(shard, input, first, count);
    if (shard->suspect_count && (run->attempts = suspect_attempts(shard, position)) > 0)
        run->suspect = true;
    if (position > shard->switch_at) {
        if (!shard->parked)
            shard->parked = shard->end - 1;
        return;
    }
    run_lay(shard, shard->end - 1);
}

/* How many events from i on make one run: on the cheap path all that follow, else one. */
static size_t run_length(const struct route_shard *shard, const struct route_input *input, size_t i)
{
    size_t count = 1;
    if (!shard->whole || shard->suspect_count)
        return 1;
    if (!input->unwanted && !shard->resume)
        return input->count - i;
    while (i + count < input->count && !emit_passes(shard, input, i + count))
        count++;
    return count;
}

static void emit_replay(struct route_shard *shard, const struct route_input *input)
{
    struct run *run = run_add(shard, input, input->first, 1);
    run->replay = true;
    run->sink = input->replay_sink == SIZE_MAX ? -1 : (int32_t)input->replay_sink;
    run_lay(shard, shard->end - 1);
}

void route_emit(struct route *route, const struct route_input *input)
{
    struct route_shard *shard = input->shard;
    if (route->stopping || route->failed || shard_ended(shard))
        return;
    if (input->replay) {
        emit_replay(shard, input);
        return;
    }
    bool passed = false;
    for (size_t i = 0; i < input->count;) {
        uint64_t position = input->block->events[input->first + i].position;
        CHECK(position > shard->high);
        size_t count = 1;
        if (emit_passes(shard, input, i)) {
            passed = true;
        } else {
            count = run_length(shard, input, i);
            emit_run(shard, input, input->first + i, count);
        }
        i += count;
        uint64_t last = input->block->events[input->first + i - 1].position;
        shard->high = last > shard->high ? last : shard->high;
    }
    if (passed)
        shard_completed(shard, 0, 0);
}

void shard_switch(struct route_shard *shard)
{
    struct route *route = shard->route;
    if (shard->switch_at == UINT64_MAX || shard->high < shard->switch_at || shard->open_batches)
        return;
    for (uint32_t i = 0; i < shard->lane_count; i++) {
        if (shard->lanes[i].head)
            return;
        timer_set(route, &shard->lanes[i].timer, INT64_MAX);
        if (!list_empty(&shard->lanes[i].ready))
            list_remove(&shard->lanes[i].ready);
    }
    uint64_t number = shard->parked;
    CHECK(shard_lanes(shard, configured_lanes(&route->config)) == WEIR_OK);
    shard->none = route->config.order == ORDER_NONE;
    shard->whole = route->config.whole;
    for (uint32_t i = 0; i < shard->lane_count; i++)
        shard->skip[i] = shard->switch_at;
    shard->switch_at = UINT64_MAX;
    shard->range_count = 0;
    shard->parked = 0;
    for (; number && number < shard->end; number++)
        run_lay(shard, number);
}
