/* registry.c: finds the kind that a configuration names.
 *
 * 1. `module:` given: that file is opened (once), and the kind is looked up in it.
 * 2. Else the built-ins, then weir's own modules that are open, then <folder>/<type>.so.
 *
 * Fails with what is known and the nearest name, or with what is wrong with the module. */
#include "registry.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base.h"
#include "module.h"
#include "option.h"

#define NAMES_MAX 512
#define PROGRAM "this program" /* the path of a module that is no file */

struct opened {
    struct opened *next;
    struct module *module;
    bool own; /* of the folder of weir's own modules: found by type */
};

struct callback {
    struct callback *next;
    weir_function_ops ops;
    void *user;
    char type[];
};

struct registry {
    char *folder;
    struct opened *modules;
    struct callback *calls;
};

enum sort { SORT_SOURCE, SORT_SINK, SORT_FUNCTION };
static const char *const sort_names[] = {"source", "sink", "function"};

/* Every table begins {size, type, summary, options}. */
static const weir_function_ops *table_head(const void *ops)
{
    return ops;
}

static const void *const *sort_builtin(enum sort sort)
{
    return sort == SORT_SOURCE ? (const void *const *)builtin_sources
           : sort == SORT_SINK ? (const void *const *)builtin_sinks
                               : (const void *const *)builtin_functions;
}

static const void *const *sort_tables(const struct module *module, enum sort sort)
{
    return sort == SORT_SOURCE ? (const void *const *)module->sources
           : sort == SORT_SINK ? (const void *const *)module->sinks
                               : (const void *const *)module->functions;
}

