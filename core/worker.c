/* worker.c: see worker.h.
 *
 * Fails: a thread that cannot be made is tried again with the next job; only when there is none at all is the job
 * given back. */
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base.h"

struct worker {
    struct workers *workers;
    pthread_t thread;
    size_t index;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct job *first, **last;
    size_t queued, idle, started, count;
    bool ending;
    struct worker each[];
};

static struct job *workers_take(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->idle++;
    while (!workers->first && !workers->ending)
        pthread_cond_wait(&workers->given, &workers->lock);
    workers->idle--;
    struct job *job = workers->first;
    if (job) {
        workers->first = job->next;
        workers->queued--;
        if (!workers->first)
            workers->last = &workers->first;
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct job *job;
    while ((job = workers_take(worker->workers)) != NULL)
        job->run(job, worker->index);
    return NULL;
}

struct workers *workers_new(size_t count)
{
    struct workers *workers = calloc(1, sizeof *workers + count * sizeof workers->each[0]);
    if (!workers)
        return NULL;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->given, NULL);
    workers->last = &workers->first;
    workers->count = count;
    return workers;
}

/* Signals belong to the loop's thread: a worker takes none of those a process may be sent. */
static bool workers_start(struct workers *workers)
{
    struct worker *worker = &workers->each[workers->started];
    worker->workers = workers;
    worker->index = workers->started;
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        workers->started++;
    return !failed;
}

int workers_give(struct workers *workers, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    if (workers->queued >= workers->idle && workers->started < workers->count)
        workers_start(workers);
    int result = workers->started ? WEIR_OK : WEIR_NOMEM;
    if (result == WEIR_OK) {
        *workers->last = job;
        workers->last = &job->next;
        workers->queued++;
        if (workers->idle)
            pthread_cond_signal(&workers->given);
    }
    pthread_mutex_unlock(&workers->lock);
    return result;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->given);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->started; i++)
        pthread_join(workers->each[i].thread, NULL);
    pthread_cond_destroy(&workers->given);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
