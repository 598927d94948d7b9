/* journal_fetch.h: reads chunks back from the store for a route that fell behind. */
#ifndef WEIR_JOURNAL_FETCH_H
#define WEIR_JOURNAL_FETCH_H

#include "journal.h"
#include "journal_block.h"

/* Starts reading what follows the route's cursor, on a helper; one read at a time. What comes is delivered. */
void journal_fetch(struct journal *journal, size_t place);

/* journal.c */
struct journal_chunk *chunk_new(struct journal *journal, size_t size, size_t count, size_t headers);
bool chunk_give(struct journal *journal, size_t place, struct journal_chunk *chunk);
void chunk_leave(struct journal_chunk *chunk); /* only the routes have it from now on */
void journal_keep_recent(struct journal *journal, struct journal_chunk *chunk);

#endif
