/* sim_sink_kit.c: the sinks: they confirm, reject, fail, and sometimes deliver and say they failed. A sink that
 * keeps order answers a lane's writes in order, and after a failure fails those that are already there. */
#include <stdio.h>

#include "sim.h"

enum { OUTPUTS_MAX = 64 };

/* The open outputs of a batch for a sink: places[i] is the input, numbers[i] which output it is. */
struct outputs {
    size_t count;
    uint32_t places[OUTPUTS_MAX], numbers[OUTPUTS_MAX];
};

static void outputs_find(struct route_batch *batch, uint32_t sink, struct outputs *outputs)
{
    const struct work *work = sim_work(batch);
    uint32_t bit = 1u << sink, number = 0;
    outputs->count = 0;
    for (size_t i = 0; i < work->count; i++) {
        if (!(work->outputs[i] & bit))
            continue;
        if (!(work->finished[i] & bit)) {
            CHECK(outputs->count < OUTPUTS_MAX);
            outputs->places[outputs->count] = (uint32_t)i;
            outputs->numbers[outputs->count++] = number;
        }
        number++;
    }
}

static void deliver(struct route_batch *batch, uint32_t sink, uint32_t place)
{
    struct sim_view *view = sim_work(batch)->view;
    const struct item *item = sim_input(batch, place);
    uint32_t bit = 1u << sink;
    sim_check_delivery(view, item, sink, batch->replay);
    if (view->delivered[item->index] & bit)
        sim_reach(view->shard->world, SIM_DUPLICATE);
    view->delivered[item->index] |= bit;
    if (!batch->replay)
        view->arrived[item->index] |= bit;
}

static bool *sink_failing(struct route_batch *batch, uint32_t sink)
{
    struct sim_view *view = sim_work(batch)->view;
    return &view->failing[batch->lane % SIM_LANES_MAX][sink];
}

static bool same_lane(struct route_batch *a, struct route_batch *b)
{
    return sim_work(a)->view == sim_work(b)->view && a->lane == b->lane;
}

/* The first write of the same lane and sink that is out. */
static size_t job_first(struct sim_world *world, size_t job)
{
    struct job wanted = world->jobs[job];
    for (size_t i = 0; i < job; i++) {
        struct job other = world->jobs[i];
        if (other.sink == wanted.sink && same_lane(other.batch, wanted.batch))
            return i;
    }
    return job;
}

static size_t lane_writes(struct sim_world *world, struct route_batch *batch, uint32_t sink)
{
    size_t count = 0;
    for (size_t i = 0; i < world->job_count; i++)
        count += world->jobs[i].sink == sink && same_lane(world->jobs[i].batch, batch);
    return count;
}

static void answer(struct route_batch *batch, uint32_t sink, int result, const uint32_t *failed, size_t count)
{
    struct sim_route *route = sim_work(batch)->view->route;
    sim_step(route, &(struct route_input){.type = ROUTE_WRITTEN,
                                          .batch = batch,
                                          .sink = sink,
                                          .result = result,
                                          .failed = failed,
                                          .failed_count = count});
}

static void write_failed(struct sim_world *world, struct route_batch *batch, uint32_t sink, bool follows)
{
    struct outputs outputs;
    outputs_find(batch, sink, &outputs);
    world->faults++;
    sim_work(batch)->tries[sink] += !follows;
    sim_reach(world, follows ? SIM_WRITE_AGAIN_ALL_OF_LANE : SIM_WRITE_AGAIN);
    if (!follows && sim_chance(world, 300)) {
        sim_reach(world, SIM_WRITE_DELIVERED_UNCONFIRMED);
        for (size_t i = 0; i < outputs.count; i++)
            deliver(batch, sink, outputs.places[i]);
    }
    answer(batch, sink, WEIR_RETRY, NULL, 0);
}

