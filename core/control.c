/* control.c: see control.h; the server.
 *
 * The normal path of a client:
 *   1. It is accepted, and given CONTROL_IDLE_MS for its first line.
 *   2. A whole line is parsed and handed to the handler; nothing more is read until the answer is written, so a
 *      client holds at most one line and one answer here.
 *   3. The answer goes out, the time begins anew, the next line is taken.
 * How it fails: a line that is too long is answered and ends the client, one that is not JSON is only answered; who
 * does not read is sent away when the time is over; who is gone before its answer loses it. */
#include "control.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "list.h"

struct control {
    struct control_options options;
    uv_pipe_t listener;
    char *path; /* of the socket */
    struct list clients;
    size_t client_count;
    size_t handles; /* not closed yet */
};

struct client {
    struct list node;
    struct control *control;
    uv_pipe_t pipe;
    uv_timer_t idle;
    uv_write_t write;
    char *answer; /* being written, then newline */
    char newline;
    char *buffer;
    size_t used, room;
    struct control_request *request; /* being answered */
    int handles;
    bool ended; /* no more is read; closed when the answer is out */
};

struct control_request {
    struct client *client; /* NULL: gone */
    const char *command;
    cJSON *body;
};

static void client_turn(struct client *client);

static void client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    client->control->handles--;
    if (--client->handles)
        return;
    cJSON_free(client->answer);
    free(client->buffer);
    free(client);
}

static void client_close(struct client *client)
{
    if (uv_is_closing((uv_handle_t *)&client->pipe))
        return;
    if (client->request)
        client->request->client = NULL;
    list_remove(&client->node);
    client->control->client_count--;
    uv_close((uv_handle_t *)&client->pipe, client_closed);
    uv_close((uv_handle_t *)&client->idle, client_closed);
}

static void client_idle(uv_timer_t *timer)
{
    client_close(timer->data);
}

/* From now on it has so long to ask, or to take its answer. */
static void client_wait(struct client *client)
{
    int idle_ms = client->control->options.idle_ms;
    uv_timer_start(&client->idle, client_idle, (uint64_t)(idle_ms ? idle_ms : CONTROL_IDLE_MS), 0);
}

static void client_written(uv_write_t *write, int status)
{
    struct client *client = write->data;
    cJSON_free(client->answer);
    client->answer = NULL;
    if (status < 0)
        client_close(client);
    else
        client_turn(client);
}

/* Takes the answer. */
static void client_send(struct client *client, cJSON *answer)
{
    client->answer = cJSON_PrintUnformatted(answer);
    cJSON_Delete(answer);
    if (!client->answer) {
        client_close(client);
        return;
    }
    uv_buf_t parts[] = {uv_buf_init(client->answer, (unsigned)strlen(client->answer)),
                        uv_buf_init(&client->newline, 1)};
    client->write.data = client;
    client_wait(client);
    if (uv_write(&client->write, (uv_stream_t *)&client->pipe, parts, ARRAY_COUNT(parts), client_written))
        client_close(client);
}

static void client_refuse(struct client *client, const char *text)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddFalseToObject(answer, "ok");
    cJSON_AddStringToObject(answer, "error", text);
    client_send(client, answer);
}

static void request_start(struct client *client, cJSON *body, const char *command)
{
    struct control_request *request = calloc(1, sizeof *request);
    if (!request) {
        cJSON_Delete(body);
        client_refuse(client, "out of memory");
        return;
    }
    *request = (struct control_request){client, command, body};
    client->request = request;
    uv_timer_stop(&client->idle);
    client->control->options.handler(client->control->options.arg, request);
}

static void client_line(struct client *client, size_t size)
{
    cJSON *body = control_parse(client->buffer, size);
    const char *command = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "command"));
    client->used -= size + 1;
    memmove(client->buffer, client->buffer + size + 1, client->used);
    if (command) {
        request_start(client, body, command);
        return;
    }
    cJSON_Delete(body);
    client_refuse(client, "a request is one JSON object on one line with a text `command`");
}

static void client_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = handle->data;
    UNUSED(suggested);
    *buffer = uv_buf_init(NULL, 0);
    if (client->used == client->room) {
        size_t room = client->room ? client->room * 2 : 1024;
        char *grown = realloc(client->buffer, room);
        if (!grown)
            return;
        client->buffer = grown;
        client->room = room;
    }
    *buffer = uv_buf_init(client->buffer + client->used, (unsigned)(client->room - client->used));
}

static void client_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    UNUSED(buffer);
    if (size == UV_EOF)
        client->ended = true; /* it may still want its answer */
    else if (size < 0)
        client_close(client);
    else
        client->used += (size_t)size;
    if (size && !uv_is_closing((uv_handle_t *)stream))
        client_turn(client);
}

/* Whatever is next: a line, the end, or more to read. Lines end with \n, so the buffer never holds more than one
 * that is too long. */
