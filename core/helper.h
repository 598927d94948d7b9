/* helper.h: what blocks (fdatasync, DNS, journal reads, closing consumers) runs here, then answers on the loop. */
#ifndef WEIR_HELPER_H
#define WEIR_HELPER_H

#include "mailbox.h"
#include "worker.h"

#define HELPER_THREADS 4
#define HELPER_OPEN_MAX 1024

struct helper {
    struct workers *workers;
    struct mailbox *mailbox;
    size_t open;
};

int helper_init(struct helper *helper, struct mailbox *mailbox);
void helper_fini(
    struct helper *helper); /* nothing is open any more, or waits for it to end (its done is not called) */
/* job on a helper's thread, then done on the loop. WEIR_FULL: HELPER_OPEN_MAX are open. Loop thread. */
int helper_run(struct helper *helper, void (*job)(void *arg), void (*done)(void *arg), void *arg);

#endif
