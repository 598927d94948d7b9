/* route_shard.c: opens shards with what the store knows of them.
 *
 * What was finished before a restart is passed over per lane. While the stored vector has another shape than the
 * configured lanes, the shard works in order in the old lanes up to the highest position the vector knows; what
 * lies above is parked, and laid into the configured lanes once everything below is completed and committed: until
 * then every vector that is stored has the old shape, so a restart in between finds its way, and no lane sees state
 * of another that is not in the store yet. */
#include <stdlib.h>

#include "route_private.h"

static uint32_t configured_lanes(const struct route_config *config)
{
    return config->order == ORDER_KEY && !config->whole ? config->lanes : 1;
}

static void lanes_free(struct route_shard *shard)
{
    for (uint32_t i = 0; i < shard->lane_count; i++)
        lane_fini(&shard->lanes[i]);
    shard->lane_count = 0;
    free(shard->lanes);
    free(shard->writers);
    free(shard->skip);
    free(shard->vector);
}

/* New lanes, nothing of them finished; WEIR_NOMEM leaves the old ones. */
static int shard_lanes(struct route_shard *shard, uint32_t count)
{
    size_t sinks = shard->route->config.sink_count;
    struct lane *lanes = calloc(count, sizeof *lanes);
    struct writer *writers = malloc((count * sinks + 1) * sizeof *writers);
    uint64_t *skip = calloc(count, sizeof *skip), *vector = calloc(count, sizeof *vector);
    if (!lanes || !writers || !skip || !vector) {
        free(lanes);
        free(writers);
        free(skip);
        free(vector);
        return WEIR_NOMEM;
    }
    lanes_free(shard);
    shard->lanes = lanes;
    shard->writers = writers;
    shard->skip = skip;
    shard->vector = vector;
    shard->lane_count = count;
    for (size_t i = 0; i < count * sinks; i++)
        writer_init(&writers[i]);
    for (uint32_t i = 0; i < count; i++) {
        lane_init(&lanes[i], shard, i);
        lanes[i].writers = writers + i * sinks;
    }
    return WEIR_OK;
}

static void shard_configure(struct route_shard *shard)
{
    const struct route_config *config = &shard->route->config;
    shard->unordered = shard->ranged = config->order == ORDER_NONE;
    shard->whole = config->whole;
}

static int ranges_restore(struct route_shard *shard, const struct route_vector *vector)
{
    if (!vector->range_count)
        return WEIR_OK;
    shard->ranges = malloc(vector->range_count * sizeof *shard->ranges);
    if (!shard->ranges)
        return WEIR_NOMEM;
    memcpy(shard->ranges, vector->ranges, vector->range_count * sizeof *shard->ranges);
    shard->range_count = vector->range_count;
    shard->known = shard->ranges[shard->range_count - 1][1];
    return WEIR_OK;
}

static int shard_restore(struct route_shard *shard, const struct route_vector *vector)
{
    const struct route_config *config = &shard->route->config;
    uint64_t low = UINT64_MAX;
    for (uint32_t i = 0; i < vector->lanes; i++) {
        low = vector->positions[i] < low ? vector->positions[i] : low;
        shard->known = vector->positions[i] > shard->known ? vector->positions[i] : shard->known;
    }
    shard->high = shard->resume = shard->settled = low;
    if (ranges_restore(shard, vector) != WEIR_OK)
        return WEIR_NOMEM;
    bool same = vector->lanes == configured_lanes(config) && (!vector->range_count || config->order == ORDER_NONE);
    if (!same && low == shard->known)
        return shard_lanes(shard, configured_lanes(config));
    if (shard_lanes(shard, vector->lanes) != WEIR_OK)
        return WEIR_NOMEM;
    memcpy(shard->skip, vector->positions, vector->lanes * sizeof *shard->skip);
    if (same)
        return WEIR_OK;
    shard->unordered = shard->whole = false;
    shard->ranged = vector->range_count > 0;
    shard->switch_at = shard->known;
    list_append(&shard->route->switching, &shard->switching);
    return WEIR_OK;
}

