/* mqtt_wire_kit.c: a listener that stands before a broker, or plays one. See mqtt_kit.h. Packets: MQTT 5 §2.1.
 */
#include <stdlib.h>
#include <string.h>

#include "mqtt_kit.h"

enum { CONNECT = 1, CONNACK, PUBLISH, PUBACK, SUBSCRIBE = 8, SUBACK, PINGREQ = 12 };

/* One connection: the client's side, and the broker's when there is a broker. */
struct side {
    uv_tcp_t stream; /* first */
    struct link *link;
    unsigned char *bytes; /* not yet a whole packet */
    size_t used;
    bool client, open;
};

struct link {
    struct link *next;
    struct wire *wire;
    struct side client, broker;
    uv_connect_t connect;
    unsigned char *early; /* from the client, before the broker answered */
    size_t early_size;
    bool joined;
};

struct wire_parts {
    uv_tcp_t listener;
    struct link *links;
    bool stopped;
    int mid;
};

struct sending {
    uv_write_t request;
    char bytes[];
};

static void sent(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void side_send(struct side *side, const void *bytes, size_t size)
{
    struct sending *sending = malloc(sizeof *sending + size);
    ck_assert_ptr_nonnull(sending);
    if (size)
        memcpy(sending->bytes, bytes, size);
    uv_buf_t buffer = uv_buf_init(sending->bytes, (unsigned)size);
    if (!side->open || uv_write(&sending->request, (uv_stream_t *)&side->stream, &buffer, 1, sent) != 0)
        free(sending);
}

static void side_close(struct side *side)
{
    if (!side->open)
        return;
    side->open = false;
    if (side->client)
        side->link->wire->open--;
    uv_close((uv_handle_t *)&side->stream, NULL);
}

static void link_close(struct link *link)
{
    side_close(&link->client);
    side_close(&link->broker);
}

/* Playing the broker. */

static void play_puback(struct wire *wire, struct side *side, const unsigned char *packet, size_t skip)
{
    size_t topic = (size_t)packet[skip] << 8 | packet[skip + 1];
    const unsigned char *mid = packet + skip + 2 + topic;
    int code = (int)wire->packets[PUBLISH] <= wire->puback_after ? 0 : wire->puback;
    unsigned char answer[] = {PUBACK << 4, 3, mid[0], mid[1], (unsigned char)code};
    if (wire->version == 3)
        answer[1] = 2;
    if (((packet[0] >> 1) & 3) == 1 && code >= 0)
        side_send(side, answer, (size_t)answer[1] + 2);
}

static void play_suback(struct wire *wire, struct side *side, const unsigned char *mid)
{
    unsigned char answer[] = {SUBACK << 4, 4, mid[0], mid[1], 0, (unsigned char)wire->suback};
    if (wire->version == 3) {
        answer[1] = 3;
        answer[4] = (unsigned char)wire->suback;
    }
    side_send(side, answer, (size_t)answer[1] + 2);
}

static void play(struct wire *wire, struct side *side, const unsigned char *packet, size_t skip)
{
    unsigned char connack[] = {CONNACK << 4, 3, (unsigned char)wire->session_present, (unsigned char)wire->connack,
                               0};
    unsigned char pong[] = {13 << 4, 0};
    if (wire->version == 3)
        connack[1] = 2;
    if (packet[0] >> 4 == CONNECT && wire->connack >= 0)
        side_send(side, connack, (size_t)connack[1] + 2);
    else if (packet[0] >> 4 == SUBSCRIBE && wire->suback >= 0)
        play_suback(wire, side, packet + skip);
    else if (packet[0] >> 4 == PINGREQ && !wire->mute)
        side_send(side, pong, sizeof pong);
    else if (packet[0] >> 4 == PUBLISH)
        play_puback(wire, side, packet, skip);
}

/* Taking packets apart. */

static void packet_seen(struct side *side, const unsigned char *packet, size_t skip, size_t size)
{
    struct wire *wire = side->link->wire;
    if (!side->client) {
        wire->duplicates += packet[0] >> 4 == PUBLISH && (packet[0] & 8);
        return;
    }
    wire->packets[packet[0] >> 4]++;
    if (packet[0] >> 4 == CONNECT) {
        wire->connect_size = size < sizeof wire->connect ? size : sizeof wire->connect;
        memcpy(wire->connect, packet, wire->connect_size);
    }
    if (!wire->broker_port)
        play(wire, side, packet, skip);
}

/* The size of the packet at `bytes`, 0 while it is not whole; *skip: of its fixed header. */
static size_t packet_size(const unsigned char *bytes, size_t used, size_t *skip)
{
    size_t size = 0;
    for (size_t i = 1; i < used && i <= 4; i++) {
        size |= (size_t)(bytes[i] & 127) << (7 * (i - 1));
        *skip = i + 1;
        if (!(bytes[i] & 128))
            return used >= *skip + size ? *skip + size : 0;
    }
    return 0;
}

static void bytes_seen(struct side *side, const char *bytes, size_t count)
{
    size_t at = 0, skip, size;
    side->bytes = realloc(side->bytes, side->used + count);
    ck_assert_ptr_nonnull(side->bytes);
    memcpy(side->bytes + side->used, bytes, count);
    side->used += count;
    while ((size = packet_size(side->bytes + at, side->used - at, &skip)) != 0) {
        packet_seen(side, side->bytes + at, skip, size);
        at += size;
    }
    side->used -= at;
    memmove(side->bytes, side->bytes + at, side->used);
}

static void side_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void side_pass(struct side *side, const char *bytes, size_t size)
{
    struct link *link = side->link;
    if (!side->client) {
        side_send(&link->client, bytes, size);
    } else if (link->joined) {
        side_send(&link->broker, bytes, size);
    } else if (link->wire->broker_port) {
        link->early = realloc(link->early, link->early_size + size);
        ck_assert_ptr_nonnull(link->early);
        memcpy(link->early + link->early_size, bytes, size);
        link->early_size += size;
    }
}

static void side_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct side *side = (struct side *)stream;
    if (got < 0)
        link_close(side->link);
    if (got > 0) {
        bytes_seen(side, buffer->base, (size_t)got);
        side_pass(side, buffer->base, (size_t)got);
    }
    free(buffer->base);
}

