/* count.c: the function `count`: how many events of each key there were, in keyed state.
 *
 * 1. The count of the event's key is read, raised and written.
 * 2. Every N-th event of a key gives a result {"key":"...","count":N} with the event's key and subject.
 *
 * The count is committed with the route's position, so a crash neither loses nor repeats a step of it. An event
 * without a key fails. */
#include <stdio.h>

#include "json.h"
#include "weir_plugin.h"

enum { COUNT_BYTES = 8, RESULT_MORE = 64 };

struct count {
    int64_t every;
};

static const weir_option count_options[] = {
    {.name = "every",
     .type = WEIR_OPTION_INT,
     .fallback = "1",
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct count, every),
     .help = "Give a result for each so many events of a key."},
    {0},
};

static int count_result(const weir_batch *in, size_t i, uint64_t count, weir_out *out)
{
    weir_event result = {.key = in->events[i].key, .subject = in->events[i].subject};
    size_t escaped = json_escape(result.key, NULL, 0), size;
    char *text = weir_out_alloc(out, escaped + RESULT_MORE);
    if (!text)
        return WEIR_NOMEM;
    size = (size_t)sprintf(text, "{\"key\":\"");
    size += json_escape(result.key, text + size, escaped);
    size += (size_t)sprintf(text + size, "\",\"count\":%llu}", (unsigned long long)count);
    result.payload = view_make(text, size);
    return weir_out_put(out, i, NULL, &result);
}

/* The count with this event. What stands there under the key may only be ours. */
static int count_raise(size_t i, uint64_t *count, weir_out *out)
{
    static const weir_view name = {"", 0};
    unsigned char bytes[COUNT_BYTES];
    weir_view stored;
    int result = weir_state_get(out, i, name, &stored);
    if (result != WEIR_OK && result != WEIR_MISSING)
        return result;
    if (result == WEIR_OK && stored.size != COUNT_BYTES)
        return WEIR_DAMAGED;
    *count = (result == WEIR_OK ? get_le64(stored.data) : 0) + 1;
    put_le64(bytes, *count);
    return weir_state_put(out, i, name, view_make(bytes, COUNT_BYTES));
}

static int count_one(const struct count *c, const weir_batch *in, size_t i, weir_out *out)
{
    uint64_t count = 0;
    int result = in->events[i].key.data ? count_raise(i, &count, out) : WEIR_INVALID;
    if (result == WEIR_OK && count % (uint64_t)c->every == 0)
        result = count_result(in, i, count, out);
    return result;
}

static int count_call(void *self, const weir_batch *in, weir_out *out)
{
    for (size_t i = 0; i < in->count; i++) {
        int result = count_one(self, in, i, out);
        if (result == WEIR_INVALID)
            weir_out_fail(out, i, "an event without a key cannot be counted; give its source `key: FIELD`");
        else if (result == WEIR_DAMAGED)
            weir_out_fail(out, i, "the state of this key is not a count");
        else if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

const weir_function_ops function_count = {
    .size = sizeof(weir_function_ops),
    .type = "count",
    .summary = "Counts the events of each key in keyed state.",
    .options = count_options,
    .state_size = sizeof(struct count),
    .flags = WEIR_FUNCTION_STATE,
    .call = count_call,
};
