/* field.c: see field.h.
 *
 * Parsing finds out the kind once; reading is a switch over it. What is in the event is returned as it lies there;
 * only what must be written down first (a derived id, a number, a time, an unescaped string) takes scratch memory.
 */
#include "field.h"

#include <stdlib.h>

#include "base.h"
#include "clock.h"
#include "json.h"

enum field_kind {
    FIELD_ID,
    FIELD_KEY,
    FIELD_SUBJECT,
    FIELD_SOURCE,
    FIELD_SHARD,
    FIELD_POSITION,
    FIELD_TIME,
    FIELD_HEADER,
    FIELD_TOPIC,
    FIELD_PAYLOAD,
    FIELD_JSON
};

struct weir_field {
    enum field_kind kind;
    size_t level;          /* FIELD_TOPIC */
    struct json_path path; /* FIELD_JSON, into text */
    weir_view header;      /* FIELD_HEADER, into text */
    char text[];
};

static const char *const field_words[] = {"id", "key", "subject", "source", "shard", "position", "time"};

static int topic_parse(weir_field *field)
{
    char *end;
    const char *number = field->text + strlen("topic[");
    field->kind = FIELD_TOPIC;
    field->level = strtoul(number, &end, 10);
    return *number >= '0' && *number <= '9' && strcmp(end, "]") == 0 && field->level < 1000 ? WEIR_OK
                                                                                            : WEIR_INVALID;
}

static int field_compile(weir_field *field)
{
    const char *text = field->text;
    for (size_t i = 0; i < ARRAY_COUNT(field_words); i++) {
        if (strcmp(text, field_words[i]) == 0) {
            field->kind = (enum field_kind)i;
            return WEIR_OK;
        }
    }
    if (strncmp(text, "headers.", 8) == 0 && text[8]) {
        field->kind = FIELD_HEADER;
        field->header = view_of(text + 8);
        return WEIR_OK;
    }
    if (strncmp(text, "topic[", 6) == 0)
        return topic_parse(field);
    if (strcmp(text, "payload") == 0) {
        field->kind = FIELD_PAYLOAD;
        return WEIR_OK;
    }
    if (strncmp(text, "payload.", 8) == 0 || strncmp(text, "payload[", 8) == 0) {
        field->kind = FIELD_JSON;
        return text[8] ? json_path_parse(text + (text[7] == '.' ? 8 : 7), &field->path) : WEIR_INVALID;
    }
    return WEIR_INVALID;
}

int field_parse(const char *text, weir_field **made, struct error *error)
{
    size_t size = strlen(text) + 1;
    weir_field *field = calloc(1, sizeof *field + size);
    if (!field)
        return error_set(error, WEIR_NOMEM, "out of memory");
    memcpy(field->text, text, size);
    if (field_compile(field) != WEIR_OK) {
        free(field);
        return error_set(error, WEIR_INVALID,
                         "\"%.80s\" is not a field; one of id, key, subject, source, shard, position, time, "
                         "headers.NAME, topic[N], payload, payload.a.b[0]",
                         text);
    }
    *made = field;
    return WEIR_OK;
}

void field_free(weir_field *field)
{
    free(field);
}

bool field_is_json(const weir_field *field)
{
    return field->kind == FIELD_JSON;
}

size_t event_id_write(const weir_batch *batch, size_t i, char *buffer, size_t size)
{
    const weir_event *event = &batch->events[i];
    char number[20];
    weir_view parts[3] = {event->id, {"", 0}, {"", 0}};
    if (!event->id.data) {
        parts[0] = batch->id_prefix;
        parts[1] = view_make("/", 1);
        parts[2] = view_make(number, decimal_write(number, event->position - batch->id_less));
    }
    size_t total = 0;
    for (size_t part = 0; part < 3; part++) {
        if (total + 1 < size && parts[part].size)
            memcpy(buffer + total, parts[part].data, size_min(parts[part].size, size - total - 1));
        total += parts[part].size;
    }
    if (size)
        buffer[size_min(total, size - 1)] = '\0';
    return total;
}

