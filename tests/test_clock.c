/* test_clock.c: times become text and come back; the calendar agrees with the C library. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base.h"
#include "clock.h"
#include "testing.h"

START_TEST(test_clocks_run)
{
    int64_t wall = clock_wall_us(), mono = clock_mono_us();
    ck_assert_int_gt(wall, INT64_C(1700000000) * SECOND_US);
    ck_assert(llabs(wall / SECOND_US - (int64_t)time(NULL)) <= 2);
    for (int i = 0; i < 1000; i++) {
        int64_t next = clock_mono_us();
        ck_assert_int_ge(next, mono);
        mono = next;
    }
}
END_TEST

START_TEST(test_times_are_written)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(1795488010123456), "2026-11-24T02:40:10.123456Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
    };
    char text[TIME_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        ck_assert_str_eq(time_format(cases[i].us, text), cases[i].text);
    ck_assert_uint_lt(strlen(time_format(INT64_MIN, text)), TIME_TEXT_MAX);
    ck_assert_uint_lt(strlen(time_format(INT64_MAX, text)), TIME_TEXT_MAX);
}
END_TEST

START_TEST(test_times_come_back)
{
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)random_below(&random, UINT64_C(253402300800000000)), back;
        char text[TIME_TEXT_MAX], again[TIME_TEXT_MAX];
        time_format(us, text);
        ck_assert_int_eq(time_parse(text, strlen(text), &back), WEIR_OK);
        ck_assert_int_eq(back, us);
        struct tm tm = {0};
        time_t seconds = (time_t)(us / SECOND_US);
        gmtime_r(&seconds, &tm);
        strftime(again, sizeof again, "%Y-%m-%dT%H:%M:%S", &tm);
        ck_assert_int_eq(strncmp(text, again, 19), 0);
    }
}
END_TEST

/* An offset east of Greenwich is subtracted, whatever the length of the fraction. */
START_TEST(test_offsets_and_fractions)
{
    struct random random;
    random_init(&random, 2);
    for (int i = 0; i < 5000; i++) {
        int64_t seconds = (int64_t)random_below(&random, UINT64_C(4000000000)), back;
        int digits = (int)random_below(&random, 10), hour = (int)random_below(&random, 24),
            minute = (int)random_below(&random, 60), sign = random_below(&random, 2) ? 1 : -1;
        char day[TIME_TEXT_MAX], text[80], fraction[12] = "";
        int64_t us = 0;
        if (digits)
            snprintf(fraction, sizeof fraction, ".%.*s", digits, "987654321");
        for (int k = 0, unit = 100000; k < digits; k++, unit /= 10)
            us += (9 - k) * unit;
        time_format(seconds * SECOND_US, day);
        snprintf(text, sizeof text, "%.19s%s%c%02d:%02d", day, fraction, sign > 0 ? '+' : '-', hour, minute);
        ck_assert_msg(time_parse(text, strlen(text), &back) == WEIR_OK, "%s", text);
        ck_assert_int_eq(back, (seconds - sign * (hour * 60 + minute) * 60) * SECOND_US + us);
    }
}
END_TEST

START_TEST(test_other_spellings)
{
    static const char *const same[] = {"2026-11-24T02:40:10Z",      "2026-11-24t02:40:10z",
                                       "2026-11-24 02:40:10Z",      "2026-11-24T02:40:10.0Z",
                                       "2026-11-24T03:40:10+01:00", "2026-11-23T21:10:10-05:30"};
    for (size_t i = 0; i < ARRAY_COUNT(same); i++) {
        int64_t us;
        ck_assert_int_eq(time_parse(same[i], strlen(same[i]), &us), WEIR_OK);
        ck_assert_int_eq(us, INT64_C(1795488010) * SECOND_US);
    }
}
END_TEST

START_TEST(test_what_is_no_time_is_refused)
{
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-24",
                                      "2026-11-24T02:40Z",
                                      "2026-11-24T02:40:10",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-11-24T24:00:00Z",
                                      "2026-11-24T00:60:00Z",
                                      "2026-11-24T00:00:61Z",
                                      "2026-11-24T02:40:10.Z",
                                      "2026-11-24T02:40:10Z ",
                                      " 2026-11-24T02:40:10Z",
                                      "2026-11-24T02:40:10+1:00",
                                      "2026-11-24T02:40:10+24:00",
                                      "2026-11-24T02:40:10+01:60",
                                      "2026-11-24T02:40:10+0100",
                                      "26-11-24T02:40:10Z",
                                      "2026/11/24T02:40:10Z",
                                      "2026-11-24T-2:40:10Z",
                                      "1700-02-29T00:00:00Z"};
    int64_t us = 7;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        ck_assert_msg(time_parse(bad[i], strlen(bad[i]), &us) == WEIR_INVALID, "%s", bad[i]);
    ck_assert_int_eq(time_parse(NULL, 0, &us), WEIR_INVALID);
    ck_assert_int_eq(time_parse("2026-11-24T02:40:10Z\0", 21, &us), WEIR_INVALID);
    ck_assert_int_eq(time_parse("2026-11-24T02:40:10Z", 19, &us), WEIR_INVALID);
    ck_assert_int_eq(us, 7);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("clock");
    TCase *c = tcase_create("clock");
    tcase_add_test(c, test_clocks_run);
    tcase_add_test(c, test_times_are_written);
    tcase_add_test(c, test_times_come_back);
    tcase_add_test(c, test_offsets_and_fractions);
    tcase_add_test(c, test_other_spellings);
    tcase_add_test(c, test_what_is_no_time_is_refused);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
