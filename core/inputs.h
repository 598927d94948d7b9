/* inputs.h: what waits for a route's pure step while that step's actions are being carried out.
 *
 * A ring that grows. The arrays of an input belong to its batch, which lives until the route has seen it; a block
 * is held here. Pure. */
#ifndef WEIR_INPUTS_H
#define WEIR_INPUTS_H

#include "route.h"

struct inputs {
    struct route_input *ring;
    size_t head, count, room;
};

void inputs_fini(struct inputs *inputs);
void inputs_push(struct inputs *inputs, const struct route_input *input);
bool inputs_next(struct inputs *inputs, struct route_input *next); /* who takes it drops its block afterwards */
size_t inputs_events(const struct inputs *inputs);                 /* of the emits that wait */
/* The handle is gone: what was asked of it in the meantime must not reach the route. */
void inputs_forget(struct inputs *inputs, const struct route_shard *shard);

#endif
