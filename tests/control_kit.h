/* control_kit.h: a control server on a loop and a thread of its own, and clients of it. What is waited for is an
 * answer or the end of a connection. */
#ifndef WEIR_CONTROL_KIT_H
#define WEIR_CONTROL_KIT_H

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

static inline cJSON *command_json(const char *command)
{
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "command", command);
    return request;
}

static inline void answer_big(struct control_request *request)
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

static inline void server_handle(void *arg, struct control_request *request)
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

static inline void server_stop_asked(uv_async_t *async)
{
    uv_stop(async->loop);
}

static inline void *server_main(void *arg)
{
    struct server *s = arg;
    uv_run(&s->loop, UV_RUN_DEFAULT);
    control_close(s->control);
    uv_close((uv_handle_t *)&s->stop, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&s->loop), 0); /* nothing is left open */
    return NULL;
}

static inline void server_start_at(const char *at, int idle_ms)
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

static inline void server_start(void)
{
    server_start_at(folder, 0);
}

static inline void server_stop(void)
{
    uv_async_send(&server.stop);
    pthread_join(server.thread, NULL);
}

static inline void setup(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/weir-control-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    signal(SIGPIPE, SIG_IGN); /* as `weir run` does */
}

static inline void teardown(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/control.sock", folder);
    remove(path);
    rmdir(folder);
}

static inline void connect_client(struct control_client *client)
{
    struct error error = {0};
    int result = control_connect(client, folder, WAIT_MS, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
}

static inline void expect_ok(struct control_client *client)
{
    struct error error = {0};
    cJSON *answer;
    int result = control_ask(client, command_json("echo"), &answer, &error);
    ck_assert_msg(result == WEIR_OK, "%s", error.text);
    ck_assert_str_eq(cJSON_GetObjectItem(answer, "command")->valuestring, "echo");
    cJSON_Delete(answer);
}

static inline void expect_served(void)
{
    struct control_client client;
    connect_client(&client);
    expect_ok(&client);
    control_disconnect(&client);
}

static inline void send_all(int fd, const char *text, size_t size)
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
static inline bool read_line(int fd, char *line, size_t room)
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

static inline void expect_refused(int fd, const char *request, size_t size, const char *reason)
{
    char line[2000];
    send_all(fd, request, size);
    ck_assert(read_line(fd, line, sizeof line));
    ck_assert_msg(strstr(line, "\"ok\":false") && strstr(line, reason), "%.40s: %s", request, line);
}

#endif
