/* test_feed.c: what each route of a journal is given next, and what may be trimmed. */
#include "feed.h"
#include "testing.h"

enum { ROUTES = 3 };

START_TEST(test_a_new_journal)
{
    struct feed feed;
    ck_assert_int_eq(feed_init(&feed, ROUTES, 0), WEIR_OK);
    ck_assert_uint_eq(feed_floor(&feed), 0);
    ck_assert(!feed_behind(&feed, 0));
    feed_extend(&feed, 5);
    ck_assert(feed_behind(&feed, 0));
    ck_assert_uint_eq(feed_at(&feed, 0, 1, 5), 0);
    feed_given(&feed, 0, 3);
    ck_assert_uint_eq(feed_at(&feed, 0, 1, 5), 3);
    ck_assert_uint_eq(feed_at(&feed, 0, 4, 5), 0);
    ck_assert_uint_eq(feed_at(&feed, 0, 5, 5), SIZE_MAX); /* it lacks 4 */
    feed_given(&feed, 0, 5);
    ck_assert_uint_eq(feed_at(&feed, 0, 1, 5), SIZE_MAX); /* it has all of it */
    ck_assert(!feed_behind(&feed, 0) && feed_behind(&feed, 1));
    feed_fini(&feed);
}
END_TEST

START_TEST(test_the_slowest_route_holds_the_journal)
{
    struct feed feed;
    ck_assert_int_eq(feed_init(&feed, ROUTES, 100), WEIR_OK);
    feed_open(&feed, 0, 40);
    feed_open(&feed, 1, 90);
    feed_open(&feed, 2, 100);
    ck_assert_uint_eq(feed_floor(&feed), 40);
    feed_given(&feed, 0, 100);
    ck_assert_uint_eq(feed_floor(&feed), 40); /* given is not settled */
    feed_settled(&feed, 0, 95);
    ck_assert_uint_eq(feed_floor(&feed), 90);
    feed_settled(&feed, 0, 50); /* an old answer takes nothing back */
    ck_assert_uint_eq(feed_floor(&feed), 90);
    feed_settled(&feed, 1, 100);
    ck_assert_uint_eq(feed_floor(&feed), 95);
    feed_fini(&feed);
}
END_TEST

START_TEST(test_without_routes_nothing_is_trimmed)
{
    struct feed feed;
    ck_assert_int_eq(feed_init(&feed, 0, 7), WEIR_OK);
    ck_assert_uint_eq(feed_floor(&feed), 0);
    feed_fini(&feed);
}
END_TEST

/* Every event is given to every route once, in order, and is never trimmed before all have settled it. */
START_TEST(test_agrees_with_a_model)
{
    struct feed feed;
    struct random random;
    uint64_t head = 0, given[ROUTES] = {0}, settled[ROUTES] = {0};
    random_init(&random, testing_seed());
    ck_assert_int_eq(feed_init(&feed, ROUTES, 0), WEIR_OK);
    for (int round = 0; round < 50000; round++) {
        size_t route = random_below(&random, ROUTES);
        uint64_t first = 1 + random_below(&random, head + 1), last = first + random_below(&random, 10);
        head += random_below(&random, 3);
        feed_extend(&feed, head);
        if (last <= head) {
            size_t skip = feed_at(&feed, route, first, last);
            bool here = given[route] + 1 >= first && given[route] < last;
            ck_assert_int_eq(skip != SIZE_MAX, here);
            if (here) {
                ck_assert_uint_eq(first + skip, given[route] + 1);
                given[route] += 1 + random_below(&random, last - given[route]);
                feed_given(&feed, route, given[route]);
            }
        }
        settled[route] += random_below(&random, given[route] - settled[route] + 1);
        feed_settled(&feed, route, settled[route]);
        uint64_t least = settled[0];
        for (size_t i = 1; i < ROUTES; i++)
            least = settled[i] < least ? settled[i] : least;
        ck_assert_uint_eq(feed_floor(&feed), least);
        ck_assert_int_eq(feed_behind(&feed, route), given[route] < head);
    }
    feed_fini(&feed);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("feed");
    TCase *c = tcase_create("feed");
    tcase_add_test(c, test_a_new_journal);
    tcase_add_test(c, test_the_slowest_route_holds_the_journal);
    tcase_add_test(c, test_without_routes_nothing_is_trimmed);
    tcase_add_test(c, test_agrees_with_a_model);
    suite_add_tcase(s, c);
    return testing_run(s);
}
