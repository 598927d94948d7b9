/* commit.c: see commit.h. At most one commit is under way; what gathers meanwhile goes into the next. */
#include "commit.h"

#include <stdlib.h>

#include "keys.h"

enum { RETRY_MS = 200 };

struct ticket {
    struct list node;
    struct link *link;
    uint64_t ticket, low;
    struct list sets; /* the state sets it makes durable */
};

struct change {
    struct list node;
    struct store_ops *ops;
    void (*done)(void *arg, int result);
    void *arg;
    struct letter letter;
    int result;
    struct engine *engine;
};

/* One of the two sets of a commit: what keeps, what accepts. */
struct half {
    struct letter letter;
    struct committer *committer;
    struct store_ops *ops;
    int result;
    bool open, again;
};

struct committer {
    struct engine *engine;
    struct store_ops *ops;       /* gathering */
    struct list tickets, chunks; /* gathering */
    struct list open_tickets, open_chunks;
    struct half keeps, accepts;
    uv_timer_t retry;
    size_t changes;
    bool wanted, full, stuck, pumping;
};

static void commit_pump(struct committer *committer);
static void retry_due(uv_timer_t *timer);

static void committer_room(struct committer *committer)
{
    struct engine *engine = committer->engine;
    if (!committer->full || committer->accepts.again || committer->accepts.open)
        return;
    if (store_room(engine->store) == 0) {
        uv_timer_start(&committer->retry, retry_due, RETRY_MS, 0);
        return;
    }
    log_write(engine->log, LOG_INFO, "store", "there is room again; events are accepted");
    committer->full = false;
    for (size_t i = 0; i < engine->source_count; i++)
        source_touch(&engine->sources[i]);
}

static void retry_due(uv_timer_t *timer)
{
    struct committer *committer = CONTAINER_OF(timer, struct committer, retry);
    commit_pump(committer);
    committer_room(committer);
}

void commit_no_room(struct engine *engine)
{
    struct committer *committer = engine->committer;
    if (!committer->full)
        log_write(engine->log, LOG_ERROR, "store",
                  "no room in %s: no new events are accepted until there is (store.size_max or the file system); "
                  "nothing is lost",
                  engine->config->store_path);
    committer->full = true;
    uv_timer_start(&committer->retry, retry_due, RETRY_MS, 0);
}

struct committer *committer_new(struct engine *engine)
{
    struct committer *committer = calloc(1, sizeof *committer);
    if (!committer)
        return NULL;
    committer->engine = engine;
    list_init(&committer->tickets);
    list_init(&committer->chunks);
    list_init(&committer->open_tickets);
    list_init(&committer->open_chunks);
    committer->keeps.committer = committer->accepts.committer = committer;
    uv_timer_init(&engine->loop, &committer->retry);
    return committer;
}

static void chunks_drop(struct list *chunks)
{
    while (!list_empty(chunks)) {
        struct journal_chunk *chunk = LIST_FIRST(chunks, struct journal_chunk, node);
        list_remove(&chunk->node);
        block_drop(&chunk->lent.block);
    }
}

static void ticket_free(struct ticket *ticket)
{
    list_remove(&ticket->node);
    while (!list_empty(&ticket->sets)) {
        struct state_set *set = LIST_FIRST(&ticket->sets, struct state_set, node);
        list_remove(&set->node);
        state_set_free(set);
    }
    free(ticket);
}

static void tickets_drop(struct list *tickets)
{
    while (!list_empty(tickets))
        ticket_free(LIST_FIRST(tickets, struct ticket, node));
}

void committer_drop(struct committer *committer)
{
    chunks_drop(&committer->chunks);
    chunks_drop(&committer->open_chunks);
    tickets_drop(&committer->tickets);
    tickets_drop(&committer->open_tickets);
}

void committer_free(struct committer *committer)
{
    if (!committer)
        return;
    if (committer->ops)
        store_ops_free(committer->ops);
    if (committer->keeps.again)
        store_ops_free(committer->keeps.ops);
    if (committer->accepts.again)
        store_ops_free(committer->accepts.ops);
    free(committer);
}

struct store_ops *commit_ops(struct engine *engine)
{
    struct committer *committer = engine->committer;
    if (!committer->ops)
        committer->ops = store_ops_new(STORE_KEEPS);
    CHECK(committer->ops != NULL);
    return committer->ops;
}

void commit_want(struct engine *engine)
{
    engine->committer->wanted = true;
    engine_advance(engine);
}

