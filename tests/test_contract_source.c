/* test_contract_source.c: what weir_plugin.h asks of a source, of every source that is shipped.
 *
 * A subject is a kind with options by which it has so many events to give, whose payloads end in 1, 2, ... The kit
 * itself watches over what holds at every call: no emit beyond the credit, rising positions, one `stopped` for a
 * stop. */
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafka_kit.h"
#include "mqtt_kit.h"

enum { EVENTS = 2000, TICKS = 300, QUIET_MS = 60 };

struct subject {
    const char *name, *type;
    size_t events;
    /* Writes the options, and has the events made; false: what it takes is not here, the test is skipped. */
    bool (*prepare)(char *options, size_t size);
    bool ends;  /* when all its events were given */
    bool again; /* after an emit that failed, its peer gives some events once more */
};

static bool generate_prepare(char *options, size_t size)
{
    snprintf(options, size, "{ payload: 'event {{seq}}', keys: 3, count: %d }", EVENTS);
    return true;
}

/* The payloads of all events have a newline between them. */
static char *lines_make(size_t *size)
{
    char *text = malloc(EVENTS * 16), *end = text;
    ck_assert_ptr_nonnull(text);
    for (int i = 1; i <= EVENTS; i++)
        end += snprintf(end, 16, "event %d\n", i);
    *size = (size_t)(end - text);
    return text;
}

static bool stdin_file_prepare(char *options, size_t size)
{
    size_t length;
    char *text = lines_make(&length);
    const char *path = testing_path(testing_folder(), "input");
    testing_write(path, text);
    free(text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(dup2(fd, STDIN_FILENO), 0);
    close(fd);
    snprintf(options, size, "{}");
    return true;
}

static bool stdin_pipe_prepare(char *options, size_t size)
{
    size_t length;
    char *text = lines_make(&length);
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, (int)length), (int)length);
    ck_assert_int_eq(write(ends[1], text, length), (ssize_t)length);
    ck_assert_int_ge(dup2(ends[0], STDIN_FILENO), 0);
    close(ends[0]);
    close(ends[1]);
    free(text);
    snprintf(options, size, "{}");
    return true;
}

/* A session with the events waiting in it. */
static bool mqtt_prepare(char *options, size_t size)
{
    /* It is not killed here, so it need not save each change. */
    struct broker *broker = broker_start(&(struct broker_options){.more = "autosave_on_changes false\n"});
    if (!broker)
        return false;
    snprintf(options, size, "{ url: \"%s\", topics: [ t ], client_id: contract }", broker_url(broker));
    struct plug *plug = plug_new(PLUG_SOURCE, "mqtt", "%s", options);
    ck_assert_msg(plug != NULL, "%s", plug_refusal());
    plug_start(plug);
    ck_assert(plug_until(plug, plug_is_subscribed, 1));
    plug_free(plug);
    struct peer *peer = peer_new(broker, NULL);
    peer_many_from(peer, "t", 1, EVENTS);
    peer_free(peer);
    return true;
}

static bool kafka_prepare(char *options, size_t size)
{
    const char *brokers;
    rd_kafka_mock_topic_create(kafka_mock(1, &brokers), "t", 1, 1);
    struct kafka_record *records = calloc(EVENTS, sizeof *records);
    char *values = lines_make(&(size_t){0});
    ck_assert_ptr_nonnull(records);
    for (int i = 0; i < EVENTS; i++)
        records[i] = (struct kafka_record){.value = strsep(&values, "\n")};
    kafka_put(brokers, "t", records, EVENTS);
    free((char *)(uintptr_t)records[0].value);
    free(records);
    snprintf(options, size, "{ brokers: \"%s\", topics: t, until: end }", brokers);
    return true;
}

static bool template_prepare(char *options, size_t size)
{
    snprintf(options, size, "{ every: 1ms, count: %d }", TICKS);
    return true;
}

static const struct subject subjects[] = {
    {"generate", "generate", EVENTS, generate_prepare, true, false},
    {"stdin, a file", "stdin", EVENTS, stdin_file_prepare, true, false},
    {"stdin, a pipe", "stdin", EVENTS, stdin_pipe_prepare, true, false},
    {"mqtt", "mqtt", EVENTS, mqtt_prepare, false, true},
    {"kafka", "kafka", EVENTS, kafka_prepare, true, false},
    {"the template", "template_source", TICKS, template_prepare, true, false},
};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static const char *type_of(const struct subject *subject)
{
    static char path[4096];
    if (strncmp(subject->type, "template", 8) != 0)
        return subject->type;
    snprintf(path, sizeof path, "%s", testing_module(subject->type));
    return path;
}

/* NULL: skipped. */
static struct plug *subject_new(int number)
{
    char options[1000];
    const struct subject *subject = &subjects[number];
    if (!subject->prepare(options, sizeof options))
        return NULL;
    struct plug *plug = plug_new(PLUG_SOURCE, type_of(subject), "%s", options);
    ck_assert_msg(plug != NULL, "%s: %s", subject->name, plug_refusal());
    return plug;
}

static size_t number_of(const struct plug_event *event)
{
    const char *space = strrchr(event->payload, ' ');
    return strtoul(space ? space + 1 : event->payload, NULL, 10);
}

static void ck_all_came(const struct plug *plug, size_t events)
{
    ck_assert_uint_eq(plug->event_count, events);
    for (size_t i = 0; i < events; i++)
        ck_assert_uint_eq(number_of(&plug->events[i]), i + 1);
}

