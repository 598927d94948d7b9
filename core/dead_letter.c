/* dead_letter.c: see dead_letter.h. */
#include "dead_letter.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "commit.h"
#include "crash.h"
#include "field.h"
#include "keys.h"

/* One record on its way again: a block of its own with one event. */
struct replay {
    struct list node;
    struct block block;
    struct engine *engine;
    struct arena arena;
    struct dead_letter dead;
    struct key key;
    struct link *link;
    bool taken;
};

struct replays {
    struct engine *engine;
    struct list open;
    size_t open_count;
    struct key next; /* the scan goes on after this key */
    bool scanning;
};

struct replays *replays_new(struct engine *engine)
{
    struct replays *replays = calloc(1, sizeof *replays);
    if (!replays)
        return NULL;
    replays->engine = engine;
    list_init(&replays->open);
    return replays;
}

static void replay_close(struct replay *replay)
{
    list_remove(&replay->node);
    replay->engine->replays->open_count--;
    block_drop(&replay->block);
}

static void replay_release(struct block *block)
{
    struct replay *replay = CONTAINER_OF(block, struct replay, block);
    arena_fini(&replay->arena);
    free(replay);
}

void replays_free(struct replays *replays)
{
    if (!replays)
        return;
    while (!list_empty(&replays->open))
        replay_close(LIST_FIRST(&replays->open, struct replay, node));
    free(replays);
}

bool replays_idle(const struct replays *replays)
{
    return !replays->scanning && replays->open_count == 0;
}

void engine_replay(struct engine *engine)
{
    engine->replays->scanning = true;
    engine->replays->next.size = 0;
    engine_advance(engine);
}

static struct link *replay_link(struct engine *engine, const struct dead_letter *dead)
{
    for (size_t i = 0; i < engine->flow_count; i++) {
        struct flow *flow = &engine->flows[i];
        if (!view_is(dead->route, flow->config->name))
            continue;
        for (size_t j = 0; j < flow->source_count; j++) {
            if (!view_is(dead->source, flow->sources[j]->instance.name))
                continue;
            struct shard *shard = source_shard_find(flow->sources[j], dead->shard);
            return shard ? shard_link(shard, flow) : NULL;
        }
    }
    return NULL;
}

static bool replay_open_already(const struct replays *replays, weir_view key)
{
    LIST_EACH(replay, &replays->open, struct replay, node)
    {
        if (view_equal(key_view(&replay->key), key))
            return true;
    }
    return false;
}

static size_t replay_sink(const struct flow *flow, const struct dead_letter *dead)
{
    for (size_t i = 0; i < flow->sink_count; i++) {
        if (view_is(dead->stage, flow->sinks[i]->instance.name))
            return i;
    }
    return SIZE_MAX;
}

static void replay_start(struct replay *replay)
{
    struct flow *flow = replay->link->flow;
    struct route_input input = {
        .type = ROUTE_EMIT,
        .shard = replay->link->handle,
        .block = &replay->block,
        .count = 1,
        .replay = true,
        .replay_sink = replay->dead.stage.size ? replay_sink(flow, &replay->dead) : SIZE_MAX,
    };
    struct replays *replays = replay->engine->replays;
    list_append(&replays->open, &replay->node);
    replays->open_count++;
    flow_input(flow, &input);
}

static struct replay *replay_new(struct engine *engine, weir_view key, weir_view value)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return NULL;
    replay->engine = engine;
    list_init(&replay->node);
    arena_init(&replay->arena, 0);
    weir_view kept = arena_copy(&replay->arena, value);
    if (!kept.data || dead_decode(kept, &replay->arena, &replay->dead) != WEIR_OK ||
        key.size > sizeof replay->key.data) {
        arena_fini(&replay->arena);
        free(replay);
        return NULL;
    }
    memcpy(replay->key.data, key.data, key.size);
    replay->key.size = key.size;
    replay->block = (struct block){.events = &replay->dead.event, .count = 1, .refs = 1, .release = replay_release};
    replay->dead.event.position = replay->dead.position;
    return replay;
}

/* It ended the last process: it stays a dead letter until somebody asks again. */
static void replay_crashed(struct replay *replay)
{
    struct engine *engine = replay->engine;
    struct dead_letter *dead = &replay->dead;
    dead->replay_asked = false;
    dead->replays++;
    dead->attempts++;
    dead->last_us = clock_wall_us();
    dead->cause = view_of("the process ended inside the call of its replay");
    store_ops_put(commit_ops(engine), TABLE_DEAD, key_view(&replay->key), dead_encode(dead, &replay->arena));
    commit_want(engine);
    log_write(engine->log, LOG_ERROR, replay->link->flow->config->name,
              "the last run ended inside the call of a dead letter's replay, position %llu; it stays a dead letter",
              (unsigned long long)dead->position);
    block_drop(&replay->block);
}

