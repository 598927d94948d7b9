/* probe_kit.c: the scripted source, sink and function of engine_kit.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "field.h"

/* What was seen. */

static void seen_text(char *to, size_t size, weir_view view)
{
    snprintf(to, size, "%.*s", (int)view.size, view.data ? view.data : "");
}

void seen_add(struct seen_list *list, const weir_batch *in, uint64_t order)
{
    list->calls++;
    for (size_t i = 0; i < in->count; i++) {
        if (list->count == list->room) {
            list->room = list->room * 2 + 64;
            list->items = realloc(list->items, list->room * sizeof *list->items);
            ck_assert_ptr_nonnull(list->items);
        }
        struct seen *seen = &list->items[list->count++];
        *seen = (struct seen){.position = in->events[i].position,
                              .order = order,
                              .attempt = in->attempt,
                              .batch = in->count,
                              .call = list->calls,
                              .thread = pthread_self()};
        event_id_write(in, i, seen->id, sizeof seen->id);
        seen_text(seen->payload, sizeof seen->payload, in->events[i].payload);
        seen_text(seen->key, sizeof seen->key, in->events[i].key);
        seen_text(seen->shard, sizeof seen->shard, in->shard);
    }
}

const char *seen_ids(const struct seen_list *list)
{
    static char texts[4][4000];
    static size_t next;
    char *text = texts[next++ % 4];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count && size < sizeof texts[0] - 200; i++)
        size += (size_t)sprintf(text + size, "%s%s", i ? " " : "", list->items[i].id);
    return text;
}

/* The function. */

void probe_hold(struct probe_function *function)
{
    pthread_mutex_lock(&function->lock);
    function->held = true;
    pthread_mutex_unlock(&function->lock);
}

void probe_let(struct probe_function *function)
{
    pthread_mutex_lock(&function->lock);
    function->held = false;
    pthread_cond_broadcast(&function->let);
    pthread_mutex_unlock(&function->lock);
}

const char *probe_ids(struct probe_function *function)
{
    pthread_mutex_lock(&function->lock);
    const char *ids = seen_ids(&function->seen);
    pthread_mutex_unlock(&function->lock);
    return ids;
}

static int forward_all(const weir_batch *in, weir_out *out)
{
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++)
        result = weir_out_forward(out, i, NULL);
    return result;
}

int probe_call(void *user, const weir_batch *in, weir_out *out)
{
    struct probe_function *function = user;
    size_t running = atomic_fetch_add(&function->running, 1) + 1, most = atomic_load(&function->most);
    while (running > most && !atomic_compare_exchange_weak(&function->most, &most, running))
        continue;
    pthread_mutex_lock(&function->lock);
    seen_add(&function->seen, in, 0);
    atomic_fetch_add(&function->calls, 1);
    while (function->held)
        pthread_cond_wait(&function->let, &function->lock);
    pthread_mutex_unlock(&function->lock);
    int result = function->script ? function->script(function, in, out) : forward_all(in, out);
    atomic_fetch_sub(&function->running, 1);
    return result;
}

/* The source. */

static int source_init(void *state, const weir_host *host)
{
    ((struct probe_source *)state)->host = host;
    return WEIR_OK;
}

static int source_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static void source_want(void *state, size_t events, size_t bytes)
{
    struct probe_source *source = state;
    source->want_events = events;
    source->want_bytes = bytes;
    source->wants++;
    if (source->on_want)
        source->on_want(source);
}

static void source_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct probe_source *source = state;
    ck_assert_uint_lt(source->settle_count, 600);
    struct settled *settled = &source->settles[source->settle_count++];
    *settled = (struct settled){shard, first, last, how};
    if (source->on_settle)
        source->on_settle(source, settled);
}

static void source_released(void *state, weir_shard *shard)
{
    struct probe_source *source = state;
    ck_assert_uint_lt(source->released_count, 8);
    source->released[source->released_count++] = shard;
}

static void source_woken(void *state)
{
    ((struct probe_source *)state)->woken++;
}

static void source_stop(void *state)
{
    struct probe_source *source = state;
    source->stops++;
    if (!source->holds_stop)
        source->host->stopped(source->host);
}

static void source_fini(void *state)
{
    (void)state;
}

weir_shard *probe_shard(struct probe_source *source, const char *name, weir_resume *resume)
{
    weir_resume own = {.size = sizeof own};
    weir_shard *shard = NULL;
    int result = source->host->shard_open(source->host, view_of(name), 1, &own, &shard);
    ck_assert_int_eq(result, WEIR_OK);
    if (resume)
        *resume = own;
    return shard;
}

struct loan {
    struct probe_source *source;
    size_t count;
    weir_event *events;
    char (*texts)[2][24];
};

static struct loan *loan_new(struct probe_source *source, uint64_t first, size_t count)
{
    struct loan *loan = malloc(sizeof *loan);
    *loan = (struct loan){source, count, calloc(count, sizeof(weir_event)), calloc(count, sizeof(char[2][24]))};
    for (size_t i = 0; i < count; i++) {
        uint64_t position = first + i;
        snprintf(loan->texts[i][0], 24, "p%llu", (unsigned long long)position);
        snprintf(loan->texts[i][1], 24, "k%llu", (unsigned long long)position);
        loan->events[i] = (weir_event){.payload = view_of(loan->texts[i][0]),
                                       .key = view_of(loan->texts[i][1]),
                                       .time_us = (int64_t)position,
                                       .position = position};
    }
    return loan;
}

/* Spoiled first, so that whoever still looks into it is found out. */
static void loan_free(void *owner)
{
    struct loan *loan = owner;
    memset(loan->texts, '#', loan->count * sizeof *loan->texts);
    memset(loan->events, 0xff, loan->count * sizeof *loan->events);
    free(loan->texts);
    free(loan->events);
    free(loan);
}

