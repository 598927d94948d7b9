/* print.c: see print.h.
 *
 * Fails: out of memory shows as "?" in a cell; nothing here is worth ending a command for. */
#include "print.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"

bool view_utf8(weir_view bytes)
{
    const char *end = bytes.data + bytes.size;
    for (const char *at = bytes.data; at < end;) {
        size_t length = utf8_length(at, end);
        if (!length || !*at)
            return false;
        at += length;
    }
    return true;
}

/* U+0080..U+009F are control characters too: 0xc2 0x80..0x9f. */
static bool is_control(const unsigned char *data, size_t length)
{
    return (length == 1 && (data[0] < 0x20 || data[0] == 0x7f)) ||
           (length == 2 && data[0] == 0xc2 && data[1] < 0xa0);
}

/* Writes the next character of data, escaped where needed; returns its columns. */
static size_t safe_character(const unsigned char *data, size_t length, char **to)
{
    static const char digits[] = "0123456789abcdef";
    if (length && !is_control(data, length)) {
        memcpy(*to, data, length);
        *to += length;
        return 1;
    }
    size_t bytes = length ? length : 1;
    for (size_t i = 0; i < bytes; i++) {
        const char escape[] = {'\\', 'x', digits[data[i] >> 4], digits[data[i] & 15]};
        memcpy(*to, escape, sizeof escape);
        *to += sizeof escape;
    }
    return bytes * 4;
}

const char *print_safe(struct arena *arena, weir_view bytes, size_t max)
{
    if (!bytes.data)
        return "-";
    const unsigned char *data = (const unsigned char *)bytes.data;
    size_t size = size_min(bytes.size, max * 4);
    char *text = arena_alloc(arena, size * 4 + 16), *to = text;
    if (!text)
        return "?";
    size_t columns = 0, at = 0;
    while (at < size) {
        size_t length = utf8_length(bytes.data + at, bytes.data + bytes.size);
        char *before = to;
        columns += safe_character(data + at, length, &to);
        if (columns > max) {
            to = before;
            break;
        }
        at += length ? length : 1;
    }
    memcpy(to, at < bytes.size ? "…" : "", at < bytes.size ? sizeof "…" : 1);
    return text;
}

static const char *text_or_mark(const char *text)
{
    return text ? text : "?";
}

const char *print_size(struct arena *arena, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1024 && unit + 1 < ARRAY_COUNT(units); unit++)
        value /= 1024;
    return text_or_mark(arena_printf(arena, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]));
}

const char *print_time(struct arena *arena, int64_t time_us)
{
    if (!time_us)
        return "-";
    char buffer[TIME_TEXT_MAX];
    const char *text = time_format(time_us, buffer), *dot = strchr(text, '.');
    int keep = dot ? (int)(dot - text) + 4 : (int)strlen(text);
    return text_or_mark(arena_printf(arena, "%.*s%s", keep, text, dot ? "Z" : ""));
}

const char *print_duration(struct arena *arena, int64_t duration_us)
{
    static const struct {
        int64_t seconds;
        const char *name, *below;
        int64_t below_seconds;
    } units[] = {{86400, "d", "h", 3600}, {3600, "h", "m", 60}, {60, "m", "s", 1}};
    int64_t seconds = duration_us / SECOND_US;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (seconds >= units[i].seconds)
            return text_or_mark(arena_printf(arena, "%" PRId64 "%s %" PRId64 "%s", seconds / units[i].seconds,
                                             units[i].name, seconds % units[i].seconds / units[i].below_seconds,
                                             units[i].below));
    return text_or_mark(arena_printf(arena, "%" PRId64 "s", seconds));
}

const char *print_number(struct arena *arena, uint64_t number)
{
    return text_or_mark(arena_printf(arena, "%" PRIu64, number));
}

const char *print_hex(struct arena *arena, weir_view bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, bytes.size * 2 + 1);
    if (!text)
        return "?";
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)bytes.data[i] & 15];
    }
    text[2 * bytes.size] = 0;
    return text;
}

static bool payload_printable(weir_view payload)
{
    const unsigned char *data = (const unsigned char *)payload.data;
    for (size_t at = 0; at < payload.size;) {
        size_t length = utf8_length(payload.data + at, payload.data + payload.size);
        if (!length || (is_control(data + at, length) && data[at] != '\n' && data[at] != '\t'))
            return false;
        at += length;
    }
    return true;
}

static void print_dump(FILE *to, weir_view bytes)
{
    for (size_t line = 0; line < bytes.size; line += 16) {
        fprintf(to, "%08zx ", line);
        size_t end = size_min(line + 16, bytes.size);
        for (size_t i = line; i < line + 16; i++)
            i < end ? fprintf(to, " %02x", (unsigned char)bytes.data[i]) : fputs("   ", to);
        fputs("  ", to);
        for (size_t i = line; i < end; i++)
            fputc(bytes.data[i] >= ' ' && bytes.data[i] <= '~' ? bytes.data[i] : '.', to);
        fputc('\n', to);
    }
}

