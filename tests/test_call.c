/* test_call.c: what a function puts, fails and keeps: the real engine in this process, a source that makes numbers,
 * and a sink that remembers what arrives, with its id. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing.h"
#include "weir_embed.h"
#include "weir_plugin.h"

enum { ARRIVED_MAX = 200, TEXT_MAX = 100 };

/* The sink `keep`. One test is one process. */

static struct arrived {
    char id[WEIR_ID_MAX], text[TEXT_MAX];
} arrived[ARRIVED_MAX];
static size_t arrived_count;

struct keep {
    const weir_host *host;
};

static int keep_init(void *state, const weir_host *host)
{
    ((struct keep *)state)->host = host;
    return WEIR_OK;
}

static int keep_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static void keep_write(void *state, weir_write *write)
{
    const weir_host *host = ((struct keep *)state)->host;
    for (size_t i = 0; i < write->batch.count; i++) {
        struct arrived *to = &arrived[arrived_count++];
        ck_assert_uint_lt(arrived_count, ARRIVED_MAX);
        host->event_id(&write->batch, i, to->id, sizeof to->id);
        snprintf(to->text, sizeof to->text, "%.*s", (int)write->batch.events[i].payload.size,
                 write->batch.events[i].payload.data);
    }
    host->write_done(host, write, WEIR_OK, NULL);
}

static void keep_stop(void *state)
{
    const weir_host *host = ((struct keep *)state)->host;
    host->stopped(host);
}

static void keep_fini(void *state)
{
    (void)state;
}

static const weir_sink_ops keep = {
    .size = sizeof keep,
    .type = "keep",
    .summary = "Remembers events.",
    .state_size = sizeof(struct keep),
    .init = keep_init,
    .start = keep_start,
    .write = keep_write,
    .stop = keep_stop,
    .fini = keep_fini,
};
static const weir_sink_ops *const sinks[] = {&keep, NULL};
static const weir_module_info module = {
    .abi = WEIR_ABI, .size = sizeof module, .name = "kept", .version = "1", .sinks = sinks};

/* Runs `count` numbers of one key, in order, through the functions a and, when there is one, b. */
static void run(int count, weir_function_call *a, weir_function_call *b, const char *route)
{
    char text[400];
    weir *w = weir_new(NULL);
    snprintf(text, sizeof text, "{ path: %s/store }", testing_folder());
    weir_set(w, "store", text);
    weir_set(w, "log", "{ level: error }");
    ck_assert_int_eq(weir_add(w, &module), WEIR_OK);
    snprintf(text, sizeof text, "{ count: %d, payload: '{{seq}}', keys: 1 }", count);
    weir_source(w, "in", "generate", text);
    weir_function_callback(w, "a", a, NULL, WEIR_FUNCTION_STATE);
    if (b)
        weir_function_callback(w, "b", b, NULL, WEIR_FUNCTION_STATE);
    weir_sink(w, "out", "keep", NULL);
    snprintf(text, sizeof text,
             "{ from: in, call: %s, to: out, retry: { attempts: 3, bisect: false, backoff: 1ms..2ms }%s }",
             b ? "[ a, b ]" : "a", route);
    weir_route(w, text);
    ck_assert_msg(weir_run(w) == WEIR_OK, "%s", weir_error(w));
    weir_free(w);
}

static unsigned long number_of(const weir_event *event)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%.*s", (int)event->payload.size, event->payload.data);
    return strtoul(text, NULL, 10);
}

static int put_text(weir_out *out, size_t from, const char *text)
{
    weir_event event = {.payload = {text, strlen(text)}};
    return weir_out_put(out, from, NULL, &event);
}

static bool has(const char *text)
{
    for (size_t i = 0; i < arrived_count; i++) {
        if (strcmp(arrived[i].text, text) == 0)
            return true;
    }
    return false;
}

/* How many events of the key were counted, this one included. */
static uint64_t count_up(weir_out *out, size_t i)
{
    static const weir_view name = {"", 0};
    uint64_t count = 0;
    weir_view value;
    if (weir_state_get(out, i, name, &value) == WEIR_OK)
        memcpy(&count, value.data, sizeof count);
    count++;
    ck_assert_int_eq(weir_state_put(out, i, name, (weir_view){(const char *)&count, sizeof count}), WEIR_OK);
    return count;
}

/* Ids. */

static int two_and_itself(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++) {
        put_text(out, i, "first");
        put_text(out, i, "second");
        weir_out_forward(out, i, NULL);
    }
    return WEIR_OK;
}

START_TEST(test_ids_of_outputs)
{
    run(3, two_and_itself, NULL, "");
    ck_assert_uint_eq(arrived_count, 9);
    for (size_t i = 0; i < 9; i += 3) {
        char expected[WEIR_ID_MAX + 2];
        const char *own = arrived[i + 2].id;
        ck_assert_uint_eq(strtoul(arrived[i + 2].text, NULL, 10), i / 3 + 1);
        ck_assert_uint_eq(strtoul(strrchr(own, '/') + 1, NULL, 10), i / 3 + 1);
        snprintf(expected, sizeof expected, "%s.0", own);
        ck_assert_str_eq(arrived[i].id, expected);
        ck_assert_str_eq(arrived[i].text, "first");
        snprintf(expected, sizeof expected, "%s.1", own);
        ck_assert_str_eq(arrived[i + 1].id, expected);
        ck_assert_str_eq(arrived[i + 1].text, "second");
    }
}
END_TEST

