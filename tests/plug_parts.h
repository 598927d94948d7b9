/* plug_parts.h: what the files of plug_kit share; nobody else includes it. */
#ifndef WEIR_TEST_PLUG_PARTS_H
#define WEIR_TEST_PLUG_PARTS_H

#include "error.h"
#include "option.h"
#include "plug_kit.h"
#include "registry.h"

enum { HANDLES_MAX = 32, SHARDS_MAX = 16, LOANS_MAX = 4096 };

struct weir_watch {
    uv_poll_t poll;
    struct plug *plug;
    weir_watch_callback *callback;
    void *arg;
    int fd;
};

struct weir_timer {
    uv_timer_t timer;
    struct plug *plug;
    weir_callback *callback;
    void *arg;
};

struct job {
    uv_work_t work;
    struct plug *plug;
    weir_callback *job, *done;
    void *arg;
};

struct weir_shard {
    struct plug *plug;
    char name[128];
    uint64_t last; /* position that was emitted */
};

/* A block that is lent, beside its copy. */
struct loan {
    const weir_event *events;
    size_t first, count; /* of the copies, in plug->events */
    void *owner;
    void (*release)(void *owner);
};

/* An emit that is not settled. */
struct open_emit {
    weir_shard *shard;
    uint64_t first, last;
};

struct plug_parts {
    struct arena arena;
    struct registry *registry;
    weir_shard shards[SHARDS_MAX];
    size_t shard_count;
    struct loan loans[LOANS_MAX];
    size_t loan_count;
    struct open_emit *open;
    size_t open_count;
    uv_async_t wake;
    const weir_option *rows;
    weir_watch *watches[HANDLES_MAX];
    weir_timer *timers[HANDLES_MAX];
    size_t timer_count, jobs;
    uv_timer_t settle;
    bool started, stopping;
};

struct plug *plug_of(const weir_host *host);
extern struct error plug_refused; /* of this test, which is a process */

/* plug_host_kit.c */
void plug_host_fill(struct plug *plug);
void plug_woken(uv_async_t *wake);
void plug_handles_end(struct plug *plug);

/* plug_emit_kit.c: the members of the host table for events and writes. */
int plug_shard_open(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                    weir_shard **shard);
void plug_shard_revoke(const weir_host *host, weir_shard *shard, int lost);
int plug_emit(const weir_host *host, weir_shard *shard, weir_emit *emit);
void plug_write_event(const weir_host *host, weir_write *write, size_t index, int result, const char *reason);
void plug_write_done(const weir_host *host, weir_write *write, int result, const char *reason);
void plug_events_free(struct plug *plug);

/* plug_kit.c */
void plug_find(struct plug *plug, enum plug_sort sort, const char *type);

#endif
