/* error.h: one error for people, made where it is known what was attempted. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include "weir.h"

struct error {
    int code;        /* a weir_result */
    char text[1000]; /* one or more lines, no newline at the end */
};

/* Sets code and text (cut at the bound) and returns code, so that a caller can `return error_set(...)`.
 * error may be NULL. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text. */
void error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "ok", "retry", "rejected", ...: a word for logs and JSON. */
const char *result_name(int code);

#endif
