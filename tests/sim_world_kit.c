/* sim_world_kit.c: makes a world of a seed and lets it live: some epochs with faults, each ended by a crash, a
 * stop, or a stop whose deadline passes; then a calm one in which everything must come to its end. */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

enum {
    EVENTS_MIN = 1000,
    FAULTS_MIN = 5,
    SHARDS_MIN = 3,
    STEPS_MAX = 2000000,
    EPOCHS_MAX = 400,
    TICK_EARLY_US = 500,
};

enum step {
    STEP_EMIT,
    STEP_APPEND,
    STEP_CALL,
    STEP_WRITE,
    STEP_COMMIT,
    STEP_COMMITTED,
    STEP_TIME,
    STEP_OTHER,
    STEPS
};

uint64_t sim_below(struct sim_world *world, uint64_t bound)
{
    return random_below(&world->random, bound);
}

bool sim_chance(struct sim_world *world, unsigned of_1000)
{
    return sim_below(world, 1000) < of_1000;
}

void sim_reach(struct sim_world *world, enum sim_reached what)
{
    world->reached[what]++;
}

const char *sim_reached_name(enum sim_reached what)
{
    static const char *const names[] = {
        [SIM_EMIT] = "emit",
        [SIM_EMIT_PARTLY_FINISHED] = "emit, partly finished before",
        [SIM_REPLAY_FUNCTION] = "replay to the function",
        [SIM_REPLAY_SINK] = "replay to a sink",
        [SIM_CALL_OK] = "call passed",
        [SIM_CALL_FAILED] = "call failed",
        [SIM_CALL_EVENTS_FAILED] = "call, some events failed",
        [SIM_CALL_FATAL] = "call fatal",
        [SIM_CALL_SUSPECT] = "call of a suspect",
        [SIM_WRITE_OK] = "write confirmed",
        [SIM_WRITE_AGAIN] = "write failed",
        [SIM_WRITE_AGAIN_ALL_OF_LANE] = "write failed behind another",
        [SIM_WRITE_DELIVERED_UNCONFIRMED] = "write failed, but delivered",
        [SIM_WRITE_REJECTED] = "write rejected",
        [SIM_WRITE_EVENTS_REJECTED] = "write, some events rejected",
        [SIM_WRITE_FATAL] = "write fatal",
        [SIM_WRITES_OF_ONE_LANE] = "several writes of one lane",
        [SIM_FLUSH] = "flush",
        [SIM_TICK_EARLY] = "tick a little early",
        [SIM_REVOKE] = "shard revoked",
        [SIM_REVOKE_LOST] = "shard lost",
        [SIM_REVOKE_THEN_LOST] = "shard revoked, then lost",
        [SIM_CRASH] = "crash",
        [SIM_CRASH_IN_CALL] = "crash in a call",
        [SIM_CRASH_IN_COMMIT] = "crash in a commit",
        [SIM_COMMIT_DONE_UNTOLD] = "crash behind a commit",
        [SIM_STOP] = "stop",
        [SIM_STOP_DEADLINE] = "stop deadline passed",
        [SIM_LANES_CHANGED] = "lanes changed",
        [SIM_ORDER_CHANGED] = "order changed",
        [SIM_RANGES_STORED] = "finished ranges stored",
        [SIM_WINDOW_FULL] = "window full",
        [SIM_TRIM] = "journal trimmed",
        [SIM_DEAD_FUNCTION] = "dead letter of the function",
        [SIM_DEAD_SINK] = "dead letter of a sink",
        [SIM_DEAD_AGAIN] = "replay dead again",
        [SIM_DUPLICATE] = "delivered again",
        [SIM_MOVE] = "memory given back early",
        [SIM_MOVE_KEPT] = "memory given back, a batch has a copy",
        [SIM_MOVE_HELD] = "memory held by a batch",
    };
    return names[what];
}

struct item *sim_item(struct sim_shard *shard, uint64_t position)
{
    uint32_t at = position < (uint64_t)SIM_ITEMS_MAX * 4 ? shard->at[position] : 0;
    return at ? &shard->items[at - 1] : NULL;
}

