/* cmd_run.c: `weir run FILE`: runs a configuration until it is stopped, or until every source ended.
 *
 * The normal path:
 *   1. Load the configuration; open the log, the engine (and with it the store) and the control socket.
 *   2. Run. The first SIGTERM or SIGINT stops the engine: it takes nothing more and finishes what is in flight.
 *   3. Close the control socket, then the engine with the store's lock. The exit code is the engine's.
 * How it fails: faults of the file are all printed (EXIT_CONFIG); a store that is locked, newer or damaged is
 * EXIT_STORE; without a control socket weir runs all the same, and says so. A second signal ends at once. A run
 * that broke off (a failed commit, a call that hangs) ends the process where it stands: nothing is waited for or
 * undone. */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "command.h"
#include "control_engine.h"

struct run {
    const struct invocation *invocation;
    struct registry *registry;
    struct config *config;
    struct log *log;
    struct engine *engine;
    struct control_engine control;
    uv_signal_t signals[2];
    size_t handles; /* of signals, not closed yet */
    bool stopping;
};

static const int stop_signals[] = {SIGTERM, SIGINT};

/* Even while the loop is held up by a plug-in: nothing here but what a signal handler may do. */
static void end_at_once(int number)
{
    UNUSED(number);
    static const char text[] = "weir: second signal, ended at once\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    UNUSED(written);
    _exit(EXIT_FAILED);
}

/* After the first, the kernel's handler takes over from libuv's. But a second that came together with the first
 * is already on its way through the loop. */
static void signal_came(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    struct sigaction again = {.sa_handler = end_at_once};
    if (run->stopping)
        end_at_once(number);
    run->stopping = true;
    log_write(run->log, LOG_INFO, "run", "%s: finishing what is in flight; once more ends at once",
              number == SIGTERM ? "SIGTERM" : "SIGINT");
    for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
        sigaction(stop_signals[i], &again, NULL);
    engine_stop(run->engine);
}

static void signals_start(struct run *run)
{
    for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++) {
        uv_signal_init(engine_loop(run->engine), &run->signals[i]);
        run->signals[i].data = run;
        uv_signal_start(&run->signals[i], signal_came, stop_signals[i]);
        uv_unref((uv_handle_t *)&run->signals[i]);
        run->handles++;
    }
}

static void signal_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;
    run->handles--;
}

static void signals_stop(struct run *run)
{
    for (size_t i = 0; i < ARRAY_COUNT(stop_signals); i++)
        uv_close((uv_handle_t *)&run->signals[i], signal_closed);
    while (run->handles)
        uv_run(engine_loop(run->engine), UV_RUN_NOWAIT);
}

static int run_engine(struct run *run)
{
    struct error error = {0};
    signals_start(run);
    if (control_engine_open(&run->control, run->engine, run->config->store_path, run->log, &error) != WEIR_OK)
        log_write(run->log, LOG_WARN, "run", "there is no control socket, commands cannot reach this run: %s",
                  error.text);
    int code = engine_run(run->engine);
    if (engine_end(run->engine) != ENGINE_ENDED)
        _exit(code);
    control_engine_close(&run->control);
    signals_stop(run);
    return code;
}

static int run_faults(const struct run *run)
{
    const struct yaml_report *report = &run->config->report;
    fwrite(report->text, 1, report->size, run->invocation->err);
    return invocation_fail(run->invocation, EXIT_CONFIG, "nothing was started: %zu fault%s in %s", report->count,
                           report->count == 1 ? "" : "s", run->invocation->operands[0]);
}

static int run_new(struct run *run)
{
    struct error error = {0};
    CHECK(run->config != NULL);
    run->log = log_new(STDERR_FILENO, (enum log_level)run->config->log_level, run->config->log_json != 0);
    if (!run->log)
        return invocation_fail(run->invocation, EXIT_FAILED, "out of memory");
    int result = engine_new(&run->engine, run->config, run->log, &error);
    if (result != WEIR_OK)
        run->engine = NULL;
    /* When a kind refused its options, all that any kind refuses is told, as by check. */
    if (result == WEIR_INVALID)
        engine_try(run->config, run->log, &run->config->report);
    if (run->config->report.count)
        return run_faults(run);
    if (result != WEIR_OK)
        return invocation_fail(run->invocation, exit_of_result(result), "%s", error.text);
    return EXIT_DONE;
}

static int run_load(struct run *run, const char *file)
{
    run->registry = registry_new(NULL);
    int result = run->registry ? config_load(&run->config, file, run->registry) : WEIR_NOMEM;
    if (run->config && result == WEIR_OK)
        return EXIT_DONE;
    if (!run->config || !run->config->report.count)
        return invocation_fail(run->invocation, EXIT_FAILED, "%s", result_name(result));
    return run_faults(run);
}

/* A peer that goes away, or a file at its size limit, is an error of one write and not the end of the process. What
 * is made is the user's alone. */
static void process_prepare(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(077);
}

static int run_run(struct invocation *invocation)
{
    struct run run = {.invocation = invocation};
    process_prepare();
    int code = run_load(&run, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = run_new(&run);
    if (code == EXIT_DONE)
        code = run_engine(&run);
    if (run.engine)
        engine_free(run.engine);
    if (run.config)
        config_free(run.config);
    if (run.registry)
        registry_free(run.registry);
    if (run.log)
        log_free(run.log);
    return code;
}

const struct command command_run = {
    .name = "run",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "run a configuration",
    .text = "SIGTERM or SIGINT: takes nothing more, finishes what is in flight within limits.stop, exits with 0.\n"
            "A second one ends at once. Logs go to standard error. `weir help exit-codes` lists the exit codes.\n",
    .run = run_run,
};
