/* test_field.c: every FIELD of an event, what is missing, and what is not JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "field.h"
#include "testing.h"

static struct arena scratch;
static weir_header headers[] = {
    {{"trace", 5}, {"one", 3}}, {{"trace", 5}, {"two", 3}}, {{"none", 4}, {NULL, 0}}, {{"", 0}, {"x", 1}}};
static weir_event event;
static weir_batch batch;

static void setup(void)
{
    arena_init(&scratch, 0);
    event = (weir_event){
        .key = view_of("d1"),
        .subject = view_of("site/7//temp"),
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .time_us = INT64_C(1795488010123456),
        .position = 42,
        .payload = view_of(
            "{\"a\":{\"b\":[1,\"two\",{\"c\":null}]},\"t\":21.50,\"s\":\"q\\\"\\u00e4\",\"o\":{\"x\": 1}}")};
    batch = (weir_batch){.size = sizeof batch,
                         .events = &event,
                         .count = 1,
                         .source = view_of("meters"),
                         .shard = view_of("journal"),
                         .id_prefix = view_of("00ff/journal")};
}

static void teardown(void)
{
    arena_fini(&scratch);
}

static weir_field *parsed(const char *text)
{
    struct error error = {.text = ""};
    weir_field *field = NULL;
    ck_assert_msg(field_parse(text, &field, &error) == WEIR_OK, "%s: %s", text, error.text);
    return field;
}

static int reading(const char *text, weir_view *value)
{
    weir_field *field = parsed(text);
    int result = field_read(field, &batch, 0, &scratch, value);
    field_free(field);
    return result;
}

START_TEST(test_every_field)
{
    static const struct {
        const char *field, *value; /* value NULL: missing */
    } cases[] = {
        {"id", "00ff/journal/42"},
        {"key", "d1"},
        {"subject", "site/7//temp"},
        {"source", "meters"},
        {"shard", "journal"},
        {"position", "42"},
        {"time", "2026-11-24T02:40:10.123456Z"},
        {"headers.trace", "one"},
        {"headers.Trace", NULL},
        {"headers.none", NULL},
        {"headers.tra", NULL},
        {"topic[0]", "site"},
        {"topic[1]", "7"},
        {"topic[2]", ""},
        {"topic[3]", "temp"},
        {"topic[4]", NULL},
        {"payload.a.b[0]", "1"},
        {"payload.a.b[1]", "two"},
        {"payload.a.b[2].c", "null"},
        {"payload.a.b[3]", NULL},
        {"payload.t", "21.50"},
        {"payload.s", "q\"\xc3\xa4"},
        {"payload.o", "{\"x\": 1}"},
        {"payload.a.x", NULL},
        {"payload[0]", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        weir_view value = {0};
        int result = reading(cases[i].field, &value);
        ck_assert_msg(result == (cases[i].value ? WEIR_OK : WEIR_MISSING), "%s: %d", cases[i].field, result);
        ck_assert_msg(result || view_is(value, cases[i].value), "%s: %.*s", cases[i].field, (int)value.size,
                      value.data);
    }
}
END_TEST

START_TEST(test_an_empty_event_has_only_its_place_and_time)
{
    static const char *const missing[] = {"key", "subject", "payload", "headers.trace", "topic[0]"};
    weir_view value;
    event = (weir_event){.position = 7};
    for (size_t i = 0; i < ARRAY_COUNT(missing); i++)
        ck_assert_int_eq(reading(missing[i], &value), WEIR_MISSING);
    ck_assert_int_eq(reading("payload.a", &value), WEIR_INVALID);
    ck_assert_int_eq(reading("time", &value), WEIR_OK);
    ck_assert(view_is(value, "1970-01-01T00:00:00.000000Z"));
    event.payload = event.subject = event.key = view_of("");
    ck_assert(reading("payload", &value) == WEIR_OK && value.data && value.size == 0);
    ck_assert(reading("key", &value) == WEIR_OK && value.size == 0);
    ck_assert(reading("topic[0]", &value) == WEIR_OK && value.size == 0);
    ck_assert_int_eq(reading("topic[1]", &value), WEIR_MISSING);
    ck_assert_int_eq(reading("payload.a", &value), WEIR_INVALID);
}
END_TEST

START_TEST(test_a_payload_that_is_not_json_is_invalid)
{
    static const char *const bad[] = {"text",    "{\"a\"", "{\"a\":tru}", "{\"a\":\"\\q\"}", "{\"a\":\"\xff\"}",
                                      "<a>1</a>"};
    weir_view value;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        event.payload = view_of(bad[i]);
        ck_assert_msg(reading("payload.a", &value) == WEIR_INVALID, "%s", bad[i]);
        ck_assert_int_eq(reading("payload", &value), WEIR_OK);
    }
    event.payload = view_of("7");
    ck_assert_int_eq(reading("payload.a", &value), WEIR_MISSING);
}
END_TEST