static void broker_joined(uv_connect_t *connect, int status)
{
    struct link *link = connect->data;
    if (status == UV_ECANCELED)
        return;
    if (status != 0) {
        link_close(link);
        return;
    }
    link->joined = true;
    side_send(&link->broker, link->early, link->early_size);
    uv_read_start((uv_stream_t *)&link->broker.stream, side_room, side_read);
}

static void link_join(struct link *link)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", link->wire->broker_port, &address);
    uv_tcp_init(kit_loop(), &link->broker.stream);
    link->broker.open = true;
    link->connect.data = link;
    uv_tcp_connect(&link->connect, &link->broker.stream, (struct sockaddr *)&address, broker_joined);
}

static void link_new(uv_stream_t *listener, int status)
{
    struct wire *wire = listener->data;
    struct link *link = calloc(1, sizeof *link);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(link);
    link->wire = wire;
    link->next = wire->parts->links;
    wire->parts->links = link;
    link->client.link = link->broker.link = link;
    link->client.client = link->client.open = true;
    uv_tcp_init(kit_loop(), &link->client.stream);
    ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&link->client.stream), 0);
    uv_tcp_nodelay(&link->client.stream, 1);
    wire->connections++;
    wire->open++;
    if (wire->parts->stopped) {
        link_close(link);
        return;
    }
    if (wire->broker_port)
        link_join(link);
    uv_read_start((uv_stream_t *)&link->client.stream, side_room, side_read);
}

struct wire *wire_new(int broker_port)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct sockaddr_in address;
    int size = sizeof address;
    ck_assert_ptr_nonnull(wire);
    wire->parts = calloc(1, sizeof *wire->parts);
    ck_assert_ptr_nonnull(wire->parts);
    wire->broker_port = broker_port;
    wire->version = 5;
    wire->suback = 1;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(kit_loop(), &wire->parts->listener);
    wire->parts->listener.data = wire;
    ck_assert_int_eq(uv_tcp_bind(&wire->parts->listener, (struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&wire->parts->listener, 16, link_new), 0);
    ck_assert_int_eq(uv_tcp_getsockname(&wire->parts->listener, (struct sockaddr *)&address, &size), 0);
    wire->port = ntohs(address.sin_port);
    return wire;
}

void wire_raw(struct wire *wire, const void *bytes, size_t size)
{
    ck_assert_ptr_nonnull(wire->parts->links);
    side_send(&wire->parts->links->client, bytes, size); /* the newest */
}

void wire_publish(struct wire *wire, const char *topic, const char *payload, int qos)
{
    unsigned char packet[128];
    size_t topic_size = strlen(topic), size = strlen(payload), at = 0;
    size_t rest = 2 + topic_size + (qos ? 2 : 0) + (wire->version == 5) + size;
    ck_assert_uint_lt(rest, 100);
    packet[at++] = (unsigned char)(PUBLISH << 4 | qos << 1);
    packet[at++] = (unsigned char)rest;
    packet[at++] = 0;
    packet[at++] = (unsigned char)topic_size;
    memcpy(packet + at, topic, topic_size);
    at += topic_size;
    if (qos) {
        packet[at++] = 0;
        packet[at++] = (unsigned char)++wire->parts->mid;
    }
    if (wire->version == 5)
        packet[at++] = 0;
    memcpy(packet + at, payload, size);
    wire_raw(wire, packet, at + size);
}

void wire_cut(struct wire *wire)
{
    for (struct link *link = wire->parts->links; link; link = link->next)
        link_close(link);
}

void wire_stop(struct wire *wire, bool stop)
{
    wire->parts->stopped = stop;
    if (stop)
        wire_cut(wire);
}
