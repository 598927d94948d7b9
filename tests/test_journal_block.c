/* test_journal_block.c: blocks come back as they were written; one damaged event costs that event and no other. */
#include "journal_block.h"

#include <stdio.h>
#include <stdlib.h>

#include "base.h"
#include "testing.h"

#define EVENTS_MAX 40
#define HEADERS_MAX (EVENTS_MAX * 6)
#define BYTES_MAX (1 << 18)

/* A block of random events, and what it is made of. */
struct sample {
    struct random random;
    char text[1 << 16];
    size_t text_used;
    weir_header headers[HEADERS_MAX];
    size_t header_count;
    weir_event events[EVENTS_MAX];
    size_t count;
    uint64_t first;
    _Alignas(8) char block[BYTES_MAX];
    size_t size;
};

static weir_view sample_view(struct sample *sample, size_t max)
{
    size_t size = (size_t)random_below(&sample->random, max);
    char *at = sample->text + sample->text_used;

    if (random_below(&sample->random, 6) == 0)
        return view_make(NULL, 0);
    for (size_t i = 0; i < size; i++)
        at[i] = (char)random_next(&sample->random);
    sample->text_used += size;
    return view_make(at, size);
}

static void sample_event(struct sample *sample, weir_event *event)
{
    *event = (weir_event){.payload = sample_view(sample, 400), .key = sample_view(sample, 40)};
    event->subject = sample_view(sample, 40);
    event->id = sample_view(sample, 20);
    event->time_us = (int64_t)random_next(&sample->random);
    event->headers = sample->headers + sample->header_count;
    event->header_count = random_below(&sample->random, 2) ? 0 : (size_t)random_below(&sample->random, 6);
    for (size_t i = 0; i < event->header_count; i++) {
        weir_header *header = &sample->headers[sample->header_count++];

        header->name = sample_view(sample, 20);
        header->value = sample_view(sample, 20);
    }
}

static void sample_make(struct sample *sample, weir_event *out, weir_header *headers)
{
    size_t size = JOURNAL_HEADER_BYTES;

    sample->text_used = sample->header_count = 0;
    sample->count = 1 + (size_t)random_below(&sample->random, EVENTS_MAX);
    sample->first = random_next(&sample->random) >> 1;
    for (size_t i = 0; i < sample->count; i++) {
        sample_event(sample, &sample->events[i]);
        size += journal_event_bytes(&sample->events[i]);
    }
    memset(sample->block, 0x5a, size + 16);
    sample->size = journal_block_write(sample->block, sample->first, sample->events, sample->count, out, headers);
    ck_assert_uint_eq(sample->size, size);
    ck_assert_int_eq(sample->block[size], 0x5a);
}

static struct sample *sample_new(uint64_t seed)
{
    struct sample *sample = calloc(1, sizeof *sample);

    random_init(&sample->random, seed);
    return sample;
}

static bool event_equal(const weir_event *a, const weir_event *b)
{
    bool equal = view_equal(a->payload, b->payload) && view_equal(a->key, b->key) &&
                 view_equal(a->subject, b->subject) && view_equal(a->id, b->id) && a->time_us == b->time_us &&
                 a->header_count == b->header_count;

    for (size_t i = 0; equal && i < a->header_count; i++)
        equal = view_equal(a->headers[i].name, b->headers[i].name) &&
                view_equal(a->headers[i].value, b->headers[i].value);
    return equal;
}

static bool inside(const struct sample *sample, weir_view view)
{
    return !view.data || (view.data >= sample->block && view.data + view.size <= sample->block + sample->size);
}

START_TEST(test_the_layout_is_fixed)
{
    weir_header header = {view_of("h"), view_make("", 0)};
    weir_event event = {
        .payload = view_of("pay"), .key = view_of("k"), .time_us = 7, .headers = &header, .header_count = 1};
    static const char golden[] =
        "57424c4b0100000001000000580000000807060504030201ac233cba000000003800000082d7f4dc070000000000000001000000ff"
        "ffffffffffffff0300000001000000000000000100000000000000686b706179000000";
    char block[200], hex[401];
    size_t size = journal_block_write(block, 0x0102030405060708, &event, 1, NULL, NULL);

    ck_assert_uint_eq(size, JOURNAL_HEADER_BYTES + journal_event_bytes(&event));
    ck_assert_uint_eq(size % 8, 0);
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)block[i]);
    ck_assert_str_eq(hex, golden);
}
END_TEST

