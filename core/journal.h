/* journal.h: the journal of one source that cannot be replayed.
 *
 * The normal path of an emit:
 *   1. journal_emit numbers the events and writes them into chunks of at most 64 KiB, whose bytes are the records
 * in the store.
 *   2. commit.c puts the chunks into the next transaction; journal_durable after it: the source is told (settle),
 * the chunk goes to every route that is right at it and has room.
 *   3. A route without room falls behind; when it has room again it gets what follows from the chunks still in
 * memory, or a helper reads them back from the store.
 *   4. Whole chunks are deleted once every route has settled them.
 * How it fails: no room in the store: chunks wait, `want` is 0; damage: the sound events of a chunk are served, the
 * others counted, logged and quarantined.
 */
#ifndef WEIR_JOURNAL_H
#define WEIR_JOURNAL_H

#include "borrow.h"
#include "feed.h"
#include "source.h"

struct journal_chunk {
    struct list node;
    struct lent lent;
    struct journal *journal;
    uint64_t first, last;
    void *bytes;
    size_t size;
    weir_event *events;
    bool durable, settles; /* the last chunk of its emit */
    uint64_t settle_first, settle_last;
    weir_view note;
};

#define JOURNAL_DAMAGE_TOLD 64

struct journal {
    struct source *source;
    struct shard *shard; /* its only one */
    struct feed feed;
    uint64_t next, trimmed;
    struct list recent; /* durable chunks in memory, ascending */
    size_t recent_bytes, recent_count, waiting_bytes;
    struct store_reader *reader;
    bool fetching;
    uint64_t told[JOURNAL_DAMAGE_TOLD]; /* damaged events last counted; belongs to the fetch that is under way */
    size_t told_count;
    uint64_t held_bytes; /* about: appended and not yet trimmed */
    struct metric *lag, *damaged, *gaps;
};

int journal_new(struct source *source, struct journal **journal);
void journal_free(struct journal *journal);
int journal_open(struct journal *journal, struct shard *shard); /* restores numbering; links are open */
int journal_emit(struct journal *journal, weir_emit *emit);
void journal_durable(struct journal_chunk *chunk);
void journal_deliver(struct journal *journal); /* gives every route what it has room for */
void journal_settled(struct journal *journal, size_t place, uint64_t low);
/* About how many bytes are kept because that route has not completed them; and whether it may hold no more. */
uint64_t journal_holds(const struct journal *journal, size_t place);
bool journal_blocked_by(const struct journal *journal, size_t place);
size_t journal_room(const struct journal *journal); /* bytes that may be emitted now */

#endif
