/* module: mqtt libs: libmosquitto openssl */
/* suspect.c: see suspect.h. */
#include "suspect.h"

/* FNV-1a, 64 bit (Fowler, Noll, Vo). */
#define HASH_BASIS UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

static uint64_t hash(uint64_t sum, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ ((const unsigned char *)bytes)[i]) * HASH_PRIME;
    return sum;
}

static uint64_t mark_of(const weir_event *event)
{
    uint64_t sum = hash(HASH_BASIS, &event->position, sizeof event->position);
    sum = hash(sum, event->key.data, event->key.size);
    return hash(sum, event->payload.data, event->payload.size);
}

void suspect_lost(struct suspect *suspect, const weir_event *event)
{
    uint64_t mark = mark_of(event);
    suspect->losses = mark == suspect->mark ? suspect->losses + 1 : 1;
    suspect->mark = mark;
}

void suspect_passed(struct suspect *suspect)
{
    suspect->losses = 0;
}

bool suspect_alone(const struct suspect *suspect, const weir_event *event)
{
    return suspect->losses >= SUSPECT_ALONE && suspect->mark == mark_of(event);
}

bool suspect_never(const struct suspect *suspect, const weir_event *event)
{
    return suspect->losses >= SUSPECT_NEVER && suspect->mark == mark_of(event);
}