START_TEST(test_random_blocks_come_back)
{
    static weir_event out[EVENTS_MAX], read[EVENTS_MAX];
    static weir_header out_headers[HEADERS_MAX], read_headers[HEADERS_MAX];
    struct sample *sample = sample_new(testing_seed());

    for (int round = 0; round < 500; round++) {
        struct journal_block_info info;
        weir_view block;

        sample_make(sample, out, out_headers);
        block = view_make(sample->block, sample->size);
        ck_assert_int_eq(journal_block_info(block, &info), WEIR_OK);
        ck_assert_uint_eq(info.first, sample->first);
        ck_assert_uint_eq(info.count, sample->count);
        ck_assert_uint_eq(info.header_count, sample->header_count);
        ck_assert_uint_eq(journal_block_read(block, read, read_headers, NULL, NULL), sample->count);
        for (size_t i = 0; i < sample->count; i++) {
            ck_assert(event_equal(&sample->events[i], &out[i]) && event_equal(&sample->events[i], &read[i]));
            ck_assert_uint_eq(out[i].position, sample->first + i);
            ck_assert_uint_eq(read[i].position, sample->first + i);
            ck_assert(inside(sample, out[i].payload) && inside(sample, read[i].payload));
            ck_assert(inside(sample, out[i].key) && inside(sample, read[i].subject));
        }
    }
    free(sample);
}
END_TEST

struct damage_seen {
    uint64_t first;
    size_t count;
    bool seen[EVENTS_MAX];
};

static void damage_note(void *arg, uint64_t position, const char *what)
{
    struct damage_seen *damage = arg;

    ck_assert_ptr_nonnull(what);
    ck_assert_uint_lt(position - damage->first, EVENTS_MAX);
    ck_assert(!damage->seen[position - damage->first]);
    damage->seen[position - damage->first] = true;
    damage->count++;
}

/* Reads a damaged block; every event is either as it was or reported. Returns how many were reported. */
static size_t damaged_read(struct sample *sample)
{
    static weir_event read[EVENTS_MAX];
    struct damage_seen damage = {.first = sample->first};
    struct journal_block_info info;
    weir_view block = view_make(sample->block, sample->size);
    weir_header *headers;
    size_t count;

    if (journal_block_info(block, &info) != WEIR_OK)
        return sample->count;
    ck_assert_uint_eq(info.count, sample->count);
    headers = malloc((info.header_count + 1) * sizeof *headers);
    count = journal_block_read(block, read, headers, damage_note, &damage);
    ck_assert_uint_eq(count + damage.count, sample->count);
    for (size_t i = 0; i < count; i++) {
        size_t index = (size_t)(read[i].position - sample->first);

        ck_assert_uint_lt(index, sample->count);
        ck_assert(!damage.seen[index]);
        ck_assert(i == 0 || read[i].position > read[i - 1].position);
        ck_assert(event_equal(&read[i], &sample->events[index]));
    }
    free(headers);
    return damage.count;
}

START_TEST(test_every_damaged_byte_costs_one_event_at_most)
{
    struct sample *sample = sample_new(testing_seed());

    for (int round = 0; round < 2; round++) {
        sample_make(sample, NULL, NULL);
        for (size_t at = 0; at < sample->size; at++) {
            char before = sample->block[at];
            size_t reported;

            sample->block[at] = (char)(before ^ (1 + random_below(&sample->random, 255)));
            reported = damaged_read(sample);
            if (at >= JOURNAL_HEADER_BYTES)
                ck_assert_uint_eq(reported, 1);
            else
                ck_assert(reported == sample->count || (reported == 0 && at >= JOURNAL_HEADER_BYTES - 4));
            sample->block[at] = before;
        }
    }
    free(sample);
}
END_TEST

