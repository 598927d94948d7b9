/* route_commit.c: from completed to durable to settled.
 *
 * A shard with something completed is dirty. When the shell asks (a transaction happens anyway), when
 * ROUTE_COMMIT_US have passed, or when half the window is completed and not on its way, its vector goes out with a
 * ticket. What the ticket covers leaves the window when it comes back. A shard that need not be durable settles at
 * once, unless a dead letter of it is on its way. Tickets are bounded by the window: each but one in a shard stands
 * for events of it. */
#include <stdlib.h>

#include "route_private.h"

enum { RANGES_MIN = 16, TICKETS_MIN = 8 };

void shard_completed(struct route_shard *shard, size_t events, size_t bytes)
{
    struct route *route = shard->route;
    shard->active -= events;
    route->active -= events;
    shard->done_events += events;
    shard->done_bytes += bytes;
    route->done_events += events;
    route->done_bytes += bytes;
    if (list_empty(&shard->dirty))
        list_append(&route->dirty, &shard->dirty);
    if (route->commit_at == INT64_MAX)
        route->commit_at = route->now + ROUTE_COMMIT_US;
    if (route->done_events > route->config.window_events / 2 || route->done_bytes > route->config.window_bytes / 2)
        route->commit_at = route->now;
}

bool shard_uncommitted(const struct route_shard *shard)
{
    return !list_empty(&shard->dirty) || shard->ticket_count;
}

void shard_give(struct route_shard *shard, size_t events, size_t bytes)
{
    shard->open_events -= events;
    shard->open_bytes -= bytes;
    window_give(&shard->route->window, events, bytes);
}

/* The position before the lane's first open event that has one; `reached` when there is none. */
static uint64_t lane_position(const struct lane *lane, uint64_t reached)
{
    const struct tracker *tracker = &lane->shard->tracker;
    LIST_EACH(batch, &lane->batches, struct route_batch_state, node)
    {
        if (!batch->pub.replay)
            return batch->pub.events[0].position - 1;
    }
    for (uint32_t number = lane->head; number; number = tracker_run(tracker, number)->next) {
        const struct run *run = tracker_run(tracker, number);
        if (!run->replay)
            return run_event(run, run->taken)->position - 1;
    }
    return reached;
}

/* Below what is parked, everything that was emitted is in a lane. */
static uint64_t shard_reached(const struct route_shard *shard)
{
    return shard->parked ? run_position(tracker_run(&shard->tracker, shard->parked)) - 1 : shard->high;
}

static uint64_t vector_lanes(struct route_shard *shard)
{
    uint64_t low = UINT64_MAX, reached = shard_reached(shard);
    for (uint32_t i = 0; i < shard->lane_count; i++) {
        uint64_t position = lane_position(&shard->lanes[i], reached);
        position = position > shard->skip[i] ? position : shard->skip[i];
        shard->vector[i] = position;
        low = position < low ? position : low;
    }
    return low;
}

static void range_add(struct route_shard *shard, size_t *count, uint64_t first, uint64_t last)
{
    if (last < first)
        return;
    if (*count == shard->done_range_room) {
        size_t room = shard->done_range_room ? shard->done_range_room * 2 : RANGES_MIN;
        uint64_t(*ranges)[2] = realloc(shard->done_ranges, room * sizeof *ranges);
        CHECK(ranges != NULL); /* bounded by the window */
        shard->done_ranges = ranges;
        shard->done_range_room = room;
    }
    shard->done_ranges[*count][0] = first;
    shard->done_ranges[(*count)++][1] = last;
}

