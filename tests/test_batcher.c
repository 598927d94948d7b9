/* test_batcher.c: when a batch is due, how much it holds, and how it shrinks to a culprit. */
#include "batcher.h"
#include "testing.h"

static const struct batch_policy policy = {.events = 10, .bytes = 100, .wait_us = 500};

START_TEST(test_due_by_count)
{
    struct batcher batcher;
    batcher_init(&batcher, &policy);
    batcher_add(&batcher, 9, 9);
    ck_assert_int_eq(batcher_due(&batcher, 1000), 1500);
    batcher_add(&batcher, 1, 1);
    ck_assert_int_eq(batcher_due(&batcher, 1000), INT64_MIN);
    batcher_take(&batcher, 10, 10);
    batcher_add(&batcher, 1, 1);
    ck_assert_int_eq(batcher_due(&batcher, 2000), 2500);
}
END_TEST

START_TEST(test_due_by_bytes)
{
    struct batcher batcher;
    batcher_init(&batcher, &policy);
    batcher_add(&batcher, 1, 99);
    ck_assert_int_eq(batcher_due(&batcher, 0), 500);
    batcher_add(&batcher, 1, 1);
    ck_assert_int_eq(batcher_due(&batcher, 0), INT64_MIN);
}
END_TEST

START_TEST(test_without_wait_what_is_there_is_due)
{
    static const struct batch_policy hasty = {.events = 10, .bytes = 100};
    struct batcher batcher;
    batcher_init(&batcher, &hasty);
    batcher_add(&batcher, 1, 1);
    ck_assert_int_eq(batcher_due(&batcher, 1000), INT64_MIN);
}
END_TEST

START_TEST(test_an_event_of_any_size_fits_first)
{
    struct batcher batcher;
    batcher_init(&batcher, &policy);
    ck_assert(batcher_fits(&batcher, 0, 1000000, true));
    ck_assert(!batcher_fits(&batcher, 0, 101, false));
    ck_assert(batcher_fits(&batcher, 0, 100, false));
    ck_assert(batcher_fits(&batcher, 60, 40, false));
    ck_assert(!batcher_fits(&batcher, 60, 41, false));
    ck_assert(!batcher_fits(&batcher, 1000000, 0, false));
}
END_TEST

START_TEST(test_a_culprit_is_sought_by_halves)
{
    struct batcher batcher;
    batcher_init(&batcher, &policy);
    ck_assert_uint_eq(batcher.limit, 10);
    for (size_t count = 10; count > 1; count = batcher.limit) {
        batcher_halve(&batcher, count);
        ck_assert_uint_eq(batcher.limit, count / 2);
    }
    batcher_halve(&batcher, 1);
    ck_assert_uint_eq(batcher.limit, 1);
    batcher_add(&batcher, 1, 1);
    ck_assert_int_eq(batcher_due(&batcher, 0), INT64_MIN); /* nobody waits for more while a culprit is sought */
    batcher_grow(&batcher);
    ck_assert_uint_eq(batcher.limit, 2);
    for (int i = 0; i < 10; i++)
        batcher_grow(&batcher);
    ck_assert_uint_eq(batcher.limit, 10);
    batcher_keep(&batcher, 7);
    ck_assert_uint_eq(batcher.limit, 7);
}
END_TEST

/* Any sequence: what waits is what was added less what was taken, and due is said of exactly that. */
START_TEST(test_agrees_with_a_model)
{
    struct batcher batcher;
    struct random random;
    size_t events = 0, bytes = 0;
    random_init(&random, testing_seed());
    batcher_init(&batcher, &policy);
    for (int round = 0; round < 50000; round++) {
        size_t some = random_below(&random, 5), size = random_below(&random, 40);
        int64_t oldest = (int64_t)random_below(&random, 1000);
        if (random_below(&random, 2)) {
            batcher_add(&batcher, some, size);
            events += some, bytes += size;
        } else {
            some = size_min(some, events), size = size_min(size, bytes);
            batcher_take(&batcher, some, size);
            events -= some, bytes -= size;
        }
        int64_t due = events >= batcher.limit || bytes >= 100 ? INT64_MIN : oldest + 500;
        ck_assert_int_eq(batcher_due(&batcher, oldest), due);
        if (random_below(&random, 100) == 0)
            batcher_halve(&batcher, 1 + random_below(&random, 10));
        if (random_below(&random, 50) == 0)
            batcher_grow(&batcher);
        ck_assert(batcher.limit >= 1 && batcher.limit <= 10);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("batcher");
    TCase *c = tcase_create("batcher");
    tcase_add_test(c, test_due_by_count);
    tcase_add_test(c, test_due_by_bytes);
    tcase_add_test(c, test_without_wait_what_is_there_is_due);
    tcase_add_test(c, test_an_event_of_any_size_fits_first);
    tcase_add_test(c, test_a_culprit_is_sought_by_halves);
    tcase_add_test(c, test_agrees_with_a_model);
    suite_add_tcase(s, c);
    return testing_run(s);
}