/* A level of the subject, against cutting the subject by hand. */
START_TEST(test_levels_agree_with_a_model)
{
    struct random random;
    random_init(&random, 1);
    for (int round = 0; round < 2000; round++) {
        char subject[40], name[20];
        size_t size = random_below(&random, sizeof subject), level = random_below(&random, 6);
        for (size_t i = 0; i < size; i++)
            subject[i] = random_below(&random, 4) ? 'x' : '/';
        size_t from = 0, to, left = level;
        while (from < size && left)
            left -= subject[from++] == '/';
        for (to = from; to < size && subject[to] != '/';)
            to++;
        event.subject = view_make(subject, size);
        weir_view value;
        snprintf(name, sizeof name, "topic[%zu]", level);
        int result = reading(name, &value);
        ck_assert_int_eq(result, left ? WEIR_MISSING : WEIR_OK);
        ck_assert(left || view_equal(value, view_make(subject + from, to - from)));
    }
}
END_TEST

START_TEST(test_what_is_no_field_says_what_is_one)
{
    static const char *const bad[] = {"",
                                      "Key",
                                      "keys",
                                      " key",
                                      "headers",
                                      "headers.",
                                      "topic",
                                      "topic[",
                                      "topic[]",
                                      "topic[-1]",
                                      "topic[1]x",
                                      "topic[1000]",
                                      "topic[99999999999999999999]",
                                      "payload.",
                                      "payload[",
                                      "payload[]",
                                      "payload.a..b",
                                      "payload.a[x]",
                                      "payloads",
                                      "payload a",
                                      "value"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        weir_field *field = NULL;
        struct error error;
        ck_assert_msg(field_parse(bad[i], &field, &error) == WEIR_INVALID, "%s", bad[i]);
        ck_assert_ptr_null(field);
        ck_assert_ptr_nonnull(strstr(error.text, bad[i]));
        ck_assert_ptr_nonnull(strstr(error.text, "headers.NAME, topic[N], payload"));
    }
    field_free(NULL);
}
END_TEST

START_TEST(test_raw_json)
{
    weir_field *json = parsed("payload.s"), *plain = parsed("payload");
    weir_view raw;
    ck_assert(field_is_json(json) && !field_is_json(plain));
    ck_assert_int_eq(field_read_json(json, &batch, 0, &raw), WEIR_OK);
    ck_assert(view_is(raw, "\"q\\\"\\u00e4\""));
    ck_assert_int_eq(field_read_json(plain, &batch, 0, &raw), WEIR_MISSING);
    event.payload = view_of("[");
    ck_assert_int_eq(field_read_json(json, &batch, 0, &raw), WEIR_INVALID);
    field_free(json);
    field_free(plain);
}
END_TEST

START_TEST(test_no_scratch_is_said)
{
    static const char *const needy[] = {"id", "position", "time", "payload.s"};
    struct arena none;
    arena_init(&none, 1);
    for (size_t i = 0; i < ARRAY_COUNT(needy); i++) {
        weir_field *field = parsed(needy[i]);
        weir_view value;
        ck_assert_int_eq(field_read(field, &batch, 0, &none, &value), WEIR_NOMEM);
        field_free(field);
    }
    arena_fini(&none);
}
END_TEST

/* For every size of the buffer: what fits, ended by NUL, and the whole length. */
START_TEST(test_ids)
{
    char id[64];
    for (size_t size = 0; size < sizeof id; size++) {
        for (int own = 0; own < 2; own++) {
            const char *whole = own ? "my own id" : "00ff/journal/18446744073709551615";
            event.id = own ? view_of(whole) : view_of(NULL);
            event.position = UINT64_MAX;
            memset(id, '#', sizeof id);
            ck_assert_uint_eq(event_id_write(&batch, 0, id, size), strlen(whole));
            if (size)
                ck_assert(strlen(id) == size_min(size - 1, strlen(whole)) && memcmp(id, whole, strlen(id)) == 0);
            ck_assert_int_eq(id[size], '#');
        }
    }
    event.id = view_of("");
    ck_assert_uint_eq(event_id_write(&batch, 0, id, sizeof id), 0);
    event.id = view_of(NULL);
    event.position = 1;
    batch.id_less = 1;
    ck_assert_uint_eq(event_id_write(&batch, 0, id, sizeof id), strlen("00ff/journal/0"));
    ck_assert_str_eq(id, "00ff/journal/0");
    weir_view shown;
    ck_assert_int_eq(reading("position", &shown), WEIR_OK);
    ck_assert(view_is(shown, "0"));
    event.position = UINT64_MAX;
    batch.id_less = 0;
    weir_view value;
    char prefix[2000];
    memset(prefix, 'p', sizeof prefix);
    event.id = view_of(NULL);
    batch.id_prefix = view_make(prefix, sizeof prefix);
    ck_assert_int_eq(reading("id", &value), WEIR_OK);
    ck_assert_uint_eq(value.size, sizeof prefix + 21);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("field");
    TCase *c = tcase_create("field");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_every_field);
    tcase_add_test(c, test_an_empty_event_has_only_its_place_and_time);
    tcase_add_test(c, test_a_payload_that_is_not_json_is_invalid);
    tcase_add_test(c, test_levels_agree_with_a_model);
    tcase_add_test(c, test_what_is_no_field_says_what_is_one);
    tcase_add_test(c, test_raw_json);
    tcase_add_test(c, test_no_scratch_is_said);
    tcase_add_test(c, test_ids);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
