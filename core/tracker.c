/* tracker.c: see tracker.h. */
#include "tracker.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

void tracker_init(struct tracker *tracker)
{
    *tracker = (struct tracker){0};
}

uint32_t tracker_after(const struct tracker *tracker, uint32_t number)
{
    return tracker->runs[number].after;
}

void tracker_fini(struct tracker *tracker)
{
    for (uint32_t number = tracker->used ? tracker_after(tracker, 0) : 0; number;
         number = tracker_after(tracker, number))
        block_drop(tracker->runs[number].block);
    free(tracker->runs);
    tracker_init(tracker);
}

struct run *tracker_run(const struct tracker *tracker, uint32_t number)
{
    return &tracker->runs[number];
}

static void tracker_grow(struct tracker *tracker)
{
    uint32_t room = tracker->room ? tracker->room * 2 : ROOM_MIN;
    struct run *runs = realloc(tracker->runs, room * sizeof *runs);
    CHECK(runs != NULL && room > tracker->room); /* bounded by the window */
    tracker->runs = runs;
    tracker->room = room;
    if (tracker->used)
        return;
    runs[0] = (struct run){0};
    tracker->used = 1;
}

static uint32_t tracker_spare(struct tracker *tracker)
{
    uint32_t number = tracker->spare;
    if (number) {
        tracker->spare = tracker->runs[number].after;
        return number;
    }
    if (tracker->used == tracker->room)
        tracker_grow(tracker);
    return tracker->used++;
}

uint32_t tracker_add(struct tracker *tracker, const struct run *run)
{
    CHECK(run->block && run->count > 0);
    uint32_t number = tracker_spare(tracker), last = tracker->runs[0].before;
    block_hold(run->block);
    tracker->runs[number] = *run;
    tracker->runs[number].before = last;
    tracker->runs[number].after = 0;
    tracker->runs[last].after = number;
    tracker->runs[0].before = number;
    return number;
}

void tracker_done(struct tracker *tracker, uint32_t number, size_t count)
{
    struct run *run = tracker_run(tracker, number);
    CHECK(run->block && count <= run->taken - run->done);
    run->done += (uint32_t)count;
    if (run->done < run->count)
        return;
    block_drop(run->block);
    run->block = NULL;
    tracker->runs[run->before].after = run->after;
    tracker->runs[run->after].before = run->before;
    run->after = tracker->spare;
    tracker->spare = number;
}

uint32_t tracker_open(const struct tracker *tracker, uint32_t number, uint32_t end)
{
    if (!number && tracker->used)
        number = tracker->runs[0].after;
    while (number && number != end && tracker->runs[number].replay)
        number = tracker->runs[number].after;
    return number == end ? 0 : number;
}

const weir_event *run_event(const struct run *run, uint32_t index)
{
    return block_event(run->block, run->first + index);
}

uint64_t run_position(const struct run *run)
{
    return run_event(run, run->done)->position;
}

size_t event_bytes(const weir_event *event)
{
    return event->payload.size + event->key.size + event->subject.size + event->id.size;
}

size_t run_bytes(const struct run *run, uint32_t from, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += event_bytes(run_event(run, from + (uint32_t)i));
    return bytes;
}
