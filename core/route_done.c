/* route_done.c: what becomes of a batch when its call or a write of it is done.
 *
 * A failed call of several events is bisected until the culprit is alone; a single event (or, without bisect, the
 * batch) uses up its attempts and is dead then. Written batches complete in the order of their lane; without order,
 * each by itself. */
#include "route_private.h"

struct writer *batch_writer(struct route_batch_state *batch)
{
    return batch->lane->shard->none ? &batch->writer : &batch->lane->writer;
}

void batch_deliver(struct route_batch_state *batch, uint32_t sinks)
{
    struct route *route = batch->lane->shard->route;
    struct writer *writer = batch_writer(batch);
    batch->stage = STAGE_WRITING;
    batch->sinks_open |= sinks;
    batch->sinks_waiting &= ~sinks;
    batch->sinks_out |= sinks;
    if (!batch->sinks_open) {
        batch_finish(batch);
        return;
    }
    for (uint32_t sink = 0; sink < route->config.sink_count; sink++) {
        if (!(sinks & (1u << sink)))
            continue;
        writer->out++;
        route->writes++;
        route_act(route, (struct route_action){.type = ROUTE_WRITE, .batch = &batch->pub, .sink = sink});
    }
}

void batch_dead(struct route_batch_state *batch, size_t index, uint32_t attempts)
{
    batch->lane->shard->dead++;
    route_act(batch->lane->shard->route, (struct route_action){.type = ROUTE_DEAD,
                                                               .batch = &batch->pub,
                                                               .shard = batch->lane->shard,
                                                               .sink = SIZE_MAX,
                                                               .index = index,
                                                               .result = WEIR_RETRY,
                                                               .attempts = attempts});
}

static void batch_complete(struct route_batch_state *batch)
{
    struct route_shard *shard = batch->lane->shard;
    struct route *route = shard->route;
    size_t events = 0;
    route_act(route, (struct route_action){.type = ROUTE_DONE, .batch = &batch->pub, .shard = shard});
    for (size_t i = 0; i < batch->portion_count; i++) {
        struct run *run = shard_run(shard, batch->portions[i].number);
        run->done += batch->portions[i].count;
        events += batch->portions[i].count;
        if (run->done == run->count && run->block) {
            block_drop(run->block);
            run->block = NULL;
        }
    }
    while (shard->first < shard->end &&
           shard_run(shard, shard->first)->done == shard_run(shard, shard->first)->count)
        shard->first++;
    shard_completed(shard, events, batch->bytes);
    batch_retire(batch);
}

void batch_finish(struct route_batch_state *batch)
{
    struct lane *lane = batch->lane;
    batch->stage = STAGE_FINISHED;
    if (lane->shard->none) {
        batch_complete(batch);
        return;
    }
    if (lane->attempts && lane->attempts_at <= batch->pub.events[batch->pub.count - 1].position)
        lane->attempts = 0;
    if (lane->limit < lane->shard->route->config.batch_events)
        lane->limit = size_min(lane->limit * 2, lane->shard->route->config.batch_events);
    while (!list_empty(&lane->batches)) {
        struct route_batch_state *first = LIST_FIRST(&lane->batches, struct route_batch_state, node);
        if (first->stage != STAGE_FINISHED)
            break;
        batch_complete(first);
    }
}

/* Nothing of it counts, and nothing of it is out. Its events stay open: they come again, after a restart at the
 * latest. */
void batch_drop(struct route_batch_state *batch)
{
    struct route_shard *shard = batch->lane->shard;
    route_act(shard->route, (struct route_action){.type = ROUTE_DROPPED, .batch = &batch->pub, .shard = shard});
    batch_retire(batch);
}

/* Calls. */

static int64_t retry_at(struct route *route, const struct retry_policy *policy, uint32_t attempts)
{
    return route->now + retry_delay(policy, attempts, &route->random);
}

static void lane_back(struct route_batch_state *batch)
{
    batch_put_back(batch, 0);
    batch_drop(batch);
}

static void lane_wait(struct route_batch_state *batch, size_t index, uint32_t attempts)
{
    struct lane *lane = batch->lane;
    struct route *route = lane->shard->route;
    lane->attempts = attempts;
    lane->attempts_at = batch->pub.events[index].position;
    lane->retry_at = retry_at(route, &route->config.retry, attempts);
    if (!lane->blocked_us)
        lane->blocked_us = route->now;
}

static bool used_up(const struct route *route, uint32_t attempts)
{
    return route->config.retry.attempts && attempts >= route->config.retry.attempts;
}

