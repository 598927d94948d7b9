/* weir_plugin.h: write a source or a sink for weir.
 *
 * A plug-in is a const operation table whose first member is its size. The core allocates state_size zeroed
 * bytes for each instance, fills in the options, then calls init. Every slot runs on the loop thread, must not
 * block, and is never re-entered; what blocks goes through host->offload. fini runs once, last, after every
 * offload ended and every borrowed buffer came back; it must work after an init that failed half-way. `weir check`
 * calls init and fini alone: init takes options and memory; what the world would notice is for start. */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include "weir.h"
#include "weir_option.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the core offers one instance. Loop thread only, except wake, log, stat_add, render,
 * event_id and the two clocks. */
typedef struct weir_watch weir_watch;
typedef struct weir_timer weir_timer;
typedef struct weir_shard weir_shard;
typedef struct weir_write weir_write;
typedef struct weir_emit weir_emit;
typedef struct weir_resume weir_resume;
enum { WEIR_READABLE = 1, WEIR_WRITABLE = 2 };
enum { WEIR_LOG_ERROR, WEIR_LOG_WARN, WEIR_LOG_INFO, WEIR_LOG_DEBUG };
typedef void weir_callback(void *state, void *arg);
typedef void weir_watch_callback(void *state, void *arg, int events);

struct weir_host {
    size_t size;
    weir_view name;     /* of the instance in the configuration */
    weir_view store_id; /* made once for a store: 16 lower-case hex digits */
    int64_t event_bytes_max;

    /* Watches a descriptor, level triggered; `events` may be changed by watching the same one again; 0 or
     * watch_stop ends it. Timers fire once; delay_us < 0 disarms; timer_free disarms and frees. */
    weir_watch *(*watch_fd)(const weir_host *host, int fd, int events, weir_watch_callback *callback, void *arg);
    void (*watch_stop)(weir_watch *watch);
    weir_timer *(*timer_new)(const weir_host *host, weir_callback *callback, void *arg);
    void (*timer_set)(weir_timer *timer, int64_t delay_us);
    void (*timer_free)(weir_timer *timer);
    /* wake: from any thread; the instance's `woken` slot runs soon on the loop, wake-ups may merge. */
    void (*wake)(const weir_host *host);
    /* job runs on a helper thread and may block; then done runs on the loop. WEIR_FULL: too many are open. */
    int (*offload)(const weir_host *host, weir_callback *job, weir_callback *done, void *arg);