/* What a route is, whatever its settings are in an epoch. */
static void route_make(struct sim_world *world, size_t index)
{
    struct sim_route *route = &world->routes[index];
    route->world = world;
    route->index = index;
    list_init(&route->works);
    route->calls = !sim_chance(world, 250);
    route->stateful = route->calls && sim_chance(world, 500);
    route->kept = route->stateful || sim_chance(world, 500);
    route->config.sink_count = 1 + (uint32_t)sim_below(world, SIM_SINKS);
    route->config.on_failure = sim_chance(world, 100) ? FAILURE_STOP : FAILURE_DEAD;
}

static void shard_make(struct sim_world *world, size_t index, size_t count)
{
    struct sim_shard *shard = &world->shards[index];
    shard->world = world;
    shard->index = index;
    shard->journaled = index == 0;
    shard->items = calloc(SIM_ITEMS_MAX, sizeof *shard->items);
    shard->at = calloc((size_t)SIM_ITEMS_MAX * 4, sizeof *shard->at);
    CHECK(shard->items && shard->at);
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        shard->views[i].route = &world->routes[i];
        shard->views[i].shard = shard;
    }
    if (shard->journaled)
        shard->messages = count;
    else
        sim_items_make(shard, count);
}

struct sim_world *sim_world_new(uint64_t seed, bool trace)
{
    struct sim_world *world = calloc(1, sizeof *world);
    CHECK(world != NULL);
    world->seed = seed;
    world->trace = trace;
    world->now = 1000000;
    random_init(&world->random, seed);
    list_init(&world->block_list);
    list_init(&world->gathering);
    list_init(&world->committing);
    for (size_t i = 0; i < SIM_ROUTES; i++)
        route_make(world, i);
    world->shard_count = SHARDS_MIN + sim_below(world, SIM_SHARDS_MAX - SHARDS_MIN + 1);
    for (size_t i = 0; i < world->shard_count; i++)
        shard_make(world, i, EVENTS_MIN / world->shard_count + 1 + sim_below(world, 50));
    world->mood_fail = 5 + (unsigned)sim_below(world, 150);
    world->mood_sink = 5 + (unsigned)sim_below(world, 150);
    world->faulty_epochs = 1 + sim_below(world, 4);
    for (size_t i = 0; i < STEPS; i++)
        world->weights[i] = 1 + (unsigned)sim_below(world, 20);
    world->weights[STEP_OTHER] = 1;
    return world;
}

void sim_world_free(struct sim_world *world)
{
    for (size_t i = 0; i < world->shard_count; i++) {
        free(world->shards[i].items);
        free(world->shards[i].at);
    }
    free(world->jobs);
    free(world);
}

static void sinks_configure(struct sim_world *world, struct route_config *config)
{
    bool all = sim_chance(world, 400);
    for (uint32_t i = 0; i < config->sink_count; i++) {
        config->sinks[i].ordered = all || sim_chance(world, 500);
        config->sinks[i].retry = (struct retry_policy){sim_chance(world, 200) ? 3 : 0, 1000, 20000};
    }
}

/* The settings of an epoch: a user may change them between two runs. */
static void route_configure(struct sim_route *route)
{
    struct sim_world *world = route->world;
    struct route_config *config = &route->config;
    enum route_order before = config->order;
    uint32_t lanes = config->lanes;
    bool change = !world->epoch || sim_chance(world, 300);
    config->calls = route->calls;
    if (change) {
        config->order = (enum route_order)sim_below(world, route->stateful ? 2 : 3);
        config->lanes = config->order == ORDER_KEY ? 1 + (uint32_t)sim_below(world, SIM_LANES_MAX) : 1;
        config->whole = !route->calls && config->order != ORDER_NONE && sim_chance(world, 500);
        config->lanes = config->whole ? 1 : config->lanes;
    }
    if (world->epoch && config->order != before)
        sim_reach(world, SIM_ORDER_CHANGED);
    if (world->epoch && config->lanes != lanes)
        sim_reach(world, SIM_LANES_CHANGED);
    route->ever_unordered |= config->order == ORDER_NONE;
    config->calls_max = (uint32_t)sim_below(world, 5);
    config->batch_events = 1 + sim_below(world, 20);
    config->batch_bytes = 200 + sim_below(world, 8000);
    config->batch_wait_us = sim_chance(world, 500) ? 0 : (int64_t)sim_below(world, 100000);
    config->window_events = 16 + sim_below(world, 112);
    config->window_bytes = 1000 + sim_below(world, 60000);
    config->retry = (struct retry_policy){1 + (uint32_t)sim_below(world, 4), 1000, 10000};
    config->bisect = sim_chance(world, 700);
    config->seed = random_next(&world->random);
    sinks_configure(world, config);
}

