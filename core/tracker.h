/* tracker.h: what a shard has open, as a list of runs in order of position, and where the first open one is.
 *
 * A run is one event or, on the cheap path, events of one block that lie side by side; it is taken and completed
 * from its front on. Completed runs leave the list wherever they are, so memory is bounded by what was ever open at
 * once, however long one event is stuck. The low watermark lies before the first run of the list.
 *
 * Runs are known by numbers that stay theirs while they are open; 0 is none. A run holds one reference to its
 * block. Pure. */
#ifndef WEIR_TRACKER_H
#define WEIR_TRACKER_H

#include "base.h"
#include "block.h"

struct run {
    struct block *block;
    int64_t at;             /* when it was emitted */
    size_t bytes;           /* of the events that are not taken */
    uint32_t before, after; /* in the list */
    uint32_t next;          /* the next pending run of its lane */
    uint32_t first, count;  /* events of the block */
    uint32_t taken, done;
    uint32_t attempts; /* calls that failed, or never came back */
    int32_t sink;      /* replay: the sink whose output it is, or -1 */
    bool replay;       /* one dead letter on its way again: its position does not count */
    bool suspect;      /* was in a call when a process ended: runs alone */
    bool among;        /* so far only with others */
};

struct tracker {
    struct run *runs; /* runs[0] is the list's head */
    uint32_t used, room;
    uint32_t spare; /* the first free one, linked by `after` */
};

void tracker_init(struct tracker *tracker);
void tracker_fini(struct tracker *tracker);                                /* drops what is open */
uint32_t tracker_add(struct tracker *tracker, const struct run *run);      /* holds its block; its number */
struct run *tracker_run(const struct tracker *tracker, uint32_t number);   /* valid until the next add */
void tracker_done(struct tracker *tracker, uint32_t number, size_t count); /* its next `count` events */
/* The first open run whose position counts, from `number` on (0: the first of all) and before `end` (0: to the
 * end); 0: there is none. */
uint32_t tracker_open(const struct tracker *tracker, uint32_t number, uint32_t end);
uint32_t tracker_after(const struct tracker *tracker, uint32_t number); /* the next one in the list, or 0 */
const weir_event *run_event(const struct run *run, uint32_t index);
uint64_t run_position(const struct run *run); /* of its first open event */
size_t run_bytes(const struct run *run, uint32_t from, size_t count);
size_t event_bytes(const weir_event *event); /* as windows and batches count it */

#endif
