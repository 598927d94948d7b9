/* census.c: a function that says in each output how it was called: the batch's events and payload bytes, the
 * attempt, and the most calls that ever ran at once. A payload "fail" makes the whole call fail. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weir_plugin.h"

struct census {
    int64_t pause;
};

static atomic_int now, most; /* of all workers: what this module is for */

static void call_begins(void)
{
    int running = atomic_fetch_add(&now, 1) + 1, seen = atomic_load(&most);
    while (running > seen && !atomic_compare_exchange_weak(&most, &seen, running))
        continue;
}

static int census_call(void *state, const weir_batch *in, weir_out *out)
{
    const struct census *census = state;
    size_t bytes = 0;
    int result = WEIR_OK;
    call_begins();
    if (census->pause)
        usleep((useconds_t)census->pause);
    for (size_t i = 0; i < in->count; i++)
        bytes += in->events[i].payload.size;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++) {
        char text[200];
        const weir_event *event = &in->events[i];
        int size = snprintf(text, sizeof text, "{\"count\":%zu,\"bytes\":%zu,\"attempt\":%u,\"most\":%d}",
                            in->count, bytes, in->attempt, atomic_load(&most));
        weir_event made = {.payload = {text, (size_t)size}, .key = event->key};
        result = memmem(event->payload.data, event->payload.size, "fail", 4) ? WEIR_RETRY
                                                                             : weir_out_put(out, i, NULL, &made);
    }
    atomic_fetch_sub(&now, 1);
    return result;
}

static const weir_option census_options[] = {
    {.name = "pause",
     .type = WEIR_OPTION_DURATION,
     .offset = offsetof(struct census, pause),
     .fallback = "0s",
     .help = "How long each call takes."},
    {0},
};

static const weir_function_ops census_ops = {
    .size = sizeof census_ops,
    .type = "census",
    .summary = "Says how it was called.",
    .options = census_options,
    .state_size = sizeof(struct census),
    .call = census_call,
};
static const weir_function_ops *const census_functions[] = {&census_ops, NULL};
WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "census",
               .version = "1",
               .functions = census_functions};