static void write_passed(struct sim_world *world, struct route_batch *batch, uint32_t sink)
{
    struct outputs outputs;
    struct work *work = sim_work(batch);
    uint32_t failed[OUTPUTS_MAX];
    size_t count = 0;
    outputs_find(batch, sink, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        if (!world->calm && sim_chance(world, world->mood_sink / 8)) {
            failed[count++] = outputs.numbers[i];
            work->view->ever_dead[sim_input(batch, outputs.places[i])->index] |= SIM_FUNCTION << 1 << sink;
            continue;
        }
        deliver(batch, sink, outputs.places[i]);
        work->finished[outputs.places[i]] |= 1u << sink;
    }
    sim_reach(world, count ? SIM_WRITE_EVENTS_REJECTED : SIM_WRITE_OK);
    world->faults += count > 0;
    answer(batch, sink, WEIR_OK, failed, count);
}

static void write_ended(struct sim_world *world, struct route_batch *batch, uint32_t sink, int result)
{
    struct sim_view *view = sim_work(batch)->view;
    struct outputs outputs;
    outputs_find(batch, sink, &outputs);
    for (size_t i = 0; i < outputs.count && result == WEIR_REJECT; i++)
        view->ever_dead[sim_input(batch, outputs.places[i])->index] |= SIM_FUNCTION << 1 << sink;
    world->faults++;
    sim_reach(world, result == WEIR_FATAL ? SIM_WRITE_FATAL : SIM_WRITE_REJECTED);
    answer(batch, sink, result, NULL, 0);
}

void sim_written(struct sim_world *world, size_t at)
{
    struct job job = world->jobs[at];
    const struct route_config *config = &sim_work(job.batch)->view->route->config;
    bool ordered = config->sinks[job.sink].ordered && !job.batch->unordered;
    if (ordered) {
        at = job_first(world, at);
        job = world->jobs[at];
    }
    memmove(&world->jobs[at], &world->jobs[at + 1], (world->job_count - at - 1) * sizeof job);
    world->job_count--;
    bool *failing = sink_failing(job.batch, job.sink), follows = ordered && *failing;
    bool last = lane_writes(world, job.batch, job.sink) == 0;
    bool fails = !world->calm && sim_chance(world, world->faults < 5 ? 300 : world->mood_sink);
    if (follows || (fails && sim_chance(world, 900))) {
        *failing = ordered && !last;
        write_failed(world, job.batch, job.sink, follows);
    } else if (fails) {
        bool fatal = sim_chance(world, 50);
        *failing = ordered && fatal && !last;
        write_ended(world, job.batch, job.sink, fatal ? WEIR_FATAL : WEIR_REJECT);
    } else {
        write_passed(world, job.batch, job.sink);
    }
}

void sim_writes_dead(struct route_batch *batch, const struct route_action *action)
{
    struct work *work = sim_work(batch);
    struct outputs outputs;
    uint32_t bit = 1u << action->sink, mark = SIM_FUNCTION << 1 << action->sink;
    bool any = false;
    outputs_find(batch, (uint32_t)action->sink, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        if (action->index != SIZE_MAX && action->index != outputs.numbers[i])
            continue;
        any = true;
        work->finished[outputs.places[i]] |= bit;
        work->died[outputs.places[i]] |= mark;
        work->view->ever_dead[sim_input(batch, outputs.places[i])->index] |= mark;
    }
    if (!any && action->index != SIZE_MAX)
        sim_broken(work->view->shard->world, "output %zu is dead, but not open", action->index);
}

/* Each write that was out may have arrived, in part: a sink that keeps order took them in order. */
void sim_sinks_crash(struct sim_world *world)
{
    for (size_t at = 0; at < world->job_count; at++) {
        struct job job = world->jobs[at];
        struct outputs outputs;
        if (job.sink == SIM_SINKS)
            continue;
        bool *failing = sink_failing(job.batch, job.sink);
        if (*failing && !job.batch->unordered)
            continue;
        outputs_find(job.batch, job.sink, &outputs);
        size_t arrived = sim_chance(world, 300) ? outputs.count : sim_below(world, outputs.count + 1);
        for (size_t i = 0; i < arrived; i++)
            deliver(job.batch, job.sink, outputs.places[i]);
        *failing = arrived < outputs.count;
    }
}
