/* module: mqtt libs: libmosquitto openssl */
/* hold.c: see hold.h.
 *
 * Bytes move when the buffer grows, so places are kept as offsets, and events are made at the end, once for a
 * cycle. Each array doubles; what a burst of large messages made grow past KEEP_BYTES is given back. */
#include "hold.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_BYTES = 4 * 1024 * 1024, FIRST_ROOM = 64 };

struct held_message {
    size_t topic, topic_size; /* the payload follows */
    size_t payload_size;
    size_t header_first, header_count;
};

struct held_header {
    size_t name, name_size; /* the value follows */
    size_t value_size;
};

static size_t room_for(size_t room, size_t wanted)
{
    size_t next = room ? room : FIRST_ROOM;
    while (next < wanted)
        next *= 2;
    return next;
}

static int bytes_grow(struct hold *hold, size_t more)
{
    size_t next = room_for(hold->room, hold->used + more + 1);
    if (next == hold->room)
        return 1;
    char *bytes = realloc(hold->bytes, next);
    if (!bytes)
        return 0;
    hold->bytes = bytes;
    hold->room = next;
    return 1;
}

/* Larger, or as it was and not done. */
static void *larger(void *items, size_t size, int *done)
{
    void *more = realloc(items, size);
    if (more)
        return more;
    *done = 0;
    return items;
}

static int headers_grow(struct hold *hold)
{
    size_t next = room_for(hold->headers_room, hold->header_count + 1);
    int done = 1;
    if (next == hold->headers_room)
        return 1;
    hold->headers = larger(hold->headers, next * sizeof *hold->headers, &done);
    hold->marks = larger(hold->marks, next * sizeof *hold->marks, &done);
    hold->headers_room = done ? next : hold->headers_room;
    return done;
}

static int messages_grow(struct hold *hold)
{
    size_t next = room_for(hold->messages_room, hold->count + 1);
    int done = 1;
    if (next == hold->messages_room)
        return 1;
    hold->events = larger(hold->events, next * sizeof *hold->events, &done);
    hold->messages = larger(hold->messages, next * sizeof *hold->messages, &done);
    hold->messages_room = done ? next : hold->messages_room;
    return done;
}

static size_t hold_bytes(struct hold *hold, weir_view view)
{
    size_t at = hold->used;
    if (view.size)
        memcpy(hold->bytes + at, view.data, view.size);
    hold->used += view.size;
    return at;
}

int hold_header(struct hold *hold, weir_view name, weir_view value)
{
    if (!bytes_grow(hold, name.size + value.size) || !headers_grow(hold))
        return 0;
    struct held_header *mark = &hold->marks[hold->header_count++];
    mark->name = hold_bytes(hold, name);
    mark->name_size = name.size;
    mark->value_size = value.size;
    hold_bytes(hold, value);
    hold->open_headers++;
    return 1;
}

int hold_message(struct hold *hold, weir_view topic, weir_view payload)
{
    if (!bytes_grow(hold, topic.size + payload.size) || !messages_grow(hold))
        return 0;
    struct held_message *message = &hold->messages[hold->count++];
    message->topic = hold_bytes(hold, topic);
    message->topic_size = topic.size;
    message->payload_size = payload.size;
    message->header_first = hold->header_count - hold->open_headers;
    message->header_count = hold->open_headers;
    hold->open_headers = 0;
    hold->credit += payload.size + 2 * topic.size;
    hold_bytes(hold, payload);
    return 1;
}

const weir_event *hold_events(struct hold *hold, int64_t time_us)
{
    for (size_t i = 0; i < hold->header_count; i++) {
        const struct held_header *mark = &hold->marks[i];
        const char *name = hold->bytes + mark->name;
        hold->headers[i] = (weir_header){{name, mark->name_size}, {name + mark->name_size, mark->value_size}};
    }
    for (size_t i = 0; i < hold->count; i++) {
        const struct held_message *message = &hold->messages[i];
        weir_view topic = {hold->bytes + message->topic, message->topic_size};
        weir_event *event = &hold->events[i];
        memset(event, 0, sizeof *event);
        event->key = event->subject = topic;
        event->payload = (weir_view){topic.data + topic.size, message->payload_size};
        event->headers = message->header_count ? hold->headers + message->header_first : NULL;
        event->header_count = message->header_count;
        event->time_us = time_us;
    }
    return hold->events;
}

void hold_clear(struct hold *hold)
{
    hold->used = hold->credit = hold->count = hold->header_count = hold->open_headers = 0;
    if (hold->room <= KEEP_BYTES)
        return;
    free(hold->bytes);
    hold->bytes = NULL;
    hold->room = 0;
}

void hold_fini(struct hold *hold)
{
    free(hold->bytes);
    free(hold->messages);
    free(hold->events);
    free(hold->marks);
    free(hold->headers);
    memset(hold, 0, sizeof *hold);
}
