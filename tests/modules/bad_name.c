/* bad_name.c: a function whose type is no name. */
#include "module_parts.h"

static const weir_function_ops bad = {
    .size = sizeof(bad), .type = "../bad", .summary = "Has a bad name.", .call = part_call};
static const weir_function_ops *const functions[] = {&bad, NULL};
PART_MODULE(functions);
