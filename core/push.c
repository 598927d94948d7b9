/* push.c: see push.h.
 *
 * The normal path:
 *   1. push_put, on any thread, copies the event into the queue, if there is room, and wakes the loop.
 *   2. On the loop, as far as the credit goes, what is queued becomes a block; its events wait for their settle.
 *   3. The settle after the commit answers them, and gives their room in the queue back.
 * How it fails: a block for which there is no memory stays queued, and is tried again with the next credit or
 * event; an event that the source's `time` refuses is answered by WEIR_REJECT; what is open at the end by
 * WEIR_CLOSED. */
#include "push.h"

#include <pthread.h>
#include <stdlib.h>

#include "emit.h"
#include "list.h"
#include "source.h"

enum { BLOCK_EVENTS = 512 };

struct request {
    struct list node;
    weir_event event;
    size_t bytes; /* of payload, key, subject and id, as credit counts them */
    weir_pushed *pushed;
    void *arg;
    char data[];
};

struct push {
    int64_t has_queue, events_max, bytes_max; /* options */
    const weir_host *host;
    weir_shard *shard;
    size_t want_events, want_bytes;
    bool single; /* the source may refuse single events, so that each is a block of its own */
    bool made, stopping, ended;
    struct list refused;
    struct list given; /* emitted, not settled; event.position is the journal's; the loop's alone */

    pthread_mutex_t lock;
    pthread_cond_t room;
    struct list queued;
    size_t count, bytes; /* queued and given */
    bool ending, closed;
};

static const weir_option queue_rows[] = {
    {.name = "events",
     .type = WEIR_OPTION_INT,
     .fallback = "10000",
     .min = 1,
     .max = 10000000,
     .offset = offsetof(struct push, events_max),
     .help = "How many events may wait to be accepted; one more is told that the queue is full."},
    {.name = "bytes",
     .type = WEIR_OPTION_SIZE,
     .fallback = "8MiB",
     .min = 1,
     .max = INT64_C(1) << 40,
     .offset = offsetof(struct push, bytes_max),
     .help = "The same in bytes; an event that is alone may be larger."},
    {0}};

static const weir_option push_rows[] = {{.name = "queue",
                                         .type = WEIR_OPTION_GROUP,
                                         .rows = queue_rows,
                                         .offset = offsetof(struct push, has_queue),
                                         .help = "What may wait between weir_push and the durable commit."},
                                        {0}};

static weir_view data_put(char **at, weir_view from)
{
    if (!from.data)
        return from;
    weir_view copy = {*at, from.size};
    memcpy(*at, from.data, from.size);
    *at += from.size;
    return copy;
}

static size_t headers_bytes(const weir_event *event)
{
    size_t bytes = event->header_count * sizeof(weir_header);
    for (size_t i = 0; i < event->header_count; i++)
        bytes += event->headers[i].name.size + event->headers[i].value.size;
    return bytes;
}

/* The event and all it points to in one piece; headers first, for their alignment. */
static struct request *request_new(const weir_event *event)
{
    size_t text = event->payload.size + event->key.size + event->subject.size + event->id.size;
    struct request *request = malloc(sizeof *request + headers_bytes(event) + text + 1);
    if (!request)
        return NULL;
    weir_header *headers = (weir_header *)(void *)request->data;
    char *at = request->data + event->header_count * sizeof *headers;
    list_init(&request->node);
    request->event = *event;
    request->bytes = text;
    for (size_t i = 0; i < event->header_count; i++) {
        headers[i].name = data_put(&at, event->headers[i].name);
        headers[i].value = data_put(&at, event->headers[i].value);
    }
    request->event.headers = headers;
    request->event.payload = data_put(&at, event->payload);
    request->event.key = data_put(&at, event->key);
    request->event.subject = data_put(&at, event->subject);
    request->event.id = data_put(&at, event->id);
    request->event.position = 0;
    memset(request->event.reserved, 0, sizeof request->event.reserved);
    return request;
}

