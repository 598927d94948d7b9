/* host.h: one plug-in instance, and the table of calls that it is handed (weir_host). */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include "shell.h"
#include "weir_plugin.h"

struct instance {
    weir_host host; /* first: a plug-in's `host` is the instance */
    struct engine *engine;
    const char *sort; /* "source", "sink", "function" */
    const char *name;
    char part[96];                /* "source meters", for logs */
    const struct yaml_node *node; /* of its options */
    const weir_option *rows;
    void *state;
    bool given; /* the state is somebody else's, and set before instance_init */
    void (*woken)(void *state);
    void (*on_stopped)(struct instance *instance);
    void (*on_failed)(struct instance *instance, const char *reason);
    struct list watches, timers;
    size_t open; /* offloads and closing handles: fini waits for them */
    struct letter wake;
    atomic_bool wake_posted;
    bool made, started, stopping, stopped, failed;
    struct error *error; /* where refuse writes during init; NULL after it */
};

struct instance_kind {
    const char *sort, *name;
    const weir_option *rows;
    const struct yaml_node *node;
    const char *const *skip;
    size_t state_size;
};
/* Allocates the state and fills in the options. WEIR_OK, WEIR_NOMEM, WEIR_INVALID with error. */
int instance_init(struct instance *instance, struct engine *engine, const struct instance_kind *kind,
                  struct error *error);
/* Ends watches and timers. fini of the plug-in is the caller's, once `open` is 0. */
void instance_quiet(struct instance *instance);
void instance_fini(struct instance *instance); /* gives back options and state */
void instance_log(struct instance *instance, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct metric *instance_metric(struct instance *instance, const char *what);

/* source.c and sink.c answer these. */
int source_shard_open(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                      weir_shard **shard);
int source_emit(const weir_host *host, weir_shard *shard, weir_emit *emit);
void source_shard_revoke(const weir_host *host, weir_shard *shard, int lost);
void source_ended(const weir_host *host);
void sink_write_event(const weir_host *host, weir_write *write, size_t index, int result, const char *reason);
void sink_write_done(const weir_host *host, weir_write *write, int result, const char *reason);

#endif
