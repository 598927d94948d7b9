/* store_thread.c: the queue of change sets and the thread that commits them in groups.
 *
 *   1. store_submit appends to the queue and wakes the thread.
 *   2. The thread takes all that is waiting (up to GROUP_SUBMITS or GROUP_BYTES), looks how much room there is,
 *      refuses what does not fit, and writes the rest in one transaction.
 *   3. It answers each in order, then takes what came meanwhile. There is no timer: the commit itself is the delay
 *      in which the next group gathers.
 *
 * Idle, it sleeps on its condition for ever. While there is no room it looks every STORE_FULL_POLL_MS, so that
 * acceptance recovers by itself. A failed commit poisons: every later answer is WEIR_IO. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "store_private.h"

#define GROUP_SUBMITS 1000
#define GROUP_BYTES ((size_t)64 << 20)

void store_submit(struct store *store, struct store_ops *ops, store_done *done, void *arg)
{
    CHECK(!store->read_only);
    ops->next = NULL;
    ops->done = done;
    ops->arg = arg;
    atomic_fetch_add(&store->submits, 1);
    pthread_mutex_lock(&store->lock);
    CHECK(!store->stopping);
    *store->last = ops;
    store->last = &ops->next;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

struct apply {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool answered;
    int result;
};

static void apply_done(void *arg, int result)
{
    struct apply *apply = arg;

    pthread_mutex_lock(&apply->lock);
    apply->result = result;
    apply->answered = true;
    pthread_cond_signal(&apply->wake);
    pthread_mutex_unlock(&apply->lock);
}

/* What was not applied is the caller's again, from `done` on. */
static bool ops_returns(int result)
{
    return result == WEIR_FULL || result == WEIR_NOMEM;
}

int store_apply(struct store *store, struct store_ops *ops)
{
    struct apply apply = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

    store_submit(store, ops, apply_done, &apply);
    pthread_mutex_lock(&apply.lock);
    while (!apply.answered)
        pthread_cond_wait(&apply.wake, &apply.lock);
    pthread_mutex_unlock(&apply.lock);
    pthread_cond_destroy(&apply.wake);
    pthread_mutex_destroy(&apply.lock);
    if (ops_returns(apply.result))
        store_ops_free(ops);
    return apply.result;
}

/* With the lock held; waits until signalled or for the poll interval. */
static void thread_nap(struct store *store)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STORE_FULL_POLL_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&store->wake, &store->lock, &until);
}

/* Is there room again? */
static void thread_look(struct store *store)
{
    room_update(store);
    if (!room_turns(store))
        return;
    if (store_turn(store) == WEIR_IO)
        atomic_store(&store->poisoned, true);
    room_update(store);
}

/* With the lock held; false: stopping, and nothing is left. */
static bool thread_wait(struct store *store)
{
    while (!store->first && !store->stopping) {
        if (atomic_load(&store->room) > 0 || atomic_load(&store->poisoned)) {
            pthread_cond_wait(&store->wake, &store->lock);
            continue;
        }
        thread_nap(store);
        pthread_mutex_unlock(&store->lock);
        thread_look(store);
        pthread_mutex_lock(&store->lock);
    }
    return store->first != NULL;
}

/* With the lock held. */
static void batch_take(struct store *store, struct batch *batch)
{
    size_t bytes = 0;

    batch->count = 0;
    while (store->first && batch->count < GROUP_SUBMITS && (bytes < GROUP_BYTES || batch->count == 0)) {
        struct store_ops *ops = store->first;

        store->first = ops->next;
        bytes += ops->bytes;
        batch->ops[batch->count++] = ops;
    }
    if (!store->first)
        store->last = &store->first;
}

/* With the lock held: ops[from..] go back to the head of the queue, in order. */
static void batch_return(struct store *store, struct batch *batch, size_t from)
{
    for (size_t i = batch->count; i-- > from;) {
        if (!store->first)
            store->last = &batch->ops[i]->next;
        batch->ops[i]->next = store->first;
        store->first = batch->ops[i];
    }
}

/* Lets in what there is room for. Once one that accepts was refused, the later ones of the group are too: their
 * order is kept. One that was begun is always the first, and nothing overtakes it. Returns how many were let in. */
