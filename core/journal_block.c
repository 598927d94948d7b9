/* journal_block.c: see journal_block.h.
 *
 * An event: { size u32 of all with padding, crc u32, time i64, then sizes u32 of key, subject, id and payload
 * (SIZE_ABSENT: absent) and count u32 of headers, reserved u32; { name u32, value u32 } for each header; bytes in
 * the same order: headers, key, subject, id, payload; zeros up to 8 }. The crc runs over all after itself, then the
 * position as u64: so that a shifted event fails, and that a reader who lost its place can try any offset.
 *
 * How reading fails: an event whose checksum does not hold is left out; when its size is what was damaged, the next
 * sound one is searched at every eighth byte. */
#include "journal_block.h"

#include <endian.h>

#include "base.h"

#define MAGIC 0x4b4c4257u /* "WBLK" */
#define VERSION 1
#define SIZE_ABSENT 0xffffffffu
#define EVENT_BYTES 40
#define PAIR_BYTES 8

struct head {
    uint32_t magic;
    uint8_t version, flags;
    uint16_t reserved;
    uint32_t count, bytes;
    uint64_t first;
    uint32_t crc, reserved2;
};

struct event_head {
    uint32_t size, crc;
    int64_t time;
    uint32_t key, subject, id, payload, headers, reserved;
};

_Static_assert(sizeof(struct head) == JOURNAL_HEADER_BYTES, "the block's header is 32 bytes");
_Static_assert(sizeof(struct event_head) == EVENT_BYTES, "an event's header is 40 bytes");

static inline size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

size_t journal_event_bytes(const weir_event *event)
{
    size_t size = EVENT_BYTES + event->key.size + event->subject.size + event->id.size + event->payload.size;

    for (size_t i = 0; i < event->header_count; i++)
        size += PAIR_BYTES + event->headers[i].name.size + event->headers[i].value.size;
    return padded(size);
}

static inline uint32_t event_crc(const char *at, size_t size)
{
    return crc32c(0, at + 8, size - 8);
}

static inline uint32_t position_crc(uint32_t crc, uint64_t position)
{
    position = htole64(position);
    return crc32c(crc, &position, sizeof position);
}

static inline uint32_t size_of(weir_view view)
{
    return htole32(view.data ? (uint32_t)view.size : SIZE_ABSENT);
}

struct writer {
    char *at;         /* where the next bytes go */
    weir_header *out; /* may be NULL */
};

static inline weir_view writer_put(struct writer *writer, weir_view from)
{
    weir_view to = {from.data ? writer->at : NULL, from.size};

    if (from.size)
        memcpy(writer->at, from.data, from.size);
    writer->at += from.size;
    return to;
}

/* The table of sizes, then names and values. Returns the copy, or NULL. */
static const weir_header *writer_headers(struct writer *writer, const weir_event *event)
{
    char *pair = writer->at;
    const weir_header *copies = writer->out;

    writer->at += event->header_count * PAIR_BYTES;
    for (size_t i = 0; i < event->header_count; i++, pair += PAIR_BYTES) {
        uint32_t sizes[2] = {size_of(event->headers[i].name), size_of(event->headers[i].value)};
        weir_header copy;

        memcpy(pair, sizes, sizeof sizes);
        copy.name = writer_put(writer, event->headers[i].name);
        copy.value = writer_put(writer, event->headers[i].value);
        if (writer->out)
            *writer->out++ = copy;
    }
    return event->header_count ? copies : NULL;
}

