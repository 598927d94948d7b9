/* test_call_engine.c: what a function may do in a call, and what becomes of it: ids, named outputs, failures,
 * chains. */
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"

#define ROUTE "limits: { workers: 2 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
#define ONE ROUTE "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, to: out, "
#define FAST "retry: { attempts: 3, backoff: 1ms..2ms }, "

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

static void begin(const char *yaml)
{
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
}

static void setup(void)
{
    rig = rig_new(testing_folder());
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static weir_event text_event(const char *text)
{
    return (weir_event){.payload = view_of(text)};
}

/* Puts each twice, and the batch once. */
static int put_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    weir_event a = text_event("a"), b = text_event("b"), whole = text_event("whole");
    for (size_t i = 0; i < batch->count; i++) {
        if (weir_out_put(to, i, NULL, &a) != WEIR_OK || weir_out_put(to, i, NULL, &b) != WEIR_OK)
            return WEIR_FATAL;
    }
    return weir_out_put(to, WEIR_BATCH, NULL, &whole);
}

START_TEST(test_outputs_have_the_id_of_their_input_and_a_number)
{
    rig_function(rig, "f", put_script, 0);
    begin(ONE "order: shard } ]\n");
    probe_emit(in, shard, 1, 2);
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1.0 s/1.1 s/2.0 s/2.1 s/2.batch.0");
    ck_assert_str_eq(out->seen.items[4].payload, "whole");
    ck_assert_uint_eq(out->seen.items[1].position, 1);
    finish();
}
END_TEST

START_TEST(test_forward_keeps_the_id)
{
    struct probe_function *f = rig_function(rig, "f", NULL, 0);
    begin(ONE "order: shard } ]\n");
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2 s/3");
    ck_assert_str_eq(out->seen.items[2].payload, "p3");
    ck_assert_str_eq(out->seen.items[2].key, "k3");
    ck_assert(!pthread_equal(f->seen.items[0].thread, pthread_self())); /* a worker's, not the loop's */
    finish();
}
END_TEST

START_TEST(test_a_cheap_function_runs_on_the_loop)
{
    struct probe_function *f = rig_function(rig, "f", NULL, WEIR_FUNCTION_CHEAP);
    begin(ROUTE "functions: { f: { type: f } }\nroutes: [ { from: in, call: f, to: out } ]\n");
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert(pthread_equal(f->seen.items[0].thread, pthread_self()));
    finish();
}
END_TEST

/* Forwards all, then fails what has the payload "p3", and puts once more. */
static int third_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    weir_event more = text_event("more");
    for (size_t i = 0; i < batch->count; i++)
        weir_out_put(to, i, NULL, &batch->events[i]);
    for (size_t i = 0; i < batch->count; i++) {
        if (!view_is(batch->events[i].payload, "p3"))
            continue;
        weir_out_fail(to, i, "not the third");
        weir_out_put(to, i, NULL, &more);
        atomic_fetch_add(&function->fails, 1);
    }
    return WEIR_OK;
}

/* What comes after it is called again; what came before it is written at once, and once. */
START_TEST(test_a_failed_event_takes_those_after_it_along)
{
    struct probe_function *f = rig_function(rig, "f", third_script, 0);
    begin(ONE FAST "order: shard } ]\n");
    probe_emit(in, shard, 1, 5);
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1.0 s/2.0 s/4.0 s/5.0");
    ck_assert_int_eq(f->fails, 3);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert_uint_eq(dead.position, 3);
    ck_assert(view_is(dead.cause, "not the third"));
    ck_assert_uint_eq(dead.attempts, 3);
    finish();
}
END_TEST

