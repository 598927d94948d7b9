/* one.c: a module with a single function that needs no options. */
#include "module_parts.h"

PART_FUNCTION(one);
static const weir_function_ops *const functions[] = {&one, NULL};
PART_MODULE(functions);
