/* test_stats.c: a metric is one and the same for everybody who asks for it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "stats.h"
#include "testing.h"

enum { THREADS = 4, NAMES = 300, ROUNDS = 20000 };

struct seen {
    size_t count;
    int64_t sum;
    char name[64], labels[64];
};

static void see(void *arg, const char *name, const char *labels, int64_t value)
{
    struct seen *seen = arg;
    int order = strcmp(seen->name, name);
    ck_assert(seen->count == 0 || order < 0 || (order == 0 && strcmp(seen->labels, labels) < 0));
    snprintf(seen->name, sizeof seen->name, "%s", name);
    snprintf(seen->labels, sizeof seen->labels, "%s", labels);
    seen->count++;
    seen->sum += value;
}

START_TEST(test_a_metric_is_made_once)
{
    struct stats *stats = stats_new();
    struct metric *one = stats_get(stats, "weir_route_events_total", "route=\"a\"");
    ck_assert_ptr_eq(stats_get(stats, "weir_route_events_total", "route=\"a\""), one);
    ck_assert_ptr_ne(stats_get(stats, "weir_route_events_total", "route=\"b\""), one);
    ck_assert_ptr_ne(stats_get(stats, "weir_route_event", "s_totalroute=\"a\""), one);
    ck_assert_ptr_eq(stats_get(stats, "weir_up", NULL), stats_get(stats, "weir_up", ""));
    metric_add(one, 5);
    metric_add(one, -2);
    ck_assert_int_eq(metric_value(stats_get(stats, "weir_route_events_total", "route=\"a\"")), 3);
    metric_set(one, 40);
    ck_assert_int_eq(metric_value(one), 40);
    stats_free(stats);
    stats_free(NULL);
}
END_TEST

START_TEST(test_each_visits_in_order)
{
    struct stats *stats = stats_new();
    struct random random;
    struct seen seen = {0};
    bool made[30][30] = {{false}};
    size_t count = 0;
    random_init(&random, testing_seed());
    stats_each(stats, see, &seen);
    ck_assert_uint_eq(seen.count, 0);
    for (int i = 0; i < 500; i++) {
        size_t n = random_below(&random, 30), l = random_below(&random, 30);
        char name[20], labels[20];
        snprintf(name, sizeof name, "n%zu", n);
        snprintf(labels, sizeof labels, "l%zu", l);
        metric_add(stats_get(stats, name, labels), 1);
        count += !made[n][l];
        made[n][l] = true;
    }
    stats_each(stats, see, &seen);
    ck_assert_uint_eq(seen.count, count);
    ck_assert_int_eq(seen.sum, 500);
    stats_free(stats);
}
END_TEST

START_TEST(test_past_the_bound_there_is_one_spare)
{
    struct stats *stats = stats_new();
    struct seen seen = {0};
    char name[20];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        stats_get(stats, name, "");
    }
    struct metric *spare = stats_get(stats, "one more", "");
    ck_assert_ptr_nonnull(spare);
    ck_assert_ptr_eq(stats_get(stats, "and another", ""), spare);
    ck_assert_ptr_ne(stats_get(stats, "n77", ""), spare);
    metric_add(spare, 1);
    stats_each(stats, see, &seen);
    ck_assert_uint_eq(seen.count, 10000);
    ck_assert_int_eq(seen.sum, 0);
    stats_free(stats);
}
END_TEST

static void *adder(void *arg)
{
    struct stats *stats = arg;
    for (int i = 0; i < ROUNDS; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%d", i % NAMES);
        metric_add(stats_get(stats, name, ""), 1);
    }
    return NULL;
}

START_TEST(test_threads_share_metrics)
{
    struct stats *stats = stats_new();
    struct seen seen = {0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, adder, stats), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    stats_each(stats, see, &seen);
    ck_assert_uint_eq(seen.count, NAMES);
    ck_assert_int_eq(seen.sum, (int64_t)THREADS * ROUNDS);
    stats_free(stats);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("stats");
    TCase *c = tcase_create("stats");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_a_metric_is_made_once);
    tcase_add_test(c, test_each_visits_in_order);
    tcase_add_test(c, test_past_the_bound_there_is_one_spare);
    tcase_add_test(c, test_threads_share_metrics);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
