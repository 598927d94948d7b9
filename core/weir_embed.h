/* weir_embed.h: run weir inside a program.
 *
 * One `weir` is one configuration at work, with a store of its own. A program may have several; nothing is shared
 * between them but a lock that makes them open and close one after the other, since libraries that plug-ins use
 * have set-ups for the whole process. weir takes no signal and changes no signal mask, umask, locale or
 * environment; like any program that writes to sockets, yours should ignore SIGPIPE.
 *
 * The normal path, with results checked where it matters, at weir_run:
 *     weir *w = weir_new(NULL);
 *     weir_set(w, "store", "{ path: ./data }");
 *     weir_source(w, "in", "stdin", NULL);
 *     weir_function_callback(w, "mine", my_call, &my_data, 0);
 *     weir_sink(w, "out", "console", NULL);
 *     weir_route(w, "{ from: in, call: mine, to: out }");
 *     if (weir_run(w) != WEIR_OK) fprintf(stderr, "%s", weir_error(w));
 *     weir_free(w);
 *
 * Threads: weir_stop, weir_push*, weir_status and weir_metrics may be called on any thread, from weir_new on until
 * weir_free is called. All others belong to one thread at a time. The loop's thread is the one that calls weir_run
 * (with a loop of the host's own: the one that turns it). Texts that are passed in are copied; a NULL `w` is
 * WEIR_NOMEM, so that a failed weir_new need not be looked for.
 */
#ifndef WEIR_EMBED_H
#define WEIR_EMBED_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PUBLIC __attribute__((visibility("default")))

typedef struct weir weir;
struct uv_loop_s; /* uv_loop_t of libuv */

/* Settings that are not configuration. Zeroed members stand for the default; size = sizeof(weir_settings). */
typedef struct weir_settings {
    size_t size;
    /* The folder of weir's own modules (mqtt.so, ...). Default: $WEIR_MODULES, else `weir` beside libweir.so, else
     * where `weir run` would look from this executable. */
    const char *modules;
    void *arg; /* of log and ended */
    /* Takes what the section `log` lets through, instead of stderr: level as WEIR_LOG_* (0 error .. 3 debug), part
     * and message on one line each. On any thread, one call at a time; must not call weir. */
    void (*log)(void *arg, int level, const char *part, const char *message);
    /* The host's own loop: weir_start puts weir on it, and `ended` is called on it, last, with what weir_run would
     * have returned. weir_free may be called from there; the loop must turn once more afterwards, to close handles.
     */
    struct uv_loop_s *loop;
    void (*ended)(void *arg, weir_result result);
    int64_t
        control; /* 1: answers `weir status`, `weir dead replay` ... through the store folder, as `weir run` does */
    uint64_t reserved[4];
} weir_settings;

/* settings may be NULL. NULL: out of memory, or settings of a size that this weir does not know. */
WEIR_PUBLIC weir *weir_new(const weir_settings *settings);
/* Ends what is running (as weir_stop does, and waits for it), gives everything back. Waits for calls that are
 * running; when weir_run gave one up as hung, what it uses is left to it. w may be NULL. */
WEIR_PUBLIC void weir_free(weir *w);

/* The configuration, in any order and number, before weir_start or weir_run. Nothing is read yet: all faults come
 * together then, by the reader that `weir check` uses, each with its place: FILE:3:7 or <source in>:1:9. The calls
 * return WEIR_OK, WEIR_NOMEM, or WEIR_CLOSED after weir_start; weir_run returns the first of these too. */
WEIR_PUBLIC int weir_file(weir *w, const char *path);
WEIR_PUBLIC int weir_text(weir *w, const char *yaml); /* what a file may hold; relative paths: the current folder */
/* A section of the top level: weir_set(w, "limits", "{ workers: 2 }"). */
WEIR_PUBLIC int weir_set(weir *w, const char *section, const char *yaml);
/* An entry of `sources`, `functions`, `sinks`. type: its `type`; NULL: `options` says what it is, as
 * "{ module: ./mine.so }". options: a mapping in YAML, flow style or lines; NULL: none. */
WEIR_PUBLIC int weir_source(weir *w, const char *name, const char *type, const char *options);
WEIR_PUBLIC int weir_function(weir *w, const char *name, const char *type, const char *options);
WEIR_PUBLIC int weir_sink(weir *w, const char *name, const char *type, const char *options);
WEIR_PUBLIC int weir_route(weir *w, const char *options); /* "{ from: in, call: mine, to: out }" */

