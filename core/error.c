/* error.c: see error.h. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    error->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return code;
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    struct error before = *error;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (size < 0 || (size_t)size + 3 > sizeof error->text)
        return;
    size_t room = sizeof error->text - (size_t)size - 3;
    memcpy(error->text + size, ": ", 2);
    snprintf(error->text + size + 2, room + 1, "%.*s", (int)room, before.text);
}

const char *result_name(int code)
{
    static const char *const names[] = {"ok",      "retry",         "rejected", "fatal",  "invalid",
                                        "missing", "out of memory", "no room",  "locked", "newer",
                                        "damaged", "i/o error",     "closed"};
    if (code < 0 || (size_t)code >= sizeof names / sizeof names[0])
        return "unknown";
    return names[code];
}