START_TEST(test_without_order_only_the_failed_event_is_kept_back)
{
    struct probe_function *f = rig_function(rig, "f", third_script, 0);
    begin(ONE FAST "order: none, lanes: 1 } ]\n");
    probe_emit(in, shard, 1, 5);
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert_uint_eq(out->seen.count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_ne(out->seen.items[i].position, 3);
    size_t calls_of_five = 0;
    for (size_t i = 0; i < f->seen.count; i++)
        calls_of_five += f->seen.items[i].position == 5;
    ck_assert_uint_eq(calls_of_five, 1);
    finish();
}
END_TEST

/* The whole call fails so many times, after it has put everything. */
static int whole_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    for (size_t i = 0; i < batch->count; i++)
        weir_out_put(to, i, NULL, &batch->events[i]);
    return atomic_fetch_sub(&function->fails, 1) > 0 ? WEIR_RETRY : WEIR_OK;
}

START_TEST(test_a_failed_call_leaves_no_output)
{
    struct probe_function *f = rig_function(rig, "f", whole_script, 0);
    f->fails = 1;
    begin(ONE "retry: { attempts: 3, backoff: 1ms..2ms, bisect: false }, order: shard } ]\n");
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1.0 s/2.0 s/3.0");
    ck_assert_str_eq(probe_ids(f), "s/1 s/2 s/3 s/1 s/2 s/3");
    ck_assert_uint_eq(f->seen.items[0].attempt, 1);
    ck_assert_uint_eq(f->seen.items[3].attempt, 2);
    finish();
}
END_TEST

static int noname_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    for (size_t i = 0; i < batch->count; i++) {
        ck_assert_int_eq(weir_out_forward(to, i, "left"), WEIR_OK);
        if (weir_out_forward(to, i, view_is(batch->events[i].payload, "p2") ? "rihgt" : "right") != WEIR_OK)
            return WEIR_OK; /* it does not look: the call fails all the same */
    }
    return WEIR_OK;
}

START_TEST(test_an_output_that_is_not_mapped_fails_the_call)
{
    rig_function(rig, "f", noname_script, 0);
    rig_open(rig, "sources: { in: { type: probe } }\nsinks: { out: { type: probe }, other: { type: probe } }\n"
                  "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, "
                  "to: { left: out, right: other }, order: shard, retry: { attempts: 2, backoff: 1ms..1ms } } ]\n");
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/3");
    ck_assert_str_eq(seen_ids(&rig_sink(rig, "other")->seen), "s/1 s/3");
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.cause, "f: the route has no output rihgt"));
    ck_assert(!rig_dead(rig, 1, &dead));
    finish();
}
END_TEST

/* Puts more than a batch may hold, does not look at the answers, then asks for something small. */
static int flood_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    static const char mebi[1 << 20];
    weir_event large = {.payload = {mebi, sizeof mebi}}, small = text_event("small");
    bool over = false;
    for (size_t i = 0; i < 40; i++)
        over |= weir_out_put(to, 0, NULL, &large) == WEIR_NOMEM;
    ck_assert(over);
    if (weir_out_put(to, 0, NULL, &small) != WEIR_NOMEM)
        atomic_fetch_add(&function->fails, 1);
    (void)batch;
    return WEIR_OK;
}

START_TEST(test_an_overflow_is_not_forgotten)
{
    struct probe_function *f = rig_function(rig, "f", flood_script, 0);
    begin(ONE "retry: { attempts: 1 } } ]\n");
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert_int_eq(f->fails, 0);
    ck_assert_uint_eq(out->seen.count, 0);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    finish();
}
END_TEST

static int wild_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    weir_event event = text_event("x");
    ck_assert_int_eq(weir_out_put(to, batch->count, NULL, &event), WEIR_INVALID);
    return WEIR_OK;
}

START_TEST(test_an_input_that_is_not_there_fails_the_call)
{
    rig_function(rig, "f", wild_script, 0);
    begin(ONE "retry: { attempts: 1 } } ]\n");
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.cause, "f: put from an input that is not there"));
    finish();
}
END_TEST

/* Chains. */

#define CHAIN                                                                                                      \
    ROUTE "functions: { a: { type: a }, b: { type: b } }\n"                                                        \
          "routes: [ { name: r, from: in, call: [a, b], to: out, order: shard, "

static int twice_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    for (size_t i = 0; i < batch->count; i++) {
        weir_out_put(to, i, NULL, &batch->events[i]);
        weir_out_put(to, i, NULL, &batch->events[i]);
    }
    return WEIR_OK;
}

