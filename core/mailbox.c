/* mailbox.c: see mailbox.h. One lock for each letter, one wake-up for each burst. */
#include "mailbox.h"

#include "base.h"

static struct letter *mailbox_take(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    struct letter *first = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

static void mailbox_open(struct mailbox *mailbox)
{
    struct letter *letter = mailbox_take(mailbox);
    while (letter) {
        struct letter *next = letter->next; /* opening may free the letter or post it again */
        letter->open(letter);
        letter = next;
    }
}

static void mailbox_woken(uv_async_t *async)
{
    mailbox_open(CONTAINER_OF(async, struct mailbox, async));
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop)
{
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    if (pthread_mutex_init(&mailbox->lock, NULL) != 0)
        return WEIR_NOMEM;
    if (uv_async_init(loop, &mailbox->async, mailbox_woken) != 0) {
        pthread_mutex_destroy(&mailbox->lock);
        return WEIR_IO;
    }
    return WEIR_OK;
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    bool empty = mailbox->first == NULL;
    *mailbox->last = letter;
    mailbox->last = &letter->next;
    pthread_mutex_unlock(&mailbox->lock);
    if (empty)
        uv_async_send(&mailbox->async);
}

void mailbox_close(struct mailbox *mailbox)
{
    mailbox_open(mailbox);
    uv_close((uv_handle_t *)&mailbox->async, NULL);
    pthread_mutex_destroy(&mailbox->lock);
}
