/* commit.h: builds the store's transactions and hands out their results.
 *
 * The normal path:
 *   1. Journal blocks, positions with their state, dead letters and changes gather while a transaction is under
 * way.
 *   2. When it ended (or none is), commit_pump asks every flow for what it can commit (ROUTE_FLUSH) and submits all
 * of it: appends in a set that may be refused, the rest in one that may use the reserve. The store commits both as
 * one.
 *   3. Durable: blocks are settled upstream and delivered, tickets go back to their routes, changes are answered.
 * How it fails: no room: the same sets are submitted again every 200 ms, and nothing is lost; a failed commit stops
 * the process with EXIT_COMMIT, and nothing more is settled.
 */
#ifndef WEIR_COMMIT_H
#define WEIR_COMMIT_H

#include "flow.h"
#include "journal.h"
#include "shell.h"

struct committer;
struct committer *committer_new(struct engine *engine);
void committer_drop(struct committer *committer); /* what waits or is under way, when nothing is durable any more */
void committer_free(struct committer *committer);
void committer_close(struct committer *committer);   /* its handles */
void commit_turn(struct engine *engine);             /* once a turn */
void commit_want(struct engine *engine);             /* a transaction should happen, as soon as none is under way */
bool commit_idle(const struct committer *committer); /* nothing under way, nothing waits */
bool commit_busy(const struct committer *committer); /* an answer of the store is still to come */
bool commit_full(const struct committer *committer); /* the last appends were refused for want of room */

/* What goes into the next transaction. */
void commit_no_room(struct engine *engine); /* says it once; sources are asked again when there is room */
struct store_ops *commit_ops(struct engine *engine);
void commit_append(struct engine *engine, struct journal_chunk *chunk);
void commit_ticket(struct link *link, uint64_t ticket, uint64_t low);

#endif
