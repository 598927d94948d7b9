/* template.c: a function to start your own from. As it stands it is a real one: `changes` hands an event on only
 * when its payload differs from the last one of its key, and, if asked, every N-th repetition too.
 *
 * STEP 1, copy:    cp functions/template.c my_function.c
 * STEP 2, rename:  replace "changes" by your name, here and in `weir_module`.
 * STEP 3, build:   cc -shared -fPIC -O2 -DWEIR_BUILD_MODULE $(pkg-config --cflags weir) my_function.c -o
 * my_function.so and name it in a configuration:  functions: { mine: { module: ./my_function.so } } STEP 4, change:
 * the options, what is remembered for a key, and the call. `weir check` tells what is wrong.
 *
 * A module resolves no symbol of weir: it calls only what weir.h and weir_plugin.h define, which goes through
 * tables that it is handed. A file in functions/ of weir's own tree needs no WEIR_BUILD_MODULE: it becomes built
 * in. */
#include <string.h>

#include "weir_plugin.h"

/* STEP 4a. One `self` for each worker, filled with the options before init. It is a cache only: the next event of
 * the same key may go to another worker, so what must last belongs into keyed state. */
struct changes {
    int64_t repeat;
};

/* STEP 4b. Each row is an option: it is parsed, held against its bounds, and shown by `weir help`. */
static const weir_option changes_options[] = {
    {.name = "repeat",
     .type = WEIR_OPTION_INT,
     .fallback = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct changes, repeat),
     .help = "Hand every so many-th unchanged event on too; 0: none of them."},
    {0},
};

/* STEP 4c. State of a key: named values, each as large as it must be. Here "payload" is the last one, and "same" is
 * how often it came again. An absent payload is remembered as a state without "payload". */
static const weir_view payload_name = {"payload", 7}, same_name = {"same", 4};

static int same_read(weir_out *out, size_t i, weir_view payload, int64_t *same)
{
    weir_view last = {0}, stored;
    *same = -1; /* the first one of its key, or a changed one */
    int result = weir_state_get(out, i, same_name, &stored);
    if (result == WEIR_MISSING)
        return WEIR_OK;
    if (result != WEIR_OK)
        return result;
    int64_t times = 0;
    if (stored.size == sizeof times)
        memcpy(&times, stored.data, sizeof times);
    result = weir_state_get(out, i, payload_name, &last);
    if (result != WEIR_OK && result != WEIR_MISSING)
        return result;
    int absent = result == WEIR_MISSING;
    if (absent == !payload.data &&
        (absent || (last.size == payload.size && !memcmp(last.data, payload.data, last.size))))
        *same = times;
    return WEIR_OK;
}

static int same_write(weir_out *out, size_t i, weir_view payload, int64_t same)
{
    weir_view value = {(const char *)&same, sizeof same};
    int result = WEIR_OK;
    if (same == 0) /* changed */
        result =
            payload.data ? weir_state_put(out, i, payload_name, payload) : weir_state_del(out, i, payload_name);
    return result == WEIR_OK ? weir_state_put(out, i, same_name, value) : result;
}

static int changes_one(const struct changes *changes, const weir_batch *in, size_t i, weir_out *out)
{
    int64_t same;
    int result = same_read(out, i, in->events[i].payload, &same);
    same++;
    if (result == WEIR_OK)
        result = same_write(out, i, in->events[i].payload, same);
    if (result == WEIR_OK && (same == 0 || (changes->repeat && same % changes->repeat == 0)))
        result = weir_out_forward(out, i, NULL);
    return result;
}

/* STEP 4d. The work, on a worker thread, with a batch of events in order. What fails one event is said by
 * weir_out_fail; a result other than WEIR_OK fails the whole batch. Either way it is tried again, and is a dead
 * letter in the end. */
static int changes_call(void *self, const weir_batch *in, weir_out *out)
{
    for (size_t i = 0; i < in->count; i++) {
        int result = changes_one(self, in, i, out);
        if (result == WEIR_INVALID)
            weir_out_fail(out, i, "an event without a key has no last one to differ from");
        else if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

/* STEP 4e. The table. Without WEIR_FUNCTION_STATE the state calls are refused, and the route needs no store for it.
 */
const weir_function_ops function_template = {
    .size = sizeof(weir_function_ops),
    .type = "changes",
    .summary = "Hands an event on when its payload differs from the last one of its key.",
    .options = changes_options,
    .state_size = sizeof(struct changes),
    .flags = WEIR_FUNCTION_STATE,
    .call = changes_call,
};

#ifdef WEIR_BUILD_MODULE
static const weir_function_ops *const functions[] = {&function_template, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI,
    .size = sizeof(weir_module_info),
    .name = "changes",
    .version = "1.0.0",
    .functions = functions,
};
#endif
