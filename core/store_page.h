/* store_page.h: one page of an LMDB file (format 1, as LMDB 0.9 writes it on a machine like this one), checked
 * before anything follows its numbers. Pure: bytes in, a finding out.
 *
 * Layout (LMDB 0.9 mdb.c, "Page Format"): header { number u64, pad u16, flags u16, lower u16, upper u16, or for
 * long values the count of pages u32 }, then u16 offsets of nodes up to `lower`; nodes from `upper` to the end,
 * without gaps: { low u16, high u16, flags u16, key size u16, key, data }. In a branch low, high and flags are the
 * child's page number; in a leaf low and high are the size of the data, and the data is the value, the number of
 * its first overflow page, or (in the directory of tables) a `struct page_db`. */
#ifndef WEIR_STORE_PAGE_H
#define WEIR_STORE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base.h"

#define PAGE_HEADER 16
#define PAGE_NODE 8
#define PAGE_NONE UINT64_MAX
#define PAGE_DEPTH_MAX 32
#define PAGE_KEY_MAX 511

enum page_flags { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_LONG = 4, PAGE_META = 8 };
enum page_node_flags { NODE_LONG = 1, NODE_TABLE = 2 };

/* The root of one tree, as it lies in a meta page and in the directory of tables. */
struct page_db {
    uint32_t page_bytes; /* of the first one in a meta page only */
    uint16_t flags, depth;
    uint64_t branches, leaves, longs, entries, root;
};

struct page_meta {
    uint64_t last, txn;
    struct page_db free, main;
};

struct page_node {
    weir_view key;
    unsigned flags;
    uint64_t child; /* branch */
    uint64_t size;  /* leaf: of the value */
    const char *data;
};

/* All return NULL, or what is wrong. */
const char *page_meta_read(const char *page, size_t size, struct page_meta *meta);
void page_db_read(const char *bytes, struct page_db *db);
/* Header, bounds of all nodes, no overlap, no gap. `sizes` is room for page_bytes / 2 numbers. */
const char *page_check(const char *page, size_t page_bytes, uint64_t number, enum page_flags flags,
                       uint16_t *sizes);
size_t page_count(const char *page);
struct page_node page_node(const char *page, size_t index); /* of a checked page */
/* head: the first PAGE_HEADER bytes of a long value's first page. */
const char *page_long_check(const char *head, size_t page_bytes, uint64_t number, uint64_t size, uint64_t *pages);

/* store_meta.c: false, or what is wrong, when the file is too short or cannot be read. */
bool file_read(int fd, void *to, size_t size, uint64_t at);
const char *file_meta_read(int fd, size_t slot, size_t page_bytes, struct page_meta *meta);

#endif
