/* test_retry.c: the delays lie where the formula says, spread evenly, and never overflow. */
#include <math.h>

#include "retry.h"
#include "testing.h"

static double bound_model(const struct retry_policy *policy, uint32_t attempt)
{
    return fmax(1000, fmin((double)policy->cap_us, fmax(1000, (double)policy->base_us) * pow(2, attempt - 1.0)));
}

START_TEST(test_delays_stay_within_the_formula)
{
    struct random random;
    random_init(&random, testing_seed());
    for (int round = 0; round < 200000; round++) {
        struct retry_policy policy = {.base_us = (int64_t)(random_next(&random) >> (1 + random_below(&random, 62))),
                                      .cap_us = (int64_t)(random_next(&random) >> (1 + random_below(&random, 62)))};
        uint32_t attempt = 1 + (uint32_t)(random_next(&random) >> (32 + random_below(&random, 32))) % UINT32_MAX;
        int64_t delay = retry_delay(&policy, attempt, &random);
        ck_assert_int_ge(delay, 1000);
        ck_assert((double)delay <= bound_model(&policy, attempt) * (1 + 1e-15));
    }
}
END_TEST

START_TEST(test_delays_grow_and_spread)
{
    static const struct retry_policy policy = {.base_us = 100000, .cap_us = 30000000};
    struct random random;
    random_init(&random, 1);
    for (uint32_t attempt = 1; attempt < 15; attempt++) {
        double bound = bound_model(&policy, attempt), sum = 0, least = bound, most = 0;
        for (int i = 0; i < 20000; i++) {
            double delay = (double)retry_delay(&policy, attempt, &random);
            sum += delay;
            least = fmin(least, delay);
            most = fmax(most, delay);
        }
        ck_assert(fabs(sum / 20000 - (bound + 1000) / 2) < bound * 0.02);
        ck_assert(least < 1000 + bound * 0.01 && most > bound * 0.99);
    }
}
END_TEST

START_TEST(test_corners)
{
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(retry_delay(&(struct retry_policy){0}, 50, &random), 1000);
        ck_assert_int_eq(retry_delay(&(struct retry_policy){.base_us = 5000, .cap_us = 10}, 3, &random), 1000);
        ck_assert_int_le(retry_delay(&(struct retry_policy){.base_us = 5000, .cap_us = 2000}, 9, &random), 2000);
        ck_assert_int_le(retry_delay(&(struct retry_policy){.base_us = 2000, .cap_us = 9000}, 0, &random), 2000);
        ck_assert_int_ge(
            retry_delay(&(struct retry_policy){.base_us = INT64_MAX, .cap_us = INT64_MAX}, UINT32_MAX, &random),
            1000);
    }
}
END_TEST

START_TEST(test_a_seed_gives_the_same_delays)
{
    static const struct retry_policy policy = {.base_us = 100000, .cap_us = 30000000};
    struct random one, two;
    random_init(&one, 9);
    random_init(&two, 9);
    for (uint32_t attempt = 1; attempt < 100; attempt++)
        ck_assert_int_eq(retry_delay(&policy, attempt, &one), retry_delay(&policy, attempt, &two));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("retry");
    TCase *c = tcase_create("retry");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_delays_stay_within_the_formula);
    tcase_add_test(c, test_delays_grow_and_spread);
    tcase_add_test(c, test_corners);
    tcase_add_test(c, test_a_seed_gives_the_same_delays);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
