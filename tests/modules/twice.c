/* twice.c: a module with one name for two functions. */
#include "module_parts.h"

PART_FUNCTION(same);
static const weir_function_ops *const functions[] = {&same, &same, NULL};
PART_MODULE(functions);
