/* store_tree.c: is the structure of an LMDB file sound? Asked before LMDB may walk it, since it trusts what it
 * finds: a flipped bit would end in a crash, or in sound records being overwritten.
 *
 *   1. The meta page of the snapshot gives the roots of two trees: the free list and the directory of tables.
 *   2. Each tree is walked from its root: every page is what its parent says, every node lies inside its page, keys
 *      ascend and stay between the parent's, long values have their pages, no page is used twice.
 *   3. Each record's header is compared with its key, and its checksum with its value where that lies in the page;
 *      a mismatch is a damaged record, which is reported, not a damaged structure.
 *   4. The free list names only pages that nothing uses, and its newest entry is of the snapshot's transaction, so
 *      that an old meta page cannot pass as the newest.
 *
 * The snapshot is held by a read transaction of the caller, so none of its pages changes meanwhile. Of leaf pages
 * and long values at most leaves_max are read; branches all. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store_page.h"
#include "store_private.h"

#define TABLES_MAX 32
#define DB_BYTES 48

struct named_db {
    enum store_table table; /* TABLE_COUNT: none of ours */
    struct page_db db;
};

enum tree_kind { TREE_DIRECTORY, TREE_TABLE, TREE_FREE };

struct walk {
    struct tree_check *check;
    struct page_meta meta;
    size_t page_bytes;
    uint64_t file_bytes;
    uint8_t *used;               /* a bit for each page */
    uint16_t *sizes;             /* scratch of page_check */
    char *pages[PAGE_DEPTH_MAX]; /* one page for each level that is being walked */
    struct named_db dbs[TABLES_MAX];
    size_t db_count;
    uint64_t leaves_left;
    /* The tree that is being walked. */
    enum tree_kind kind;
    enum store_table table;
    uint16_t depth;
    uint64_t entries, newest_free;
    bool partial;
};

static int walk_damaged(struct walk *walk, uint64_t number, const char *what)
{
    const char *tree = walk->kind == TREE_FREE        ? "the free list"
                       : walk->kind == TREE_DIRECTORY ? "the directory of tables"
                                                      : store_table_name(walk->table);

    snprintf(walk->check->what, sizeof walk->check->what, "%s (%s, page %" PRIu64 ")", what, tree, number);
    return WEIR_DAMAGED;
}

