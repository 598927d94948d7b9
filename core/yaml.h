/* yaml.h: a YAML file as a tree whose every node knows its file, line and column. By libyaml; the only file that
 * includes it is yaml.c.
 *
 * Bounded: file 1 MiB, depth 64, 100,000 nodes; aliases and tags are refused; a key twice in a mapping is an error.
 * ${NAME} and ${NAME:-default} are expanded inside scalars after parsing; unset without default is an error; $${ is
 * a literal ${. Quoted and plain scalars are told apart ("true" is a text). */
#ifndef WEIR_YAML_H
#define WEIR_YAML_H

#include "arena.h"
#include "error.h"

enum yaml_kind { YAML_SCALAR, YAML_MAPPING, YAML_SEQUENCE };

struct yaml_node {
    enum yaml_kind kind;
    const char *file;
    int line, column; /* from 1 */
    const char *text; /* scalar: its value with a NUL; "" for an empty one */
    size_t size;
    bool plain;                    /* scalar written without quotes */
    size_t count;                  /* children */
    const struct yaml_node **keys; /* mapping: [count] scalars */
    const struct yaml_node **items;
};

/* Faults collected for the user, in order of finding: a line each. */
struct yaml_report {
    size_t count;
    char *text; /* lines with \n; malloc */
    size_t size;
};
void yaml_fault(struct yaml_report *report, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void yaml_report_fini(struct yaml_report *report);

/* Reads a file ("-" is standard input). All memory is from arena. WEIR_OK, or the faults are in report. An empty
 * file is a fault. */
int yaml_load(const char *path, struct arena *arena, const struct yaml_node **root, struct yaml_report *report);
const struct yaml_node *yaml_get(const struct yaml_node *mapping,
                                 const char *key); /* NULL: absent, or no mapping */

#endif
