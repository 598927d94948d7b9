/* bad_row.c: an option whose member lies behind the state. */
#include "module_parts.h"

static const weir_option rows[] = {
    {.name = "far", .type = WEIR_OPTION_RANGE, .offset = 8, .help = "Lies half outside."}, {0}};
static const weir_function_ops bad_row = {.size = sizeof(bad_row),
                                          .type = "bad_row",
                                          .summary = "Would write where it must not.",
                                          .options = rows,
                                          .state_size = 16,
                                          .call = part_call};
static const weir_function_ops *const functions[] = {&bad_row, NULL};
PART_MODULE(functions);