/* Notes that pages [number, number + count) are used, each once. */
static int pages_use(struct walk *walk, uint64_t number, uint64_t count)
{
    if (number < 2 || number > walk->meta.last || count > walk->meta.last - number + 1)
        return walk_damaged(walk, number, "a page number beyond the end");
    for (uint64_t i = number; i < number + count; i++) {
        if (walk->used[i / 8] & 1u << i % 8)
            return walk_damaged(walk, i, "a page is used twice");
        walk->used[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return WEIR_OK;
}

static bool walk_spent(struct walk *walk)
{
    if (walk->leaves_left == 0) {
        walk->partial = true;
        return true;
    }
    walk->leaves_left--;
    return false;
}

static void record_judge(struct walk *walk, const struct page_node *node, const char *head)
{
    weir_view payload;
    const char *what;

    if (walk->table == TABLE_COUNT)
        return;
    if (node->size < RECORD_HEADER_BYTES)
        what = "shorter than its header";
    else if (node->flags & NODE_LONG)
        what = record_peek(walk->table, node->key, head);
    else
        what = record_read(walk->table, node->key, view_make(node->data, node->size), &payload);
    if (what)
        walk->check->suspect(walk->check->arg, walk->table, node->key, what);
}

/* Reading past the file's end through LMDB's map would be a crash. */
static int long_there(struct walk *walk, const struct page_node *node, uint64_t number)
{
    if (number < 2 || number > walk->meta.last)
        return walk_damaged(walk, number, "a page number beyond the end");
    if (number * walk->page_bytes + PAGE_HEADER + node->size > walk->file_bytes)
        return walk_damaged(walk, number, "data.mdb is cut off before this value's end");
    return WEIR_OK;
}

/* A long value: its first page's header, and the record's header behind it. */
static int long_check(struct walk *walk, const struct page_node *node, uint64_t number)
{
    char head[PAGE_HEADER + RECORD_HEADER_BYTES];
    const char *what;
    uint64_t pages;
    int result = long_there(walk, node, number);

    if (result != WEIR_OK)
        return result;
    if (!file_read(walk->check->fd, head, sizeof head, number * walk->page_bytes))
        return walk_damaged(walk, number, "data.mdb is cut off before this page");
    what = page_long_check(head, walk->page_bytes, number, node->size, &pages);
    if (what)
        return walk_damaged(walk, number, what);
    result = pages_use(walk, number, pages);
    if (result == WEIR_OK && walk->kind == TREE_TABLE)
        record_judge(walk, node, head + PAGE_HEADER);
    return result;
}

static enum store_table table_named(weir_view name)
{
    int table = 0;

    while (table < TABLE_COUNT && !view_is(name, store_table_name((enum store_table)table)))
        table++;
    return (enum store_table)table;
}

static int directory_node(struct walk *walk, const struct page_node *node, uint64_t number)
{
    struct named_db *named = &walk->dbs[walk->db_count];

    if (node->flags != NODE_TABLE || node->size != DB_BYTES || walk->db_count == TABLES_MAX)
        return walk_damaged(walk, number, "not a table's entry");
    walk->db_count++;
    named->table = table_named(node->key);
    page_db_read(node->data, &named->db);
    if (named->db.flags != 0)
        return walk_damaged(walk, number, "a table with unknown flags");
    return WEIR_OK;
}

static int table_node(struct walk *walk, const struct page_node *node, uint64_t number)
{
    uint64_t first;

    if ((node->flags & ~(unsigned)NODE_LONG) != 0)
        return walk_damaged(walk, number, "a record with unknown flags");
    if (!(node->flags & NODE_LONG)) {
        record_judge(walk, node, NULL);
        return WEIR_OK;
    }
    memcpy(&first, node->data, sizeof first);
    return walk_spent(walk) ? long_there(walk, node, first) : long_check(walk, node, first);
}

/* A list of free pages: its length, then their numbers descending. */
static int free_list_check(struct walk *walk, const char *list, uint64_t size, uint64_t number)
{
    uint64_t count, before = UINT64_MAX, page;
    int result = WEIR_OK;

    memcpy(&count, list, sizeof count);
    if (count > size / 8 - 1)
        return walk_damaged(walk, number, "a list of free pages is longer than its record");
    for (uint64_t i = 1; result == WEIR_OK && i <= count; i++) {
        memcpy(&page, list + 8 * i, sizeof page);
        if (page >= before)
            return walk_damaged(walk, number, "a list of free pages is not in order");
        before = page;
        result = pages_use(walk, page, 1);
    }
    return result;
}

static int free_long(struct walk *walk, const struct page_node *node)
{
    uint64_t first;
    char *list;
    int result;

    memcpy(&first, node->data, sizeof first);
    result = long_check(walk, node, first);
    if (result != WEIR_OK)
        return result;
    list = malloc(node->size);
    if (!list)
        return WEIR_NOMEM;
    if (file_read(walk->check->fd, list, node->size, first * walk->page_bytes + PAGE_HEADER))
        result = free_list_check(walk, list, node->size, first);
    else
        result = walk_damaged(walk, first, "data.mdb is cut off before this page");
    free(list);
    return result;
}

static int free_node(struct walk *walk, const struct page_node *node, uint64_t number)
{
    if ((node->flags & ~(unsigned)NODE_LONG) != 0 || node->key.size != 8 || node->size < 8)
        return walk_damaged(walk, number, "not a list of free pages");
    memcpy(&walk->newest_free, node->key.data, 8);
    if (node->flags & NODE_LONG)
        return free_long(walk, node);
    return free_list_check(walk, node->data, node->size, number);
}

static int leaf_node(struct walk *walk, const struct page_node *node, uint64_t number)
{
    walk->entries++;
    switch (walk->kind) {
    case TREE_DIRECTORY:
        return directory_node(walk, node, number);
    case TREE_TABLE:
        return table_node(walk, node, number);
    default:
        return free_node(walk, node, number);
    }
}

static int key_compare(const struct walk *walk, weir_view a, weir_view b)
{
    uint64_t left, right;
    int order;

    if (walk->kind == TREE_FREE && a.size == 8 && b.size == 8) {
        memcpy(&left, a.data, 8);
        memcpy(&right, b.data, 8);
        return (left > right) - (left < right);
    }
    order = memcmp(a.data, b.data, size_min(a.size, b.size));
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* What a subtree lies between: from <= keys < to; absent: no bound. */
struct span {
    weir_view from, to;
};

/* The first key of a branch stands for everything below and is not looked at. */
static int keys_check(struct walk *walk, const char *page, uint64_t number, struct span span, bool leaf)
{
    weir_view before = span.from;
    bool equal_fits = true;

    for (size_t i = leaf ? 0 : 1; i < page_count(page); i++) {
        weir_view key = page_node(page, i).key;
        int order = before.data ? key_compare(walk, before, key) : -1;

        if (key.size == 0 || key.size > PAGE_KEY_MAX)
            return walk_damaged(walk, number, "a key of impossible length");
        if (order > 0 || (order == 0 && !(leaf && equal_fits)) ||
            (span.to.data && key_compare(walk, key, span.to) >= 0))
            return walk_damaged(walk, number, "keys are not in order");
        before = key;
        equal_fits = false;
    }
    return WEIR_OK;
}

static int page_load(struct walk *walk, uint64_t number, int level, struct span span)
{
    bool leaf = level == walk->depth - 1;
    char *page = walk->pages[level];
    const char *what;
    int result = pages_use(walk, number, 1);

    if (result != WEIR_OK)
        return result;
    if (!file_read(walk->check->fd, page, walk->page_bytes, number * walk->page_bytes))
        return walk_damaged(walk, number, "data.mdb is cut off before this page");
    what = page_check(page, walk->page_bytes, number, leaf ? PAGE_LEAF : PAGE_BRANCH, walk->sizes);
    if (!what && !leaf && walk->kind != TREE_FREE && page_count(page) < 2)
        what = "a branch with one child";
    return what ? walk_damaged(walk, number, what) : keys_check(walk, page, number, span, leaf);
}

static int page_walk(struct walk *walk, uint64_t number, int level, struct span span)
{
    char *page = walk->pages[level];
    bool leaf = level == walk->depth - 1;
    int result;

    if (leaf && walk->kind == TREE_TABLE && walk_spent(walk))
        return pages_use(walk, number, 1);
    result = page_load(walk, number, level, span);
    for (size_t i = 0; result == WEIR_OK && i < page_count(page); i++) {
        struct page_node node = page_node(page, i);
        struct span below = {i == 0 ? span.from : node.key,
                             i + 1 < page_count(page) ? page_node(page, i + 1).key : span.to};

        result = leaf ? leaf_node(walk, &node, number) : page_walk(walk, node.child, level + 1, below);
    }
    return result;
}

static int tree_walk(struct walk *walk, enum tree_kind kind, enum store_table table, const struct page_db *db)
{
    struct span all = {{0}, {0}};
    int result = WEIR_OK;

    walk->kind = kind;
    walk->table = table;
    walk->depth = db->depth;
    walk->entries = 0;
    walk->partial = false;
    if (db->depth > PAGE_DEPTH_MAX || (db->root == PAGE_NONE) != (db->depth == 0))
        return walk_damaged(walk, db->root, "a tree of impossible depth");
    if (db->root != PAGE_NONE)
        result = page_walk(walk, db->root, 0, all);
    if (result == WEIR_OK && !walk->partial && walk->entries != db->entries)
        return walk_damaged(walk, db->root, "the count of records does not match");
    return result;
}

/* The small tables first: when leaves_max is spent, it is on those that are large. */
static int tables_walk(struct walk *walk)
{
    static const enum store_table order[] = {TABLE_META,    TABLE_POSITION, TABLE_NOTE,       TABLE_SCOPE,
                                             TABLE_ATTEMPT, TABLE_JOURNAL,  TABLE_QUARANTINE, TABLE_DEAD,
                                             TABLE_STATE,   TABLE_COUNT};
    int result = WEIR_OK;

    for (size_t i = 0; i < ARRAY_COUNT(order); i++)
        for (size_t j = 0; result == WEIR_OK && j < walk->db_count; j++)
            if (walk->dbs[j].table == order[i])
                result = tree_walk(walk, TREE_TABLE, order[i], &walk->dbs[j].db);
    return result;
}

static int snapshot_walk(struct walk *walk)
{
    int result = tree_walk(walk, TREE_DIRECTORY, TABLE_COUNT, &walk->meta.main);

    if (result == WEIR_OK)
        result = tables_walk(walk);
    if (result == WEIR_OK)
        result = tree_walk(walk, TREE_FREE, TABLE_COUNT, &walk->meta.free);
    if (result == WEIR_OK && walk->meta.txn > 1 && walk->newest_free != walk->meta.txn)
        return walk_damaged(walk, walk->meta.txn & 1, "the meta page is not of the transaction that it names");
    return result;
}

static bool walk_alloc(struct walk *walk)
{
    bool ok;

    walk->used = calloc(1, walk->meta.last / 8 + 1);
    walk->sizes = malloc(walk->page_bytes / 2 * sizeof *walk->sizes);
    ok = walk->used && walk->sizes;
    for (int i = 0; ok && i < PAGE_DEPTH_MAX; i++) {
        walk->pages[i] = malloc(walk->page_bytes);
        ok = walk->pages[i] != NULL;
    }
    return ok;
}

static void walk_free(struct walk *walk)
{
    for (int i = 0; i < PAGE_DEPTH_MAX; i++)
        free(walk->pages[i]);
    free(walk->sizes);
    free(walk->used);
}

int tree_check(struct tree_check *check)
{
    struct walk walk = {.check = check, .leaves_left = check->leaves_max};
    const char *what = file_meta_read(check->fd, 0, 0, &walk.meta);
    struct stat file = {.st_size = 0};
    int result;

    walk.page_bytes = walk.meta.free.page_bytes;

    if (!what)
        what = file_meta_read(check->fd, check->txn & 1, walk.page_bytes, &walk.meta);
    snprintf(check->what, sizeof check->what, "%s", what ? what : "the store changes too fast");
    if (what)
        return WEIR_DAMAGED;
    if (walk.meta.txn != check->txn)
        return check->txn == 0 ? WEIR_OK : WEIR_RETRY;
    if (fstat(check->fd, &file) == 0)
        walk.file_bytes = (uint64_t)file.st_size;
    /* Pages that were never written are missing at the end of a sound file too; but then all are looked at. */
    if (walk.file_bytes < (walk.meta.last + 1) * walk.page_bytes)
        walk.leaves_left = UINT64_MAX;
    result = walk_alloc(&walk) ? snapshot_walk(&walk) : WEIR_NOMEM;
    walk_free(&walk);
    return result;
}
