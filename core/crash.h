/* crash.h: what the last process was in when it ended, by its slots. */
#ifndef WEIR_CRASH_H
#define WEIR_CRASH_H

#include "flow.h"

/* Makes it durable attempts of those positions, before the link's suspects are read. */
int crash_attempts(struct link *link);
/* It ended while the dead letter of that position was on its way again; said once. */
bool crash_replayed(const struct link *link, uint64_t position);

#endif
