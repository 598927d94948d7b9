/* weir.h: write a function for weir.
 *
 * A function is a C callback that weir calls with a batch of events of one lane. It reads the batch,
 * puts results, keeps state per key, and says which events failed. Build it as a shared object that
 * exports one `weir_module` (see WEIR_MODULE at the end), and name the file in the configuration.
 *
 * Rules for every type here: views never own memory; an absent view has data == NULL, an empty one has
 * data != NULL and size 0; tables begin with their size and only ever grow at the end; reserved bits and
 * members are zero. A module resolves no symbol of weir: every call goes through a table that it is handed.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABI 1u
#define WEIR_VERSION "0.1.0"

/* Every result is one of these; the set is closed. */
typedef enum weir_result {
    WEIR_OK = 0,
    WEIR_RETRY,   /* not now; the same may pass later */
    WEIR_REJECT,  /* can never pass: the event becomes a dead letter */
    WEIR_FATAL,   /* the instance is broken; its routes stop */
    WEIR_INVALID, /* the caller's argument or option is wrong */
    WEIR_MISSING, /* no such key, file or name */
    WEIR_NOMEM,   /* out of memory, or past a memory bound */
    WEIR_FULL,    /* no room in the store or in a queue */
    WEIR_LOCKED,  /* another process has it */
    WEIR_NEWER,   /* written by a newer weir */
    WEIR_DAMAGED, /* a checksum or a structure does not hold */
    WEIR_IO,      /* a call of the operating system or of a library failed */
    WEIR_CLOSED   /* stopped, revoked or disconnected */
} weir_result;

typedef struct weir_view {
    const char *data;
    size_t size;
} weir_view;

typedef struct weir_header {
    weir_view name;
    weir_view value;
} weir_header;

/* One event. Times are int64 microseconds since 1970 UTC. Header names may repeat. `id` is absent when it
 * follows from shard and position; weir_event_id() writes it in either case. */
typedef struct weir_event {
    weir_view payload;
    weir_view key;
    weir_view subject;
    weir_view id;
    const weir_header *headers;
    size_t header_count;
    int64_t time_us;
    uint64_t position; /* in its shard; strictly increasing */
    uint64_t reserved[2];
} weir_event;

/* Events of one lane: one route, one shard, in order. Valid until the call returns. */
typedef struct weir_batch {
    size_t size;
    const weir_event *events;
    size_t count;
    weir_view route, source, shard;
    weir_view id_prefix; /* of derived ids: prefix "/" (position - id_less) */
    uint32_t attempt;    /* 1 for the first call with events[0] */
    uint32_t id_less;    /* 1: the log counts from 0, and what users see is its own number; else 0 */
} weir_batch;

#define WEIR_BATCH SIZE_MAX /* `from` of an output that belongs to no single input; its id is not stable */
#define WEIR_ID_MAX 512     /* a buffer for weir_event_id */

typedef struct weir_out weir_out;

/* What a function may do during `call`, on the thread of that call. */
typedef struct weir_api {
    size_t size;
    int (*put)(weir_out *out, size_t from, const char *output, const weir_event *event);
    int (*forward)(weir_out *out, size_t from, const char *output);
    void (*fail)(weir_out *out, size_t from, const char *reason);
    int (*state_get)(weir_out *out, size_t from, weir_view name, weir_view *value);
    int (*state_put)(weir_out *out, size_t from, weir_view name, weir_view value);
    int (*state_del)(weir_out *out, size_t from, weir_view name);
    size_t (*event_id)(const weir_batch *batch, size_t index, char *buffer, size_t size);
    void *(*alloc)(weir_out *out, size_t size);
} weir_api;

struct weir_out {
    const weir_api *api;
};

/* Puts one result made from input `from` (an index, or WEIR_BATCH) to the named output (NULL: the route's only
 * one). All of `event` is copied; its id is set to the input's id "." n, position and reserved are ignored,
 * time_us 0 means the input's time. WEIR_NOMEM: past the batch's output bound (the flag is sticky; the call
 * counts as failed). WEIR_INVALID: no such output or input. */
