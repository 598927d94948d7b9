/* dead.c: a dead letter <-> bytes (keys.h).
 *
 * Layout, little-endian: version u8, flags u8 (1: replay asked), zeros u16, ordinal u32, attempts u32, replays u32,
 * position u64, first u64, last u64, the event's position u64 and time u64, count of headers u32, zeros u32; sizes
 * u32 (TEXT_ABSENT: absent) of the texts in the order of dead_texts; { name u32, value u32 } for each header; bytes
 * of texts and headers in the same order. Nothing may follow. */
#include "keys.h"

#define DEAD_VERSION 1
#define DEAD_HEAD 64
#define DEAD_TEXTS 10
#define TEXT_ABSENT 0xffffffffu
#define FLAG_REPLAY 1

static void dead_texts(struct dead_letter *dead, weir_view *texts[DEAD_TEXTS])
{
    texts[0] = &dead->route;
    texts[1] = &dead->source;
    texts[2] = &dead->shard;
    texts[3] = &dead->stage;
    texts[4] = &dead->function;
    texts[5] = &dead->cause;
    texts[6] = &dead->event.key;
    texts[7] = &dead->event.subject;
    texts[8] = &dead->event.id;
    texts[9] = &dead->event.payload;
}

struct dead_writer {
    char *size, *bytes; /* where the next size and the next bytes go */
};

static void dead_put(struct dead_writer *writer, weir_view text)
{
    put_le32(writer->size, text.data ? (uint32_t)text.size : TEXT_ABSENT);
    writer->size += 4;
    if (text.data && text.size)
        memcpy(writer->bytes, text.data, text.size);
    writer->bytes += text.size;
}

static void dead_head_write(char *to, const struct dead_letter *dead)
{
    memset(to, 0, DEAD_HEAD);
    to[0] = DEAD_VERSION;
    to[1] = dead->replay_asked ? FLAG_REPLAY : 0;
    put_le32(to + 4, dead->ordinal);
    put_le32(to + 8, dead->attempts);
    put_le32(to + 12, dead->replays);
    put_le64(to + 16, dead->position);
    put_le64(to + 24, (uint64_t)dead->first_us);
    put_le64(to + 32, (uint64_t)dead->last_us);
    put_le64(to + 40, dead->event.position);
    put_le64(to + 48, (uint64_t)dead->event.time_us);
    put_le32(to + 56, (uint32_t)dead->event.header_count);
}

weir_view dead_encode(const struct dead_letter *dead, struct arena *arena)
{
    struct dead_letter copy = *dead;
    const weir_event *event = &dead->event;
    size_t bytes = 0, table = 4 * DEAD_TEXTS + 8 * event->header_count;
    weir_view *texts[DEAD_TEXTS];
    struct dead_writer writer;
    char *to;

    dead_texts(&copy, texts);
    for (size_t i = 0; i < DEAD_TEXTS; i++)
        bytes += texts[i]->size;
    for (size_t i = 0; i < event->header_count; i++)
        bytes += event->headers[i].name.size + event->headers[i].value.size;
    to = arena_alloc(arena, DEAD_HEAD + table + bytes);
    if (!to)
        return view_make(NULL, 0);
    dead_head_write(to, dead);
    writer = (struct dead_writer){to + DEAD_HEAD, to + DEAD_HEAD + table};
    for (size_t i = 0; i < DEAD_TEXTS; i++)
        dead_put(&writer, *texts[i]);
    for (size_t i = 0; i < event->header_count; i++) {
        dead_put(&writer, event->headers[i].name);
        dead_put(&writer, event->headers[i].value);
    }
    return view_make(to, DEAD_HEAD + table + bytes);
}

struct dead_reader {
    const char *size, *bytes, *end;
    bool cut;
};

static weir_view dead_take(struct dead_reader *reader)
{
    uint32_t size = get_le32(reader->size);
    weir_view text = {0};

    reader->size += 4;
    if (size == TEXT_ABSENT || reader->cut)
        return text;
    if (size > (size_t)(reader->end - reader->bytes)) {
        reader->cut = true;
        return text;
    }
    text = view_make(reader->bytes, size);
    reader->bytes += size;
    return text;
}

static void dead_head_read(const char *from, struct dead_letter *dead)
{
    dead->replay_asked = (from[1] & FLAG_REPLAY) != 0;
    dead->ordinal = get_le32(from + 4);
    dead->attempts = get_le32(from + 8);
    dead->replays = get_le32(from + 12);
    dead->position = get_le64(from + 16);
    dead->first_us = (int64_t)get_le64(from + 24);
    dead->last_us = (int64_t)get_le64(from + 32);
    dead->event.position = get_le64(from + 40);
    dead->event.time_us = (int64_t)get_le64(from + 48);
    dead->event.header_count = get_le32(from + 56);
}

int dead_decode(weir_view bytes, struct arena *arena, struct dead_letter *dead)
{
    struct dead_reader reader;
    weir_view *texts[DEAD_TEXTS];
    weir_header *headers;

    memset(dead, 0, sizeof *dead);
    if (bytes.size < DEAD_HEAD + 4 * DEAD_TEXTS || bytes.data[0] == 0)
        return WEIR_DAMAGED;
    if ((uint8_t)bytes.data[0] > DEAD_VERSION)
        return WEIR_NEWER;
    dead_head_read(bytes.data, dead);
    if (dead->event.header_count > (bytes.size - DEAD_HEAD - 4 * DEAD_TEXTS) / 8)
        return WEIR_DAMAGED;
    headers = arena_alloc(arena, size_max(dead->event.header_count, 1) * sizeof *headers);
    if (!headers)
        return WEIR_NOMEM;
    dead->event.headers = dead->event.header_count ? headers : NULL;
    reader.size = bytes.data + DEAD_HEAD;
    reader.bytes = reader.size + 4 * DEAD_TEXTS + 8 * dead->event.header_count;
    reader.end = bytes.data + bytes.size;
    reader.cut = false;
    dead_texts(dead, texts);
    for (size_t i = 0; i < DEAD_TEXTS; i++)
        *texts[i] = dead_take(&reader);
    for (size_t i = 0; i < dead->event.header_count; i++) {
        headers[i].name = dead_take(&reader);
        headers[i].value = dead_take(&reader);
    }
    return reader.cut || reader.bytes != reader.end ? WEIR_DAMAGED : WEIR_OK;
}
