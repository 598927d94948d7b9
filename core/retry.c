/* retry.c: see retry.h. */
#include "retry.h"

enum { DELAY_MIN_US = 1000 };

int64_t retry_delay(const struct retry_policy *policy, uint32_t attempt, struct random *random)
{
    int64_t cap = policy->cap_us > DELAY_MIN_US ? policy->cap_us : DELAY_MIN_US;
    int64_t bound = policy->base_us > DELAY_MIN_US ? time_min(policy->base_us, cap) : DELAY_MIN_US;
    for (uint32_t i = 1; i < attempt && bound < cap; i++)
        bound = bound > cap / 2 ? cap : bound * 2;
    return DELAY_MIN_US + (int64_t)random_below(random, (uint64_t)(bound - DELAY_MIN_US) + 1);
}
