/* journal_block.h: the bytes of one journal block: events of one source, dense positions, a CRC32C for each.
 *
 * The block in memory is the record on disk: the events that routes are given point into it, and the same bytes go
 * to the store. Layout, little-endian: header { magic u32, version u8, flags u8, reserved u16, count u32, bytes
 * u32, first u64, crc of the header u32, reserved u32 }, then for each event { size u32, crc u32 (over the rest,
 * chained with its position), time i64, lengths with an absent mark for key, subject, id, payload, header count,
 * headers, bytes }. 8-byte aligned. A damaged event is left out and reported; the others are served. */
#ifndef WEIR_JOURNAL_BLOCK_H
#define WEIR_JOURNAL_BLOCK_H

#include "arena.h"
#include "weir.h"

#define JOURNAL_BLOCK_BYTES 65536 /* a block is cut here; one larger event makes a block of its own */

/* Bytes that the event takes in a block. */
size_t journal_event_bytes(const weir_event *event);
#define JOURNAL_HEADER_BYTES 32

/* Writes a block of `count` events numbered from `first` at `to`, which has room for JOURNAL_HEADER_BYTES + the sum
 * of journal_event_bytes. events_out[count] (may be NULL) become views into `to`, with positions. Returns the bytes
 * written. */
size_t journal_block_write(void *to, uint64_t first, const weir_event *events, size_t count, weir_event *events_out,
                           weir_header *headers_out);

struct journal_block_info {
    uint64_t first;
    size_t count;        /* events in the block */
    size_t header_count; /* over all events */
};
/* Reads the header. WEIR_OK, WEIR_DAMAGED, WEIR_NEWER. */
int journal_block_info(weir_view block, struct journal_block_info *info);
/* Reads all events as views into `block`: events[info.count], headers[info.header_count]. Returns how many are
 * sound; damaged(arg, position, what) is called for each that is not. */
typedef void journal_damaged(void *arg, uint64_t position, const char *what);
size_t journal_block_read(weir_view block, weir_event *events, weir_header *headers, journal_damaged *damaged,
                          void *arg);

#endif