    void (*log)(const weir_host *host, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
    void (*stat_add)(const weir_host *host, const char *name, int64_t delta);
    int64_t (*wall_us)(const weir_host *host);
    int64_t (*mono_us)(const weir_host *host);
    /* Says, in init or start, what is wrong with an option ("tls.ca"), with its place. Returns WEIR_INVALID. */
    int (*refuse)(const weir_host *host, const char *option, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
    /* Writes the text of events[i], ended by NUL; *length is what it takes (more than size: nothing was cut
     * quietly, call again). WEIR_REJECT: a field without default is missing. */
    int (*render)(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                  size_t *length);
    size_t (*event_id)(const weir_batch *batch, size_t index, char *buffer, size_t size);

    /* For sources. shard_open: WEIR_RETRY: that name was revoked and is not released yet; open it then.
     * WEIR_CLOSED: this shard must not be read, the log says why. */
    int (*shard_open)(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                      weir_shard **shard);
    int (*emit)(const weir_host *host, weir_shard *shard, weir_emit *emit);
    /* Emits no more. lost 0: what was emitted is finished first. lost 1: what is open is dropped and nothing more
     * is settled; may come later than a revoke without it. `released` answers both, once; no call after it. */
    void (*shard_revoke)(const weir_host *host, weir_shard *shard, int lost);
    void (*ended)(const weir_host *host); /* nothing more will ever come; the run ends when all is completed */

    /* For sinks: write_event gives one event its own result before write_done, which answers exactly once. */
    void (*write_event)(const weir_host *host, weir_write *write, size_t index, int result, const char *reason);
    void (*write_done)(const weir_host *host, weir_write *write, int result, const char *reason);

    /* For both: the answer to stop; and a fault that no retry mends (the instance's routes stop). */
    void (*stopped)(const weir_host *host);
    void (*failed)(const weir_host *host, const char *reason);

    /* For sources. */
    int64_t prefetch_bytes; /* how much it may hold that is read and not emitted */
    /* Sets a gauge of one shard. The name is of the shard, so it may outlive the handle. */
    void (*shard_stat)(const weir_host *host, weir_view shard, const char *name, int64_t value);
};

/* Sources. A replaying source numbers its events itself and is asked to read again from a stored position;
 * any other source is journaled: weir numbers and keeps its events, and settles each emit once, right after
 * the commit that holds it. */
enum {
    WEIR_SOURCE_REPLAYS = 1u << 0,
    WEIR_SOURCE_KEEPS_POSITION = 1u << 1, /* with REPLAYS: the peer stores what was settled (a consumer group) */
    WEIR_SOURCE_FROM_ZERO = 1u << 2       /* positions are one more than the log's own numbers, which begin at 0 and
                                             are what derived ids and the field `position` show */
};

typedef enum weir_settled {
    WEIR_ACCEPTED = 1, /* journaled source: durable, acknowledge now */
    WEIR_COMPLETED,    /* replaying source: everything up to `last` is completed */
    WEIR_REFUSED       /* journaled source: counted and logged, not kept; acknowledge it all the same */
} weir_settled;

struct weir_resume {
    size_t size;
    uint64_t position; /* read on from the first event after it */
    int64_t known;     /* 0: no position is stored, begin by the source's own `start` */
    weir_view note;    /* the source's own, at most WEIR_NOTE_MAX bytes; valid until shard_open's caller returns */
    /* A source that KEEPS_POSITION says what the peer has, and then reads on from `position` whatever it is. */
    uint64_t kept; /* set before shard_open, with is_kept: the position that the peer stores */
    int64_t is_kept;
    uint64_t begin; /* set before shard_open: where to begin when nobody has a position */
    int64_t pins;   /* answered: 1: only the peer will remember `begin`, so it is to be stored there at once */
};
#define WEIR_NOTE_MAX 4096

/* A block: events of one shard. With `release`, the array and all it points to are borrowed until
 * release(owner), called once, on any thread; without it, emit copies. `note` replaces the shard's note in the
 * same transaction as the positions of these events. */
struct weir_emit {
    size_t size;
    const weir_event *events;
    size_t count;
    size_t bytes; /* borrowed memory that stays pinned; 0: the sum of the events */
    void *owner;
    void (*release)(void *owner);
    weir_view note;
    uint64_t first, last; /* set by emit: the positions of the events kept; 0 and 0: none was */
};

struct weir_source_ops {
    size_t size;
    const char *type;
    const char *summary;
    const weir_option *options;
    size_t state_size;
    uint32_t flags;
    uint32_t reserved;
    int (*init)(void *state, const weir_host *host);
    int (*start)(void *state);
    /* May emit at most so many more events and bytes (of payload, key, subject and id) from now on; replaces what
     * was said before; 0: stop reading. The last event may go beyond the bytes: its size is seldom known before. */
    void (*want)(void *state, size_t events, size_t bytes);
    /* first and last as emit numbered them; contiguous and ascending in a shard. */
    void (*settle)(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how);
    void (*released)(void *state, weir_shard *shard); /* the answer to shard_revoke; NULL if it never revokes */
    void (*woken)(void *state);                       /* NULL if it never calls wake */
    /* want(0, 0) came before it and every settle has come: disconnect, answer by host->stopped. Idempotent. */
    void (*stop)(void *state);
    void (*fini)(void *state);
};

/* Sinks. */
enum {
    WEIR_SINK_ORDERED = 1u << 0 /* writes with one `order` take effect in the order they were written; after one
                                   failed, those behind it fail too. So several of a lane may be open. */
};

struct weir_write {
    size_t size;
    weir_batch batch;
    uint64_t order; /* equal for writes of one lane */
    void *data[2];  /* the sink's own, NULL at first */
};

struct weir_sink_ops {
    size_t size;
    const char *type;
    const char *summary;
    const weir_option *options;
    size_t state_size;
    uint32_t flags;
    uint32_t writes_max; /* open at once; 0: 1 */
    int (*init)(void *state, const weir_host *host);
    int (*start)(void *state);
    /* Answered exactly once by write_done, now or later: WEIR_OK, WEIR_RETRY (events given no result of their
     * own are written again later), WEIR_REJECT, WEIR_FATAL. Not answering is the back-pressure. */
    void (*write)(void *state, weir_write *write);
    void (*woken)(void *state);
    void (*stop)(void *state); /* no write is open; answered by host->stopped */
    void (*fini)(void *state);
};

#ifdef __cplusplus
}
#endif
#endif
