/* test_embed.c: weir inside this program: by calls and by text, two at once, on the host's own loop, and when it
 * ends badly: the program goes on.
 *
 * The calls by which LMDB and files are synchronised are taken over here, so that a commit can be made to fail. */
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "testing.h"
#include "weir_embed.h"
#include "weir_plugin.h"

static atomic_bool broken_disk;
#define SHOWN __attribute__((visibility("default")))
SHOWN int fdatasync(int fd);

int fdatasync(int fd)
{
    if (!atomic_load(&broken_disk))
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

/* A weir with a store and a file of its own, and what its function saw. */
struct inside {
    weir *w;
    const char *folder;
    atomic_long events;
    atomic_bool late; /* the stop deadline passed */
    atomic_bool hold; /* calls wait until it is false */
    char log[65536];
    size_t log_size;
    atomic_int accepted, refused, closed, wrong_thread;
    pthread_t loop;
    int ended_count, ended_result;
    weir_settings settings;
};

static void inside_log(void *arg, int level, const char *part, const char *message)
{
    struct inside *in = arg;
    size_t room = sizeof in->log - in->log_size;
    int size = snprintf(in->log + in->log_size, room, "%d %s: %s\n", level, part, message);
    in->log_size += (size_t)size < room ? (size_t)size : 0;
    if (strstr(message, "deadline passed"))
        atomic_store(&in->late, true);
}

static int inside_call(void *user, const weir_batch *batch, weir_out *out)
{
    struct inside *in = user;
    while (atomic_load(&in->hold))
        sched_yield();
    for (size_t i = 0; i < batch->count; i++) {
        atomic_fetch_add(&in->events, 1);
        weir_out_forward(out, i, NULL);
    }
    return WEIR_OK;
}

static void inside_ended(void *arg, weir_result result)
{
    struct inside *in = arg;
    in->ended_count++;
    in->ended_result = result;
}

static void inside_open(struct inside *in)
{
    memset(in, 0, sizeof *in);
    in->folder = testing_folder();
    in->settings = (weir_settings){.size = sizeof in->settings, .log = inside_log, .arg = in};
}

/* "{ path: FOLDER/NAME ... }" in one of a few buffers */
static const char *options(const struct inside *in, const char *format)
{
    static char texts[4][1024];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], format, in->folder);
    return text;
}

/* Everything but the source `in`. */
static void inside_rest(struct inside *in)
{
    in->w = weir_new(&in->settings);
    ck_assert_ptr_nonnull(in->w);
    ck_assert_int_eq(weir_set(in->w, "store", options(in, "{ path: %s/store }")), WEIR_OK);
    ck_assert_int_eq(weir_set(in->w, "limits", "{ workers: 2, stop: 2s }"), WEIR_OK);
    ck_assert_int_eq(weir_function_callback(in->w, "mine", inside_call, in, 0), WEIR_OK);
    ck_assert_int_eq(weir_sink(in->w, "out", "file", options(in, "path: %s/out.txt")), WEIR_OK);
    ck_assert_int_eq(weir_route(in->w, "{ from: in, call: mine, to: out }"), WEIR_OK);
}

static void inside_push(struct inside *in)
{
    inside_rest(in);
    ck_assert_int_eq(weir_source(in->w, "in", "push", NULL), WEIR_OK);
}

static size_t inside_lines(const struct inside *in)
{
    char *text = testing_read(testing_path(in->folder, "out.txt"));
    size_t lines = 0;
    for (const char *at = text; at && *at; at++)
        lines += *at == '\n';
    free(text);
    return lines;
}

static void *run_main(void *arg)
{
    struct inside *in = arg;
    return (void *)(intptr_t)weir_run(in->w);
}

static pthread_t run_start(struct inside *in)
{
    pthread_t thread;
    ck_assert_int_eq(weir_start(in->w), WEIR_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_main, in), 0);
    return thread;
}

static int run_join(pthread_t thread)
{
    void *result;
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    return (int)(intptr_t)result;
}

static weir_event event_of(const char *text)
{
    return (weir_event){.payload = {text, strlen(text)}, .key = {"k", 1}};
}

static void pushed(void *arg, weir_result result)
{
    struct inside *in = arg;
    atomic_fetch_add(result == WEIR_OK ? &in->accepted : result == WEIR_REJECT ? &in->refused : &in->closed, 1);
}

