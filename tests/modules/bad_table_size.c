/* bad_table_size.c: a function whose table ends before `call`. */
#include "module_parts.h"

static const weir_function_ops cut = {
    .size = offsetof(weir_function_ops, call), .type = "cut", .summary = "Is cut off.", .call = part_call};
static const weir_function_ops *const functions[] = {&cut, NULL};
PART_MODULE(functions);