static int sum_of_batch(void *user, const weir_batch *in, weir_out *out)
{
    char text[TEXT_MAX];
    unsigned long sum = 0;
    (void)user;
    for (size_t i = 0; i < in->count; i++)
        sum += number_of(&in->events[i]);
    snprintf(text, sizeof text, "sum %lu", sum);
    return put_text(out, WEIR_BATCH, text);
}

START_TEST(test_an_output_of_the_whole_batch)
{
    run(10, sum_of_batch, NULL, "");
    unsigned long sum = 0;
    for (size_t i = 0; i < arrived_count; i++) {
        sum += strtoul(arrived[i].text + 4, NULL, 10);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(arrived[i].id, arrived[j].id);
    }
    ck_assert_uint_eq(sum, 55);
}
END_TEST

static int unknown_output(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++)
        ck_assert_int_eq(weir_out_put(out, i, "nowhere", &in->events[i]), WEIR_INVALID);
    ck_assert_int_eq(weir_out_put(out, in->count, NULL, &in->events[0]), WEIR_INVALID);
    return WEIR_OK;
}

START_TEST(test_an_output_that_is_not_mapped)
{
    run(3, unknown_output, NULL, "");
    ck_assert_uint_eq(arrived_count, 0);
}
END_TEST

/* Failures: counts in state tell what was discarded. */

static void put_counted(weir_out *out, const weir_batch *in, size_t i)
{
    char text[TEXT_MAX];
    unsigned long number = number_of(&in->events[i]);
    snprintf(text, sizeof text, "%lu counted %lu", number, (unsigned long)count_up(out, i));
    ck_assert_int_eq(put_text(out, i, text), WEIR_OK);
}

static int fails_the_fifth(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++) {
        put_counted(out, in, i);
        if (number_of(&in->events[i]) == 5)
            weir_out_fail(out, i, "the fifth");
    }
    return WEIR_OK;
}

static void ck_all_but_the_fifth(void)
{
    char text[TEXT_MAX];
    ck_assert_uint_eq(arrived_count, 9);
    for (unsigned long n = 1; n <= 10; n++) {
        snprintf(text, sizeof text, "%lu counted %lu", n, n - (n > 5));
        ck_assert_msg(has(text) == (n != 5), "%s", text);
    }
}

START_TEST(test_what_a_failed_event_put_and_kept_is_discarded)
{
    run(10, fails_the_fifth, NULL, ", order: shard");
    ck_all_but_the_fifth();
}
END_TEST

static atomic_int calls;

/* Every call fails once, after it did all its work. */
static int fails_each_time_first(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++)
        put_counted(out, in, i);
    return atomic_fetch_add(&calls, 1) % 2 ? WEIR_OK : WEIR_RETRY;
}

static void ck_each_counted_once(size_t count)
{
    char text[TEXT_MAX];
    ck_assert_uint_eq(arrived_count, count);
    for (size_t n = 1; n <= count; n++) {
        snprintf(text, sizeof text, "%zu counted %zu", n, n);
        ck_assert_msg(has(text), "%s", text);
    }
}

START_TEST(test_a_call_that_fails_leaves_nothing)
{
    run(10, fails_each_time_first, NULL, ", order: shard, batch: { events: 3 }");
    ck_each_counted_once(10);
}
END_TEST

/* A chain: what b gets is what a put. */

static int counts(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    for (size_t i = 0; i < in->count; i++)
        put_counted(out, in, i);
    return WEIR_OK;
}

static int fails_once_then_forwards(void *user, const weir_batch *in, weir_out *out)
{
    (void)user;
    if (atomic_fetch_add(&calls, 1) % 2 == 0)
        return WEIR_RETRY;
    for (size_t i = 0; i < in->count; i++)
        weir_out_forward(out, i, NULL);
    return WEIR_OK;
}

START_TEST(test_a_chain_runs_again_from_its_start)
{
    run(6, counts, fails_once_then_forwards, ", order: shard, batch: { events: 1 }");
    ck_each_counted_once(6);
    for (size_t i = 0; i < arrived_count; i++)
        ck_assert_uint_eq(strlen(strrchr(arrived[i].id, '.')), 2); /* the origin's id, and the ordinal in a */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("call");
    TCase *tcase = tcase_create("call");
    tcase_add_test(tcase, test_ids_of_outputs);
    tcase_add_test(tcase, test_an_output_of_the_whole_batch);
    tcase_add_test(tcase, test_an_output_that_is_not_mapped);
    tcase_add_test(tcase, test_what_a_failed_event_put_and_kept_is_discarded);
    tcase_add_test(tcase, test_a_call_that_fails_leaves_nothing);
    tcase_add_test(tcase, test_a_chain_runs_again_from_its_start);
    suite_add_tcase(suite, tcase);
    return testing_run(suite);
}
