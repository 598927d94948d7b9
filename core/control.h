/* control.h: how the command line speaks to a running weir: a unix socket `control.sock` in the store's folder.
 *
 * One JSON object per line each way: {"command":"status"} is answered by {"ok":true,...} or
 * {"ok":false,"error":"..."}. A client's requests are answered one after another, in order. The folder (0700) and
 * the socket (0600) let nobody in but the user.
 *
 * Commands: ping; status; stop; dead-replay and dead-drop {route, id, key, cause: texts; all: true; after: hex of a
 * key} do one step (dead_select.h) and answer {changed, more, after}, with which the client asks for the next. */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "log.h"

#define CONTROL_LINE_MAX 65536         /* of a request */
#define CONTROL_DEPTH_MAX 16           /* of its JSON */
#define CONTROL_CLIENTS_MAX 64         /* more are told so and sent away */
#define CONTROL_IDLE_MS 30000          /* a client that neither asks nor reads for so long is sent away */
#define CONTROL_ANSWER_MAX (64u << 20) /* what a client takes */

struct cJSON;
struct uv_loop_s;

/* Server; loop thread. */
struct control;
struct control_request;
/* Called for each well-formed request; body lasts until the answer. Answers now or later, exactly once. */
typedef void control_handler(void *arg, struct control_request *request);
struct control_options {
    struct uv_loop_s *loop;
    const char *folder;
    struct log *log;
    control_handler *handler;
    void *arg;
    int idle_ms; /* 0: CONTROL_IDLE_MS */
};
/* The caller holds the store's lock, so a socket that is already there is a dead process's, and is replaced. */
int control_open(struct control **control, const struct control_options *options, struct error *error);
/* Removes the socket and ends all clients; the loop must not be running: it is turned here until all is closed. */
void control_close(struct control *control);

const char *control_request_command(const struct control_request *request);
const struct cJSON *control_request_body(const struct control_request *request);
void control_answer(struct control_request *request, struct cJSON *answer); /* takes it; adds "ok":true */
void control_refuse(struct control_request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Client; any thread, blocking. */
struct control_client {
    int fd;
    char *buffer; /* what was read behind the last answer */
    size_t used, room;
};
/* WEIR_MISSING: nothing listens there. */
int control_connect(struct control_client *client, const char *folder, int timeout_ms, struct error *error);
/* Sends the request (takes it) and waits for its answer: the caller's to delete. WEIR_REJECT: refused, error has
 * the server's words; WEIR_CLOSED, WEIR_RETRY (time-out), WEIR_DAMAGED (no JSON): the connection is of no use. */
int control_ask(struct control_client *client, struct cJSON *request, struct cJSON **answer, struct error *error);
void control_disconnect(struct control_client *client);

/* For both: JSON from outside, bounded in depth; NULL when it is not one object; text[size] can be read. An address
 * of any length: *folder_fd (or -1) is to be closed after bind or connect. */
struct cJSON *control_parse(const char *text, size_t size);
struct sockaddr_un;
int control_address(struct sockaddr_un *address, const char *folder, int *folder_fd, struct error *error);

#endif
