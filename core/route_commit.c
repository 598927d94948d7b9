/* route_commit.c: from completed to durable to settled; and how shards and the route end.
 *
 * A shard with something completed is dirty. When the shell asks (a transaction happens anyway), when
 * ROUTE_COMMIT_US have passed, or when half the window is completed and not durable, its vector goes out with a
 * ticket. What the ticket covers leaves the window when it comes back. A shard that need not be durable settles at
 * once, unless a dead letter of it is on its way. */
#include <stdlib.h>

#include "route_private.h"

void shard_completed(struct route_shard *shard, size_t events, size_t bytes)
{
    struct route *route = shard->route;
    shard->done_events += events;
    shard->done_bytes += bytes;
    if (list_empty(&shard->dirty))
        list_append(&route->dirty, &shard->dirty);
    if (route->commit_at == INT64_MAX)
        route->commit_at = route->now + ROUTE_COMMIT_US;
    if (shard->done_events >= route->config.window_events / 2 ||
        shard->done_bytes >= route->config.window_bytes / 2)
        route->commit_at = route->now;
}

/* The position before the lane's first open event that has one (replays have none). */
static bool lane_open_before(const struct lane *lane, uint64_t *before)
{
    const struct route_shard *shard = lane->shard;
    LIST_EACH(batch, &lane->batches, struct route_batch_state, node)
    {
        if (!batch->pub.replay) {
            *before = batch->pub.events[0].position - 1;
            return true;
        }
    }
    for (uint64_t number = lane->head; number; number = shard_run(shard, number)->next) {
        const struct run *run = shard_run(shard, number);
        if (!run->replay) {
            *before = run->block->events[run->first + run->taken].position - 1;
            return true;
        }
    }
    return false;
}

static uint64_t shard_reached(const struct route_shard *shard)
{
    if (!shard->parked)
        return shard->high;
    const struct run *run = shard_run(shard, shard->parked);
    return run->block->events[run->first].position - 1;
}

static uint64_t vector_ordered(struct route_shard *shard)
{
    uint64_t low = UINT64_MAX, reached = shard_reached(shard);
    for (uint32_t i = 0; i < shard->lane_count; i++) {
        uint64_t position = reached;
        lane_open_before(&shard->lanes[i], &position);
        position = position > shard->skip[i] ? position : shard->skip[i];
        shard->vector[i] = position;
        low = position < low ? position : low;
    }
    return low;
}

static void range_add(struct route_shard *shard, size_t *count, uint64_t first, uint64_t last)
{
    if (*count == shard->done_range_room) {
        size_t room = shard->done_range_room ? shard->done_range_room * 2 : 16;
        uint64_t(*ranges)[2] = realloc(shard->done_ranges, room * sizeof *ranges);
        CHECK(ranges != NULL);
        shard->done_ranges = ranges;
        shard->done_range_room = room;
    }
    shard->done_ranges[*count][0] = first;
    shard->done_ranges[(*count)++][1] = last;
}

/* Without order: finished runs are gone from the ring's front only, so what is done behind the first open one is
 * told by the positions between open ones. */
static uint64_t vector_none(struct route_shard *shard, size_t *count)
{
    uint64_t reached = shard_reached(shard), base = reached, after = 0;
    bool open = false;
    *count = 0;
    for (uint64_t number = shard->first; number < shard->end && number != shard->parked; number++) {
        const struct run *run = shard_run(shard, number);
        if (run->replay || run->done == run->count)
            continue;
        uint64_t position = run->block->events[run->first].position;
        if (!open)
            base = position - 1;
        else if (position > after + 1)
            range_add(shard, count, after + 1, position - 1);
        open = true;
        after = position;
    }
    if (open && reached > after)
        range_add(shard, count, after + 1, reached);
    for (size_t i = 0; i < shard->range_count; i++) {
        uint64_t first = shard->ranges[i][0] > reached + 1 ? shard->ranges[i][0] : reached + 1;
        if (shard->ranges[i][1] >= first)
            range_add(shard, count, first, shard->ranges[i][1]);
    }
    shard->vector[0] = base > shard->skip[0] ? base : shard->skip[0];
    return shard->vector[0];
}

static void ticket_add(struct route_shard *shard, uint64_t low)
{
    if (shard->ticket_count == shard->ticket_room) {
        size_t room = shard->ticket_room ? shard->ticket_room * 2 : 8;
        struct ticket *tickets = realloc(shard->tickets, room * sizeof *tickets);
        CHECK(tickets != NULL);
        shard->tickets = tickets;
        shard->ticket_room = room;
    }
    shard->tickets[shard->ticket_count++] =
        (struct ticket){++shard->tickets_made, low, shard->done_events, shard->done_bytes};
}

static void shard_settle(struct route_shard *shard, uint64_t low, size_t events, size_t bytes)
{
    shard_window(shard, -(ptrdiff_t)events, -(ptrdiff_t)bytes);
    if (low <= shard->settled)
        return;
    shard->settled = low;
    route_act(shard->route, (struct route_action){.type = ROUTE_SETTLE, .shard = shard, .low = low});
}

static void shard_commit(struct route_shard *shard)
{
    size_t ranges = 0;
    uint64_t low = shard->none ? vector_none(shard, &ranges) : vector_ordered(shard);
    if (!shard->durable && !shard->dead && !shard->ticket_count) {
        shard_settle(shard, low, shard->done_events, shard->done_bytes);
    } else {
        ticket_add(shard, low);
        struct route_vector vector = {shard->lane_count, shard->vector, (const uint64_t(*)[2])shard->done_ranges,
                                      ranges};
        route_act(
            shard->route,
            (struct route_action){
                .type = ROUTE_COMMIT, .shard = shard, .low = low, .ticket = shard->tickets_made, .vector = vector});
    }
    shard->done_events = shard->done_bytes = shard->dead = 0;
}

