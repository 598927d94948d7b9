/* test_host.c: what the core offers an instance: descriptors, timers, wake-ups, helpers, words about its options.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "engine_kit.h"
#include "host.h"
#include "source.h"

#define RIG                                                                                                        \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"                  \
    "routes: [ { name: r, from: in, to: out } ]\n"

static struct rig *rig;
static struct probe_source *in;
static const weir_host *host;

static void begin(void)
{
    rig = rig_new(testing_folder());
    rig_open(rig, "%s", RIG);
    in = rig_source(rig, "in");
    host = in->host;
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

/* Descriptors. */

struct watched {
    int fd, fired, events;
};

static void watched_ready(void *state, void *arg, int events)
{
    struct watched *watched = arg;
    ck_assert_ptr_eq(state, in);
    watched->fired++;
    watched->events = events;
}

START_TEST(test_a_descriptor_is_watched_until_it_is_not)
{
    int ends[2];
    char byte;
    struct watched watched = {0};
    begin();
    ck_assert_int_eq(pipe(ends), 0);
    weir_watch *watch = host->watch_fd(host, ends[0], WEIR_READABLE, watched_ready, &watched);
    ck_assert_ptr_nonnull(watch);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    RIG_UNTIL(rig, watched.fired >= 2); /* level triggered: again until it was read */
    ck_assert_int_eq(watched.events, WEIR_READABLE);
    ck_assert_ptr_eq(host->watch_fd(host, ends[0], 0, watched_ready, &watched), watch); /* the same, quiet */
    int fired = watched.fired;
    rig_rest(rig);
    ck_assert_int_eq(watched.fired, fired);
    host->watch_fd(host, ends[0], WEIR_READABLE, watched_ready, &watched);
    RIG_UNTIL(rig, watched.fired > fired);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    host->watch_stop(watch);
    fired = watched.fired;
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    rig_rest(rig);
    ck_assert_int_eq(watched.fired, fired);
    finish();
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(test_writable_and_closed)
{
    int ends[2];
    struct watched out = {0}, gone = {0};
    begin();
    ck_assert_int_eq(pipe(ends), 0);
    host->watch_fd(host, ends[1], WEIR_WRITABLE, watched_ready, &out);
    RIG_UNTIL(rig, out.fired > 0);
    ck_assert_int_eq(out.events, WEIR_WRITABLE);
    host->watch_fd(host, ends[1], 0, watched_ready, &out);
    host->watch_fd(host, ends[0], WEIR_READABLE, watched_ready, &gone);
    weir_watch *writer = host->watch_fd(host, ends[1], 0, watched_ready, &out);
    host->watch_stop(writer);
    rig_rest(rig);
    close(ends[1]);
    RIG_UNTIL(rig, gone.fired > 0); /* the other end is gone: it may read, and sees that */
    ck_assert(gone.events & WEIR_READABLE);
    finish(); /* what it still watches ends with it */
    close(ends[0]);
}
END_TEST

/* Timers. */

static void timer_due(void *state, void *arg)
{
    ck_assert_ptr_eq(state, in);
    ++*(int *)arg;
}

START_TEST(test_timers_fire_once)
{
    int fired[3] = {0};
    begin();
    weir_timer *once = host->timer_new(host, timer_due, &fired[0]);
    weir_timer *never = host->timer_new(host, timer_due, &fired[1]);
    weir_timer *freed = host->timer_new(host, timer_due, &fired[2]);
    int64_t before = host->mono_us(host);
    host->timer_set(never, 1);
    host->timer_set(never, -1);
    host->timer_set(freed, 1);
    host->timer_free(freed);
    host->timer_free(NULL);
    host->timer_set(once, 1500);
    RIG_UNTIL(rig, fired[0] == 1);
    ck_assert_int_ge(host->mono_us(host) - before, 1000);
    rig_rest(rig);
    ck_assert_int_eq(fired[0], 1);
    ck_assert_int_eq(fired[1], 0);
    ck_assert_int_eq(fired[2], 0);
    host->timer_set(once, 60 * SECOND_US); /* armed at the end: it does not hold the run */
    finish();
}
END_TEST

/* Wake-ups. */

static void *waker(void *arg)
{
    const weir_host *to = arg;
    for (int i = 0; i < 1000; i++)
        to->wake(to);
    return NULL;
}

START_TEST(test_wakes_from_any_thread_merge)
{
    pthread_t threads[3];
    begin();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, waker, (void *)(uintptr_t)host), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(in->woken, 0); /* on the loop only, and it has not been turned */
    RIG_UNTIL(rig, in->woken == 1);
    rig_rest(rig);
    ck_assert_uint_eq(in->woken, 1);
    waker((void *)(uintptr_t)host);
    RIG_UNTIL(rig, in->woken == 2);
    finish();
}
END_TEST

/* Helpers. */

struct chore {
    pthread_t job, done;
    atomic_bool held;
    int ended;
};

static void chore_job(void *state, void *arg)
{
    struct chore *chore = arg;
    ck_assert_ptr_eq(state, in);
    while (atomic_load(&chore->held))
        sched_yield();
    chore->job = pthread_self();
}

static void chore_done(void *state, void *arg)
{
    struct chore *chore = arg;
    ck_assert_ptr_eq(state, in);
    chore->done = pthread_self();
    chore->ended++;
}

START_TEST(test_offload_works_elsewhere_and_ends_on_the_loop)
{
    struct chore chore = {0};
    begin();
    ck_assert_int_eq(host->offload(host, chore_job, chore_done, &chore), WEIR_OK);
    ck_assert_int_eq(host->offload(host, chore_job, NULL, &chore), WEIR_OK);
    RIG_UNTIL(rig, chore.ended == 1 && rig->engine->helper.open == 0);
    ck_assert(pthread_equal(chore.done, pthread_self()));
    ck_assert(!pthread_equal(chore.job, pthread_self()));
    finish();
}
END_TEST

