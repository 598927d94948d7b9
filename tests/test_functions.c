/* test_functions.c: the built-in functions and the template module, driven with a small weir_api of the test's own.
 */
#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base.h"
#include "field.h"
#include "testing.h"

extern const weir_function_ops function_pass, function_filter, function_count;

enum { EVENTS_MAX = 64, STATES_MAX = 256 };

/* What a call did: results, failures, and keyed state that stays until the end of the test. */
struct output {
    size_t from;
    bool forwarded;
    weir_event event;
};
struct state {
    weir_view key, name, value;
};
static struct {
    struct weir_out out; /* first: the function's `out` is the run */
    struct arena arena;
    weir_batch in;
    weir_event events[EVENTS_MAX];
    struct output outputs[EVENTS_MAX];
    struct state states[STATES_MAX];
    size_t output_count, state_count, fail_count, fails[EVENTS_MAX];
    int put_result; /* what put and forward answer */
    char refused[300];
    int64_t not_json;
} run;

static int fake_deliver(size_t from, const char *output, const weir_event *event, bool forwarded)
{
    ck_assert(output == NULL && from < run.in.count && run.output_count < EVENTS_MAX);
    if (run.put_result == WEIR_OK)
        run.outputs[run.output_count++] = (struct output){from, forwarded, *event};
    return run.put_result;
}

static int fake_put(weir_out *out, size_t from, const char *output, const weir_event *event)
{
    weir_event copy;
    ck_assert_ptr_eq(out, &run.out);
    ck_assert(arena_event(&run.arena, &copy, event));
    return fake_deliver(from, output, &copy, false);
}

static int fake_forward(weir_out *out, size_t from, const char *output)
{
    ck_assert_ptr_eq(out, &run.out);
    return fake_deliver(from, output, &run.events[from], true);
}

static void fake_fail(weir_out *out, size_t from, const char *reason)
{
    ck_assert(out == &run.out && from < run.in.count && reason && *reason);
    run.fails[run.fail_count++] = from;
}

static struct state *state_find(size_t from, weir_view name)
{
    for (size_t i = 0; i < run.state_count; i++) {
        if (view_equal(run.states[i].key, run.events[from].key) && view_equal(run.states[i].name, name))
            return &run.states[i];
    }
    ck_assert_uint_lt(run.state_count, STATES_MAX);
    struct state *made = &run.states[run.state_count++];
    *made = (struct state){arena_copy(&run.arena, run.events[from].key), arena_copy(&run.arena, name), {NULL, 0}};
    return made;
}

static int fake_get(weir_out *out, size_t from, weir_view name, weir_view *value)
{
    ck_assert(out == &run.out);
    if (!run.events[from].key.data)
        return WEIR_INVALID;
    *value = state_find(from, name)->value;
    return value->data ? WEIR_OK : WEIR_MISSING;
}

static int fake_state_put(weir_out *out, size_t from, weir_view name, weir_view value)
{
    ck_assert(out == &run.out && value.data);
    if (!run.events[from].key.data)
        return WEIR_INVALID;
    state_find(from, name)->value = arena_copy(&run.arena, value);
    return WEIR_OK;
}

static int fake_del(weir_out *out, size_t from, weir_view name)
{
    ck_assert(out == &run.out);
    state_find(from, name)->value = view_of(NULL);
    return run.events[from].key.data ? WEIR_OK : WEIR_INVALID;
}

static void *fake_alloc(weir_out *out, size_t size)
{
    ck_assert(out == &run.out);
    return arena_alloc(&run.arena, size);
}

static const weir_api fake_api = {.size = sizeof(weir_api),
                                  .put = fake_put,
                                  .forward = fake_forward,
                                  .fail = fake_fail,
                                  .state_get = fake_get,
                                  .state_put = fake_state_put,
                                  .state_del = fake_del,
                                  .event_id = event_id_write,
                                  .alloc = fake_alloc};

static int fake_refuse(const weir_host *host, const char *option, const char *format, ...)
{
    va_list args;
    UNUSED(host);
    int size = snprintf(run.refused, sizeof run.refused, "%s: ", option);
    va_start(args, format);
    vsnprintf(run.refused + size, sizeof run.refused - (size_t)size, format, args);
    va_end(args);
    return WEIR_INVALID;
}