static bool all_answered(void *arg)
{
    struct inside *in = arg;
    return atomic_load(&in->accepted) + atomic_load(&in->refused) + atomic_load(&in->closed) == 100;
}

/* Configuration by calls and by text. */

START_TEST(test_calls_run)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    ck_assert_int_eq(weir_source(in.w, "in", "generate", "{ count: 300, keys: 7 }"), WEIR_OK);
    ck_assert_msg(weir_run(in.w) == WEIR_OK, "%s", weir_error(in.w));
    ck_assert_str_eq(weir_error(in.w), "");
    ck_assert_int_eq(weir_exit_code(in.w), 0);
    ck_assert_int_eq(in.events, 300);
    ck_assert_uint_eq(inside_lines(&in), 300);
    ck_assert_ptr_nonnull(strstr(in.log, "2 engine: ready: 1 source, 1 route, 1 sink"));
    ck_assert_int_eq(weir_run(in.w), WEIR_CLOSED);
    ck_assert_int_eq(weir_set(in.w, "limits", "{ workers: 1 }"), WEIR_CLOSED);
    weir_free(in.w);
}
END_TEST

START_TEST(test_text_and_calls_mix)
{
    struct inside in;
    inside_open(&in);
    in.w = weir_new(&in.settings);
    ck_assert_int_eq(weir_text(in.w, options(&in, "store: { path: %s/store }\n"
                                                  "sources: { in: { type: generate, count: 10 } }\n")),
                     WEIR_OK);
    testing_write(testing_path(in.folder, "rest.yaml"), "sinks:\n  out: { type: file, path: ./out.txt }\n"
                                                        "routes:\n  - { from: in, call: mine, to: out }\n");
    ck_assert_int_eq(weir_file(in.w, testing_path(in.folder, "rest.yaml")), WEIR_OK);
    ck_assert_int_eq(weir_function_callback(in.w, "mine", inside_call, &in, 0), WEIR_OK);
    ck_assert_msg(weir_run(in.w) == WEIR_OK, "%s", weir_error(in.w));
    ck_assert_uint_eq(inside_lines(&in), 10);
    weir_free(in.w);
}
END_TEST

/* What is wrong is said as for a file, all at once, with a place in the call. */
START_TEST(test_faults_have_a_place)
{
    static const char *const said[] = {
        "<source in>:1:3: sources/in/cuont: unknown key; did you mean count?",
        "<source more>:1:1: sources/more/type: there is no source of type \"generat\"; did you mean generate?",
        "<sink out>:2:7: sinks/out/path: is a mapping",
        "<route 1>:1:28: routes[0]/to: there is no sink \"uot\"; did you mean out?",
        "<section limits>:1:14: limits/workers: \"many\" is not allowed",
    };
    struct inside in;
    inside_open(&in);
    in.w = weir_new(&in.settings);
    weir_set(in.w, "store", options(&in, "{ path: %s/store }"));
    weir_set(in.w, "limits", "{ workers:   many }");
    weir_source(in.w, "in", "generate", "{ cuont: 3 }");
    weir_source(in.w, "more", "generat", NULL);
    weir_sink(in.w, "out", "file", "retry: { attempts: 3 }\npath: {}\n");
    weir_route(in.w, "{ from: [in, more],    to: uot }");
    ck_assert_int_eq(weir_run(in.w), WEIR_INVALID);
    ck_assert_int_eq(weir_exit_code(in.w), 3);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        ck_assert_msg(strstr(weir_error(in.w), said[i]) != NULL, "%s\nis not in\n%s", said[i], weir_error(in.w));
    ck_assert_int_ne(access(testing_path(in.folder, "store"), F_OK), 0);
    weir_free(in.w);
}
END_TEST

struct bad_call {
    const char *name, *type, *text, *said;
};
static const struct bad_call bad_calls[] = {
    {"in", "generate", "{ count: 1", "<source in>:2:1: YAML syntax"},
    {"in", "generate", "{ type: stdin }", "<source in>:1:3: sources/in/type: is given beside the options already"},
    {"in", "generate", "[ count ]", "<source in>:1:1: sources/in: is no mapping; expected { type: KIND, ... }"},
    {"no name", "generate", NULL, "<source no name>:1:1: sources/no name: is no name"},
    {"in", NULL, NULL, "<source in>:1:1: sources/in: `type` is missing"},
    {"in", "generate", "{ count: \"${WEIR_UNSET_FOR_TEST}\" }", "<source in>:1:10: sources/in/count: "},
    {"in", "push", "{ queue: { events: 0 } }", "<source in>:1:20: sources/in/queue/events: "},
};

