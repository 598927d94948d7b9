/* plug_rows_kit.c: each option of a kind, given what it cannot take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plug_parts.h"

/* Refusals of options. */

static void ck_refused(enum plug_sort sort, const char *type, const char *place, const char *name,
                       const char *value)
{
    char text[2000], where[40];
    /* A group is opened above its member, each on a line of its own. */
    size_t group = strcspn(place, ".");
    bool nested = place[group] == '.';
    if (nested)
        snprintf(text, sizeof text, "%.*s:\n  %s: %s\n", (int)group, place, name, value);
    else
        snprintf(text, sizeof text, "\n%s: %s\n", name, value);
    struct plug *plug = plug_new(sort, type, "%s", text);
    ck_assert_msg(plug == NULL, "%s: taken:\n%s", type, text);
    snprintf(where, sizeof where, "options.yaml:2:");
    ck_assert_msg(strstr(plug_refusal(), where) && strstr(plug_refusal(), name), "%s, given\n%s: %s", type, text,
                  plug_refusal());
}

static size_t rows_refuse(enum plug_sort sort, const char *type, const weir_option *rows, const char *prefix)
{
    size_t count = 0;
    for (const weir_option *row = rows; row && row->name; row++, count++) {
        char place[200], value[60];
        snprintf(place, sizeof place, "%s%s", prefix, row->name);
        ck_refused(sort, type, place, row->name, "[ { nothing: [ such ] } ]");
        bool bounded = row->min != row->max && row->type == WEIR_OPTION_INT;
        if (bounded && row->min > INT64_MIN) {
            snprintf(value, sizeof value, "%lld", (long long)row->min - 1);
            ck_refused(sort, type, place, row->name, value);
        }
        if (bounded && row->max < INT64_MAX) {
            snprintf(value, sizeof value, "%lld", (long long)row->max + 1);
            ck_refused(sort, type, place, row->name, value);
        }
        if (row->type == WEIR_OPTION_CHOICE)
            ck_refused(sort, type, place, row->name, "nothing_such");
        if (row->type == WEIR_OPTION_GROUP) {
            snprintf(place, sizeof place, "%s%s.", prefix, row->name);
            count += rows_refuse(sort, type, row->rows, place);
        }
    }
    return count;
}

size_t plug_refuses_rows(enum plug_sort sort, const char *type)
{
    struct plug found = {.parts = calloc(1, sizeof *found.parts)};
    ck_assert_ptr_nonnull(found.parts);
    plug_find(&found, sort, type);
    size_t count = rows_refuse(sort, type, found.parts->rows, "");
    ck_refused(sort, type, "", "no_such_option", "1");
    for (const weir_option *row = found.parts->rows; row && row->name; row++) {
        if (!(row->flags & WEIR_OPTION_REQUIRED))
            continue;
        ck_assert_ptr_null(plug_new(sort, type, "{}"));
        ck_assert_ptr_nonnull(strstr(plug_refusal(), row->name));
        break; /* the first one that is missing is told */
    }
    registry_free(found.parts->registry);
    free(found.parts);
    free(found.state);
    return count;
}