static int suspects_restore(struct route_shard *shard, const struct route_shard_open *open)
{
    if (!open->suspect_count)
        return WEIR_OK;
    shard->suspects = malloc(open->suspect_count * sizeof *shard->suspects);
    if (!shard->suspects)
        return WEIR_NOMEM;
    memcpy(shard->suspects, open->suspects, open->suspect_count * sizeof *shard->suspects);
    shard->suspect_count = open->suspect_count;
    return WEIR_OK;
}

static int shard_fill(struct route_shard *shard, const struct route_shard_open *open)
{
    shard_configure(shard);
    if (suspects_restore(shard, open) != WEIR_OK)
        return WEIR_NOMEM;
    if (open->vector && open->vector->lanes)
        return shard_restore(shard, open->vector);
    return shard_lanes(shard, configured_lanes(&shard->route->config));
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
    list_init(&shard->closing);
    list_init(&shard->switching);
    tracker_init(&shard->tracker);
    if (shard_fill(shard, open) != WEIR_OK) {
        shard_discard(shard);
        return NULL;
    }
    list_append(&route->shards, &shard->node);
    return shard;
}

void shard_discard(struct route_shard *shard)
{
    lanes_free(shard);
    tracker_fini(&shard->tracker);
    list_remove(&shard->node);
    list_remove(&shard->dirty);
    list_remove(&shard->closing);
    list_remove(&shard->switching);
    free(shard->ranges);
    free(shard->done_ranges);
    free(shard->suspects);
    free(shard->tickets);
    free(shard);
}

void *route_shard_user(const struct route_shard *shard)
{
    return shard->user;
}

uint64_t route_resume(const struct route_shard *shard)
{
    return shard->resume;
}

uint32_t event_lane(const struct route_shard *shard, const weir_event *event)
{
    if (shard->lane_count <= 1)
        return 0;
    return event->key.data ? lane_of_key(event->key, shard->lane_count)
                           : (uint32_t)(event->position % shard->lane_count);
}

bool shard_skips(struct route_shard *shard, const weir_event *event)
{
    if (event->position > shard->known)
        return false;
    if (event->position <= shard->skip[event_lane(shard, event)])
        return true;
    while (shard->range_next < shard->range_count && shard->ranges[shard->range_next][1] < event->position)
        shard->range_next++; /* positions ascend */
    return shard->range_next < shard->range_count && shard->ranges[shard->range_next][0] <= event->position;
}

const struct route_suspect *shard_suspect(const struct route_shard *shard, uint64_t position)
{
    size_t low = 0, high = shard->suspect_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (shard->suspects[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < shard->suspect_count && shard->suspects[low].position == position;
    return found ? &shard->suspects[low] : NULL;
}

bool shard_switches(const struct route_shard *shard)
{
    return !list_empty(&shard->switching);
}

static void shard_switch(struct route_shard *shard)
{
    if (shard_lanes(shard, configured_lanes(&shard->route->config)) != WEIR_OK)
        return; /* at the next step then */
    shard_configure(shard);
    list_remove(&shard->switching);
    shard->range_count = 0;
    for (uint32_t i = 0; i < shard->lane_count; i++)
        shard->skip[i] = shard->switch_at;
    for (uint32_t number = shard->parked; number; number = tracker_after(&shard->tracker, number)) {
        const struct run *run = tracker_run(&shard->tracker, number);
        lane_push(&shard->lanes[event_lane(shard, run_event(run, 0))], number);
    }
    shard->parked = 0;
    shard->parked_events = 0;
}

void shards_switch(struct route *route)
{
    for (struct list *at = route->switching.next, *next; at != &route->switching; at = next) {
        struct route_shard *shard = CONTAINER_OF(at, struct route_shard, switching);
        next = at->next;
        bool behind = shard->high >= shard->switch_at && shard->active == shard->parked_events;
        if (behind && !shard_uncommitted(shard) && !shard_ended(shard))
            shard_switch(shard);
    }
}
