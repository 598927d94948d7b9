/* store_page.c: see store_page.h. LMDB stores numbers in the machine's own order; so they are read. */
#include "store_page.h"

#define META_MAGIC 0xbeefc0deu
#define META_VERSION 1u
#define META_BYTES (PAGE_HEADER + 136)
#define DB_BYTES 48
#define FREE_FLAGS 8u /* MDB_INTEGERKEY */

static uint16_t read16(const char *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t read32(const char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t read64(const char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

void page_db_read(const char *bytes, struct page_db *db)
{
    db->page_bytes = read32(bytes);
    db->flags = read16(bytes + 4);
    db->depth = read16(bytes + 6);
    db->branches = read64(bytes + 8);
    db->leaves = read64(bytes + 16);
    db->longs = read64(bytes + 24);
    db->entries = read64(bytes + 32);
    db->root = read64(bytes + 40);
}

/* Magic, version, address, map size, two trees, last page, transaction. */
const char *page_meta_read(const char *page, size_t size, struct page_meta *meta)
{
    const char *body = page + PAGE_HEADER;

    if (size < META_BYTES)
        return "data.mdb is cut off in its first pages";
    if (read16(page + 10) != PAGE_META || read32(body) != META_MAGIC)
        return "data.mdb does not begin like an LMDB file";
    if (read32(body + 4) != META_VERSION)
        return "data.mdb has an unknown LMDB format version";
    page_db_read(body + 24, &meta->free);
    page_db_read(body + 24 + DB_BYTES, &meta->main);
    meta->last = read64(body + 24 + 2 * DB_BYTES);
    meta->txn = read64(body + 32 + 2 * DB_BYTES);
    if (meta->free.page_bytes < 512 || meta->free.page_bytes > 32768 ||
        (meta->free.page_bytes & (meta->free.page_bytes - 1)) != 0)
        return "data.mdb has an impossible page size";
    if (meta->free.flags != FREE_FLAGS || meta->main.flags != 0)
        return "data.mdb has unknown flags";
    return NULL;
}

size_t page_count(const char *page)
{
    return (size_t)(read16(page + 12) - PAGE_HEADER) / 2;
}

struct page_node page_node(const char *page, size_t index)
{
    const char *at = page + read16(page + PAGE_HEADER + 2 * index);
    uint64_t low = read16(at), high = read16(at + 2), flags = read16(at + 4);
    struct page_node node = {.flags = (unsigned)flags, .size = low | high << 16};

    node.child = node.size | flags << 32;
    node.key = view_make(at + PAGE_NODE, read16(at + 6));
    node.data = node.key.data + node.key.size;
    return node;
}

/* Bytes of a node on its page, or 0 when it does not fit there. */
static size_t node_bytes(const char *page, size_t page_bytes, size_t offset, bool leaf)
{
    size_t room = page_bytes - offset, bytes = PAGE_NODE;
    uint64_t size;

    if (room < PAGE_NODE)
        return 0;
    bytes += read16(page + offset + 6);
    size = read16(page + offset) | (uint64_t)read16(page + offset + 2) << 16;
    if (leaf)
        bytes += read16(page + offset + 4) & NODE_LONG ? sizeof(uint64_t) : size;
    bytes += bytes & 1;
    return bytes <= room ? bytes : 0;
}

/* Each node's size is noted where it begins; then the notes must lead from `upper` to the page's end, and meet
 * every node once. */
static const char *nodes_check(const char *page, size_t page_bytes, bool leaf, uint16_t *sizes)
{
    size_t upper = read16(page + 14), count = page_count(page), met = 0;

    memset(sizes, 0, page_bytes / 2 * sizeof *sizes);
    for (size_t i = 0; i < count; i++) {
        size_t offset = read16(page + PAGE_HEADER + 2 * i);
        size_t bytes = offset < upper || offset > page_bytes || (offset & 1) != 0
                           ? 0
                           : node_bytes(page, page_bytes, offset, leaf);

        if (bytes == 0)
            return "a record lies outside its page";
        sizes[offset / 2] = (uint16_t)bytes;
    }
    for (size_t at = upper; at < page_bytes && sizes[at / 2] != 0; at += sizes[at / 2]) {
        met++;
        upper = at + sizes[at / 2];
    }
    return met == count && upper == page_bytes ? NULL : "the records of a page overlap";
}

const char *page_check(const char *page, size_t page_bytes, uint64_t number, enum page_flags flags, uint16_t *sizes)
{
    size_t lower = read16(page + 12), upper = read16(page + 14);

    if (read64(page) != number)
        return "a page has another page's number";
    if (read16(page + 10) != flags)
        return "a page is of the wrong kind";
    if (lower < PAGE_HEADER || lower > upper || upper > page_bytes || (lower & 1) != 0 || (upper & 1) != 0)
        return "a page has impossible bounds";
    if (lower == PAGE_HEADER)
        return "a page is empty";
    return nodes_check(page, page_bytes, flags == PAGE_LEAF, sizes);
}

const char *page_long_check(const char *head, size_t page_bytes, uint64_t number, uint64_t size, uint64_t *pages)
{
    *pages = read32(head + 12);
    if (read64(head) != number || read16(head + 10) != PAGE_LONG)
        return "a long value's page is not one";
    if (*pages < (PAGE_HEADER - 1 + size) / page_bytes + 1)
        return "a long value has too few pages";
    return NULL;
}