void print_payload(FILE *to, weir_view payload)
{
    if (!payload_printable(payload)) {
        print_dump(to, payload);
        return;
    }
    fwrite(payload.data, 1, payload.size, to);
    if (payload.size && payload.data[payload.size - 1] != '\n')
        fputc('\n', to);
}

bool print_coloured(FILE *to)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if ((no_colour && *no_colour) || !terminal || !strcmp(terminal, "dumb"))
        return false;
    int fd = fileno(to);
    return fd >= 0 && isatty(fd);
}

void print_title(FILE *to, const char *title)
{
    fprintf(to, print_coloured(to) ? "\033[1m%s\033[0m\n" : "%s\n", title);
}

static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void table_init(struct table *table, FILE *to, const char *const *titles, size_t columns)
{
    CHECK(columns <= TABLE_COLUMNS_MAX);
    table->to = to;
    table->titles = titles;
    table->columns = columns;
    table->rows = 0;
    table->titled = false;
    table->bold = print_coloured(to);
    table->before = NULL;
    for (size_t i = 0; i < columns; i++)
        table->widths[i] = text_width(titles[i]);
    arena_init(&table->arena, 0);
}

static void table_line(const struct table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->columns; i++) {
        size_t gap = i + 1 < table->columns ? table->widths[i] - text_width(cells[i]) + 2 : 0;
        fprintf(table->to, "%s%*s", cells[i], (int)gap, "");
    }
    fputc('\n', table->to);
}

static void table_flush(struct table *table)
{
    if (!table->titled && table->rows) {
        if (table->before)
            fprintf(table->to, "\n%s%s", table->before, *table->before ? "\n" : "");
        fputs(table->bold ? "\033[1m" : "", table->to);
        table_line(table, table->titles);
        fputs(table->bold ? "\033[0m" : "", table->to);
        table->titled = true;
    }
    for (size_t i = 0; i < table->rows; i++)
        table_line(table, table->cells[i]);
    table->rows = 0;
    arena_reset(&table->arena);
}

void table_add(struct table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->columns; i++) {
        const char *copy = arena_text(&table->arena, view_of(cells[i] ? cells[i] : "-"));
        table->cells[table->rows][i] = text_or_mark(copy);
        table->widths[i] = size_max(table->widths[i], text_width(table->cells[table->rows][i]));
    }
    if (++table->rows == TABLE_ROWS_MAX)
        table_flush(table);
}

void table_fini(struct table *table)
{
    table_flush(table);
    arena_fini(&table->arena);
}

void json_add_bytes(struct cJSON *object, const char *name, weir_view bytes)
{
    struct arena arena;
    arena_init(&arena, 0);
    if (!bytes.data) {
        cJSON_AddNullToObject(object, name);
    } else if (view_utf8(bytes)) {
        cJSON_AddStringToObject(object, name, text_or_mark(arena_text(&arena, bytes)));
    } else {
        char *hex_name = arena_printf(&arena, "%s_hex", name);
        cJSON_AddStringToObject(object, text_or_mark(hex_name), print_hex(&arena, bytes));
    }
    arena_fini(&arena);
}

void json_add_time(struct cJSON *object, const char *name, int64_t time_us)
{
    char buffer[TIME_TEXT_MAX];
    if (time_us)
        cJSON_AddStringToObject(object, name, time_format(time_us, buffer));
    else
        cJSON_AddNullToObject(object, name);
}

/* cJSON keeps numbers as doubles, which lose digits above 2^53: positions are 64 bits. */
void json_add_count(struct cJSON *object, const char *name, uint64_t count)
{
    char digits[21] = {0};
    decimal_write(digits, count);
    cJSON_AddRawToObject(object, name, digits);
}

void json_print(FILE *to, struct cJSON *document)
{
    char *text = cJSON_Print(document);
    fprintf(to, "%s\n", text_or_mark(text));
    cJSON_free(text);
    cJSON_Delete(document);
}

void json_list_open(struct json_list *list, FILE *to, const char *name)
{
    *list = (struct json_list){.to = to};
    fprintf(to, "{\"%s\":[", name);
}

void json_list_add(struct json_list *list, struct cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);
    fprintf(list->to, "%s\n%s", list->count++ ? "," : "", text_or_mark(text));
    cJSON_free(text);
    cJSON_Delete(item);
}

void json_list_close(struct json_list *list, struct cJSON *rest)
{
    char *text = rest ? cJSON_PrintUnformatted(rest) : NULL;
    bool members = text && strcmp(text, "{}") != 0;
    fprintf(list->to, "\n]%s%s\n", members ? "," : "", members ? text + 1 : "}");
    cJSON_free(text);
    cJSON_Delete(rest);
}
