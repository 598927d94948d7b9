/* route_end.c: how shards and the route end.
 *
 * Revoked, a shard finishes what was emitted, has it committed, and is released. Lost, or when the route has failed
 * or its deadline has passed, it starts nothing more and waits only for what is out: calls, writes, commits. */
#include "route_private.h"

static void shard_touch(struct route_shard *shard)
{
    for (uint32_t i = 0; i < shard->lane_count; i++)
        lane_touch(&shard->lanes[i]);
}

void route_revoke(struct route *route, const struct route_input *input)
{
    struct route_shard *shard = input->shard;
    if (list_empty(&shard->closing))
        list_append(&route->closing, &shard->closing);
    shard->lost |= input->lost;
    route->sweep |= input->lost;
    shard_touch(shard);
}

void route_stop(struct route *route, bool lost)
{
    route->stopping = true;
    route->lost |= lost;
    route->sweep |= lost;
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    {
        shard_touch(shard);
    }
}

/* Nothing of it will complete any more. */
static bool shard_still(const struct route_shard *shard)
{
    return shard_ended(shard) ? shard->open_batches == 0 : shard->active == 0;
}

static bool route_still(const struct route *route)
{
    return route->lost || route->failed ? route->open_batches == 0 : route->active == 0;
}

void route_hurry(struct route *route)
{
    if (list_empty(&route->dirty))
        return;
    bool hurry = route->stopping && route_still(route);
    LIST_EACH(closing, &route->closing, struct route_shard, closing)
    {
        hurry |= !list_empty(&closing->dirty) && shard_still(closing);
    }
    LIST_EACH(shard, &route->switching, struct route_shard, switching)
    {
        hurry |=
            !list_empty(&shard->dirty) && shard->active == shard->parked_events && shard->high >= shard->switch_at;
    }
    if (hurry)
        route->commit_at = route->now;
}

static void shard_release(struct route_shard *shard)
{
    struct route *route = shard->route;
    route->active -= shard->active;
    shard_give(shard, shard->open_events, shard->open_bytes);
    for (uint32_t i = 0; i < shard->lane_count; i++)
        route_unblocked(route, &shard->lanes[i].blocked);
    list_remove(&shard->closing);
    list_remove(&shard->switching);
    list_remove(&shard->node);
    list_append(&route->gone, &shard->node);
    route_act(route, (struct route_action){.type = ROUTE_RELEASED, .shard = shard});
}

/* Looks whether a revoked shard, or the stopping route, has come to its end. A lost shard too waits for its
 * tickets: the shell still holds them. */
void route_endings(struct route *route)
{
    for (struct list *at = route->closing.next, *next; at != &route->closing; at = next) {
        struct route_shard *shard = CONTAINER_OF(at, struct route_shard, closing);
        next = at->next;
        if (shard_still(shard) && !shard_uncommitted(shard))
            shard_release(shard);
    }
    if (!route->stopping || route->finished || !route_still(route) || !list_empty(&route->dirty) || route->tickets)
        return;
    route->finished = true;
    route_act(route, (struct route_action){.type = ROUTE_FINISHED});
}
