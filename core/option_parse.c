/* option_parse.c: numbers with units, from text and back.
 *
 * A number is digits, perhaps a fraction, and a unit from a table; the value must be a whole count of the smallest
 * unit and fit into int64_t. Writing chooses the largest unit that keeps the number whole, so that what is written
 * can be read again. */
#include <inttypes.h>

#include "option.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first, for writing. */
static const struct unit size_units[] = {{"TiB", INT64_C(1) << 40},
                                         {"TB", INT64_C(1000000000000)},
                                         {"GiB", INT64_C(1) << 30},
                                         {"GB", INT64_C(1000000000)},
                                         {"MiB", INT64_C(1) << 20},
                                         {"MB", INT64_C(1000000)},
                                         {"KiB", INT64_C(1) << 10},
                                         {"kB", INT64_C(1000)},
                                         {"KB", INT64_C(1000)},
                                         {"B", 1},
                                         {"", 1},
                                         {NULL, 0}};
static const struct unit duration_units[] = {{"d", INT64_C(86400000000)},
                                             {"h", INT64_C(3600000000)},
                                             {"m", INT64_C(60000000)},
                                             {"s", INT64_C(1000000)},
                                             {"ms", INT64_C(1000)},
                                             {"us", INT64_C(1)},
                                             {NULL, 0}};

struct number {
    int64_t whole, part, scale; /* whole + part / scale */
    const char *rest;
};

static bool number_read(const char *text, struct number *number)
{
    size_t digits = 0;
    const char *at = text;

    *number = (struct number){.scale = 1};
    for (; *at >= '0' && *at <= '9'; at++, digits++)
        if (__builtin_mul_overflow(number->whole, 10, &number->whole) ||
            __builtin_add_overflow(number->whole, *at - '0', &number->whole))
            return false;
    if (digits > 0 && *at == '.' && at[1] >= '0' && at[1] <= '9')
        for (at++; *at >= '0' && *at <= '9'; at++) {
            if (number->scale >= INT64_C(1000000000))
                return false;
            number->part = number->part * 10 + (*at - '0');
            number->scale *= 10;
        }
    number->rest = at;
    return digits > 0;
}

/* number * factor, if it is whole and fits. */
static bool number_times(const struct number *number, int64_t factor, int64_t *value)
{
    int64_t part;

    if (__builtin_mul_overflow(number->whole, factor, value) ||
        __builtin_mul_overflow(number->part, factor, &part) || part % number->scale != 0)
        return false;
    return !__builtin_add_overflow(*value, part / number->scale, value);
}

static bool unit_read(const char *text, const struct unit *units, int64_t *value)
{
    struct number number;

    if (!number_read(text, &number))
        return false;
    for (const struct unit *u = units; u->name != NULL; u++)
        if (strcmp(number.rest, u->name) == 0)
            return number_times(&number, u->factor, value);
    return false;
}

int option_parse_int(const char *text, int64_t *value, struct error *error)
{
    bool negative = text[0] == '-';
    struct number number;

    if (!number_read(text + negative, &number) || *number.rest != '\0' || number.scale != 1)
        return error_set(error, WEIR_INVALID, "expected a whole number");
    *value = negative ? -number.whole : number.whole;
    return WEIR_OK;
}

int option_parse_size(const char *text, int64_t *bytes, struct error *error)
{
    if (unit_read(text, size_units, bytes))
        return WEIR_OK;
    return error_set(error, WEIR_INVALID, "expected a size, as in 64KiB, 8MiB or 2GB");
}

int option_parse_duration(const char *text, int64_t *us, struct error *error)
{
    if (strcmp(text, "0") == 0) {
        *us = 0;
        return WEIR_OK;
    }
    if (unit_read(text, duration_units, us))
        return WEIR_OK;
    return error_set(error, WEIR_INVALID, "expected a duration, as in 20ms, 5s, 2h or 1d");
}

