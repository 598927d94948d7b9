/* test_control.c: the control socket: both ends, and everything that a client can do wrong. The server runs on a
 * loop of its own in a thread; what is waited for is an answer or the end of a connection. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base.h"
#include "control.h"
#include "testing.h"

#define WAIT_MS 30000

static char folder[80];
static struct server {
    uv_loop_t loop;
    uv_async_t stop;
    struct control *control;
    struct control_request *held; /* by the command "hold", answered by "release" */
    pthread_t thread;
} server;

static cJSON *command_json(const char *command)
{
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "command", command);
    return request;
}

static void answer_big(struct control_request *request)
{
    size_t size = 4u << 20;
    char *text = malloc(size);
    cJSON *answer = cJSON_CreateObject();
    memset(text, 'x', size);
    text[size - 1] = 0;
    cJSON_AddStringToObject(answer, "text", text);
    free(text);
    control_answer(request, answer);
}

static void server_handle(void *arg, struct control_request *request)
{
    struct server *s = arg;
    const char *command = control_request_command(request);
    if (!strcmp(command, "echo")) {
        control_answer(request, cJSON_Duplicate(control_request_body(request), true));
    } else if (!strcmp(command, "big")) {
        answer_big(request);
    } else if (!strcmp(command, "hold")) {
        s->held = request;
    } else if (!strcmp(command, "release") && s->held) {
        control_answer(s->held, cJSON_CreateObject());
        s->held = NULL;
        control_answer(request, cJSON_CreateObject());
    } else {
        control_refuse(request, "unknown command %s", command);
    }
}

static void server_stop_asked(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    control_close(s->control);
    uv_close((uv_handle_t *)&s->stop, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&s->loop), 0); /* nothing is left open */
    return NULL;
}

static void server_start_at(const char *at, int idle_ms)
{
    struct error error = {0};
    uv_loop_init(&server.loop);
    uv_async_init(&server.loop, &server.stop, server_stop_asked);
    struct control_options options = {
        .loop = &server.loop, .folder = at, .handler = server_handle, .arg = &server, .idle_ms = idle_ms};
    int result = control_open(&server.control, &options, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, server_main, &server), 0);
}

static void server_start(void)
{
    server_start_at(folder, 0);
}

static void server_stop(void)
{
    uv_async_send(&server.stop);
    pthread_join(server.thread, NULL);
}

static void setup(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/weir-control-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    signal(SIGPIPE, SIG_IGN); /* as `weir run` does */
}

static void teardown(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/control.sock", folder);
    remove(path);
    rmdir(folder);
}

static void connect_client(struct control_client *client)
{
    struct error error = {0};
    int result = control_connect(client, folder, WAIT_MS, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
}

static void expect_ok(struct control_client *client)
{
    struct error error = {0};
    cJSON *answer;
    int result = control_ask(client, command_json("echo"), &answer, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
    ck_assert_str_eq(cJSON_GetObjectItem(answer, "command")->valuestring, "echo");
    cJSON_Delete(answer);
}

static void expect_served(void)
{
    struct control_client client;
    connect_client(&client);
    expect_ok(&client);
    control_disconnect(&client);
}

static void send_all(int fd, const char *text, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EPIPE)
            return;
        ck_assert_int_gt(sent, 0);
        text += sent;
        size -= (size_t)sent;
    }
}

/* The next line of the server, without \n; false: it closed the connection. */
static bool read_line(int fd, char *line, size_t room)
{
    for (size_t used = 0; used + 1 < room; used++) {
        ssize_t got = recv(fd, line + used, 1, 0);
        if (got <= 0) {
            ck_assert_msg(got == 0 || errno == ECONNRESET, "no answer: %s", strerror(errno));
            return false;
        }
        if (line[used] == '\n') {
            line[used] = 0;
            return true;
        }
    }
    ck_abort_msg("a line without an end");
    return false;
}

