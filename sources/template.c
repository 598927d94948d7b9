/* template.c: a source to start your own from. As it stands it is a real one: `ticks` makes an event every so
 * often, and goes on after a restart with the number that follows.
 *
 * STEP 1, copy:    cp sources/template.c my_source.c
 * STEP 2, rename:  replace "ticks" by your name, here and in `weir_module`.
 * STEP 3, build:   cc -shared -fPIC -O2 -DWEIR_BUILD_MODULE $(pkg-config --cflags weir) my_source.c -o my_source.so
 *                  and name it in a configuration:  sources: { mine: { module: ./my_source.so } }
 * STEP 4, change:  the options, where events come from, and whether they can be read again.
 *
 * Every slot runs on one thread, weir's loop, and must not block: wait with watch_fd or timer_new, and give what
 * blocks to offload. A file in weir's own sources/ needs no WEIR_BUILD_MODULE: it becomes built in, as source_FILE.
 */
#include <stdio.h>
#include <stdlib.h>

#include "weir_plugin.h"

/* STEP 4a. One for each instance, zeroed, filled with the options before init. */
struct ticks {
    int64_t every_us, count;
    const weir_host *host;
    weir_shard *shard;
    weir_timer *timer;
    uint64_t made;                      /* the position of the last event */
    size_t credit_events, credit_bytes; /* how many more may be emitted now */
    int due, ended;                     /* a tick came and there was no credit for it */
};

/* STEP 4b. Each row is an option: it is parsed, held against its bounds, and shown by `weir help`. */
static const weir_option ticks_options[] = {
    {.name = "every",
     .type = WEIR_OPTION_DURATION,
     .fallback = "1s",
     .min = 1000,
     .max = INT64_C(86400000000),
     .offset = offsetof(struct ticks, every_us),
     .help = "The time between two events."},
    {.name = "count",
     .type = WEIR_OPTION_INT,
     .fallback = "0",
     .min = 0,
     .max = INT64_MAX,
     .offset = offsetof(struct ticks, count),
     .help = "How many events; 0: endless."},
    {0},
};

/* STEP 4c. Events: of one shard, with rising positions. Without `release`, emit copies what it is given. */
static void ticks_emit(struct ticks *ticks)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)ticks->made + 1);
    weir_event event = {
        .payload = {text, (size_t)size}, .time_us = ticks->host->wall_us(ticks->host), .position = ticks->made + 1};
    weir_emit emit = {.size = sizeof emit, .events = &event, .count = 1};
    if (ticks->host->emit(ticks->host, ticks->shard, &emit) != WEIR_OK)
        return; /* no memory at this moment: the next tick tries again */
    ticks->made++;
    ticks->credit_events--;
    ticks->credit_bytes -= event.payload.size < ticks->credit_bytes ? event.payload.size : ticks->credit_bytes;
    ticks->due = 0;
}

static void ticks_go_on(struct ticks *ticks)
{
    if (ticks->due && ticks->credit_events && ticks->credit_bytes)
        ticks_emit(ticks);
    if (ticks->count && ticks->made >= (uint64_t)ticks->count && !ticks->ended) {
        ticks->ended = 1;
        ticks->host->timer_set(ticks->timer, -1);
        ticks->host->ended(ticks->host); /* only a source that has an end says this */
    }
}

static void ticks_timer(void *state, void *arg)
{
    struct ticks *ticks = state;
    (void)arg;
    ticks->due = 1;
    ticks->host->timer_set(ticks->timer, ticks->every_us);
    ticks_go_on(ticks);
}

/* STEP 4d. Checks options that depend on each other; host->refuse says what is wrong, with its place in the file.
 */
static int ticks_init(void *state, const weir_host *host)
{
    struct ticks *ticks = state;
    ticks->host = host;
    ticks->timer = host->timer_new(host, ticks_timer, NULL);
    return ticks->timer ? WEIR_OK : WEIR_NOMEM;
}

/* Opens the shards; weir says where each was left. */
static int ticks_start(void *state)
{
    struct ticks *ticks = state;
    weir_resume resume = {.size = sizeof resume};
    weir_view name = {"ticks", 5};
    int result = ticks->host->shard_open(ticks->host, name, 0, &resume, &ticks->shard);
    if (result != WEIR_OK)
        return result;
    ticks->made = resume.position;
    ticks->host->timer_set(ticks->timer, ticks->every_us);
    return WEIR_OK;
}

/* Back-pressure: at most so many more events and bytes from now on; 0: none. */
static void ticks_want(void *state, size_t events, size_t bytes)
{
    struct ticks *ticks = state;
    ticks->credit_events = events;
    ticks->credit_bytes = bytes;
    ticks_go_on(ticks);
}

/* Everything up to `last` is completed. A source with someone to acknowledge to does so here, never before. */
static void ticks_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    (void)state, (void)shard, (void)first, (void)last, (void)how;
}

static void ticks_stop(void *state)
{
    struct ticks *ticks = state;
    ticks->host->timer_set(ticks->timer, -1);
    ticks->host->stopped(ticks->host);
}

/* Last, and also after an init that failed half-way. */
static void ticks_fini(void *state)
{
    struct ticks *ticks = state;
    if (ticks->timer)
        ticks->host->timer_free(ticks->timer);
}

/* STEP 4e. The table. WEIR_SOURCE_REPLAYS: it numbers its events itself, and can give them again from a position.
 * Without it weir keeps the events in its journal, and settles each emit once, when they are on the disk. */
const weir_source_ops source_template = {
    .size = sizeof(weir_source_ops),
    .type = "ticks",
    .summary = "Makes an event every so often.",
    .options = ticks_options,
    .state_size = sizeof(struct ticks),
    .flags = WEIR_SOURCE_REPLAYS,
    .init = ticks_init,
    .start = ticks_start,
    .want = ticks_want,
    .settle = ticks_settle,
    .stop = ticks_stop,
    .fini = ticks_fini,
};

#ifdef WEIR_BUILD_MODULE
static const weir_source_ops *const sources[] = {&source_template, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof(weir_module_info),
    .name = "ticks",
    .version = "1.0.0",
    .sources = sources,
};
#endif
