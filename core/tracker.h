/* tracker.h: what a shard has open, as a ring of runs in order of position, and where the first open one is.
 *
 * A run is one event or, on the cheap path, events of one block that lie side by side; it is taken and completed
 * from its front on. Runs are known by a number that never changes, so the ring may grow under them. The low
 * watermark is the end of the longest unbroken completed sequence: the front of the ring is always open.
 *
 * A run holds one reference to its block until it is completed. Pure. */
#ifndef WEIR_TRACKER_H
#define WEIR_TRACKER_H

#include "base.h"
#include "block.h"

struct run {
    struct block *block;   /* NULL: completed */
    uint64_t next;         /* number of the next run of its lane; 0: none */
    int64_t at;            /* when it was emitted */
    size_t bytes;          /* of the events that are not taken */
    uint32_t first, count; /* events of the block */
    uint32_t taken, done;
    uint32_t attempts; /* calls that failed, or never came back */
    int32_t sink;      /* replay: the sink whose output it is, or -1 */
    bool replay;       /* one dead letter on its way again: its position does not count */
    bool suspect;      /* was in a call when a process ended: runs alone */
};

struct tracker {
    struct run *ring;
    uint64_t first, end; /* numbers first..end-1 are in the ring, at number & (room - 1); from 1 on */
    size_t room;
};

void tracker_init(struct tracker *tracker);
void tracker_fini(struct tracker *tracker);                                /* drops what is open */
uint64_t tracker_add(struct tracker *tracker, const struct run *run);      /* holds its block; its number */
struct run *tracker_run(const struct tracker *tracker, uint64_t number);   /* valid until the next add */
void tracker_done(struct tracker *tracker, uint64_t number, size_t count); /* its next `count` events */
/* The first open run from `number` (0: from the start) up to before `end` (0: all) whose position counts; 0: none
 */
uint64_t tracker_open(const struct tracker *tracker, uint64_t number, uint64_t end);
const weir_event *run_event(const struct run *run, uint32_t index);
uint64_t run_position(const struct run *run); /* of its first open event */
size_t run_bytes(const struct run *run, uint32_t from, size_t count);
size_t event_bytes(const weir_event *event); /* as windows and batches count it */

#endif
