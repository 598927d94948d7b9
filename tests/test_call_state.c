/* test_call_state.c: keyed state from a call to the store, through the whole engine: who sees it when, what takes
 * it back, what is left after a crash. Payloads are commands: what the function does with the state of that key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

#define PARTS(functions, call, more)                                                                               \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"                  \
    "functions: { " functions " }\nroutes: [ { name: r, from: in, call: " call                                     \
    ", to: out, retry: { attempts: 5, backoff: 1ms..2ms, bisect: false } " more " } ]\n"
#define ROUTE(more) PARTS("f: { type: f }", "f", more)
#define CHAIN PARTS("f: { type: f }, g: { type: g }", "[f, g]", ", order: shard")

static struct rig *rig;
static struct probe_function *f, *g;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;
static weir_resume resume;

static long state_read(weir_out *to, size_t i)
{
    weir_view value;
    int result = weir_state_get(to, i, view_of("n"), &value);
    ck_assert(result == WEIR_OK || result == WEIR_MISSING);
    return result == WEIR_OK ? strtol(value.data, NULL, 10) : -1; /* values are put with their NUL */
}

static void state_write(weir_out *to, size_t i, long n)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%ld", n);
    ck_assert_int_eq(weir_state_put(to, i, view_of("n"), view_make(text, (size_t)size + 1)), WEIR_OK);
}

/* "inc": one more; "del"; "get"; with "fail" in it, that event fails as often as `fails` says; what the state is
 * then, and the key, go on as "a=3". */
static int state_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    bool first = !strcmp(function->name, "f");
    for (size_t i = 0; i < batch->count; i++) {
        const weir_event *event = &batch->events[i];
        char text[80];
        bool inc = memmem(event->payload.data, event->payload.size, "inc", 3) || !first;
        if (inc)
            state_write(to, i, state_read(to, i) < 0 ? 1 : state_read(to, i) + 1);
        if (memmem(event->payload.data, event->payload.size, "del", 3))
            ck_assert_int_eq(weir_state_del(to, i, view_of("n")), WEIR_OK);
        snprintf(text, sizeof text, "%.*s=%ld", (int)event->key.size, event->key.data, state_read(to, i));
        weir_event put = {.payload = view_of(text), .key = event->key};
        ck_assert_int_eq(weir_out_put(to, i, NULL, first ? &put : event), WEIR_OK);
        bool fails = memmem(event->payload.data, event->payload.size, "fail", 4) || !first;
        if (fails && atomic_fetch_sub(&function->fails, 1) > 0)
            weir_out_fail(to, i, "as told");
    }
    return WEIR_OK;
}

static int whole_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    int fails = atomic_exchange(&function->fails, 0);
    state_script(function, batch, to);
    return fails ? WEIR_RETRY : WEIR_OK;
}

