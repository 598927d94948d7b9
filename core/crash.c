/* crash.c: see crash.h.
 *
 *   1. Each worker's slot says which positions of one lane were in its call. They become suspects: they run alone.
 *   2. Whatever else was in a call then, in the same batch or beside it, may be innocent. So an event is marked
 *      `among` until a crash meets it as a suspect: only then can its attempts be used up.
 *   3. A dead letter that was on its way again is not tried again by itself: it would end every process. */
#include "crash.h"

#include <string.h>

#include "keys.h"

static bool slot_of_link(const struct slot *slot, const struct link *link)
{
    return strcmp(slot->route, link->flow->config->name) == 0 && slot->shard_hash == link->shard->name_hash &&
           strcmp(slot->source, link->shard->source->instance.name) == 0;
}

static uint32_t attempts_after(uint32_t before, bool suspect)
{
    uint32_t attempts = (before & ~ATTEMPT_AMONG) + 1;
    bool among = !suspect && (before == 0 || before & ATTEMPT_AMONG);
    return among ? attempts | ATTEMPT_AMONG : attempts;
}

static void crash_count(const struct link *link, const struct slot *slot, uint64_t position, struct store_ops *ops)
{
    struct key key;
    struct arena scratch;
    weir_view before = {0};
    char value[4];
    arena_init(&scratch, 0);
    key_attempt(&key, view_of(slot->route), view_of(slot->source), view_of(link->shard->name), position);
    bool found = store_get(link->flow->engine->reader, TABLE_ATTEMPT, key_view(&key), &scratch, &before) == WEIR_OK;
    put_le32(value, attempts_after(found && before.size == 4 ? get_le32(before.data) : 0, slot->suspect));
    store_ops_put(ops, TABLE_ATTEMPT, key_view(&key), view_make(value, sizeof value));
    arena_fini(&scratch);
}

static void crash_slot(const struct link *link, const struct slot *slot, struct store_ops *ops)
{
    log_write(link->flow->engine->log, LOG_WARN, link->flow->config->name,
              "the last run ended inside a call with positions %llu to %llu; they run alone now",
              (unsigned long long)slot->first, (unsigned long long)slot->last);
    for (uint64_t position = slot->first; position <= slot->last; position++)
        crash_count(link, slot, position, ops);
}

int crash_attempts(struct link *link)
{
    struct engine *engine = link->flow->engine;
    struct store_ops *ops = NULL;
    for (size_t i = 0; i < engine->crashed_count; i++) {
        struct slot *slot = &engine->crashed[i];
        if (slot->replay || !slot_of_link(slot, link))
            continue;
        if (!ops)
            ops = store_ops_new(STORE_KEEPS);
        if (!ops)
            return WEIR_NOMEM;
        crash_slot(link, slot, ops);
        slot->route[0] = '\0';
    }
    return ops ? store_apply(engine->store, ops) : WEIR_OK;
}

bool crash_replayed(const struct link *link, uint64_t position)
{
    const struct engine *engine = link->flow->engine;
    for (size_t i = 0; i < engine->crashed_count; i++) {
        struct slot *slot = &engine->crashed[i];
        if (!slot->replay || slot->first != position || !slot_of_link(slot, link))
            continue;
        slot->route[0] = '\0';
        return true;
    }
    return false;
}
