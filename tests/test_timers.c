/* test_timers.c: timers fire in order of time, and may be moved or taken out at any moment. */
#include "testing.h"
#include "timers.h"

enum { TIMERS = 60, ROUNDS = 20000 };

START_TEST(test_they_fire_in_order)
{
    struct timers timers;
    struct timer timer[4];
    static const int64_t at[4] = {30, 10, 40, 20};
    timers_init(&timers);
    for (int i = 0; i < 4; i++) {
        timer_init(&timer[i], i);
        timers_set(&timers, &timer[i], at[i]);
    }
    ck_assert_int_eq(timers_next(&timers), 10);
    ck_assert_ptr_null(timers_due(&timers, 9));
    ck_assert_ptr_eq(timers_due(&timers, 25), &timer[1]);
    ck_assert_ptr_eq(timers_due(&timers, 25), &timer[3]);
    ck_assert_ptr_null(timers_due(&timers, 25));
    ck_assert_int_eq(timer[1].at, INT64_MAX);
    timers_set(&timers, &timer[2], 5);
    ck_assert_int_eq(timers_next(&timers), 5);
    timers_set(&timers, &timer[2], INT64_MAX);
    ck_assert_int_eq(timers_next(&timers), 30);
    timers_set(&timers, &timer[0], INT64_MAX);
    ck_assert_int_eq(timers_next(&timers), INT64_MAX);
    ck_assert_ptr_null(timers_due(&timers, INT64_MAX));
    timers_fini(&timers);
}
END_TEST

/* The model: the times in an array, the least of them by looking at all. */
static int64_t model_next(const int64_t at[TIMERS])
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        next = time_min(next, at[i]);
    return next;
}

START_TEST(test_agrees_with_a_model)
{
    struct timers timers;
    struct timer timer[TIMERS];
    struct random random;
    int64_t at[TIMERS], now = 0;
    random_init(&random, testing_seed());
    timers_init(&timers);
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&timer[i], i);
        at[i] = INT64_MAX;
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t i = random_below(&random, TIMERS);
        at[i] = random_below(&random, 4) ? now + (int64_t)random_below(&random, 50) : INT64_MAX;
        timers_set(&timers, &timer[i], at[i]);
        ck_assert_int_eq(timers_next(&timers), model_next(at));
        now += (int64_t)random_below(&random, 4);
        for (struct timer *due; (due = timers_due(&timers, now)) != NULL;) {
            ck_assert_int_le(at[due->kind], now);
            ck_assert_int_eq(at[due->kind], model_next(at));
            at[due->kind] = INT64_MAX;
        }
        ck_assert_int_gt(model_next(at), now);
    }
    timers_fini(&timers);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("timers");
    TCase *c = tcase_create("timers");
    tcase_add_test(c, test_they_fire_in_order);
    tcase_add_test(c, test_agrees_with_a_model);
    suite_add_tcase(s, c);
    return testing_run(s);
}
