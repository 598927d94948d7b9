/* registry.h: every kind of source, sink and function that this process knows: built in, or from modules.
 *
 * The table of built-ins is written by the build. Modules of weir itself lie in lib/weir and are loaded only when a
 * configuration names a type they may hold: <type>.so; anyone's module is named by `module:`. module_open checks
 * symbol, ABI number and sizes before anything of it runs; modules are never unloaded. */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <stdbool.h>

#include "error.h"
#include "weir_plugin.h"

/* Written by the build (build/builtin.c). */
extern const weir_source_ops *const builtin_sources[];
extern const weir_sink_ops *const builtin_sinks[];
extern const weir_function_ops *const builtin_functions[];
extern const char builtin_left_out[]; /* "name\treason\n"... */

struct registry;
struct registry_call {
    const char *type;
    int (*call)(void *user, const weir_batch *in, weir_out *out);
    void *user;
    uint32_t flags; /* WEIR_FUNCTION_* */
};
/* folder: where weir's own modules lie; NULL: $WEIR_MODULES, else ../lib/weir or lib/weir beside the executable. */
struct registry *registry_new(const char *folder);
void registry_free(struct registry *registry);

/* The kind named `type`: built in, from a module already open, or from <folder>/<type>.so. module != NULL: from
 * that file (type may be NULL when it exports exactly one of that sort). Errors name what is known and the nearest.
 */
const weir_source_ops *registry_source(struct registry *r, const char *type, const char *module,
                                       struct error *error);
const weir_sink_ops *registry_sink(struct registry *r, const char *type, const char *module, struct error *error);
const weir_function_ops *registry_function(struct registry *r, const char *type, const char *module,
                                           struct error *error);

/* What the program itself brings, in the form in which a shared object exports it: checked the same way, then found
 * by type like what is built in. The tables it points to must outlive the registry. WEIR_INVALID with error: not
 * well formed, or a type is there already. */
int registry_add(struct registry *r, const weir_module_info *info, struct error *error);
/* A function that is one callback, which gets `user` as its self. */
int registry_add_call(struct registry *r, const struct registry_call *call, struct error *error);
/* Whether `ops` is such a callback's, and its user. */
bool registry_user(const struct registry *r, const weir_function_ops *ops, void **user);

/* For `weir list` and `weir help`: opens every module of the folder; visits all. sort: "source", "sink",
 * "function", or "broken" for a module that cannot be opened (type: its file name, summary: why). where: "built in"
 * or a file. */
typedef void registry_visit(void *arg, const char *sort, const char *type, const char *summary,
                            const weir_option *options, const char *where);
void registry_each(struct registry *r, registry_visit *visit, void *arg);

#endif
