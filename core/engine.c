/* engine.c: makes everything, runs the loop, ends everything in order.
 *
 * Each turn of the loop ends in engine_turn: sources are told their credit, journals deliver, the committer builds
 * the next transaction, and the phase moves on when what it waits for has happened: running -> draining (sources
 * emit no more, flows finish) -> disconnecting (sources and sinks stop) -> ended. How it fails: what cannot be made
 * is undone in reverse; when the stop deadline passes, what is out is abandoned and will run again; a call that
 * never returns cannot be ended inside a process, so after a second deadline the run is given up, and what hangs
 * keeps what it uses; a failed commit ends the run at once: from then on a plug-in only sees its offloads end and
 * its fini, and what it asks of its host does nothing, so that nothing is acknowledged that is not durable. Whether
 * the process goes on is for the caller to say.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "borrow.h"
#include "clock.h"
#include "commit.h"
#include "dead_letter.h"
#include "flow.h"
#include "host.h"
#include "journal.h"
#include "shell.h"
#include "sink.h"
#include "source.h"

enum { HANG_MS = 3000 };

void engine_again(uv_idle_t *idle)
{
    UNUSED(idle);
}

void engine_advance(struct engine *engine)
{
    if (engine->phase != PHASE_ENDED) /* then the handle may be closed already */
        uv_idle_start(&engine->again, engine_again);
}

size_t memory_room(struct engine *engine)
{
    int64_t used = atomic_load_explicit(&engine->memory_used, memory_order_relaxed);
    return used >= engine->config->memory ? 0 : (size_t)(engine->config->memory - used);
}

void engine_reap(struct engine *engine, struct shard *shard)
{
    list_remove(&shard->node);
    list_append(&engine->reaped, &shard->node);
    engine_advance(engine);
}

/* The run ends here and now: what the loop still has to hand over is for nobody. */
static void engine_break(struct engine *engine, enum engine_end how)
{
    engine->broken = how;
    engine->phase = PHASE_ENDED;
    uv_idle_stop(&engine->again);
    uv_timer_stop(&engine->deadline);
    uv_stop(&engine->loop);
}

void engine_fail(struct engine *engine, int exit_code)
{
    if (engine->broken)
        return;
    if (exit_code > engine->exit_code)
        engine->exit_code = exit_code;
    if (exit_code == EXIT_COMMIT) {
        engine_break(engine, ENGINE_DIED);
        return;
    }
    size_t working = 0;
    for (size_t i = 0; i < engine->flow_count; i++)
        working += !engine->flows[i].failed;
    if (!working)
        engine_stop(engine);
}

/* Stopping. */

static void deadline_again(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    log_write(engine->log, LOG_ERROR, "engine", "a call, a write or a connection did not end; it is given up");
    engine_break(engine, ENGINE_HUNG);
}

static void deadline_passed(uv_timer_t *timer)
{
    struct engine *engine = timer->data;
    engine->exit_code = EXIT_FAILED;
    log_write(engine->log, LOG_WARN, "engine",
              "the stop deadline passed; what is not completed runs again next time");
    for (size_t i = 0; i < engine->flow_count; i++)
        flow_stop(&engine->flows[i], true);
    uv_timer_start(&engine->deadline, deadline_again, HANG_MS, 0);
}

static void engine_drain(struct engine *engine)
{
    if (engine->phase != PHASE_RUNNING)
        return;
    engine->phase = PHASE_DRAINING;
    for (size_t i = 0; i < engine->source_count; i++)
        source_account(&engine->sources[i]);
    for (size_t i = 0; i < engine->flow_count; i++)
        flow_stop(&engine->flows[i], false);
    uv_timer_start(&engine->deadline, deadline_passed, (uint64_t)(engine->config->stop_timeout_us / MILLISECOND_US),
                   0);
    engine_advance(engine);
}

static void stop_opened(struct letter *letter)
{
    struct engine *engine = CONTAINER_OF(letter, struct engine, stop_letter);
    log_write(engine->log, LOG_INFO, "engine", "stopping: no new events, finishing what is in flight");
    engine_drain(engine);
}

void engine_stop(struct engine *engine)
{
    if (!atomic_exchange(&engine->stop_asked, true))
        mailbox_post(&engine->mailbox, &engine->stop_letter);
}

static bool sources_ended(const struct engine *engine)
{
    for (size_t i = 0; i < engine->source_count; i++) {
        const struct source *source = &engine->sources[i];
        if (!source->ended)
            return false;
        if (!source->journal)
            continue;
        if (source->journal->waiting_bytes || source->journal->fetching)
            return false;
        for (size_t j = 0; j < source->journal->feed.count; j++) {
            if (feed_behind(&source->journal->feed, j) && !source->flows[j]->failed)
                return false;
        }
    }
    return true;
}

static bool flows_idle(const struct engine *engine)
{
    for (size_t i = 0; i < engine->flow_count; i++) {
        struct route_status status;
        route_status(engine->flows[i].route, &status);
        if ((status.open_events && !engine->flows[i].failed) || engine->flows[i].inputs.count)
            return false;
    }
    return true;
}

