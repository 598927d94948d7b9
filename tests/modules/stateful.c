/* stateful.c: a module with a single function that keeps state. */
#include "module_parts.h"

static const weir_function_ops stateful = {.size = sizeof(stateful),
                                           .type = "stateful",
                                           .summary = "Keeps state.",
                                           .state_size = 8,
                                           .flags = WEIR_FUNCTION_STATE,
                                           .call = part_call};
static const weir_function_ops *const functions[] = {&stateful, NULL};
PART_MODULE(functions);
