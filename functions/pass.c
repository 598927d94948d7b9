/* pass.c: the function `pass`: hands every event on as it is. It measures what a route costs without work, and
 * stands where a configuration needs a function but no change. */
#include "weir_plugin.h"

static int pass_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    for (size_t i = 0; i < in->count; i++) {
        int result = weir_out_forward(out, i, NULL);
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

const weir_function_ops function_pass = {
    .size = sizeof(weir_function_ops),
    .type = "pass",
    .summary = "Hands every event on as it is.",
    .flags = WEIR_FUNCTION_CHEAP,
    .call = pass_call,
};
