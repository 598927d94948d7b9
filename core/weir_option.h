/* weir_option.h: the options of a source, a sink or a function: rows of a table, filled in before init.
 *
 * From one table come the parser, the checks with file:line:column, and the text of `weir help`. */
#ifndef WEIR_OPTION_ROWS_H
#define WEIR_OPTION_ROWS_H

#include "weir.h"

/* One row names an option and the member of the state that it fills. Types and the C type filled in: */
typedef enum weir_option_type {
    WEIR_OPTION_TEXT,     /* const char *, NULL if absent without a default */
    WEIR_OPTION_SECRET,   /* const char *; text, { file: PATH } or { env: NAME }; masked wherever shown */
    WEIR_OPTION_PATH,     /* const char *, made absolute from the folder of the configuration file */
    WEIR_OPTION_URL,      /* const char *; credentials in it are masked wherever shown */
    WEIR_OPTION_BOOL,     /* int64_t 0 or 1 */
    WEIR_OPTION_INT,      /* int64_t within min..max */
    WEIR_OPTION_SIZE,     /* int64_t bytes: 64KiB, 2GB */
    WEIR_OPTION_DURATION, /* int64_t microseconds: 20ms, 5s, 1d */
    WEIR_OPTION_RATE,     /* int64_t events per 1000 seconds: 1000/s; 0 is none */
    WEIR_OPTION_CHOICE,   /* int64_t, the index in choices */
    WEIR_OPTION_RANGE,    /* weir_range of durations: 100ms..30s */
    WEIR_OPTION_LIST,     /* weir_list of texts; one text stands for a list of one */
    WEIR_OPTION_TEMPLATE, /* weir_template *: text with {{FIELD}} */
    WEIR_OPTION_FIELD,    /* weir_field *: one FIELD of an event */
    WEIR_OPTION_GROUP,    /* a mapping with rows of its own; offset: int64_t set to 1 when present */
    WEIR_OPTION_MAP       /* weir_map: a mapping of names that no row knows to texts */
} weir_option_type;

enum {
    WEIR_OPTION_REQUIRED = 1u << 0,
    WEIR_OPTION_TRUE_OK = 1u << 1, /* a GROUP may also be written `true` or `false` */
    WEIR_OPTION_IS_PATH = 1u << 2  /* a TEMPLATE that is a path: relative, it starts at the file's folder */
};

typedef struct weir_range {
    int64_t low, high;
} weir_range;

typedef struct weir_list {
    const char *const *items;
    size_t count;
} weir_list;

typedef struct weir_map {
    const char *const *names, *const *values; /* in the order of the file */
    size_t count;
} weir_map;

typedef struct weir_template weir_template;
typedef struct weir_field weir_field;

struct weir_option {
    const char *name;
    const char *help;     /* one sentence */
    const char *fallback; /* the default, written as in a configuration; NULL: none */
    const char *const *choices;
    const weir_option *rows; /* of a GROUP; offsets are from the start of the same state */
    size_t offset;
    int64_t min, max; /* inclusive; both 0: unbounded (sizes, durations and rates are never negative) */
    uint32_t type;
    uint32_t flags;
};

#endif