void sim_start(struct sim_world *world)
{
    struct sim_shard *journal = &world->shards[0];
    world->late = false;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        struct sim_route *route = &world->routes[i];
        route_configure(route);
        route->route = route_new(&route->config);
        CHECK(route->route != NULL);
        route->failed = route->finished = false;
        route->armed = INT64_MAX;
        route->want_events = route->want_bytes = 0;
    }
    uint64_t head = journal->count ? journal->items[journal->count - 1].position : 0;
    CHECK(feed_init(&journal->feed, SIM_ROUTES, head) == WEIR_OK);
    for (size_t i = 0; i < world->shard_count; i++)
        sim_shard_open(&world->shards[i]);
    for (size_t i = 0; i < SIM_ROUTES; i++)
        sim_step(&world->routes[i], &(struct route_input){.type = ROUTE_TICK});
}

/* The world's steps; each returns whether there was anything of the kind to do. */

static bool step_job(struct sim_world *world, bool calls)
{
    size_t from = world->job_count ? sim_below(world, world->job_count) : 0;
    for (size_t i = 0; i < world->job_count; i++) {
        size_t at = (from + i) % world->job_count;
        struct job job = world->jobs[at];
        if ((job.sink == SIM_SINKS) != calls)
            continue;
        if (!calls) {
            sim_written(world, at);
            return true;
        }
        memmove(&world->jobs[at], &world->jobs[at + 1], (world->job_count - at - 1) * sizeof job);
        world->job_count--;
        sim_called(world, job.batch);
        return true;
    }
    return false;
}

static bool commit_needed(const struct sim_world *world)
{
    return !list_empty(&world->gathering) || world->shards[0].pending ||
           world->shards[0].trim_to > world->shards[0].trimmed;
}

static bool step_commit(struct sim_world *world)
{
    if (world->in_commit || !commit_needed(world))
        return false;
    sim_commit_begin(world);
    return true;
}

static bool step_committed(struct sim_world *world)
{
    if (!world->in_commit)
        return false;
    sim_commit_end(world);
    return true;
}

static bool step_tick(struct sim_world *world, struct sim_route *route)
{
    int64_t left = route->armed - world->now;
    bool early = left > 0 && left <= TICK_EARLY_US && sim_chance(world, 300);
    if (left > 0 && !early)
        return false;
    if (early)
        sim_reach(world, SIM_TICK_EARLY);
    route->armed = INT64_MAX;
    sim_step(route, &(struct route_input){.type = ROUTE_TICK});
    return true;
}

static bool step_time(struct sim_world *world)
{
    size_t from = sim_below(world, SIM_ROUTES);
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        struct sim_route *route = &world->routes[(from + i) % SIM_ROUTES];
        if (route->armed != INT64_MAX && step_tick(world, route))
            return true;
    }
    return false;
}

static void views_revoke(struct sim_shard *shard, bool lost)
{
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        struct sim_view *view = &shard->views[i];
        if (!view->handle)
            continue;
        view->lost |= lost;
        sim_step(view->route, &(struct route_input){.type = ROUTE_REVOKE, .shard = view->handle, .lost = lost});
    }
}

