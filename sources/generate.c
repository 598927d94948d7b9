/* generate.c: the source `generate`: events made from a template, for tests, benchmarks and first steps.
 *
 * The normal path:
 *   1. init renders one event to try the template out, and writes the text of every key once.
 *   2. start opens the shards; each goes on after the position that it is told.
 *   3. Within the credit, and with `rate` within what is due, blocks are filled and emitted, shard after shard;
 * their memory is borrowed, and used again when it comes back. After a few blocks the loop has its turn, and a
 * wake-up goes on.
 *   4. When every shard has its share of `count`: ended.
 * Key, payload and position of an event follow from seed, shard and position alone, so what is read again is the
 * same; only its time is the time at which it was made. How it fails: a template that names what a made event does
 * not have is refused; a block that cannot be emitted is made again a moment later. */
#include <stdio.h>
#include <stdlib.h>

#include "base.h"
#include "generate/made.h"
#include "generate/pace.h"
#include "template.h"

enum {
    TURN_BLOCKS = 16, /* before the loop has its turn */
    COPY_BELOW = 64,  /* fewer events are copied by emit: a whole block would stay pinned for them */
    RANDOM_BELOW = 1000000,
    RETRY_US = 100000
};

struct key_text {
    uint8_t size;
    char text[15];
};

struct made_shard {
    weir_shard *handle;
    uint64_t next, last, base; /* positions; base: what its numbers are drawn from */
    char name[WEIR_ID_MAX];
};

struct generate {
    const weir_host *host;
    weir_template *payload;
    int64_t count, rate, keys, shard_count, seed;
    struct made_shard *shards;
    struct key_text *key_texts;
    size_t payload_size;
    struct made_pool pool;
    struct pace pace;
    weir_timer *timer;
    size_t want_events, want_bytes;
    int64_t turn; /* the shard that is next */
    bool ended, stopping;
};

static const char *const payload_names[] = {"seq", "random", NULL};

/* Events. */

/* Of a block, for a start. */
static size_t text_bytes(const struct generate *g)
{
    return (g->payload_size + 32) * BLOCK_EVENTS;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): a number that looks random for each that is put in. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t number_of(const struct made_shard *shard, uint64_t position)
{
    return mix(shard->base + position * UINT64_C(0x9e3779b97f4a7c15));
}

/* Renders the payload behind what the block's text holds. WEIR_FULL: it does not fit, *length says what it takes.
 */
static int payload_render(const struct generate *g, const struct made_shard *shard, struct made *made, size_t i,
                          size_t *length)
{
    weir_event *event = &made->events[i];
    char seq[20], number[20];
    uint64_t drawn = ((number_of(shard, event->position) & UINT32_MAX) * RANDOM_BELOW) >> 32;
    weir_view own[] = {view_make(seq, decimal_write(seq, event->position)),
                       view_make(number, decimal_write(number, drawn))};
    weir_batch batch = {.size = sizeof batch,
                        .events = made->events,
                        .count = i + 1,
                        .source = g->host->name,
                        .shard = view_of(shard->name),
                        .id_prefix = view_of(shard->name)};
    struct template_target target = {.buffer = made->text ? made->text + made->text_used : NULL,
                                     .size = made->text_room - made->text_used};
    int result = template_render_with(g->payload, &batch, i, own, &target);
    *length = target.length;
    if (result != WEIR_OK)
        return result;
    if (target.length >= target.size)
        return WEIR_FULL;
    event->payload = view_make(target.buffer, target.length);
    return WEIR_OK;
}

/* A payload larger than a whole block's text: the block gets more. */
static int payload_grow(struct made *made, size_t length)
{
    char *text = realloc(made->text, length + 1);
    if (!text)
        return WEIR_NOMEM;
    made->text = text;
    made->text_room = length + 1;
    return WEIR_OK;
}

static int event_make(const struct generate *g, const struct made_shard *shard, struct made *made, size_t i)
{
    weir_event *event = &made->events[i];
    size_t length;
    event->position = shard->next + i;
    if (g->keys) {
        uint64_t key = ((number_of(shard, event->position) >> 32) * (uint64_t)g->keys) >> 32;
        event->key = view_make(g->key_texts[key].text, g->key_texts[key].size);
    }
    if (g->pool.constant.data)
        return WEIR_OK;
    int result = payload_render(g, shard, made, i, &length);
    if (result == WEIR_FULL && i == 0 && (result = payload_grow(made, length)) == WEIR_OK)
        result = payload_render(g, shard, made, i, &length);
    if (result == WEIR_OK)
        made->text_used += length;
    return result;
}

/* Fills the block with at most `most` events of the shard, within the credit. One that is larger than all the
 * credit goes alone, else nothing ever would. */
