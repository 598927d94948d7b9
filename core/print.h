/* print.h: what commands print for people and for programs: aligned tables, sizes, times, foreign bytes.
 *
 * Keys, payloads and causes come from outside: for people, control characters and invalid UTF-8 are escaped, so
 * that no event can drive a terminal; in JSON, what is not UTF-8 is given as hexadecimal digits under NAME_hex. */
#ifndef WEIR_PRINT_H
#define WEIR_PRINT_H

#include <stdio.h>

#include "arena.h"
#include "base.h"

struct cJSON;

#define TABLE_COLUMNS_MAX 12
#define TABLE_ROWS_MAX 200 /* buffered; then the widths stand and rows are written */

/* Rows with aligned columns, streamed: any count of rows in bounded memory. */
struct table {
    FILE *to;
    const char *const *titles;
    size_t columns, rows;
    size_t widths[TABLE_COLUMNS_MAX];
    const char *cells[TABLE_ROWS_MAX][TABLE_COLUMNS_MAX];
    struct arena arena;
    bool titled;
    bool bold;          /* titles; as `to` is at first */
    const char *before; /* a line before the titles, itself after an empty line; "": only that; NULL: none */
};
void table_init(struct table *table, FILE *to, const char *const *titles, size_t columns);
void table_add(struct table *table, const char *const *cells); /* copies; NULL is shown as "-" */
void table_fini(struct table *table);                          /* writes what is left; no rows: nothing */

/* One line of text, escaped, at most max columns wide ("…" shows that it was cut); absent: "-". */
const char *print_safe(struct arena *arena, weir_view bytes, size_t max);
const char *print_size(struct arena *arena, uint64_t bytes);          /* "1.5 MiB" */
const char *print_time(struct arena *arena, int64_t time_us);         /* RFC 3339, to the millisecond; 0: "-" */
const char *print_duration(struct arena *arena, int64_t duration_us); /* "3m 20s" */
const char *print_number(struct arena *arena, uint64_t number);
const char *print_hex(struct arena *arena, weir_view bytes);
/* A payload whole: as text when it is printable, else as lines of hexadecimal digits. */
void print_payload(FILE *to, weir_view payload);
bool print_coloured(FILE *to); /* a terminal, and neither NO_COLOR nor TERM=dumb is set */
void print_title(FILE *to, const char *title);

bool view_utf8(weir_view bytes); /* valid UTF-8 without NUL: can be a JSON text */
/* Adds `name` (null when absent), or NAME_hex. */
void json_add_bytes(struct cJSON *object, const char *name, weir_view bytes);
void json_add_time(struct cJSON *object, const char *name, int64_t time_us); /* RFC 3339; 0: null */
void json_add_count(struct cJSON *object, const char *name, uint64_t count); /* a number with all its digits */
void json_print(FILE *to, struct cJSON *document); /* takes it; one line per member, and a newline */

/* One object whose first member is a list of any length, written item by item: {"name":[...],rest}. */
struct json_list {
    FILE *to;
    uint64_t count;
};
void json_list_open(struct json_list *list, FILE *to, const char *name);
void json_list_add(struct json_list *list, struct cJSON *item);   /* takes it */
void json_list_close(struct json_list *list, struct cJSON *rest); /* takes the object rest; may be NULL */

#endif
