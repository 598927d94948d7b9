/* store_record.c: the eight bytes before each stored value, by which damage is noticed.
 *
 * Layout: crc32c u32 little-endian, version u8, key check u24 little-endian. The checksum runs over {table u8,
 * version u8, key size u16}, key, payload; the key check is its low 24 bits after the key. A journal block carries
 * checksums of its own, one for each event, so that one bad event does not cost the block: there only the payload's
 * size goes in. */
#include "store_private.h"

static uint32_t key_sum(enum store_table table, weir_view key)
{
    uint8_t head[4] = {(uint8_t)table, RECORD_VERSION, (uint8_t)key.size, (uint8_t)(key.size >> 8)};

    return crc32c(crc32c(0, head, sizeof head), key.data, key.size);
}

static uint32_t record_sum(uint32_t sum, enum store_table table, weir_view payload)
{
    uint8_t size[8];

    if (table != TABLE_JOURNAL)
        return crc32c(sum, payload.data, payload.size);
    put_le64(size, payload.size);
    return crc32c(sum, size, sizeof size);
}

void record_write(void *to, enum store_table table, weir_view key, weir_view payload)
{
    uint8_t *head = to;
    uint32_t sum = key_sum(table, key);

    put_le32(head, record_sum(sum, table, payload));
    put_le32(head + 4, RECORD_VERSION | sum << 8);
    if (payload.size)
        memcpy(head + RECORD_HEADER_BYTES, payload.data, payload.size);
}

const char *record_peek(enum store_table table, weir_view key, const void *head)
{
    uint32_t mark = get_le32((const char *)head + 4);

    if ((mark & 0xff) != RECORD_VERSION)
        return "unknown record version";
    return mark >> 8 == (key_sum(table, key) & 0xffffff) ? NULL : "the key's checksum does not match";
}

const char *record_read(enum store_table table, weir_view key, weir_view stored, weir_view *payload)
{
    const char *what;

    if (stored.size < RECORD_HEADER_BYTES)
        return "shorter than its header";
    what = record_peek(table, key, stored.data);
    if (what)
        return what;
    *payload = view_make(stored.data + RECORD_HEADER_BYTES, stored.size - RECORD_HEADER_BYTES);
    if (get_le32(stored.data) != record_sum(key_sum(table, key), table, *payload))
        return "the checksum does not match";
    return NULL;
}