START_TEST(test_damage_in_many_places_is_never_served)
{
    struct sample *sample = sample_new(testing_seed());
    size_t spared = 0;

    for (int round = 0; round < 1000; round++) {
        sample_make(sample, NULL, NULL);
        for (uint64_t i = 1 + random_below(&sample->random, 8); i > 0; i--) {
            size_t at =
                JOURNAL_HEADER_BYTES + (size_t)random_below(&sample->random, sample->size - JOURNAL_HEADER_BYTES);

            sample->block[at] = (char)random_next(&sample->random);
        }
        spared += sample->count - damaged_read(sample);
    }
    ck_assert_uint_gt(spared, 3000);
    free(sample);
}
END_TEST

START_TEST(test_a_cut_block_is_damaged_as_a_whole)
{
    struct sample *sample = sample_new(testing_seed());
    struct journal_block_info info;

    sample_make(sample, NULL, NULL);
    for (size_t size = 0; size < sample->size; size++)
        ck_assert_int_eq(journal_block_info(view_make(sample->block, size), &info), WEIR_DAMAGED);
    free(sample);
}
END_TEST

START_TEST(test_a_newer_block_is_not_guessed_at)
{
    weir_event event = {.payload = view_of("x")};
    struct journal_block_info info;
    char block[200];
    size_t size = journal_block_write(block, 1, &event, 1, NULL, NULL);

    block[4] = 2;
    put_le32(block + 24, crc32c(0, block, 24));
    ck_assert_int_eq(journal_block_info(view_make(block, size), &info), WEIR_NEWER);
    ck_assert_uint_eq(journal_block_read(view_make(block, size), &event, NULL, NULL, NULL), 0);
}
END_TEST

START_TEST(test_an_event_of_another_position_is_not_taken)
{
    weir_event events[2] = {{.payload = view_of("one")}, {.payload = view_of("two")}}, read[2];
    char block[400], other[400];
    size_t size = journal_block_write(block, 10, events, 2, NULL, NULL);

    /* Two sound events, each in the other's place. */
    memcpy(other, block, size);
    memcpy(block + JOURNAL_HEADER_BYTES, other + JOURNAL_HEADER_BYTES + 48, 48);
    memcpy(block + JOURNAL_HEADER_BYTES + 48, other + JOURNAL_HEADER_BYTES, 48);
    ck_assert_uint_eq(journal_event_bytes(&events[0]), 48);
    ck_assert_uint_eq(journal_block_read(view_make(block, size), read, NULL, NULL, NULL), 1);
    ck_assert_uint_eq(read[0].position, 11);
    ck_assert(view_is(read[0].payload, "two"));
}
END_TEST

START_TEST(test_one_large_event_makes_a_block)
{
    size_t large = 8 << 20;
    char *payload = malloc(large), *block;
    weir_event event = {.payload = view_make(payload, large)}, read;
    size_t size;

    memset(payload, 'p', large);
    block = malloc(JOURNAL_HEADER_BYTES + journal_event_bytes(&event));
    size = journal_block_write(block, UINT64_MAX - 1, &event, 1, NULL, NULL);
    ck_assert_uint_eq(journal_block_read(view_make(block, size), &read, NULL, NULL, NULL), 1);
    ck_assert(event_equal(&event, &read));
    free(block);
    free(payload);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("journal_block");
    TCase *c = tcase_create("journal_block");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_the_layout_is_fixed);
    tcase_add_test(c, test_random_blocks_come_back);
    tcase_add_test(c, test_every_damaged_byte_costs_one_event_at_most);
    tcase_add_test(c, test_damage_in_many_places_is_never_served);
    tcase_add_test(c, test_a_cut_block_is_damaged_as_a_whole);
    tcase_add_test(c, test_a_newer_block_is_not_guessed_at);
    tcase_add_test(c, test_an_event_of_another_position_is_not_taken);
    tcase_add_test(c, test_one_large_event_makes_a_block);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
