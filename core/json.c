/* json.c: see json.h. */
#include "json.h"

#include <stdlib.h>

int json_path_parse(const char *text, struct json_path *path)
{
    path->count = 0;
    while (*text) {
        if (path->count == JSON_STEPS_MAX)
            return WEIR_INVALID;
        struct json_step *step = &path->steps[path->count++];
        *step = (struct json_step){0};
        if (*text == '[') {
            char *end;
            step->index = strtoul(text + 1, &end, 10);
            if (text[1] < '0' || text[1] > '9' || *end != ']')
                return WEIR_INVALID;
            text = end + 1;
        } else {
            size_t size = strcspn(text, ".[");
            if (!size)
                return WEIR_INVALID;
            step->key = view_make(text, size);
            text += size;
        }
        if (*text == '.' && *++text == '\0')
            return WEIR_INVALID;
    }
    return WEIR_OK;
}

static const char *space_skip(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Past the closing quote of the string that begins at `at`, or NULL. */
static const char *string_skip(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at < end ? at + 1 : NULL;
}

static bool scalar_byte(char c)
{
    return c != ',' && c != ']' && c != '}' && c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '"' && c != '[' &&
           c != '{' && c != ':';
}

/* Past the value at `at`: brackets are only counted. NULL: the text ends inside it. */
static const char *value_skip(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        if (at >= end)
            return NULL;
        if (*at == '"') {
            at = string_skip(at, end);
            if (!at)
                return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (!depth--)
                return NULL;
            at++;
        } else if (depth && !scalar_byte(*at)) {
            at++;
        } else {
            const char *first = at;
            while (at < end && scalar_byte(*at))
                at++;
            if (at == first)
                return NULL;
        }
    } while (depth);
    return at;
}

/* A key without escapes compares as it is; one with them is unescaped first, if it can be long enough to matter. */
static bool key_equal(weir_view raw, weir_view key)
{
    if (!memchr(raw.data, '\\', raw.size))
        return raw.size == key.size + 2 && memcmp(raw.data + 1, key.data, key.size) == 0;
    char text[512];
    size_t length;
    return json_text(raw, text, sizeof text, &length) == WEIR_OK && length == key.size &&
           memcmp(text, key.data, key.size) == 0;
}

/* At the value of `key` in the object at `at`; NULL and *result when there is none. */
static const char *member_find(const char *at, const char *end, weir_view key, int *result)
{
    *result = WEIR_INVALID;
    at = space_skip(at + 1, end);
    if (at < end && *at == '}')
        *result = WEIR_MISSING;
    while (at < end && *at == '"') {
        const char *name = at;
        at = string_skip(at, end);
        if (!at)
            return NULL;
        bool found = key_equal(view_make(name, (size_t)(at - name)), key);
        at = space_skip(at, end);
        if (at >= end || *at != ':')
            return NULL;
        at = space_skip(at + 1, end);
        if (found)
            return at;
        at = value_skip(at, end);
        if (!at)
            return NULL;
        at = space_skip(at, end);
        if (at < end && *at == '}')
            *result = WEIR_MISSING;
        if (at >= end || *at != ',')
            return NULL;
        at = space_skip(at + 1, end);
    }
    return NULL;
}

static const char *item_find(const char *at, const char *end, size_t index, int *result)
{
    *result = WEIR_INVALID;
    at = space_skip(at + 1, end);
    if (at < end && *at == ']') {
        *result = WEIR_MISSING;
        return NULL;
    }
    while (index--) {
        at = value_skip(at, end);
        if (!at)
            return NULL;
        at = space_skip(at, end);
        if (at < end && *at == ']')
            *result = WEIR_MISSING;
        if (at >= end || *at != ',')
            return NULL;
        at = space_skip(at + 1, end);
    }
    return at;
}

