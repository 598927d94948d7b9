/* embed_loop.c: see embed_loop.h.
 *
 * A loop of libuv can be waited for by its descriptor and its next timer (uv_backend_fd, uv_backend_timeout), so
 * the outer loop needs four handles and the inner one does not know:
 *   1. prepare, before outer waits: how long may it? At once means an idle handle, a time means a timer.
 *   2. The descriptor is readable, the timer or the idle handle is due: one turn of inner, without waiting.
 * The engine keeps a loop of its own this way: ending it is one plain call, and never turns what is the host's. */
#include "embed_loop.h"

#include <stdlib.h>

#include "base.h"

struct embed_loop {
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_idle_t idle;
    uv_loop_t *inner;
    void (*turned)(void *arg);
    void *arg;
    size_t open; /* handles */
};

static void loop_turn(struct embed_loop *loop)
{
    uv_idle_stop(&loop->idle);
    uv_timer_stop(&loop->timer);
    uv_run(loop->inner, UV_RUN_NOWAIT);
    loop->turned(loop->arg);
}

static void poll_fired(uv_poll_t *poll, int status, int events)
{
    UNUSED(status);
    UNUSED(events);
    loop_turn(poll->data);
}

static void timer_fired(uv_timer_t *timer)
{
    loop_turn(timer->data);
}

static void idle_fired(uv_idle_t *idle)
{
    loop_turn(idle->data);
}

static void prepare_fired(uv_prepare_t *prepare)
{
    struct embed_loop *loop = prepare->data;
    uv_update_time(loop->inner);
    int timeout = uv_backend_timeout(loop->inner);
    if (timeout == 0)
        uv_idle_start(&loop->idle, idle_fired);
    else if (timeout > 0)
        uv_timer_start(&loop->timer, timer_fired, (uint64_t)timeout, 0);
}

static void handle_closed(uv_handle_t *handle)
{
    struct embed_loop *loop = handle->data;
    if (--loop->open == 0)
        free(loop);
}

struct embed_loop *embed_loop_new(uv_loop_t *outer, uv_loop_t *inner, void (*turned)(void *arg), void *arg)
{
    struct embed_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->inner = inner;
    loop->turned = turned;
    loop->arg = arg;
    if (uv_poll_init(outer, &loop->poll, uv_backend_fd(inner)) != 0) {
        free(loop);
        return NULL;
    }
    uv_prepare_init(outer, &loop->prepare);
    uv_timer_init(outer, &loop->timer);
    uv_idle_init(outer, &loop->idle);
    loop->open = 4;
    loop->poll.data = loop->prepare.data = loop->timer.data = loop->idle.data = loop;
    uv_poll_start(&loop->poll, UV_READABLE, poll_fired);
    uv_prepare_start(&loop->prepare, prepare_fired);
    return loop;
}

void embed_loop_close(struct embed_loop *loop)
{
    uv_close((uv_handle_t *)&loop->poll, handle_closed);
    uv_close((uv_handle_t *)&loop->prepare, handle_closed);
    uv_close((uv_handle_t *)&loop->timer, handle_closed);
    uv_close((uv_handle_t *)&loop->idle, handle_closed);
}
