/* mqtt_run_kit.c: see mqtt_run_kit.h. A relay cuts both streams into packets (MQTT 5 §2.1: type, length, rest),
 * keeps a copy of each and passes it on whole. */
#include "mqtt_run_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, PIECE = 65536 };

struct bytes {
    unsigned char *data;
    size_t size, room;
};

struct pair {
    int fd[2];            /* by enum side: what comes from it; -1: closed */
    struct bytes came[2]; /* the beginning of a packet */
    struct bytes kept;    /* from weir, while held */
};

struct relay {
    struct relay *next;
    int listener, port, broker_port;
    bool held;
    void (*change)(struct packet *packet);
    struct pair pairs[PAIRS_MAX];
    size_t pair_count;
    struct packet *packets;
    size_t packet_count, packet_room;
};

struct client_node {
    struct client_node *next;
    struct client client;
};

static struct relay *relays;
static struct client_node *clients;
static struct weir *weirs; /* last as long as the test */

int64_t kit_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *grown(void *memory, size_t size)
{
    void *more = realloc(memory, size);
    ck_assert_ptr_nonnull(more);
    return more;
}

static void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->room) {
        bytes->room = 2 * (bytes->size + size);
        bytes->data = grown(bytes->data, bytes->room);
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void bytes_cut(struct bytes *bytes, size_t size)
{
    memmove(bytes->data, bytes->data + size, bytes->size - size);
    bytes->size -= size;
}

/* Relays. */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

struct relay *relay_start(int broker_port)
{
    struct relay *relay = calloc(1, sizeof *relay);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;

    ck_assert_ptr_nonnull(relay);
    relay->broker_port = broker_port;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(relay->listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(relay->listener, 16), 0);
    ck_assert_int_eq(getsockname(relay->listener, (struct sockaddr *)&address, &size), 0);
    relay->port = ntohs(address.sin_port);
    relay->next = relays;
    relays = relay;
    return relay;
}

int relay_port(const struct relay *relay)
{
    return relay->port;
}

static void pair_close(struct pair *pair)
{
    for (int side = 0; side < 2; side++) {
        if (pair->fd[side] >= 0)
            close(pair->fd[side]);
        pair->fd[side] = -1;
        pair->came[side].size = 0;
    }
    pair->kept.size = 0;
}

static void relay_accept(struct relay *relay)
{
    struct sockaddr_in address = loopback(relay->broker_port);
    int on = 1, from_weir = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (from_weir < 0)
        return;
    int to_broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(to_broker, (struct sockaddr *)&address, sizeof address) != 0) {
        close(to_broker);
        close(from_weir);
        return;
    }
    ck_assert_uint_lt(relay->pair_count, PAIRS_MAX);
    setsockopt(from_weir, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(to_broker, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    relay->pairs[relay->pair_count++] = (struct pair){.fd = {from_weir, to_broker}};
}

static void give(struct relay *relay, struct pair *pair, enum side from, const void *data, size_t size)
{
    if (from == FROM_WEIR && relay->held) {
        bytes_add(&pair->kept, data, size);
        return;
    }
    int to = pair->fd[!from];
    for (size_t done = 0; to >= 0 && done < size;) {
        ssize_t wrote = send(to, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (wrote < 0)
            return; /* it has gone; its own end tells */
        done += (size_t)wrote;
    }
}

/* The length of the packet that begins here; 0: not all of it has come. */
static size_t packet_size(const struct bytes *bytes, size_t *body)
{
    size_t length = 0;
    for (size_t i = 1; i < bytes->size && i < 5; i++) {
        length |= (size_t)(bytes->data[i] & 0x7F) << (7 * (i - 1));
        if (bytes->data[i] & 0x80)
            continue;
        *body = i + 1;
        return bytes->size >= i + 1 + length ? i + 1 + length : 0;
    }
    return 0;
}

static void packet_keep(struct relay *relay, const struct packet *packet)
{
    if (relay->packet_count == relay->packet_room) {
        relay->packet_room = relay->packet_room ? 2 * relay->packet_room : 256;
        relay->packets = grown(relay->packets, relay->packet_room * sizeof *relay->packets);
    }
    relay->packets[relay->packet_count++] = *packet;
}

static void packets_pass(struct relay *relay, struct pair *pair, enum side from)
{
    struct bytes *came = &pair->came[from];
    size_t size, body = 0;
    while ((size = packet_size(came, &body)) != 0) {
        struct packet packet = {from, came->data[0] >> 4, came->data[0] & 15, grown(NULL, size + 1), size,
                                body, kit_now_us()};
        memcpy(packet.bytes, came->data, size);
        bytes_cut(came, size);
        if (relay->change)
            relay->change(&packet);
        packet_keep(relay, &packet);
        give(relay, pair, from, packet.bytes, packet.size);
    }
}

static void pair_read(struct relay *relay, struct pair *pair, enum side from)
{
    char piece[PIECE];
    ssize_t got = recv(pair->fd[from], piece, sizeof piece, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        pair_close(pair);
        return;
    }
    bytes_add(&pair->came[from], piece, (size_t)got);
    packets_pass(relay, pair, from);
}

static void relay_turn(struct relay *relay)
{
    relay_accept(relay);
    for (size_t i = 0; i < relay->pair_count; i++) {
        for (int side = 0; side < 2; side++) {
            if (relay->pairs[i].fd[side] >= 0)
                pair_read(relay, &relay->pairs[i], (enum side)side);
        }
    }
}

void relay_hold(struct relay *relay, bool held)
{
    relay->held = held;
    for (size_t i = 0; i < relay->pair_count && !held; i++) {
        struct pair *pair = &relay->pairs[i];
        give(relay, pair, FROM_WEIR, pair->kept.data, pair->kept.size);
        pair->kept.size = 0;
    }
}

void relay_cut(struct relay *relay)
{
    for (size_t i = 0; i < relay->pair_count; i++)
        pair_close(&relay->pairs[i]);
}

void relay_change(struct relay *relay, void (*change)(struct packet *packet))
{
    relay->change = change;
}

const struct packet *relay_packet(const struct relay *relay, enum side side, int type, size_t n)
{
    for (size_t i = 0; i < relay->packet_count; i++) {
        const struct packet *packet = &relay->packets[i];
        if (packet->side == side && packet->type == type && n-- == 0)
            return packet;
    }
    return NULL;
}

size_t relay_count(const struct relay *relay, enum side side, int type)
{
    size_t count = 0;
    for (size_t i = 0; i < relay->packet_count; i++)
        count += relay->packets[i].side == side && relay->packets[i].type == type;
    return count;
}

struct relay_wish {
    const struct relay *relay;
    enum side side;
    int type;
    size_t count;
};

static bool relay_has(void *arg)
{
    const struct relay_wish *wish = arg;
    return relay_count(wish->relay, wish->side, wish->type) >= wish->count;
}

void relay_wait(const struct relay *relay, enum side side, int type, size_t count)
{
    struct relay_wish wish = {relay, side, type, count};
    kit_wait(relay_has, &wish, "a packet at the relay");
}

/* Waiting. */

static void kit_turn(void)
{
    for (struct relay *relay = relays; relay; relay = relay->next)
        relay_turn(relay);
    for (struct client_node *node = clients; node; node = node->next)
        mosquitto_loop(node->client.handle, 0, 1);
}

struct wait {
    bool (*condition)(void *arg);
    void *arg;
};

static bool wait_over(void *arg)
{
    const struct wait *wait = arg;
    kit_turn();
    return wait->condition(wait->arg);
}

void kit_wait(bool (*condition)(void *arg), void *arg, const char *what)
{
    struct wait wait = {condition, arg};
    ck_assert_msg(testing_wait(wait_over, &wait, KIT_WAIT_MS), "did not come: %s", what);
}

/* Clients. */

static char *properties_text(const mosquitto_property *properties)
{
    char *text = calloc(1, 1), *name, *value;
    bool skip = false;
    while ((properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value,
                                                             skip)) != NULL) {
        size_t size = strlen(text);
        text = grown(text, size + strlen(name) + strlen(value) + 3);
        sprintf(text + size, "%s=%s;", name, value);
        free(name);
        free(value);
        skip = true;
    }
    return text;
}

static void on_message(struct mosquitto *handle, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct client *client = arg;
    size_t size = (size_t)message->payloadlen;
    (void)handle;
    client->messages = grown(client->messages, (client->count + 1) * sizeof *client->messages);
    struct message *kept = &client->messages[client->count++];
    *kept = (struct message){.topic = strdup(message->topic),
                             .properties = properties_text(properties),
                             .payload = grown(NULL, size + 1),
                             .size = size,
                             .retain = message->retain,
                             .qos = message->qos};
    if (size)
        memcpy(kept->payload, message->payload, size);
    kept->payload[size] = '\0';
}

static void on_connect(struct mosquitto *handle, void *arg, int code)
{
    (void)handle;
    ck_assert_int_eq(code, 0);
    ((struct client *)arg)->connected = true;
}

static void on_subscribe(struct mosquitto *handle, void *arg, int mid, int count, const int *granted)
{
    (void)handle, (void)mid, (void)count;
    ck_assert_int_le(granted[0], 2);
    ((struct client *)arg)->subscribed = true;
}

static void on_publish(struct mosquitto *handle, void *arg, int mid)
{
    (void)handle, (void)mid;
    ((struct client *)arg)->acknowledged++;
}

static bool client_connected(void *arg)
{
    return ((struct client *)arg)->connected;
}

static bool client_subscribed(void *arg)
{
    return ((struct client *)arg)->subscribed;
}

static bool client_acknowledged(void *arg)
{
    struct client *client = arg;
    return client->acknowledged == client->sent;
}

static void client_connect(struct client *client, const struct broker *broker, bool keep)
{
    mosquitto_property *properties = NULL;
    mosquitto_int_option(client->handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client->handle, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(client->handle, MOSQ_OPT_RECEIVE_MAXIMUM, 10000);
    mosquitto_int_option(client->handle, MOSQ_OPT_SEND_MAXIMUM, 10000);
    mosquitto_username_pw_set(client->handle, "weir", "secret");
    mosquitto_message_v5_callback_set(client->handle, on_message);
    mosquitto_connect_callback_set(client->handle, on_connect);
    mosquitto_subscribe_callback_set(client->handle, on_subscribe);
    mosquitto_publish_callback_set(client->handle, on_publish);
    if (keep)
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 3600);
    int result = mosquitto_connect_bind_v5(client->handle, "127.0.0.1", broker_port(broker), 600, NULL, properties);
    ck_assert_msg(result == MOSQ_ERR_SUCCESS, "connect: %s", mosquitto_strerror(result));
    mosquitto_property_free_all(&properties);
    kit_wait(client_connected, client, "CONNACK for a client of the test");
}

struct client *client_start(const struct broker *broker, const char *id, const char *filter)
{
    struct client_node *node = calloc(1, sizeof *node);
    ck_assert_ptr_nonnull(node);
    mosquitto_lib_init();
    node->client.handle = mosquitto_new(id, id == NULL, &node->client);
    ck_assert_ptr_nonnull(node->client.handle);
    node->next = clients;
    clients = node;
    client_connect(&node->client, broker, id != NULL);
    if (!filter)
        return &node->client;
    ck_assert_int_eq(mosquitto_subscribe(node->client.handle, NULL, filter, 1), MOSQ_ERR_SUCCESS);
    kit_wait(client_subscribed, &node->client, "SUBACK for a client of the test");
    return &node->client;
}

static void client_give(struct client *client, const struct publication *publication)
{
    mosquitto_property *properties = NULL;
    size_t size = publication->size ? publication->size : publication->payload ? strlen(publication->payload) : 0;
    if (publication->header)
        mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, publication->header,
                                           publication->value);
    int result = mosquitto_publish_v5(client->handle, NULL, publication->topic, (int)size, publication->payload,
                                      publication->qos, publication->retain, properties);
    ck_assert_msg(result == MOSQ_ERR_SUCCESS, "publish: %s", mosquitto_strerror(result));
    mosquitto_property_free_all(&properties);
    client->sent++;
}

void client_send(struct client *client, const struct publication *publication)
{
    client_give(client, publication);
    kit_wait(client_acknowledged, client, "PUBACK for a client of the test");
}

void client_publish(struct client *client, const char *topic, const char *payload)
{
    client_send(client, &(struct publication){.topic = topic, .payload = payload, .qos = 1});
}

void client_publish_many(struct client *client, const char *topic, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char payload[24];
        snprintf(payload, sizeof payload, "%zu", i);
        client_give(client, &(struct publication){.topic = topic, .payload = payload, .qos = 1});
    }
    kit_wait(client_acknowledged, client, "PUBACKs for a client of the test");
}