void route_flush(struct route *route, bool asked)
{
    if (!asked && route->commit_at > route->now)
        return;
    route->commit_at = INT64_MAX;
    while (!list_empty(&route->dirty)) {
        struct route_shard *shard = LIST_FIRST(&route->dirty, struct route_shard, dirty);
        list_remove(&shard->dirty);
        if (!shard->lost)
            shard_commit(shard);
    }
}

void route_committed(struct route *route, const struct route_input *input)
{
    struct route_shard *shard = input->shard;
    UNUSED(route);
    uint64_t low = 0;
    size_t events = 0, bytes = 0, done = 0;
    while (done < shard->ticket_count && shard->tickets[done].number <= input->ticket) {
        low = shard->tickets[done].low;
        events += shard->tickets[done].events;
        bytes += shard->tickets[done++].bytes;
    }
    shard->ticket_count -= done;
    memmove(shard->tickets, shard->tickets + done, shard->ticket_count * sizeof *shard->tickets);
    if (!done)
        return;
    if (shard->lost)
        shard_window(shard, -(ptrdiff_t)events, -(ptrdiff_t)bytes);
    else
        shard_settle(shard, low, events, bytes);
}

/* Endings. */

void shard_drop_pending(struct route_shard *shard)
{
    for (uint32_t i = 0; i < shard->lane_count; i++) {
        struct lane *lane = &shard->lanes[i];
        lane->head = lane->tail = 0;
        lane->pending = lane->pending_bytes = 0;
        timer_set(shard->route, &lane->timer, INT64_MAX);
        for (struct list *at = lane->batches.next, *next; at != &lane->batches; at = next) {
            struct route_batch_state *batch = CONTAINER_OF(at, struct route_batch_state, node);
            next = at->next;
            if (batch->stage != STAGE_CALLING && !batch->sinks_out)
                batch_drop(batch);
        }
    }
}

void route_revoke(struct route *route, const struct route_input *input)
{
    UNUSED(route);
    struct route_shard *shard = input->shard;
    shard->closing = true;
    shard->lost |= input->lost;
}

void route_stop(struct route *route, bool lost)
{
    route->stopping = true;
    route->lost |= lost;
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    {
        for (uint32_t i = 0; i < shard->lane_count; i++)
            lane_touch(&shard->lanes[i]);
    }
}

static bool shard_busy(const struct route_shard *shard)
{
    for (uint32_t i = 0; i < shard->lane_count; i++) {
        if (shard->lanes[i].head)
            return true;
    }
    return shard->open_batches > 0 || shard->parked;
}

static bool shard_uncommitted(const struct route_shard *shard)
{
    return !shard->lost && (!list_empty(&shard->dirty) || shard->ticket_count);
}

static void shard_release(struct route_shard *shard)
{
    struct route *route = shard->route;
    shard_window(shard, -(ptrdiff_t)shard->open_events, -(ptrdiff_t)shard->open_bytes);
    list_remove(&shard->node);
    list_remove(&shard->dirty);
    list_append(&route->gone, &shard->node);
    shard->released = true;
    route_act(route, (struct route_action){.type = ROUTE_RELEASED, .shard = shard});
}

static bool shard_end(struct route_shard *shard)
{
    if (shard_ended(shard)) {
        shard_drop_pending(shard);
        if (shard->parked && (shard->lost || shard->route->lost || shard->route->failed))
            shard->parked = 0;
    }
    if (shard_busy(shard))
        return false;
    if (shard_uncommitted(shard)) {
        route_flush(shard->route, true);
        return !shard_uncommitted(shard);
    }
    return true;
}

/* Looks whether a closing shard, or the stopping route, has come to its end. */
void route_endings(struct route *route)
{
    bool all = true;
    for (struct list *at = route->shards.next, *next; at != &route->shards; at = next) {
        struct route_shard *shard = CONTAINER_OF(at, struct route_shard, node);
        next = at->next;
        if (shard->switch_at != UINT64_MAX)
            shard_switch(shard);
        if (!shard->closing && !route->stopping && !route->failed)
            continue;
        bool ended = shard_end(shard);
        all &= ended;
        if (ended && shard->closing)
            shard_release(shard);
    }
    if (all && route->stopping && !route->finished) {
        route->finished = true;
        route_act(route, (struct route_action){.type = ROUTE_FINISHED});
    }
}

/* Tells the room in the window when it moved by an eighth of it, came back, or is gone. */
void route_want(struct route *route)
{
    const struct route_config *config = &route->config;
    size_t events = config->window_events - size_min(config->window_events, route->open_events);
    size_t bytes = config->window_bytes - size_min(config->window_bytes, route->open_bytes);
    if (route->failed || route->stopping)
        events = bytes = 0;
    bool none = !events || !bytes, none_told = !route->told_events || !route->told_bytes;
    bool more = events >= route->told_events + config->window_events / 8 + 1 ||
                bytes >= route->told_bytes + config->window_bytes / 8 + 1 ||
                (events == config->window_events && events != route->told_events);
    bool less = events + config->window_events / 8 + 1 <= route->told_events;
    if (none == none_told && !more && !less)
        return;
    route->told_events = events;
    route->told_bytes = bytes;
    route_act(route, (struct route_action){.type = ROUTE_WANT, .events = events, .bytes = bytes});
}
