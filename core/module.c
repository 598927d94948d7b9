/* module.c: opens a shared object and takes over its tables.
 *
 * 1. The file must exist and be a regular file; dlopen binds everything now and keeps its symbols to itself.
 * 2. weir_module must be there, with our ABI number and a sane size; only then is the rest of it read.
 * 3. Each table is copied into one of our size, zero where the module's ends, and checked.
 *
 * dlopen runs the constructors of the shared object; nothing else of it runs here. */
#include "module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base.h"

#define TABLE_MAX 4096
#define KINDS_MAX 256

/* How to copy one sort of table. */
struct kind {
    const char *sort;
    size_t size, least; /* of our table; up to the last slot that must be there */
    int (*check)(const void *ops, struct error *error);
};

static int source_check(const void *ops, struct error *error)
{
    return module_check_source(ops, error);
}

static int sink_check(const void *ops, struct error *error)
{
    return module_check_sink(ops, error);
}

static int function_check(const void *ops, struct error *error)
{
    return module_check_function(ops, error);
}

static const struct kind kinds[3] = {
    {"source", sizeof(weir_source_ops), offsetof(weir_source_ops, fini) + sizeof(void (*)(void)), source_check},
    {"sink", sizeof(weir_sink_ops), offsetof(weir_sink_ops, fini) + sizeof(void (*)(void)), sink_check},
    {"function", sizeof(weir_function_ops), offsetof(weir_function_ops, fini), function_check}};

static int table_copy(const struct kind *kind, const void *from, void **to, struct error *error)
{
    size_t size;

    memcpy(&size, from, sizeof(size)); /* the first member of every table */
    if (size < kind->least || size > TABLE_MAX)
        return error_set(error, WEIR_INVALID, "the table of a %s says it has %zu bytes; expected %zu..%d",
                         kind->sort, size, kind->least, TABLE_MAX);
    *to = calloc(1, kind->size);
    if (*to == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    memcpy(*to, from, size_min(size, kind->size));
    return kind->check(*to, error);
}

/* Both tables begin {size, type}. */
static const char *table_type(const void *ops)
{
    CHECK(ops != NULL);
    return ((const weir_function_ops *)ops)->type;
}

/* *copies gets a NULL-ended list; what was copied before a fault is in it too. */
static int tables_copy(const struct kind *kind, const void *const *list, const void ***copies, struct error *error)
{
    size_t count = 0;
    void *table;
    int result;

    while (list != NULL && list[count] != NULL)
        if (++count > KINDS_MAX)
            return error_set(error, WEIR_INVALID, "the list of %ss has no end", kind->sort);
    *copies = calloc(count + 1, sizeof(**copies));
    if (*copies == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        table = NULL;
        result = table_copy(kind, list[i], &table, error);
        (*copies)[i] = table;
        if (result != WEIR_OK)
            return result;
        for (size_t j = 0; j < i; j++)
            if (strcmp(table_type((*copies)[j]), table_type(table)) == 0)
                return error_set(error, WEIR_INVALID, "%s %s is there twice", kind->sort, table_type(table));
    }
    return WEIR_OK;
}

static int info_check(const weir_module_info *info, struct error *error)
{
    if (info->abi != WEIR_ABI)
        return error_set(error, WEIR_INVALID,
                         "was built for ABI %u, this weir has ABI %u; build it with this weir's headers", info->abi,
                         WEIR_ABI);
    if (info->size < sizeof(*info) || info->size > TABLE_MAX)
        return error_set(error, WEIR_INVALID, "weir_module says it has %zu bytes; expected %zu..%d", info->size,
                         sizeof(*info), TABLE_MAX);
    if (info->name == NULL || info->version == NULL)
        return error_set(error, WEIR_INVALID, "weir_module has no name or no version");
    return WEIR_OK;
}

static int module_take(struct module *module, const weir_module_info *info, struct error *error)
{
    int result = info_check(info, error);

    if (result == WEIR_OK) {
        module->name = info->name;
        module->version = info->version;
        result =
            tables_copy(&kinds[0], (const void *const *)info->sources, (const void ***)&module->sources, error);
    }
    if (result == WEIR_OK)
        result = tables_copy(&kinds[1], (const void *const *)info->sinks, (const void ***)&module->sinks, error);
    if (result == WEIR_OK)
        result =
            tables_copy(&kinds[2], (const void *const *)info->functions, (const void ***)&module->functions, error);
    if (result == WEIR_OK && module->sources[0] == NULL && module->sinks[0] == NULL && module->functions[0] == NULL)
        result = error_set(error, WEIR_INVALID, "exports no source, sink or function");
    return result;
}

static const weir_module_info *info_open(const char *path, struct error *error)
{
    const weir_module_info *info;
    struct stat file;
    void *handle;

    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode)) {
        error_set(error, WEIR_MISSING, "%s", errno != 0 ? strerror(errno) : "is no file");
        return NULL;
    }
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        error_set(error, WEIR_INVALID, "cannot be loaded: %s", dlerror());
        return NULL;
    }
    info = dlsym(handle, "weir_module");
    if (info == NULL) {
        error_set(error, WEIR_MISSING,
                  "is no module of weir: it has no symbol weir_module (see WEIR_MODULE in weir.h)");
        dlclose(handle);
    }
    return info;
}

int module_wrap(const weir_module_info *info, const char *path, struct module **module, struct error *error)
{
    struct module *m;
    int result;

    *module = NULL;
    m = calloc(1, sizeof(*m));
    if (m == NULL || (m->path = strdup(path)) == NULL) {
        free(m);
        return error_set(error, WEIR_NOMEM, "out of memory");
    }
    result = module_take(m, info, error);
    if (result != WEIR_OK) {
        error_prefix(error, "%s", path);
        module_free(m);
        return result;
    }
    *module = m;
    return WEIR_OK;
}

int module_open(const char *path, struct module **module, struct error *error)
{
    const weir_module_info *info;
    struct error unheard;

    *module = NULL;
    if (error == NULL)
        error = &unheard;
    errno = 0;
    info = info_open(path, error);
    if (info != NULL)
        return module_wrap(info, path, module, error);
    error_prefix(error, "%s", path);
    return error->code;
}

static void tables_free(const void **tables)
{
    for (size_t i = 0; tables != NULL && tables[i] != NULL; i++)
        free((void *)(uintptr_t)tables[i]);
    free(tables);
}

void module_free(struct module *module)
{
    if (module == NULL)
        return;
    tables_free((const void **)module->sources);
    tables_free((const void **)module->sinks);
    tables_free((const void **)module->functions);
    free(module->path);
    free(module);
}
