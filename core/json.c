/* json.c: finds one value in JSON text. See json.h.
 *
 * For each step of the path: the object or array at hand is walked up to the member or item wanted, and what stands
 * before it is skipped. In the end the value itself is checked.
 *
 * Fails: a step that does not fit the value (a key of a number) is a missing value, not an error. */
#include "json.h"

#include "json_private.h"

/* Past "[N]", or NULL. */
static const char *index_parse(const char *text, struct json_step *step)
{
    const char *digit = text + 1;
    while (*digit >= '0' && *digit <= '9' && digit - text <= 9)
        step->index = step->index * 10 + (size_t)(*digit++ - '0');
    return digit > text + 1 && *digit == ']' ? digit + 1 : NULL;
}

/* Past a key, or NULL. */
static const char *key_parse(const char *text, struct json_step *step)
{
    size_t size = strcspn(text, ".[");
    step->key = view_make(text, size);
    return size && size <= JSON_KEY_MAX ? text + size : NULL;
}

int json_path_parse(const char *text, struct json_path *path)
{
    const char *at = text;
    path->count = 0;
    while (*at) {
        if (path->count == JSON_STEPS_MAX)
            return WEIR_INVALID;
        struct json_step *step = &path->steps[path->count++];
        *step = (struct json_step){0};
        if (*at == '[')
            at = index_parse(at, step);
        else if (at == text || *at == '.')
            at = key_parse(at + (at > text), step);
        else
            at = NULL;
        if (!at)
            return WEIR_INVALID;
    }
    return WEIR_OK;
}

/* Past the closing quote of the string that begins at `at`, or NULL. */
static const char *string_skip(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && ++at == end)
            return NULL;
    }
    return NULL;
}

/* Past the value at `at`: brackets are only counted. NULL: the text ends inside it, or there is none. */
static const char *value_skip(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        if (at >= end)
            return NULL;
        const char *first = at;
        if (*at == '"')
            at = string_skip(at, end);
        else if (*at == '{' || *at == '[')
            at++, depth++;
        else if (depth && (*at == '}' || *at == ']'))
            at++, depth--;
        else if ((at = json_scalar(at, end)) == first)
            at = depth ? at + 1 : NULL; /* a space, comma or colon inside */
    } while (at && depth);
    return at;
}

/* A key without escapes compares as it is. One with them is longer than its text, and unescaped first; if it does
 * not fit into the buffer, no path can name it. */
static bool key_equal(weir_view raw, weir_view key)
{
    if (raw.size <= key.size + 2)
        return raw.size == key.size + 2 && memcmp(raw.data + 1, key.data, key.size) == 0 &&
               !memchr(key.data, '\\', key.size);
    if (!memchr(raw.data, '\\', raw.size))
        return false;
    char text[JSON_KEY_MAX];
    size_t length;
    return json_text(raw, text, sizeof text, &length) == WEIR_OK && view_equal(view_make(text, length), key);
}

/* After a value in an object or array: at what follows the comma; NULL and *result when it closes, or is broken. */
static const char *next_find(const char *at, const char *end, char close, int *result)
{
    at = json_space(at, end);
    *result = at < end && *at == close ? WEIR_MISSING : WEIR_INVALID;
    return at < end && *at == ',' ? json_space(at + 1, end) : NULL;
}

/* From a member's name to its value, or NULL. */
static const char *name_skip(const char *at, const char *end, weir_view *name)
{
    const char *first = at;
    at = at < end && *at == '"' ? string_skip(at, end) : NULL;
    if (!at)
        return NULL;
    *name = view_make(first, (size_t)(at - first));
    at = json_space(at, end);
    return at < end && *at == ':' ? json_space(at + 1, end) : NULL;
}

/* At the value of `key` in the object at `at`; NULL and *result when there is none. */
static const char *member_find(const char *at, const char *end, weir_view key, int *result)
{
    at = json_space(at + 1, end);
    *result = at < end && *at == '}' ? WEIR_MISSING : WEIR_INVALID;
    while (at) {
        weir_view name;
        at = name_skip(at, end, &name);
        if (!at || key_equal(name, key))
            return at;
        at = value_skip(at, end);
        if (at)
            at = next_find(at, end, '}', result);
    }
    return NULL;
}

static const char *item_find(const char *at, const char *end, size_t index, int *result)
{
    at = json_space(at + 1, end);
    *result = at < end && *at == ']' ? WEIR_MISSING : WEIR_INVALID;
    if (*result == WEIR_MISSING)
        return NULL;
    while (at && index--) {
        at = value_skip(at, end);
        if (at)
            at = next_find(at, end, ']', result);
    }
    return at;
}

static enum json_type value_type(char first)
{
    switch (first) {
    case '"':
        return JSON_STRING;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 'n':
        return JSON_NULL;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    default:
        return JSON_NUMBER;
    }
}

/* A value that the path does not go into: is it one at all? Brackets are only skipped. */
static int value_unfit(const char *at, const char *end)
{
    const char *after = value_skip(at, end);
    if (!after)
        return WEIR_INVALID;
    bool scalar = *at != '{' && *at != '[';
    return !scalar || json_check(view_make(at, (size_t)(after - at))) ? WEIR_MISSING : WEIR_INVALID;
}

int json_find(weir_view document, const struct json_path *path, weir_view *raw, enum json_type *type)
{
    if (!document.data)
        return WEIR_INVALID;
    const char *end = document.data + document.size, *at = json_space(document.data, end);
    for (size_t i = 0; i < path->count; i++) {
        const struct json_step *step = &path->steps[i];
        int result;
        if (at >= end)
            return WEIR_INVALID;
        if (*at != (step->key.data ? '{' : '['))
            return value_unfit(at, end);
        at = step->key.data ? member_find(at, end, step->key, &result) : item_find(at, end, step->index, &result);
        if (!at)
            return result;
    }
    const char *after = value_skip(at, end);
    if (!after || !json_check(view_make(at, (size_t)(after - at))))
        return WEIR_INVALID;
    *raw = view_make(at, (size_t)(after - at));
    *type = value_type(*at);
    return WEIR_OK;
}
