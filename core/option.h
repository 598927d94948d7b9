/* option.h: one table row names an option, checks it, fills it in, and makes its help.
 *
 * Rows come from plug-ins (weir_option in weir_plugin.h) and from the core's own tables. Parser, checks, help and
 * reference pages all read the same rows, so they cannot drift apart. */
#ifndef WEIR_OPTION_H
#define WEIR_OPTION_H

#include <stdio.h>

#include "arena.h"
#include "base.h"
#include "error.h"
#include "weir_plugin.h"
#include "yaml.h"

/* Fills the members of `state` from the mapping `node` (NULL: defaults only), children of groups included. Keys in
 * `skip` (NULL-ended, may be NULL) belong to somebody else. Every fault is one line "file:line:column: what to do",
 * added to report. What is filled points into arena, or is freed by option_release. Returns WEIR_OK or
 * WEIR_INVALID. */
struct option_target {
    const weir_option *rows;
    void *state;
    struct arena *arena;
    const char *const *skip;
};
int option_fill(const struct option_target *target, const struct yaml_node *node, struct yaml_report *report);
void option_release(const weir_option *rows, void *state); /* templates and fields */
/* The node of option "tls.ca" in a mapping, or the mapping itself: for messages with a place. */
const struct yaml_node *option_node(const struct yaml_node *mapping, const char *path);

/* Single values, as in a configuration. 0 or WEIR_INVALID with what is expected in error. */
int option_parse_size(const char *text, int64_t *bytes, struct error *error);
int option_parse_duration(const char *text, int64_t *us, struct error *error);
int option_parse_rate(const char *text, int64_t *per_1000s, struct error *error);
int option_parse_range(const char *text, weir_range *range, struct error *error);

/* Help of a table for people, and as JSON. */
void option_help(FILE *to, const weir_option *rows, int indent);
void option_help_json(FILE *to, const weir_option *rows);
/* The name nearest to `word` among names (edit distance at most 3 and less than half), or NULL. */
const char *option_nearest(const char *word, const char *const *names, size_t count);

#endif