void commit_append(struct engine *engine, struct journal_chunk *chunk)
{
    list_append(&engine->committer->chunks, &chunk->node);
    commit_want(engine);
}

void commit_ticket(struct link *link, uint64_t number, uint64_t low)
{
    struct ticket *ticket = malloc(sizeof *ticket);
    CHECK(ticket != NULL);
    *ticket = (struct ticket){.link = link, .ticket = number, .low = low};
    list_init(&ticket->node);
    list_init(&ticket->sets);
    list_move(&ticket->sets, &link->done);
    list_append(&link->flow->engine->committer->tickets, &ticket->node);
}

bool commit_idle(const struct committer *committer)
{
    return !committer->wanted && !committer->keeps.open && !committer->accepts.open && !committer->keeps.again &&
           !committer->accepts.again && !committer->ops && list_empty(&committer->tickets) &&
           list_empty(&committer->chunks) && committer->changes == 0;
}

bool commit_busy(const struct committer *committer)
{
    return committer->keeps.open || committer->accepts.open || committer->changes;
}

bool commit_full(const struct committer *committer)
{
    return committer->full;
}

/* Results. */

static void ticket_durable(struct ticket *ticket)
{
    struct link *link = ticket->link;
    while (!list_empty(&ticket->sets)) {
        struct state_set *set = LIST_FIRST(&ticket->sets, struct state_set, node);
        list_remove(&set->node);
        if (link->lane_busy[set->lane]) {
            list_append(&link->durable_sets, &set->node);
            continue;
        }
        state_map_settle(&link->lanes[set->lane], set);
        state_set_free(set);
    }
    struct route_input input = {.type = ROUTE_COMMITTED, .shard = link->handle, .ticket = ticket->ticket};
    struct flow *flow = link->flow;
    ticket_free(ticket);
    flow_input(flow, &input);
}

static void keeps_done(struct committer *committer)
{
    if (committer->stuck)
        log_write(committer->engine->log, LOG_INFO, "store", "there is room for checkpoints again");
    committer->stuck = false;
    struct list done;
    list_init(&done);
    list_move(&done, &committer->open_tickets);
    while (!list_empty(&done))
        ticket_durable(LIST_FIRST(&done, struct ticket, node));
}

static void accepts_done(struct committer *committer)
{
    struct list done;
    list_init(&done);
    list_move(&done, &committer->open_chunks);
    if (committer->full)
        log_write(committer->engine->log, LOG_INFO, "store", "there is room again; events are accepted");
    committer->full = false;
    while (!list_empty(&done)) {
        struct journal_chunk *chunk = LIST_FIRST(&done, struct journal_chunk, node);
        list_remove(&chunk->node);
        journal_durable(chunk);
    }
}

static void keeps_no_room(struct committer *committer)
{
    if (!committer->stuck)
        log_write(
            committer->engine->log, LOG_ERROR, "store",
            "no room in %s even for checkpoints and dead letters: waiting until there is (raise store.size_max, "
            "free the file system, or `weir dead drop`); nothing is lost",
            committer->engine->config->store_path);
    committer->stuck = true;
}

static void half_full(struct half *half)
{
    struct committer *committer = half->committer;
    bool accepts = half == &committer->accepts;
    half->again = true;
    if (accepts)
        commit_no_room(committer->engine);
    else
        keeps_no_room(committer);
    uv_timer_start(&committer->retry, retry_due, RETRY_MS, 0);
}

static void half_answered(struct letter *letter)
{
    struct half *half = CONTAINER_OF(letter, struct half, letter);
    struct committer *committer = half->committer;
    half->open = false;
    if (committer->engine->broken) { /* nobody is told; what the store gave back is freed with the committer */
        half->again = half->result == WEIR_FULL || half->result == WEIR_NOMEM;
        return;
    }
    if (half->result == WEIR_OK) {
        half->ops = NULL;
        if (half == &committer->keeps)
            keeps_done(committer);
        else
            accepts_done(committer);
    } else if (half->result == WEIR_FULL) {
        half_full(half);
    } else {
        log_write(
            committer->engine->log, LOG_ERROR, "store",
            "a commit failed (%s): nothing more is settled; this run ends, start again when the disk is sound",
            result_name(half->result));
        engine_fail(committer->engine, EXIT_COMMIT);
        return;
    }
    commit_want(committer->engine);
    engine_advance(committer->engine);
}

