/* undefined.c: a module that wants a symbol of the executable. */
#include "module_parts.h"

int weir_has_no_such_function(void);

static int undefined_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    (void)in;
    (void)out;
    return weir_has_no_such_function();
}

static const weir_function_ops undefined = {
    .size = sizeof(undefined), .type = "undefined", .summary = "Cannot be bound.", .call = undefined_call};
static const weir_function_ops *const functions[] = {&undefined, NULL};
PART_MODULE(functions);