/* With the lock held. */
static bool push_room(const struct push *push, size_t bytes)
{
    return push->count == 0 || (push->count < (size_t)push->events_max && bytes <= (size_t)push->bytes_max &&
                                push->bytes <= (size_t)push->bytes_max - bytes);
}

static int push_queue(struct push *push, struct request *request, bool wait)
{
    pthread_mutex_lock(&push->lock);
    while (wait && !push->closed && !push->ending && !push_room(push, request->bytes))
        pthread_cond_wait(&push->room, &push->lock);
    int result = push->closed || push->ending ? WEIR_CLOSED : push_room(push, request->bytes) ? WEIR_OK : WEIR_FULL;
    if (result == WEIR_OK) {
        push->count++;
        push->bytes += request->bytes;
        list_append(&push->queued, &request->node);
        push->host->wake(push->host); /* with the lock: push_close may come right after */
    }
    pthread_mutex_unlock(&push->lock);
    return result;
}

static void nobody(void *arg, weir_result result)
{
    UNUSED(arg);
    UNUSED(result);
}

int push_put(struct push *push, const weir_event *event, weir_pushed *pushed, void *arg, bool wait)
{
    if (event->payload.size > (size_t)push->host->event_bytes_max)
        return WEIR_REJECT;
    struct request *request = request_new(event);
    if (!request)
        return WEIR_NOMEM;
    request->pushed = pushed ? pushed : nobody;
    request->arg = arg;
    if (request->event.time_us == 0)
        request->event.time_us = push->host->wall_us(push->host);
    int result = push_queue(push, request, wait);
    if (result != WEIR_OK)
        free(request);
    return result;
}

void push_end(struct push *push)
{
    pthread_mutex_lock(&push->lock);
    push->ending = true;
    pthread_cond_broadcast(&push->room);
    if (!push->closed)
        push->host->wake(push->host);
    pthread_mutex_unlock(&push->lock);
}

/* The first of them, out of the list; NULL: there is none. Its room is given back. */
static struct request *request_take(struct push *push, struct list *requests)
{
    struct request *request = NULL;
    pthread_mutex_lock(&push->lock);
    if (!list_empty(requests)) {
        request = LIST_FIRST(requests, struct request, node);
        list_remove(&request->node);
        push->count--;
        push->bytes -= request->bytes;
        pthread_cond_broadcast(&push->room);
    }
    pthread_mutex_unlock(&push->lock);
    return request;
}

static bool requests_answer(struct push *push, struct list *requests, weir_result result)
{
    struct request *request = request_take(push, requests);
    if (!request)
        return false;
    request->pushed(request->arg, result);
    free(request);
    return true;
}

void push_close(struct push *push)
{
    pthread_mutex_lock(&push->lock);
    push->closed = true;
    pthread_cond_broadcast(&push->room);
    pthread_mutex_unlock(&push->lock);
    while (requests_answer(push, &push->given, WEIR_CLOSED) || requests_answer(push, &push->queued, WEIR_CLOSED))
        continue;
}

/* Moves what makes one block from the queue to `taken`, as events; returns how many. */
static size_t push_take(struct push *push, struct list *taken, weir_event *events, size_t *bytes)
{
    size_t count = 0, most = push->single ? 1 : size_min(push->want_events, BLOCK_EVENTS);
    *bytes = 0;
    pthread_mutex_lock(&push->lock);
    while (count < most && !list_empty(&push->queued)) {
        struct request *request = LIST_FIRST(&push->queued, struct request, node);
        if (count && *bytes + request->bytes > push->want_bytes)
            break;
        list_remove(&request->node);
        list_append(taken, &request->node);
        *bytes += request->bytes;
        events[count++] = request->event;
    }
    pthread_mutex_unlock(&push->lock);
    return count;
}