static void expect_refused(int fd, const char *request, size_t size, const char *reason)
{
    char line[2000];
    send_all(fd, request, size);
    ck_assert(read_line(fd, line, sizeof line));
    ck_assert_msg(strstr(line, "\"ok\":false") && strstr(line, reason), "%.40s: %s", request, line);
}

START_TEST(test_a_request_is_answered)
{
    struct control_client client;
    struct error error;
    cJSON *answer;
    server_start();
    connect_client(&client);
    expect_ok(&client);
    expect_ok(&client);
    ck_assert_int_eq(control_ask(&client, command_json("dance"), &answer, &error), WEIR_REJECT);
    ck_assert_str_eq(error.text, "unknown command dance");
    ck_assert_ptr_null(answer);
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_an_answer_of_any_length_arrives)
{
    struct control_client client;
    struct error error;
    cJSON *answer;
    server_start();
    connect_client(&client);
    ck_assert_int_eq(control_ask(&client, command_json("big"), &answer, &error), WEIR_OK);
    ck_assert_uint_eq(strlen(cJSON_GetObjectItem(answer, "text")->valuestring), (4u << 20) - 1);
    cJSON_Delete(answer);
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_requests_sent_at_once_are_answered_in_order)
{
    struct control_client client;
    char text[4000] = "", line[200], expected[20];
    server_start();
    connect_client(&client);
    for (int i = 0; i < 50; i++)
        sprintf(text + strlen(text), "{\"command\":\"echo\",\"n\":%d}\n", i);
    send_all(client.fd, text, strlen(text));
    for (int i = 0; i < 50; i++) {
        ck_assert(read_line(client.fd, line, sizeof line));
        snprintf(expected, sizeof expected, "\"n\":%d,", i);
        ck_assert_ptr_nonnull(strstr(line, expected));
    }
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_a_request_may_come_in_pieces)
{
    static const char text[] = "{\"command\":\"echo\"}\r\n";
    struct control_client client;
    char line[200];
    server_start();
    connect_client(&client);
    for (size_t i = 0; i < sizeof text - 1; i++)
        send_all(client.fd, text + i, 1);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_garbage_is_refused_and_the_connection_lives)
{
    static const struct {
        const char *text;
        size_t size;
    } bad[] = {
        {"\n", 1},
        {"hello\n", 6},
        {"{\"command\":\"echo\"\n", 18},
        {"{\"command\":\"echo\"} x\n", 21},
        {"{\"command\":1}\n", 14},
        {"{}\n", 3},
        {"[\"command\"]\n", 12},
        {"\"command\"\n", 10},
        {"\0\0\n", 3},
        {"{\"command\":\"ec\0ho\"}\n", 20},
        {"\xff\xfe{\"command\":\"echo\"}\n", 21},
        {"{\"command\":\"\\\n", 14},
    };
    struct control_client client;
    server_start();
    connect_client(&client);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        expect_refused(client.fd, bad[i].text, bad[i].size, "one JSON object");
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_deep_nesting_is_refused)
{
    char text[60000];
    struct control_client client;
    server_start();
    connect_client(&client);
    int size = sprintf(text, "{\"command\":\"echo\",\"x\":");
    memset(text + size, '[', 50000);
    strcpy(text + size + 50000, "\n");
    expect_refused(client.fd, text, strlen(text), "one JSON object");
    strcpy(text, "{\"command\":\"echo\",\"x\":[[[\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"]]]}\n");
    send_all(client.fd, text, strlen(text));
    ck_assert(read_line(client.fd, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, "\"ok\":true"));
    control_disconnect(&client);
    server_stop();
}
END_TEST

static void long_line(char *text, size_t size)
{
    static const char head[] = "{\"command\":\"echo\",\"x\":\"";
    memset(text, 'x', size);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + size - 3, "\"}\n", 3);
}