/* What was asked for softly may be taken for good later; what is lost stays so, whatever is said then. */
static void shard_revoke_again(struct sim_shard *shard)
{
    bool lost = sim_chance(shard->world, 700);
    if (lost && !shard->lost)
        sim_reach(shard->world, SIM_REVOKE_THEN_LOST);
    shard->lost |= lost;
    views_revoke(shard, lost);
}

static bool shard_revoke(struct sim_world *world)
{
    struct sim_shard *shard = &world->shards[1 + sim_below(world, world->shard_count - 1)];
    if (world->calm)
        return false;
    if (shard->revoking) {
        shard_revoke_again(shard);
        return true;
    }
    if (!shard->views[0].handle || !sim_chance(world, 50))
        return false;
    shard->lost = sim_chance(world, 500);
    sim_reach(world, shard->lost ? SIM_REVOKE_LOST : SIM_REVOKE);
    world->faults++;
    shard->revoking = true;
    views_revoke(shard, shard->lost);
    return true;
}

static bool shard_reopen(struct sim_world *world)
{
    for (size_t i = 0; i < world->shard_count; i++) {
        struct sim_shard *shard = &world->shards[i];
        if (shard->views[0].handle || shard->views[1].handle)
            continue;
        sim_shard_open(shard);
        return true;
    }
    return false;
}

static bool step_other(struct sim_world *world, bool stopping)
{
    if (stopping)
        return false;
    if (shard_reopen(world))
        return true;
    switch (sim_below(world, 3)) {
    case 0:
        return shard_revoke(world);
    case 1:
        return !world->calm && sim_replay(world);
    default:
        sim_step(&world->routes[sim_below(world, SIM_ROUTES)], &(struct route_input){.type = ROUTE_TICK});
        return true;
    }
}

static bool step_do(struct sim_world *world, enum step step, bool stopping)
{
    switch (step) {
    case STEP_EMIT:
        return !stopping && sim_emit(world);
    case STEP_APPEND:
        return !stopping && sim_append(world);
    case STEP_CALL:
        return step_job(world, true);
    case STEP_WRITE:
        return step_job(world, false);
    case STEP_COMMIT:
        return step_commit(world);
    case STEP_COMMITTED:
        return step_committed(world);
    case STEP_TIME:
        return step_time(world);
    default:
        return step_other(world, stopping);
    }
}

static enum step step_choose(struct sim_world *world)
{
    unsigned sum = 0;
    for (size_t i = 0; i < STEPS; i++)
        sum += world->weights[i];
    uint64_t at = sim_below(world, sum);
    enum step step = STEP_EMIT;
    while (at >= world->weights[step])
        at -= world->weights[step++];
    return step;
}

static void time_jump(struct sim_world *world)
{
    int64_t at = time_min(world->routes[0].armed, world->routes[1].armed);
    if (at == INT64_MAX)
        sim_broken(world, "nothing can happen any more");
    world->now = at > world->now ? at : world->now;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        if (world->routes[i].armed <= world->now)
            step_tick(world, &world->routes[i]);
    }
}

static void world_step(struct sim_world *world, bool stopping)
{
    if (++world->steps > STEPS_MAX)
        sim_broken(world, "it does not come to an end");
    world->now += (int64_t)sim_below(world, 300);
    if (sim_chance(world, 100))
        sim_move(world);
    enum step step = step_choose(world);
    for (size_t i = 0; i < STEPS; i++) {
        if (step_do(world, (enum step)((step + i) % STEPS), stopping))
            return;
    }
    time_jump(world);
}

static bool any_failed(const struct sim_world *world)
{
    return world->routes[0].failed || world->routes[1].failed;
}

static bool all_finished(const struct sim_world *world)
{
    return world->routes[0].finished && world->routes[1].finished;
}

static void stop_send(struct sim_world *world, bool lost)
{
    world->late = lost;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        if (!world->routes[i].finished)
            sim_step(&world->routes[i], &(struct route_input){.type = ROUTE_STOP, .lost = lost});
    }
}