static void lane_failed(struct route_batch_state *batch)
{
    struct lane *lane = batch->lane;
    struct route *route = lane->shard->route;
    size_t count = batch->pub.count;
    uint32_t attempts = batch->pub.attempt;
    if (count > 1 && route->config.bisect) {
        lane->limit = count / 2;
        lane_back(batch);
        return;
    }
    lane->limit = count;
    if (!used_up(route, attempts)) {
        lane_wait(batch, 0, attempts);
        lane_back(batch);
    } else if (route->config.on_failure == FAILURE_STOP) {
        lane_back(batch);
        route_fail(route, WEIR_RETRY);
    } else {
        for (size_t i = 0; i < count; i++)
            batch_dead(batch, i, attempts);
        batch_finish(batch);
    }
}

/* The event at `index` failed by itself; those before it go on, those after it come again. */
static void lane_event_failed(struct route_batch_state *batch, size_t index, uint32_t wrote)
{
    struct lane *lane = batch->lane;
    struct route *route = lane->shard->route;
    uint32_t attempts = index == 0 ? batch->pub.attempt : 1;
    bool dead = used_up(route, attempts);
    if (dead && route->config.on_failure == FAILURE_STOP) {
        dead = false;
        route_fail(route, WEIR_RETRY);
    }
    if (dead)
        batch_dead(batch, index, attempts);
    else
        lane_wait(batch, index, attempts);
    size_t keep = index + dead;
    if (keep < batch->pub.count) {
        batch_put_back(batch, keep);
        if (keep)
            route_act(route, (struct route_action){.type = ROUTE_CUT, .batch = &batch->pub, .index = keep});
    }
    if (!keep)
        batch_drop(batch);
    else
        batch_deliver(batch, wrote);
}

/* Its attempts go with its runs. */
static void event_wait(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    batch->stage = STAGE_WAITING;
    CHECK(timer_set(route, &batch->timer, retry_at(route, &route->config.retry, batch->pub.attempt)));
    for (size_t i = 0; i < batch->portion_count; i++)
        shard_run(batch->lane->shard, batch->portions[i].number)->attempts = batch->pub.attempt;
}

/* Without order: the failed event is a batch of its own from now on. */
static void none_event_failed(struct route_batch_state *batch)
{
    struct route *route = batch->lane->shard->route;
    uint32_t attempts = batch->pub.attempt;
    if (!used_up(route, attempts)) {
        event_wait(batch);
    } else if (route->config.on_failure == FAILURE_STOP) {
        batch_drop(batch);
        route_fail(route, WEIR_RETRY);
    } else {
        for (size_t i = 0; i < batch->pub.count; i++)
            batch_dead(batch, i, attempts);
        batch_finish(batch);
    }
}

static void none_failed(struct route_batch_state *batch)
{
    size_t count = batch->pub.count;
    if (count == 1 || !batch->lane->shard->route->config.bisect) {
        batch->lane->blocked_us =
            batch->lane->blocked_us ? batch->lane->blocked_us : batch->lane->shard->route->now;
        none_event_failed(batch);
        return;
    }
    struct route_batch_state *left = batch_split(batch, 0, count / 2),
                             *right = batch_split(batch, count / 2, count - count / 2);
    batch_drop(batch);
    batch_start(left);
    batch_start(right);
}

/* The failed events leave the batch; the others go on. The batch's inputs stay as they are for the shell: outputs
 * of failed ones do not exist. */
static void none_events_failed(struct route_batch_state *batch, const struct route_input *input)
{
    for (size_t i = 0; i < input->failed_count; i++) {
        struct route_batch_state *single = batch_split(batch, input->failed[i], 1);
        batch->bytes -= single->bytes;
        single->pub.attempt = shard_run(single->lane->shard, single->portions[0].number)->attempts + 1;
        if (used_up(batch->lane->shard->route, single->pub.attempt) &&
            batch->lane->shard->route->config.on_failure == FAILURE_DEAD) {
            batch_dead(batch, input->failed[i], single->pub.attempt); /* the shell knows the reason by this batch */
            batch_finish(single);
        } else {
            none_event_failed(single);
        }
        batch->portions[input->failed[i]].count = 0; /* not this batch's to complete */
    }
    batch_deliver(batch, input->wrote);
}