START_TEST(test_bad_call)
{
    const struct bad_call *bad = &bad_calls[_i];
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    ck_assert_int_eq(weir_source(in.w, bad->name, bad->type, bad->text), WEIR_OK);
    ck_assert_int_eq(weir_run(in.w), WEIR_INVALID);
    ck_assert_msg(strncmp(weir_error(in.w), bad->said, strlen(bad->said)) == 0 ||
                      strstr(weir_error(in.w), bad->said),
                  "%s", weir_error(in.w));
    weir_free(in.w);
}
END_TEST

START_TEST(test_a_name_twice)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    weir_source(in.w, "in", "generate", NULL);
    weir_set(in.w, "limits", "{ workers: 1 }");
    weir_function_callback(in.w, "mine", inside_call, &in, 0);
    ck_assert_int_eq(weir_run(in.w), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(weir_error(in.w), "functions/mine: is there twice"));
    ck_assert_ptr_nonnull(strstr(weir_error(in.w), "sources/in: is there twice"));
    ck_assert_ptr_nonnull(strstr(weir_error(in.w), "<section limits>:1:1: limits: is there twice"));
    weir_free(in.w);
}
END_TEST

START_TEST(test_nothing_configured)
{
    weir *w = weir_new(NULL);
    char *json = "x";
    ck_assert_int_eq(weir_run(w), WEIR_INVALID);
    ck_assert_str_ne(weir_error(w), "");
    ck_assert_int_eq(weir_status(w, &json), WEIR_CLOSED);
    ck_assert_ptr_null(json);
    weir_free(w);
    weir_free(NULL);
    ck_assert_int_eq(weir_run(NULL), WEIR_NOMEM);
    ck_assert_int_eq(weir_source(NULL, "a", "b", NULL), WEIR_NOMEM);
    weir_settings small = {.size = 8};
    ck_assert_ptr_null(weir_new(&small));
}
END_TEST

/* Kinds of the host's own: by a table, with options, state and a self for each worker. */

struct scale {
    int64_t by;
};
static const weir_option scale_rows[] = {{.name = "by",
                                          .type = WEIR_OPTION_INT,
                                          .fallback = "2",
                                          .min = 1,
                                          .max = 9,
                                          .offset = offsetof(struct scale, by),
                                          .help = "How many of each."},
                                         {0}};
static int scale_call(void *self, const weir_batch *in, weir_out *out)
{
    const struct scale *scale = self;
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++)
        for (int64_t j = 0; j < scale->by && result == WEIR_OK; j++)
            result = weir_out_put(out, i, NULL, &in->events[i]);
    return result;
}
static const weir_function_ops scale_ops = {.size = sizeof scale_ops,
                                            .type = "scale",
                                            .summary = "Puts each several times.",
                                            .options = scale_rows,
                                            .state_size = sizeof(struct scale),
                                            .call = scale_call};
static const weir_function_ops *const scale_functions[] = {&scale_ops, NULL};
static const weir_module_info scale_module = {
    .abi = WEIR_ABI, .size = sizeof scale_module, .name = "scale", .version = "1", .functions = scale_functions};

START_TEST(test_kinds_of_the_host)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    ck_assert_int_eq(weir_add(in.w, &scale_module), WEIR_OK);
    weir_source(in.w, "in", "generate", "{ count: 5 }");
    weir_function(in.w, "thrice", "scale", "{ by: 3 }");
    weir_route(in.w, "{ name: second, from: in, call: thrice, to: out }");
    ck_assert_msg(weir_run(in.w) == WEIR_OK, "%s", weir_error(in.w));
    ck_assert_uint_eq(inside_lines(&in), 5 + 15);
    weir_free(in.w);
}
END_TEST

