/* test_route_keep.c: what a route says about a block whose memory the shell wants back, and which batches it lets
 * go. */
#include "route_kit.h"
#include "testing.h"

static struct kit_route kit;
static weir_event copies[KIT_EVENTS];

struct seen {
    uint64_t open; /* a bit for each position */
    struct route_batch *asked;
    size_t asks;
    bool keeps;
};

static void open_seen(void *arg, struct block *block, size_t first, size_t count)
{
    struct seen *seen = arg;
    for (size_t i = 0; i < count; i++)
        seen->open |= UINT64_C(1) << block_event(block, first + i)->position;
}

static bool keep_asked(void *arg, struct route_batch *batch)
{
    struct seen *seen = arg;
    seen->asked = batch;
    seen->asks++;
    if (!seen->keeps)
        return false;
    memcpy(copies, batch->events, batch->count * sizeof *copies);
    batch->events = copies;
    return true;
}

static struct seen look(bool keeps)
{
    struct seen seen = {.keeps = keeps};
    kit.block.leaving = true;
    route_open_events(kit.route, open_seen, &seen);
    route_keep_batches(kit.route, keep_asked, &seen);
    kit.block.leaving = false;
    return seen;
}

START_TEST(what_waits_is_open_and_in_no_batch)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 3, 2);
    struct seen seen = look(true);
    ck_assert_uint_eq(seen.open, 3 << 3);
    ck_assert_uint_eq(seen.asks, 0);
    ck_assert_uint_eq(kit.block.views, 0);
    kit_close(&kit);
}
END_TEST

START_TEST(another_block_is_left_alone)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    struct seen seen = {.keeps = true};
    route_open_events(kit.route, open_seen, &seen);
    route_keep_batches(kit.route, keep_asked, &seen);
    ck_assert(seen.open == 0 && seen.asks == 0);
    kit_close(&kit);
}
END_TEST

START_TEST(a_batch_in_a_call_is_not_asked)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    struct route_batch *batch = kit_call(&kit, 1, 2);
    ck_assert_uint_eq(look(true).asks, 0);
    ck_assert_uint_gt(kit.block.views, 0);
    kit_called(&kit, batch, WEIR_OK);
    ck_assert_uint_eq(look(false).asks, 1);
    kit_close(&kit);
}
END_TEST

START_TEST(a_batch_that_has_a_copy_is_asked_once_and_completes_from_it)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    struct route_batch *batch = kit_call(&kit, 1, 2);
    kit_called(&kit, batch, WEIR_OK);
    kit_written(&kit, batch, 0, WEIR_RETRY);
    struct seen seen = look(true);
    ck_assert(seen.asks == 1 && seen.asked == batch);
    ck_assert_uint_eq(kit.block.views, 0);
    ck_assert_uint_eq(look(true).asks, 0);
    kit_tick(&kit, kit.now + 1000);
    ck_assert_ptr_eq(kit_write(&kit, 0)->events, copies);
    kit_written(&kit, batch, 0, WEIR_OK);
    ck_assert_uint_eq(kit_action(&kit, ROUTE_DONE, 0)->events, 2);
    kit_close(&kit);
}
END_TEST

START_TEST(runs_follow_the_block)
{
    struct route_config config = kit_config();
    config.batch_wait_us = 1000;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 5, 2);
    memcpy(copies, kit.events + 4, 2 * sizeof *copies);
    memset(kit.events, 0xff, sizeof kit.events);
    kit.block.events = copies;
    kit.block.gone = 4;
    kit_tick(&kit, kit.now + 1000);
    kit_passes(&kit, kit_call(&kit, 5, 6));
    kit_close(&kit);
}
END_TEST

START_TEST(what_failed_without_order_leaves_the_copy_of_its_batch)
{
    struct route_config config = kit_config();
    config.order = ORDER_NONE;
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 4);
    uint32_t failed[] = {1, 2};
    kit_some_failed(&kit, kit_call(&kit, 1, 4), failed, 2);
    ck_assert_uint_eq(look(true).asks, 3); /* what goes on, and each that waits */
    ck_assert_uint_eq(kit.block.views, 0);
    kit_close(&kit);
}
END_TEST

START_TEST(what_ended_is_let_go_without_another_step)
{
    struct route_config config = kit_config();
    kit_open(&kit, &config, NULL);
    kit_emit(&kit, 1, 2);
    kit_passes(&kit, kit_call(&kit, 1, 2));
    ck_assert_uint_gt(kit.block.refs, 1);
    ck_assert_uint_eq(look(true).asks, 0);
    ck_assert_uint_eq(kit.block.refs, 1);
    kit_close(&kit);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("route keep");
    TCase *c = tcase_create("route keep");
    tcase_add_test(c, what_waits_is_open_and_in_no_batch);
    tcase_add_test(c, another_block_is_left_alone);
    tcase_add_test(c, a_batch_in_a_call_is_not_asked);
    tcase_add_test(c, a_batch_that_has_a_copy_is_asked_once_and_completes_from_it);
    tcase_add_test(c, runs_follow_the_block);
    tcase_add_test(c, what_failed_without_order_leaves_the_copy_of_its_batch);
    tcase_add_test(c, what_ended_is_let_go_without_another_step);
    suite_add_tcase(s, c);
    return testing_run(s);
}
