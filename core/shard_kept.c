/* shard_kept.c: where a shard begins whose peer stores positions as well (a consumer group).
 *
 * For a route without keyed state the peer's position is the truth. For one with state it is the store's, which is
 * written first: so a peer that is ahead shows that the shard was worked on elsewhere meanwhile, and that the state
 * here is old. Then `moved_state` decides: the shard is not read, or the state is discarded and the route goes on
 * where the peer is. The shard begins at the lowest; a route passes over what it has finished. */
#include "commit.h"
#include "flow.h"
#include "keys.h"
#include "source.h"

static void link_begin(struct link *link, struct store_ops *ops, uint64_t position)
{
    const struct shard *shard = link->shard;
    struct route_vector vector = {.lanes = 1, .positions = &position};
    struct arena scratch;
    struct key key;
    arena_init(&scratch, 0);
    key_position(&key, view_of(link->flow->config->name), view_of(shard->source->instance.name),
                 view_of(shard->name));
    store_ops_put(ops, TABLE_POSITION, key_view(&key), vector_encode(&vector, &scratch));
    arena_fini(&scratch);
    link->low = link->asked = position;
}

/* Durable before anything is read: a call would see what is still there. */
static int link_discard(struct link *link, uint64_t position)
{
    struct engine *engine = link->flow->engine;
    struct store_ops *ops = store_ops_new(STORE_KEEPS);
    if (!ops)
        return WEIR_NOMEM;
    for (size_t i = 0; i < link->flow->function_count; i++) {
        struct key from, to;
        key_scope(&from, link->scopes[i]);
        key_scope(&to, link->scopes[i] + 1);
        if (link->scopes[i] < UINT64_MAX)
            store_ops_trim(ops, TABLE_STATE, key_view(&from), key_view(&to));
    }
    link_begin(link, ops, position);
    return store_apply(engine->store, ops);
}

static int link_moved(struct link *link, uint64_t kept)
{
    struct shard *shard = link->shard;
    bool discard = link->flow->config->moved_state == MOVED_DISCARD;
    instance_log(
        &shard->source->instance, discard ? LOG_WARN : LOG_ERROR,
        "shard %s was worked on elsewhere: route %s stands at position %llu here, and the peer at %llu, so the "
        "keyed state here is old; %s",
        shard->name, link->flow->config->name, (unsigned long long)link->low, (unsigned long long)kept,
        discard ? "it is discarded (moved_state: discard)"
                : "the shard is not read. Bring the store that was used meanwhile, or set `moved_state: "
                  "discard` on the route to go on without the state");
    return discard ? link_discard(link, kept) : WEIR_CLOSED;
}

static int link_kept(struct link *link, const weir_resume *resume, uint64_t begin)
{
    if (!link->durable) {
        link->low = begin;
        return WEIR_OK;
    }
    if (resume->is_kept && resume->kept > link->low)
        return link_moved(link, resume->kept);
    if (!link->stored && begin) {
        link_begin(link, commit_ops(link->flow->engine), begin);
        commit_want(link->flow->engine);
    }
    return WEIR_OK;
}

int shard_kept(struct shard *shard, weir_resume *resume)
{
    uint64_t begin = resume->is_kept ? resume->kept : resume->begin;
    bool stored = false;
    int result = WEIR_OK;
    resume->pins = 1;
    for (size_t i = 0; i < shard->source->flow_count && result == WEIR_OK; i++) {
        struct link *link = shard->links[i];
        stored |= link->durable && link->stored;
        resume->pins &= !link->durable;
        result = link_kept(link, resume, begin);
    }
    resume->known = resume->is_kept || stored;
    return result;
}
