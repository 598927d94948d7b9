/* bad_abi.c: built for another ABI; its tables are not to be touched. */
#include "module_parts.h"

WEIR_MODULE = {.abi = WEIR_ABI + 7,
               .size = sizeof(weir_module_info),
               .name = "future",
               .version = "9",
               .functions = (const weir_function_ops *const *)16};