struct client_wish {
    const struct client *client;
    size_t count;
};

static bool client_has(void *arg)
{
    const struct client_wish *wish = arg;
    return wish->client->count >= wish->count;
}

void client_wait(struct client *client, size_t count)
{
    struct client_wish wish = {client, count};
    kit_wait(client_has, &wish, "messages for a client of the test");
}

/* weir. */

struct weir *daemon_new(void)
{
    struct weir *weir = calloc(1, sizeof *weir);
    ck_assert_ptr_nonnull(weir);
    weir->next = weirs;
    weirs = weir;
    weir->folder = testing_folder();
    weir->log = strdup(testing_path(weir->folder, "weir.log"));
    weir->file = strdup(testing_path(weir->folder, "out.txt"));
    setenv("WEIR_MODULES", testing_module_dir(), 0);
    return weir;
}

void weir_again(struct weir *weir)
{
    const char *argv[] = {testing_binary(), "run", testing_path(weir->folder, "weir.yaml"), NULL};
    char *log = testing_read(weir->log);
    ck_assert_int_eq(weir->pid, 0);
    weir->read = log ? strlen(log) : 0;
    free(log);
    weir->pid = testing_spawn(argv, weir->log);
}

void daemon_start(struct weir *weir, const char *yaml)
{
    char *text;
    ck_assert_int_gt(asprintf(&text, "store: { path: ./store }\nlog: { level: debug }\n%s", yaml), 0);
    testing_write(testing_path(weir->folder, "weir.yaml"), text);
    free(text);
    weir_again(weir);
}

