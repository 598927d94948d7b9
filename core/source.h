/* source.h: a configured source, its shards, and how its events reach the routes.
 *
 * A replaying source's blocks go straight to its flows; a journaled one's through its journal (journal.h). Credit
 * goes the other way: source_account works out once a turn how much may come now, and says it by `want`. */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include "block.h"
#include "feed.h"
#include "host.h"

struct note {
    struct list node;
    uint64_t position; /* goes into the store with the positions that say that everything up to here is completed */
    size_t size;
    char data[];
};

struct shard {
    struct list node;
    struct source *source;
    char *name, *id_prefix;
    uint64_t name_hash, generation;
    struct link **links; /* [routes of the source] */
    uint64_t last;       /* the last position emitted (replaying) */
    uint64_t settled;    /* told to the source */
    struct list notes;
    bool revoked, lost;
    bool silent; /* the source never got a handle of it */
    size_t links_open;
};

struct source {
    struct instance instance;
    const struct config_source *config;
    const weir_source_ops *ops;
    struct flow **flows;
    size_t flow_count;
    struct list shards;
    struct journal *journal; /* NULL: it replays */
    bool replays, ended, dirty;
    bool emitted;                   /* since the last want */
    size_t said_events, said_bytes; /* the last want */
    size_t told_events, told_bytes; /* what is left of it */
    struct metric *accepted, *refused, *bytes;
};

int source_init(struct source *source, struct engine *engine, const struct config_source *config,
                struct error *error);
void source_free(struct source *source);
int source_start(struct source *source);
void source_account(struct source *source); /* works out credit, says want when it changed */
void source_touch(struct source *source);   /* account soon */
void source_stop(struct source *source);
/* weir_batch.id_less of its events. */
static inline uint32_t source_id_less(const struct source *source)
{
    return source->ops->flags & WEIR_SOURCE_FROM_ZERO ? 1 : 0;
}
/* A route has settled the shard up to `low`: tells the source what all routes have completed. */
void shard_settled(struct shard *shard);
/* The newest note that all routes have completed goes into the transaction that gathers. */
void shard_note(struct shard *shard);
uint64_t shard_low(const struct shard *shard);                          /* the lowest over its routes */
struct shard *source_shard_find(struct source *source, weir_view name); /* NULL: none, or it is revoked */
/* The shard with its links, positions restored. */
int shard_new(struct source *source, weir_view name, uint64_t generation, struct shard **shard);
void shard_free(struct shard *shard);
/* What the peer keeps, against the routes' positions (shard_kept.c). WEIR_OK, WEIR_CLOSED: not to be read. */
int shard_kept(struct shard *shard, weir_resume *resume);
struct link *shard_link(const struct shard *shard, const struct flow *flow);
void shard_link_released(struct shard *shard);

#endif
