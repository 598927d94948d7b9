/* bad_flag.c: a function with a flag of the future. */
#include "module_parts.h"

static const weir_function_ops bad_flag = {.size = sizeof(bad_flag),
                                           .type = "bad_flag",
                                           .summary = "Asks for what is not there.",
                                           .flags = 1u << 30,
                                           .call = part_call};
static const weir_function_ops *const functions[] = {&bad_flag, NULL};
PART_MODULE(functions);
