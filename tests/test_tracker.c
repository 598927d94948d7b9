/* test_tracker.c: what a shard has open: the first open position, and memory that is bounded by what is open. */
#include <stdlib.h>

#include "testing.h"
#include "tracker.h"

enum { EVENTS = 4000, OPEN_MAX = 50 };

static size_t released;

static void block_gone(struct block *block)
{
    (void)block;
    released++;
}

static weir_event events[EVENTS];
static struct block block = {.events = events, .count = EVENTS, .refs = 1, .release = block_gone};

static void events_make(void)
{
    released = 0;
    block.refs = 1;
    for (size_t i = 0; i < EVENTS; i++)
        events[i] = (weir_event){.position = i + 1, .payload = view_make("payload", i % 8)};
}

static uint32_t add(struct tracker *tracker, uint32_t first, uint32_t count)
{
    struct run run = {.block = &block, .first = first, .count = count, .sink = -1};
    run.bytes = run_bytes(&run, 0, count);
    return tracker_add(tracker, &run);
}

static void done(struct tracker *tracker, uint32_t number, uint32_t count)
{
    tracker_run(tracker, number)->taken += count;
    tracker_done(tracker, number, count);
}

static uint64_t first_open(const struct tracker *tracker)
{
    uint32_t number = tracker_open(tracker, 0, 0);
    return number ? run_position(tracker_run(tracker, number)) : 0;
}

START_TEST(test_the_first_open_one)
{
    struct tracker tracker;
    tracker_init(&tracker);
    ck_assert_uint_eq(first_open(&tracker), 0);
    uint32_t a = add(&tracker, 0, 1), b = add(&tracker, 1, 1), c = add(&tracker, 2, 1);
    ck_assert_uint_eq(first_open(&tracker), 1);
    done(&tracker, b, 1);
    ck_assert_uint_eq(first_open(&tracker), 1);
    done(&tracker, a, 1);
    ck_assert_uint_eq(first_open(&tracker), 3);
    done(&tracker, c, 1);
    ck_assert_uint_eq(first_open(&tracker), 0);
    ck_assert_uint_eq(block.refs, 1);
    tracker_fini(&tracker);
}
END_TEST

START_TEST(test_a_run_is_done_from_its_front)
{
    struct tracker tracker;
    tracker_init(&tracker);
    uint32_t run = add(&tracker, 0, 5);
    done(&tracker, run, 2);
    ck_assert_uint_eq(first_open(&tracker), 3);
    ck_assert_uint_eq(block.refs, 2);
    done(&tracker, run, 3);
    ck_assert_uint_eq(first_open(&tracker), 0);
    ck_assert_uint_eq(block.refs, 1);
    tracker_fini(&tracker);
}
END_TEST

START_TEST(test_replays_have_no_position)
{
    struct tracker tracker;
    tracker_init(&tracker);
    uint32_t replay = tracker_add(&tracker, &(struct run){.block = &block, .first = 9, .count = 1, .replay = true});
    uint32_t run = add(&tracker, 20, 1);
    ck_assert_uint_eq(tracker_open(&tracker, 0, 0), run);
    ck_assert_uint_eq(tracker_open(&tracker, 0, run), 0);
    ck_assert_uint_eq(tracker_after(&tracker, replay), run);
    tracker_fini(&tracker);
    ck_assert_uint_eq(block.refs, 1); /* what was open was dropped */
}
END_TEST

START_TEST(test_bytes_as_windows_count_them)
{
    weir_event event = {.payload = view_make("abc", 3), .key = view_make("de", 2), .subject = view_make("f", 1)};
    struct run run = {.block = &block, .first = 6, .count = 3};
    ck_assert_uint_eq(event_bytes(&event), 6);
    ck_assert_uint_eq(run_bytes(&run, 0, 3), 6 + 7 + 0);
    ck_assert_uint_eq(run_bytes(&run, 1, 1), 7);
    ck_assert_ptr_eq(run_event(&run, 2), &events[8]);
}
END_TEST

/* One event stays open while thousands come and go: no memory for those that went. */
START_TEST(test_memory_is_bounded_by_what_is_open)
{
    struct tracker tracker;
    tracker_init(&tracker);
    uint32_t stuck = add(&tracker, 0, 1);
    for (uint32_t i = 1; i < EVENTS; i++)
        done(&tracker, add(&tracker, i, 1), 1);
    ck_assert_uint_le(tracker.room, 64);
    ck_assert_uint_eq(first_open(&tracker), 1);
    done(&tracker, stuck, 1);
    tracker_fini(&tracker);
}
END_TEST

/* The model: a flag for each event. */
START_TEST(test_agrees_with_a_model)
{
    struct tracker tracker;
    struct random random;
    bool open[EVENTS] = {false};
    uint32_t numbers[OPEN_MAX];
    size_t count = 0;
    uint32_t next = 0;
    random_init(&random, testing_seed());
    tracker_init(&tracker);
    while (next < EVENTS - 5 || count) {
        if (next < EVENTS - 5 && count < OPEN_MAX && random_below(&random, 2)) {
            uint32_t length = 1 + (uint32_t)random_below(&random, 4);
            numbers[count++] = add(&tracker, next, length);
            for (uint32_t i = 0; i < length; i++)
                open[next++] = true;
        } else if (count) {
            size_t at = random_below(&random, count);
            struct run *run = tracker_run(&tracker, numbers[at]);
            uint32_t some = 1 + (uint32_t)random_below(&random, run->count - run->done);
            bool all = run->done + some == run->count;
            for (uint32_t i = 0; i < some; i++)
                open[run->first + run->done + i] = false;
            done(&tracker, numbers[at], some);
            if (all)
                numbers[at] = numbers[--count];
        }
        uint32_t first = 0;
        while (first < next && !open[first])
            first++;
        ck_assert_uint_eq(first_open(&tracker), first < next ? first + 1 : 0);
        ck_assert_uint_eq(block.refs, 1 + count);
    }
    ck_assert_uint_le(tracker.room, 64);
    tracker_fini(&tracker);
    ck_assert_uint_eq(released, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tracker");
    TCase *c = tcase_create("tracker");
    tcase_add_checked_fixture(c, events_make, NULL);
    tcase_add_test(c, test_the_first_open_one);
    tcase_add_test(c, test_a_run_is_done_from_its_front);
    tcase_add_test(c, test_replays_have_no_position);
    tcase_add_test(c, test_bytes_as_windows_count_them);
    tcase_add_test(c, test_memory_is_bounded_by_what_is_open);
    tcase_add_test(c, test_agrees_with_a_model);
    suite_add_tcase(s, c);
    return testing_run(s);
}
