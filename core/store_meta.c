/* store_meta.c: reading data.mdb without LMDB, and its two meta pages.
 *
 * Transactions alternate between them, so the newest two numbers lie there, each in its place. Anything else is
 * damage: a flipped bit in a number would make LMDB take an old state for the newest. */
#include <stdio.h>
#include <unistd.h>

#include "store_page.h"
#include "store_private.h"

#define FILE_MAX (UINT64_C(1) << 46)

bool file_read(int fd, void *to, size_t size, uint64_t at)
{
    char *bytes = to;

    while (size > 0) {
        ssize_t got = pread(fd, bytes, size, (off_t)at);

        if (got <= 0)
            return false;
        bytes += got;
        at += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

const char *file_meta_read(int fd, size_t slot, size_t page_bytes, struct page_meta *meta)
{
    char page[512];

    if (!file_read(fd, page, sizeof page, slot * page_bytes))
        return "data.mdb is cut off in its first pages";
    return page_meta_read(page, sizeof page, meta);
}

static const char *metas_check(int fd)
{
    struct page_meta metas[2] = {{0}};
    const char *what = file_meta_read(fd, 0, 0, &metas[0]);

    if (!what)
        what = file_meta_read(fd, 1, metas[0].free.page_bytes, &metas[1]);
    if (what)
        return what;
    if (metas[0].free.page_bytes != metas[1].free.page_bytes)
        return "the two meta pages have different page sizes";
    if (metas[0].last > FILE_MAX / 512 || metas[1].last > FILE_MAX / 512)
        return "a meta page names an impossible last page";
    if (metas[0].txn == 0 && metas[1].txn == 0)
        return NULL;
    if (metas[0].txn % 2 != 0 || metas[1].txn % 2 != 1 ||
        (metas[0].txn + 1 != metas[1].txn && metas[1].txn + 1 != metas[0].txn))
        return "the two meta pages do not follow each other";
    return NULL;
}

int tree_check_meta(int fd, char *what, size_t size)
{
    const char *found = NULL;

    /* More than once, as a writer beside may just be writing one. */
    for (int i = 0; i < 3; i++) {
        found = metas_check(fd);
        if (!found)
            return WEIR_OK;
    }
    snprintf(what, size, "%s", found);
    return WEIR_DAMAGED;
}