START_TEST(test_a_line_of_the_maximum_is_taken_and_a_longer_one_ends_the_client)
{
    static char text[1u << 20], line[CONTROL_LINE_MAX + 100];
    struct control_client client;
    server_start();
    connect_client(&client);
    long_line(text, CONTROL_LINE_MAX);
    send_all(client.fd, text, CONTROL_LINE_MAX);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    long_line(text, CONTROL_LINE_MAX + 1);
    expect_refused(client.fd, text, CONTROL_LINE_MAX + 1, "too long");
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    connect_client(&client);
    memset(text, 'x', sizeof text);
    expect_refused(client.fd, text, sizeof text, "too long");
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_half_a_line_and_gone)
{
    server_start();
    for (int i = 0; i < 20; i++) {
        struct control_client client;
        connect_client(&client);
        send_all(client.fd, "{\"command\":\"ec", 14);
        control_disconnect(&client);
    }
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_who_only_stops_writing_still_gets_the_answer)
{
    char line[200];
    struct control_client client;
    server_start();
    connect_client(&client);
    send_all(client.fd, "{\"command\":\"echo\"}\n{\"comm", 26);
    shutdown(client.fd, SHUT_WR);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_an_answer_may_come_later_and_to_nobody)
{
    struct control_client waiting, gone, other;
    struct error error;
    char line[200];
    cJSON *answer;
    server_start();
    connect_client(&other);
    connect_client(&waiting);
    send_all(waiting.fd, "{\"command\":\"hold\"}\n{\"command\":\"echo\"}\n", 38);
    do { /* until the server has it in hand */
        ck_assert_int_ne(control_ask(&other, command_json("release"), &answer, &error), WEIR_CLOSED);
    } while (!answer);
    cJSON_Delete(answer);
    ck_assert(read_line(waiting.fd, line, sizeof line));
    ck_assert_ptr_null(strstr(line, "echo"));
    ck_assert(read_line(waiting.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "echo"));
    connect_client(&gone);
    send_all(gone.fd, "{\"command\":\"hold\"}\n", 19);
    control_disconnect(&gone);
    do {
        ck_assert_int_ne(control_ask(&other, command_json("release"), &answer, &error), WEIR_CLOSED);
    } while (!answer);
    cJSON_Delete(answer);
    expect_ok(&other);
    control_disconnect(&waiting);
    control_disconnect(&other);
    server_stop();
}
END_TEST

START_TEST(test_a_hundred_clients)
{
    struct control_client clients[100];
    size_t served = 0, refused = 0;
    server_start();
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        connect_client(&clients[i]);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        struct error error;
        cJSON *answer;
        int result = control_ask(&clients[i], command_json("echo"), &answer, &error);
        ck_assert_msg(result == WEIR_OK || (result == WEIR_REJECT && strstr(error.text, "too many")), "%s",
                      error.text);
        served += result == WEIR_OK;
        refused += result == WEIR_REJECT;
        cJSON_Delete(answer);
    }
    ck_assert_uint_eq(served, CONTROL_CLIENTS_MAX);
    ck_assert_uint_eq(refused, ARRAY_COUNT(clients) - CONTROL_CLIENTS_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        control_disconnect(&clients[i]);
    for (int result = WEIR_REJECT; result != WEIR_OK;) { /* until it has seen that they left */
        struct error error;
        cJSON *answer;
        connect_client(&clients[0]);
        result = control_ask(&clients[0], command_json("echo"), &answer, &error);
        cJSON_Delete(answer);
        control_disconnect(&clients[0]);
    }
    server_stop();
}
END_TEST