static int value_type(weir_view raw, enum json_type *type)
{
    switch (raw.data[0]) {
    case '"':
        *type = JSON_STRING;
        return WEIR_OK;
    case '{':
        *type = JSON_OBJECT;
        return WEIR_OK;
    case '[':
        *type = JSON_ARRAY;
        return WEIR_OK;
    default:
        break;
    }
    *type = view_is(raw, "null") ? JSON_NULL : view_is(raw, "true") ? JSON_TRUE : view_is(raw, "false") ? JSON_FALSE : JSON_NUMBER;
    double number;
    return *type == JSON_NUMBER ? json_number(raw, &number) : WEIR_OK;
}

int json_find(weir_view document, const struct json_path *path, weir_view *raw, enum json_type *type)
{
    if (!document.data)
        return WEIR_INVALID;
    const char *end = document.data + document.size, *at = space_skip(document.data, end);
    int result = WEIR_INVALID;
    for (size_t i = 0; i < path->count && at; i++) {
        const struct json_step *step = &path->steps[i];
        if (at >= end)
            return WEIR_INVALID;
        if (*at != (step->key.data ? '{' : '['))
            return value_skip(at, end) ? WEIR_MISSING : WEIR_INVALID;
        at = step->key.data ? member_find(at, end, step->key, &result) : item_find(at, end, step->index, &result);
    }
    if (!at)
        return result;
    const char *after = at < end ? value_skip(at, end) : NULL;
    if (!after)
        return WEIR_INVALID;
    *raw = view_make(at, (size_t)(after - at));
    return value_type(*raw, type);
}

/* Strings. */

static int hex4(const char *at, const char *end, uint32_t *value)
{
    *value = 0;
    if (end - at < 4)
        return WEIR_INVALID;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return WEIR_INVALID;
        *value = *value << 4 | digit;
    }
    return WEIR_OK;
}

static size_t utf8_write(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3F));
    to[0] = (char)(marks[length] | code);
    return length;
}

/* The character of the escape behind a backslash; *at moves past it. 0 length: invalid. */
static size_t escape_read(const char **at, const char *end, char *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (*at >= end)
        return 0;
    char c = *(*at)++;
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        to[0] = into[found - from];
        return 1;
    }
    uint32_t code, low;
    if (c != 'u' || hex4(*at, end, &code) != WEIR_OK)
        return 0;
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || hex4(*at + 2, end, &low) != WEIR_OK || low < 0xDC00 ||
            low > 0xDFFF)
            return 0;
        *at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
        return 0;
    }
    return utf8_write(code, to);
}

int json_text(weir_view raw, char *buffer, size_t size, size_t *length)
{
    *length = 0;
    if (raw.size < 2 || raw.data[0] != '"' || raw.data[raw.size - 1] != '"')
        return WEIR_INVALID;
    const char *at = raw.data + 1, *end = raw.data + raw.size - 1;
    while (at < end) {
        char text[4];
        size_t count = 1;
        text[0] = *at;
        if ((unsigned char)*at < 0x20 || *at == '"')
            return WEIR_INVALID;
        if (*at++ == '\\' && (count = escape_read(&at, end, text)) == 0)
            return WEIR_INVALID;
        if (*length + count > size)
            return WEIR_FULL;
        memcpy(buffer + *length, text, count);
        *length += count;
    }
    return WEIR_OK;
}

