/* nothing.c: a module that exports nothing. */
#include "module_parts.h"

PART_MODULE(NULL);