static inline int weir_out_put(weir_out *out, size_t from, const char *output, const weir_event *event)
{
    return out->api->put(out, from, output, event);
}

/* Hands input `from` on as it is, id included, without copying it. */
static inline int weir_out_forward(weir_out *out, size_t from, const char *output)
{
    return out->api->forward(out, from, output);
}

/* Input `from` failed: its outputs and state writes are discarded, on ordered routes those of all inputs
 * after it too. It is tried again by the route's retry policy. `reason` is copied. */
static inline void weir_out_fail(weir_out *out, size_t from, const char *reason)
{
    out->api->fail(out, from, reason);
}

/* Keyed state, scoped to (route, function, source, shard, key of input `from`); `name` tells several values of
 * one key apart and may be empty. Writes are seen by later calls of the lane once this call succeeded, and
 * become durable in one transaction with the lane's position. The value of get is valid until the call
 * returns. WEIR_MISSING: no value. WEIR_INVALID: the event has no key, or the function lacks
 * WEIR_FUNCTION_STATE. WEIR_NOMEM: past the bound of one batch. */
static inline int weir_state_get(weir_out *out, size_t from, weir_view name, weir_view *value)
{
    return out->api->state_get(out, from, name, value);
}

static inline int weir_state_put(weir_out *out, size_t from, weir_view name, weir_view value)
{
    return out->api->state_put(out, from, name, value);
}

static inline int weir_state_del(weir_out *out, size_t from, weir_view name)
{
    return out->api->state_del(out, from, name);
}

/* Writes the id of events[index], ended by NUL, and returns its length (snprintf's rule for short buffers). */
static inline size_t weir_event_id(const weir_out *out, const weir_batch *in, size_t index, char *buffer,
                                   size_t size)
{
    return out->api->event_id(in, index, buffer, size);
}

/* Memory that lives until the call's outputs are done with; NULL past the bound. */
static inline void *weir_out_alloc(weir_out *out, size_t size)
{
    return out->api->alloc(out, size);
}

typedef struct weir_option weir_option; /* one row of an option table: weir_option.h */
typedef struct weir_host weir_host;     /* what the core offers an instance: weir_plugin.h */
typedef struct weir_source_ops weir_source_ops;
typedef struct weir_sink_ops weir_sink_ops;

enum {
    WEIR_FUNCTION_STATE = 1u << 0, /* uses weir_state_*; its routes keep positions and state in the store */
    WEIR_FUNCTION_CHEAP = 1u << 1  /* stateless, never blocks, under a microsecond an event: may run on the loop */
};

/* A function. `self` is state_size zeroed bytes, one for each worker, a cache only: any lane may run on any
 * worker. Options are filled in before init. init and fini run on the loop thread, call on a worker. */
typedef struct weir_function_ops {
    size_t size;
    const char *type;           /* the name in a configuration: letters, digits, - and _ */
    const char *summary;        /* one sentence for `weir help` */
    const weir_option *options; /* rows up to one without a name; NULL: none */
    size_t state_size;
    uint32_t flags;
    uint32_t reserved;
    int (*init)(void *self, const weir_host *host); /* may be NULL */
    /* Anything but WEIR_OK fails the whole batch: outputs and state writes are discarded, and it is retried. */
    int (*call)(void *self, const weir_batch *in, weir_out *out);
    void (*fini)(void *self); /* may be NULL; works after a failed init */
} weir_function_ops;

/* What a shared object exports, as the data symbol `weir_module`. Nothing of it runs before abi and size are
 * checked. The lists end with NULL and may be NULL. */
typedef struct weir_module_info {
    uint32_t abi;
    uint32_t reserved;
    size_t size;
    const char *name;
    const char *version;
    const weir_source_ops *const *sources;
    const weir_sink_ops *const *sinks;
    const weir_function_ops *const *functions;
} weir_module_info;

#ifdef __cplusplus
#define WEIR_MODULE extern "C" __attribute__((visibility("default"))) const weir_module_info weir_module
#else
#define WEIR_MODULE __attribute__((visibility("default"))) const weir_module_info weir_module
#endif

#ifdef __cplusplus
}
#endif
#endif