/* Writes one event at writer->at; *copy becomes a view of it. */
static void event_write(struct writer *writer, const weir_event *event, uint64_t position, weir_event *copy)
{
    char *start = writer->at;
    struct event_head head = {.time = (int64_t)htole64((uint64_t)event->time_us),
                              .key = size_of(event->key),
                              .subject = size_of(event->subject),
                              .id = size_of(event->id),
                              .payload = size_of(event->payload),
                              .headers = htole32((uint32_t)event->header_count)};
    size_t size;

    *copy = (weir_event){.header_count = event->header_count, .time_us = event->time_us, .position = position};
    writer->at += EVENT_BYTES;
    copy->headers = writer_headers(writer, event);
    copy->key = writer_put(writer, event->key);
    copy->subject = writer_put(writer, event->subject);
    copy->id = writer_put(writer, event->id);
    copy->payload = writer_put(writer, event->payload);
    size = padded((size_t)(writer->at - start));
    memset(writer->at, 0, (size_t)(start + size - writer->at));
    writer->at = start + size;
    head.size = htole32((uint32_t)size);
    memcpy(start, &head, sizeof head);
    head.crc = htole32(position_crc(event_crc(start, size), position));
    memcpy(start + 4, &head.crc, sizeof head.crc);
}

size_t journal_block_write(void *to, uint64_t first, const weir_event *events, size_t count, weir_event *events_out,
                           weir_header *headers_out)
{
    struct writer writer = {(char *)to + JOURNAL_HEADER_BYTES, headers_out};
    struct head head = {.magic = htole32(MAGIC), .version = VERSION, .count = htole32((uint32_t)count)};
    weir_event spare;

    CHECK(count > 0 && count <= UINT32_MAX);
    for (size_t i = 0; i < count; i++)
        event_write(&writer, &events[i], first + i, events_out ? &events_out[i] : &spare);
    CHECK((size_t)(writer.at - (char *)to) <= UINT32_MAX);
    head.bytes = htole32((uint32_t)(writer.at - (char *)to));
    head.first = htole64(first);
    head.crc = htole32(crc32c(0, &head, offsetof(struct head, crc)));
    memcpy(to, &head, sizeof head);
    return (size_t)(writer.at - (char *)to);
}

static int head_read(weir_view block, struct head *head)
{
    if (block.size < JOURNAL_HEADER_BYTES)
        return WEIR_DAMAGED;
    memcpy(head, block.data, sizeof *head);
    if (le32toh(head->magic) != MAGIC || le32toh(head->crc) != crc32c(0, head, offsetof(struct head, crc)))
        return WEIR_DAMAGED;
    if (head->version > VERSION)
        return WEIR_NEWER;
    head->count = le32toh(head->count);
    head->bytes = le32toh(head->bytes);
    head->first = le64toh(head->first);
    return head->bytes <= block.size && head->count <= head->bytes / EVENT_BYTES ? WEIR_OK : WEIR_DAMAGED;
}

static bool size_plausible(size_t size, size_t left)
{
    return size >= EVENT_BYTES && size <= left && size % 8 == 0;
}

/* How many headers all events have, at most: when the chain of sizes is broken, as many as could fit. */
static size_t headers_count(weir_view block, const struct head *head)
{
    size_t at = JOURNAL_HEADER_BYTES, count = 0, events = 0;

    while (at + EVENT_BYTES <= head->bytes) {
        struct event_head event;

        memcpy(&event, block.data + at, sizeof event);
        if (!size_plausible(le32toh(event.size), head->bytes - at))
            break;
        count += size_min(le32toh(event.headers), head->bytes / PAIR_BYTES);
        at += le32toh(event.size);
        events++;
    }
    return at == head->bytes && events == head->count ? count : head->bytes / PAIR_BYTES;
}

int journal_block_info(weir_view block, struct journal_block_info *info)
{
    struct head head;
    int result = head_read(block, &head);

    if (result != WEIR_OK)
        return result;
    info->first = head.first;
    info->count = head.count;
    info->header_count = headers_count(block, &head);
    return WEIR_OK;
}

struct reader {
    const char *at, *end; /* of the event that is being read */
    weir_header *headers; /* where the next go */
    size_t headers_left;
};

