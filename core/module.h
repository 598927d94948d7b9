/* module.h: a shared object with sources, sinks or functions, checked before anything of it is called.
 *
 * A table may be smaller than ours (older: the members missing at its end count as zero) or larger (newer: what we
 * do not know is left alone); either way a table of our size is handed out. Modules are never unloaded. */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include "error.h"
#include "weir_plugin.h"

struct module {
    char *path; /* absolute */
    const char *name, *version;
    const weir_source_ops **sources; /* NULL-ended, never NULL itself */
    const weir_sink_ops **sinks;
    const weir_function_ops **functions;
};

/* WEIR_OK; WEIR_MISSING: no such file or symbol; WEIR_INVALID: not for this weir, or not well formed. */
int module_open(const char *path, struct module **module, struct error *error);
/* The same of a table that the program holds itself; path: how errors call it. */
int module_wrap(const weir_module_info *info, const char *path, struct module **module, struct error *error);
void module_free(struct module *module); /* the tables; the shared object stays */

/* The checks of module_open for one table, also for what is built in: name, flags, required slots, option rows and
 * their defaults. */
int module_check_source(const weir_source_ops *ops, struct error *error);
int module_check_sink(const weir_sink_ops *ops, struct error *error);
int module_check_function(const weir_function_ops *ops, struct error *error);

#endif
