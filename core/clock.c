/* clock.c: see clock.h. */
#include "clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir.h"

static int64_t clock_read(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return clock_read(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

char *time_format(int64_t time_us, char buffer[TIME_TEXT_MAX])
{
    int64_t seconds = time_us / SECOND_US, rest = time_us % SECOND_US;
    if (rest < 0) {
        rest += SECOND_US;
        seconds--;
    }
    struct tm tm;
    time_t at = (time_t)seconds;
    if (!gmtime_r(&at, &tm)) {
        snprintf(buffer, TIME_TEXT_MAX, "@%lld", (long long)time_us);
        return buffer;
    }
    size_t size = strftime(buffer, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buffer + size, TIME_TEXT_MAX - size, ".%06dZ", (int)rest);
    return buffer;
}

/* Days since 1970 of a date in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
 * algorithms"). */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct cursor {
    const char *at, *end;
};

/* Exactly `count` digits. */
static bool digits(struct cursor *cursor, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, cursor->at++) {
        if (cursor->at == cursor->end || !isdigit((unsigned char)*cursor->at))
            return false;
        *value = *value * 10 + (*cursor->at - '0');
    }
    return true;
}

static bool mark(struct cursor *cursor, const char *any)
{
    if (cursor->at == cursor->end || !strchr(any, *cursor->at) || !*cursor->at)
        return false;
    cursor->at++;
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool date_read(struct cursor *cursor, int64_t *days)
{
    int year, month, day;
    if (!digits(cursor, 4, &year) || !mark(cursor, "-") || !digits(cursor, 2, &month) || !mark(cursor, "-") ||
        !digits(cursor, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    *days = days_of(year, month, day);
    return true;
}

/* Any count of digits after the point; what is finer than a microsecond is cut. */
static bool fraction_read(struct cursor *cursor, int64_t *us)
{
    int64_t unit = SECOND_US / 10;
    *us = 0;
    if (!mark(cursor, "."))
        return true;
    const char *first = cursor->at;
    for (; cursor->at < cursor->end && isdigit((unsigned char)*cursor->at); cursor->at++, unit /= 10)
        *us += (*cursor->at - '0') * unit;
    return cursor->at > first;
}

static bool offset_read(struct cursor *cursor, int64_t *minutes)
{
    int hour, minute;
    *minutes = 0;
    if (mark(cursor, "Zz"))
        return true;
    bool west = cursor->at < cursor->end && *cursor->at == '-';
    if (!mark(cursor, "+-") || !digits(cursor, 2, &hour) || !mark(cursor, ":") || !digits(cursor, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *minutes = (west ? -1 : 1) * (hour * 60 + minute);
    return true;
}

/* hh:mm:ss; a leap second counts as the first of the next minute. */
static bool day_read(struct cursor *cursor, int64_t *seconds)
{
    int hour, minute, second;
    if (!digits(cursor, 2, &hour) || !mark(cursor, ":") || !digits(cursor, 2, &minute) || !mark(cursor, ":") ||
        !digits(cursor, 2, &second) || hour > 23 || minute > 59 || second > 60)
        return false;
    *seconds = (hour * 60 + minute) * 60 + second;
    return true;
}

int time_parse(const char *text, size_t size, int64_t *time_us)
{
    if (!text)
        return WEIR_INVALID;
    struct cursor cursor = {text, text + size};
    int64_t days, seconds, us, minutes;
    if (!date_read(&cursor, &days) || !mark(&cursor, "Tt ") || !day_read(&cursor, &seconds) ||
        !fraction_read(&cursor, &us) || !offset_read(&cursor, &minutes) || cursor.at != cursor.end)
        return WEIR_INVALID;
    *time_us = ((days * 24 * 60 - minutes) * 60 + seconds) * SECOND_US + us;
    return WEIR_OK;
}