static void begin(const char *folder, const char *yaml, probe_script *script)
{
    rig = rig_new(folder);
    f = rig_function(rig, "f", script, WEIR_FUNCTION_STATE);
    g = rig_function(rig, "g", state_script, WEIR_FUNCTION_STATE);
    rig_open(rig, "%s", yaml);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", &resume);
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

/* One block: "key command" each. */
static void give(uint64_t first, const char *const *lines, size_t count)
{
    weir_event events[16] = {0};
    for (size_t i = 0; i < count; i++) {
        const char *space = strchr(lines[i], ' ');
        events[i].key = view_make(lines[i], (size_t)(space - lines[i]));
        events[i].payload = view_of(space + 1);
        events[i].position = first + i;
    }
    weir_emit emit = {.size = sizeof emit, .events = events, .count = count};
    ck_assert_int_eq(in->host->emit(in->host, shard, &emit), WEIR_OK);
}
#define GIVE(first, ...)                                                                                           \
    give(first, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *written(void)
{
    static char text[2000];
    text[0] = '\0';
    for (size_t i = 0; i < out->seen.count; i++)
        sprintf(text + strlen(text), "%s%s", i ? " " : "", out->seen.items[i].payload);
    return text;
}

START_TEST(test_seen_in_the_batch_and_by_later_ones)
{
    begin(testing_folder(), ROUTE(", order: shard"), state_script);
    GIVE(1, "a inc", "b inc", "a inc");
    GIVE(4, "a inc", "b get");
    RIG_UNTIL(rig, out->seen.count == 5);
    ck_assert_str_eq(written(), "a=1 b=1 a=2 a=3 b=1");
    finish();
}
END_TEST

START_TEST(test_deleted_is_gone)
{
    const char *folder = testing_folder();
    begin(folder, ROUTE(", order: shard"), state_script);
    GIVE(1, "a inc", "b inc", "a inc", "a del");
    GIVE(5, "a get");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert_str_eq(written(), "a=1 b=1 a=2 a=-1 a=-1");
    finish();
    begin(folder, ROUTE(", order: shard"), state_script);
    GIVE(6, "a inc", "b inc");
    RIG_UNTIL(rig, out->seen.count == 2);
    ck_assert_str_eq(written(), "a=1 b=2");
    ck_assert_uint_eq(rig_records(rig, TABLE_STATE), 1);
    finish();
}
END_TEST

/* One commit holds the writes of many batches: the last of each key is what is there afterwards. */
START_TEST(test_the_last_value_is_kept)
{
    const char *folder = testing_folder();
    begin(folder, ROUTE(", batch: { events: 1 }"), state_script);
    for (uint64_t i = 1; i <= 20; i++)
        GIVE(i, "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 20);
    finish();
    begin(folder, ROUTE(""), state_script);
    ck_assert_uint_eq(resume.position, 20);
    GIVE(21, "a get");
    RIG_UNTIL(rig, out->seen.count == 1);
    ck_assert_str_eq(written(), "a=20");
    finish();
}
END_TEST

START_TEST(test_a_failed_event_takes_its_state_back)
{
    begin(testing_folder(), ROUTE(", order: shard"), state_script);
    f->fails = 1;
    GIVE(1, "a inc", "b inc", "a inc fail", "b inc", "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 5);
    ck_assert_str_eq(written(), "a=1 b=1 a=2 b=2 a=3"); /* what comes after it was void too, and is called again */
    finish();
}
END_TEST

START_TEST(test_a_failed_call_takes_all_its_state_back)
{
    begin(testing_folder(), ROUTE(", order: shard"), whole_script);
    f->fails = 1;
    GIVE(1, "a inc", "b inc", "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 3);
    ck_assert_str_eq(written(), "a=1 b=1 a=2");
    ck_assert_uint_eq(f->calls, 2);
    finish();
}
END_TEST

/* g counts for itself: what a chain does is void as one, and its functions do not share their state. */
START_TEST(test_a_failure_in_the_second_takes_the_firsts_state_back)
{
    begin(testing_folder(), CHAIN, state_script);
    g->fails = 2;
    GIVE(1, "a inc", "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_str_eq(written(), "a=1 a=2");
    ck_assert_uint_ge(f->calls, 2);
    ck_assert_uint_eq(rig_records(rig, TABLE_STATE), 2);
    finish();
}
END_TEST

START_TEST(test_a_failure_of_the_sink_does_not_undo_it)
{
    begin(testing_folder(), ROUTE(""), state_script);
    out->holds = true;
    GIVE(1, "a inc");
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer(out, 0, WEIR_RETRY, "not now");
    RIG_UNTIL(rig, out->open_count == 1);
    probe_answer(out, 0, WEIR_REJECT, "never");
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    out->holds = false;
    GIVE(2, "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    ck_assert_str_eq(written(), "a=1 a=1 a=2");
    ck_assert_uint_eq(f->calls, 2);
    finish();
}
END_TEST

/* Ten are completed and durable; three more were counted and not confirmed when the process ends. */
static void crash_part(const char *folder)
{
    begin(folder, ROUTE(", batch: { events: 1 }"), state_script);
    for (uint64_t i = 1; i <= 10; i++)
        GIVE(i, "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 10);
    out->holds = true;
    for (uint64_t i = 11; i <= 15; i += 2)
        GIVE(i, "a inc", "z inc");
    RIG_UNTIL(rig, out->open_count >= 1);
    rig_rest(rig);
    ck_assert_uint_eq(probe_settled(in, shard), 10);
}

START_TEST(test_state_and_position_come_back_together)
{
    const char *folder = testing_folder();
    rig_crash(folder, crash_part);
    begin(folder, ROUTE(""), state_script);
    ck_assert_uint_eq(resume.position, 10);
    GIVE(11, "a inc", "z get");
    RIG_UNTIL(rig, out->seen.count == 2);
    ck_assert(strstr(written(), "a=11") && strstr(written(), "z=-1"));
    finish();
}
END_TEST

/* Scopes. */

START_TEST(test_each_shard_and_route_has_its_own)
{
    rig = rig_new(testing_folder());
    f = rig_function(rig, "f", state_script, WEIR_FUNCTION_STATE);
    rig_open(rig, "%s",
             "sources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
             "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, to: out },"
             "{ name: q, from: in, call: f, to: out } ]\n");
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
    GIVE(1, "a inc", "a inc");
    RIG_UNTIL(rig, probe_settled(in, shard) == 2);
    shard = probe_shard(in, "t", NULL);
    GIVE(1, "a get");
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert(strstr(written(), "a=1") && strstr(written(), "a=2") && !strstr(written(), "a=3"));
    ck_assert_str_eq(out->seen.items[4].payload, "a=-1");
    ck_assert_str_eq(out->seen.items[5].payload, "a=-1");
    ck_assert_uint_eq(rig_records(rig, TABLE_STATE), 2);
    finish();
}
END_TEST

static int keyless_script(struct probe_function *function, const weir_batch *batch, weir_out *to)
{
    weir_view value;
    int result = weir_state_put(to, 0, view_of("n"), view_of("1"));
    atomic_store(&function->fails, result == WEIR_INVALID && weir_state_get(to, 0, view_of("n"), &value) == result);
    (void)batch;
    return weir_out_forward(to, 0, NULL);
}

START_TEST(test_an_event_without_key_has_none)
{
    begin(testing_folder(), ROUTE(""), keyless_script);
    weir_event event = {.payload = view_of("x"), .position = 1};
    ck_assert_int_eq(probe_give(in, shard, &event), WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    ck_assert_int_eq(f->fails, 1);
    ck_assert_uint_eq(out->seen.count, 1);
    finish();
}
END_TEST

START_TEST(test_a_function_that_did_not_say_so_has_none)
{
    rig = rig_new(testing_folder());
    f = rig_function(rig, "f", keyless_script, 0);
    rig_open(rig, "%s",
             "sources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"
             "functions: { f: { type: f } }\nroutes: [ { name: r, from: in, call: f, to: out, "
             "retry: { attempts: 1 } } ]\n");
    in = rig_source(rig, "in");
    shard = probe_shard(in, "s", NULL);
    GIVE(1, "a x");
    RIG_UNTIL(rig, probe_settled(in, shard) == 1);
    struct dead_letter dead;
    ck_assert(rig_dead(rig, 0, &dead));
    ck_assert(view_is(dead.cause, "f: uses keyed state without WEIR_FUNCTION_STATE"));
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("call_state");
    TCase *c = tcase_create("call_state");
    tcase_add_test(c, test_seen_in_the_batch_and_by_later_ones);
    tcase_add_test(c, test_deleted_is_gone);
    tcase_add_test(c, test_the_last_value_is_kept);
    tcase_add_test(c, test_a_failed_event_takes_its_state_back);
    tcase_add_test(c, test_a_failed_call_takes_all_its_state_back);
    tcase_add_test(c, test_a_failure_in_the_second_takes_the_firsts_state_back);
    tcase_add_test(c, test_a_failure_of_the_sink_does_not_undo_it);
    tcase_add_test(c, test_state_and_position_come_back_together);
    tcase_add_test(c, test_each_shard_and_route_has_its_own);
    tcase_add_test(c, test_an_event_without_key_has_none);
    tcase_add_test(c, test_a_function_that_did_not_say_so_has_none);
    suite_add_tcase(s, c);
    return testing_run(s);
}
