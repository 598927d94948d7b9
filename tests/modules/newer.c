/* newer.c: tables that go on behind what this weir knows. */
#include "module_parts.h"

static const struct {
    weir_function_ops known;
    uintptr_t more[4];
} newer = {.known = {.size = sizeof(newer), .type = "newer", .summary = "Knows more.", .call = part_call},
           .more = {1, 2, 3, 4}};
static const weir_function_ops *const functions[] = {&newer.known, NULL};
struct weir_module_longer {
    weir_module_info known;
    uintptr_t more[2];
};
__attribute__((visibility("default")))
const struct weir_module_longer weir_module = {.known = {.abi = WEIR_ABI,
                                                         .size = sizeof(struct weir_module_longer),
                                                         .name = "newer",
                                                         .version = "2",
                                                         .functions = functions},
                                               .more = {1, 2}};