static size_t batch_admit(struct store *store, struct batch *batch)
{
    uint64_t growth = 0, touch = 0;
    bool refusing = false;
    size_t admitted = 0;

    for (size_t i = 0; i < batch->count; i++) {
        struct store_ops *ops = batch->ops[i];
        bool accepts = ops->class_ == STORE_ACCEPTS;

        batch->results[i] = ops->failed ? WEIR_NOMEM : WEIR_FULL;
        if (ops->failed || (accepts && refusing) || !room_for(store, ops, growth, touch)) {
            if (ops->started)
                return 0;
            refusing = refusing || accepts;
            continue;
        }
        batch->results[i] = WEIR_OK;
        growth += ops->growth;
        touch += ops->touch;
        admitted++;
    }
    return admitted;
}

static void store_poison(struct store *store, struct batch *batch)
{
    atomic_store(&store->poisoned, true);
    atomic_store(&store->room, 0);
    batch->served = batch->count;
    batch->cut = false;
    for (size_t i = 0; i < batch->count; i++)
        batch->results[i] = WEIR_IO;
}

static void batch_transact(struct store *store, struct batch *batch)
{
    batch->served = batch->count;
    batch->cut = false;
    if (atomic_load(&store->poisoned)) {
        store_poison(store, batch);
        return;
    }
    room_update(store);
    if (batch_admit(store, batch) == 0)
        return;
    if (batch_write(store, batch) != WEIR_OK)
        store_poison(store, batch);
    else
        room_update(store);
}

static void ops_answer(struct store *store, struct store_ops *ops, int result)
{
    store_done *done = ops->done;
    void *arg = ops->arg;

    if (result == WEIR_FULL)
        atomic_fetch_add(&store->full_refusals, 1);
    if (!ops_returns(result))
        store_ops_free(ops);
    done(arg, result);
}

/* Answers in order up to the first that has to go on: a trim that was cut, or one that was begun and found no room
 * for its rest. Returns its index, or how many were served. */
static size_t batch_answer(struct store *store, struct batch *batch, bool stopping)
{
    for (size_t i = 0; i < batch->served; i++) {
        struct store_ops *ops = batch->ops[i];
        int result = batch->results[i];

        if (batch->cut && i == batch->served - 1) {
            ops->started = true;
            ops->at = ops->at_next;
            return i;
        }
        if (ops->started && !stopping && ops_returns(result))
            return i;
        ops_answer(store, ops, result);
    }
    return batch->served;
}

/* A reader that was killed keeps its pages from being used again until someone looks. */
static void readers_check(struct store *store)
{
    int64_t now = clock_mono_us();
    int dead = 0;

    if (now - store->reader_checked_us < STORE_READER_CHECK_US)
        return;
    store->reader_checked_us = now;
    if (mdb_reader_check(store->env, &dead) == 0 && dead > 0)
        log_write(store->log, LOG_INFO, "store", "gave back the pages of %d readers that ended", dead);
}

static void *thread_run(void *arg)
{
    struct store *store = arg;
    struct store_ops *ops[GROUP_SUBMITS];
    int results[GROUP_SUBMITS];
    struct batch batch = {.ops = ops, .results = results};
    size_t answered;

    pthread_mutex_lock(&store->lock);
    while (thread_wait(store)) {
        bool stopping = store->stopping;

        batch_take(store, &batch);
        pthread_mutex_unlock(&store->lock);
        readers_check(store);
        batch_transact(store, &batch);
        answered = batch_answer(store, &batch, stopping);
        pthread_mutex_lock(&store->lock);
        batch_return(store, &batch, answered);
        if (answered < batch.count && !batch.cut && !store->stopping)
            thread_nap(store);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

int store_thread_start(struct store *store, struct error *error)
{
    sigset_t all, before;
    int rc;

    store->last = &store->first;
    /* Signals are for the thread that waits for them, never for this one. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&store->thread, NULL, thread_run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return error_set(error, WEIR_NOMEM, "cannot start the store thread: %s", strerror(rc));
    store->threaded = true;
    return WEIR_OK;
}

void store_thread_stop(struct store *store)
{
    if (!store->threaded)
        return;
    pthread_mutex_lock(&store->lock);
    store->stopping = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->threaded = false;
}
