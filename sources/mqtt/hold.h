/* hold.h: the messages of one read cycle, copied into memory that is used again and again. */
#ifndef WEIR_MQTT_HOLD_H
#define WEIR_MQTT_HOLD_H

#include "weir_plugin.h"

struct held_message;
struct held_header;

struct hold {
    char *bytes;
    size_t used, room;
    size_t credit; /* that its messages take, as `want` counts them: the topic is key and subject */
    struct held_message *messages;
    weir_event *events;
    size_t count, messages_room;
    struct held_header *marks;
    weir_header *headers;
    size_t header_count, headers_room;
    size_t open_headers; /* added since the last message: they belong to the next */
};

/* Copies. 0: out of memory; what was added before stays. Headers come before their message. */
int hold_header(struct hold *hold, weir_view name, weir_view value);
int hold_message(struct hold *hold, weir_view topic, weir_view payload);
/* All messages as events (key = subject = topic) with this time; valid until the next call for this hold. */
const weir_event *hold_events(struct hold *hold, int64_t time_us);
void hold_clear(struct hold *hold);
void hold_fini(struct hold *hold);

#endif
