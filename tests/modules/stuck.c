/* stuck.c: a function whose call never returns. */
#include <unistd.h>

#include "weir_plugin.h"

static int stuck_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    (void)in;
    (void)out;
    for (;;)
        pause();
    return WEIR_OK;
}

static const weir_function_ops stuck = {
    .size = sizeof(stuck), .type = "stuck", .summary = "Never comes back.", .call = stuck_call};
static const weir_function_ops *const functions[] = {&stuck, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "stuck", .version = "1", .functions = functions};