static int present(weir_view found, weir_view *value)
{
    *value = found;
    return found.data ? WEIR_OK : WEIR_MISSING;
}

static int read_header(const weir_field *field, const weir_event *event, weir_view *value)
{
    for (size_t i = 0; i < event->header_count; i++) {
        if (view_equal(event->headers[i].name, field->header))
            return present(event->headers[i].value, value);
    }
    return WEIR_MISSING;
}

static int read_topic(const weir_field *field, const weir_event *event, weir_view *value)
{
    if (!event->subject.data)
        return WEIR_MISSING;
    const char *at = event->subject.data, *end = at + event->subject.size;
    for (size_t level = 0;; level++) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        if (level == field->level)
            return present(view_make(at, (size_t)(stop - at)), value);
        if (!slash)
            return WEIR_MISSING;
        at = slash + 1;
    }
}

static int read_id(const weir_batch *batch, size_t i, struct arena *scratch, weir_view *value)
{
    if (batch->events[i].id.data)
        return present(batch->events[i].id, value);
    size_t size = event_id_write(batch, i, NULL, 0);
    char *id = arena_alloc(scratch, size + 1);
    if (!id)
        return WEIR_NOMEM;
    event_id_write(batch, i, id, size + 1);
    return present(view_make(id, size), value);
}

static int read_number(uint64_t number, struct arena *scratch, weir_view *value)
{
    char *text = arena_alloc(scratch, 20);
    if (!text)
        return WEIR_NOMEM;
    return present(view_make(text, decimal_write(text, number)), value);
}

static int read_time(const weir_event *event, struct arena *scratch, weir_view *value)
{
    char *text = arena_alloc(scratch, TIME_TEXT_MAX);
    if (!text)
        return WEIR_NOMEM;
    return present(view_of(time_format(event->time_us, text)), value);
}

int field_read_json(const weir_field *field, const weir_batch *batch, size_t i, weir_view *raw)
{
    enum json_type type;
    if (field->kind != FIELD_JSON)
        return WEIR_MISSING;
    return json_find(batch->events[i].payload, &field->path, raw, &type);
}

static int read_json(const weir_field *field, const weir_event *event, struct arena *scratch, weir_view *value)
{
    weir_view raw;
    enum json_type type;
    int result = json_find(event->payload, &field->path, &raw, &type);
    if (result != WEIR_OK)
        return result;
    if (type != JSON_STRING)
        return present(raw, value);
    if (!memchr(raw.data, '\\', raw.size))
        return present(view_make(raw.data + 1, raw.size - 2), value);
    char *text = arena_alloc(scratch, raw.size);
    size_t length;
    if (!text)
        return WEIR_NOMEM;
    result = json_text(raw, text, raw.size, &length);
    return result == WEIR_OK ? present(view_make(text, length), value) : result;
}

int field_read(const weir_field *field, const weir_batch *batch, size_t i, struct arena *scratch, weir_view *value)
{
    const weir_event *event = &batch->events[i];
    switch (field->kind) {
    case FIELD_ID:
        return read_id(batch, i, scratch, value);
    case FIELD_KEY:
        return present(event->key, value);
    case FIELD_SUBJECT:
        return present(event->subject, value);
    case FIELD_SOURCE:
        return present(batch->source, value);
    case FIELD_SHARD:
        return present(batch->shard, value);
    case FIELD_POSITION:
        return read_number(event->position - batch->id_less, scratch, value);
    case FIELD_TIME:
        return read_time(event, scratch, value);
    case FIELD_HEADER:
        return read_header(field, event, value);
    case FIELD_TOPIC:
        return read_topic(field, event, value);
    case FIELD_PAYLOAD:
        return present(event->payload, value);
    case FIELD_JSON:
        return read_json(field, event, scratch, value);
    }
    return WEIR_MISSING;
}