/* Gives it little credit again and again until all events came. */
static void drain(struct plug *plug, size_t all, size_t bytes)
{
    for (int round = 0; plug->event_count < all; round++) {
        size_t before = plug->event_count;
        plug_want(plug, 1000, bytes);
        ck_assert_msg(plug_until(plug, plug_has_events, before + 1), "nothing came after event %zu", before);
        ck_assert_uint_lt((size_t)round, 2 * all);
    }
}

START_TEST(test_nothing_comes_without_credit)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start_dry(plug);
    plug_run(plug, QUIET_MS);
    ck_assert_uint_eq(plug->event_count, 0);
    plug_want(plug, 5, 1 << 20);
    ck_assert(plug_until(plug, plug_has_events, 5));
    plug_run(plug, QUIET_MS);
    ck_assert_uint_eq(plug->event_count, 5);
    plug_want(plug, 100, 1 << 20);
    ck_assert(plug_until(plug, plug_has_events, 6));
    plug_want(plug, 0, 0);
    size_t count = plug->event_count;
    plug_run(plug, QUIET_MS);
    ck_assert_uint_eq(plug->event_count, count);
    plug_free(plug);
}
END_TEST

static bool has_ended(struct plug *plug, size_t number)
{
    (void)number;
    return plug->ended;
}

START_TEST(test_all_come_in_order)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, subjects[_i].events));
    if (subjects[_i].ends)
        ck_assert(plug_until(plug, has_ended, 0));
    plug_run(plug, QUIET_MS);
    ck_all_came(plug, subjects[_i].events);
    ck_assert_int_eq(plug->ended, subjects[_i].ends);
    plug_free(plug);
}
END_TEST

START_TEST(test_all_come_by_a_few_bytes_at_a_time)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start_dry(plug);
    drain(plug, subjects[_i].events, 25);
    plug_run(plug, QUIET_MS);
    ck_all_came(plug, subjects[_i].events);
    plug_free(plug);
}
END_TEST

/* Whatever came more than once. */
static bool all_came(struct plug *plug, size_t events)
{
    static bool came[EVENTS + 1];
    static size_t seen, different;
    for (; seen < plug->event_count; seen++) {
        size_t which = number_of(&plug->events[seen]);
        ck_assert_uint_le(which, events);
        different += !came[which];
        came[which] = true;
    }
    return different == events;
}

START_TEST(test_an_emit_that_fails_is_tried_again)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 100));
    plug->emit_result = WEIR_NOMEM;
    plug_run(plug, QUIET_MS);
    plug->emit_result = WEIR_OK;
    plug_want(plug, 2 * EVENTS, SIZE_MAX / 2);
    ck_assert(plug_until(plug, all_came, subjects[_i].events));
    if (!subjects[_i].again)
        ck_all_came(plug, subjects[_i].events);
    plug_free(plug);
}
END_TEST

/* The kit compares what was lent with its copy when it gives it back, on another thread. */
START_TEST(test_lent_blocks_stay_as_they_are)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug->holds = true;
    plug_start_dry(plug);
    size_t quarter = subjects[_i].events / 4;
    for (size_t part = 1; part <= 4; part++) {
        plug_want(plug, quarter, SIZE_MAX / 2);
        ck_assert(plug_until(plug, plug_has_events, part * quarter));
        plug_release(plug);
    }
    ck_all_came(plug, subjects[_i].events);
    plug_want(plug, 1, 1);
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_with_lent_and_unsettled_blocks)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug->holds = true;
    plug->settles = false;
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 1));
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_is_idempotent)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    ck_assert(plug_until(plug, plug_has_events, 1));
    plug_stop(plug);
    size_t count = plug->event_count;
    plug_stop(plug);
    plug_want(plug, 0, 0);
    plug_run(plug, QUIET_MS);
    ck_assert_uint_eq(plug->event_count, count);
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_right_after_start)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    plug_free(plug);
}
END_TEST

START_TEST(test_it_ends_without_a_start)
{
    struct plug *plug = subject_new(_i);
    if (plug)
        plug_free(plug);
}
END_TEST

START_TEST(test_every_option_refuses_what_it_cannot_take)
{
    size_t rows = plug_refuses_rows(PLUG_SOURCE, type_of(&subjects[_i]));
    ck_assert(rows > 0 || strcmp(subjects[_i].type, "stdin") == 0);
}
END_TEST

static void every_subject(Suite *suite, const char *name, const TTest *test)
{
    TCase *tcase = tcase_create(name);
    tcase_add_loop_test(tcase, test, 0, SUBJECTS);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("contract of a source");
    every_subject(suite, "credit", test_nothing_comes_without_credit);
    every_subject(suite, "order", test_all_come_in_order);
    every_subject(suite, "bytes", test_all_come_by_a_few_bytes_at_a_time);
    every_subject(suite, "failed emit", test_an_emit_that_fails_is_tried_again);
    every_subject(suite, "lent", test_lent_blocks_stay_as_they_are);
    every_subject(suite, "unsettled", test_stop_with_lent_and_unsettled_blocks);
    every_subject(suite, "stop", test_stop_is_idempotent);
    every_subject(suite, "stop at once", test_stop_right_after_start);
    every_subject(suite, "no start", test_it_ends_without_a_start);
    every_subject(suite, "options", test_every_option_refuses_what_it_cannot_take);
    return testing_run(suite);
}