static void check_stopped(struct sim_world *world)
{
    for (size_t i = 0; i < world->shard_count; i++) {
        for (size_t j = 0; j < SIM_ROUTES; j++) {
            const struct sim_view *view = &world->shards[i].views[j];
            if (view->handle && !view->lost && !view->route->failed && view->settled < view->emitted)
                sim_broken(world, "stopped with shard %zu settled to %llu of %llu", i,
                           (unsigned long long)view->settled, (unsigned long long)view->emitted);
        }
    }
}

static void world_stop(struct sim_world *world, bool deadline)
{
    size_t patience = sim_below(world, 100);
    sim_reach(world, deadline ? SIM_STOP_DEADLINE : SIM_STOP);
    world->faults += deadline;
    stop_send(world, false);
    while (!all_finished(world)) {
        if (deadline && patience-- == 0)
            stop_send(world, true);
        else
            world_step(world, true);
    }
    if (!deadline)
        check_stopped(world);
    while (step_committed(world) || step_commit(world)) /* the engine ends with a last transaction */
        ;
    for (size_t i = 0; i < world->shard_count && !deadline; i++) {
        for (size_t j = 0; j < SIM_ROUTES; j++) {
            struct sim_view *view = &world->shards[i].views[j];
            view->offset = view->settled; /* and tells the log */
        }
    }
    sim_check_again(world);
    sim_end(world);
}

/* Whoever set a route to stop at a failure looks what it is, and starts it again. */
static void suspects_pardon(struct sim_world *world)
{
    for (size_t j = 0; j < SIM_ROUTES; j++) {
        for (size_t i = 0; i < world->shard_count && world->routes[j].failed; i++) {
            memset(world->shards[i].views[j].alone, 0, sizeof world->shards[i].views[j].alone);
            memset(world->shards[i].views[j].attempts, 0, sizeof world->shards[i].views[j].attempts);
        }
    }
}

static void world_end_epoch(struct sim_world *world)
{
    uint64_t how = sim_below(world, 10);
    if (any_failed(world) && (world->crashes || how < 5)) {
        suspects_pardon(world);
        world_stop(world, false);
    } else if (world->crashes == 0 || how < 6) {
        sim_crash(world);
    } else {
        world_stop(world, how < 8);
    }
}

static bool world_quiet(struct sim_world *world)
{
    struct route_status status[SIM_ROUTES];
    for (size_t i = 0; i < SIM_ROUTES; i++)
        route_status(world->routes[i].route, &status[i]);
    return !status[0].open_events && !status[1].open_events && sim_drained(world);
}

static void epoch_faulty(struct sim_world *world)
{
    size_t end = world->events + 1 + sim_below(world, EVENTS_MIN * 2 / 3 / world->faulty_epochs);
    size_t patience = 3000;
    while (world->events < end && !any_failed(world) && !world_quiet(world) && --patience)
        world_step(world, false);
    world_end_epoch(world);
}

static void epoch_calm(struct sim_world *world)
{
    while (!any_failed(world) && !world_quiet(world))
        world_step(world, false);
    if (any_failed(world))
        suspects_pardon(world);
}

/* Events count once here, however often they came. */
static void world_check(struct sim_world *world)
{
    size_t events = 0;
    for (size_t i = 0; i < world->shard_count; i++)
        events += world->shards[i].count;
    if (world->faults < FAULTS_MIN || world->crashes < 1 || events < EVENTS_MIN || world->shard_count < SHARDS_MIN)
        sim_broken(world, "only %zu faults, %zu crashes, %zu events, %zu shards: the world is too kind",
                   world->faults, world->crashes, events, world->shard_count);
}

void sim_world_run(struct sim_world *world)
{
    bool ended = false;
    while (world->epoch < world->faulty_epochs || !world->crashes || world->faults < FAULTS_MIN) {
        sim_start(world);
        epoch_faulty(world);
        world->epoch++;
    }
    world->calm = true;
    while (!ended) {
        if (world->epoch++ > EPOCHS_MAX)
            sim_broken(world, "routes fail again and again");
        sim_start(world);
        epoch_calm(world);
        ended = !any_failed(world);
        world_stop(world, false);
    }
    sim_check_end(world);
    world_check(world);
}