static void half_done(void *arg, int result)
{
    struct half *half = arg;
    half->result = result;
    mailbox_post(&half->committer->engine->mailbox, &half->letter);
}

static void half_submit(struct half *half)
{
    half->open = true;
    half->again = false;
    half->letter.open = half_answered;
    store_submit(half->committer->engine->store, half->ops, half_done, half);
}

/* Building. */

static void chunk_put(struct store_ops *ops, struct journal_chunk *chunk)
{
    struct key key;
    weir_view source = view_of(chunk->journal->source->instance.name);
    key_journal(&key, source, chunk->last);
    store_ops_put_borrowed(ops, TABLE_JOURNAL, key_view(&key), view_make(chunk->bytes, chunk->size));
    if (!chunk->settles)
        return;
    char head[16]; /* the last position given, and about how many bytes the journal holds */
    put_le64(head, chunk->last);
    put_le64(head + 8, chunk->journal->held_bytes + chunk->size);
    key_position(&key, view_make("", 0), source, view_make("", 0));
    store_ops_put(ops, TABLE_POSITION, key_view(&key), view_make(head, sizeof head));
    if (chunk->note.data) {
        key_note(&key, source, view_of(chunk->journal->shard->name));
        store_ops_put(ops, TABLE_NOTE, key_view(&key), chunk->note);
    }
}

static void accepts_build(struct committer *committer)
{
    if (committer->accepts.open || committer->accepts.again || list_empty(&committer->chunks))
        return;
    struct store_ops *ops = store_ops_new(STORE_ACCEPTS);
    CHECK(ops != NULL);
    list_move(&committer->open_chunks, &committer->chunks);
    LIST_EACH(chunk, &committer->open_chunks, struct journal_chunk, node)
    chunk_put(ops, chunk);
    committer->accepts.ops = ops;
    half_submit(&committer->accepts);
}

static void keeps_build(struct committer *committer)
{
    if (committer->keeps.open || committer->keeps.again)
        return;
    for (size_t i = 0; i < committer->engine->flow_count; i++)
        flow_flush(&committer->engine->flows[i]);
    if (!committer->ops)
        return;
    list_move(&committer->open_tickets, &committer->tickets);
    committer->keeps.ops = committer->ops;
    committer->ops = NULL;
    half_submit(&committer->keeps);
}

static void halves_again(struct committer *committer)
{
    if (committer->keeps.again && !committer->keeps.open)
        half_submit(&committer->keeps);
    if (committer->accepts.again && !committer->accepts.open)
        half_submit(&committer->accepts);
}

static void commit_pump(struct committer *committer)
{
    if (committer->pumping || committer->engine->broken)
        return;
    committer->pumping = true;
    if (!uv_is_active((uv_handle_t *)&committer->retry))
        halves_again(committer);
    if (!committer->keeps.open && !committer->accepts.open) {
        committer->wanted = false;
        keeps_build(committer);
        accepts_build(committer);
    }
    committer->pumping = false;
}

void commit_turn(struct engine *engine)
{
    if (engine->committer->wanted)
        commit_pump(engine->committer);
}

void committer_close(struct committer *committer)
{
    uv_timer_stop(&committer->retry);
    if (!uv_is_closing((uv_handle_t *)&committer->retry))
        uv_close((uv_handle_t *)&committer->retry, NULL);
}

/* Changes from the control socket go their own way, in the order in which they come. */

static void change_answered(struct letter *letter)
{
    struct change *change = CONTAINER_OF(letter, struct change, letter);
    struct engine *engine = change->engine;
    engine->committer->changes--;
    change->done(change->arg, change->result);
    free(change);
    engine_advance(engine);
}

static void change_done(void *arg, int result)
{
    struct change *change = arg;
    change->result = result;
    if (result == WEIR_FULL || result == WEIR_NOMEM)
        store_ops_free(change->ops);
    mailbox_post(&change->engine->mailbox, &change->letter);
}

void engine_change(struct engine *engine, struct store_ops *ops, void (*done)(void *arg, int result), void *arg)
{
    struct change *change = calloc(1, sizeof *change);
    if (!change) {
        store_ops_free(ops);
        done(arg, WEIR_NOMEM);
        return;
    }
    *change = (struct change){.ops = ops, .done = done, .arg = arg, .engine = engine};
    change->letter.open = change_answered;
    engine->committer->changes++;
    store_submit(engine->store, ops, change_done, change);
}
