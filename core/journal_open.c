/* journal_open.c: where a journal's numbering goes on.
 *
 * Positions go on after the highest one that was ever given. It is kept with each append: the journal's head, with
 * about how many bytes it holds. How it fails: when that record is damaged or gone, what is left in the store
 * tells: the last block of the journal, and whatever any route, also one that is configured no more, knows about
 * it. */
#include "commit.h"
#include "flow.h"
#include "journal.h"
#include "keys.h"

struct head {
    weir_view source;
    uint64_t last, bytes;
};

static bool head_block(void *arg, weir_view key, weir_view value)
{
    struct head *head = arg;
    uint64_t last = key.size < 8 ? 0 : get_be64(key.data + key.size - 8);
    head->last = last > head->last ? last : head->last;
    head->bytes += value.size;
    return true;
}

static bool head_position(void *arg, weir_view key, weir_view value)
{
    struct head *head = arg;
    weir_view parts[3], rest;
    struct arena scratch;
    struct route_vector vector = {0};
    if (key_split(key, parts, 3, &rest) < 3 || !parts[0].size || !view_equal(parts[1], head->source))
        return true;
    arena_init(&scratch, 0);
    if (vector_decode(value, &scratch, &vector) != WEIR_OK)
        vector = (struct route_vector){0};
    for (uint32_t i = 0; i < vector.lanes; i++)
        head->last = vector.positions[i] > head->last ? vector.positions[i] : head->last;
    for (size_t i = 0; i < vector.range_count; i++)
        head->last = vector.ranges[i][1] > head->last ? vector.ranges[i][1] : head->last;
    arena_fini(&scratch);
    return true;
}

static int head_search(const struct journal *journal, struct head *head)
{
    struct key from, to;
    weir_view none = {0};
    key_journal(&from, head->source, 0);
    key_journal(&to, head->source, UINT64_MAX);
    int result = store_scan(journal->reader, TABLE_JOURNAL, key_view(&from), key_view(&to), head_block, head);
    if (result == WEIR_OK)
        result = store_scan(journal->reader, TABLE_POSITION, none, none, head_position, head);
    return result;
}

static int head_read(const struct journal *journal, struct head *head)
{
    struct key key;
    struct arena scratch;
    weir_view value = {0};
    arena_init(&scratch, 0);
    key_position(&key, view_make("", 0), head->source, view_make("", 0));
    int result = store_get(journal->reader, TABLE_POSITION, key_view(&key), &scratch, &value);
    if (result == WEIR_OK && value.size != 16)
        result = WEIR_DAMAGED;
    if (result == WEIR_OK) {
        head->last = get_le64(value.data);
        head->bytes = get_le64(value.data + 8);
    }
    arena_fini(&scratch);
    return result;
}

static int head_find(const struct journal *journal, struct head *head)
{
    int result = head_read(journal, head);
    if (result != WEIR_DAMAGED && result != WEIR_MISSING)
        return result;
    bool damaged = result == WEIR_DAMAGED;
    result = head_search(journal, head);
    if (damaged && result == WEIR_OK)
        instance_log(
            &journal->source->instance, LOG_ERROR,
            "journal: the record of its last position is damaged; the store knows of %llu, it goes on there",
            (unsigned long long)head->last);
    return result;
}

/* As of the last append; what was trimmed since then is found in no record. */
static uint64_t held_bytes(const struct journal *journal, uint64_t appended)
{
    struct store_status status;
    store_status(journal->source->instance.engine->store, &status);
    return status.bytes[TABLE_JOURNAL] < appended ? status.bytes[TABLE_JOURNAL] : appended;
}

int journal_open(struct journal *journal, struct shard *shard)
{
    struct head head = {.source = view_of(journal->source->instance.name)};
    int found = head_find(journal, &head);
    if (found != WEIR_OK)
        return found;
    journal->held_bytes = held_bytes(journal, head.bytes);
    journal->shard = shard;
    for (size_t i = 0; i < journal->source->flow_count; i++) {
        if (shard->links[i]->low > head.last)
            return WEIR_DAMAGED;
    }
    journal->next = head.last + 1;
    feed_extend(&journal->feed, head.last);
    for (size_t i = 0; i < journal->source->flow_count; i++)
        feed_open(&journal->feed, i, shard->links[i]->low);
    journal->trimmed = feed_floor(&journal->feed);
    source_touch(journal->source);
    return WEIR_OK;
}
