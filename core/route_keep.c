/* route_keep.c: what is open of a block whose memory the shell wants back, and which batches look into it.
 *
 * Runs find their events through the block, so they follow when it gets other memory. A batch points at them: it is
 * asked to keep a copy, unless it is in a call, where only the worker knows what points where. */
#include "route_private.h"

static void shard_open_events(const struct route_shard *shard, route_open_visit *visit, void *arg)
{
    const struct tracker *tracker = &shard->tracker;
    for (uint32_t number = tracker->used ? tracker_after(tracker, 0) : 0; number;
         number = tracker_after(tracker, number)) {
        const struct run *run = tracker_run(tracker, number);
        if (run->block->leaving)
            visit(arg, run->block, run->first + run->done, run->count - run->done);
    }
}

void route_open_events(const struct route *route, route_open_visit *visit, void *arg)
{
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    shard_open_events(shard, visit, arg);
}

static bool batch_looks(const struct route_batch_state *batch)
{
    for (size_t i = 0; i < batch->portion_count; i++) {
        if (batch->portions[i].views && batch->portions[i].block->leaving)
            return true;
    }
    return false;
}

static void lane_keep(struct lane *lane, route_keep_ask *ask, void *arg)
{
    LIST_EACH(batch, &lane->batches, struct route_batch_state, node)
    {
        if (batch->stage != STAGE_CALLING && batch_looks(batch) && ask(arg, &batch->pub))
            batch_blind(batch);
    }
}

/* What ended in the last step goes first: nobody else would come for it on a route where nothing happens. */
void route_keep_batches(struct route *route, route_keep_ask *ask, void *arg)
{
    route_recycle(route);
    LIST_EACH(shard, &route->shards, struct route_shard, node)
    {
        for (uint32_t i = 0; i < shard->lane_count; i++)
            lane_keep(&shard->lanes[i], ask, arg);
    }
}