START_TEST(test_kinds_are_checked)
{
    static const weir_function_ops taken_ops = {
        .size = sizeof taken_ops, .type = "pass", .summary = "Is there.", .call = scale_call};
    static const weir_function_ops *const taken[] = {&taken_ops, NULL};
    static const weir_module_info twice = {
        .abi = WEIR_ABI, .size = sizeof twice, .name = "t", .version = "1", .functions = taken};
    static const weir_module_info future = {
        .abi = WEIR_ABI + 1, .size = sizeof future, .name = "f", .version = "1"};
    weir *w = weir_new(NULL);
    ck_assert_int_eq(weir_add(w, &twice), WEIR_INVALID);
    ck_assert_str_eq(weir_error(w), "there is a function of type \"pass\" already; rename yours\n");
    ck_assert_int_eq(weir_add(w, &future), WEIR_INVALID);
    ck_assert_int_eq(weir_function_callback(w, "drop", inside_call, NULL, 1u << 30), WEIR_INVALID);
    ck_assert_int_eq(weir_function_callback(w, "nothing", NULL, NULL, 0), WEIR_INVALID);
    ck_assert_int_eq(weir_run(w), WEIR_INVALID); /* the first that was refused */
    weir_free(w);
}
END_TEST

/* Pushing. */

START_TEST(test_push_is_durable)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    weir_event event = event_of("hello");
    ck_assert_int_eq(weir_push(in.w, "in", &event, pushed, &in), WEIR_CLOSED);
    pthread_t thread = run_start(&in);
    ck_assert_int_eq(weir_push(in.w, "other", &event, pushed, &in), WEIR_MISSING);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(weir_push(in.w, "in", &event, pushed, &in), WEIR_OK);
    ck_assert(testing_wait(all_answered, &in, 10000));
    ck_assert_int_eq(weir_push_end(in.w, "in"), WEIR_OK);
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    ck_assert_int_eq(in.accepted, 100);
    ck_assert_int_eq(weir_push(in.w, "in", &event, pushed, &in), WEIR_CLOSED);
    ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_CLOSED);
    weir_free(in.w);
    ck_assert_uint_eq(inside_lines(&in), 150);
}
END_TEST

static bool is_late(void *arg)
{
    return atomic_load(&((struct inside *)arg)->late);
}

/* What was accepted and not completed when the run ended is completed by the next. */
START_TEST(test_push_outlives_the_run)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    weir_set(in.w, "log", "{ level: debug }");
    pthread_t thread = run_start(&in);
    in.hold = true;
    weir_event event = event_of("kept");
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    weir_stop(in.w);
    ck_assert(testing_wait(is_late, &in, 10000));
    in.hold = false;
    ck_assert_int_eq(run_join(thread), WEIR_FATAL);
    ck_assert_int_eq(in.accepted, 0);
    weir_free(in.w);

    const char *folder = in.folder;
    inside_open(&in);
    in.folder = folder;
    inside_push(&in);
    thread = run_start(&in);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    weir_free(in.w);
    ck_assert_uint_ge(inside_lines(&in), 20);
}
END_TEST

START_TEST(test_push_is_bounded)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    weir_source(in.w, "in", "push", "{ queue: { events: 3, bytes: 100 } }");
    weir_set(in.w, "log", NULL);
    ck_assert_int_eq(weir_start(in.w), WEIR_OK);
    char large[200];
    memset(large, 'x', sizeof large);
    weir_event event = {.payload = {large, 90}}, more = {.payload = {large, 20}}, alone = {.payload = {large, 200}};
    ck_assert_int_eq(weir_push(in.w, "in", &event, pushed, &in), WEIR_OK);
    ck_assert_int_eq(weir_push(in.w, "in", &more, pushed, &in), WEIR_FULL); /* of bytes */
    more.payload.size = 2;
    ck_assert_int_eq(weir_push(in.w, "in", &more, pushed, &in), WEIR_OK);
    ck_assert_int_eq(weir_push(in.w, "in", &more, pushed, &in), WEIR_OK);
    ck_assert_int_eq(weir_push(in.w, "in", &more, pushed, &in), WEIR_FULL); /* of events */
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_main, &in), 0);
    ck_assert_int_eq(weir_push_wait(in.w, "in", &alone), WEIR_OK); /* waits for room */
    ck_assert_int_eq(in.accepted, 3);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    weir_free(in.w);
    ck_assert_uint_eq(inside_lines(&in), 4);
}
END_TEST

