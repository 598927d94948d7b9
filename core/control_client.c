/* control_client.c: see control.h; the side of the commands.
 *
 * Fails: nothing listens (WEIR_MISSING), or whoever does is stuck: each send and each wait has the time-out that
 * control_connect was given. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base.h"
#include "control.h"

static int client_socket(int timeout_ms)
{
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* bounds connect, too */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    return fd;
}

static int connect_error(const char *folder, struct error *error)
{
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
        return error_set(error, WEIR_MISSING, "no weir is running on %s", folder);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return error_set(error, WEIR_RETRY, "the weir on %s takes no more clients; try again later", folder);
    return error_set(error, WEIR_IO, "%s/control.sock: %s", folder, strerror(errno));
}

int control_connect(struct control_client *client, const char *folder, int timeout_ms, struct error *error)
{
    struct sockaddr_un address;
    int folder_fd;
    *client = (struct control_client){.fd = -1};
    int result = control_address(&address, folder, &folder_fd, error);
    if (result != WEIR_OK)
        return result;
    client->fd = client_socket(timeout_ms);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address)) {
        result = connect_error(folder, error);
        control_disconnect(client);
    }
    if (folder_fd >= 0)
        close(folder_fd);
    return result;
}

static int client_error(struct error *error)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return error_set(error, WEIR_RETRY, "weir runs, but did not answer in time");
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(error, WEIR_CLOSED, "weir ended before it answered");
    return error_set(error, WEIR_IO, "the connection to weir failed: %s", strerror(errno));
}

static int client_send(struct control_client *client, const char *text, size_t size, struct error *error)
{
    while (size) {
        ssize_t sent = send(client->fd, text, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        /* A server that sends us away says why before it closes: that is still to be read. */
        if (sent < 0 && errno == EPIPE)
            return WEIR_OK;
        if (sent < 0)
            return client_error(error);
        text += sent;
        size -= (size_t)sent;
    }
    return WEIR_OK;
}

static int client_grow(struct control_client *client, struct error *error)
{
    size_t room = client->room ? client->room * 2 : 4096;
    char *grown = room > CONTROL_ANSWER_MAX ? NULL : realloc(client->buffer, room);
    if (!grown)
        return error_set(error, WEIR_NOMEM, "the answer of weir is too long");
    client->buffer = grown;
    client->room = room;
    return WEIR_OK;
}

/* Reads until a whole line is in the buffer; *line is its length without \n. */
static int client_wait(struct control_client *client, size_t *line, struct error *error)
{
    for (size_t seen = 0;;) {
        const char *end = client->used ? memchr(client->buffer + seen, '\n', client->used - seen) : NULL;
        if (end) {
            *line = (size_t)(end - client->buffer);
            return WEIR_OK;
        }
        seen = client->used;
        if (client->used == client->room && client_grow(client, error) != WEIR_OK)
            return WEIR_NOMEM;
        ssize_t got = recv(client->fd, client->buffer + client->used, client->room - client->used, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return client_error(error);
        if (got == 0)
            return error_set(error, WEIR_CLOSED, "weir ended before it answered");
        client->used += (size_t)got;
    }
}

static int client_judge(cJSON **answer, struct error *error)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(*answer, "error"));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(*answer, "ok")))
        return WEIR_OK;
    int result = *answer ? error_set(error, WEIR_REJECT, "%s", text ? text : "weir refused without a reason")
                         : error_set(error, WEIR_DAMAGED, "what answers there is no weir");
    cJSON_Delete(*answer);
    *answer = NULL;
    return result;
}

int control_ask(struct control_client *client, struct cJSON *request, struct cJSON **answer, struct error *error)
{
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    *answer = NULL;
    if (!text)
        return error_set(error, WEIR_NOMEM, "out of memory");
    size_t size = strlen(text), line = 0;
    text[size] = '\n'; /* in place of its NUL */
    int result = client_send(client, text, size + 1, error);
    cJSON_free(text);
    if (result == WEIR_OK)
        result = client_wait(client, &line, error);
    if (result != WEIR_OK)
        return result;
    *answer = control_parse(client->buffer, line);
    client->used -= line + 1;
    memmove(client->buffer, client->buffer + line + 1, client->used);
    return client_judge(answer, error);
}

void control_disconnect(struct control_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->buffer);
    *client = (struct control_client){.fd = -1};
}
