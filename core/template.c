/* template.c: see template.h. A template is a list of parts; each is a text, a field, a time format or an own name.
 */
#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "arena.h"
#include "base.h"
#include "clock.h"

enum { FORMAT_MAX = 80, TIME_MAX = 20 * FORMAT_MAX, SCRATCH = 1024 };
enum part_kind { PART_TEXT, PART_FIELD, PART_TIME, PART_OWN };

struct part {
    enum part_kind kind;
    weir_view text; /* PART_TEXT; PART_TIME: the format, with a NUL behind it */
    weir_field *field;
    size_t own;
    weir_view fallback; /* absent: none */
};

struct weir_template {
    struct part *parts;
    size_t count;
    char *text; /* the copy that views point into; what ends a part is cut off by NULs */
    char *whole;
};

void template_free(weir_template *pattern)
{
    if (!pattern)
        return;
    for (size_t i = 0; i < pattern->count; i++)
        field_free(pattern->parts[i].field);
    free(pattern->parts);
    free(pattern->text);
    free(pattern->whole);
    free(pattern);
}

static struct part *part_add(weir_template *pattern, enum part_kind kind)
{
    struct part *parts = realloc(pattern->parts, (pattern->count + 1) * sizeof *parts);
    if (!parts)
        return NULL;
    pattern->parts = parts;
    parts[pattern->count] = (struct part){.kind = kind};
    return &parts[pattern->count++];
}

static int text_add(weir_template *pattern, const char *from, const char *to)
{
    if (from == to)
        return WEIR_OK;
    struct part *part = part_add(pattern, PART_TEXT);
    if (!part)
        return WEIR_NOMEM;
    part->text = view_make(from, (size_t)(to - from));
    return WEIR_OK;
}

static bool own_find(const char *name, const char *const *own, size_t *place)
{
    for (*place = 0; own && own[*place]; ++*place) {
        if (strcmp(own[*place], name) == 0)
            return true;
    }
    return false;
}

static char *trim(char *text)
{
    while (*text == ' ')
        text++;
    size_t size = strlen(text);
    while (size && text[size - 1] == ' ')
        text[--size] = '\0';
    return text;
}

/* A format is refused where strftime would print nonsense, local time, or nothing. */
static int format_check(const char *format, struct error *error)
{
    static const char known[] = "aAbBCdDeFgGhHIjklmMnpPrRStTuUVwWyYzZ%";
    if (!*format)
        return error_set(error, WEIR_INVALID, "{{time:}} has no format; for example {{time:%%Y-%%m-%%d}}");
    if (strlen(format) > FORMAT_MAX)
        return error_set(error, WEIR_INVALID, "the format of a time is longer than %d bytes", FORMAT_MAX);
    for (const char *at = format; (at = strchr(at, '%')) != NULL; at += 2) {
        if (!at[1] || !strchr(known, at[1]))
            return error_set(error, WEIR_INVALID, "{{time:...}} knows no %.2s; allowed is %% and one of %s", at,
                             known);
    }
    return WEIR_OK;
}

/* A field; when it is none, the own names too are said to be allowed. */
static int name_parse(const char *name, const char *const *own, weir_field **field, struct error *error)
{
    struct error fault;
    int result = field_parse(name, field, &fault);
    if (result == WEIR_OK)
        return result;
    size_t used = strlen(fault.text);
    for (; own && *own && used < sizeof fault.text; own++)
        used += (size_t)snprintf(fault.text + used, sizeof fault.text - used, ", %s", *own);
    return error_set(error, result, "%s", fault.text);
}

/* One {{...}}: `inside` is what stands between, with a NUL at its end. */
static int hole_add(weir_template *pattern, char *inside, const char *const *own, struct error *error)
{
    struct part part = {.kind = PART_FIELD};
    char *bar = strchr(inside, '|');
    if (bar) {
        *bar = '\0';
        part.fallback = view_of(bar + 1);
    }
    char *name = trim(inside);
    int result = WEIR_OK;
    if (own_find(name, own, &part.own)) {
        part.kind = PART_OWN;
    } else if (strncmp(name, "time:", 5) == 0) {
        part.kind = PART_TIME;
        part.text = view_of(name + 5);
        result = format_check(part.text.data, error);
    } else {
        result = name_parse(name, own, &part.field, error);
    }
    if (result != WEIR_OK)
        return result;
    struct part *added = part_add(pattern, part.kind);
    if (!added) {
        field_free(part.field);
        return error_set(error, WEIR_NOMEM, "out of memory");
    }
    *added = part;
    return WEIR_OK;
}

