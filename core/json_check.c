/* json_check.c: is the whole text one JSON value? See json.h.
 *
 * 1. A value begins: an open bracket goes onto a stack of one bit a level, a scalar is checked on the spot.
 * 2. After a value, what ends with it is closed.
 * 3. A comma begins the next value; with the stack empty, only space may follow. */
#include "json_private.h"

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
            if (!json_escape_read(&c->at, c->end, ignored))
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
    c->at = json_scalar(c->at, c->end);
    weir_view raw = view_make(first, (size_t)(c->at - first));
    if (raw.size && (*first == '-' || (*first >= '0' && *first <= '9')))
        return json_number_valid(raw);
    return view_is(raw, "null") || view_is(raw, "true") || view_is(raw, "false");
}

static bool check_member(struct checker *c)
{
    c->at = json_space(c->at, c->end);
    if (!check_string(c))
        return false;
    c->at = json_space(c->at, c->end);
    return c->at < c->end && *c->at++ == ':';
}

/* Opens a bracket; *empty: it was closed again at once. */
static bool check_open(struct checker *c, bool *empty)
{
    bool object = *c->at++ == '{';
    if (c->depth == JSON_DEPTH_MAX)
        return false;
    c->at = json_space(c->at, c->end);
    *empty = c->at < c->end && *c->at == (object ? '}' : ']');
    if (*empty) {
        c->at++;
        return true;
    }
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
        c->at = json_space(c->at, c->end);
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
        c.at = json_space(c.at, c.end);
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
    return json_space(c.at, c.end) == c.end;
}
