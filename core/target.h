/* target.h: the store that a command works on, found by the configuration file.
 *
 * Only the `store` section counts, of the file or of one that it includes: a broken route must not keep anyone from
 * looking at dead letters. All functions return an exit code and have said what is wrong. */
#ifndef WEIR_TARGET_H
#define WEIR_TARGET_H

#include "arena.h"
#include "command.h"
#include "store.h"

struct target {
    const struct invocation *invocation;
    const char *file; /* the configuration */
    const char *path; /* the folder of the store, absolute */
    uint64_t size_max;
    struct store *store;
    struct store_reader *reader;
    FILE *out; /* memory: what is printed while the store is being read */
    char *text;
    size_t text_size;
    struct arena arena;
};

int target_find(struct target *target, const struct invocation *invocation, const char *file);
/* Opens what target_find found: to read beside a running weir, or to write with the store's lock. */
int target_open(struct target *target, bool write);
/* Hands what is in `out` to standard output. Never inside a visit: a reader that waits for a pager would keep a
 * running weir from using its pages again. */
void target_flush(struct target *target);
void target_fini(struct target *target);

#endif
