/* sim_source_kit.c: the sources: logs that can be read again, and a peer whose events are kept in a journal.
 *
 * A log goes to all routes at once, as far as all of them have room. The journal's events go to each route as its
 * cursor says: blocks of what one route lacks are offered to all. */
#include "sim.h"

enum { GAP_MAX = 3, APPEND_MAX = 16, UNACCEPTED_MAX = 64 };

static void block_add(struct sim_block *whole, const struct item *item, uint32_t mark)
{
    CHECK(whole->block.count < SIM_BLOCK_MAX);
    whole->events[whole->block.count++] =
        (weir_event){.payload = view_make((const char *)item, item->size),
                     .key = item->key_size ? view_make(item->key, item->key_size) : view_make(NULL, 0),
                     .subject = view_make((const char *)item, mark),
                     .position = item->position};
}

static void item_make(struct sim_shard *shard, uint64_t position)
{
    struct sim_world *world = shard->world;
    struct item *item = &shard->items[shard->count + shard->pending];
    *item = (struct item){.position = position, .index = (uint32_t)(item - shard->items)};
    item->key_number = (uint8_t)sim_below(world, SIM_KEYS);
    item->key_size = sim_chance(world, 100) ? 0 : 3;
    item->key[0] = 'k';
    item->key[1] = (char)('a' + item->key_number / 8);
    item->key[2] = (char)('0' + item->key_number % 8);
    item->size = (uint16_t)(sim_below(world, 20) ? sim_below(world, 100) : sim_below(world, 3000));
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        const struct sim_route *route = &world->routes[i];
        uint32_t all = (1u << route->config.sink_count) - 1;
        item->unwanted[i] = sim_chance(world, 100);
        item->sinks[i] = route->calls && sim_chance(world, 500) ? (uint32_t)sim_below(world, all + 1) : all;
        if (route->calls && sim_chance(world, 15))
            item->poison[i] = 1 + (int)sim_below(world, 6);
        if (route->calls && route->config.on_failure == FAILURE_DEAD && sim_chance(world, 8))
            item->poison[i] = -1;
    }
    shard->at[position] = item->index + 1;
}

void sim_items_make(struct sim_shard *shard, size_t count)
{
    uint64_t position = 0;
    for (size_t i = 0; i < count; i++) {
        position += 1 + sim_below(shard->world, GAP_MAX);
        item_make(shard, position);
        shard->count++;
    }
}

/* How many of the items first..first+count the route can take: at least one when its window is empty. */
static size_t route_fits(const struct sim_route *route, const struct item *items, size_t count)
{
    struct route_status status;
    route_status(route->route, &status);
    if (route->failed || status.stopping || !route->want_events || !route->want_bytes)
        return 0;
    size_t room = route->config.window_events - size_min(route->config.window_events, status.open_events);
    size_t bytes = route->config.window_bytes - size_min(route->config.window_bytes, status.open_bytes), fits = 0;
    while (fits < size_min(count, room)) {
        size_t size = (size_t)items[fits].size + items[fits].key_size;
        if (size > bytes && (fits || status.open_events))
            break;
        bytes -= size_min(size, bytes);
        fits++;
    }
    return fits;
}

static void view_emit(struct sim_view *view, struct sim_block *whole, size_t first, size_t count)
{
    struct sim_world *world = view->shard->world;
    const struct item *items = &view->shard->items[sim_item(view->shard, whole->events[first].position)->index];
    uint8_t unwanted[SIM_BLOCK_MAX / 8 + 1] = {0};
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!items[i].unwanted[view->route->index])
            continue;
        unwanted[i / 8] |= (uint8_t)(1u << i % 8);
        any = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!sim_covers(&view->opened, &items[i]))
            continue;
        sim_reach(world, SIM_EMIT_PARTLY_FINISHED);
        break;
    }
    view->emitted = items[count - 1].position;
    sim_step(view->route, &(struct route_input){.type = ROUTE_EMIT,
                                                .shard = view->handle,
                                                .block = &whole->block,
                                                .first = first,
                                                .count = count,
                                                .unwanted = any ? unwanted : NULL});
}

static bool shard_open(const struct sim_shard *shard)
{
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        if (!shard->views[i].handle)
            return false;
    }
    return !shard->revoking;
}

static bool log_emit(struct sim_shard *shard)
{
    struct sim_world *world = shard->world;
    size_t count = size_min(shard->count - shard->next, 1 + sim_below(world, SIM_BLOCK_MAX));
    const struct item *items = &shard->items[shard->next];
    for (size_t i = 0; i < SIM_ROUTES; i++)
        count = route_fits(shard->views[i].route, items, count);
    if (!count)
        return false;
    struct sim_block *whole = sim_block_make(world);
    for (size_t i = 0; i < count; i++)
        block_add(whole, &items[i], 0);
    shard->next += count;
    world->events += count;
    for (size_t i = 0; i < SIM_ROUTES; i++) {
        size_t first = 0;
        while (first < count && items[first].position <= route_resume(shard->views[i].handle))
            first++;
        if (first < count && !shard->views[i].route->failed)
            view_emit(&shard->views[i], whole, first, count - first);
    }
    block_drop(&whole->block);
    return true;
}