static void push_return(struct push *push, struct list *taken)
{
    pthread_mutex_lock(&push->lock);
    list_move(taken, &push->queued); /* what was taken comes first again */
    list_move(&push->queued, taken);
    pthread_mutex_unlock(&push->lock);
}

static void push_given(struct push *push, struct list *taken, const weir_emit *emit)
{
    uint64_t position = emit->first;
    if (!position) { /* none was kept */
        list_move(&push->refused, taken);
        while (requests_answer(push, &push->refused, WEIR_REJECT))
            continue;
        return;
    }
    LIST_EACH(request, taken, struct request, node)
    request->event.position = position++;
    list_move(&push->given, taken);
}

/* False: there is nothing, or no memory for it now. */
static bool push_emit(struct push *push)
{
    weir_event events[BLOCK_EVENTS];
    struct list taken;
    size_t bytes;
    list_init(&taken);
    weir_emit emit = {.size = sizeof emit, .events = events, .count = push_take(push, &taken, events, &bytes)};
    if (!emit.count)
        return false;
    push->want_events -= emit.count;
    push->want_bytes -= size_min(bytes, push->want_bytes);
    int result = push->host->emit(push->host, push->shard, &emit);
    if (result == WEIR_OK)
        push_given(push, &taken, &emit);
    else
        push_return(push, &taken);
    return result == WEIR_OK;
}

static void push_go(struct push *push)
{
    while (push->shard && !push->stopping && push->want_events && push->want_bytes && push_emit(push))
        continue;
    pthread_mutex_lock(&push->lock);
    bool over = push->ending && push->count == 0 && push->shard && !push->stopping && !push->ended;
    pthread_mutex_unlock(&push->lock);
    push->ended |= over;
    if (over)
        push->host->ended(push->host);
}

static int push_init(void *state, const weir_host *host)
{
    struct push *push = state;
    push->host = host;
    push->single = source_of(host)->config->time != NULL;
    list_init(&push->queued);
    list_init(&push->given);
    list_init(&push->refused);
    pthread_mutex_init(&push->lock, NULL);
    pthread_cond_init(&push->room, NULL);
    push->made = true;
    return WEIR_OK;
}

static int push_start(void *state)
{
    struct push *push = state;
    weir_view name = {"push", 4};
    weir_resume resume = {.size = sizeof resume};
    return push->host->shard_open(push->host, name, 1, &resume, &push->shard);
}

static void push_want(void *state, size_t events, size_t bytes)
{
    struct push *push = state;
    push->want_events = events;
    push->want_bytes = bytes;
    push_go(push);
}

/* A refusal was answered when the event was emitted. */
static void push_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct push *push = state;
    UNUSED(shard);
    UNUSED(first);
    while (how == WEIR_ACCEPTED && !list_empty(&push->given) &&
           LIST_FIRST(&push->given, struct request, node)->event.position <= last)
        requests_answer(push, &push->given, WEIR_OK);
    push_go(push);
}

static void push_woken(void *state)
{
    push_go(state);
}

static void push_stop(void *state)
{
    struct push *push = state;
    push->stopping = true;
    push_close(push);
    push->host->stopped(push->host);
}

static void push_fini(void *state)
{
    struct push *push = state;
    if (!push->made)
        return;
    push_close(push);
    pthread_mutex_destroy(&push->lock);
    pthread_cond_destroy(&push->room);
}

const weir_source_ops source_push = {
    .size = sizeof source_push,
    .type = "push",
    .summary = "Events that the program around weir hands over by weir_push.",
    .options = push_rows,
    .state_size = sizeof(struct push),
    .init = push_init,
    .start = push_start,
    .want = push_want,
    .settle = push_settle,
    .woken = push_woken,
    .stop = push_stop,
    .fini = push_fini,
};

static const weir_source_ops *const push_sources[] = {&source_push, NULL};
const weir_module_info push_module = {
    .abi = WEIR_ABI, .size = sizeof push_module, .name = "push", .version = WEIR_VERSION, .sources = push_sources};
