/* bad_size.c: a weir_module that is too small to be one. */
#include "module_parts.h"

PART_FUNCTION(small);
static const weir_function_ops *const functions[] = {&small, NULL};
WEIR_MODULE = {.abi = WEIR_ABI, .size = 16, .name = "small", .version = "1", .functions = functions};