/* A base and what is finished above it: whatever lies between open events, and what the store knew of beyond. */
static uint64_t vector_ranges(struct route_shard *shard, size_t *count)
{
    const struct tracker *tracker = &shard->tracker;
    uint64_t reached = shard_reached(shard), after = reached;
    uint32_t number = tracker_open(tracker, 0, shard->parked);
    *count = 0;
    shard->vector[0] = reached;
    if (number) {
        after = run_position(tracker_run(tracker, number));
        shard->vector[0] = after - 1;
        number = tracker_after(tracker, number);
    }
    while (number && (number = tracker_open(tracker, number, shard->parked)) != 0) {
        uint64_t position = run_position(tracker_run(tracker, number));
        range_add(shard, count, after + 1, position - 1);
        after = position;
        number = tracker_after(tracker, number);
    }
    range_add(shard, count, after + 1, reached);
    for (size_t i = shard->range_next; i < shard->range_count; i++) {
        uint64_t first = shard->ranges[i][0] > reached ? shard->ranges[i][0] : reached + 1;
        range_add(shard, count, first, shard->ranges[i][1]);
    }
    return shard->vector[0];
}

static void ticket_add(struct route_shard *shard, uint64_t low)
{
    if (shard->ticket_count == shard->ticket_room) {
        size_t room = shard->ticket_room ? shard->ticket_room * 2 : TICKETS_MIN;
        struct ticket *tickets = realloc(shard->tickets, room * sizeof *tickets);
        CHECK(tickets != NULL); /* bounded by the commits the shell lets be in flight */
        shard->tickets = tickets;
        shard->ticket_room = room;
    }
    shard->tickets[shard->ticket_count++] =
        (struct ticket){++shard->tickets_made, low, shard->done_events, shard->done_bytes};
    shard->route->tickets++;
}

static void shard_settle(struct route_shard *shard, uint64_t low)
{
    if (low <= shard->settled)
        return;
    shard->settled = low;
    route_act(shard->route, (struct route_action){.type = ROUTE_SETTLE, .shard = shard, .low = low});
}

static void shard_commit(struct route_shard *shard)
{
    size_t ranges = 0;
    uint64_t low = shard->ranged ? vector_ranges(shard, &ranges) : vector_lanes(shard);
    if (!shard->durable && !shard->dead && !shard->ticket_count) {
        shard_give(shard, shard->done_events, shard->done_bytes);
        shard_settle(shard, low);
        return;
    }
    ticket_add(shard, low);
    route_act(shard->route, (struct route_action){.type = ROUTE_COMMIT,
                                                  .shard = shard,
                                                  .low = low,
                                                  .ticket = shard->tickets_made,
                                                  .vector = {.lanes = shard->lane_count,
                                                             .positions = shard->vector,
                                                             .ranges = (const uint64_t(*)[2])shard->done_ranges,
                                                             .range_count = ranges}});
    shard->dead = 0;
}

/* Nothing but its position moved, over what needs nothing, and a ticket is out: a slow or full store would collect
 * one ticket after the other, and no window bounds them. */
static bool shard_waits(const struct route_shard *shard)
{
    return shard->ticket_count && !shard->done_events && !shard->lost;
}

void route_flush(struct route *route)
{
    if (route->commit_at > route->now)
        return;
    route->commit_at = INT64_MAX;
    for (struct list *at = route->dirty.next, *next; at != &route->dirty; at = next) {
        struct route_shard *shard = CONTAINER_OF(at, struct route_shard, dirty);
        next = at->next;
        if (shard_waits(shard))
            continue;
        list_remove(&shard->dirty);
        if (!shard->lost)
            shard_commit(shard);
        shard->done_events = shard->done_bytes = 0;
    }
    route->done_events = route->done_bytes = 0;
}

/* Tickets come back in order; one stands for those before it. */
void route_committed(struct route *route, const struct route_input *input)
{
    struct route_shard *shard = input->shard;
    uint64_t low = 0;
    size_t done = 0;
    for (; done < shard->ticket_count && shard->tickets[done].number <= input->ticket; done++) {
        const struct ticket *ticket = &shard->tickets[done];
        low = ticket->low;
        shard_give(shard, ticket->events, ticket->bytes);
    }
    shard->ticket_count -= done;
    route->tickets -= done;
    memmove(shard->tickets, shard->tickets + done, shard->ticket_count * sizeof *shard->tickets);
    if (!list_empty(&shard->dirty))
        route->commit_at = time_min(route->commit_at, route->now + ROUTE_COMMIT_US);
    if (!shard->lost)
        shard_settle(shard, low);
}
