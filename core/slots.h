/* slots.h: which call a worker was in when the process died, without a sync.
 *
 * A small memory-mapped file beside the store (`calls`), one 256-byte slot for each worker. Before a call the
 * worker writes its slot, afterwards it clears it; the kernel keeps the page when the process dies. At start the
 * filled slots are read once, then the file begins anew. A torn or foreign slot fails its CRC and is ignored. (A
 * power cut forgets it.) */
#ifndef WEIR_SLOTS_H
#define WEIR_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base.h"
#include "error.h"

struct slot {
    char route[65], source[65];
    uint64_t shard_hash; /* crc32c-based hash of the shard's name: names may be long */
    uint32_t lane;
    uint64_t first, last;
    uint32_t attempt;
    bool suspect; /* one event, alone, because it was in such a call before */
    bool replay;  /* a dead letter on its way again */
};

struct slots;
/* Reads what the last process left: visit for each filled slot; then maps a fresh file for `count` workers. */
int slots_open(struct slots **slots, const char *folder, size_t count,
               void (*visit)(void *arg, const struct slot *slot), void *arg, struct error *error);
void slots_close(struct slots *slots);
void slots_fill(struct slots *slots, size_t worker, const struct slot *slot); /* that worker's thread */
void slots_clear(struct slots *slots, size_t worker);
uint64_t slots_shard_hash(weir_view shard);

#endif
