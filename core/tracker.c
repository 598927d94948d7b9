/* tracker.c: see tracker.h. */
#include "tracker.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

void tracker_init(struct tracker *tracker)
{
    *tracker = (struct tracker){.first = 1, .end = 1};
}

void tracker_fini(struct tracker *tracker)
{
    for (uint64_t number = tracker->first; number < tracker->end; number++) {
        struct run *run = tracker_run(tracker, number);
        if (run->block)
            block_drop(run->block);
    }
    free(tracker->ring);
    tracker_init(tracker);
}

struct run *tracker_run(const struct tracker *tracker, uint64_t number)
{
    return &tracker->ring[number & (tracker->room - 1)];
}

static void ring_grow(struct tracker *tracker)
{
    size_t room = tracker->room ? tracker->room * 2 : ROOM_MIN;
    struct run *ring = malloc(room * sizeof *ring);
    CHECK(ring != NULL); /* bounded by the window */
    for (uint64_t number = tracker->first; number < tracker->end; number++)
        ring[number & (room - 1)] = *tracker_run(tracker, number);
    free(tracker->ring);
    tracker->ring = ring;
    tracker->room = room;
}

uint64_t tracker_add(struct tracker *tracker, const struct run *run)
{
    CHECK(run->block && run->count > 0);
    if (tracker->end - tracker->first == tracker->room)
        ring_grow(tracker);
    block_hold(run->block);
    *tracker_run(tracker, tracker->end) = *run;
    return tracker->end++;
}

void tracker_done(struct tracker *tracker, uint64_t number, size_t count)
{
    struct run *run = tracker_run(tracker, number);
    CHECK(number >= tracker->first && number < tracker->end && count <= run->taken - run->done);
    run->done += (uint32_t)count;
    if (run->done < run->count)
        return;
    block_drop(run->block);
    run->block = NULL;
    while (tracker->first < tracker->end && !tracker_run(tracker, tracker->first)->block)
        tracker->first++;
}

uint64_t tracker_open(const struct tracker *tracker, uint64_t number, uint64_t end)
{
    number = number > tracker->first ? number : tracker->first;
    end = end ? end : tracker->end;
    for (; number < end; number++) {
        const struct run *run = tracker_run(tracker, number);
        if (run->block && !run->replay)
            return number;
    }
    return 0;
}

const weir_event *run_event(const struct run *run, uint32_t index)
{
    return &run->block->events[run->first + index];
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
