/* fuzz_journal_block.c: any bytes as a block, and any bytes as the events of a block whose header is sound. What is
 * read lies inside the block, and can be written again. */
#include <stdlib.h>

#include "base.h"
#include "journal_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void view_inside(weir_view view, weir_view block)
{
    CHECK(!view.data || (view.data >= block.data && view.data + view.size <= block.data + block.size));
}

static void block_read(weir_view block)
{
    struct journal_block_info info;
    weir_event *events;
    weir_header *headers;
    size_t count;

    if (journal_block_info(block, &info) != WEIR_OK)
        return;
    CHECK(info.count <= block.size && info.header_count <= block.size);
    events = malloc((info.count + 1) * sizeof *events);
    headers = malloc((info.header_count + 1) * sizeof *headers);
    count = journal_block_read(block, events, headers, NULL, NULL);
    CHECK(count <= info.count);
    for (size_t i = 0; i < count; i++) {
        view_inside(events[i].payload, block);
        view_inside(events[i].key, block);
        for (size_t j = 0; j < events[i].header_count; j++)
            view_inside(events[i].headers[j].value, block);
        CHECK(events[i].position - info.first < info.count);
        CHECK(journal_event_bytes(&events[i]) <= block.size);
    }
    free(headers);
    free(events);
}

/* Checksums would keep a fuzzer out: each event whose size is plausible is given its right one. */
static void checksums_mend(char *block, size_t size)
{
    uint64_t position = get_le64(block + 16);

    for (size_t at = JOURNAL_HEADER_BYTES; at + 40 <= size; position++) {
        uint32_t event = get_le32(block + at);
        char number[8];

        if (event < 40 || event > size - at || event % 8 != 0)
            break;
        put_le64(number, position);
        put_le32(block + at + 4, crc32c(crc32c(0, block + at + 8, event - 8), number, sizeof number));
        at += event;
    }
    put_le32(block + 12, (uint32_t)size);
    put_le32(block + 24, crc32c(0, block, 24));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[] = {'W', 'B', 'L', 'K', 1, 0, 0, 0};
    char *copy = malloc(size + 1);

    memcpy(copy, data, size);
    block_read(view_make(copy, size));
    if (size >= JOURNAL_HEADER_BYTES) {
        memcpy(copy, magic, sizeof magic);
        checksums_mend(copy, size);
        block_read(view_make(copy, size));
    }
    free(copy);
    return 0;
}
