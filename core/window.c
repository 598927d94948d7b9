/* window.c: see window.h. */
#include "window.h"

enum { STEPS = 8 };

void window_init(struct window *window, size_t events_max, size_t bytes_max)
{
    *window = (struct window){.events_max = events_max, .bytes_max = bytes_max};
}

void window_take(struct window *window, size_t events, size_t bytes)
{
    window->events += events;
    window->bytes += bytes;
}

void window_give(struct window *window, size_t events, size_t bytes)
{
    CHECK(window->events >= events && window->bytes >= bytes);
    window->events -= events;
    window->bytes -= bytes;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

bool window_tell(struct window *window, bool closed)
{
    size_t events = closed ? 0 : window->events_max - size_min(window->events_max, window->events);
    size_t bytes = closed ? 0 : window->bytes_max - size_min(window->bytes_max, window->bytes);
    bool none = !events || !bytes, none_told = !window->told_events || !window->told_bytes;
    bool moved = distance(events, window->told_events) > window->events_max / STEPS ||
                 distance(bytes, window->told_bytes) > window->bytes_max / STEPS;
    bool whole = !closed && window->events == 0 &&
                 (window->told_events != window->events_max || window->told_bytes != window->bytes_max);
    if (none == none_told && (none || !moved) && !whole)
        return false;
    window->told_events = events;
    window->told_bytes = bytes;
    return true;
}