static char *folder_find(void)
{
    const char *set = getenv("WEIR_MODULES");
    char exe[PATH_MAX], path[PATH_MAX + 20];
    ssize_t n;
    char *slash;

    if (set != NULL && *set != '\0')
        return strdup(set);
    n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    exe[n > 0 ? n : 0] = '\0';
    slash = strrchr(exe, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(path, sizeof(path), "%s/../lib/weir", exe);
    if (access(path, R_OK | X_OK) != 0)
        snprintf(path, sizeof(path), "%s/lib/weir", exe);
    return strdup(path);
}

struct registry *registry_new(const char *folder)
{
    struct registry *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->folder = folder != NULL ? strdup(folder) : folder_find();
    if (r->folder == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    while (registry->modules != NULL) {
        struct opened *next = registry->modules->next;

        module_free(registry->modules->module);
        free(registry->modules);
        registry->modules = next;
    }
    while (registry->calls != NULL) {
        struct callback *next = registry->calls->next;

        free(registry->calls);
        registry->calls = next;
    }
    free(registry->folder);
    free(registry);
}

static const struct module *registry_open(struct registry *r, const char *path, bool own, struct error *error)
{
    char real[PATH_MAX];
    struct opened *o;

    if (realpath(path, real) == NULL)
        snprintf(real, sizeof(real), "%s", path);
    for (o = r->modules; o != NULL; o = o->next)
        if (strcmp(o->module->path, real) == 0) {
            o->own = o->own || own;
            return o->module;
        }
    o = calloc(1, sizeof(*o));
    if (o == NULL) {
        error_set(error, WEIR_NOMEM, "out of memory");
        return NULL;
    }
    if (module_open(real, &o->module, error) != WEIR_OK) {
        free(o);
        return NULL;
    }
    o->own = own;
    o->next = r->modules;
    r->modules = o;
    return o->module;
}

static const void *table_find(const void *const *tables, const char *type)
{
    for (; *tables != NULL; tables++)
        if (strcmp(table_head(*tables)->type, type) == 0)
            return *tables;
    return NULL;
}

static size_t tables_names(const void *const *tables, const char **names, size_t room)
{
    size_t count = 0;

    for (; count < room && tables[count] != NULL; count++)
        names[count] = table_head(tables[count])->type;
    return count;
}

/* "a, b, c; did you mean a?" */
static void names_write(const char *const *names, size_t count, const char *word, struct error *error)
{
    const char *nearest = option_nearest(word, names, count);
    size_t used = strlen(error->text), room = sizeof(error->text);

    if (nearest != NULL)
        used += (size_t)snprintf(error->text + used, room - used, "did you mean %s? known: ", nearest);
    else
        used += (size_t)snprintf(error->text + used, room - used, "known: ");
    for (size_t i = 0; i < count && used < room; i++)
        used += (size_t)snprintf(error->text + used, room - used, "%s%s", i > 0 ? ", " : "", names[i]);
}

static const void *module_lookup(const struct module *module, enum sort sort, const char *type, struct error *error)
{
    const void *const *tables = sort_tables(module, sort);
    const void *found = type != NULL ? table_find(tables, type) : tables[0];
    const char *names[NAMES_MAX];
    size_t count = tables_names(tables, names, NAMES_MAX);

    if (found != NULL && (type != NULL || count == 1))
        return found;
    if (count == 0) {
        error_set(error, WEIR_MISSING, "%s has no %s", module->path, sort_names[sort]);
        return NULL;
    }
    if (type != NULL)
        error_set(error, WEIR_MISSING, "%s has no %s \"%.64s\"; ", module->path, sort_names[sort], type);
    else
        error_set(error, WEIR_MISSING, "%s has several %ss, name one; ", module->path, sort_names[sort]);
    names_write(names, count, type != NULL ? type : "", error);
    return NULL;
}

/* Why the build left a kind out, or NULL. */
static const char *left_out(const char *type, size_t *length)
{
    for (const char *line = builtin_left_out; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t name = strcspn(line, "\t");

        if (strlen(type) == name && strncmp(line, type, name) == 0) {
            *length = strcspn(line + name + 1, "\n");
            return line + name + 1;
        }
        if (strchr(line, '\n') == NULL)
            break;
    }
    return NULL;
}

static bool type_valid(const char *type)
{
    return *type != '\0' && strlen(type) <= 64 &&
           strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(type);
}

static int module_file(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0;
}

/* What is built in, and what the program itself brings. */
static size_t names_known(const struct registry *r, enum sort sort, const char **names, size_t room)
{
    size_t count = tables_names(sort_builtin(sort), names, room);

    for (const struct opened *o = r->modules; o != NULL; o = o->next)
        if (strcmp(o->module->path, PROGRAM) == 0)
            count += tables_names(sort_tables(o->module, sort), names + count, room - count);
    return count;
}

/* Unknown type: says what could have been meant, modules that were not opened by their file name. */
static void type_refuse(const struct registry *r, enum sort sort, const char *type, struct error *error)
{
    const char *names[NAMES_MAX], *reason;
    size_t count = names_known(r, sort, names, NAMES_MAX / 2), length = 0;
    struct dirent **files = NULL;
    int n = scandir(r->folder, &files, module_file, alphasort);

    reason = left_out(type, &length);
    if (reason != NULL) {
        error_set(error, WEIR_MISSING, "%s \"%.64s\" was left out of this build: %.*s", sort_names[sort], type,
                  (int)length, reason);
    } else {
        for (int i = 0; i < n && count < NAMES_MAX; i++) {
            files[i]->d_name[strlen(files[i]->d_name) - 3] = '\0';
            names[count++] = files[i]->d_name;
        }
        error_set(error, WEIR_MISSING, "there is no %s of type \"%.64s\"; ", sort_names[sort], type);
        names_write(names, count, type, error);
    }
    for (int i = 0; i < n; i++)
        free(files[i]);
    free(files);
}

/* A kind that needs no file to be opened. */
static const void *known_find(const struct registry *r, enum sort sort, const char *type)
{
    const void *found = table_find(sort_builtin(sort), type);

    for (const struct opened *o = r->modules; o != NULL && found == NULL; o = o->next)
        if (o->own)
            found = table_find(sort_tables(o->module, sort), type);
    for (const struct callback *c = r->calls; c != NULL && found == NULL && sort == SORT_FUNCTION; c = c->next)
        if (strcmp(c->type, type) == 0)
            found = &c->ops;
    return found;
}

static const void *type_lookup(struct registry *r, enum sort sort, const char *type, struct error *error)
{
    const void *found = known_find(r, sort, type);
    const struct module *module;
    char path[PATH_MAX];

    if (found != NULL)
        return found;
    snprintf(path, sizeof(path), "%s/%.64s.so", r->folder, type);
    if (!type_valid(type) || access(path, F_OK) != 0) {
        type_refuse(r, sort, type, error);
        return NULL;
    }
    module = registry_open(r, path, true, error);
    return module != NULL ? module_lookup(module, sort, type, error) : NULL;
}

static const void *registry_find(struct registry *r, enum sort sort, const char *type, const char *path,
                                 struct error *error)
{
    const struct module *module;
    struct error unheard;

    if (error == NULL)
        error = &unheard;
    if (path == NULL && type != NULL)
        return type_lookup(r, sort, type, error);
    if (path == NULL) {
        error_set(error, WEIR_INVALID, "neither a type nor a module is named");
        return NULL;
    }
    module = registry_open(r, path, false, error);
    return module != NULL ? module_lookup(module, sort, type, error) : NULL;
}

const weir_source_ops *registry_source(struct registry *r, const char *type, const char *module,
                                       struct error *error)
{
    return registry_find(r, SORT_SOURCE, type, module, error);
}

const weir_sink_ops *registry_sink(struct registry *r, const char *type, const char *module, struct error *error)
{
    return registry_find(r, SORT_SINK, type, module, error);
}

const weir_function_ops *registry_function(struct registry *r, const char *type, const char *module,
                                           struct error *error)
{
    return registry_find(r, SORT_FUNCTION, type, module, error);
}

static int module_unique(const struct registry *r, const struct module *module, struct error *error)
{
    for (int sort = SORT_SOURCE; sort <= SORT_FUNCTION; sort++)
        for (const void *const *at = sort_tables(module, (enum sort)sort); *at != NULL; at++)
            if (known_find(r, (enum sort)sort, table_head(*at)->type) != NULL)
                return error_set(error, WEIR_INVALID, "there is a %s of type \"%.64s\" already; rename yours",
                                 sort_names[sort], table_head(*at)->type);
    return WEIR_OK;
}

int registry_add(struct registry *r, const weir_module_info *info, struct error *error)
{
    struct opened *o = calloc(1, sizeof(*o));
    int result;

    if (o == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    result = module_wrap(info, PROGRAM, &o->module, error);
    if (result == WEIR_OK)
        result = module_unique(r, o->module, error);
    if (result != WEIR_OK) {
        module_free(o->module);
        free(o);
        return result;
    }
    o->own = true;
    o->next = r->modules;
    r->modules = o;
    return WEIR_OK;
}

int registry_add_call(struct registry *r, const struct registry_call *call, struct error *error)
{
    struct callback *c = calloc(1, sizeof(*c) + strlen(call->type) + 1);
    int result;

    if (c == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    memcpy(c->type, call->type, strlen(call->type) + 1);
    c->user = call->user;
    c->ops = (weir_function_ops){.size = sizeof(c->ops),
                                 .type = c->type,
                                 .summary = "A callback of the program that runs weir.",
                                 .flags = call->flags,
                                 .call = call->call};
    result = module_check_function(&c->ops, error);
    if (result == WEIR_OK && known_find(r, SORT_FUNCTION, c->type) != NULL)
        result =
            error_set(error, WEIR_INVALID, "there is a function of type \"%.64s\" already; rename yours", c->type);
    if (result != WEIR_OK) {
        free(c);
        return result;
    }
    c->next = r->calls;
    r->calls = c;
    return WEIR_OK;
}

bool registry_user(const struct registry *r, const weir_function_ops *ops, void **user)
{
    for (const struct callback *c = r->calls; c != NULL; c = c->next)
        if (ops == &c->ops) {
            *user = c->user;
            return true;
        }
    return false;
}

struct walk {
    registry_visit *visit;
    void *arg;
};

static void tables_visit(const struct walk *walk, enum sort sort, const void *const *tables, const char *where)
{
    for (; *tables != NULL; tables++) {
        const weir_function_ops *head = table_head(*tables);
        const weir_option *options = sort == SORT_SOURCE ? ((const weir_source_ops *)*tables)->options
                                     : sort == SORT_SINK ? ((const weir_sink_ops *)*tables)->options
                                                         : head->options;

        walk->visit(walk->arg, sort_names[sort], head->type, head->summary, options, where);
    }
}

static void module_visit(struct registry *r, const struct walk *walk, const char *name)
{
    const struct module *module;
    struct error error;
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", r->folder, name);
    module = registry_open(r, path, true, &error);
    if (module == NULL) {
        walk->visit(walk->arg, "broken", name, error.text, NULL, path);
        return;
    }
    for (int sort = SORT_SOURCE; sort <= SORT_FUNCTION; sort++)
        tables_visit(walk, (enum sort)sort, sort_tables(module, (enum sort)sort), module->path);
}

void registry_each(struct registry *r, registry_visit *visit, void *arg)
{
    struct walk walk = {visit, arg};
    struct dirent **files = NULL;
    int n = scandir(r->folder, &files, module_file, alphasort);

    for (int sort = SORT_SOURCE; sort <= SORT_FUNCTION; sort++)
        tables_visit(&walk, (enum sort)sort, sort_builtin((enum sort)sort), "built in");
    for (int i = 0; i < n; i++) {
        module_visit(r, &walk, files[i]->d_name);
        free(files[i]);
    }
    free(files);
}