static void fake_stat(const weir_host *host, const char *name, int64_t delta)
{
    UNUSED(host);
    ck_assert_str_eq(name, "not_json_events_total");
    run.not_json += delta;
}

static const weir_host fake_host = {.size = sizeof(weir_host), .refuse = fake_refuse, .stat_add = fake_stat};

static void setup(void)
{
    memset(&run, 0, sizeof run);
    arena_init(&run.arena, 0);
    run.out.api = &fake_api;
    run.in =
        (weir_batch){.size = sizeof run.in, .events = run.events, .source = view_of("s"), .shard = view_of("0")};
}

static void teardown(void)
{
    arena_fini(&run.arena);
}

/* An instance with options given as "name", "value", ..., NULL, filled in by the function's own table. */
struct instance {
    const weir_function_ops *ops;
    _Alignas(16) char state[1024];
};

static void option_set(struct instance *instance, const weir_option *row, const char *value)
{
    void *member = instance->state + row->offset;
    struct error error;
    if (row->type == WEIR_OPTION_FIELD)
        ck_assert_int_eq(field_parse(value, member, &error), WEIR_OK);
    else if (row->type == WEIR_OPTION_TEXT)
        *(const char **)member = value;
    else if (row->type == WEIR_OPTION_INT)
        *(int64_t *)member = strtoll(value, NULL, 10);
    else
        for (*(int64_t *)member = 0; strcmp(row->choices[*(int64_t *)member], value) != 0;)
            ++*(int64_t *)member;
}

static int instance_init(struct instance *instance, const weir_function_ops *ops, const char *const *options)
{
    *instance = (struct instance){.ops = ops};
    ck_assert_uint_le(ops->state_size, sizeof instance->state);
    ck_assert_uint_eq(ops->size, sizeof *ops);
    for (const weir_option *row = ops->options; row && row->name; row++) {
        const char *value = row->fallback;
        for (const char *const *option = options; option && *option; option += 2)
            value = strcmp(option[0], row->name) == 0 ? option[1] : value;
        if (value)
            option_set(instance, row, value);
    }
    return ops->init ? ops->init(instance->state, &fake_host) : WEIR_OK;
}

static void instance_fini(struct instance *instance)
{
    if (instance->ops->fini)
        instance->ops->fini(instance->state);
    for (const weir_option *row = instance->ops->options; row && row->name; row++) {
        weir_field **field = (weir_field **)(void *)(instance->state + row->offset);
        if (row->type == WEIR_OPTION_FIELD)
            field_free(*field);
    }
}

static int instance_call(struct instance *instance, size_t count)
{
    run.in.count = count;
    run.output_count = run.fail_count = 0;
    return instance->ops->call(instance->state, &run.in, &run.out);
}

START_TEST(test_pass_hands_everything_on)
{
    struct instance pass;
    ck_assert_int_eq(instance_init(&pass, &function_pass, NULL), WEIR_OK);
    ck_assert(function_pass.flags & WEIR_FUNCTION_CHEAP);
    ck_assert_int_eq(instance_call(&pass, 0), WEIR_OK);
    ck_assert_uint_eq(run.output_count, 0);
    ck_assert_int_eq(instance_call(&pass, EVENTS_MAX), WEIR_OK);
    ck_assert_uint_eq(run.output_count, EVENTS_MAX);
    for (size_t i = 0; i < EVENTS_MAX; i++)
        ck_assert(run.outputs[i].forwarded && run.outputs[i].from == i);
    run.put_result = WEIR_NOMEM;
    ck_assert_int_eq(instance_call(&pass, 3), WEIR_NOMEM);
    instance_fini(&pass);
}
END_TEST

/* Which of the payloads fit, as a string of + and -. */
static const char *fitting(const char *const *options, const char *const *payloads)
{
    static char fits[EVENTS_MAX];
    struct instance filter;
    size_t count = 0;
    for (; payloads[count]; count++)
        run.events[count] = (weir_event){.payload = view_of(payloads[count])};
    ck_assert_msg(instance_init(&filter, &function_filter, options) == WEIR_OK, "%s", run.refused);
    ck_assert_int_eq(instance_call(&filter, count), WEIR_OK);
    memset(fits, '-', count);
    fits[count] = '\0';
    for (size_t i = 0; i < run.output_count; i++) {
        ck_assert(run.outputs[i].forwarded && fits[run.outputs[i].from] == '-');
        fits[run.outputs[i].from] = '+';
    }
    ck_assert_uint_eq(run.fail_count, 0);
    instance_fini(&filter);
    return fits;
}

