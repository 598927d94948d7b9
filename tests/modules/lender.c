/* lender.c: a source that lends its memory, a function that fails for a while, and a sink that blocks.
 *
 * With `notes`, and blocks of one event, the note of each is its position, and a start finds the two together.
 *
 * The source replays `count` numbered events in blocks of `block`, writes into the file `back` which block's memory
 * is given back, and spoils it then (`late`: all but the first come out of its own `settle`), so that whoever still
 * looks into it is found out. While the file `gate` is not there, the function fails and the sink holds (or fails)
 * what is for `stuck` keys: every `stuck`th event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir_plugin.h"

enum { TEXT = 1000 };

struct lender {
    const weir_host *host;
    weir_shard *shard;
    int64_t count, block, stuck, pin, ends, late, notes;
    const char *back;
    uint64_t next;
    size_t events;
};

struct loan {
    const char *back;
    uint64_t first;
    size_t count;
    weir_event *events;
    weir_header *headers;
    char (*texts)[TEXT];
    char (*keys)[16];
};

static void loan_back(void *owner)
{
    struct loan *loan = owner;
    memset(loan->texts, '#', loan->count * sizeof *loan->texts);
    memset(loan->keys, '#', loan->count * sizeof *loan->keys);
    memset(loan->headers, 0xff, loan->count * sizeof *loan->headers);
    memset(loan->events, 0xff, loan->count * sizeof *loan->events);
    FILE *file = fopen(loan->back, "a");
    if (file) {
        fprintf(file, "%llu\n", (unsigned long long)loan->first);
        fclose(file);
    }
    free(loan->texts);
    free(loan->keys);
    free(loan->headers);
    free(loan->events);
    free(loan);
}

static void loan_event(const struct lender *lender, struct loan *loan, size_t i)
{
    uint64_t position = loan->first + i;
    int stuck = position % (uint64_t)lender->stuck == 0;
    int size = snprintf(loan->texts[i], TEXT, "%llu ", (unsigned long long)position);
    memset(loan->texts[i] + size, 'a' + (int)(position % 26), TEXT - (size_t)size);
    int key = snprintf(loan->keys[i], sizeof loan->keys[i], "%s%d", stuck ? "stuck" : "k", (int)(position % 7));
    loan->headers[i] = (weir_header){{"h", 1}, {loan->texts[i], (size_t)size - 1}};
    loan->events[i] = (weir_event){.position = position,
                                   .payload = {loan->texts[i], TEXT},
                                   .key = {loan->keys[i], (size_t)key},
                                   .headers = &loan->headers[i],
                                   .header_count = 1,
                                   .time_us = 1};
}

static void lend(struct lender *lender, size_t count)
{
    struct loan *loan = calloc(1, sizeof *loan);
    *loan = (struct loan){.back = lender->back, .first = lender->next, .count = count};
    loan->texts = malloc(count * sizeof *loan->texts);
    loan->keys = malloc(count * sizeof *loan->keys);
    loan->headers = malloc(count * sizeof *loan->headers);
    loan->events = malloc(count * sizeof *loan->events);
    for (size_t i = 0; i < count; i++)
        loan_event(lender, loan, i);
    weir_emit emit = {.size = sizeof emit,
                      .events = loan->events,
                      .count = count,
                      .bytes = (size_t)lender->pin,
                      .owner = loan,
                      .release = loan_back};
    char note[24];
    if (lender->notes)
        emit.note =
            (weir_view){note, (size_t)sprintf(note, "%llu", (unsigned long long)(lender->next + count - 1))};
    if (lender->host->emit(lender->host, lender->shard, &emit) != WEIR_OK)
        loan_back(loan);
    lender->next += count;
}

static void lender_go(struct lender *lender)
{
    uint64_t from = lender->next; /* late: one block */
    while (lender->events && lender->next <= (uint64_t)lender->count && (!lender->late || lender->next == from)) {
        size_t count = (size_t)lender->block, left = (size_t)lender->count - (size_t)lender->next + 1;
        count = count < left ? count : left;
        count = count < lender->events ? count : lender->events;
        lender->events -= count;
        lend(lender, count);
    }
}

static int lender_init(void *state, const weir_host *host)
{
    ((struct lender *)state)->host = host;
    return WEIR_OK;
}

static int note_fits(const weir_resume *resume)
{
    char note[24];
    int size = sprintf(note, "%llu", (unsigned long long)resume->position);
    return resume->note.size == (size_t)size && memcmp(resume->note.data, note, (size_t)size) == 0;
}