struct replay_scan {
    struct engine *engine;
    size_t visited;
    bool ended;
};

static bool replay_visit(void *arg, weir_view key, weir_view value)
{
    struct replay_scan *scan = arg;
    struct replays *replays = scan->engine->replays;
    if (replays->open_count >= REPLAYS_OPEN || scan->visited++ >= 500) {
        scan->ended = false;
        return false;
    }
    memcpy(replays->next.data, key.data, key.size);
    replays->next.size = key.size;
    if (replay_open_already(replays, key))
        return true;
    struct replay *replay = replay_new(scan->engine, key, value);
    if (!replay)
        return true;
    replay->link = replay->dead.replay_asked ? replay_link(scan->engine, &replay->dead) : NULL;
    bool gone = replay->link && (!replay->link->handle || replay->link->flow->failed);
    gone |= replay->link && replay->dead.stage.size && replay_sink(replay->link->flow, &replay->dead) == SIZE_MAX;
    if (replay->link && !gone) {
        if (crash_replayed(replay->link, replay->dead.position))
            replay_crashed(replay);
        else
            replay_start(replay);
        return true;
    }
    if (replay->dead.replay_asked)
        log_write(scan->engine->log, LOG_WARN, "dead letters",
                  "route, shard or sink of a dead letter to be replayed is not there now; it stays (route %.*s)",
                  (int)replay->dead.route.size, replay->dead.route.data);
    block_drop(&replay->block);
    return true;
}

void replays_turn(struct engine *engine)
{
    struct replays *replays = engine->replays;
    if (!replays->scanning || replays->open_count >= REPLAYS_OPEN / 2 || engine->phase != PHASE_RUNNING)
        return;
    struct replay_scan scan = {.engine = engine, .ended = true};
    struct key from = replays->next;
    if (from.size && from.size < sizeof from.data)
        from.data[from.size++] = '\0'; /* the first key after it */
    weir_view none = {0};
    int result =
        store_scan(engine->reader, TABLE_DEAD, from.size ? key_view(&from) : none, none, replay_visit, &scan);
    if (scan.ended || result != WEIR_OK)
        replays->scanning = false;
}

void dead_replay_take(struct batch *batch)
{
    LIST_EACH(replay, &batch->flow->engine->replays->open, struct replay, node)
    {
        if (replay->taken || replay->link != batch->link ||
            replay->dead.position != batch->route->events[0].position ||
            !view_equal(replay->dead.event.id, batch->route->events[0].id))
            continue;
        replay->taken = true;
        memcpy(batch->replay_key, replay->key.data, replay->key.size);
        batch->replay_key_size = replay->key.size;
        batch->replays = replay->dead.replays;
        return;
    }
}

static void replay_end(struct batch *batch)
{
    weir_view key = view_make(batch->replay_key, batch->replay_key_size);
    LIST_EACH(replay, &batch->flow->engine->replays->open, struct replay, node)
    {
        if (view_equal(key_view(&replay->key), key)) {
            replay_close(replay);
            return;
        }
    }
}

/* The batch ended as it should, or with a new record that stands for this one. */
void dead_replay_done(struct batch *batch)
{
    struct engine *engine = batch->flow->engine;
    if (batch->replay_key_size) {
        store_ops_del(commit_ops(engine), TABLE_DEAD, view_make(batch->replay_key, batch->replay_key_size));
        commit_want(engine);
        replay_end(batch);
    }
}

/* The batch was given up, to come again (a retry) or in the next run: the record stays as it is. */
void dead_replay_dropped(struct batch *batch)
{
    weir_view key = view_make(batch->replay_key, batch->replay_key_size);
    LIST_EACH(replay, &batch->flow->engine->replays->open, struct replay, node)
    {
        if (view_equal(key_view(&replay->key), key))
            replay->taken = false;
    }
}

/* They left the route, with their shard (NULL: the whole route has failed), and nobody will say more about them. */
void dead_replays_forget(const struct flow *flow, const struct link *link)
{
    struct replays *replays = flow->engine->replays;
    for (struct list *at = replays->open.next, *next; at != &replays->open; at = next) {
        struct replay *replay = CONTAINER_OF(at, struct replay, node);
        next = at->next;
        if (link ? replay->link == link : replay->link->flow == flow)
            replay_close(replay);
    }
}