/* A plug-in of its own: what it refuses, and when its fini comes. */

struct picky {
    const weir_host *host;
    int64_t port;
    struct chore *chore;
};
static struct chore *picky_chore;
static int picky_fini_at; /* how many of its chores had ended */
static bool picky_refuses_late;
static const weir_option picky_rows[] = {{.name = "port",
                                          .type = WEIR_OPTION_INT,
                                          .fallback = "7",
                                          .min = 1,
                                          .max = 99,
                                          .offset = offsetof(struct picky, port),
                                          .help = "A port."},
                                         {0}};

static int picky_init(void *state, const weir_host *own)
{
    struct picky *picky = state;
    picky->host = own;
    return picky->port > 10 && !picky_refuses_late ? own->refuse(own, "port", "%d is above 10", (int)picky->port)
                                                   : WEIR_OK;
}

static void picky_job(void *state, void *arg)
{
    (void)state;
    struct chore *chore = arg;
    while (atomic_load(&chore->held))
        sched_yield();
}

static void picky_done(void *state, void *arg)
{
    (void)state;
    ((struct chore *)arg)->ended++;
}

static int picky_start(void *state)
{
    struct picky *picky = state;
    if (picky->port > 10)
        return picky->host->refuse(picky->host, "port", "%d is taken", (int)picky->port);
    return picky_chore ? picky->host->offload(picky->host, picky_job, picky_done, picky_chore) : WEIR_OK;
}

static void picky_write(void *state, weir_write *write)
{
    struct picky *picky = state;
    picky->host->write_done(picky->host, write, WEIR_OK, NULL);
}

static void picky_stop(void *state)
{
    struct picky *picky = state;
    picky->host->stopped(picky->host);
}

static void picky_fini(void *state)
{
    (void)state;
    picky_fini_at = picky_chore ? picky_chore->ended : 0;
}

static const weir_sink_ops picky_ops = {.size = sizeof picky_ops,
                                        .type = "picky",
                                        .summary = "Refuses ports.",
                                        .options = picky_rows,
                                        .state_size = sizeof(struct picky),
                                        .init = picky_init,
                                        .start = picky_start,
                                        .write = picky_write,
                                        .stop = picky_stop,
                                        .fini = picky_fini};
static const weir_sink_ops *const picky_sinks[] = {&picky_ops, NULL};
static const weir_module_info picky_module = {
    .abi = WEIR_ABI, .size = sizeof picky_module, .name = "picky", .version = "1", .sinks = picky_sinks};

#define PICKY                                                                                                      \
    "sources: { in: { type: probe } }\nsinks:\n  out:\n    type: picky\n    port: %d\n"                            \
    "routes: [ { name: r, from: in, to: out } ]\n"

static void picky_new(void)
{
    struct error error;
    rig = rig_new(testing_folder());
    ck_assert_int_eq(registry_add(rig->registry, &picky_module, &error), WEIR_OK);
}

START_TEST(test_a_refusal_has_its_place)
{
    char yaml[300];
    struct error error = {0};
    snprintf(yaml, sizeof yaml, PICKY, 12);
    picky_new();
    ck_assert_int_eq(rig_try(rig, &error, yaml), WEIR_INVALID);
    ck_assert_str_eq(error.text, "<text 1>:5:11: sink out: port: 12 is above 10");
    rig_free(rig);
}
END_TEST

START_TEST(test_a_refusal_at_the_start_is_logged)
{
    picky_refuses_late = true;
    picky_new();
    rig_open(rig, PICKY, 12);
    ck_assert_int_eq(rig_run(rig), EXIT_CONFIG);
    ck_assert_uint_eq(rig_said(rig, "0 sink out: <text 1>:5:11: port: 12 is taken"), 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_fini_comes_after_the_last_offload)
{
    struct chore chore = {.held = true};
    picky_chore = &chore;
    picky_fini_at = -1;
    picky_new();
    rig_open(rig, PICKY, 7);
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    ck_assert_int_eq(picky_fini_at, -1);
    chore.held = false;
    rig_free(rig);
    ck_assert_int_eq(picky_fini_at, 1);
}
END_TEST

START_TEST(test_what_is_said_and_counted_has_the_instances_name)
{
    begin();
    host->log(host, WEIR_LOG_WARN, "only %d left", 3);
    host->stat_add(host, "bytes_total", 40);
    host->stat_add(host, "bytes_total", 2);
    ck_assert_uint_eq(rig_said(rig, "1 source in: only 3 left"), 1);
    ck_assert_int_eq(rig_metric(rig, "weir_source_bytes_total", "source=\"in\""), 42);
    ck_assert(view_is(host->name, "in"));
    ck_assert_uint_eq(host->store_id.size, 16);
    int64_t wall = clock_wall_us();
    ck_assert_int_ge(host->wall_us(host), wall);
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host");
    TCase *c = tcase_create("host");
    tcase_add_test(c, test_a_descriptor_is_watched_until_it_is_not);
    tcase_add_test(c, test_writable_and_closed);
    tcase_add_test(c, test_timers_fire_once);
    tcase_add_test(c, test_wakes_from_any_thread_merge);
    tcase_add_test(c, test_offload_works_elsewhere_and_ends_on_the_loop);
    tcase_add_test(c, test_a_refusal_has_its_place);
    tcase_add_test(c, test_a_refusal_at_the_start_is_logged);
    tcase_add_test(c, test_fini_comes_after_the_last_offload);
    tcase_add_test(c, test_what_is_said_and_counted_has_the_instances_name);
    suite_add_tcase(s, c);
    return testing_run(s);
}
