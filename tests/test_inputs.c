/* test_inputs.c: the queue against a model, blocks held while they wait, and what a released shard takes with it.
 */
#include "inputs.h"
#include "testing.h"

enum { BLOCKS = 8, MODEL_MAX = 4096, ROUNDS = 20000 };

struct route_shard {
    int number;
};

static size_t released;

static void block_gone(struct block *block)
{
    UNUSED(block);
    released++;
}

static void take(struct inputs *inputs, const struct route_input *expected)
{
    struct route_input next;
    ck_assert(inputs_next(inputs, &next));
    ck_assert_int_eq(next.type, expected->type);
    ck_assert_ptr_eq(next.shard, expected->shard);
    ck_assert_uint_eq(next.count, expected->count);
    if (next.block)
        block_drop(next.block);
}

START_TEST(they_come_out_as_they_went_in)
{
    static struct route_input model[MODEL_MAX];
    struct block blocks[BLOCKS];
    struct inputs inputs = {0};
    struct random random;
    size_t from = 0, to = 0, events = 0;
    random_init(&random, (uint64_t)_i + 1);
    released = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = (struct block){.refs = 1, .release = block_gone};
    for (size_t round = 0; round < ROUNDS; round++) {
        bool push = random_below(&random, 100) < 51 && to - from < MODEL_MAX;
        if (push) {
            bool emit = random_below(&random, 2);
            struct route_input input = {.type = emit ? ROUTE_EMIT : ROUTE_FLUSH,
                                        .block = emit ? &blocks[random_below(&random, BLOCKS)] : NULL,
                                        .count = random_below(&random, 9)};
            events += emit ? input.count : 0;
            model[to++ % MODEL_MAX] = input;
            inputs_push(&inputs, &input);
        } else if (from < to) {
            const struct route_input *first = &model[from++ % MODEL_MAX];
            events -= first->type == ROUTE_EMIT ? first->count : 0;
            take(&inputs, first);
        }
        ck_assert_uint_eq(inputs_events(&inputs), events);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        block_drop(&blocks[i]);
    ck_assert(from == to || released < BLOCKS);
    inputs_fini(&inputs);
    ck_assert_uint_eq(released, BLOCKS);
}
END_TEST

START_TEST(a_released_shard_is_not_spoken_of_again)
{
    struct route_shard gone = {1}, here = {2};
    struct block block = {.refs = 1, .release = block_gone};
    struct inputs inputs = {0};
    struct route_input next;
    released = 0;
    inputs_push(&inputs, &(struct route_input){.type = ROUTE_REVOKE, .shard = &gone});
    inputs_push(&inputs, &(struct route_input){.type = ROUTE_EMIT, .shard = &gone, .block = &block, .count = 3});
    inputs_push(&inputs, &(struct route_input){.type = ROUTE_EMIT, .shard = &here, .block = &block, .count = 4});
    inputs_forget(&inputs, &gone);
    ck_assert_uint_eq(block.refs, 2);
    ck_assert_uint_eq(inputs_events(&inputs), 4);
    while (inputs_next(&inputs, &next)) {
        ck_assert_ptr_ne(next.shard, &gone);
        if (next.block)
            block_drop(next.block);
    }
    ck_assert_uint_eq(released, 0);
    block_drop(&block);
    inputs_fini(&inputs);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inputs");
    TCase *c = tcase_create("inputs");
    tcase_add_loop_test(c, they_come_out_as_they_went_in, 0, 4);
    tcase_add_test(c, a_released_shard_is_not_spoken_of_again);
    suite_add_tcase(s, c);
    return testing_run(s);
}
