/* json.h: a small streaming scanner over JSON text (RFC 8259) for the hot path: finds one value without building a
 * document.
 *
 * Nothing recurses and nothing is allocated. Of duplicate keys the first one counts. Pure. */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include "base.h"

#define JSON_DEPTH_MAX 64
#define JSON_STEPS_MAX 16
#define JSON_KEY_MAX 256

enum json_type { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

/* A compiled path: each step is a key, or (key absent) an index. */
struct json_step {
    weir_view key;
    size_t index;
};
struct json_path {
    struct json_step steps[JSON_STEPS_MAX];
    size_t count;
};

/* "a.b[0].c"; the views point into text. "" is the whole document. WEIR_OK or WEIR_INVALID. */
int json_path_parse(const char *text, struct json_path *path);

/* One pass that ends early. The value that is found is valid JSON, no deeper than JSON_DEPTH_MAX. What stands
 * before it is only skipped (strings as strings, brackets by counting, so their depth does not matter), and what
 * comes after it is not looked at. *raw is the value's text, strings with their quotes. WEIR_OK, WEIR_MISSING, or
 * WEIR_INVALID where the text up to the value cannot be JSON. */
int json_find(weir_view document, const struct json_path *path, weir_view *raw, enum json_type *type);

/* Unescapes a string (raw, with quotes) into buffer; *length is what was written, at most raw.size - 2. WEIR_OK,
 * WEIR_INVALID (bad escape, lone surrogate, control character, bad UTF-8), WEIR_FULL. */
int json_text(weir_view raw, char *buffer, size_t size, size_t *length);
/* WEIR_OK, or WEIR_INVALID: not a number of RFC 8259, or one of 400 characters and more. */
int json_number(weir_view raw, double *number);

/* The whole text is one JSON value, no deeper than JSON_DEPTH_MAX, and valid UTF-8 in its strings. */
bool json_check(weir_view document);

/* Writes text as the inside of a JSON string (without quotes); invalid UTF-8 becomes U+FFFD. Returns what it takes;
 * writes nothing past size. */
size_t json_escape(weir_view text, char *buffer, size_t size);

#endif
