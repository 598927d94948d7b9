/* chain.c: a function whose state tells whether every event of a key was applied exactly once and in order.
 *
 * For each key it keeps how many events it saw and a hash chained over their sequence numbers, and puts one line
 * for each event: id key seq count hash. An oracle works the same chain out from the lines. Nonsense fails after it
 * has spoilt the state and put a line, neither of which may stay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir.h"

struct chain {
    uint64_t count, hash;
};

static int sequence_of(const weir_event *event, unsigned long *seq)
{
    char text[256];
    if (event->payload.size >= sizeof text)
        return 0;
    memcpy(text, event->payload.data, event->payload.size);
    text[event->payload.size] = '\0';
    const char *at = strstr(text, "\"seq\":");
    if (!at || !strstr(text, "\"value\":"))
        return 0;
    *seq = strtoul(at + 6, NULL, 10);
    return 1;
}

static int chain_spoil(const weir_event *event, size_t i, weir_out *out)
{
    struct chain spoilt = {UINT64_MAX, UINT64_MAX};
    weir_view value = {(const char *)&spoilt, sizeof spoilt};
    int result = weir_state_put(out, i, (weir_view){"", 0}, value);
    if (result == WEIR_OK)
        result = weir_out_put(out, i, NULL, event);
    weir_out_fail(out, i, "nonsense");
    return result;
}

static int chain_one(const weir_batch *in, size_t i, weir_out *out)
{
    const weir_event *event = &in->events[i];
    weir_view name = {"", 0}, stored;
    struct chain chain = {0};
    unsigned long seq;
    if (!sequence_of(event, &seq))
        return chain_spoil(event, i, out);
    int found = weir_state_get(out, i, name, &stored);
    if (found == WEIR_OK)
        memcpy(&chain, stored.data, sizeof chain);
    else if (found != WEIR_MISSING)
        return found;
    chain.count++;
    chain.hash = (chain.hash ^ seq) * 1099511628211u;
    weir_view value = {(const char *)&chain, sizeof chain};
    int result = weir_state_put(out, i, name, value);
    if (result != WEIR_OK)
        return result;
    char id[WEIR_ID_MAX], line[WEIR_ID_MAX + 300];
    weir_event_id(out, in, i, id, sizeof id);
    int size = snprintf(line, sizeof line, "%s %.*s %lu %llu %llx", id, (int)event->key.size, event->key.data, seq,
                        (unsigned long long)chain.count, (unsigned long long)chain.hash);
    weir_event result_event = {.payload = {line, (size_t)size}, .key = event->key, .subject = event->subject};
    return weir_out_put(out, i, NULL, &result_event);
}

static int chain_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++)
        result = chain_one(in, i, out);
    return result;
}

static const weir_function_ops chain_ops = {
    .size = sizeof chain_ops,
    .type = "chain",
    .summary = "Counts and chains the events of each key.",
    .flags = WEIR_FUNCTION_STATE,
    .call = chain_call,
};
static const weir_function_ops *const chain_functions[] = {&chain_ops, NULL};
WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "chain",
               .version = "1",
               .functions = chain_functions};