START_TEST(test_who_neither_asks_nor_reads_is_sent_away)
{
    char line[200];
    struct control_client silent, slow, partial;
    server_start_at(folder, 500);
    connect_client(&silent);
    connect_client(&slow);
    connect_client(&partial);
    for (int i = 0; i < 10; i++)
        send_all(slow.fd, "{\"command\":\"big\"}\n", 18);
    send_all(partial.fd, "{\"comm", 6);
    ck_assert(!read_line(silent.fd, line, sizeof line));
    ck_assert(!read_line(partial.fd, line, sizeof line));
    struct pollfd hung_up = {.fd = slow.fd}; /* without reading */
    ck_assert_int_eq(poll(&hung_up, 1, WAIT_MS), 1);
    char *piece = malloc(1 << 20);
    size_t total = 0;
    for (ssize_t got; (got = recv(slow.fd, piece, 1 << 20, 0)) > 0;)
        total += (size_t)got;
    ck_assert_uint_lt(total, 4u << 20);
    free(piece);
    expect_served();
    control_disconnect(&silent);
    control_disconnect(&slow);
    control_disconnect(&partial);
    server_stop();
}
END_TEST

static void socket_path(char path[300])
{
    snprintf(path, 300, "%s/control.sock", folder);
}

START_TEST(test_the_socket_is_private_and_goes_away)
{
    char path[300];
    struct stat status;
    struct control_client client;
    struct error error;
    socket_path(path);
    server_start();
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert(S_ISSOCK(status.st_mode));
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    server_stop();
    ck_assert_int_eq(stat(path, &status), -1);
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, &error), WEIR_MISSING);
    ck_assert_ptr_nonnull(strstr(error.text, folder));
}
END_TEST

/* A socket as a process leaves it that was killed. */
static int socket_make(int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", folder);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (backlog >= 0)
        ck_assert_int_eq(listen(fd, backlog), 0);
    return fd;
}

START_TEST(test_a_dead_process_socket_is_replaced)
{
    struct control_client client;
    struct error error;
    close(socket_make(5));
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, &error), WEIR_MISSING);
    server_start();
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_anything_else_in_the_way_stays)
{
    char path[300];
    struct error error = {0};
    uv_loop_t loop;
    struct control *control;
    socket_path(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    uv_loop_init(&loop);
    struct control_options options = {.loop = &loop, .folder = folder, .handler = server_handle};
    ck_assert_int_eq(control_open(&control, &options, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "remove it"));
    ck_assert_ptr_null(control);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(test_a_missing_folder_is_an_error)
{
    struct error error = {0};
    uv_loop_t loop;
    struct control *control;
    char path[300];
    snprintf(path, sizeof path, "%s/none", folder);
    uv_loop_init(&loop);
    struct control_options options = {.loop = &loop, .folder = path, .handler = server_handle};
    ck_assert_int_eq(control_open(&control, &options, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(test_a_folder_with_a_long_path)
{
    char first[300], path[600], name[150];
    struct control_client client;
    struct error error = {0};
    cJSON *answer;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    snprintf(first, sizeof first, "%s/%s", folder, name);
    snprintf(path, sizeof path, "%s/%s", first, name);
    ck_assert_int_eq(mkdir(first, 0700), 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_MISSING);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_MISSING);
    server_start_at(path, 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_OK);
    ck_assert_int_eq(control_ask(&client, command_json("echo"), &answer, &error), WEIR_OK);
    cJSON_Delete(answer);
    control_disconnect(&client);
    server_stop();
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(first), 0);
}
END_TEST

START_TEST(test_who_listens_and_never_answers_is_given_up)
{
    struct control_client client;
    struct error error = {0};
    cJSON *answer;
    int fd = socket_make(5);
    ck_assert_int_eq(control_connect(&client, folder, 50, &error), WEIR_OK);
    ck_assert_int_eq(control_ask(&client, command_json("echo"), &answer, &error), WEIR_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "did not answer in time"));
    control_disconnect(&client);
    close(fd);
}
END_TEST

START_TEST(test_a_full_backlog_is_given_up)
{
    struct control_client clients[20];
    struct error error = {0};
    int fd = socket_make(0), result = WEIR_OK;
    size_t count = 0;
    while (count < ARRAY_COUNT(clients) && result == WEIR_OK)
        result = control_connect(&clients[count++], folder, 50, &error);
    ck_assert_int_eq(result, WEIR_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "takes no more clients"));
    while (count)
        control_disconnect(&clients[--count]);
    close(fd);
}
END_TEST

/* A server that answers `text` to whatever comes, and closes. */
static int ask_impostor(const char *text, struct error *error)
{
    struct control_client client;
    cJSON *answer;
    int listener = socket_make(5);
    char path[300];
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, error), WEIR_OK);
    int fd = accept(listener, NULL, NULL);
    send_all(fd, text, strlen(text));
    shutdown(fd, SHUT_WR);
    int result = control_ask(&client, command_json("echo"), &answer, error);
    cJSON_Delete(answer);
    control_disconnect(&client);
    close(fd);
    close(listener);
    socket_path(path);
    unlink(path);
    return result;
}