static int lender_start(void *state)
{
    struct lender *lender = state;
    weir_resume resume = {.size = sizeof resume};
    int result = lender->host->shard_open(lender->host, (weir_view){"all", 3}, 1, &resume, &lender->shard);
    lender->next = resume.position + 1;
    if (result == WEIR_OK && lender->notes && resume.known && !note_fits(&resume)) {
        lender->host->log(lender->host, WEIR_LOG_ERROR, "the note %.*s is not that of position %llu",
                          (int)resume.note.size, resume.note.data, (unsigned long long)resume.position);
        return WEIR_IO;
    }
    return result;
}

static void lender_want(void *state, size_t events, size_t bytes)
{
    struct lender *lender = state;
    lender->events = bytes ? events : 0;
    if (!lender->late || lender->next == 1)
        lender_go(lender);
}

static void lender_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct lender *lender = state;
    (void)shard;
    (void)first;
    (void)how;
    if (lender->late)
        lender_go(lender);
    if (last == (uint64_t)lender->count && lender->ends)
        lender->host->ended(lender->host);
}

static void lender_stop(void *state)
{
    struct lender *lender = state;
    lender->host->stopped(lender->host);
}

static void nothing(void *state)
{
    (void)state;
}

#define ROW(of, to, kind, ...)                                                                                     \
    {                                                                                                              \
        .name = #to, .type = kind, .offset = offsetof(struct of, to), .help = "See the top.", __VA_ARGS__          \
    }
static const weir_option lender_options[] = {
    ROW(lender, count, WEIR_OPTION_INT, .fallback = "10000", .min = 1, .max = 10000000),
    ROW(lender, block, WEIR_OPTION_INT, .fallback = "200", .min = 1, .max = 10000),
    ROW(lender, stuck, WEIR_OPTION_INT, .fallback = "100", .min = 1, .max = 10000000),
    ROW(lender, pin, WEIR_OPTION_SIZE, .fallback = "0"),
    ROW(lender, back, WEIR_OPTION_PATH, .fallback = "back.txt"),
    ROW(lender, late, WEIR_OPTION_BOOL, .fallback = "false"),
    ROW(lender, notes, WEIR_OPTION_BOOL, .fallback = "false"),
    ROW(lender, ends, WEIR_OPTION_BOOL, .fallback = "true"),
    {0}};
static const weir_source_ops lender_ops = {.size = sizeof lender_ops,
                                           .type = "lender",
                                           .summary = "Lends its memory.",
                                           .options = lender_options,
                                           .state_size = sizeof(struct lender),
                                           .flags = WEIR_SOURCE_REPLAYS,
                                           .init = lender_init,
                                           .start = lender_start,
                                           .want = lender_want,
                                           .settle = lender_settle,
                                           .stop = lender_stop,
                                           .fini = nothing};

static int is_stuck(const weir_event *event)
{
    return event->key.size > 5 && memcmp(event->key.data, "stuck", 5) == 0;
}

/* The function. */

struct borrower {
    const char *gate;
};

static int borrower_call(void *state, const weir_batch *in, weir_out *out)
{
    struct borrower *borrower = state;
    int open = access(borrower->gate, F_OK) == 0;
    for (size_t i = 0; i < in->count; i++) {
        if (!open && is_stuck(&in->events[i]))
            weir_out_fail(out, i, "the gate is closed");
        else if (weir_out_forward(out, i, NULL) != WEIR_OK)
            return WEIR_NOMEM;
    }
    return WEIR_OK;
}

static const weir_option borrower_options[] = {ROW(borrower, gate, WEIR_OPTION_PATH, .flags = WEIR_OPTION_REQUIRED),
                                               {0}};
static const weir_function_ops borrower_ops = {.size = sizeof borrower_ops,
                                               .type = "borrower",
                                               .summary = "Fails for a while.",
                                               .options = borrower_options,
                                               .state_size = sizeof(struct borrower),
                                               .call = borrower_call};

/* The sink: writes "number header letters" of each event, or what is wrong with it. */

enum { WRITES_MAX = 16, GATE_US = 5000 };

struct gate_sink {
    const weir_host *host;
    const char *gate, *path;
    int64_t fails;
    FILE *file;
    weir_timer *timer;
    weir_write *held[WRITES_MAX];
};

