/* yaml_tree.h: a YAML file as a tree whose every node knows its file, line and column. By libyaml; the only file
 * that includes it is yaml_tree.c.
 *
 * Bounded: file 1 MiB, depth 64, 100,000 nodes; anchors, aliases and tags are refused; a key twice in a mapping is
 * an error.
 * ${NAME} and ${NAME:-default} are expanded inside scalars after parsing; unset without default is an error; $${ is
 * a literal ${. Quoted and plain scalars are told apart ("true" is a text). */
#ifndef WEIR_YAML_TREE_H
#define WEIR_YAML_TREE_H

#include "arena.h"
#include "error.h"

enum yaml_kind { YAML_SCALAR, YAML_MAPPING, YAML_SEQUENCE };

struct yaml_node {
    enum yaml_kind kind;
    const char *file;
    int line, column; /* from 1 */
    const char *text; /* scalar: its value with a NUL; "" for an empty one */
    size_t size;
    bool plain;                     /* scalar written without quotes */
    bool bad;                       /* its fault is reported; yaml_fault says no more about it */
    size_t count;                   /* children */
    const struct yaml_node *parent; /* NULL: the root */
    const struct yaml_node *key;    /* of a value in a mapping */
    size_t index;                   /* of an item in a sequence */
    const struct yaml_node **keys;  /* mapping: [count] scalars */
    const struct yaml_node **items;
};

/* Faults collected for the user, sorted by place, a line each: "file:line:column: sources/meters/qos: what is
 * wrong; what to do". The way to the node is put in from the tree; a node with line 0 stands for its whole file. At
 * most YAML_FAULTS_MAX are kept, those first in the text; the rest is summed up in one more line. Control
 * characters never get into a line, and a line is cut at 1000 bytes. */
#define YAML_FAULTS_MAX 50
struct yaml_line;
struct yaml_report {
    size_t count; /* of all faults */
    char *text;   /* lines with \n; malloc; NULL without faults */
    size_t size;
    struct yaml_line *lines; /* the report's own */
    size_t kept;
};
void yaml_fault(struct yaml_report *report, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void yaml_report_fini(struct yaml_report *report);

/* Scalar as shown in a message: in quotes, cut at 60 bytes between characters. */
#define YAML_SHOWN_MAX 80
const char *yaml_shown(const struct yaml_node *scalar, char buffer[YAML_SHOWN_MAX]);
/* A plain scalar that YAML reads as no value: nothing, ~ or null. */
bool yaml_is_null(const struct yaml_node *node);

/* Replaces ${NAME}, ${NAME:-default} and $${ in text; the default also stands for an empty variable. NULL: the
 * reason is in error. Memory from arena. */
const char *yaml_expand(weir_view text, struct arena *arena, struct error *error);

/* Reads a file ("-" is standard input). All memory is from arena. WEIR_OK, or the faults are in report; after
 * faults in single values *root is there all the same, so that more can be found, else it is NULL. An empty file is
 * a fault.
 */
int yaml_load(const char *path, struct arena *arena, const struct yaml_node **root, struct yaml_report *report);
/* The same for a text; `file` names it in faults, parent, key and index say where its root belongs in a larger
 * tree, so that a fault tells the whole way. */
struct yaml_text {
    const char *file, *text;
    const struct yaml_node *parent, *key;
    size_t index;
};
int yaml_load_text(const struct yaml_text *text, struct arena *arena, const struct yaml_node **root,
                   struct yaml_report *report);
const struct yaml_node *yaml_get(const struct yaml_node *mapping,
                                 const char *key); /* NULL: absent, or no mapping */

#endif
