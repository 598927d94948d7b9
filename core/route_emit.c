/* route_emit.c: what comes into a shard: past what needs nothing, into runs, and behind the others of its lane. */
#include "route_private.h"

static bool unwanted(const struct route_input *input, size_t i)
{
    return input->unwanted && (input->unwanted[i / 8] >> (i % 8) & 1);
}

/* It needs nothing, or nothing any more. */
static bool emit_passes(struct route_shard *shard, const struct route_input *input, size_t i)
{
    return unwanted(input, i) || shard_skips(shard, &input->block->events[input->first + i]);
}

/* A replay has no place among the positions, so it is not parked either. */
static void run_lay(struct route_shard *shard, const struct run *run)
{
    const weir_event *event = run_event(run, 0);
    uint32_t number = tracker_add(&shard->tracker, run);
    if (run->replay || !shard_switches(shard) || event->position <= shard->switch_at) {
        lane_push(&shard->lanes[event_lane(shard, event)], number);
        return;
    }
    if (!shard->parked)
        shard->parked = number;
    shard->parked_events += run->count;
}

static void emit_run(struct route_shard *shard, struct run *run)
{
    struct route *route = shard->route;
    run->at = route->now;
    run->bytes = run_bytes(run, 0, run->count);
    shard->open_events += run->count;
    shard->open_bytes += run->bytes;
    window_take(&route->window, run->count, run->bytes);
    shard->active += run->count;
    route->active += run->count;
    run_lay(shard, run);
}

/* Nothing from this position on was known before the restart. */
static bool shard_fresh(const struct route_shard *shard, uint64_t position)
{
    bool suspects = shard->suspect_count && position <= shard->suspects[shard->suspect_count - 1].position;
    return position > shard->known && !suspects;
}

/* How many events from i on make one run: on the cheap path all that follow and are wanted, else one. */
static size_t run_length(const struct route_shard *shard, const struct route_input *input, size_t i)
{
    if (!shard->whole || !shard_fresh(shard, input->block->events[input->first + i].position))
        return 1;
    if (!input->unwanted)
        return input->count - i;
    size_t count = 1;
    while (i + count < input->count && !unwanted(input, i + count))
        count++;
    return count;
}

static size_t emit_next(struct route_shard *shard, const struct route_input *input, size_t i)
{
    size_t count = run_length(shard, input, i);
    struct run run = {
        .block = input->block, .first = (uint32_t)(input->first + i), .count = (uint32_t)count, .sink = -1};
    const struct route_suspect *suspect = shard_suspect(shard, run_position(&run));
    run.suspect = suspect != NULL;
    run.attempts = suspect ? suspect->attempts : 0;
    run.among = suspect && suspect->among;
    emit_run(shard, &run);
    return count;
}

static void emit_replay(struct route_shard *shard, const struct route_input *input)
{
    struct run run = {.block = input->block,
                      .first = (uint32_t)input->first,
                      .count = 1,
                      .sink = input->replay_sink == SIZE_MAX ? -1 : (int32_t)input->replay_sink,
                      .replay = true};
    emit_run(shard, &run);
}

static void emit_events(struct route_shard *shard, const struct route_input *input)
{
    bool passed = false;
    for (size_t i = 0; i < input->count;) {
        const weir_event *events = &input->block->events[input->first];
        CHECK(events[i].position > shard->high);
        size_t count = 1;
        if (emit_passes(shard, input, i))
            passed = true;
        else
            count = emit_next(shard, input, i);
        i += count;
        shard->high = events[i - 1].position;
    }
    if (passed)
        shard_completed(shard, 0, 0);
}

/* What comes after a stop or a revocation is nobody's here: it comes again. */
void route_emit(struct route *route, const struct route_input *input)
{
    struct route_shard *shard = input->shard;
    if (route->stopping || shard_ended(shard) || !list_empty(&shard->closing))
        return;
    if (input->replay)
        emit_replay(shard, input);
    else
        emit_events(shard, input);
}
