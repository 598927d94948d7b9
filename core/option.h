/* option.h: one table row names an option, checks it, fills it in, and makes its help.
 *
 * Rows come from plug-ins (weir_option.h) and from the core's own tables. Parser, checks, help and
 * reference pages all read the same rows, so they cannot drift apart. */
#ifndef WEIR_OPTION_H
#define WEIR_OPTION_H

#include <stdio.h>

#include "arena.h"
#include "base.h"
#include "error.h"
#include "weir_plugin.h"
#include "yaml_tree.h"

/* Fills the members of `state` from the mapping `node` (NULL: defaults only), children of groups included; a group
 * that is absent or `false` gets 0 and its children their defaults. Keys in `skip` (NULL-ended, may be NULL) belong
 * to somebody else, unless a row has that name; with `partial` every key without a row does. Each fault is a line
 * of report. What is filled points into arena, or is freed by option_release. Returns WEIR_OK or WEIR_INVALID. */
struct option_target {
    const weir_option *rows;
    void *state;
    struct arena *arena;
    const char *const *skip;
    bool partial;
    const char *file; /* whose folder relative paths of defaults start at, when node is NULL; NULL: this folder */
};
int option_fill(const struct option_target *target, const struct yaml_node *node, struct yaml_report *report);
/* Only the defaults; what is required may be missing. */
int option_defaults(const struct option_target *target, struct yaml_report *report);
void option_release(const weir_option *rows, void *state); /* templates and fields */
/* The node of option "tls.ca" in a mapping, or the mapping itself: for messages with a place. */
const struct yaml_node *option_node(const struct yaml_node *mapping, const char *path);
/* path as seen from the folder that `file` lies in, absolute; NULL: out of memory. */
const char *option_path(struct arena *arena, const char *file, const char *path);

/* Rows of the core's own tables may be a GROUP without rows: any value is taken, somebody else reads it. In any
 * table, choices of an INT are words that stand for 0, 1, ..., of a URL the schemes it may have, of a TEMPLATE
 * names of its own beside the fields; min and max of a TEXT or SECRET count bytes, of a LIST texts. */

/* Single values, as in a configuration. 0 or WEIR_INVALID with what is expected in error. */
int option_parse_int(const char *text, int64_t *value, struct error *error);
int option_parse_size(const char *text, int64_t *bytes, struct error *error);
int option_parse_duration(const char *text, int64_t *us, struct error *error);
int option_parse_rate(const char *text, int64_t *per_1000s, struct error *error);
int option_parse_range(const char *text, weir_range *range, struct error *error);

/* A number as a user would write it: 64KiB, 1d, 2.5/s; of a RANGE the one end. */
#define OPTION_NUMBER_MAX 40
const char *option_number(enum weir_option_type type, int64_t value, char buffer[OPTION_NUMBER_MAX]);
/* "0..1", "at least 1s", or "" without bounds. */
#define OPTION_BOUNDS_MAX 100
const char *option_bounds(const weir_option *row, char buffer[OPTION_BOUNDS_MAX]);

/* Help of a table for people, and as JSON. */
void option_help(FILE *to, const weir_option *rows, int indent);
void option_help_json(FILE *to, const weir_option *rows);
/* The name nearest to `word` among names (edit distance at most 3 and less than half), or NULL. */
const char *option_nearest(const char *word, const char *const *names, size_t count);

#endif
