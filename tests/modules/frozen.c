/* frozen.c: a module as it was built for the first release of ABI 1: with the headers of that day, which are in
 * abi1/ and stay as they are. Whatever weir becomes, it loads and works. */
#include <stdio.h>
#include <string.h>

#include "abi1/weir_plugin.h"

struct frozen_function {
    int64_t every;
};

static const weir_option function_rows[] = {{.name = "every",
                                             .type = WEIR_OPTION_INT,
                                             .fallback = "1",
                                             .min = 1,
                                             .max = 100,
                                             .offset = offsetof(struct frozen_function, every),
                                             .help = "Forwards each so many-th event of a key."},
                                            {0}};

static int function_call(void *self, const weir_batch *in, weir_out *out)
{
    const struct frozen_function *function = self;
    weir_view name = {"", 0}, value;
    for (size_t i = 0; i < in->count; i++) {
        unsigned seen = 0;
        int found = weir_state_get(out, i, name, &value);
        if (found == WEIR_OK)
            memcpy(&seen, value.data, sizeof seen);
        else if (found != WEIR_MISSING)
            return found;
        seen++;
        value = (weir_view){(const char *)&seen, sizeof seen};
        int result = weir_state_put(out, i, name, value);
        if (result == WEIR_OK && seen % (unsigned)function->every == 0)
            result = weir_out_forward(out, i, NULL);
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

static const weir_function_ops function = {.size = sizeof function,
                                           .type = "frozen",
                                           .summary = "Thins out.",
                                           .options = function_rows,
                                           .state_size = sizeof(struct frozen_function),
                                           .flags = WEIR_FUNCTION_STATE,
                                           .call = function_call};

struct frozen_source {
    const weir_host *host;
    weir_shard *shard;
    size_t credit;
    int emitted;
};

enum { EVENTS = 12 };

static int source_init(void *state, const weir_host *host)
{
    ((struct frozen_source *)state)->host = host;
    return WEIR_OK;
}

static int source_start(void *state)
{
    struct frozen_source *source = state;
    weir_view name = {"frozen", 6};
    weir_resume resume = {.size = sizeof resume};
    return source->host->shard_open(source->host, name, 1, &resume, &source->shard);
}

static void source_want(void *state, size_t events, size_t bytes)
{
    struct frozen_source *source = state;
    weir_event made[EVENTS];
    if (source->emitted || events < EVENTS || !bytes)
        return;
    source->emitted = 1;
    for (size_t i = 0; i < EVENTS; i++)
        made[i] = (weir_event){.payload = {"payload", 7}, .key = {i % 2 ? "a" : "b", 1}, .time_us = 1};
    weir_emit emit = {.size = sizeof emit, .events = made, .count = EVENTS};
    if (source->host->emit(source->host, source->shard, &emit) != WEIR_OK)
        source->host->failed(source->host, "could not emit");
}

static void source_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct frozen_source *source = state;
    if (shard == source->shard && how == WEIR_ACCEPTED && last - first + 1 == EVENTS)
        source->host->ended(source->host);
}

static void source_stop(void *state)
{
    struct frozen_source *source = state;
    source->host->stopped(source->host);
}

static void any_fini(void *state)
{
    (void)state;
}

static const weir_source_ops source = {.size = sizeof source,
                                       .type = "frozen",
                                       .summary = "Makes a dozen.",
                                       .state_size = sizeof(struct frozen_source),
                                       .init = source_init,
                                       .start = source_start,
                                       .want = source_want,
                                       .settle = source_settle,
                                       .stop = source_stop,
                                       .fini = any_fini};

struct frozen_sink {
    const weir_host *host;
    const char *path;
};

static const weir_option sink_rows[] = {{.name = "path",
                                         .type = WEIR_OPTION_PATH,
                                         .flags = WEIR_OPTION_REQUIRED,
                                         .offset = offsetof(struct frozen_sink, path),
                                         .help = "The file."},
                                        {0}};

static int sink_init(void *state, const weir_host *host)
{
    ((struct frozen_sink *)state)->host = host;
    return WEIR_OK;
}

static int sink_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static void sink_write(void *state, weir_write *write)
{
    struct frozen_sink *sink = state;
    FILE *file = fopen(sink->path, "a");
    for (size_t i = 0; file && i < write->batch.count; i++)
        fprintf(file, "%.*s %.*s\n", (int)write->batch.events[i].key.size, write->batch.events[i].key.data,
                (int)write->batch.events[i].payload.size, write->batch.events[i].payload.data);
    int failed = !file || fclose(file);
    sink->host->write_done(sink->host, write, failed ? WEIR_FATAL : WEIR_OK, NULL);
}

static void sink_stop(void *state)
{
    struct frozen_sink *sink = state;
    sink->host->stopped(sink->host);
}

static const weir_sink_ops sink = {.size = sizeof sink,
                                   .type = "frozen",
                                   .summary = "Writes lines.",
                                   .options = sink_rows,
                                   .state_size = sizeof(struct frozen_sink),
                                   .init = sink_init,
                                   .start = sink_start,
                                   .write = sink_write,
                                   .stop = sink_stop,
                                   .fini = any_fini};

static const weir_source_ops *const sources[] = {&source, NULL};
static const weir_sink_ops *const sinks[] = {&sink, NULL};
static const weir_function_ops *const functions[] = {&function, NULL};
WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "frozen",
               .version = "1",
               .sources = sources,
               .sinks = sinks,
               .functions = functions};
