/* mailbox.h: letters from any thread to the loop.
 *
 * The sender owns the letter's memory (it lies inside a batch, a job, a commit) and must not post it again before
 * it was opened. uv_async only wakes: it is signalled when the box was empty, and the loop then opens everything in
 * order. */
#ifndef WEIR_MAILBOX_H
#define WEIR_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct letter {
    struct letter *next;
    void (*open)(struct letter *letter); /* on the loop */
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, **last;
    uv_async_t async;
};

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop);
void mailbox_post(struct mailbox *mailbox, struct letter *letter); /* any thread */
void mailbox_close(struct mailbox *mailbox); /* loop thread; opens what is left, then closes the handle */

#endif