START_TEST(test_a_client_survives_any_server)
{
    struct error error = {0};
    ck_assert_int_eq(ask_impostor("", &error), WEIR_CLOSED);
    ck_assert_int_eq(ask_impostor("{\"ok\":tr", &error), WEIR_CLOSED);
    ck_assert_int_eq(ask_impostor("HTTP/1.1 400 Bad Request\n", &error), WEIR_DAMAGED);
    ck_assert_int_eq(ask_impostor("{\"ok\":1}\n", &error), WEIR_REJECT);
    ck_assert_ptr_nonnull(strstr(error.text, "without a reason"));
    ck_assert_int_eq(ask_impostor("{\"ok\":true}\n", &error), WEIR_OK);
}
END_TEST

START_TEST(test_the_server_ends_while_clients_are_there)
{
    struct control_client idle, slow, waiting;
    char line[200];
    server_start();
    connect_client(&idle);
    connect_client(&slow);
    connect_client(&waiting);
    expect_ok(&idle);
    send_all(slow.fd, "{\"command\":\"big\"}\n", 18);
    send_all(waiting.fd, "{\"command\":\"ec", 14);
    expect_ok(&idle);
    server_stop(); /* its loop closes with nothing left open */
    ck_assert(!read_line(idle.fd, line, sizeof line));
    control_disconnect(&idle);
    control_disconnect(&slow);
    control_disconnect(&waiting);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("control");
    TCase *c = tcase_create("control");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_a_request_is_answered);
    tcase_add_test(c, test_an_answer_of_any_length_arrives);
    tcase_add_test(c, test_requests_sent_at_once_are_answered_in_order);
    tcase_add_test(c, test_a_request_may_come_in_pieces);
    tcase_add_test(c, test_garbage_is_refused_and_the_connection_lives);
    tcase_add_test(c, test_deep_nesting_is_refused);
    tcase_add_test(c, test_a_line_of_the_maximum_is_taken_and_a_longer_one_ends_the_client);
    tcase_add_test(c, test_half_a_line_and_gone);
    tcase_add_test(c, test_who_only_stops_writing_still_gets_the_answer);
    tcase_add_test(c, test_an_answer_may_come_later_and_to_nobody);
    tcase_add_test(c, test_a_hundred_clients);
    tcase_add_test(c, test_who_neither_asks_nor_reads_is_sent_away);
    tcase_add_test(c, test_the_socket_is_private_and_goes_away);
    tcase_add_test(c, test_a_dead_process_socket_is_replaced);
    tcase_add_test(c, test_anything_else_in_the_way_stays);
    tcase_add_test(c, test_a_missing_folder_is_an_error);
    tcase_add_test(c, test_a_folder_with_a_long_path);
    tcase_add_test(c, test_who_listens_and_never_answers_is_given_up);
    tcase_add_test(c, test_a_full_backlog_is_given_up);
    tcase_add_test(c, test_a_client_survives_any_server);
    tcase_add_test(c, test_the_server_ends_while_clients_are_there);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
