/* suspect.h: an event at which the broker closes the connection, again and again.
 *
 * A broker that cannot say why (MQTT 3.1.1, or one that just closes) would hold the sink for ever: the same event
 * is the first without an acknowledgement each time. Normal path:
 *   1. suspect_lost: a connection ended; the first event in flight is the suspect, and each further time counts.
 *   2. From the SUSPECT_ALONE-th time on it is published alone, so that it is the culprit, or is acquitted.
 *   3. After SUSPECT_NEVER times it can never pass: the sink rejects it.
 *   4. suspect_passed: it was acknowledged after all.
 * A broker that dies just then so many times in a row makes a dead letter of an event that might pass; it is not
 * lost. */
#ifndef WEIR_MQTT_SUSPECT_H
#define WEIR_MQTT_SUSPECT_H

#include <stdbool.h>

#include "weir_plugin.h"

enum { SUSPECT_ALONE = 2, SUSPECT_NEVER = 5 };

struct suspect {
    uint64_t mark; /* of the event: a hash over its bytes and position */
    unsigned losses;
};

void suspect_lost(struct suspect *suspect, const weir_event *event);
void suspect_passed(struct suspect *suspect);
bool suspect_alone(const struct suspect *suspect, const weir_event *event);
bool suspect_never(const struct suspect *suspect, const weir_event *event);

#endif
