/* batcher.h: when what waits in one lane is due as a batch, and how many events that batch may have.
 *
 * Due: enough events or bytes, or the oldest has waited long enough. After a failed call the limit is halved until
 * the culprit is alone, and doubles again with each success. Pure: no clock. */
#ifndef WEIR_BATCHER_H
#define WEIR_BATCHER_H

#include "base.h"

struct batch_policy {
    size_t events, bytes; /* of one batch, at most; one event of any size is always allowed */
    int64_t wait_us;      /* 0: take what is there */
};

struct batcher {
    const struct batch_policy *policy;
    size_t limit;         /* events of the next batch */
    size_t events, bytes; /* waiting */
};

void batcher_init(struct batcher *batcher, const struct batch_policy *policy);
void batcher_add(struct batcher *batcher, size_t events, size_t bytes);
void batcher_take(struct batcher *batcher, size_t events, size_t bytes);
/* When a batch is due whose oldest event came at oldest_us: INT64_MIN at once. */
int64_t batcher_due(const struct batcher *batcher, int64_t oldest_us);
/* How much of `size` bytes more fits beside `taken` bytes: an event that is the first always does. */
bool batcher_fits(const struct batcher *batcher, size_t taken, size_t size, bool first);
void batcher_halve(struct batcher *batcher, size_t count); /* a batch of `count` failed: seek the culprit */
void batcher_keep(struct batcher *batcher, size_t count);  /* a batch of `count` failed: the same again */
void batcher_grow(struct batcher *batcher);                /* one succeeded */

#endif
