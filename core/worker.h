/* worker.h: threads that take jobs from one queue, first come first served.
 *
 * Threads begin when there is work and none is idle, up to the maximum given at birth; an idle one sleeps on a
 * condition. The queue is bounded by its users (batches by their windows, helpers by helper.h). */
#ifndef WEIR_WORKER_H
#define WEIR_WORKER_H

#include <stddef.h>

struct job {
    struct job *next;
    void (*run)(struct job *job, size_t worker); /* on a worker's thread; worker < count */
};

struct workers;
struct workers *workers_new(size_t count); /* NULL: out of memory */
/* WEIR_OK, or WEIR_NOMEM when not even the first thread can be made. Any thread. */
int workers_give(struct workers *workers, struct job *job);
void workers_free(struct workers *workers); /* runs what is queued, then joins */

#endif