void route_called(struct route *route, const struct route_input *input)
{
    struct route_batch_state *batch = input->batch->state;
    struct lane *lane = batch->lane;
    CHECK(batch->stage == STAGE_CALLING);
    route->calls--;
    lane->calling = false;
    if (batch->suspect)
        route->suspects_out--;
    lane_touch(lane);
    if (shard_ended(lane->shard) && (lane->shard->lost || route->lost || route->failed)) {
        batch_drop(batch);
    } else if (input->result == WEIR_FATAL) {
        if (lane->shard->none)
            batch_drop(batch);
        else
            lane_back(batch);
        route_fail(route, WEIR_FATAL);
    } else if (input->result != WEIR_OK) {
        lane->shard->none ? none_failed(batch) : lane_failed(batch);
    } else if (input->failed_count) {
        if (lane->shard->none)
            none_events_failed(batch, input);
        else
            lane_event_failed(batch, input->failed[0], input->wrote);
    } else {
        lane->blocked_us = 0;
        batch_deliver(batch, input->wrote);
    }
}

/* Writes. */

static void write_rejected(struct route_batch_state *batch, const struct route_input *input)
{
    struct route_shard *shard = batch->lane->shard;
    for (size_t i = 0; i < input->failed_count; i++) {
        shard->dead++;
        route_act(shard->route, (struct route_action){.type = ROUTE_DEAD,
                                                      .batch = &batch->pub,
                                                      .shard = shard,
                                                      .sink = input->sink,
                                                      .index = input->failed[i],
                                                      .result = WEIR_REJECT,
                                                      .attempts = batch->attempts[input->sink] + 1});
    }
}

/* Every output that is still open is dead: the sink's attempts are used up, or it rejected all of them. */
static void write_dead(struct route_batch_state *batch, const struct route_input *input)
{
    struct route_shard *shard = batch->lane->shard;
    shard->dead++;
    route_act(shard->route, (struct route_action){.type = ROUTE_DEAD,
                                                  .batch = &batch->pub,
                                                  .shard = shard,
                                                  .sink = input->sink,
                                                  .index = SIZE_MAX,
                                                  .result = input->result,
                                                  .attempts = batch->attempts[input->sink]});
    batch->sinks_open &= ~(1u << input->sink);
}

static void write_failed(struct route_batch_state *batch, const struct route_input *input)
{
    struct route *route = batch->lane->shard->route;
    const struct retry_policy *policy = &route->config.sinks[input->sink].retry;
    uint32_t attempts = ++batch->attempts[input->sink];
    if (input->result == WEIR_REJECT || (policy->attempts && attempts >= policy->attempts)) {
        write_dead(batch, input);
        return;
    }
    batch->sinks_waiting |= 1u << input->sink;
    batch_writer(batch)->failing = true;
    if (!batch->lane->blocked_us)
        batch->lane->blocked_us = route->now;
}

/* When the last write of the lane that was out has answered, all that failed are due again together, in order. */
static void writer_answered(struct route_batch_state *batch, uint32_t sink)
{
    struct route *route = batch->lane->shard->route;
    struct writer *writer = batch_writer(batch);
    if (writer->out || !writer->failing)
        return;
    writer->failing = false;
    writer->failures++;
    writer->again_at = retry_at(route, &route->config.sinks[sink].retry, writer->failures);
    if (batch->lane->shard->none)
        CHECK(timer_set(route, &batch->timer, writer->again_at));
    else
        lane_arm(batch->lane);
}

void writer_again(struct lane *lane, struct route_batch_state *only)
{
    struct writer *writer = only ? &only->writer : &lane->writer;
    writer->again_at = INT64_MAX;
    if (only) {
        batch_deliver(only, only->sinks_waiting);
        return;
    }
    LIST_EACH(batch, &lane->batches, struct route_batch_state, node)
    {
        if (batch->sinks_waiting)
            batch_deliver(batch, batch->sinks_waiting);
    }
}

void route_written(struct route *route, const struct route_input *input)
{
    struct route_batch_state *batch = input->batch->state;
    struct lane *lane = batch->lane;
    struct writer *writer = batch_writer(batch);
    uint32_t bit = 1u << input->sink;
    CHECK(batch->stage == STAGE_WRITING && (batch->sinks_out & bit));
    batch->sinks_out &= ~bit;
    writer->out--;
    route->writes--;
    lane_touch(lane);
    bool dropped = lane->shard->lost;
    if (!dropped)
        write_rejected(batch, input);
    if (input->result == WEIR_OK) {
        batch->sinks_open &= ~bit;
        writer->failures = 0;
        lane->blocked_us = writer->failing ? lane->blocked_us : 0;
    } else if (input->result == WEIR_FATAL) {
        batch->sinks_waiting |= bit;
        route_fail(route, WEIR_FATAL);
    } else {
        write_failed(batch, input);
    }
    if (!batch->sinks_open && !dropped)
        batch_finish(batch);
    else if (!batch->sinks_out && (dropped || route->lost || route->failed))
        batch->stage = STAGE_WAITING;
    if (batch->stage != STAGE_FINISHED || writer == &lane->writer)
        writer_answered(batch, input->sink);
}
