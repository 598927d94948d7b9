/* dead_select.c: see dead_select.h. */
#include "dead_select.h"

#include <stdio.h>

bool dead_selection_empty(const struct dead_selection *selection)
{
    return !selection->route && !selection->id && !selection->key && !selection->cause && !selection->all;
}

static bool view_contains(weir_view view, const char *text)
{
    return !*text || (view.data && memmem(view.data, view.size, text, strlen(text)) != NULL);
}

bool dead_selects(const struct dead_selection *selection, const struct dead_letter *dead)
{
    return (!selection->route || view_is(dead->route, selection->route)) &&
           (!selection->id || view_is(dead->event.id, selection->id)) &&
           (!selection->key || view_is(dead->event.key, selection->key)) &&
           (!selection->cause || view_contains(dead->cause, selection->cause));
}

/* One step over the table. */
struct walk {
    const struct dead_selection *selection;
    struct key after; /* begin behind this key; empty: at the first */
    dead_visit *visit;
    void *arg;
    struct arena arena;
    size_t records, bytes; /* looked at */
    bool more;
    struct key last;
};

static bool walk_visit(void *arg, weir_view key, weir_view value)
{
    struct walk *walk = arg;
    if (view_equal(key, key_view(&walk->after)))
        return true;
    if (walk->records >= DEAD_STEP_RECORDS || walk->bytes >= DEAD_STEP_BYTES) {
        walk->more = true;
        return false;
    }
    walk->records++;
    walk->bytes += value.size;
    walk->last.size = size_min(key.size, sizeof walk->last.data);
    memcpy(walk->last.data, key.data, walk->last.size);
    struct dead_letter dead;
    arena_reset(&walk->arena);
    if (dead_decode(value, &walk->arena, &dead) != WEIR_OK || !dead_selects(walk->selection, &dead))
        return true;
    return walk->visit(walk->arg, key, &dead);
}

/* Keys begin with the route and a NUL, so a route's records lie between "route\0" and "route\1". */
static int walk_run(struct walk *walk, struct store_reader *reader)
{
    const char *route = walk->selection->route;
    weir_view from = {0}, to = {0};
    char low[NAME_MAX_BYTES + 1], high[NAME_MAX_BYTES + 1];
    size_t size = route ? strlen(route) : 0;
    if (size > NAME_MAX_BYTES)
        return WEIR_OK;
    if (route) {
        memcpy(low, route, size + 1);
        memcpy(high, route, size + 1);
        high[size] = 1;
        from = view_make(low, size + 1);
        to = view_make(high, size + 1);
    }
    if (walk->after.size)
        from = key_view(&walk->after);
    arena_init(&walk->arena, 0);
    int result = store_scan(reader, TABLE_DEAD, from, to, walk_visit, walk);
    arena_fini(&walk->arena);
    return result;
}

int dead_scan(struct store_reader *reader, const struct dead_scan *scan)
{
    struct key after = {0};
    for (;;) {
        struct walk walk = {.selection = scan->selection, .after = after, .visit = scan->visit, .arg = scan->arg};
        int result = walk_run(&walk, reader);
        scan->between(scan->arg);
        if (result != WEIR_OK || !walk.more)
            return result;
        after = walk.last;
    }
}

struct stepping {
    struct dead_step *step;
    enum dead_change change;
    struct arena arena;
};

static bool step_visit(void *arg, weir_view key, const struct dead_letter *dead)
{
    struct stepping *stepping = arg;
    struct dead_letter asked = *dead;
    if (stepping->change == DEAD_DROP) {
        store_ops_del(stepping->step->ops, TABLE_DEAD, key);
    } else if (dead->replay_asked) {
        return true;
    } else {
        asked.replay_asked = true;
        arena_reset(&stepping->arena);
        store_ops_put(stepping->step->ops, TABLE_DEAD, key, dead_encode(&asked, &stepping->arena));
    }
    stepping->step->changed++;
    return true;
}

int dead_step(struct store_reader *reader, const struct dead_selection *selection, enum dead_change change,
              const struct key *after, struct dead_step *step)
{
    struct stepping stepping = {.step = step, .change = change};
    *step = (struct dead_step){.ops = store_ops_new(STORE_KEEPS)};
    if (!step->ops)
        return WEIR_NOMEM;
    arena_init(&stepping.arena, 0);
    struct walk walk = {.selection = selection, .visit = step_visit, .arg = &stepping};
    if (after)
        walk.after = *after;
    int result = walk_run(&walk, reader);
    arena_fini(&stepping.arena);
    step->more = walk.more;
    step->last = walk.last;
    if (result != WEIR_OK) {
        store_ops_free(step->ops);
        step->ops = NULL;
    }
    return result;
}
