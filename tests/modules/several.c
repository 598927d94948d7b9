/* several.c: a module with several functions, so that one must be named. */
#include "module_parts.h"

PART_FUNCTION(first);
PART_FUNCTION(second);
static const weir_function_ops *const functions[] = {&first, &second, NULL};
PART_MODULE(functions);
