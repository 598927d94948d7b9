/* yaml_expand.c: variables of the environment inside a scalar.
 *
 * ${NAME} becomes the value, ${NAME:-default} the default when NAME is unset or empty, $${ a literal ${. Any other
 * $ stays. Nothing is expanded twice: a value that holds ${ stays as it is.
 *
 * Fails by a bad name, a missing }, an unset variable without default, or a result past EXPAND_MAX. */
#include <stdlib.h>

#include "base.h"
#include "yaml_tree.h"

#define EXPAND_MAX ((size_t)1 << 20)

struct expansion {
    const char *at, *end;
    char *to; /* NULL: only measure */
    size_t size;
};

static void expansion_put(struct expansion *x, const char *data, size_t size)
{
    if (x->to != NULL)
        memcpy(x->to + x->size, data, size);
    x->size += size;
}

static size_t name_length(const char *at, const char *end)
{
    size_t n = 0;

    while (at + n < end && (at[n] == '_' || (at[n] >= 'A' && at[n] <= 'Z') || (at[n] >= 'a' && at[n] <= 'z') ||
                            (n > 0 && at[n] >= '0' && at[n] <= '9')))
        n++;
    return n;
}

/* x->at is behind "${". */
static int expansion_variable(struct expansion *x, struct error *error)
{
    const char *close = memchr(x->at, '}', (size_t)(x->end - x->at));
    size_t length = name_length(x->at, x->end);
    const char *rest = x->at + length, *value;
    char name[256];

    if (close == NULL)
        return error_set(error, WEIR_INVALID, "\"${\" has no closing \"}\"; write $${ for a literal ${");
    if (length == 0 || length >= sizeof(name) ||
        (rest != close && (rest + 1 >= close || memcmp(rest, ":-", 2) != 0)))
        return error_set(error, WEIR_INVALID,
                         "\"${%.*s}\" is no variable; write ${NAME} or ${NAME:-default}, or $${ for a literal ${",
                         (int)size_min((size_t)(close - x->at), 60), x->at);
    memcpy(name, x->at, length);
    name[length] = '\0';
    x->at = close + 1;
    value = getenv(name);
    if (rest != close && (value == NULL || *value == '\0')) {
        expansion_put(x, rest + 2, (size_t)(close - rest - 2));
        return WEIR_OK;
    }
    if (value == NULL)
        return error_set(error, WEIR_INVALID,
                         "the environment variable %s is not set; set it, or give a default: ${%s:-default}", name,
                         name);
    expansion_put(x, value, strlen(value));
    return WEIR_OK;
}

static int expansion_run(struct expansion *x, struct error *error)
{
    while (x->at < x->end) {
        const char *dollar = memchr(x->at, '$', (size_t)(x->end - x->at));
        size_t plain = (size_t)((dollar != NULL ? dollar : x->end) - x->at);
        size_t left;
        int result = WEIR_OK;

        expansion_put(x, x->at, plain);
        x->at += plain;
        left = (size_t)(x->end - x->at);
        if (left >= 3 && memcmp(x->at, "$${", 3) == 0) {
            expansion_put(x, "${", 2);
            x->at += 3;
        } else if (left >= 2 && x->at[1] == '{') {
            x->at += 2;
            result = expansion_variable(x, error);
        } else if (left > 0) {
            expansion_put(x, x->at++, 1);
        }
        if (result == WEIR_OK && x->size > EXPAND_MAX)
            result = error_set(error, WEIR_INVALID, "is longer than 1MiB with its variables");
        if (result != WEIR_OK)
            return result;
    }
    return WEIR_OK;
}

const char *yaml_expand(weir_view text, struct arena *arena, struct error *error)
{
    struct expansion measure = {text.data, text.data + text.size, NULL, 0};
    struct expansion write = measure;

    if (expansion_run(&measure, error) != WEIR_OK)
        return NULL;
    write.to = arena_alloc(arena, measure.size + 1);
    if (write.to == NULL) {
        error_set(error, WEIR_NOMEM, "out of memory");
        return NULL;
    }
    expansion_run(&write, NULL); /* cannot fail: the same text and environment were just measured */
    write.to[write.size] = '\0';
    return write.to;
}
