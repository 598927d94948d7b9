/* engine_kit.h: the real engine in the test's process and on its thread, with scripted parts around it.
 *
 *     struct rig *rig = rig_new(testing_folder());
 *     struct probe_function *f = rig_function(rig, "f", my_script, 0);
 *     rig_open(rig, "sources: { in: { type: probe } } functions: { f: { type: f } } ...");
 *     struct probe_source *in = rig_source(rig, "in");
 *     weir_shard *shard = probe_shard(in, "s0", NULL);
 *     probe_emit(in, shard, 1, 10);
 *     RIG_UNTIL(rig, rig_sink(rig, "out")->seen.count == 10);
 *     ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
 *     rig_free(rig);
 *
 * The test is the loop's thread: between two turns it may call whatever a plug-in may call. Sources: `probe`
 * replays, `probe_kept` does so with WEIR_SOURCE_KEEPS_POSITION, `probe_journaled` does not. Sinks: `probe` (4
 * writes at once), `probe_ordered` (the same, ordered), `probe_one`. Functions are callbacks of the test, whose
 * type is their name. What is seen stays until rig_free. What a helper cannot do fails the test. */
#ifndef WEIR_TEST_ENGINE_KIT_H
#define WEIR_TEST_ENGINE_KIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "weir_plugin.h" /* before check.h, which has a macro named fail */

#include "config.h"
#include "control_engine.h"
#include "keys.h"
#include "shell.h"
#include "testing.h"

/* An event as a function or a sink was given it. */
struct seen {
    char id[120], payload[64], key[40], shard[40];
    uint64_t position, order; /* order: of a sink's write */
    uint32_t attempt;
    size_t batch, call; /* events in that batch; which call or write it was, from 1 */
    pthread_t thread;
};
struct seen_list {
    struct seen *items;
    size_t count, room, calls;
};
/* "id id id", in one of a few rotating buffers. */
const char *seen_ids(const struct seen_list *list);

struct probe_function;
typedef int probe_script(struct probe_function *function, const weir_batch *in, weir_out *out);
struct probe_function {
    const char *name;
    probe_script *script; /* NULL: forwards all */
    pthread_mutex_t lock;
    pthread_cond_t let;
    bool held;
    struct seen_list seen;
    atomic_size_t calls, running, most; /* begun; now; the most at once */
    atomic_int fails;                   /* for scripts: so many calls more are to fail */
};
void probe_hold(struct probe_function *function); /* calls wait until probe_let */
void probe_let(struct probe_function *function);
const char *probe_ids(struct probe_function *function);

struct settled {
    weir_shard *shard;
    uint64_t first, last;
    weir_settled how;
};
struct probe_source {
    const weir_host *host;
    size_t want_events, want_bytes, wants; /* the last want; how many there were */
    struct settled settles[600];
    size_t settle_count, released_count, stops, woken;
    weir_shard *released[8];
    atomic_size_t given_back; /* lent blocks */
    bool holds_stop;          /* stop is not answered */
    void (*on_settle)(struct probe_source *source, const struct settled *settled);
    void (*on_want)(struct probe_source *source);
};
/* Opens it; what was resumed goes to *resume unless that is NULL. */
weir_shard *probe_shard(struct probe_source *source, const char *name, weir_resume *resume);
/* Events first .. first + count - 1 with the payload "p7" and the key "k7". Returns what emit does. */
int probe_emit(struct probe_source *source, weir_shard *shard, uint64_t first, size_t count);
int probe_emit_note(struct probe_source *source, weir_shard *shard, uint64_t position, const char *note);
int probe_lend(struct probe_source *source, weir_shard *shard, uint64_t first, size_t count); /* borrowed */
/* One event as given. */
int probe_give(struct probe_source *source, weir_shard *shard, const weir_event *event);
uint64_t probe_settled(const struct probe_source *source, const weir_shard *shard); /* up to there, contiguously */

struct probe_sink {
    const weir_host *host;
    struct seen_list seen;
    weir_write *open[64]; /* held, in the order in which they came */
    size_t open_count, most, fini;
    bool holds;                                                /* writes are answered by probe_answer */
    int (*script)(struct probe_sink *sink, weir_write *write); /* a result, or -1: held; NULL: WEIR_OK */
    const char *reason;
};
void probe_answer(struct probe_sink *sink, size_t i, int result, const char *reason);
void probe_answer_all(struct probe_sink *sink, int result); /* and holds no more */

struct rig {
    const char *folder;
    struct registry *registry;
    struct config *config;
    struct log *log;
    struct engine *engine;
    struct control_engine control;
    uv_timer_t tick;
    pthread_mutex_t lock; /* of the log's text */
    char *said;
    size_t said_size;
    struct probe_function functions[6];
    size_t function_count;
};
struct rig *rig_new(const char *folder);
/* flags: WEIR_FUNCTION_*. Before rig_open. */
struct probe_function *rig_function(struct rig *rig, const char *name, probe_script *script, uint32_t flags);
/* Reads the configuration, and begins; the store lies in FOLDER/store unless `store` is in it. The first fails the
 * test when that does not work, the other returns what engine_new does. */
void rig_open(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
int rig_try(struct rig *rig, struct error *error, const char *yaml);
void rig_control(struct rig *rig); /* the control socket, after rig_open */
int rig_stop(struct rig *rig);     /* and runs it to its end; its exit code */
int rig_run(struct rig *rig);      /* runs it to its end; its exit code */
void rig_free(struct rig *rig);
/* Runs `part` in a process of its own, which then ends at once, as by a SIGKILL: nothing is flushed. */
void rig_crash(const char *folder, void (*part)(const char *folder));

struct probe_source *rig_source(const struct rig *rig, const char *name);
struct probe_sink *rig_sink(const struct rig *rig, const char *name);
size_t rig_said(struct rig *rig, const char *text); /* how often it is in the log */
int64_t rig_metric(const struct rig *rig, const char *name, const char *labels);
size_t rig_records(const struct rig *rig, enum store_table table);
/* The i-th dead letter; false: there is none. Views lie in the configuration's arena. */
bool rig_dead(const struct rig *rig, size_t i, struct dead_letter *dead);
void rig_ask_replay(struct rig *rig); /* marks all dead letters, durably, and takes them up */

/* Turns the loop until it is true; fails the test when 20 s have passed. */
#define RIG_UNTIL(rig, condition)                                                                                  \
    for (int64_t rig_end_ = rig_deadline(); !(condition);)                                                         \
    rig_turn(rig, rig_end_, __FILE__, __LINE__, #condition)
int64_t rig_deadline(void);
void rig_turn(struct rig *rig, int64_t end, const char *file, int line, const char *condition);
/* Turns it for a time in which nothing is to happen: longer than positions wait for a commit. */
void rig_rest(struct rig *rig);

extern const weir_module_info probe_module; /* probe_kit.c */
void seen_add(struct seen_list *list, const weir_batch *in, uint64_t order);
int probe_call(void *user, const weir_batch *in, weir_out *out);

#endif