static int template_compile(weir_template *pattern, const char *const *own, struct error *error)
{
    char *at = pattern->text;
    for (char *open; (open = strstr(at, "{{")) != NULL;) {
        char *close = strstr(open, "}}");
        int column = (int)(open - pattern->text) + 1;
        if (!close)
            return error_set(error, WEIR_INVALID, "column %d: {{ without }}", column);
        if (text_add(pattern, at, open) != WEIR_OK)
            return error_set(error, WEIR_NOMEM, "out of memory");
        *close = '\0';
        int result = hole_add(pattern, open + 2, own, error);
        if (result != WEIR_OK) {
            error_prefix(error, "column %d", column);
            return result;
        }
        at = close + 2;
    }
    return text_add(pattern, at, at + strlen(at)) == WEIR_OK ? WEIR_OK
                                                             : error_set(error, WEIR_NOMEM, "out of memory");
}

int template_parse_with(const char *text, const char *const *own, weir_template **made, struct error *error)
{
    weir_template *pattern = calloc(1, sizeof *pattern);
    if (pattern) {
        pattern->text = strdup(text);
        pattern->whole = strdup(text);
    }
    if (!pattern || !pattern->text || !pattern->whole) {
        template_free(pattern);
        return error_set(error, WEIR_NOMEM, "out of memory");
    }
    int result = template_compile(pattern, own, error);
    if (result != WEIR_OK)
        template_free(pattern);
    else
        *made = pattern;
    return result;
}

int template_parse(const char *text, weir_template **made, struct error *error)
{
    return template_parse_with(text, NULL, made, error);
}

const char *template_constant(const weir_template *pattern)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (pattern->parts[i].kind != PART_TEXT)
            return NULL;
    }
    return pattern->whole;
}

weir_view template_prefix(const weir_template *pattern)
{
    if (pattern->count && pattern->parts[0].kind == PART_TEXT)
        return pattern->parts[0].text;
    return view_make("", 0);
}

static void target_add(struct template_target *target, weir_view text)
{
    if (target->length < target->size && text.size)
        memcpy(target->buffer + target->length, text.data, size_min(text.size, target->size - target->length));
    target->length += text.size;
}

static void time_add(const weir_event *event, const char *format, struct template_target *target)
{
    int64_t seconds = event->time_us / SECOND_US - (event->time_us % SECOND_US < 0);
    time_t at = (time_t)seconds;
    struct tm tm;
    char text[TIME_MAX];
    if (gmtime_r(&at, &tm))
        target_add(target, view_make(text, strftime(text, sizeof text, format, &tm)));
}

/* The value, or what stands for it when it is missing. */
static int value_add(const struct part *part, int result, weir_view value, struct template_target *target)
{
    if (result == WEIR_MISSING || result == WEIR_INVALID) {
        value = part->fallback;
        result = value.data ? WEIR_OK : WEIR_REJECT;
    }
    if (result == WEIR_OK)
        target_add(target, value);
    return result;
}

static int own_add(const struct part *part, const weir_view *own, struct template_target *target)
{
    weir_view value = own ? own[part->own] : view_make(NULL, 0);
    return value_add(part, value.data ? WEIR_OK : WEIR_MISSING, value, target);
}

static int field_add(const struct part *part, const weir_batch *batch, size_t i, struct arena *scratch,
                     struct template_target *target)
{
    weir_view value = {0};
    int result = field_read(part->field, batch, i, scratch, &value);
    return value_add(part, result, value, target);
}

int template_render_with(const weir_template *pattern, const weir_batch *batch, size_t i, const weir_view *own,
                         struct template_target *target)
{
    _Alignas(16) char memory[SCRATCH];
    struct arena scratch;
    int result = WEIR_OK;
    arena_init_over(&scratch, memory, sizeof memory);
    target->length = 0;
    for (size_t p = 0; p < pattern->count && result == WEIR_OK; p++) {
        const struct part *part = &pattern->parts[p];
        if (part->kind == PART_TEXT)
            target_add(target, part->text);
        else if (part->kind == PART_TIME)
            time_add(&batch->events[i], part->text.data, target);
        else if (part->kind == PART_OWN)
            result = own_add(part, own, target);
        else
            result = field_add(part, batch, i, &scratch, target);
    }
    if (target->size)
        target->buffer[size_min(target->length, target->size - 1)] = '\0';
    arena_fini(&scratch);
    return result;
}

int template_render(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                    size_t *length)
{
    struct template_target target = {.buffer = buffer, .size = size};
    int result = template_render_with(pattern, batch, i, NULL, &target);
    *length = target.length;
    return result;
}
