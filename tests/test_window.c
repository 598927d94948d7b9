/* test_window.c: the room that sources are told: exact where it matters, quiet where it does not. */
#include <stdlib.h>

#include "testing.h"
#include "window.h"

START_TEST(test_the_whole_room_is_told_first)
{
    struct window window;
    window_init(&window, 100, 1000);
    ck_assert(window_tell(&window, false));
    ck_assert_uint_eq(window.told_events, 100);
    ck_assert_uint_eq(window.told_bytes, 1000);
    ck_assert(!window_tell(&window, false));
}
END_TEST

START_TEST(test_small_moves_are_not_told)
{
    struct window window;
    window_init(&window, 80, 8000);
    window_tell(&window, false);
    window_take(&window, 10, 100);
    ck_assert(!window_tell(&window, false));
    window_take(&window, 1, 1);
    ck_assert(window_tell(&window, false));
    ck_assert_uint_eq(window.told_events, 69);
    window_take(&window, 1, 1500);
    ck_assert(window_tell(&window, false));
    ck_assert_uint_eq(window.told_bytes, 8000 - 1601);
}
END_TEST

START_TEST(test_full_and_empty_are_always_told)
{
    struct window window;
    window_init(&window, 1000, 1000000);
    window_tell(&window, false);
    window_take(&window, 999, 0);
    window_tell(&window, false);
    window_take(&window, 1, 0);
    ck_assert(window_tell(&window, false));
    ck_assert_uint_eq(window.told_events, 0);
    window_take(&window, 5, 0); /* what was on its way */
    ck_assert(!window_tell(&window, false));
    window_give(&window, 5, 0);
    ck_assert(!window_tell(&window, false));
    window_give(&window, 1, 0);
    ck_assert(window_tell(&window, false));
    window_give(&window, 900, 0);
    ck_assert(window_tell(&window, false));
    window_give(&window, 99, 0); /* back in full */
    ck_assert(window_tell(&window, false));
    ck_assert_uint_eq(window.told_events, 1000);
}
END_TEST

START_TEST(test_closed_is_no_room)
{
    struct window window;
    window_init(&window, 10, 10);
    window_tell(&window, false);
    ck_assert(window_tell(&window, true));
    ck_assert_uint_eq(window.told_events, 0);
    ck_assert_uint_eq(window.told_bytes, 0);
    ck_assert(!window_tell(&window, true));
    ck_assert(window_tell(&window, false));
}
END_TEST

/* Whatever happens: what sources believe is never an eighth off, and never wrong about whether there is room. */
START_TEST(test_what_is_told_is_near_the_truth)
{
    struct window window;
    struct random random;
    random_init(&random, testing_seed());
    window_init(&window, 128, 4096);
    for (int round = 0; round < 50000; round++) {
        size_t events = random_below(&random, 20), bytes = random_below(&random, 600);
        if (random_below(&random, 2))
            window_take(&window, events, bytes);
        else
            window_give(&window, size_min(events, window.events), size_min(bytes, window.bytes));
        window_tell(&window, false);
        size_t room = 128 - size_min(128, window.events), room_bytes = 4096 - size_min(4096, window.bytes);
        bool none = !room || !room_bytes;
        ck_assert_int_eq(none, !window.told_events || !window.told_bytes);
        if (none)
            continue;
        ck_assert_int_le(llabs((long long)room - (long long)window.told_events), 16);
        ck_assert_int_le(llabs((long long)room_bytes - (long long)window.told_bytes), 512);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("window");
    TCase *c = tcase_create("window");
    tcase_add_test(c, test_the_whole_room_is_told_first);
    tcase_add_test(c, test_small_moves_are_not_told);
    tcase_add_test(c, test_full_and_empty_are_always_told);
    tcase_add_test(c, test_closed_is_no_room);
    tcase_add_test(c, test_what_is_told_is_near_the_truth);
    suite_add_tcase(s, c);
    return testing_run(s);
}
