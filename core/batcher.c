/* batcher.c: see batcher.h. */
#include "batcher.h"

void batcher_init(struct batcher *batcher, const struct batch_policy *policy)
{
    CHECK(policy->events > 0 && policy->bytes > 0);
    *batcher = (struct batcher){.policy = policy, .limit = policy->events};
}

void batcher_add(struct batcher *batcher, size_t events, size_t bytes)
{
    batcher->events += events;
    batcher->bytes += bytes;
}

void batcher_take(struct batcher *batcher, size_t events, size_t bytes)
{
    CHECK(batcher->events >= events && batcher->bytes >= bytes);
    batcher->events -= events;
    batcher->bytes -= bytes;
}

int64_t batcher_due(const struct batcher *batcher, int64_t oldest_us)
{
    const struct batch_policy *policy = batcher->policy;
    if (policy->wait_us == 0 || batcher->events >= batcher->limit || batcher->bytes >= policy->bytes)
        return INT64_MIN;
    return oldest_us + policy->wait_us;
}

bool batcher_fits(const struct batcher *batcher, size_t taken, size_t size, bool first)
{
    return first || (taken < batcher->policy->bytes && size <= batcher->policy->bytes - taken);
}

void batcher_halve(struct batcher *batcher, size_t count)
{
    batcher->limit = size_max(count / 2, 1);
}

void batcher_keep(struct batcher *batcher, size_t count)
{
    CHECK(count > 0);
    batcher->limit = count;
}

void batcher_grow(struct batcher *batcher)
{
    batcher->limit = size_min(batcher->limit * 2, batcher->policy->events);
}