static const char *digits_skip(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* The grammar of RFC 8259 section 6; strtod alone takes more. */
static bool number_valid(weir_view raw)
{
    const char *at = raw.data, *end = at + raw.size;
    at += at < end && *at == '-';
    const char *first = at;
    at = digits_skip(at, end);
    if (at == first || (*first == '0' && at - first > 1))
        return false;
    if (at < end && *at == '.') {
        first = ++at;
        at = digits_skip(at, end);
        if (at == first)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        first = at;
        at = digits_skip(at, end);
        if (at == first)
            return false;
    }
    return at == end;
}

int json_number(weir_view raw, double *number)
{
    char text[400];
    if (!raw.size || raw.size >= sizeof text || !number_valid(raw))
        return WEIR_INVALID;
    memcpy(text, raw.data, raw.size);
    text[raw.size] = '\0';
    *number = strtod(text, NULL);
    return WEIR_OK;
}

/* Validity: a stack of open brackets, one bit each, no recursion. */

struct checker {
    const char *at, *end;
    uint64_t objects; /* bit i: level i is an object */
    unsigned depth;
};

static bool check_string(struct checker *c)
{
    if (c->at >= c->end || *c->at != '"')
        return false;
    for (c->at++; c->at < c->end && *c->at != '"';) {
        if ((unsigned char)*c->at < 0x20)
            return false;
        if (*c->at == '\\') {
            char ignored[4];
            c->at++;
            if (!escape_read(&c->at, c->end, ignored))
                return false;
            continue;
        }
        size_t length = utf8_length(c->at, c->end);
        if (!length)
            return false;
        c->at += length;
    }
    return c->at < c->end && *c->at++ == '"';
}

static bool check_scalar(struct checker *c)
{
    if (c->at < c->end && *c->at == '"')
        return check_string(c);
    const char *first = c->at;
    while (c->at < c->end && scalar_byte(*c->at))
        c->at++;
    weir_view raw = view_make(first, (size_t)(c->at - first));
    return view_is(raw, "null") || view_is(raw, "true") || view_is(raw, "false") || (raw.size && number_valid(raw));
}

static bool check_member(struct checker *c)
{
    c->at = space_skip(c->at, c->end);
    if (!check_string(c))
        return false;
    c->at = space_skip(c->at, c->end);
    return c->at < c->end && *c->at++ == ':';
}

/* Opens a bracket; *empty: it was closed again at once. */
static bool check_open(struct checker *c, bool *empty)
{
    bool object = *c->at++ == '{';
    c->at = space_skip(c->at, c->end);
    *empty = c->at < c->end && *c->at == (object ? '}' : ']');
    if (*empty) {
        c->at++;
        return true;
    }
    if (c->depth == JSON_DEPTH_MAX)
        return false;
    c->objects = object ? c->objects | UINT64_C(1) << c->depth : c->objects & ~(UINT64_C(1) << c->depth);
    c->depth++;
    return !object || check_member(c);
}

/* After a value: closes what ends here. *more: another value follows. */
static bool check_close(struct checker *c, bool *more)
{
    *more = false;
    while (c->depth) {
        bool object = c->objects >> (c->depth - 1) & 1;
        c->at = space_skip(c->at, c->end);
        if (c->at >= c->end)
            return false;
        char mark = *c->at++;
        if (mark == ',') {
            *more = true;
            return !object || check_member(c);
        }
        if (mark != (object ? '}' : ']'))
            return false;
        c->depth--;
    }
    return true;
}

bool json_check(weir_view document)
{
    if (!document.data)
        return false;
    struct checker c = {.at = document.data, .end = document.data + document.size};
    bool more = true;
    while (more) {
        c.at = space_skip(c.at, c.end);
        if (c.at >= c.end)
            return false;
        if (*c.at == '{' || *c.at == '[') {
            bool empty;
            if (!check_open(&c, &empty))
                return false;
            if (!empty)
                continue;
        } else if (!check_scalar(&c)) {
            return false;
        }
        if (!check_close(&c, &more))
            return false;
    }
    return space_skip(c.at, c.end) == c.end;
}

static size_t escape_one(const char *at, size_t length, char to[8])
{
    static const char hex[] = "0123456789abcdef", from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    if (!length) {
        memcpy(to, "\xEF\xBF\xBD", 3);
        return 3;
    }
    const char *found = *at ? strchr(from, *at) : NULL;
    if (found) {
        to[0] = '\\';
        to[1] = into[found - from];
        return 2;
    }
    if ((unsigned char)*at < 0x20) {
        memcpy(to, "\\u00", 4);
        to[4] = hex[*at >> 4 & 15];
        to[5] = hex[*at & 15];
        return 6;
    }
    memcpy(to, at, length);
    return length;
}

size_t json_escape(weir_view text, char *buffer, size_t size)
{
    const char *at = text.data, *end = at + text.size;
    size_t total = 0;
    while (at < end) {
        char one[8];
        size_t length = utf8_length(at, end), count = escape_one(at, length, one);
        for (size_t i = 0; i < count; i++, total++) {
            if (total < size)
                buffer[total] = one[i];
        }
        at += length ? length : 1;
    }
    return total;
}
