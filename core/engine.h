/* engine.h: one running configuration: the loop, and everything on it.
 *
 * The normal path: engine_new opens the store, makes every instance (init) and restores every route's positions;
 * engine_run starts sinks, then sources, and runs the loop until everything is completed after engine_stop, or
 * after every source ended. Nothing is global: two engines in one process are fine. No signal handler is taken.
 */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#include <stdbool.h>

#include "config.h"
#include "error.h"
#include "log.h"
#include "stats.h"
#include "store.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3, EXIT_STORE = 4, EXIT_COMMIT = 5 };

struct engine;
struct uv_loop_s;
struct cJSON;

/* How a run came to its end. Of a broken one nothing more may be asked but engine_free. */
enum engine_end {
    ENGINE_ENDED = 0,
    ENGINE_DIED, /* a commit failed: nothing was settled after it */
    ENGINE_HUNG  /* something did not end in time, and may be running still */
};

/* config and log stay the caller's and outlive the engine. WEIR_LOCKED, WEIR_NEWER, WEIR_DAMAGED: the store;
 * WEIR_INVALID: an instance refused its options (with file:line:column in error). */
int engine_new(struct engine **engine, struct config *config, struct log *log, struct error *error);
/* Makes every instance by its init, without a store, and gives it back: what a kind refuses of its options becomes
 * a fault in the report. Starts nothing. */
void engine_try(struct config *config, struct log *log, struct yaml_report *report);
/* Runs on the calling thread. Returns the process exit code: EXIT_DONE, EXIT_FAILED (a route or instance failed, or
 * the stop deadline passed), EXIT_CONFIG (an instance refused its options at its start), EXIT_COMMIT. */
int engine_run(struct engine *engine);
/* Waits for calls and offloads that are running; does nothing when engine_hangs. */
void engine_free(struct engine *engine);

/* engine_run in parts, for a loop that somebody else turns: begin, then turns of engine_loop until it is over. */
void engine_begin(struct engine *engine);
bool engine_over(const struct engine *engine);
enum engine_end engine_end(const struct engine *engine);
/* A call or an offload is still out in a run that hung: engine_free will leave everything as it is, and so must the
 * caller leave config and log. */
bool engine_hangs(const struct engine *engine);
int engine_exit_code(const struct engine *engine);

/* Any thread: stop taking, finish what is in flight within limits.stop, checkpoint, return from engine_run. */
void engine_stop(struct engine *engine);

/* Loop thread, for the control socket. */
struct uv_loop_s *engine_loop(struct engine *engine);
struct store *engine_store(struct engine *engine);
struct stats *engine_stats(struct engine *engine);
/* {"sources":[{"name","type","state","shards":[{"name","position"…}],…}],"sinks":[…],"routes":[{"name","open_events",
 * "completed_total",…,"blocked_since"}],"store":{…},"uptime_s":…}; the caller frees. NULL: out of memory. */
struct cJSON *engine_status(struct engine *engine);
/* Applies a change set (takes it) in the next transaction; done(arg, result) on the loop. */
void engine_change(struct engine *engine, struct store_ops *ops, void (*done)(void *arg, int result), void *arg);
/* Takes up every dead letter whose replay_asked is set, at the pace of the routes' windows. Also done at start. */
void engine_replay(struct engine *engine);

#endif
