/* json_private.h: what the parts of the JSON scanner share: json.c finds, json_check.c proves, json_text.c reads
 * and writes strings and numbers. */
#ifndef WEIR_JSON_PRIVATE_H
#define WEIR_JSON_PRIVATE_H

#include "json.h"

/* The character of the escape behind a backslash; *at moves past it. Returns its length in UTF-8, 0: invalid. */
size_t json_escape_read(const char **at, const char *end, char to[4]);
/* The grammar of RFC 8259 section 6; strtod alone takes more. */
bool json_number_valid(weir_view raw);

static inline const char *json_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Past what may be a number or a word: up to a delimiter. */
static inline const char *json_scalar(const char *at, const char *end)
{
    for (; at < end; at++) {
        switch (*at) {
        case ',':
        case ':':
        case '"':
        case '[':
        case ']':
        case '{':
        case '}':
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            return at;
        default:
            break;
        }
    }
    return at;
}

#endif
