/* embed_ask.c: what a host asks of a running weir from any thread: its status, its metrics, and to take an event.
 *
 * A question for the status lies on the stack of the thread that asks. It goes to the loop with a letter, is
 * answered there, and wakes the thread; who asks on the loop's own thread, or while nobody turns it yet, answers
 * itself. At the end of the run what is left is answered by WEIR_CLOSED. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "embed.h"

struct question {
    struct list node;
    char *json;
    int result;
    bool done;
};

static void question_answer(const weir *w, struct question *question)
{
    cJSON *status = engine_status(w->engine);
    char *text = status ? cJSON_PrintUnformatted(status) : NULL;
    question->json = text ? strdup(text) : NULL; /* so that free() is right whatever cJSON allocates with */
    question->result = question->json ? WEIR_OK : WEIR_NOMEM;
    cJSON_free(text);
    cJSON_Delete(status);
}

static void questions_close(weir *w, struct list *questions)
{
    while (!list_empty(questions)) {
        struct question *question = LIST_FIRST(questions, struct question, node);
        list_remove(&question->node);
        question->done = true;
    }
    pthread_cond_broadcast(&w->answered);
}

void embed_ask_open(struct letter *letter)
{
    weir *w = CONTAINER_OF(letter, weir, letter);
    struct list questions;
    list_init(&questions);
    pthread_mutex_lock(&w->lock);
    w->posted = false;
    list_move(&questions, &w->questions);
    pthread_mutex_unlock(&w->lock);
    LIST_EACH(question, &questions, struct question, node)
    question_answer(w, question);
    pthread_mutex_lock(&w->lock);
    questions_close(w, &questions);
    pthread_mutex_unlock(&w->lock);
}

void embed_ask_close(weir *w)
{
    questions_close(w, &w->questions);
}

/* With the lock held, which it gives up while it waits. */
static void question_wait(weir *w, struct question *question)
{
    list_append(&w->questions, &question->node);
    if (!w->posted)
        mailbox_post(&w->engine->mailbox, &w->letter);
    w->posted = true;
    while (!question->done)
        pthread_cond_wait(&w->answered, &w->lock);
}

int weir_status(weir *w, char **json)
{
    struct question question = {.result = WEIR_CLOSED};
    *json = NULL;
    if (!w)
        return WEIR_NOMEM;
    list_init(&question.node);
    pthread_mutex_lock(&w->lock);
    if (w->phase == EMBED_RUNNING && !pthread_equal(w->loop_thread, pthread_self()))
        question_wait(w, &question);
    else if (w->phase == EMBED_RUNNING || w->phase == EMBED_STARTED)
        question_answer(w, &question);
    pthread_mutex_unlock(&w->lock);
    *json = question.json;
    return question.result;
}

int weir_metrics(weir *w, weir_metric *visit, void *arg)
{
    if (!w)
        return WEIR_NOMEM;
    pthread_mutex_lock(&w->lock);
    struct stats *stats = w->engine && w->phase != EMBED_NEW ? engine_stats(w->engine) : NULL;
    pthread_mutex_unlock(&w->lock);
    if (!stats)
        return WEIR_CLOSED;
    stats_each(stats, visit, arg);
    return WEIR_OK;
}

/* The push source of that name. on_loop: whether this is the loop's thread. */
static int push_find(weir *w, const char *source, struct push **push, bool *on_loop)
{
    int result = WEIR_CLOSED;
    if (!w)
        return WEIR_NOMEM;
    pthread_mutex_lock(&w->lock);
    if (w->phase == EMBED_STARTED || w->phase == EMBED_RUNNING)
        result = WEIR_MISSING;
    for (size_t i = 0; i < w->push_count && result == WEIR_MISSING; i++) {
        if (strcmp(w->pushes[i].source, source) == 0) {
            *push = w->pushes[i].push;
            result = WEIR_OK;
        }
    }
    *on_loop = w->phase == EMBED_RUNNING && pthread_equal(w->loop_thread, pthread_self());
    pthread_mutex_unlock(&w->lock);
    return result;
}

int weir_push(weir *w, const char *source, const weir_event *event, weir_pushed *pushed, void *arg)
{
    struct push *push;
    bool on_loop;
    int result = push_find(w, source, &push, &on_loop);
    return result == WEIR_OK ? push_put(push, event, pushed, arg, false) : result;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int result;
    bool done;
};

static void waiter_pushed(void *arg, weir_result result)
{
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->lock);
    waiter->result = result;
    waiter->done = true;
    pthread_cond_signal(&waiter->wake);
    pthread_mutex_unlock(&waiter->lock);
}

int weir_push_wait(weir *w, const char *source, const weir_event *event)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    struct push *push;
    bool on_loop;
    int result = push_find(w, source, &push, &on_loop);
    if (result != WEIR_OK || on_loop)
        return result != WEIR_OK ? result : WEIR_INVALID;
    result = push_put(push, event, waiter_pushed, &waiter, true);
    if (result != WEIR_OK)
        return result;
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        pthread_cond_wait(&waiter.wake, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    return waiter.result;
}

int weir_push_end(weir *w, const char *source)
{
    struct push *push;
    bool on_loop;
    int result = push_find(w, source, &push, &on_loop);
    if (result == WEIR_OK)
        push_end(push);
    return result;
}