static void client_turn(struct client *client)
{
    uv_read_stop((uv_stream_t *)&client->pipe);
    if (client->request || client->answer || uv_is_closing((uv_handle_t *)&client->pipe))
        return;
    const char *end = client->used ? memchr(client->buffer, '\n', client->used) : NULL;
    size_t line = end ? (size_t)(end - client->buffer) : client->used;
    if (line >= CONTROL_LINE_MAX && !client->ended) {
        client->ended = true;
        client->used = 0;
        client_refuse(client, "the line is too long");
    } else if (end && line < CONTROL_LINE_MAX) {
        client_line(client, line);
    } else if (client->ended) {
        client_close(client);
    } else {
        uv_read_start((uv_stream_t *)&client->pipe, client_alloc, client_read);
    }
}

static struct client *client_new(struct control *control)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->control = control;
    client->newline = '\n';
    uv_pipe_init(control->options.loop, &client->pipe, 0);
    uv_timer_init(control->options.loop, &client->idle);
    client->pipe.data = client->idle.data = client;
    /* Nobody who listens in keeps a run from ending. */
    uv_unref((uv_handle_t *)&client->pipe);
    uv_unref((uv_handle_t *)&client->idle);
    client->handles = 2;
    control->handles += 2;
    list_append(&control->clients, &client->node);
    control->client_count++;
    return client;
}

static void control_connection(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;
    if (status < 0) {
        log_write(control->options.log, LOG_WARN, "control", "a client could not connect: %s", uv_strerror(status));
        return;
    }
    struct client *client = client_new(control);
    if (!client)
        return;
    if (uv_accept(listener, (uv_stream_t *)&client->pipe)) {
        client_close(client);
        return;
    }
    client_wait(client);
    if (control->client_count > CONTROL_CLIENTS_MAX) {
        client->ended = true;
        client_refuse(client, "too many clients are connected; try again later");
    } else {
        client_turn(client);
    }
}

const char *control_request_command(const struct control_request *request)
{
    return request->command;
}

const struct cJSON *control_request_body(const struct control_request *request)
{
    return request->body;
}

/* Ends the request; the client that still waits for its answer, or NULL. */
static struct client *request_end(struct control_request *request)
{
    struct client *client = request->client;
    if (client)
        client->request = NULL;
    cJSON_Delete(request->body);
    free(request);
    return client;
}

void control_answer(struct control_request *request, struct cJSON *answer)
{
    struct client *client = request_end(request);
    if (!client) {
        cJSON_Delete(answer);
        return;
    }
    cJSON_AddTrueToObject(answer, "ok");
    client_send(client, answer);
}

void control_refuse(struct control_request *request, const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct client *client = request_end(request);
    if (client)
        client_refuse(client, text);
}

/* A socket that is there belongs to no living process; anything else there is somebody's, and stays. */
static int socket_clear(const char *path, struct error *error)
{
    struct stat what;
    if (lstat(path, &what))
        return WEIR_OK;
    if (!S_ISSOCK(what.st_mode))
        return error_set(error, WEIR_IO, "%s is in the way of the control socket: remove it", path);
    return unlink(path) ? error_set(error, WEIR_IO, "%s: %s", path, strerror(errno)) : WEIR_OK;
}

static int socket_bind(const struct control *control, int fd, struct error *error)
{
    struct sockaddr_un address;
    int folder_fd;
    int result = control_address(&address, control->options.folder, &folder_fd, error);
    if (result != WEIR_OK)
        return result;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(control->path, 0600))
        result = error_set(error, WEIR_IO, "control socket %s: %s", control->path, strerror(errno));
    if (folder_fd >= 0)
        close(folder_fd);
    return result;
}

static int control_listen(struct control *control, struct error *error)
{
    int result = socket_clear(control->path, error);
    if (result != WEIR_OK)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, WEIR_IO, "control socket: %s", strerror(errno));
    result = socket_bind(control, fd, error);
    int refused = result == WEIR_OK ? uv_pipe_open(&control->listener, fd) : 0;
    if (result != WEIR_OK || refused) {
        close(fd);
        return refused ? error_set(error, WEIR_IO, "control socket: %s", uv_strerror(refused)) : result;
    }
    refused = uv_listen((uv_stream_t *)&control->listener, 128, control_connection);
    return refused ? error_set(error, WEIR_IO, "control socket: %s", uv_strerror(refused)) : WEIR_OK;
}

int control_open(struct control **control, const struct control_options *options, struct error *error)
{
    *control = NULL;
    struct control *made = calloc(1, sizeof *made);
    if (!made || asprintf(&made->path, "%s/control.sock", options->folder) < 0) {
        free(made);
        return error_set(error, WEIR_NOMEM, "out of memory");
    }
    made->options = *options;
    list_init(&made->clients);
    uv_pipe_init(options->loop, &made->listener, 0);
    made->listener.data = made;
    made->handles = 1;
    uv_unref((uv_handle_t *)&made->listener);
    int result = control_listen(made, error);
    if (result == WEIR_OK)
        *control = made;
    else
        control_close(made);
    return result;
}

static void listener_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    control->handles--;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    struct stat what;
    if (uv_is_active((uv_handle_t *)&control->listener) && !lstat(control->path, &what) && S_ISSOCK(what.st_mode))
        unlink(control->path);
    uv_close((uv_handle_t *)&control->listener, listener_closed);
    while (!list_empty(&control->clients))
        client_close(LIST_FIRST(&control->clients, struct client, node));
    while (control->handles)
        uv_run(control->options.loop, UV_RUN_NOWAIT);
    free(control->path);
    free(control);
}