START_TEST(test_outputs_of_the_first_are_inputs_of_the_second)
{
    rig_function(rig, "a", twice_script, 0);
    struct probe_function *b = rig_function(rig, "b", twice_script, 0);
    begin(CHAIN "} ]\n");
    probe_emit(in, shard, 7, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 7);
    ck_assert_str_eq(probe_ids(b), "s/7.0 s/7.1");
    ck_assert_str_eq(seen_ids(&out->seen), "s/7.0.0 s/7.0.1 s/7.1.0 s/7.1.1");
    ck_assert_uint_eq(out->seen.items[3].position, 7);
    finish();
}
END_TEST

/* Fails what the fourth input became, as often as it is told. */
static int fourth_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    for (size_t i = 0; i < batch->count; i++) {
        weir_out_forward(to, i, NULL);
        if (view_is(batch->events[i].payload, "p4") && atomic_fetch_sub(&function->fails, 1) > 0)
            weir_out_fail(to, i, "in the second");
    }
    return WEIR_OK;
}

START_TEST(test_a_failure_in_the_second_runs_the_first_again)
{
    struct probe_function *a = rig_function(rig, "a", twice_script, 0);
    struct probe_function *b = rig_function(rig, "b", fourth_script, 0);
    b->fails = 1;
    begin(CHAIN FAST "} ]\n");
    probe_emit(in, shard, 3, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert_str_eq(seen_ids(&out->seen), "s/3.0 s/3.1 s/4.0 s/4.1 s/5.0 s/5.1");
    ck_assert_int_eq(strncmp(probe_ids(a), "s/3 s/4 s/5 s/4", 15), 0);
    finish();
}
END_TEST

/* The dead letter of a chain is its first input, whatever that had become. */
START_TEST(test_the_origin_is_the_first_input)
{
    rig_function(rig, "a", twice_script, 0);
    struct probe_function *b = rig_function(rig, "b", fourth_script, 0);
    b->fails = 1000;
    begin(CHAIN FAST "} ]\n");
    probe_emit(in, shard, 3, 3);
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.event.id, "s/4"));
    ck_assert(view_is(dead.cause, "in the second"));
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1);
    ck_assert_str_eq(seen_ids(&out->seen), "s/3.0 s/3.1 s/5.0 s/5.1");
    finish();
}
END_TEST

static int named_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    (void)batch;
    ck_assert_int_eq(weir_out_forward(to, 0, "left"), WEIR_INVALID);
    return WEIR_OK;
}

START_TEST(test_only_the_last_of_a_chain_has_named_outputs)
{
    rig_function(rig, "a", named_script, 0);
    struct probe_function *b = rig_function(rig, "b", NULL, 0);
    begin(CHAIN "retry: { attempts: 1 } } ]\n");
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert_uint_eq(b->calls, 0);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.cause, "a: only the last function of a chain has named outputs: left"));
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("call_engine");
    TCase *c = tcase_create("call_engine");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, test_outputs_have_the_id_of_their_input_and_a_number);
    tcase_add_test(c, test_forward_keeps_the_id);
    tcase_add_test(c, test_a_cheap_function_runs_on_the_loop);
    tcase_add_test(c, test_a_failed_event_takes_those_after_it_along);
    tcase_add_test(c, test_without_order_only_the_failed_event_is_kept_back);
    tcase_add_test(c, test_a_failed_call_leaves_no_output);
    tcase_add_test(c, test_an_output_that_is_not_mapped_fails_the_call);
    tcase_add_test(c, test_an_overflow_is_not_forgotten);
    tcase_add_test(c, test_an_input_that_is_not_there_fails_the_call);
    tcase_add_test(c, test_outputs_of_the_first_are_inputs_of_the_second);
    tcase_add_test(c, test_a_failure_in_the_second_runs_the_first_again);
    tcase_add_test(c, test_the_origin_is_the_first_input);
    tcase_add_test(c, test_only_the_last_of_a_chain_has_named_outputs);
    suite_add_tcase(s, c);
    return testing_run(s);
}
