/* emit.h: what happens to a block between a source and its routes: overrides of key, id and time; the size limit;
 * the block in memory of a replaying source. */
#ifndef WEIR_EMIT_H
#define WEIR_EMIT_H

#include "block.h"
#include "source.h"

static inline size_t event_bytes(const weir_event *event)
{
    return event->payload.size + event->key.size + event->subject.size + event->id.size;
}

struct source *source_of(const weir_host *host);

/* A copy of the events that are kept, in arena, with the configuration's key:, id: and time: applied. Too large
 * ones, and (with time:) ones whose time cannot be read, are refused: counted and logged. *count: how many are
 * kept. NULL: out of memory. When nothing has to change, the array itself is returned. */
const weir_event *emit_prepare(struct source *source, struct shard *shard, const weir_emit *emit,
                               struct arena *arena, size_t *count);
/* Gives a replaying source's block to every route. */
int emit_replayed(struct shard *shard, weir_emit *emit, size_t bytes);

#endif