START_TEST(test_push_refused)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    weir_set(in.w, "log", "{ level: error }");
    weir_source(in.w, "in", "push", "{ time: { field: payload.at, format: unix_ms } }");
    pthread_t thread = run_start(&in);
    weir_event good = event_of("{\"at\":1700000000000}"), bad = event_of("{}");
    ck_assert_int_eq(weir_push_wait(in.w, "in", &bad), WEIR_REJECT);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(weir_push(in.w, "in", i % 4 ? &good : &bad, pushed, &in), WEIR_OK);
    ck_assert(testing_wait(all_answered, &in, 10000));
    ck_assert_int_eq(in.accepted, 75);
    ck_assert_int_eq(in.refused, 25);
    char *huge = calloc(1, 9u << 20);
    weir_event over = {.payload = {huge, 9u << 20}};
    ck_assert_int_eq(weir_push_wait(in.w, "in", &over), WEIR_REJECT);
    free(huge);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    weir_free(in.w);
    ck_assert_uint_eq(inside_lines(&in), 75);
}
END_TEST

static void pushed_on_loop(void *arg, weir_result result)
{
    struct inside *in = arg;
    weir_event event = event_of("from the loop");
    if (result != WEIR_OK)
        return;
    if (weir_push_wait(in->w, "in", &event) != WEIR_INVALID)
        atomic_fetch_add(&in->wrong_thread, 1);
    if (weir_push(in->w, "in", &event, pushed, in) != WEIR_OK)
        atomic_fetch_add(&in->wrong_thread, 1);
    weir_push_end(in->w, "in");
}

START_TEST(test_push_from_its_callback)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    pthread_t thread = run_start(&in);
    weir_event event = event_of("x");
    ck_assert_int_eq(weir_push(in.w, "in", &event, pushed_on_loop, &in), WEIR_OK);
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    ck_assert_int_eq(in.wrong_thread, 0);
    ck_assert_int_eq(in.accepted, 1);
    weir_free(in.w);
}
END_TEST

/* All parts of an event arrive as they were pushed. */
static int check_event(void *user, const weir_batch *batch, weir_out *out)
{
    struct inside *in = user;
    const weir_event *event = &batch->events[0];
    char id[WEIR_ID_MAX];
    weir_event_id(out, batch, 0, id, sizeof id);
    bool same = event->payload.data == NULL && event->key.size == 2 && memcmp(event->key.data, "ke", 2) == 0 &&
                event->subject.data != NULL && event->subject.size == 0 && strcmp(id, "my-id") == 0 &&
                event->header_count == 2 && memcmp(event->headers[1].name.data, "n2", 2) == 0 &&
                event->headers[0].value.size == 3 && event->headers[1].value.data == NULL && event->time_us == 77;
    atomic_fetch_add(&in->events, same ? 1 : 1000);
    return WEIR_OK;
}

START_TEST(test_push_copies_all)
{
    struct inside in;
    inside_open(&in);
    in.w = weir_new(&in.settings);
    weir_set(in.w, "store", options(&in, "{ path: %s/store }"));
    weir_source(in.w, "in", "push", NULL);
    weir_function_callback(in.w, "check", check_event, &in, 0);
    weir_route(in.w, "{ from: in, call: check }");
    ck_assert_int_eq(weir_start(in.w), WEIR_OK);
    char value[] = "abc";
    weir_header headers[] = {{{"n1", 2}, {value, 3}}, {{"n2", 2}, {NULL, 0}}};
    weir_event event = {.key = {"ke", 2}, .subject = {"", 0}, .id = {"my-id", 5}, .time_us = 77};
    event.headers = headers;
    event.header_count = 2;
    ck_assert_int_eq(weir_push(in.w, "in", &event, NULL, NULL), WEIR_OK);
    memset(value, 0, sizeof value);
    memset(headers, 0, sizeof headers);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(weir_run(in.w), WEIR_OK);
    ck_assert_int_eq(in.events, 1);
    weir_free(in.w);
}
END_TEST

/* Two at once. */

static void *busy_main(void *arg)
{
    struct inside *in = arg;
    weir_event event = event_of("busy");
    for (int i = 0; i < 200; i++) {
        if (weir_push_wait(in->w, "in", &event) != WEIR_OK)
            return (void *)1;
    }
    weir_push_end(in->w, "in");
    return NULL;
}

