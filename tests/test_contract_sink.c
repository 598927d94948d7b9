/* test_contract_sink.c: what weir_plugin.h asks of a sink, of every sink that is shipped. The kit itself watches
 * over what holds at every call: each write and each event is answered once, `stopped` comes once for a stop. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqtt_kit.h"

enum { QUIET_MS = 30, WRITES = 40 };

struct subject {
    const char *name, *type;
    bool (*prepare)(char *options, size_t size); /* false: what it takes is not here, the test is skipped */
};

static bool plain_prepare(char *options, size_t size)
{
    snprintf(options, size, "{}");
    return true;
}

static bool file_prepare(char *options, size_t size)
{
    snprintf(options, size, "{ path: \"%s\" }", testing_path(testing_folder(), "{{key}}.txt"));
    return true;
}

static bool console_prepare(char *options, size_t size)
{
    int fd = open(testing_path(testing_folder(), "out"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(dup2(fd, STDOUT_FILENO), 0);
    close(fd);
    return plain_prepare(options, size);
}

static bool mqtt_prepare(char *options, size_t size)
{
    struct broker *broker = broker_start(&(struct broker_options){0});
    if (broker)
        snprintf(options, size, "{ url: \"%s\", topic: \"t/{{key}}\", client_id: contract }", broker_url(broker));
    return broker != NULL;
}

static const struct subject subjects[] = {
    {"drop", "drop", plain_prepare},
    {"file", "file", file_prepare},
    {"console", "console", console_prepare},
    {"mqtt", "mqtt", mqtt_prepare},
    {"the template", "template_sink", file_prepare},
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

static struct plug *subject_new(int number)
{
    char options[1000];
    const struct subject *subject = &subjects[number];
    if (!subject->prepare(options, sizeof options))
        return NULL;
    struct plug *plug = plug_new(PLUG_SINK, type_of(subject), "%s", options);
    ck_assert_msg(plug != NULL, "%s: %s", subject->name, plug_refusal());
    return plug;
}

static size_t writes_max(const struct plug *plug)
{
    return plug->sink->writes_max ? plug->sink->writes_max : 1;
}

/* Writes `count` events whose payloads have up to bytes_max bytes of every value; the memory goes with the answer.
 */
static struct plug_write *write_events(struct plug *plug, size_t count, size_t bytes_max)
{
    static uint64_t made;
    weir_event *events = calloc(1, count * (sizeof *events + bytes_max + 2));
    ck_assert_ptr_nonnull(events);
    char *bytes = (char *)(events + count);
    for (size_t i = 0; i < count; i++, bytes += bytes_max + 2) {
        size_t size = bytes_max ? made * 31 % (bytes_max + 1) : 0;
        for (size_t j = 0; j < size; j++)
            bytes[j] = (char)(made + j);
        bytes[bytes_max] = (char)('a' + made % 3);
        events[i] = (weir_event){.payload = {bytes, size}, .key = {bytes + bytes_max, 1}, .position = ++made};
    }
    return plug_send_owned(plug, events, events, count);
}

static void ck_taken(const struct plug_write *write)
{
    ck_assert_msg(write->result == WEIR_OK, "%d: %s", write->result, write->reason);
    for (size_t i = 0; i < write->write.batch.count; i++)
        ck_assert_msg(write->results[i] <= WEIR_OK, "event %zu: %d %s", i, write->results[i], write->reasons[i]);
}

START_TEST(test_each_write_is_answered)
{
    static const struct {
        size_t count, bytes;
    } sizes[] = {{1, 10}, {3, 0}, {1000, 100}, {1, 300000}, {2000, 5}};
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct plug_write *write = write_events(plug, sizes[i].count, sizes[i].bytes);
        ck_assert_msg(plug_until(plug, plug_has_answers, i + 1), "%s", plug->log ? plug->log : "");
        ck_taken(write);
        free(write);
    }
    plug_free(plug);
}
END_TEST

START_TEST(test_as_many_writes_as_it_says_are_open_at_once)
{
    struct plug_write *writes[WRITES];
    struct plug *plug = subject_new(_i);
    size_t sent = 0;
    if (!plug)
        return;
    plug_start(plug);
    while (sent < WRITES) {
        ck_assert(
            plug_until(plug, plug_has_answers, sent + 1 > writes_max(plug) ? sent + 1 - writes_max(plug) : 0));
        writes[sent] = write_events(plug, 1 + sent % 7, 50);
        sent++;
    }
    ck_assert(plug_until(plug, plug_has_answers, WRITES));
    plug_run(plug, QUIET_MS);
    for (size_t i = 0; i < WRITES; i++) {
        ck_taken(writes[i]);
        if (plug->sink->flags & WEIR_SINK_ORDERED) /* all are of one lane */
            ck_assert_uint_eq(writes[i]->order, i + 1);
        free(writes[i]);
    }
    plug_free(plug);
}
END_TEST

START_TEST(test_an_event_without_payload)
{
    weir_event event = {.key = {"a", 1}, .position = 1};
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    struct plug_write *write = plug_send(plug, &event, 1);
    ck_assert(plug_until(plug, plug_has_answers, 1));
    ck_taken(write);
    free(write);
    plug_free(plug);
}
END_TEST

START_TEST(test_stop_is_idempotent)
{
    struct plug *plug = subject_new(_i);
    if (!plug)
        return;
    plug_start(plug);
    struct plug_write *write = write_events(plug, 1, 10);
    ck_assert(plug_until(plug, plug_has_answers, 1));
    plug_stop(plug);
    plug_stop(plug);
    plug_run(plug, QUIET_MS);
    plug_free(plug);
    free(write);
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
    size_t rows = plug_refuses_rows(PLUG_SINK, type_of(&subjects[_i]));
    ck_assert(rows > 0 || subjects[_i].prepare == plain_prepare);
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
    Suite *suite = suite_create("contract of a sink");
    every_subject(suite, "answers", test_each_write_is_answered);
    every_subject(suite, "writes", test_as_many_writes_as_it_says_are_open_at_once);
    every_subject(suite, "absent", test_an_event_without_payload);
    every_subject(suite, "stop", test_stop_is_idempotent);
    every_subject(suite, "stop at once", test_stop_right_after_start);
    every_subject(suite, "no start", test_it_ends_without_a_start);
    every_subject(suite, "options", test_every_option_refuses_what_it_cannot_take);
    return testing_run(suite);
}