void weir_kill(struct weir *weir)
{
    testing_end(weir->pid, SIGKILL);
    weir->pid = 0;
}

struct weir_wait {
    struct weir *weir;
    const char *text, *found;
    size_t count;
    int status;
};

static bool weir_ended(void *arg)
{
    struct weir_wait *wait = arg;
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)wait->weir->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

int weir_end(struct weir *weir)
{
    struct weir_wait wait = {.weir = weir};
    kit_wait(weir_ended, &wait, "the end of weir");
    int code = testing_end(weir->pid, 0);
    weir->pid = 0;
    return code;
}

int daemon_stop(struct weir *weir)
{
    kill(weir->pid, SIGTERM);
    return weir_end(weir);
}

static bool log_has(void *arg)
{
    struct weir_wait *wait = arg;
    char *log = testing_read(wait->weir->log);
    const char *found = log && strlen(log) >= wait->weir->read ? strstr(log + wait->weir->read, wait->text) : NULL;
    if (found)
        wait->weir->read = (size_t)(found - log) + strlen(wait->text);
    free(log);
    return found != NULL;
}

void weir_says(struct weir *weir, const char *text)
{
    struct weir_wait wait = {.weir = weir, .text = text};
    struct wait pumped = {log_has, &wait};
    bool said = testing_wait(wait_over, &pumped, KIT_WAIT_MS);
    char *log = said ? NULL : testing_read(weir->log);
    ck_assert_msg(said, "weir did not say \"%s\" behind byte %zu of:\n%s", text, weir->read, log);
}