START_TEST(test_two_in_two_threads)
{
    static struct inside both[2];
    pthread_t runs[2], feeders[2];
    for (int i = 0; i < 2; i++) {
        inside_open(&both[i]);
        inside_push(&both[i]);
        runs[i] = run_start(&both[i]);
        ck_assert_int_eq(pthread_create(&feeders[i], NULL, busy_main, &both[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(run_join(feeders[i]), 0);
        ck_assert_int_eq(run_join(runs[i]), WEIR_OK);
        weir_free(both[i].w);
        ck_assert_int_eq(both[i].events, 200);
        ck_assert_uint_eq(inside_lines(&both[i]), 200);
    }
}
END_TEST

START_TEST(test_one_store_for_one)
{
    static struct inside both[2];
    inside_open(&both[0]);
    inside_push(&both[0]);
    ck_assert_int_eq(weir_start(both[0].w), WEIR_OK);
    inside_open(&both[1]);
    both[1].folder = both[0].folder;
    inside_push(&both[1]);
    ck_assert_int_eq(weir_run(both[1].w), WEIR_LOCKED);
    ck_assert_int_eq(weir_exit_code(both[1].w), 4);
    ck_assert_ptr_nonnull(strstr(weir_error(both[1].w), "is in use by"));
    weir_free(both[1].w);
    weir_free(both[0].w); /* started and never run */
}
END_TEST

/* Stopping and asking. */

START_TEST(test_stop_before_run)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    weir_source(in.w, "in", "generate", "{ rate: 1/s }");
    weir_stop(in.w);
    ck_assert_int_eq(weir_run(in.w), WEIR_OK);
    weir_free(in.w);
}
END_TEST

static bool has_events(void *arg)
{
    return atomic_load(&((struct inside *)arg)->events) > 0;
}

static void metric_visit(void *arg, const char *name, const char *labels, int64_t value)
{
    if (strcmp(name, "weir_source_accepted_events_total") == 0 && strcmp(labels, "source=\"in\"") == 0)
        *(int64_t *)arg = value;
}

START_TEST(test_status_and_stop_from_a_thread)
{
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    weir_source(in.w, "in", "generate", "{ rate: 1000/s }");
    ck_assert_int_eq(weir_start(in.w), WEIR_OK);
    char *json;
    ck_assert_int_eq(weir_status(in.w, &json), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(json, "\"state\":\"new\""));
    free(json);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_main, &in), 0);
    ck_assert(testing_wait(has_events, &in, 10000));
    ck_assert_int_eq(weir_status(in.w, &json), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(json, "\"state\":\"running\""));
    free(json);
    int64_t accepted = 0;
    ck_assert_int_eq(weir_metrics(in.w, metric_visit, &accepted), WEIR_OK);
    ck_assert_int_gt(accepted, 0);
    weir_stop(in.w);
    weir_stop(in.w);
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    ck_assert_int_eq(weir_status(in.w, &json), WEIR_CLOSED);
    weir_free(in.w);
}
END_TEST

/* A thread that asks while the run ends is answered one way or the other. */
static void *ask_main(void *arg)
{
    struct inside *in = arg;
    char *json;
    int result;
    while ((result = weir_status(in->w, &json)) == WEIR_OK)
        free(json);
    return (void *)(intptr_t)result;
}

START_TEST(test_status_while_it_ends)
{
    for (int i = 0; i < 10; i++) {
        struct inside in;
        inside_open(&in);
        inside_rest(&in);
        weir_source(in.w, "in", "generate", "{ count: 100 }");
        pthread_t asking, thread = run_start(&in);
        ck_assert_int_eq(pthread_create(&asking, NULL, ask_main, &in), 0);
        ck_assert_int_eq(run_join(thread), WEIR_OK);
        ck_assert_int_eq(run_join(asking), WEIR_CLOSED);
        weir_free(in.w);
    }
}
END_TEST

START_TEST(test_control_socket)
{
    struct inside in;
    inside_open(&in);
    in.settings.control = 1;
    inside_push(&in);
    testing_write(testing_path(in.folder, "weir.yaml"),
                  "store: { path: ./store }\nsources: { in: { type: generate } }\n"
                  "sinks: { out: { type: drop } }\nroutes: [ { from: in, to: out } ]\n");
    pthread_t thread = run_start(&in);
    const char *const argv[] = {testing_binary(), "status", testing_path(in.folder, "weir.yaml"), "-o",
                                "json",           NULL};
    char *output;
    ck_assert_int_eq(testing_command(argv, &output), 0);
    ck_assert_ptr_nonnull(strstr(output, "running"));
    free(output);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    weir_free(in.w);
}
END_TEST

/* The host's signals. */

static void nothing(int number)
{
    (void)number;
}