static int made_fill(const struct generate *g, const struct made_shard *shard, struct made *made, weir_emit *emit)
{
    size_t most = emit->count, bytes = 0;
    int64_t now = g->host->wall_us(g->host);
    made->text_used = 0;
    for (emit->count = 0; emit->count < most; emit->count++) {
        weir_event *event = &made->events[emit->count];
        event->time_us = now;
        int result = event_make(g, shard, made, emit->count);
        if (result != WEIR_OK)
            return emit->count ? WEIR_OK : result;
        bytes += event->payload.size + event->key.size;
        if (bytes > g->want_bytes && emit->count)
            break;
    }
    return WEIR_OK;
}

static size_t events_bytes(const weir_emit *emit)
{
    size_t bytes = 0;
    for (size_t i = 0; i < emit->count; i++)
        bytes += emit->events[i].payload.size + emit->events[i].key.size;
    return bytes;
}

static int shard_emit(struct generate *g, struct made_shard *shard, size_t most)
{
    struct made *made = made_take(&g->pool, text_bytes(g));
    if (!made)
        return WEIR_NOMEM;
    weir_emit emit = {.size = sizeof emit, .events = made->events, .count = most};
    int result = made_fill(g, shard, made, &emit);
    size_t count = emit.count, bytes = events_bytes(&emit);
    if (count >= COPY_BELOW) {
        emit.owner = made;
        emit.release = made_release;
        emit.bytes = sizeof *made - count * sizeof(weir_event) + made->text_room;
    }
    if (result == WEIR_OK)
        result = g->host->emit(g->host, shard->handle, &emit);
    if (result != WEIR_OK || !emit.release) {
        made_give(made);
    }
    if (result != WEIR_OK)
        return result;
    shard->next += count;
    g->pace.made += (int64_t)count;
    g->want_events -= count;
    g->want_bytes -= size_min(g->want_bytes, bytes);
    return WEIR_OK;
}

/* The next shard that has events left; NULL: all have their share. */
static struct made_shard *shard_next(struct generate *g)
{
    for (int64_t i = 0; i < g->shard_count; i++) {
        struct made_shard *shard = &g->shards[(g->turn + i) % g->shard_count];
        if (shard->next <= shard->last) {
            g->turn = (g->turn + i + 1) % g->shard_count;
            return shard;
        }
    }
    return NULL;
}

static void generate_end(struct generate *g)
{
    g->ended = true;
    g->host->timer_set(g->timer, -1);
    g->host->ended(g->host);
}

/* How many events the next block may have; 0: later, and it is seen to that it goes on. */
static size_t generate_due(struct generate *g)
{
    size_t most = size_min(BLOCK_EVENTS, g->want_bytes ? g->want_events : 0);
    int64_t wait_us;
    if (!most || !g->rate)
        return most;
    size_t due = pace_due(&g->pace, g->host->mono_us(g->host), &wait_us);
    if (!due)
        g->host->timer_set(g->timer, wait_us);
    return size_min(most, due);
}

static void generate_go(struct generate *g)
{
    for (int blocks = 0; !g->ended && !g->stopping; blocks++) {
        struct made_shard *shard = shard_next(g);
        if (!shard) {
            generate_end(g);
            return;
        }
        size_t most = generate_due(g);
        if (!most)
            return;
        if (blocks == TURN_BLOCKS) {
            g->host->wake(g->host);
            return;
        }
        int result = shard_emit(g, shard, size_min(most, shard->last - shard->next + 1));
        if (result != WEIR_OK) {
            g->host->log(g->host, WEIR_LOG_ERROR, "shard %s: events could not be emitted (%d); trying again",
                         shard->name, result);
            g->host->timer_set(g->timer, RETRY_US);
            return;
        }
    }
}

static void generate_woken(void *state)
{
    generate_go(state);
}

static void generate_timer(void *state, void *arg)
{
    (void)arg;
    generate_go(state);
}

static void generate_want(void *state, size_t events, size_t bytes)
{
    struct generate *g = state;
    g->want_events = events;
    g->want_bytes = bytes;
    generate_go(g);
}

static void generate_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    (void)state, (void)shard, (void)first, (void)last, (void)how; /* what is read again is made again */
}

/* Begin and end. */

static int keys_make(struct generate *g)
{
    g->key_texts = calloc((size_t)g->keys + 1, sizeof *g->key_texts);
    if (!g->key_texts)
        return WEIR_NOMEM;
    for (int64_t k = 0; k < g->keys; k++) {
        g->key_texts[k].text[0] = 'k';
        g->key_texts[k].size = (uint8_t)(1 + decimal_write(g->key_texts[k].text + 1, (uint64_t)k));
    }
    return WEIR_OK;
}

static int shards_make(struct generate *g)
{
    g->shards = calloc((size_t)g->shard_count, sizeof *g->shards);
    if (!g->shards)
        return WEIR_NOMEM;
    for (int64_t i = 0; i < g->shard_count; i++) {
        struct made_shard *shard = &g->shards[i];
        snprintf(shard->name, sizeof shard->name, "%.*s/%lld", (int)g->host->name.size, g->host->name.data,
                 (long long)i);
        shard->base = mix(mix((uint64_t)g->seed) + (uint64_t)i);
        shard->next = 1;
        shard->last =
            g->count ? (uint64_t)(g->count / g->shard_count + (i < g->count % g->shard_count)) : UINT64_MAX;
    }
    return WEIR_OK;
}

