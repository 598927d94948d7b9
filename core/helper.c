/* helper.c: see helper.h. A task is a job for a worker first and a letter to the loop afterwards. */
#include "helper.h"

#include <stdlib.h>

#include "base.h"

struct task {
    struct job job;
    struct letter letter;
    struct helper *helper;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void task_done(struct letter *letter)
{
    struct task *task = CONTAINER_OF(letter, struct task, letter);
    task->helper->open--;
    if (task->done)
        task->done(task->arg);
    free(task);
}

static void task_run(struct job *job, size_t worker)
{
    UNUSED(worker);
    struct task *task = CONTAINER_OF(job, struct task, job);
    task->work(task->arg);
    mailbox_post(task->helper->mailbox, &task->letter);
}

int helper_init(struct helper *helper, struct mailbox *mailbox)
{
    helper->mailbox = mailbox;
    helper->open = 0;
    helper->workers = workers_new(HELPER_THREADS);
    return helper->workers ? WEIR_OK : WEIR_NOMEM;
}

void helper_fini(struct helper *helper)
{
    workers_free(helper->workers);
    helper->workers = NULL;
}

int helper_run(struct helper *helper, void (*job)(void *arg), void (*done)(void *arg), void *arg)
{
    if (helper->open >= HELPER_OPEN_MAX)
        return WEIR_FULL;
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return WEIR_NOMEM;
    *task = (struct task){.helper = helper, .work = job, .done = done, .arg = arg};
    task->job.run = task_run;
    task->letter.open = task_done;
    int result = workers_give(helper->workers, &task->job);
    if (result != WEIR_OK)
        free(task);
    else
        helper->open++;
    return result;
}