START_TEST(test_signals_stay)
{
    struct sigaction mine = {.sa_handler = nothing}, before[NSIG] = {0};
    sigset_t mask, mask_after;
    for (int i = 1; i < NSIG; i++) {
        if (i == SIGTERM || i == SIGINT || i == SIGHUP || i == SIGCHLD)
            sigaction(i, &mine, NULL);
        sigaction(i, NULL, &before[i]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    mode_t umask_before = umask(022);
    umask(umask_before);
    struct inside in;
    inside_open(&in);
    inside_rest(&in);
    weir_source(in.w, "in", "generate", "{ count: 10 }");
    ck_assert_int_eq(weir_run(in.w), WEIR_OK);
    ck_assert_ptr_nonnull(strstr(in.log, "1 embed: SIGPIPE is not ignored"));
    weir_free(in.w);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < NSIG; i++) {
        struct sigaction after = before[i]; /* two are the library's, and cannot be asked for */
        sigaction(i, NULL, &after);
        ck_assert_msg(after.sa_handler == before[i].sa_handler && after.sa_flags == before[i].sa_flags, "%d", i);
        ck_assert_int_eq(sigismember(&mask, i), sigismember(&mask_after, i));
    }
    mode_t umask_after = umask(umask_before);
    ck_assert_uint_eq(umask_before, umask_after);
}
END_TEST

/* The host's loop. */

static void tick(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

START_TEST(test_loop_of_the_host)
{
    uv_loop_t loop;
    uv_timer_t timer;
    int ticks = 0;
    struct inside in;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &timer);
    timer.data = &ticks;
    uv_timer_start(&timer, tick, 1, 1);
    uv_unref((uv_handle_t *)&timer);
    inside_open(&in);
    in.settings.loop = &loop;
    in.settings.ended = inside_ended;
    inside_rest(&in);
    weir_source(in.w, "in", "generate", "{ count: 40, rate: 200/s }");
    ck_assert_int_eq(weir_run(in.w), WEIR_INVALID);
    ck_assert_int_eq(weir_start(in.w), WEIR_OK);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0); /* ends by itself when weir has */
    ck_assert_int_eq(in.ended_count, 1);
    ck_assert_int_eq(in.ended_result, WEIR_OK);
    ck_assert_int_eq(in.events, 40);
    ck_assert_int_gt(ticks, 10);
    weir_free(in.w);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_uint_eq(inside_lines(&in), 40);
}
END_TEST

static void free_in_ended(void *arg, weir_result result)
{
    struct inside *in = arg;
    inside_ended(arg, result);
    weir_free(in->w);
    in->w = NULL;
}

START_TEST(test_two_on_one_loop)
{
    static struct inside both[2];
    uv_loop_t loop;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    for (int i = 0; i < 2; i++) {
        inside_open(&both[i]);
        both[i].settings.loop = &loop;
        both[i].settings.ended = free_in_ended;
        inside_push(&both[i]);
        ck_assert_int_eq(weir_start(both[i].w), WEIR_OK);
    }
    pthread_t feeders[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&feeders[i], NULL, busy_main, &both[i]), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(run_join(feeders[i]), 0);
        ck_assert_ptr_null(both[i].w);
        ck_assert_int_eq(both[i].events, 200);
    }
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(test_freed_while_on_the_loop)
{
    uv_loop_t loop;
    struct inside in;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    inside_open(&in);
    in.settings.loop = &loop;
    in.settings.ended = inside_ended;
    inside_rest(&in);
    weir_source(in.w, "in", "generate", "{ rate: 1000/s }");
    ck_assert_int_eq(weir_start(in.w), WEIR_OK);
    while (!has_events(&in))
        uv_run(&loop, UV_RUN_ONCE);
    weir_free(in.w); /* ends it in order */
    ck_assert_int_eq(in.ended_count, 0);
    ck_assert_int_eq(inside_lines(&in), in.events);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* Bad ends. */

START_TEST(test_failed_commit_ends_the_run_only)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    pthread_t thread = run_start(&in);
    weir_event event = event_of("x");
    ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    broken_disk = true;
    for (int i = 0; i < 100; i++)
        if (weir_push(in.w, "in", &event, pushed, &in) != WEIR_OK)
            atomic_fetch_add(&in.closed, 1);
    ck_assert_int_eq(run_join(thread), WEIR_IO);
    ck_assert_int_eq(weir_exit_code(in.w), 5);
    ck_assert_ptr_nonnull(strstr(weir_error(in.w), "a commit failed"));
    ck_assert_int_eq(in.accepted, 0);
    ck_assert_int_eq(in.closed, 100);
    weir_free(in.w);
    broken_disk = false;

    const char *folder = in.folder;
    inside_open(&in);
    in.folder = folder;
    inside_push(&in);
    thread = run_start(&in);
    ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    weir_push_end(in.w, "in");
    ck_assert_int_eq(run_join(thread), WEIR_OK);
    weir_free(in.w);
    ck_assert_uint_ge(inside_lines(&in), 2);
}
END_TEST

