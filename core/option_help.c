/* option_help.c: the rows of a table as text for people, and as JSON.
 *
 * A row is its name, what it takes, its default, and its sentence in the columns that are left of 100; the rows of
 * a group follow, two columns further in. Column widths are those of the whole table. */
#include "option.h"

#include "option_value.h"

#define HELP_COLUMNS 100
#define HELP_TEXT_LEAST 30
#define TAKES_MAX 300

struct columns {
    int name, takes, fallback;
};

static const char *const type_words[] = {"text",     "secret",   "path",  "url", "true or false", "int",
                                         "size",     "duration", "rate",  "",    "range",         "list",
                                         "template", "field",    "group", "map"};
static const char *const type_names[] = {"text",     "secret",   "path",  "url",    "bool",  "int",
                                         "size",     "duration", "rate",  "choice", "range", "list",
                                         "template", "field",    "group", "map"};

static const char *row_word(const weir_option *row)
{
    if (row->type == WEIR_OPTION_GROUP && row->rows == NULL)
        return "any";
    if (row->type == WEIR_OPTION_GROUP && (row->flags & WEIR_OPTION_TRUE_OK) != 0)
        return "true | false | group";
    return type_words[row->type];
}

/* "duration 1s..1d", "5 | 3.1.1", "int 1..100 | forever" */
static const char *row_takes(const weir_option *row, char buffer[TAKES_MAX])
{
    char bounds[OPTION_BOUNDS_MAX], names[120] = "";
    const char *word = row_word(row);
    const char *before = *word != '\0' ? " | " : "";
    bool own = row->type != WEIR_OPTION_TEMPLATE; /* its names go into the text */

    for (size_t i = 0, used = 0; own && row->choices != NULL && row->choices[i] != NULL && used < sizeof(names);
         i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s%s", i > 0 ? " | " : "", row->choices[i],
                                 row->type == WEIR_OPTION_URL ? "://" : "");
    option_bounds(row, bounds);
    snprintf(buffer, TAKES_MAX, "%s%s%s%s%s", word, bounds[0] != '\0' ? " " : "", bounds,
             names[0] != '\0' ? before : "", names);
    return buffer;
}

static const char *row_fallback(const weir_option *row)
{
    if ((row->flags & WEIR_OPTION_REQUIRED) != 0)
        return "required";
    return row->fallback != NULL ? row->fallback : "-";
}

static int text_width(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static int int_max(int a, int b)
{
    return a > b ? a : b;
}

static void columns_measure(const weir_option *rows, int indent, struct columns *columns)
{
    char takes[TAKES_MAX];

    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        columns->name = int_max(columns->name, indent + text_width(row->name));
        columns->takes = int_max(columns->takes, text_width(row_takes(row, takes)));
        columns->fallback = int_max(columns->fallback, text_width(row_fallback(row)));
        if (row->type == WEIR_OPTION_GROUP)
            columns_measure(row->rows, indent + 2, columns);
    }
}

/* text from column `at` on, wrapped between words; later lines begin at column `left`. */
static void text_wrap(FILE *to, const char *text, int at, int left)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        char word[200];

        snprintf(word, sizeof(word), "%.*s", length, text);
        if (at > left && at + 1 + text_width(word) > HELP_COLUMNS) {
            fprintf(to, "\n%*s", left, "");
            at = left;
        }
        fprintf(to, "%s%s", at > left ? " " : "", word);
        at += (at > left) + text_width(word);
        text += length + (int)strspn(text + length, " ");
    }
    fputc('\n', to);
}

/* Writes text and pads it to width; returns the column behind it and two spaces. */
static int cell_write(FILE *to, const char *text, int at, int width)
{
    int used = text_width(text);

    fprintf(to, "%s%*s", text, width - used + 2 > 2 ? width - used + 2 : 2, "");
    return at + int_max(width, used) + 2;
}

static void rows_help(FILE *to, const weir_option *rows, int indent, const struct columns *columns)
{
    char takes[TAKES_MAX];

    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        int left = columns->name + columns->takes + columns->fallback + 6, at;

        fprintf(to, "%*s", indent, "");
        at = cell_write(to, row->name, indent, columns->name - indent);
        at = cell_write(to, row_takes(row, takes), at, columns->takes);
        at = cell_write(to, row_fallback(row), at, columns->fallback);
        if (left > HELP_COLUMNS - HELP_TEXT_LEAST)
            left = HELP_COLUMNS - HELP_TEXT_LEAST;
        if (at > left) {
            fprintf(to, "\n%*s", left, "");
            at = left;
        }
        text_wrap(to, row->help, at, left);
        if (row->type == WEIR_OPTION_GROUP)
            rows_help(to, row->rows, indent + 2, columns);
    }
}

void option_help(FILE *to, const weir_option *rows, int indent)
{
    struct columns columns = {0, 0, 0};

    columns_measure(rows, indent, &columns);
    columns.takes = columns.takes > 32 ? 32 : columns.takes;
    columns.fallback = columns.fallback > 16 ? 16 : columns.fallback;
    rows_help(to, rows, indent, &columns);
}

static void json_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void json_member(FILE *to, const char *name, const char *text)
{
    fprintf(to, ",\"%s\":", name);
    if (text != NULL)
        json_text(to, text);
    else
        fputs("null", to);
}

static void row_json(FILE *to, const weir_option *row)
{
    fputs("{\"name\":", to);
    json_text(to, row->name);
    json_member(to, "type", type_names[row->type]);
    fprintf(to, ",\"required\":%s", (row->flags & WEIR_OPTION_REQUIRED) != 0 ? "true" : "false");
    json_member(to, "default", row->fallback);
    json_member(to, "help", row->help);
    if (row->min != 0 || row->max != 0)
        fprintf(to, ",\"min\":%lld", (long long)row->min);
    if ((row->min != 0 || row->max != 0) && row->max != INT64_MAX)
        fprintf(to, ",\"max\":%lld", (long long)row->max);
    if (row->choices != NULL) {
        fputs(",\"choices\":[", to);
        for (size_t i = 0; row->choices[i] != NULL; i++) {
            fputs(i > 0 ? "," : "", to);
            json_text(to, row->choices[i]);
        }
        fputc(']', to);
    }
    if (row->type == WEIR_OPTION_GROUP && row->rows != NULL) {
        fputs(",\"options\":", to);
        option_help_json(to, row->rows);
    }
    fputc('}', to);
}

void option_help_json(FILE *to, const weir_option *rows)
{
    fputc('[', to);
    for (const weir_option *row = rows; row != NULL && row->name != NULL; row++) {
        fputs(row > rows ? "," : "", to);
        row_json(to, row);
    }
    fputc(']', to);
}
