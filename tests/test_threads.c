/* test_threads.c: where threads meet: mailbox, workers, helpers. Made for ThreadSanitizer too. */
#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base.h"
#include "helper.h"
#include "mailbox.h"
#include "testing.h"
#include "worker.h"

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

struct counted {
    struct job job;
    atomic_int *ran;
    atomic_int *inside;
    size_t workers;
};

static void counted_run(struct job *job, size_t worker)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);
    ck_assert_uint_lt(worker, counted->workers);
    int inside = atomic_fetch_add(counted->inside, 1) + 1;
    ck_assert_int_le(inside, (int)counted->workers);
    atomic_fetch_add(counted->ran, 1);
    atomic_fetch_sub(counted->inside, 1);
}

START_TEST(test_every_job_runs_once_on_few_threads)
{
    enum { JOBS = 10000, WORKERS = 3 };
    static struct counted jobs[JOBS];
    atomic_int ran = 0, inside = 0;
    struct workers *workers = workers_new(WORKERS);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct counted){.job = {.run = counted_run}, .ran = &ran, .inside = &inside, .workers = WORKERS};
        ck_assert_int_eq(workers_give(workers, &jobs[i].job), WEIR_OK);
    }
    workers_free(workers);
    ck_assert_int_eq(atomic_load(&ran), JOBS);
}
END_TEST

static size_t thread_count(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

START_TEST(test_workers_without_work_start_no_thread)
{
    size_t before = thread_count();
    struct workers *workers = workers_new(8);
    ck_assert_uint_eq(thread_count(), before);
    workers_free(workers);
}
END_TEST

struct chore {
    pthread_t ran_on;
    bool worked, done;
    uv_loop_t *loop;
};

static void chore_work(void *arg)
{
    struct chore *chore = arg;
    chore->ran_on = pthread_self();
    chore->worked = true;
}

static void chore_done(void *arg)
{
    struct chore *chore = arg;
    chore->done = true;
    uv_stop(chore->loop);
}

START_TEST(test_a_helper_works_elsewhere_and_answers_on_the_loop)
{
    uv_loop_t loop;
    struct mailbox mailbox;
    struct helper helper;
    struct chore chore = {.loop = &loop};
    uv_loop_init(&loop);
    mailbox_init(&mailbox, &loop);
    ck_assert_int_eq(helper_init(&helper, &mailbox), WEIR_OK);
    ck_assert_int_eq(helper_run(&helper, chore_work, chore_done, &chore), WEIR_OK);
    ck_assert_uint_eq(helper.open, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(chore.worked && chore.done);
    ck_assert(!pthread_equal(chore.ran_on, pthread_self()));
    ck_assert_uint_eq(helper.open, 0);
    helper_fini(&helper);
    mailbox_close(&mailbox);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("threads");
    TCase *c = tcase_create("threads");
    tcase_add_test(c, test_letters_of_one_thread_are_opened_in_order);
    tcase_add_test(c, test_every_job_runs_once_on_few_threads);
    tcase_add_test(c, test_workers_without_work_start_no_thread);
    tcase_add_test(c, test_a_helper_works_elsewhere_and_answers_on_the_loop);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
