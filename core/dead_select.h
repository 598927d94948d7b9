/* dead_select.h: which dead letters are meant, and changing them a step at a time.
 *
 * However many there are, a step looks at no more than DEAD_STEP_RECORDS records or DEAD_STEP_BYTES, and hands over
 * one change set: so a running weir is never held up, and nothing is loaded whole. The next step begins after the
 * key at which this one ended. */
#ifndef WEIR_DEAD_SELECT_H
#define WEIR_DEAD_SELECT_H

#include "keys.h"
#include "store.h"

#define DEAD_STEP_RECORDS 500
#define DEAD_STEP_BYTES (4u << 20)

/* All that are given must hold. NULL: not asked for. */
struct dead_selection {
    const char *route, *id, *key; /* equal */
    const char *cause;            /* contained in the cause */
    bool all;                     /* meant even when nothing else is given */
};
bool dead_selects(const struct dead_selection *selection, const struct dead_letter *dead);
bool dead_selection_empty(const struct dead_selection *selection); /* nothing given, not even `all` */

/* Visits the selected ones in order of key until visit returns false; `between`, after each step and at the end,
 * may block: nothing of the store is open then. Damaged ones are left out. */
typedef bool dead_visit(void *arg, weir_view key, const struct dead_letter *dead);
struct dead_scan {
    const struct dead_selection *selection;
    dead_visit *visit;
    void (*between)(void *arg);
    void *arg;
};
int dead_scan(struct store_reader *reader, const struct dead_scan *scan);

enum dead_change { DEAD_REPLAY, DEAD_DROP };
struct dead_step {
    struct store_ops *ops; /* the caller's; may be empty */
    uint64_t changed;      /* records in it */
    bool more;             /* another step may find more, after `last` */
    struct key last;
};
/* Those that already wait for their replay are not asked for twice: a running weir may be about to delete them. */
int dead_step(struct store_reader *reader, const struct dead_selection *selection, enum dead_change change,
              const struct key *after, struct dead_step *step);

#endif