static void loan_back(void *owner)
{
    struct loan *loan = owner;
    atomic_fetch_add(&loan->source->given_back, 1);
    loan_free(loan);
}

int probe_emit(struct probe_source *source, weir_shard *shard, uint64_t first, size_t count)
{
    struct loan *loan = loan_new(source, first, count);
    weir_emit emit = {.size = sizeof emit, .events = loan->events, .count = count};
    int result = source->host->emit(source->host, shard, &emit);
    loan_free(loan);
    return result;
}

int probe_lend(struct probe_source *source, weir_shard *shard, uint64_t first, size_t count)
{
    struct loan *loan = loan_new(source, first, count);
    weir_emit emit = {
        .size = sizeof emit, .events = loan->events, .count = count, .owner = loan, .release = loan_back};
    int result = source->host->emit(source->host, shard, &emit);
    if (result != WEIR_OK)
        loan_free(loan);
    return result;
}

int probe_emit_note(struct probe_source *source, weir_shard *shard, uint64_t position, const char *note)
{
    struct loan *loan = loan_new(source, position, 1);
    weir_emit emit = {.size = sizeof emit, .events = loan->events, .count = 1, .note = view_of(note)};
    int result = source->host->emit(source->host, shard, &emit);
    loan_free(loan);
    return result;
}

int probe_give(struct probe_source *source, weir_shard *shard, const weir_event *event)
{
    weir_emit emit = {.size = sizeof emit, .events = event, .count = 1};
    return source->host->emit(source->host, shard, &emit);
}

uint64_t probe_settled(const struct probe_source *source, const weir_shard *shard)
{
    uint64_t last = 0;
    for (size_t i = 0; i < source->settle_count; i++) {
        const struct settled *settled = &source->settles[i];
        if (settled->shard != shard || settled->how == WEIR_REFUSED)
            continue;
        ck_assert_msg(!last || settled->first == last + 1, "settled from %llu after %llu",
                      (unsigned long long)settled->first, (unsigned long long)last);
        ck_assert_uint_ge(settled->last, settled->first);
        last = settled->last;
    }
    return last;
}

/* The sink. */

static int sink_init(void *state, const weir_host *host)
{
    ((struct probe_sink *)state)->host = host;
    return WEIR_OK;
}

static void sink_write(void *state, weir_write *write)
{
    struct probe_sink *sink = state;
    seen_add(&sink->seen, &write->batch, write->order);
    int result = sink->holds ? -1 : sink->script ? sink->script(sink, write) : WEIR_OK;
    if (result >= 0) {
        sink->host->write_done(sink->host, write, result, sink->reason);
        return;
    }
    ck_assert_uint_lt(sink->open_count, 64);
    sink->open[sink->open_count++] = write;
    sink->most = size_max(sink->most, sink->open_count);
}

void probe_answer(struct probe_sink *sink, size_t i, int result, const char *reason)
{
    ck_assert_uint_lt(i, sink->open_count);
    weir_write *write = sink->open[i];
    sink->open_count--;
    memmove(&sink->open[i], &sink->open[i + 1], (sink->open_count - i) * sizeof sink->open[0]);
    sink->host->write_done(sink->host, write, result, reason);
}

void probe_answer_all(struct probe_sink *sink, int result)
{
    sink->holds = false;
    while (sink->open_count)
        probe_answer(sink, 0, result, sink->reason);
}

static void sink_stop(void *state)
{
    struct probe_sink *sink = state;
    sink->host->stopped(sink->host);
}

static void sink_fini(void *state)
{
    free(((struct probe_sink *)state)->seen.items);
}

#define SOURCE_SLOTS                                                                                               \
    .size = sizeof(weir_source_ops), .summary = "Does what the test says.",                                        \
    .state_size = sizeof(struct probe_source), .init = source_init, .start = source_start, .want = source_want,    \
    .settle = source_settle, .released = source_released, .woken = source_woken, .stop = source_stop,              \
    .fini = source_fini
static const weir_source_ops probe_replaying = {SOURCE_SLOTS, .type = "probe", .flags = WEIR_SOURCE_REPLAYS};
static const weir_source_ops probe_kept = {SOURCE_SLOTS, .type = "probe_kept",
                                           .flags = WEIR_SOURCE_REPLAYS | WEIR_SOURCE_KEEPS_POSITION};
static const weir_source_ops probe_journaled = {SOURCE_SLOTS, .type = "probe_journaled"};
static const weir_source_ops *const sources[] = {&probe_replaying, &probe_kept, &probe_journaled, NULL};

#define SINK_SLOTS                                                                                                 \
    .size = sizeof(weir_sink_ops), .summary = "Does what the test says.", .state_size = sizeof(struct probe_sink), \
    .init = sink_init, .start = source_start, .write = sink_write, .stop = sink_stop, .fini = sink_fini
static const weir_sink_ops probe_four = {SINK_SLOTS, .type = "probe", .writes_max = 4};
static const weir_sink_ops probe_ordered = {SINK_SLOTS, .type = "probe_ordered", .writes_max = 4,
                                            .flags = WEIR_SINK_ORDERED};
static const weir_sink_ops probe_one = {SINK_SLOTS, .type = "probe_one"};
static const weir_sink_ops *const sinks[] = {&probe_four, &probe_ordered, &probe_one, NULL};

const weir_module_info probe_module = {.abi = WEIR_ABI,
                                       .size = sizeof probe_module,
                                       .name = "probe",
                                       .version = "1",
                                       .sources = sources,
                                       .sinks = sinks};