/* One event is made, to see what the template asks for. */
static int payload_try(struct generate *g)
{
    const char *constant = template_constant(g->payload);
    size_t length;
    if (constant)
        g->pool.constant = view_of(constant);
    g->payload_size = g->pool.constant.size;
    struct made *made = made_new(&g->pool, text_bytes(g));
    if (!made)
        return WEIR_NOMEM;
    int result = event_make(g, &g->shards[0], made, 0);
    if (result == WEIR_OK && !constant)
        g->payload_size = made->events[0].payload.size;
    if (result == WEIR_REJECT)
        result = g->host->refuse(g->host, "payload",
                                 "names a field that a made event does not have; it has seq, "
                                 "random, key, time, position, id, source and shard");
    length = g->payload_size;
    made_free(made);
    if (result == WEIR_OK && length > (size_t)g->host->event_bytes_max)
        return g->host->refuse(g->host, "payload", "has %zu bytes, more than limits.event_bytes allows (%lld)",
                               length, (long long)g->host->event_bytes_max);
    return result;
}

static int generate_init(void *state, const weir_host *host)
{
    struct generate *g = state;
    g->host = host;
    g->pace.rate = g->rate;
    int result = keys_make(g);
    if (result == WEIR_OK)
        result = shards_make(g);
    if (result == WEIR_OK)
        result = payload_try(g);
    return result;
}

static int generate_start(void *state)
{
    struct generate *g = state;
    g->timer = g->host->timer_new(g->host, generate_timer, NULL);
    if (!g->timer)
        return WEIR_NOMEM;
    for (int64_t i = 0; i < g->shard_count; i++) {
        struct made_shard *shard = &g->shards[i];
        weir_resume resume = {.size = sizeof resume};
        int result = g->host->shard_open(g->host, view_of(shard->name), 1, &resume, &shard->handle);
        if (result != WEIR_OK)
            return result;
        if (resume.known)
            shard->next = resume.position + 1;
    }
    g->pace.begin_us = g->host->mono_us(g->host);
    return WEIR_OK;
}

static void generate_stop(void *state)
{
    struct generate *g = state;
    g->stopping = true;
    if (g->timer)
        g->host->timer_set(g->timer, -1);
    g->host->stopped(g->host);
}

static void generate_fini(void *state)
{
    struct generate *g = state;
    if (g->timer)
        g->host->timer_free(g->timer);
    made_fini(&g->pool);
    free(g->key_texts);
    free(g->shards);
}

static const weir_option generate_options[] = {
    {.name = "count",
     .type = WEIR_OPTION_INT,
     .fallback = "0",
     .min = 0,
     .max = INT64_MAX,
     .offset = offsetof(struct generate, count),
     .help = "How many events, over all shards; 0: endless."},
    {.name = "rate",
     .type = WEIR_OPTION_RATE,
     .fallback = "0/s",
     .min = 0,
     .max = INT64_C(1000000000000),
     .offset = offsetof(struct generate, rate),
     .help = "Events in a time, over all shards; 0/s: as fast as they are taken."},
    {.name = "keys",
     .type = WEIR_OPTION_INT,
     .fallback = "1000",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct generate, keys),
     .help = "How many different keys, k0, k1 and so on; 0: events have none."},
    {.name = "payload",
     .type = WEIR_OPTION_TEMPLATE,
     .fallback = "{\"seq\":{{seq}},\"random\":{{random}}}",
     .choices = payload_names,
     .offset = offsetof(struct generate, payload),
     .help = "The payload; {{seq}} counts in each shard from 1, {{random}} is 0 to 999999."},
    {.name = "shards",
     .type = WEIR_OPTION_INT,
     .fallback = "1",
     .min = 1,
     .max = 1024,
     .offset = offsetof(struct generate, shard_count),
     .help = "How many shards."},
    {.name = "seed",
     .type = WEIR_OPTION_INT,
     .fallback = "1",
     .min = 0,
     .max = INT64_MAX,
     .offset = offsetof(struct generate, seed),
     .help = "Other keys and random numbers for each seed."},
    {0},
};

const weir_source_ops source_generate = {
    .size = sizeof source_generate,
    .type = "generate",
    .summary = "Makes events from a template, the same ones again for the same seed.",
    .options = generate_options,
    .state_size = sizeof(struct generate),
    .flags = WEIR_SOURCE_REPLAYS,
    .init = generate_init,
    .start = generate_start,
    .want = generate_want,
    .settle = generate_settle,
    .woken = generate_woken,
    .stop = generate_stop,
    .fini = generate_fini,
};
