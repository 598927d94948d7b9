/* retry.h: when to try again: exponential backoff with full jitter.
 *
 * The delay before attempt n + 1 is uniform in [1 ms, min(cap, base * 2^(n-1))], after "Exponential Backoff And
 * Jitter" (AWS Architecture Blog, 2015). Pure. */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include "base.h"

struct retry_policy {
    uint32_t attempts; /* 0: for ever */
    int64_t base_us, cap_us;
};

/* attempt: how many have failed, from 1. */
int64_t retry_delay(const struct retry_policy *policy, uint32_t attempt, struct random *random);

#endif
