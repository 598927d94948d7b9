/* test_mailbox.c: letters from many threads to one loop. Made for ThreadSanitizer too. */
#include <pthread.h>
#include <stdlib.h>

#include "base.h"
#include "mailbox.h"
#include "testing.h"

enum { SENDERS = 4, LETTERS = 5000 };

struct post {
    struct letter letter;
    struct office *office;
    unsigned sender, number;
};

struct office {
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned next[SENDERS]; /* the loop's */
    size_t opened;
};

static void post_open(struct letter *letter)
{
    struct post *post = CONTAINER_OF(letter, struct post, letter);
    struct office *office = post->office;
    ck_assert_uint_eq(post->number, office->next[post->sender]);
    office->next[post->sender]++;
    free(post);
    if (++office->opened == SENDERS * LETTERS)
        uv_stop(&office->loop);
}

struct sender {
    pthread_t thread;
    struct office *office;
    unsigned index;
};

static void *sender_main(void *arg)
{
    struct sender *sender = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        struct post *post = malloc(sizeof *post);
        *post = (struct post){
            .letter = {.open = post_open}, .office = sender->office, .sender = sender->index, .number = i};
        mailbox_post(&sender->office->mailbox, &post->letter);
    }
    return NULL;
}

START_TEST(test_letters_of_one_thread_are_opened_in_order)
{
    static struct office office;
    struct sender senders[SENDERS];
    uv_loop_init(&office.loop);
    ck_assert_int_eq(mailbox_init(&office.mailbox, &office.loop), WEIR_OK);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].office = &office;
        senders[i].index = i;
        pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]);
    }
    uv_run(&office.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    ck_assert_uint_eq(office.opened, SENDERS * LETTERS);
    mailbox_close(&office.mailbox);
    uv_run(&office.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&office.loop), 0);
}
END_TEST

/* What is left is opened at the end, and a letter may be posted again once it was opened. */
struct again {
    struct letter letter;
    struct mailbox *mailbox;
    int opened, wanted;
};

static void again_open(struct letter *letter)
{
    struct again *again = CONTAINER_OF(letter, struct again, letter);
    if (++again->opened < again->wanted)
        mailbox_post(again->mailbox, letter);
}

START_TEST(test_a_letter_may_be_posted_again_and_the_end_opens_what_is_left)
{
    uv_loop_t loop;
    struct mailbox mailbox;
    struct again again = {.letter = {.open = again_open}, .mailbox = &mailbox, .wanted = 3};
    struct again late = {.letter = {.open = again_open}, .mailbox = &mailbox, .wanted = 1};
    uv_loop_init(&loop);
    ck_assert_int_eq(mailbox_init(&mailbox, &loop), WEIR_OK);
    mailbox_post(&mailbox, &again.letter);
    ck_assert_int_eq(again.opened, 0);
    while (again.opened < 3)
        uv_run(&loop, UV_RUN_ONCE);
    mailbox_post(&mailbox, &late.letter);
    mailbox_close(&mailbox);
    ck_assert_int_eq(late.opened, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mailbox");
    TCase *c = tcase_create("mailbox");
    tcase_add_test(c, test_letters_of_one_thread_are_opened_in_order);
    tcase_add_test(c, test_a_letter_may_be_posted_again_and_the_end_opens_what_is_left);
    suite_add_tcase(s, c);
    return testing_run(s);
}