static void journal_offer(struct sim_shard *shard, size_t place, struct sim_block *whole)
{
    struct sim_view *view = &shard->views[place];
    uint64_t first = whole->events[0].position, last = whole->events[whole->block.count - 1].position;
    size_t skip = feed_at(&shard->feed, place, first, last);
    if (skip == SIZE_MAX)
        return;
    const struct item *items = sim_item(shard, first + skip);
    size_t count = route_fits(view->route, items, whole->block.count - skip);
    if (!count)
        return;
    feed_given(&shard->feed, place, first + skip + count - 1);
    view_emit(view, whole, skip, count);
}

static bool journal_emit(struct sim_shard *shard)
{
    struct sim_world *world = shard->world;
    size_t place = sim_below(world, SIM_ROUTES);
    if (!feed_behind(&shard->feed, place))
        place = (place + 1) % SIM_ROUTES;
    if (!feed_behind(&shard->feed, place))
        return false;
    uint64_t first = shard->feed.routes[place].cursor + 1;
    if (first <= shard->trimmed)
        sim_broken(world, "route %zu needs event %llu of the journal, which is trimmed to %llu", place,
                   (unsigned long long)first, (unsigned long long)shard->trimmed);
    const struct item *items = sim_item(shard, first);
    size_t count = size_min(shard->count - items->index, 1 + sim_below(world, SIM_BLOCK_MAX));
    if (!route_fits(&world->routes[place], items, count))
        return false;
    struct sim_block *whole = sim_block_make(world);
    for (size_t i = 0; i < count; i++)
        block_add(whole, &items[i], 0);
    world->events += count;
    for (size_t i = 0; i < SIM_ROUTES; i++)
        journal_offer(shard, i, whole);
    block_drop(&whole->block);
    return true;
}

bool sim_emit(struct sim_world *world)
{
    size_t from = sim_below(world, world->shard_count);
    for (size_t i = 0; i < world->shard_count; i++) {
        struct sim_shard *shard = &world->shards[(from + i) % world->shard_count];
        if (shard_open(shard) && (shard->journaled ? journal_emit(shard) : log_emit(shard))) {
            sim_reach(world, SIM_EMIT);
            return true;
        }
    }
    return false;
}

bool sim_append(struct sim_world *world)
{
    struct sim_shard *shard = &world->shards[0];
    size_t sent = shard->accepted + shard->pending;
    if (sent >= shard->messages || shard->pending >= UNACCEPTED_MAX)
        return false;
    size_t count = size_min(shard->messages - sent, 1 + sim_below(world, APPEND_MAX));
    for (size_t i = 0; i < count; i++) {
        item_make(shard, shard->count + shard->pending + 1);
        shard->pending++;
    }
    return true;
}

static void view_replay(struct sim_view *view, const struct item *item)
{
    struct sim_world *world = view->shard->world;
    uint32_t marks = view->dead[item->index] & ~view->replaying[item->index];
    if (!marks)
        return;
    uint32_t mark = marks & (0u - marks);
    size_t sink = mark == SIM_FUNCTION ? SIZE_MAX : (size_t)__builtin_ctz(mark) - 1;
    sim_reach(world, sink == SIZE_MAX ? SIM_REPLAY_FUNCTION : SIM_REPLAY_SINK);
    struct sim_block *whole = sim_block_make(world);
    block_add(whole, item, mark);
    view->replaying[item->index] |= mark;
    sim_step(view->route, &(struct route_input){.type = ROUTE_EMIT,
                                                .shard = view->handle,
                                                .block = &whole->block,
                                                .count = 1,
                                                .replay = true,
                                                .replay_sink = sink});
    block_drop(&whole->block);
}

bool sim_replay(struct sim_world *world)
{
    struct sim_shard *shard = &world->shards[sim_below(world, world->shard_count)];
    struct sim_view *view = &shard->views[sim_below(world, SIM_ROUTES)];
    if (!shard_open(shard) || !shard->count || view->route->failed)
        return false;
    size_t from = sim_below(world, shard->count);
    for (size_t i = 0; i < shard->count; i++) {
        const struct item *item = &shard->items[(from + i) % shard->count];
        if (!view->dead[item->index] || !route_fits(view->route, item, 1))
            continue;
        view_replay(view, item);
        return true;
    }
    return false;
}

bool sim_drained(struct sim_world *world)
{
    for (size_t i = 0; i < world->shard_count; i++) {
        const struct sim_shard *shard = &world->shards[i];
        if (!shard_open(shard) || (!shard->journaled && shard->next < shard->count))
            return false;
        if (shard->journaled && (shard->accepted < shard->messages || shard->pending ||
                                 feed_behind(&shard->feed, 0) || feed_behind(&shard->feed, 1)))
            return false;
    }
    return true;
}
