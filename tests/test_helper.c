/* test_helper.c: what blocks runs elsewhere and is answered on the loop. Made for ThreadSanitizer too. */
#include <sched.h>
#include <stdatomic.h>

#include "base.h"
#include "helper.h"
#include "testing.h"

struct chore {
    pthread_t ran_on;
    bool worked, done;
    uv_loop_t *loop;
};

static void chore_work(void *arg)
{
    struct chore *chore = arg;
    chore->ran_on = pthread_self();
    chore->worked = true;
}

static void chore_done(void *arg)
{
    struct chore *chore = arg;
    chore->done = true;
    uv_stop(chore->loop);
}

START_TEST(test_a_helper_works_elsewhere_and_answers_on_the_loop)
{
    uv_loop_t loop;
    struct mailbox mailbox;
    struct helper helper;
    struct chore chore = {.loop = &loop};
    uv_loop_init(&loop);
    mailbox_init(&mailbox, &loop);
    ck_assert_int_eq(helper_init(&helper, &mailbox), WEIR_OK);
    ck_assert_int_eq(helper_run(&helper, chore_work, chore_done, &chore), WEIR_OK);
    ck_assert_uint_eq(helper.open, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(chore.worked && chore.done);
    ck_assert(!pthread_equal(chore.ran_on, pthread_self()));
    ck_assert_uint_eq(helper.open, 0);
    helper_fini(&helper);
    mailbox_close(&mailbox);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
END_TEST

/* So many may be open, and no more until one of them was answered. */
static atomic_bool held;
static size_t ended;

static void held_work(void *arg)
{
    UNUSED(arg);
    while (atomic_load(&held))
        sched_yield();
}

static void held_done(void *arg)
{
    UNUSED(arg);
    ended++;
}

START_TEST(test_a_helper_is_bounded)
{
    uv_loop_t loop;
    struct mailbox mailbox;
    struct helper helper;
    uv_loop_init(&loop);
    mailbox_init(&mailbox, &loop);
    ck_assert_int_eq(helper_init(&helper, &mailbox), WEIR_OK);
    held = true;
    for (size_t i = 0; i < HELPER_OPEN_MAX; i++)
        ck_assert_int_eq(helper_run(&helper, held_work, held_done, NULL), WEIR_OK);
    ck_assert_int_eq(helper_run(&helper, held_work, held_done, NULL), WEIR_FULL);
    held = false;
    while (ended == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(helper_run(&helper, held_work, NULL, NULL), WEIR_OK);
    while (helper.open)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(ended, HELPER_OPEN_MAX);
    helper_fini(&helper);
    mailbox_close(&mailbox);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("helper");
    TCase *c = tcase_create("helper");
    tcase_add_test(c, test_a_helper_works_elsewhere_and_answers_on_the_loop);
    tcase_add_test(c, test_a_helper_is_bounded);
    suite_add_tcase(s, c);
    return testing_run(s);
}
