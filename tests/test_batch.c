/* test_batch.c: what a flow has in hand for one batch: what the function sees of it, what it may take, what is used
 * again, and the copy of its inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"
#include "flow.h"

#define RIG                                                                                                        \
    "limits: { workers: 2, event_bytes: 100KiB }\nsources: { in: { type: probe } }\n"                              \
    "sinks: { out: { type: probe }, also: { type: probe } }\nfunctions: { f: { type: f } }\n"                      \
    "routes: [ { name: r, from: in, call: f, to: [ out, also ], order: shard, batch: { events: 10, "               \
    "bytes: 64KiB }, retry: { attempts: 3, backoff: 1ms..2ms } } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out, *also;
static struct probe_function *f;
static weir_shard *shard;

static void begin(probe_script *script)
{
    rig = rig_new(testing_folder());
    f = rig_function(rig, "f", script, 0);
    rig_open(rig, "%s", RIG);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    also = rig_sink(rig, "also");
    shard = probe_shard(in, "s", NULL);
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

static struct batch *batch_in_hand(void)
{
    struct flow *flow = &rig->engine->flows[0];
    ck_assert(!list_empty(&flow->in_hand));
    return LIST_FIRST(&flow->in_hand, struct batch, hand);
}

static int view_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    bool right = batch->size == sizeof *batch && view_is(batch->route, "r") && view_is(batch->source, "in") &&
                 view_is(batch->shard, "s") && view_is(batch->id_prefix, "s") && batch->id_less == 0 &&
                 batch->count <= 10;
    for (size_t i = 1; i < batch->count; i++)
        right &= batch->events[i].position == batch->events[i - 1].position + 1;
    char id[8];
    right &= weir_event_id(to, batch, 0, id, sizeof id) >= 3 && strlen(id) < sizeof id;
    atomic_fetch_add(&function->fails, !right);
    return WEIR_OK;
}

START_TEST(test_the_view_says_where_it_comes_from)
{
    begin(view_script);
    probe_emit(in, shard, 1, 95);
    RIG_UNTIL(rig, probe_settled(in, shard) == 95);
    ck_assert_int_eq(f->fails, 0);
    ck_assert_uint_ge(f->calls, 10);
    ck_assert_uint_eq(out->seen.count, 0); /* it put nothing, so nothing is written */
    finish();
}
END_TEST

/* Every sink of a list gets everything, and each confirms for itself. */
START_TEST(test_a_write_for_each_sink)
{
    begin(NULL);
    out->holds = true;
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, out->open_count == 1 && also->seen.count == 3);
    rig_rest(rig);
    ck_assert_uint_eq(in->settle_count, 0);
    probe_answer(out, 0, WEIR_RETRY, "later");
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert_uint_eq(also->seen.count, 3); /* only the sink that failed is written to again */
    ck_assert_uint_eq(f->calls, 1);
    finish();
}
END_TEST

/* Output memory: four times the batch, and room for two events of any size. */
static size_t taken;

static int greedy_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    (void)batch;
    taken = 0;
    while (weir_out_alloc(to, 1000))
        taken += 1000;
    return WEIR_OK;
}

START_TEST(test_a_call_may_take_so_much_and_gives_it_back)
{
    begin(greedy_script);
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    size_t bound = 4 * (64u << 10) + 2 * (100u << 10) + 65536;
    ck_assert_uint_le(taken, bound);
    ck_assert_uint_ge(taken, bound / 2);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 1); /* past its bound, so it failed */
    RIG_UNTIL(rig, rig->engine->memory_used == 0);
    finish();
}
END_TEST

/* What a batch had taken is charged until it ends. */
static int large_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    ck_assert_ptr_nonnull(weir_out_alloc(to, 300000));
    return weir_out_forward(to, 0, NULL) + (int)batch->id_less;
}

START_TEST(test_what_it_takes_is_charged)
{
    begin(large_script);
    out->holds = true;
    probe_emit(in, shard, 1, 1);
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_int_ge(rig->engine->memory_used, 300000);
    ck_assert_uint_ge(batch_in_hand()->charged, 300000);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, rig->engine->memory_used == 0);
    struct batch *pooled = LIST_FIRST(&rig->engine->flows[0].pool, struct batch, node);
    ck_assert_uint_le(pooled->arena.reserved, 128u << 10); /* nobody pays for what waits in the pool */
    finish();
}
END_TEST

/* The copy: not while a sink has views; afterwards nothing looks into the block any more. */
static int half_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    (void)function;
    weir_event made = {.payload = view_of("made"), .key = view_of("k")};
    for (size_t i = 0; i < batch->count; i++) {
        int result = i % 2 ? weir_out_put(to, i, NULL, &made) : weir_out_forward(to, i, NULL);
        ck_assert_int_eq(result, WEIR_OK);
    }
    return WEIR_OK;
}

START_TEST(test_the_copy_of_its_inputs)
{
    begin(half_script);
    out->holds = true;
    probe_lend(in, shard, 1, 4);
    RIG_UNTIL(rig, out->open_count == 1 && also->seen.count == 4);
    struct batch *batch = batch_in_hand();
    const weir_event *before = batch->route->events;
    ck_assert(!batch_keep(batch));
    probe_answer(out, 0, WEIR_RETRY, "later");
    ck_assert(batch_keep(batch)); /* it waits for its next attempt */
    ck_assert_ptr_ne(batch->route->events, before);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_ne(batch->route->events[i].payload.data, before[i].payload.data);
        ck_assert(view_equal(batch->route->events[i].payload, before[i].payload));
        const weir_event *output = &batch->outputs[0].events[i];
        ck_assert(i % 2 ? view_is(output->payload, "made")
                        : output->payload.data == batch->route->events[i].payload.data);
    }
    RIG_UNTIL(rig, out->open_count == 1);
    ck_assert_str_eq(out->seen.items[6].payload, "p3");
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2.0 s/3 s/4.0 s/1 s/2.0 s/3 s/4.0");
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, in->given_back == 1 && probe_settled(in, shard) == 4);
    finish();
}
END_TEST

/* Each event that a sink rejects keeps its own reason. */
START_TEST(test_reasons_stay_with_their_events)
{
    struct dead_letter dead;
    begin(NULL);
    also->holds = true;
    probe_emit(in, shard, 1, 3);
    RIG_UNTIL(rig, also->open_count == 1);
    char reason[20];
    for (size_t i = 0; i < 2; i++) {
        snprintf(reason, sizeof reason, "reason %zu", i);
        also->host->write_event(also->host, also->open[0], 2 * i, WEIR_REJECT, reason);
    }
    memset(reason, '#', sizeof reason - 1);
    probe_answer(also, 0, WEIR_OK, NULL);
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert(rig_dead(rig, 0, &dead) && view_is(dead.cause, "reason 0") && dead.position == 1);
    ck_assert(rig_dead(rig, 1, &dead) && view_is(dead.cause, "reason 1") && dead.position == 3);
    ck_assert(!rig_dead(rig, 2, &dead));
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("batch");
    TCase *c = tcase_create("batch");
    tcase_add_test(c, test_the_view_says_where_it_comes_from);
    tcase_add_test(c, test_a_write_for_each_sink);
    tcase_add_test(c, test_a_call_may_take_so_much_and_gives_it_back);
    tcase_add_test(c, test_what_it_takes_is_charged);
    tcase_add_test(c, test_the_copy_of_its_inputs);
    tcase_add_test(c, test_reasons_stay_with_their_events);
    suite_add_tcase(s, c);
    return testing_run(s);
}
