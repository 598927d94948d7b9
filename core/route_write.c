/* route_write.c: writes, and what follows from their answers.
 *
 * A batch is finished when every sink that got something of it has confirmed. A failed write is tried again after
 * the sink's delay, and when all sinks keep order several batches of a lane may be with a sink: then all that
 * failed are written again together, in order, after the last of them has answered, and nothing else is written
 * before. */
#include "route_private.h"

void writer_init(struct writer *writer)
{
    *writer = (struct writer){.again_at = INT64_MAX};
}

static struct writer *batch_writer(struct route_batch_state *batch, uint32_t sink)
{
    return batch->pub.unordered ? &batch->sinks[sink].writer : &batch->lane->writers[sink];
}

static bool writer_held(const struct writer *writer)
{
    return writer->failing || writer->again_at != INT64_MAX;
}

static void write_start(struct route_batch_state *batch, uint32_t sink)
{
    struct route *route = batch->lane->shard->route;
    batch->sinks_waiting &= ~(1u << sink);
    batch->sinks_follow &= ~(1u << sink);
    batch->sinks_out |= 1u << sink;
    batch_writer(batch, sink)->out++;
    route->writes++;
    route_act(route, (struct route_action){.type = ROUTE_WRITE, .batch = &batch->pub, .sink = sink});
}

void batch_deliver(struct route_batch_state *batch, uint32_t sinks)
{
    const struct route *route = batch->lane->shard->route;
    CHECK((uint64_t)sinks >> route->config.sink_count == 0);
    batch->stage = STAGE_WRITING;
    batch->sinks_open = sinks;
    if (!sinks) {
        batch_finish(batch);
        return;
    }
    for (uint32_t sink = 0; sinks >> sink; sink++) {
        if (!(sinks >> sink & 1))
            continue;
        if (writer_held(batch_writer(batch, sink)))
            batch->sinks_waiting |= 1u << sink;
        else
            write_start(batch, sink);
        if (sink + 1 == ROUTE_SINKS_MAX)
            break;
    }
}

/* Outputs that the sink rejected one by one are dead; SIZE_MAX: all of the batch that are still open there. */
static void write_dead(struct route_batch_state *batch, const struct route_input *input, size_t index, int result)
{
    struct route_shard *shard = batch->lane->shard;
    batch->dead++;
    route_act(shard->route, (struct route_action){.type = ROUTE_DEAD,
                                                  .batch = &batch->pub,
                                                  .shard = shard,
                                                  .sink = input->sink,
                                                  .index = index,
                                                  .result = result,
                                                  .attempts = batch->sinks[input->sink].attempts + 1});
}

/* What is out behind it at a sink that keeps order fails too, and not by itself: that is none of its attempts. */
static void write_followed(struct route_batch_state *batch, uint32_t sink)
{
    if (batch->pub.unordered)
        return;
    LIST_EACH(other, &batch->lane->batches, struct route_batch_state, node)
    {
        other->sinks_follow |= other->sinks_out & 1u << sink;
    }
}

static void write_confirmed(struct route_batch_state *batch, uint32_t sink)
{
    struct writer *writer = batch_writer(batch, sink);
    batch->sinks_open &= ~(1u << sink);
    if (!writer->failing)
        writer->failures = 0;
}

static void write_again_later(struct route_batch_state *batch, uint32_t sink)
{
    struct route *route = batch->lane->shard->route;
    struct writer *writer = batch_writer(batch, sink);
    batch->sinks_waiting |= 1u << sink;
    if (!writer->failing && !batch->pub.unordered)
        batch->lane->held++;
    writer->failing = true;
    route_blocked(route, batch->pub.unordered ? &batch->blocked : &batch->lane->blocked);
}

static void write_failed(struct route_batch_state *batch, const struct route_input *input)
{
    struct route *route = batch->lane->shard->route;
    const struct retry_policy *policy = &route->config.sinks[input->sink].retry;
    uint32_t attempts = batch->sinks[input->sink].attempts + 1;
    bool leads = !(batch->sinks_follow >> input->sink & 1);
    bool over = leads && policy->attempts && attempts >= policy->attempts;
    if (input->result != WEIR_REJECT) /* past what it rejects, a sink goes on */
        write_followed(batch, input->sink);
    if (input->result == WEIR_REJECT || (over && route->config.on_failure == FAILURE_DEAD)) {
        write_dead(batch, input, SIZE_MAX, input->result);
        batch->sinks_open &= ~(1u << input->sink);
        return;
    }
    batch->sinks_waiting |= 1u << input->sink;
    if (over) {
        route_fail(route, WEIR_RETRY);
        return;
    }
    batch->sinks[input->sink].attempts += leads;
    write_again_later(batch, input->sink);
}

static void batch_arm(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < route->config.sink_count; i++)
        at = time_min(at, batch->sinks[i].writer.again_at);
    timers_set(&route->timers, &batch->timer, at);
}

/* The last write that was out has answered: what failed is due again after the delay. */
static void writer_answered(struct route_batch_state *batch, uint32_t sink)
{
    struct route *route = batch->lane->shard->route;
    struct writer *writer = batch_writer(batch, sink);
    if (writer->out || !writer->failing)
        return;
    writer->failing = false;
    writer->failures++;
    writer->again_at = route_delay(route, &route->config.sinks[sink].retry, writer->failures);
    if (batch->pub.unordered)
        batch_arm(batch);
    else
        lane_arm(batch->lane);
}

void lane_write_again(struct lane *lane)
{
    struct route *route = lane->shard->route;
    for (uint32_t sink = 0; sink < route->config.sink_count && lane->held; sink++) {
        if (lane->writers[sink].again_at > route->now)
            continue;
        lane->writers[sink].again_at = INT64_MAX;
        lane->held--;
        LIST_EACH(batch, &lane->batches, struct route_batch_state, node)
        {
            if (batch->sinks_waiting >> sink & 1)
                write_start(batch, sink);
        }
    }
    lane_arm(lane);
}

void batch_write_again(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    for (uint32_t sink = 0; sink < route->config.sink_count; sink++) {
        if (batch->sinks[sink].writer.again_at > route->now)
            continue;
        batch->sinks[sink].writer.again_at = INT64_MAX;
        write_start(batch, sink);
    }
    batch_arm(batch);
}

static void write_answer(struct route_batch_state *batch, const struct route_input *input)
{
    for (size_t i = 0; i < input->failed_count; i++)
        write_dead(batch, input, input->failed[i], WEIR_REJECT);
    if (input->result == WEIR_OK) {
        write_confirmed(batch, input->sink);
    } else if (input->result == WEIR_FATAL) {
        batch->sinks_waiting |= 1u << input->sink;
        route_fail(batch->lane->shard->route, WEIR_FATAL);
    } else {
        write_failed(batch, input);
    }
    writer_answered(batch, input->sink);
    if (!batch->sinks_open)
        batch_finish(batch);
}

void route_written(struct route *route, const struct route_input *input)
{
    struct route_batch_state *batch = input->batch->state;
    struct lane *lane = batch->lane;
    uint32_t bit = 1u << input->sink;
    CHECK(batch->stage == STAGE_WRITING && (batch->sinks_out & bit));
    batch->sinks_out &= ~bit;
    batch_writer(batch, input->sink)->out--;
    route->writes--;
    if (!lane->shard->lost)
        write_answer(batch, input);
    lane_touch(lane);
    if (shard_ended(lane->shard))
        lane_sweep(lane);
}
