/* no_slot.c: a sink without `write`. */
#include "module_parts.h"

static const weir_sink_ops no_slot = {.size = sizeof(no_slot),
                                      .type = "no_slot",
                                      .summary = "Cannot write.",
                                      .init = part_init,
                                      .start = part_start,
                                      .stop = part_end,
                                      .fini = part_end};
static const weir_sink_ops *const sinks[] = {&no_slot, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "no_slot", .version = "1", .sinks = sinks};
