/* test_worker.c: threads that take jobs from one queue. Made for ThreadSanitizer too. */
#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>

#include "base.h"
#include "testing.h"
#include "worker.h"

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

/* Two jobs that wait for each other need two threads; more than `count` never begin. */
struct meeting {
    struct job job;
    atomic_int *here;
    int wanted;
};

static void meeting_run(struct job *job, size_t worker)
{
    struct meeting *meeting = CONTAINER_OF(job, struct meeting, job);
    UNUSED(worker);
    atomic_fetch_add(meeting->here, 1);
    while (atomic_load(meeting->here) < meeting->wanted)
        sched_yield();
}

START_TEST(test_jobs_run_at_once_on_as_many_threads_as_there_are)
{
    enum { WORKERS = 3 };
    atomic_int here = 0;
    struct meeting meetings[WORKERS];
    size_t before = thread_count();
    struct workers *workers = workers_new(WORKERS);
    for (size_t i = 0; i < WORKERS; i++) {
        meetings[i] = (struct meeting){.job = {.run = meeting_run}, .here = &here, .wanted = WORKERS};
        ck_assert_int_eq(workers_give(workers, &meetings[i].job), WEIR_OK);
    }
    ck_assert_uint_eq(thread_count(), before + WORKERS);
    workers_free(workers);
    ck_assert_int_eq(here, WORKERS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("worker");
    TCase *c = tcase_create("worker");
    tcase_add_test(c, test_every_job_runs_once_on_few_threads);
    tcase_add_test(c, test_workers_without_work_start_no_thread);
    tcase_add_test(c, test_jobs_run_at_once_on_as_many_threads_as_there_are);
    suite_add_tcase(s, c);
    return testing_run(s);
}