/* The same with calls that run, calls that wait and writes that are out. */
START_TEST(test_failed_commit_with_hands_full)
{
    struct inside in;
    inside_open(&in);
    inside_push(&in);
    weir_sink(in.w, "slow", "file", options(&in, "path: %s/slow.txt"));
    weir_function(in.w, "also", "count", NULL);
    weir_route(in.w, "{ name: second, from: in, call: [mine, also], to: [slow, out], batch: { events: 1 } }");
    pthread_t thread = run_start(&in);
    weir_event event = event_of("x");
    in.hold = true;
    char keys[30];
    for (int i = 0; i < 30; i++) {
        keys[i] = (char)('a' + i);
        event.key = (weir_view){&keys[i], 1};
        ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    }
    broken_disk = true;
    ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_CLOSED);
    ck_assert_int_eq(run_join(thread), WEIR_IO);
    in.hold = false;
    weir_free(in.w);
}
END_TEST

/* What is left to a call that hangs is no leak; these are of LeakSanitizer, when it is there. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

START_TEST(test_hung_call_is_given_up)
{
    static struct inside in; /* the call that hangs goes on using it */
    if (__lsan_disable)
        __lsan_disable();
    inside_open(&in);
    inside_push(&in);
    weir_set(in.w, "log", "{ level: debug }");
    pthread_t thread = run_start(&in);
    if (__lsan_enable)
        __lsan_enable();
    weir_event event = event_of("x");
    in.hold = true;
    ck_assert_int_eq(weir_push_wait(in.w, "in", &event), WEIR_OK);
    weir_stop(in.w);
    ck_assert_int_eq(run_join(thread), WEIR_FATAL);
    ck_assert_int_eq(weir_exit_code(in.w), 1);
    ck_assert_ptr_nonnull(strstr(weir_error(in.w), "did not end; it was given up"));
    weir_free(in.w);
    ck_assert_int_eq(in.events, 0);
    in.hold = false; /* it returns into what was left for it */
    ck_assert(testing_wait(has_events, &in, 10000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("embed");
    TCase *c = tcase_create("configuration");
    tcase_add_test(c, test_calls_run);
    tcase_add_test(c, test_text_and_calls_mix);
    tcase_add_test(c, test_faults_have_a_place);
    tcase_add_loop_test(c, test_bad_call, 0, sizeof bad_calls / sizeof bad_calls[0]);
    tcase_add_test(c, test_a_name_twice);
    tcase_add_test(c, test_nothing_configured);
    tcase_add_test(c, test_kinds_of_the_host);
    tcase_add_test(c, test_kinds_are_checked);
    suite_add_tcase(s, c);
    c = tcase_create("push");
    tcase_add_test(c, test_push_is_durable);
    tcase_add_test(c, test_push_outlives_the_run);
    tcase_add_test(c, test_push_is_bounded);
    tcase_add_test(c, test_push_refused);
    tcase_add_test(c, test_push_from_its_callback);
    tcase_add_test(c, test_push_copies_all);
    suite_add_tcase(s, c);
    c = tcase_create("run");
    tcase_add_test(c, test_two_in_two_threads);
    tcase_add_test(c, test_one_store_for_one);
    tcase_add_test(c, test_stop_before_run);
    tcase_add_test(c, test_status_and_stop_from_a_thread);
    tcase_add_test(c, test_status_while_it_ends);
    tcase_add_test(c, test_control_socket);
    tcase_add_test(c, test_signals_stay);
    suite_add_tcase(s, c);
    c = tcase_create("loop");
    tcase_add_test(c, test_loop_of_the_host);
    tcase_add_test(c, test_two_on_one_loop);
    tcase_add_test(c, test_freed_while_on_the_loop);
    suite_add_tcase(s, c);
    c = tcase_create("ends");
    tcase_add_test(c, test_failed_commit_ends_the_run_only);
    tcase_add_test(c, test_failed_commit_with_hands_full);
    tcase_add_test(c, test_hung_call_is_given_up);
    suite_add_tcase(s, c);
    return testing_run(s);
}