/* Which output of its input this is: stable over a run that happens again. */
static uint32_t output_ordinal(const struct outputs *outputs, size_t index)
{
    uint32_t ordinal = 0;
    for (size_t i = index; i > 0 && outputs->events[i - 1].position == outputs->events[index].position; i--)
        ordinal++;
    return ordinal;
}

static void dead_sink(const struct batch *batch, const struct route_action *action, struct dead_letter *dead)
{
    const struct outputs *outputs = &batch->outputs[action->sink];
    dead->stage = view_of(batch->flow->sinks[action->sink]->instance.name);
    dead->event = outputs->events[action->index];
    dead->ordinal = output_ordinal(outputs, action->index);
    const char *reason = outputs->reasons ? outputs->reasons[action->index] : NULL;
    dead->cause = view_of(reason ? reason : batch->flow->sinks[action->sink]->failing);
}

static void dead_function(const struct batch *batch, const struct route_action *action, struct dead_letter *dead)
{
    dead->event = batch->route->events[action->index];
    dead->cause = batch->result == WEIR_OK && !batch->fail_reasons
                      ? view_of("the process ended inside the call, as often as there are attempts")
                      : view_of(batch_failure(batch, action->index));
    if (batch->flow->function_count)
        dead->function = view_of(batch->flow->functions[0]->config->name);
}

/* A record that waits for the end of its batch. */
struct dead_record {
    struct list node;
    struct key key;
    weir_view value;
    const char *id, *cause;
    uint32_t attempts;
};

static void dead_put(struct batch *batch, struct dead_letter *dead)
{
    struct arena *arena = &batch->dead_arena;
    struct dead_record *record = arena_zalloc(arena, sizeof *record);
    CHECK(record != NULL);
    list_init(&record->node);
    key_dead(&record->key, dead);
    record->value = dead_encode(dead, arena);
    record->id = arena_text(arena, dead->event.id);
    record->cause = arena_text(arena, dead->cause);
    CHECK(record->value.data && record->id && record->cause);
    record->attempts = dead->attempts;
    list_append(&batch->dead, &record->node);
}

/* The new record stands for the one that was replayed. */
static void dead_supersede(struct batch *batch, const struct dead_record *record, struct store_ops *ops)
{
    weir_view before = view_make(batch->replay_key, batch->replay_key_size);
    if (!before.size)
        return;
    if (!view_equal(before, key_view(&record->key)))
        store_ops_del(ops, TABLE_DEAD, before);
    replay_end(batch);
    batch->replay_key_size = 0;
}

void dead_letters_keep(struct batch *batch)
{
    struct flow *flow = batch->flow;
    LIST_EACH(record, &batch->dead, struct dead_record, node)
    {
        struct store_ops *ops = commit_ops(flow->engine);
        store_ops_put(ops, TABLE_DEAD, key_view(&record->key), record->value);
        dead_supersede(batch, record, ops);
        commit_want(flow->engine);
        metric_add(flow->dead, 1);
        log_write(flow->engine->log, LOG_WARN, flow->config->name, "dead letter %s after %u attempt%s: %s",
                  record->id, record->attempts, plural_s(record->attempts), record->cause);
    }
}

/* The whole batch's open outputs (index SIZE_MAX), or one. */
static void dead_write_one(const struct route_action *action)
{
    struct batch *batch = action->batch->shell;
    weir_batch view = batch_view(batch);
    char id[WEIR_ID_MAX];
    struct dead_letter dead = {
        .route = view.route,
        .source = view.source,
        .shard = view.shard,
        .attempts = action->attempts,
        .replays = batch->replay_key_size ? batch->replays + 1 : 0,
        .last_us = clock_wall_us(),
    };
    if (action->sink == SIZE_MAX)
        dead_function(batch, action, &dead);
    else
        dead_sink(batch, action, &dead);
    dead.first_us = dead.event.time_us;
    dead.position = dead.event.position;
    view.events = &dead.event;
    view.count = 1;
    size_t size = event_id_write(&view, 0, id, sizeof id);
    dead.event.id = view_make(id, size_min(size, sizeof id - 1));
    dead_put(batch, &dead);
}

void dead_letter_write(struct flow *flow, const struct route_action *action)
{
    flow_take(flow, action->batch);
    if (action->sink == SIZE_MAX || action->index != SIZE_MAX) {
        dead_write_one(action);
        return;
    }
    struct batch *batch = action->batch->shell;
    const struct outputs *outputs = &batch->outputs[action->sink];
    struct route_action one = *action;
    for (one.index = 0; one.index < outputs->count; one.index++) {
        if (!outputs->closed || !outputs->closed[one.index])
            dead_write_one(&one);
    }
}