START_TEST(test_filter_compares)
{
    static const char *const payloads[] = {"{\"v\":5}",
                                           "{\"v\":5.0}",
                                           "{\"v\":\"5\"}",
                                           "{\"v\":4.99}",
                                           "{\"v\":-7e1}",
                                           "{\"v\":\"text\"}",
                                           "{\"v\":true}",
                                           "{\"v\":null}",
                                           "{\"v\":[5]}",
                                           "{\"v\":\"\"}",
                                           "{}",
                                           "[]",
                                           "nonsense",
                                           "",
                                           NULL};
    static const struct {
        const char *options[9], *fits;
    } cases[] = {
        {{"equals", "5"}, "+++-----------"},
        {{"equals", "5e0"}, "+++-----------"},
        {{"equals", "text"}, "-----+--------"},
        {{"equals", "true"}, "------+-------"},
        {{"equals", "null"}, "-------+------"},
        {{"equals", ""}, "---------+----"},
        {{"equals", "[5]"}, "--------+-----"},
        {{"not_equals", "5"}, "---+++++++----"},
        {{"not_equals", "text"}, "+++++-++++----"},
        {{"above", "4.99"}, "+++-----------"},
        {{"above", "-100"}, "+++++---------"},
        {{"below", "5"}, "---++---------"},
        {{"below", "-70"}, "--------------"},
        {{"above", "0", "below", "5"}, "---+----------"},
        {{"above", "0", "not_equals", "5"}, "---+----------"},
        {{"exists", "true"}, "++++++++++----"},
        {{"exists", "false"}, "----------++--"},
        {{"exists", "true", "below", "0"}, "----+---------"},
        {{"equals", "5", "above", "6"}, "--------------"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *options[12] = {"field", "payload.v"};
        memcpy(options + 2, cases[i].options, sizeof cases[i].options);
        run.not_json = 0;
        ck_assert_str_eq(fitting(options, payloads), cases[i].fits);
        ck_assert_int_eq(run.not_json, 2);
    }
}
END_TEST

START_TEST(test_filter_takes_any_field)
{
    static const char *const by_key[] = {"field", "key", "equals", "k2", NULL};
    static const char *const by_position[] = {"field", "position", "above", "1", NULL};
    static const char *const by_topic[] = {"field", "topic[1]", "exists", "true", NULL};
    const char *const *const tables[] = {by_key, by_position, by_topic};
    for (size_t i = 0; i < 3; i++) {
        struct instance filter;
        run.events[0] = (weir_event){.key = view_of("k1"), .position = 1, .subject = view_of("a")};
        run.events[1] = (weir_event){.key = view_of("k2"), .position = 2, .subject = view_of("a/b")};
        run.events[2] = (weir_event){.position = 0};
        ck_assert_int_eq(instance_init(&filter, &function_filter, tables[i]), WEIR_OK);
        ck_assert_int_eq(instance_call(&filter, 3), WEIR_OK);
        ck_assert_uint_eq(run.output_count, 1);
        ck_assert_uint_eq(run.outputs[0].from, 1);
        instance_fini(&filter);
    }
    ck_assert_int_eq(run.not_json, 0);
}
END_TEST

START_TEST(test_filter_numbers_agree_with_a_model)
{
    struct random random;
    random_init(&random, testing_seed());
    for (int round = 0; round < 300; round++) {
        char texts[EVENTS_MAX][40], low_text[24], high_text[24];
        double values[EVENTS_MAX], low = (double)random_below(&random, 200) - 100,
                                   high = low + 1 + (double)random_below(&random, 50);
        const char *payloads[EVENTS_MAX + 1] = {NULL}, *options[] = {"field", "payload.v", "above", low_text,
                                                                     "below", high_text,   NULL};
        size_t count = random_below(&random, EVENTS_MAX);
        snprintf(low_text, sizeof low_text, "%g", low);
        snprintf(high_text, sizeof high_text, "%g", high);
        for (size_t i = 0; i < count; i++) {
            values[i] = (double)random_below(&random, 2000) / 8 - 125;
            snprintf(texts[i], sizeof texts[i], "{\"x\":[1],\"v\":%.3f}", values[i]);
            payloads[i] = texts[i];
        }
        const char *fits = fitting(options, payloads);
        for (size_t i = 0; i < count; i++)
            ck_assert_int_eq(fits[i] == '+', values[i] > low && values[i] < high);
    }
}
END_TEST

START_TEST(test_filter_refuses_what_cannot_work)
{
    static const struct {
        const char *options[7], *refused;
    } cases[] = {
        {{"field", "payload.v"}, "field: nothing to compare with"},
        {{"field", "payload.v", "above", "ten"}, "above: expected a number"},
        {{"field", "payload.v", "below", ""}, "below: expected a number"},
        {{"field", "payload.v", "above", "5", "below", "5"}, "above: no number is above 5 and below 5"},
        {{"field", "payload.v", "exists", "false", "equals", "1"}, "exists: "},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct instance filter;
        ck_assert_int_eq(instance_init(&filter, &function_filter, cases[i].options), WEIR_INVALID);
        ck_assert_msg(strncmp(run.refused, cases[i].refused, strlen(cases[i].refused)) == 0, "%s", run.refused);
        instance_fini(&filter);
    }
}
END_TEST

START_TEST(test_filter_says_when_results_do_not_fit)
{
    static const char *const options[] = {"field", "key", "exists", "true", NULL};
    struct instance filter;
    ck_assert_int_eq(instance_init(&filter, &function_filter, options), WEIR_OK);
    run.events[0] = (weir_event){.key = view_of("k")};
    run.put_result = WEIR_NOMEM;
    ck_assert_int_eq(instance_call(&filter, 1), WEIR_NOMEM);
    instance_fini(&filter);
}
END_TEST

static const char *const count_keys[] = {"a", "b", "q\"\n", "", "\xff", "d0042"};

static void count_check(const struct output *output, uint64_t count)
{
    const weir_event *from = &run.events[output->from];
    cJSON *result = cJSON_ParseWithLength(output->event.payload.data, output->event.payload.size);
    ck_assert_ptr_nonnull(result);
    ck_assert_uint_eq((uint64_t)cJSON_GetObjectItem(result, "count")->valuedouble, count);
    ck_assert_str_eq(cJSON_GetObjectItem(result, "key")->valuestring,
                     view_is(from->key, "\xff") ? "\xef\xbf\xbd" : from->key.data);
    ck_assert(view_equal(output->event.key, from->key) && view_equal(output->event.subject, from->subject));
    ck_assert(!output->forwarded && output->event.time_us == 0 && !output->event.id.data);
    cJSON_Delete(result);
}

START_TEST(test_count_agrees_with_a_model)
{
    static const char *const every_texts[] = {"1", "2", "7"};
    const char *options[] = {"every", every_texts[_i], NULL};
    uint64_t every = strtoull(every_texts[_i], NULL, 10), counts[ARRAY_COUNT(count_keys)] = {0};
    struct random random;
    struct instance count;
    random_init(&random, testing_seed());
    ck_assert_int_eq(instance_init(&count, &function_count, options), WEIR_OK);
    for (int round = 0; round < 50; round++) {
        size_t size = random_below(&random, EVENTS_MAX), keys[EVENTS_MAX], seen = 0;
        for (size_t i = 0; i < size; i++) {
            keys[i] = random_below(&random, ARRAY_COUNT(count_keys));
            run.events[i] =
                (weir_event){.key = view_of(count_keys[keys[i]]), .subject = view_of("s"), .time_us = 5};
        }
        ck_assert_int_eq(instance_call(&count, size), WEIR_OK);
        for (size_t i = 0; i < size; i++) {
            if (++counts[keys[i]] % every)
                continue;
            ck_assert(seen < run.output_count && run.outputs[seen].from == i);
            count_check(&run.outputs[seen++], counts[keys[i]]);
        }
        ck_assert_uint_eq(seen, run.output_count);
    }
    instance_fini(&count);
}
END_TEST

START_TEST(test_count_fails_what_it_cannot_count)
{
    struct instance count;
    ck_assert_int_eq(instance_init(&count, &function_count, NULL), WEIR_OK);
    run.events[0] = (weir_event){.key = view_of(NULL)};
    run.events[1] = (weir_event){.key = view_of("good")};
    run.events[2] = (weir_event){.key = view_of("bad")};
    state_find(2, view_of(""))->value = view_of("not a count");
    ck_assert_int_eq(instance_call(&count, 3), WEIR_OK);
    ck_assert_uint_eq(run.fail_count, 2);
    ck_assert(run.fails[0] == 0 && run.fails[1] == 2);
    ck_assert(run.output_count == 1 && run.outputs[0].from == 1);
    run.put_result = WEIR_NOMEM;
    ck_assert_int_eq(instance_call(&count, 2), WEIR_NOMEM);
    instance_fini(&count);
}
END_TEST

static const weir_function_ops *template_ops(void)
{
    void *module = dlopen(testing_module("template_function"), RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(module != NULL, "%s", dlerror());
    const weir_module_info *info = dlsym(module, "weir_module");
    ck_assert_ptr_nonnull(info);
    ck_assert(info->abi == WEIR_ABI && info->size == sizeof *info && info->functions && info->functions[0]);
    ck_assert_ptr_null(info->functions[1]);
    return info->functions[0];
}

/* The template as the module it is meant to become: changes go on, and every N-th repetition. */
START_TEST(test_the_template_agrees_with_a_model)
{
    static const char *const repeats[] = {"0", "1", "3"}, *const payloads[] = {NULL, "", "x", "y"};
    enum { KEYS = 3, NEVER = 99 };
    const char *options[] = {"repeat", repeats[_i], NULL};
    size_t last[KEYS] = {NEVER, NEVER, NEVER}, same[KEYS] = {0}, repeat = strtoul(repeats[_i], NULL, 10);
    struct random random;
    struct instance changes;
    random_init(&random, testing_seed());
    ck_assert_int_eq(instance_init(&changes, template_ops(), options), WEIR_OK);
    for (int round = 0; round < 50; round++) {
        size_t size = random_below(&random, EVENTS_MAX), keys[EVENTS_MAX], picks[EVENTS_MAX], seen = 0;
        for (size_t i = 0; i < size; i++) {
            keys[i] = random_below(&random, KEYS);
            picks[i] = random_below(&random, ARRAY_COUNT(payloads));
            run.events[i] =
                (weir_event){.key = view_of(count_keys[keys[i]]), .payload = view_of(payloads[picks[i]])};
        }
        ck_assert_int_eq(instance_call(&changes, size), WEIR_OK);
        for (size_t i = 0; i < size; i++) {
            same[keys[i]] = last[keys[i]] == picks[i] ? same[keys[i]] + 1 : 0;
            last[keys[i]] = picks[i];
            if (same[keys[i]] && (!repeat || same[keys[i]] % repeat))
                continue;
            ck_assert(seen < run.output_count && run.outputs[seen].from == i && run.outputs[seen].forwarded);
            seen++;
        }
        ck_assert_uint_eq(seen, run.output_count);
    }
    instance_fini(&changes);
}
END_TEST

START_TEST(test_the_template_fails_what_has_no_key)
{
    struct instance changes;
    ck_assert_int_eq(instance_init(&changes, template_ops(), NULL), WEIR_OK);
    run.events[0] = (weir_event){.payload = view_of("x")};
    run.events[1] = (weir_event){.key = view_of("k")};
    ck_assert_int_eq(instance_call(&changes, 2), WEIR_OK);
    ck_assert(run.fail_count == 1 && run.fails[0] == 0);
    ck_assert(run.output_count == 1 && run.outputs[0].from == 1);
    run.put_result = WEIR_NOMEM;
    run.events[0].key = view_of("other");
    ck_assert_int_eq(instance_call(&changes, 1), WEIR_NOMEM);
    instance_fini(&changes);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("functions");
    TCase *c = tcase_create("functions");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_pass_hands_everything_on);
    tcase_add_test(c, test_filter_compares);
    tcase_add_test(c, test_filter_takes_any_field);
    tcase_add_test(c, test_filter_numbers_agree_with_a_model);
    tcase_add_test(c, test_filter_refuses_what_cannot_work);
    tcase_add_test(c, test_filter_says_when_results_do_not_fit);
    tcase_add_loop_test(c, test_count_agrees_with_a_model, 0, 3);
    tcase_add_test(c, test_count_fails_what_it_cannot_count);
    tcase_add_loop_test(c, test_the_template_agrees_with_a_model, 0, 3);
    tcase_add_test(c, test_the_template_fails_what_has_no_key);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