static bool reader_take(struct reader *reader, uint32_t size, weir_view *view)
{
    size = le32toh(size);
    *view = view_make(NULL, 0);
    if (size == SIZE_ABSENT)
        return true;
    if (size > (size_t)(reader->end - reader->at))
        return false;
    *view = view_make(reader->at, size);
    reader->at += size;
    return true;
}

static bool reader_headers(struct reader *reader, size_t count)
{
    const char *pair = reader->at;

    if (count > reader->headers_left || count > (size_t)(reader->end - reader->at) / PAIR_BYTES)
        return false;
    reader->at += count * PAIR_BYTES;
    for (size_t i = 0; i < count; i++, pair += PAIR_BYTES) {
        uint32_t sizes[2];

        memcpy(sizes, pair, sizeof sizes);
        if (!reader_take(reader, sizes[0], &reader->headers[i].name) ||
            !reader_take(reader, sizes[1], &reader->headers[i].value))
            return false;
    }
    return true;
}

/* Reads an event whose checksum holds. False: its parts do not fit in it all the same. */
static bool event_read(struct reader *reader, const char *from, size_t size, weir_event *event)
{
    struct event_head head;

    memcpy(&head, from, sizeof head);
    reader->at = from + EVENT_BYTES;
    reader->end = from + size;
    *event = (weir_event){.header_count = le32toh(head.headers), .time_us = (int64_t)le64toh((uint64_t)head.time)};
    if (!reader_headers(reader, event->header_count) || !reader_take(reader, head.key, &event->key) ||
        !reader_take(reader, head.subject, &event->subject) || !reader_take(reader, head.id, &event->id) ||
        !reader_take(reader, head.payload, &event->payload))
        return false;
    event->headers = event->header_count ? reader->headers : NULL;
    reader->headers += event->header_count;
    reader->headers_left -= event->header_count;
    return true;
}

struct place {
    const char *at;
    size_t size;
    uint64_t position;
};

/* Is there an event at `at`, and which of [position, end)? The wanted one is the first. */
static bool event_at(const char *at, size_t left, uint64_t position, uint64_t end, struct place *place)
{
    struct event_head head;
    uint32_t crc;

    if (left < EVENT_BYTES)
        return false;
    memcpy(&head, at, sizeof head);
    if (!size_plausible(le32toh(head.size), left))
        return false;
    crc = event_crc(at, le32toh(head.size));
    for (uint64_t i = position; i != end; i++) {
        if (position_crc(crc, i) != le32toh(head.crc))
            continue;
        *place = (struct place){at, le32toh(head.size), i};
        return true;
    }
    return false;
}

/* The first sound event from `at` on: usually right there. */
static bool event_find(const char *at, const char *end, uint64_t position, uint64_t last, struct place *place)
{
    for (; at + EVENT_BYTES <= end; at += 8)
        if (event_at(at, (size_t)(end - at), position, last, place))
            return true;
    return false;
}

static void events_damaged(uint64_t from, uint64_t to, journal_damaged *damaged, void *arg)
{
    for (; damaged && from != to; from++)
        damaged(arg, from, "the event's checksum does not match");
}

size_t journal_block_read(weir_view block, weir_event *events, weir_header *headers, journal_damaged *damaged,
                          void *arg)
{
    struct reader reader = {.headers = headers};
    struct place place;
    struct head head;
    uint64_t position;
    size_t count = 0;

    if (head_read(block, &head) != WEIR_OK)
        return 0;
    reader.headers_left = headers_count(block, &head);
    place.at = block.data + JOURNAL_HEADER_BYTES;
    position = head.first;
    while (position != head.first + head.count &&
           event_find(place.at, block.data + head.bytes, position, head.first + head.count, &place)) {
        events_damaged(position, place.position, damaged, arg);
        if (event_read(&reader, place.at, place.size, &events[count]))
            events[count++].position = place.position;
        else
            events_damaged(place.position, place.position + 1, damaged, arg);
        position = place.position + 1;
        place.at += place.size;
    }
    events_damaged(position, head.first + head.count, damaged, arg);
    return count;
}