bool weir_said(const struct weir *weir, const char *text)
{
    char *log = testing_read(weir->log);
    bool said = log && strstr(log, text);
    free(log);
    return said;
}

void weir_ready(struct weir *weir)
{
    weir_says(weir, "subscribed to ");
}

size_t weir_lines(const struct weir *weir, const char *line)
{
    char *text = testing_read(weir->file), *rest = text, *each;
    size_t count = 0;
    while (rest && (each = strsep(&rest, "\n")) != NULL)
        count += rest && (!line || strcmp(each, line) == 0); /* what has no newline yet is no line */
    free(text);
    return count;
}

static bool lines_there(void *arg)
{
    const struct weir_wait *wait = arg;
    return weir_lines(wait->weir, NULL) >= wait->count;
}

void weir_wait_lines(struct weir *weir, size_t count)
{
    struct weir_wait wait = {.weir = weir, .count = count};
    kit_wait(lines_there, &wait, "lines in out.txt");
}

char *weir_command(struct weir *weir, const char *command, const char *subcommand)
{
    const char *argv[] = {testing_binary(), command, subcommand, testing_path(weir->folder, "weir.yaml"), NULL};
    char *output;
    int code = testing_command(argv, &output);
    ck_assert_msg(code == 0, "weir %s %s: exit code %d: %s", command, subcommand, code, output);
    return output;
}

const char *weir_to_file(int port, const char *more)
{
    static char yaml[4000];
    int size = snprintf(yaml, sizeof yaml,
                        "sources:\n  in: { type: mqtt, url: \"mqtt://127.0.0.1:%d\", topics: [ \"in/#\" ]%s%s }\n"
                        "sinks:\n  out: { type: file, path: ./out.txt }\n"
                        "routes:\n  - { name: r, from: [ in ], to: out }\n",
                        port, more ? ", " : "", more ? more : "");
    ck_assert_int_lt(size, (int)sizeof yaml);
    return yaml;
}