static int gate_init(void *state, const weir_host *host)
{
    struct gate_sink *sink = state;
    sink->host = host;
    return WEIR_OK;
}

static void gate_due(void *state, void *arg);

static int gate_start(void *state)
{
    struct gate_sink *sink = state;
    sink->file = fopen(sink->path, "a");
    sink->timer = sink->host->timer_new(sink->host, gate_due, NULL);
    return sink->file && sink->timer ? WEIR_OK : WEIR_IO;
}

static int event_sound(const weir_event *event, unsigned long long *number)
{
    char text[TEXT + 1];
    int read = 0;
    if (event->payload.size != TEXT || event->header_count != 1)
        return 0;
    memcpy(text, event->payload.data, TEXT);
    text[TEXT] = '\0';
    if (sscanf(text, "%llu %n", number, &read) != 1 || *number != event->position)
        return 0;
    for (int i = read; i < TEXT; i++) {
        if (text[i] != 'a' + (int)(*number % 26))
            return 0;
    }
    const weir_header *header = &event->headers[0];
    return header->value.size == (size_t)read - 1 && memcmp(header->value.data, text, (size_t)read - 1) == 0;
}

static void gate_confirm(struct gate_sink *sink, weir_write *write)
{
    for (size_t i = 0; i < write->batch.count; i++) {
        const weir_event *event = &write->batch.events[i];
        unsigned long long number = 0;
        if (event_sound(event, &number))
            fprintf(sink->file, "%llu %.*s\n", number, (int)event->key.size, event->key.data);
        else
            fprintf(sink->file, "spoiled %llu\n", (unsigned long long)event->position);
    }
    fflush(sink->file);
    sink->host->write_done(sink->host, write, WEIR_OK, NULL);
}

static int write_stuck(const weir_write *write)
{
    for (size_t i = 0; i < write->batch.count; i++) {
        if (is_stuck(&write->batch.events[i]))
            return 1;
    }
    return 0;
}

static void gate_hold(struct gate_sink *sink, weir_write *write)
{
    for (size_t i = 0; i < WRITES_MAX; i++) {
        if (!sink->held[i]) {
            sink->held[i] = write;
            break;
        }
    }
    sink->host->timer_set(sink->timer, GATE_US);
}

static void gate_write(void *state, weir_write *write)
{
    struct gate_sink *sink = state;
    if (access(sink->gate, F_OK) == 0 || !write_stuck(write))
        gate_confirm(sink, write);
    else if (sink->fails)
        sink->host->write_done(sink->host, write, WEIR_RETRY, "the gate is closed");
    else
        gate_hold(sink, write);
}

static void gate_due(void *state, void *arg)
{
    struct gate_sink *sink = state;
    (void)arg;
    if (access(sink->gate, F_OK) != 0) {
        sink->host->timer_set(sink->timer, GATE_US);
        return;
    }
    for (size_t i = 0; i < WRITES_MAX; i++) {
        weir_write *write = sink->held[i];
        sink->held[i] = NULL;
        if (write)
            gate_confirm(sink, write);
    }
}

static void gate_stop(void *state)
{
    struct gate_sink *sink = state;
    fclose(sink->file);
    sink->host->stopped(sink->host);
}

static const weir_option gate_options[] = {ROW(gate_sink, gate, WEIR_OPTION_PATH, .flags = WEIR_OPTION_REQUIRED),
                                           ROW(gate_sink, path, WEIR_OPTION_PATH, .flags = WEIR_OPTION_REQUIRED),
                                           ROW(gate_sink, fails, WEIR_OPTION_BOOL, .fallback = "false"),
                                           {0}};
static const weir_sink_ops gate_ops = {.size = sizeof gate_ops,
                                       .type = "gate",
                                       .summary = "Lets through when it is open.",
                                       .options = gate_options,
                                       .state_size = sizeof(struct gate_sink),
                                       .writes_max = WRITES_MAX,
                                       .init = gate_init,
                                       .start = gate_start,
                                       .write = gate_write,
                                       .stop = gate_stop,
                                       .fini = nothing};

static const weir_source_ops *const sources[] = {&lender_ops, NULL};
static const weir_sink_ops *const sinks[] = {&gate_ops, NULL};
static const weir_function_ops *const functions[] = {&borrower_ops, NULL};
WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "lender",
               .version = "1",
               .sources = sources,
               .sinks = sinks,
               .functions = functions};
