/* test_store_crash.c: random changes against a model, over reopening and over kills. */
#include <signal.h>
#include <sys/wait.h>

#include "store_kit.h"

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

/* The model: for each of MODEL_KEYS numbers of a table, the size of its value, or -1. */
#define MODEL_KEYS 300
#define MODEL_TABLES 2

static const enum store_table model_tables[MODEL_TABLES] = {TABLE_STATE, TABLE_DEAD};

struct model {
    struct random random;
    int sizes[MODEL_TABLES][MODEL_KEYS];
    char fill[MODEL_TABLES][MODEL_KEYS];
    char value[9000];
};

static void model_put(struct model *model, struct store_ops *ops, size_t table, unsigned number)
{
    int size = (int)random_below(&model->random, random_below(&model->random, 8) ? 200 : sizeof model->value);
    char buffer[24];

    model->sizes[table][number] = size;
    model->fill[table][number] = (char)random_next(&model->random);
    memset(model->value, model->fill[table][number], (size_t)size);
    store_ops_put(ops, model_tables[table], kit_key(buffer, number), view_make(model->value, (size_t)size));
}

static void model_step(struct model *model, struct store_ops *ops)
{
    size_t table = random_below(&model->random, MODEL_TABLES);
    unsigned number = (unsigned)random_below(&model->random, MODEL_KEYS);
    unsigned to = number + (unsigned)random_below(&model->random, 20);
    char first[24], last[24];

    switch (random_below(&model->random, 8)) {
    case 0:
        store_ops_trim(ops, model_tables[table], kit_key(first, number), kit_key(last, to));
        for (; number <= to && number < MODEL_KEYS; number++)
            model->sizes[table][number] = -1;
        break;
    case 1:
        store_ops_del(ops, model_tables[table], kit_key(first, number));
        model->sizes[table][number] = -1;
        break;
    default:
        model_put(model, ops, table, number);
    }
}

static void model_compare(struct model *model, struct store *store)
{
    char buffer[24];

    for (size_t table = 0; table < MODEL_TABLES; table++) {
        for (unsigned number = 0; number < MODEL_KEYS; number++) {
            int size = model->sizes[table][number];
            bool same;
            int result;

            memset(model->value, model->fill[table][number], size > 0 ? (size_t)size : 0);
            result = kit_get(store, model_tables[table], kit_key(buffer, number),
                             view_make(model->value, size > 0 ? (size_t)size : 0), &same);
            ck_assert_int_eq(result, size < 0 ? WEIR_MISSING : WEIR_OK);
            ck_assert(size < 0 || same);
        }
    }
}

START_TEST(test_random_changes_agree_with_a_model)
{
    struct model model;
    struct store *store = kit_open(folder);
    uint64_t records, damaged;

    random_init(&model.random, testing_seed());
    memset(model.sizes, -1, sizeof model.sizes);
    for (int round = 0; round < 400; round++) {
        struct store_ops *ops = store_ops_new(STORE_KEEPS);

        for (uint64_t i = random_below(&model.random, 20); i > 0; i--)
            model_step(&model, ops);
        ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
        if (round % 40 == 39) {
            model_compare(&model, store);
            ck_assert_int_eq(store_check(store, NULL, NULL, &records, &damaged), WEIR_OK);
            store_close(store);
            store = kit_open(folder);
            model_compare(&model, store);
        }
    }
    store_close(store);
}
END_TEST

/* Kills after `wanted` answers; returns the last number that was answered. */
static unsigned acks_until_kill(unsigned from, unsigned wanted)
{
    unsigned acked = from - 1, number, count = 0;
    int fds[2];
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        kit_acks_write(folder, fds[1], from);
        _exit(1);
    }
    close(fds[1]);
    while (read(fds[0], &number, sizeof number) == sizeof number) {
        ck_assert_uint_eq(number, acked + 1);
        acked = number;
        if (++count == wanted)
            kill(pid, SIGKILL);
    }
    ck_assert_uint_ge(count, wanted);
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return acked;
}

START_TEST(test_nothing_acknowledged_is_lost_by_kills)
{
    struct random random;
    unsigned last = 0;

    random_init(&random, testing_seed());
    for (int kill_count = 0; kill_count < 25; kill_count++) {
        struct store *store;

        last = acks_until_kill(last + 1, 1 + (unsigned)random_below(&random, 300));
        store = kit_open(folder);
        kit_acks_check(store, last);
        store_close(store);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_crash");
    TCase *c = tcase_create("store_crash");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_random_changes_agree_with_a_model);
    tcase_add_test(c, test_nothing_acknowledged_is_lost_by_kills);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
