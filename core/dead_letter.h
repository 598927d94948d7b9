/* dead_letter.h: dead letters of running routes: made with ROUTE_DEAD, written when their batch is done, taken up
 * again by a replay. A batch that is dropped takes its dead letters with it: its events come again.
 *
 * The normal path of a replay:
 *   1. A record whose replay_asked is set is found by a scan of the table (at start, or when engine_replay was
 * called).
 *   2. It goes into its route at the stage where it failed, with its id, at most REPLAYS_OPEN at once. The record
 * stays.
 *   3. When its batch is done, the record is deleted in the transaction of the next commit; when it fails again, it
 * is written anew with one replay more, so it is one dead letter, never two. A crash before that leaves it asked
 * for. A record whose route or shard is not there now stays as it is; that is logged.
 */
#ifndef WEIR_DEAD_LETTER_H
#define WEIR_DEAD_LETTER_H

#include "flow.h"

#define REPLAYS_OPEN 64

struct replays *replays_new(struct engine *engine);
void replays_free(struct replays *replays);
bool replays_idle(const struct replays *replays);
void replays_turn(struct engine *engine); /* takes up some more; once a turn */

void dead_letter_write(struct flow *flow, const struct route_action *action);
void dead_letters_keep(struct batch *batch); /* the batch is done: into the next transaction */
void dead_replay_take(struct batch *batch);  /* finds what this batch replays */
void dead_replay_done(struct batch *batch);
void dead_replay_dropped(struct batch *batch);
void dead_replays_forget(const struct flow *flow, const struct link *link);

#endif