/* Per minute and per hour are rounded to the nearest 1/1000 s; what would round to nothing is refused. */
static bool rate_scale(const struct number *number, int64_t *value)
{
    int64_t seconds = strcmp(number->rest, "/s") == 0 ? 1 : strcmp(number->rest, "/m") == 0 ? 60 : 3600;

    if (seconds == 3600 && strcmp(number->rest, "/h") != 0)
        return false;
    if (seconds == 1)
        return number_times(number, 1000, value);
    if (number->scale != 1 || __builtin_mul_overflow(number->whole, 1000, value) ||
        __builtin_add_overflow(*value, seconds / 2, value))
        return false;
    *value /= seconds;
    return *value > 0;
}

int option_parse_rate(const char *text, int64_t *per_1000s, struct error *error)
{
    struct number number;

    if (strcmp(text, "0") == 0) {
        *per_1000s = 0;
        return WEIR_OK;
    }
    if (number_read(text, &number) && rate_scale(&number, per_1000s))
        return WEIR_OK;
    return error_set(error, WEIR_INVALID, "expected a rate, as in 1000/s, 0.5/s or 30/m; 0 is none");
}

int option_parse_range(const char *text, weir_range *range, struct error *error)
{
    const char *dots = strstr(text, "..");
    char low[32];
    size_t length = dots != NULL ? (size_t)(dots - text) : strlen(text);

    if (length < sizeof(low)) {
        memcpy(low, text, length);
        low[length] = '\0';
        if (option_parse_duration(low, &range->low, NULL) == WEIR_OK &&
            option_parse_duration(dots != NULL ? dots + 2 : low, &range->high, NULL) == WEIR_OK &&
            range->low <= range->high)
            return WEIR_OK;
    }
    return error_set(error, WEIR_INVALID, "expected a range of durations, the smaller first, as in 100ms..30s");
}

static void unit_write(int64_t value, const struct unit *units, char *buffer)
{
    const struct unit *u = units;

    while (u[1].name != NULL && value % u->factor != 0)
        u++;
    snprintf(buffer, OPTION_NUMBER_MAX, "%" PRId64 "%s", value / u->factor, u->name);
}

static void rate_write(int64_t value, char *buffer)
{
    int length = snprintf(buffer, OPTION_NUMBER_MAX, "%" PRId64 ".%03d", value / 1000, (int)(value % 1000));

    while (buffer[length - 1] == '0')
        length--;
    if (buffer[length - 1] == '.')
        length--;
    memcpy(buffer + length, "/s", 3);
}

const char *option_number(enum weir_option_type type, int64_t value, char buffer[OPTION_NUMBER_MAX])
{
    if (type == WEIR_OPTION_SIZE && value != 0)
        unit_write(value, size_units, buffer);
    else if ((type == WEIR_OPTION_DURATION || type == WEIR_OPTION_RANGE) && value != 0)
        unit_write(value, duration_units, buffer);
    else if (type == WEIR_OPTION_RATE && value != 0)
        rate_write(value, buffer);
    else
        snprintf(buffer, OPTION_NUMBER_MAX, "%" PRId64, value);
    return buffer;
}

const char *option_bounds(const weir_option *row, char buffer[OPTION_BOUNDS_MAX])
{
    bool bytes = row->type == WEIR_OPTION_TEXT || row->type == WEIR_OPTION_SECRET;
    char low[OPTION_NUMBER_MAX], high[OPTION_NUMBER_MAX];

    option_number(row->type, row->min, low);
    option_number(row->type, row->max, high);
    if (row->min == 0 && row->max == 0)
        buffer[0] = '\0';
    else if (row->max == INT64_MAX)
        snprintf(buffer, OPTION_BOUNDS_MAX, "at least %s%s", low, bytes ? " bytes" : "");
    else
        snprintf(buffer, OPTION_BOUNDS_MAX, "%s..%s%s", low, high, bytes ? " bytes" : "");
    return buffer;
}