/* The function `name` is this callback. It is called on threads of weir's, one call at a time, with `user` as it
 * is; what it may do is in weir.h. flags: WEIR_FUNCTION_STATE for keyed state, which goes with the name.
 * WEIR_INVALID: a flag that is unknown, or no callback. For options, or calls at once, write a weir_function_ops
 * and weir_add it. */
typedef int weir_function_call(void *user, const weir_batch *in, weir_out *out);
WEIR_PUBLIC int weir_function_callback(weir *w, const char *name, weir_function_call *call, void *user,
                                       uint32_t flags);
/* Sources, sinks and functions of the host's own become kinds, found by their type. `module` is what a shared
 * object would export; it must live as long as w. WEIR_INVALID: not well formed (weir_error says what), or a type
 * is there. */
WEIR_PUBLIC int weir_add(weir *w, const weir_module_info *module);

/* Reads the configuration, opens the store, makes everything, and with a loop of the host's own starts it there.
 * WEIR_OK; WEIR_INVALID: faults in the configuration, nothing was started; WEIR_LOCKED, WEIR_NEWER, WEIR_DAMAGED,
 * WEIR_FULL, WEIR_IO: the store; WEIR_NOMEM; WEIR_CLOSED: it was started before. A weir runs once. */
WEIR_PUBLIC int weir_start(weir *w);
/* weir_start unless that was done, then runs on this thread until every source has ended, or weir_stop.
 * WEIR_OK: ended in order. WEIR_FATAL: a route or an instance failed, or the stop took longer than limits.stop;
 * what was accepted runs next time. WEIR_IO with exit code 5: a commit failed. Nothing was acknowledged or settled
 * after it; this w is dead, the rest of the process is not. WEIR_INVALID with a loop of the host's own. Else as
 * weir_start. */
WEIR_PUBLIC int weir_run(weir *w);
/* Any thread; not a signal handler. Takes no more events, finishes what is in flight within limits.stop, makes a
 * checkpoint; then weir_run returns. Before weir_run: it will return at once. */
WEIR_PUBLIC void weir_stop(weir *w);

/* What the last failed call or run had to say, lines for people; "" when there is nothing. Until the next call. */
WEIR_PUBLIC const char *weir_error(weir *w);
/* The exit code that `weir run` would have ended with: 0 done, 1 failed, 3 configuration, 4 store, 5 commit. */
WEIR_PUBLIC int weir_exit_code(const weir *w);

/* What is going on, as the JSON object that `weir status -o json` prints; free() it. Waits for the loop's next
 * turn; with a loop of the host's own, call it on that thread, or turn the loop. WEIR_CLOSED: not started, or
 * ended. */
WEIR_PUBLIC int weir_status(weir *w, char **json);
/* Every counter and gauge: weir_route_completed_events_total, route="hot", 42. Between weir_start and weir_free. */
typedef void weir_metric(void *arg, const char *name, const char *labels, int64_t value);
WEIR_PUBLIC int weir_metrics(weir *w, weir_metric *visit, void *arg);

/* Events of the host's own, for a source of type `push`: { queue: { events: 10000, bytes: 8MiB } }. Such a source
 * is journaled: an event is accepted when the transaction that holds it is durable, and from then on weir's to
 * complete. Any thread, after weir_start. All of `event` is copied; its position is ignored, time_us 0 is now.
 * WEIR_OK: queued; `pushed` is called once, on the loop's thread, must not block, and may push. Anything else: it
 * is not called. WEIR_FULL: too many wait already; WEIR_REJECT: larger than limits.event_bytes; WEIR_MISSING: no
 * route reads from a push source of that name; WEIR_CLOSED: not started, stopping, or weir_push_end was called. */
typedef void weir_pushed(void *arg, weir_result result); /* WEIR_OK: accepted; WEIR_REJECT: refused by the source's
                                                            `time`; WEIR_CLOSED: it is not known to be accepted */
WEIR_PUBLIC int weir_push(weir *w, const char *source, const weir_event *event, weir_pushed *pushed, void *arg);
/* The same, waiting for room and then for the result; not on the loop's thread, where it is WEIR_INVALID. */
WEIR_PUBLIC int weir_push_wait(weir *w, const char *source, const weir_event *event);
/* Nothing more will be pushed: what is queued is accepted, then the source ends as others do. */
WEIR_PUBLIC int weir_push_end(weir *w, const char *source);

#ifdef __cplusplus
}
#endif
#endif
