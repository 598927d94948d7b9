/* bad_default.c: an option whose default is out of its range. */
#include "module_parts.h"

static const weir_option rows[] = {
    {.name = "wait", .type = WEIR_OPTION_DURATION, .fallback = "2h", .min = 1, .max = 1000, .help = "Too long."},
    {0}};
static const weir_function_ops bad_default = {.size = sizeof(bad_default),
                                              .type = "bad_default",
                                              .summary = "Refuses its own default.",
                                              .options = rows,
                                              .state_size = 8,
                                              .call = part_call};
static const weir_function_ops *const functions[] = {&bad_default, NULL};
PART_MODULE(functions);