static bool flows_finished(const struct engine *engine)
{
    for (size_t i = 0; i < engine->flow_count; i++) {
        if (!engine->flows[i].finished)
            return false;
    }
    for (size_t i = 0; i < engine->source_count; i++) {
        if (engine->sources[i].journal && engine->sources[i].journal->fetching)
            return false;
    }
    return engine->helper.open == 0 || commit_idle(engine->committer);
}

static void engine_disconnect(struct engine *engine)
{
    engine->phase = PHASE_DISCONNECTING;
    for (size_t i = 0; i < engine->source_count; i++)
        source_stop(&engine->sources[i]);
    for (size_t i = 0; i < engine->sink_count; i++)
        sink_stop(&engine->sinks[i]);
}

static bool instance_ended(const struct instance *instance)
{
    return !instance->started || instance->stopped || instance->failed;
}

static bool instances_ended(const struct engine *engine)
{
    for (size_t i = 0; i < engine->source_count; i++) {
        if (!instance_ended(&engine->sources[i].instance))
            return false;
    }
    for (size_t i = 0; i < engine->sink_count; i++) {
        if (!instance_ended(&engine->sinks[i].instance))
            return false;
    }
    return true;
}

static void engine_phase(struct engine *engine)
{
    if (engine->phase == PHASE_RUNNING && sources_ended(engine) && flows_idle(engine) &&
        replays_idle(engine->replays))
        engine_drain(engine);
    if (engine->phase == PHASE_DRAINING && flows_finished(engine) && commit_idle(engine->committer))
        engine_disconnect(engine);
    if (engine->phase == PHASE_DISCONNECTING && instances_ended(engine)) {
        engine->phase = PHASE_ENDED;
        uv_stop(&engine->loop);
    }
}

static void engine_turn(uv_check_t *check)
{
    struct engine *engine = check->data;
    if (engine->broken)
        return;
    uv_idle_stop(&engine->again);
    for (size_t i = 0; i < engine->source_count; i++) {
        struct source *source = &engine->sources[i];
        if (!source->dirty)
            continue;
        if (source->journal)
            journal_deliver(source->journal);
        source_account(source);
    }
    replays_turn(engine);
    commit_turn(engine);
    while (!list_empty(&engine->reaped))
        shard_free(LIST_FIRST(&engine->reaped, struct shard, node));
    metric_set(engine->memory_metric, atomic_load_explicit(&engine->memory_used, memory_order_relaxed));
    engine_phase(engine);
}

static int engine_start(struct engine *engine)
{
    int result = WEIR_OK;
    for (size_t i = 0; i < engine->sink_count && result == WEIR_OK; i++) {
        struct sink *sink = &engine->sinks[i];
        sink->instance.started = true;
        result = sink->ops->start ? sink->ops->start(sink->instance.state) : WEIR_OK;
        if (result != WEIR_OK)
            instance_log(&sink->instance, LOG_ERROR, "could not be started: %s", result_name(result));
    }
    for (size_t i = 0; i < engine->source_count && result == WEIR_OK; i++) {
        result = source_start(&engine->sources[i]);
        if (result != WEIR_OK)
            instance_log(&engine->sources[i].instance, LOG_ERROR, "could not be started: %s", result_name(result));
    }
    return result;
}

void engine_begin(struct engine *engine)
{
    engine->phase = PHASE_RUNNING;
    int result = engine_start(engine);
    if (result != WEIR_OK) {
        engine->exit_code = result == WEIR_INVALID ? EXIT_CONFIG : EXIT_FAILED;
        engine_stop(engine);
    } else {
        log_write(engine->log, LOG_INFO, "engine", "ready: %zu source%s, %zu route%s, %zu sink%s, store %s",
                  engine->source_count, plural_s(engine->source_count), engine->flow_count,
                  plural_s(engine->flow_count), engine->sink_count, plural_s(engine->sink_count),
                  engine->config->store_path);
        engine_replay(engine);
    }
}

bool engine_over(const struct engine *engine)
{
    return engine->phase == PHASE_ENDED;
}

enum engine_end engine_end(const struct engine *engine)
{
    return engine->broken;
}

int engine_run(struct engine *engine)
{
    engine_begin(engine);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    log_write(engine->log, LOG_INFO, "engine", "ended, exit %d", engine->exit_code);
    return engine->exit_code;
}

int engine_exit_code(const struct engine *engine)
{
    return engine->exit_code;
}

struct uv_loop_s *engine_loop(struct engine *engine)
{
    return &engine->loop;
}

struct store *engine_store(struct engine *engine)
{
    return engine->store;
}

struct stats *engine_stats(struct engine *engine)
{
    return engine->stats;
}

void engine_handles(struct engine *engine)
{
    uv_check_init(&engine->loop, &engine->after_poll);
    engine->after_poll.data = engine;
    uv_check_start(&engine->after_poll, engine_turn);
    uv_idle_init(&engine->loop, &engine->again);
    uv_timer_init(&engine->loop, &engine->deadline);
    engine->deadline.data = engine;
    borrow_init(engine);
    engine->stop_letter.open = stop_opened;
}
