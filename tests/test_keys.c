/* test_keys.c: the bytes of stored keys and values are frozen here; what is written can be read; what is damaged is
 * refused. */
#include "keys.h"

#include <signal.h>
#include <stdio.h>

#include "base.h"
#include "testing.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 0);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static void bytes_are(weir_view bytes, const char *hex)
{
    char text[4096];
    size_t at = 0;

    ck_assert_uint_lt(2 * bytes.size, sizeof text);
    text[0] = '\0';
    for (size_t i = 0; i < bytes.size; i++)
        at += (size_t)sprintf(text + at, "%02x", (unsigned char)bytes.data[i]);
    ck_assert_str_eq(text, hex);
}

static void dead_key(struct key *key, struct dead_letter dead)
{
    key_dead(key, &dead);
}

START_TEST(test_keys_are_fixed)
{
    weir_view route = view_of("hot"), source = view_of("in"), shard = view_of("t/0");
    struct key key;

    key_position(&key, route, source, shard);
    bytes_are(key_view(&key), "686f7400696e00742f3000");
    key_note(&key, source, shard);
    bytes_are(key_view(&key), "696e00742f3000");
    key_journal(&key, source, 0x0102030405060708);
    bytes_are(key_view(&key), "696e000102030405060708");
    key_attempt(&key, route, source, shard, 258);
    bytes_are(key_view(&key), "686f7400696e00742f30000000000000000102");
    dead_key(&key, (struct dead_letter){route, source, shard, 1, view_of("out"), .ordinal = 0x01020304});
    bytes_are(key_view(&key), "686f7400696e00742f300000000000000000016f75740001020304");
    dead_key(&key, (struct dead_letter){route, source, shard, 1, view_of(""), .ordinal = 0});
    bytes_are(key_view(&key), "686f7400696e00742f300000000000000000010000000000");
    key_scope(&key, 0x0a0b);
    bytes_are(key_view(&key), "0000000000000a0b");
    key_state(&key, 0x0a0b, view_of("dev"), view_of("mean"));
    bytes_are(key_view(&key), "0000000000000a0b00036465766d65616e");
    key_state(&key, 1, view_of(""), view_of(""));
    bytes_are(key_view(&key), "00000000000000010000");
}
END_TEST

START_TEST(test_hashes_are_fixed)
{
    static char event_key[600];
    weir_view tail;
    struct key key;

    ck_assert_uint_eq(state_scope(view_of("hot"), view_of("mean"), view_of("in"), view_of("t/0")),
                      UINT64_C(0x8de2339608f7549c));
    memset(event_key, 'k', sizeof event_key);
    key_state(&key, 1, view_make(event_key, sizeof event_key), view_of("n"));
    ck_assert_uint_eq(key.size, STORE_KEY_MAX);
    bytes_are(view_make(key.data, 12), "0000000000000001ffff6b6b");
    tail = view_make(key.data + STORE_KEY_MAX - 17, 17);
    bytes_are(tail, "6b8700dc97b4a5b545e02179da0e4f8a0f");
}
END_TEST

START_TEST(test_scopes_tell_their_parts_apart)
{
    weir_view a = view_of("a"), b = view_of("b"), ab = view_of("ab"), none = view_of("");

    ck_assert_uint_ne(state_scope(a, b, a, a), state_scope(ab, none, a, a));
    ck_assert_uint_ne(state_scope(a, b, a, a), state_scope(b, a, a, a));
    ck_assert_uint_ne(state_scope(none, none, none, a), state_scope(none, none, a, none));
    ck_assert_uint_ne(state_scope(none, none, none, none), state_scope(none, none, none, view_make("\0", 1)));
}
END_TEST

START_TEST(test_keys_split_into_their_parts)
{
    weir_view parts[4], rest;
    struct key key;

    dead_key(&key, (struct dead_letter){view_of("r"), view_of("s"), view_of("h"), 7, view_of("out"), .ordinal = 3});
    ck_assert_uint_eq(key_split(key_view(&key), parts, 3, &rest), 3);
    ck_assert(view_is(parts[0], "r") && view_is(parts[1], "s") && view_is(parts[2], "h"));
    ck_assert_uint_eq(get_be64(rest.data), 7);
    ck_assert_uint_eq(rest.size, 8 + 4 + 4);
    ck_assert_uint_eq(key_split(view_make("abc", 3), parts, 4, &rest), 0);
    ck_assert(view_is(rest, "abc"));
    ck_assert_uint_eq(key_split(view_make("\0\0x", 3), parts, 4, &rest), 2);
    ck_assert_uint_eq(parts[1].size, 0);
    ck_assert_uint_eq(rest.size, 1);
}
END_TEST

START_TEST(test_order_of_keys_is_order_of_positions)
{
    struct random random;
    struct key a, b;

    random_init(&random, 1);
    for (int i = 0; i < 10000; i++) {
        uint64_t left = random_next(&random) >> random_below(&random, 64);
        uint64_t right = random_below(&random, 4) ? random_next(&random) >> random_below(&random, 64) : left + 1;
        int order;

        key_journal(&a, view_of("in"), left);
        key_journal(&b, view_of("in"), right);
        ck_assert_uint_eq(a.size, b.size);
        order = memcmp(a.data, b.data, a.size);
        ck_assert_int_eq((order > 0) - (order < 0), (left > right) - (left < right));
    }
}
END_TEST

START_TEST(test_the_longest_names_fit)
{
    char text[SHARD_MAX_BYTES];
    weir_view name, shard;
    struct key key;

    memset(text, 'x', sizeof text);
    name = view_make(text, NAME_MAX_BYTES);
    shard = view_make(text, SHARD_MAX_BYTES);
    dead_key(&key, (struct dead_letter){name, name, shard, UINT64_MAX, name, .ordinal = UINT32_MAX});
    ck_assert_uint_eq(key.size, 3 * 65 + 251 + 12);
    key_note(&key, name, shard);
    ck_assert_uint_eq(key.size, 65 + 251);
}
END_TEST

START_TEST(test_a_name_that_is_too_long_aborts)
{
    char text[NAME_MAX_BYTES + 1];
    struct key key;

    memset(text, 'x', sizeof text);
    key_journal(&key, view_make(text, sizeof text), 1);
}
END_TEST

START_TEST(test_a_name_with_a_zero_aborts)
{
    struct key key;

    key_journal(&key, view_make("a\0b", 3), 1);
}
END_TEST

/* Keys around the limit, and far above it, differ when any part of them does, and their values are told apart. */
START_TEST(test_long_state_keys_stay_apart)
{
    struct random random;
    static char text[70000];
    struct key a, b;

    random_init(&random, 3);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)random_next(&random);
    for (size_t size = 470; size < 70000; size += size < 520 ? 1 : 6000) {
        weir_view whole = view_make(text, size), shorter = view_make(text, size - 1);
        weir_view stored, value, name = view_of("n");

        key_state(&a, 1, whole, name);
        key_state(&b, 1, shorter, view_make(text + size - 1, 1));
        ck_assert(!view_equal(key_view(&a), key_view(&b)));
        text[size - 1] ^= 1;
        key_state(&b, 1, whole, name);
        text[size - 1] ^= 1;
        ck_assert(!view_equal(key_view(&a), key_view(&b)));
        stored = state_value(whole, name, view_of("value"), &arena);
        ck_assert_uint_eq(stored.size, size + 1 + 10 > STORE_KEY_MAX ? 8 + size + 1 + 5 : 5);
        ck_assert_int_eq(state_value_read(whole, name, stored, &value), WEIR_OK);
        ck_assert(view_is(value, "value"));
        if (size + 10 > STORE_KEY_MAX) {
            ck_assert_int_eq(state_value_read(shorter, name, stored, &value), WEIR_DAMAGED);
            ck_assert_int_eq(state_value_read(whole, view_of("m"), stored, &value), WEIR_DAMAGED);
            ck_assert_int_eq(state_value_read(whole, name, view_make(stored.data, 7), &value), WEIR_DAMAGED);
        }
    }
}
END_TEST

START_TEST(test_a_vector_is_fixed)
{
    uint64_t positions[2] = {5, 6}, ranges[1][2] = {{8, 9}};
    struct route_vector vector = {.lanes = 2, .positions = positions};

    bytes_are(vector_encode(&vector, &arena), "01000000020000000000000000000000"
                                              "05000000000000000600000000000000");
    vector = (struct route_vector){.lanes = 1, .positions = positions, .ranges = ranges, .range_count = 1};
    bytes_are(vector_encode(&vector, &arena), "01000000010000000100000000000000"
                                              "0500000000000000"
                                              "08000000000000000900000000000000");
}
END_TEST

START_TEST(test_vectors_come_back)
{
    static uint64_t positions[ROUTE_LANES_MAX], ranges[50][2];
    struct random random;

    random_init(&random, 5);
    for (int i = 0; i < 500; i++) {
        struct route_vector vector = {.lanes = 1 + (uint32_t)random_below(&random, ROUTE_LANES_MAX)}, read;
        uint64_t at;

        for (uint32_t j = 0; j < vector.lanes; j++)
            positions[j] = random_next(&random) >> 1;
        vector.positions = positions;
        vector.ranges = ranges;
        vector.range_count = random_below(&random, 50);
        at = positions[0];
        for (size_t j = 0; j < vector.range_count; j++) {
            ranges[j][0] = at += 1 + random_below(&random, 1000);
            ranges[j][1] = at += random_below(&random, 1000);
        }
        ck_assert_int_eq(vector_decode(vector_encode(&vector, &arena), &arena, &read), WEIR_OK);
        ck_assert_uint_eq(read.lanes, vector.lanes);
        ck_assert_uint_eq(read.range_count, vector.range_count);
        ck_assert_mem_eq(read.positions, positions, 8 * vector.lanes);
        ck_assert_mem_eq(read.ranges, ranges, 16 * vector.range_count);
        arena_reset(&arena);
    }
}
END_TEST

START_TEST(test_impossible_vectors_are_refused)
{
    uint64_t positions[2] = {5, 6}, ranges[2][2] = {{7, 8}, {8, 9}};
    struct route_vector vector = {.lanes = 1, .positions = positions, .ranges = ranges, .range_count = 2}, read;
    weir_view bytes = vector_encode(&vector, &arena);
    char copy[64];

    ck_assert_int_eq(vector_decode(bytes, &arena, &read), WEIR_DAMAGED);
    ranges[1][0] = 9;
    ranges[0][0] = 5;
    ck_assert_int_eq(vector_decode(vector_encode(&vector, &arena), &arena, &read), WEIR_DAMAGED);
    ranges[0][0] = 6;
    bytes = vector_encode(&vector, &arena);
    ck_assert_int_eq(vector_decode(bytes, &arena, &read), WEIR_OK);
    for (size_t size = 0; size < bytes.size; size++)
        ck_assert_int_eq(vector_decode(view_make(bytes.data, size), &arena, &read), WEIR_DAMAGED);
    memcpy(copy, bytes.data, bytes.size);
    copy[0] = 2;
    ck_assert_int_eq(vector_decode(view_make(copy, bytes.size), &arena, &read), WEIR_NEWER);
    copy[0] = 0;
    ck_assert_int_eq(vector_decode(view_make(copy, bytes.size), &arena, &read), WEIR_DAMAGED);
    copy[0] = 1;
    put_le32(copy + 4, 0);
    ck_assert_int_eq(vector_decode(view_make(copy, bytes.size), &arena, &read), WEIR_DAMAGED);
}
END_TEST

START_TEST(test_a_dead_letter_is_fixed)
{
    weir_header header = {view_of("h"), view_make(NULL, 0)};
    struct dead_letter dead = {.route = view_of("r"),
                               .source = view_of("s"),
                               .shard = view_of("0"),
                               .position = 1,
                               .stage = view_of(""),
                               .function = view_of("f"),
                               .ordinal = 2,
                               .attempts = 3,
                               .replays = 4,
                               .replay_asked = true,
                               .cause = view_of("c"),
                               .first_us = 5,
                               .last_us = 6};

    dead.event = (weir_event){.payload = view_of("p"),
                              .id = view_of("i"),
                              .headers = &header,
                              .header_count = 1,
                              .time_us = 7,
                              .position = 8};
    bytes_are(dead_encode(&dead, &arena), "01010000020000000300000004000000"
                                          "01000000000000000500000000000000"
                                          "06000000000000000800000000000000"
                                          "07000000000000000100000000000000"
                                          "010000000100000001000000000000000100000001000000"
                                          "ffffffffffffffff0100000001000000"
                                          "01000000ffffffff"
                                          "72733066636970"
                                          "68");
}
END_TEST

static weir_view random_text(struct random *random, char *buffer, size_t max)
{
    size_t size = (size_t)random_below(random, max);

    if (random_below(random, 5) == 0)
        return view_make(NULL, 0);
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)random_next(random);
    return view_make(buffer, size);
}

static void dead_random(struct random *random, struct dead_letter *dead, weir_header headers[8], char text[30][64])
{
    weir_view *texts[] = {&dead->route,         &dead->source,  &dead->shard,         &dead->stage,
                          &dead->function,      &dead->cause,   &dead->event.payload, &dead->event.key,
                          &dead->event.subject, &dead->event.id};

    memset(dead, 0, sizeof *dead);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        *texts[i] = random_text(random, text[i], 64);
    dead->event.header_count = (size_t)random_below(random, 8);
    for (size_t i = 0; i < dead->event.header_count; i++) {
        headers[i].name = random_text(random, text[10 + 2 * i], 64);
        headers[i].value = random_text(random, text[11 + 2 * i], 64);
    }
    dead->event.headers = dead->event.header_count ? headers : NULL;
    dead->position = random_next(random);
    dead->ordinal = (uint32_t)random_next(random);
    dead->attempts = (uint32_t)random_next(random);
    dead->replays = (uint32_t)random_next(random);
    dead->replay_asked = random_below(random, 2);
    dead->first_us = (int64_t)random_next(random);
    dead->last_us = (int64_t)random_next(random);
    dead->event.time_us = (int64_t)random_next(random);
    dead->event.position = random_next(random);
}

static void dead_equal(const struct dead_letter *a, const struct dead_letter *b)
{
    ck_assert(view_equal(a->route, b->route) && view_equal(a->source, b->source) && view_equal(a->shard, b->shard));
    ck_assert(view_equal(a->stage, b->stage) && view_equal(a->function, b->function) &&
              view_equal(a->cause, b->cause));
    ck_assert(view_equal(a->event.payload, b->event.payload) && view_equal(a->event.key, b->event.key));
    ck_assert(view_equal(a->event.subject, b->event.subject) && view_equal(a->event.id, b->event.id));
    ck_assert(a->position == b->position && a->ordinal == b->ordinal && a->attempts == b->attempts);
    ck_assert(a->replays == b->replays && a->replay_asked == b->replay_asked);
    ck_assert(a->first_us == b->first_us && a->last_us == b->last_us && a->event.time_us == b->event.time_us);
    ck_assert(a->event.position == b->event.position && a->event.header_count == b->event.header_count);
    for (size_t i = 0; i < a->event.header_count; i++)
        ck_assert(view_equal(a->event.headers[i].name, b->event.headers[i].name) &&
                  view_equal(a->event.headers[i].value, b->event.headers[i].value));
}

START_TEST(test_dead_letters_come_back_and_cut_ones_do_not)
{
    char text[30][64], copy[4096];
    weir_header headers[8];
    struct random random;

    random_init(&random, 9);
    for (int i = 0; i < 2000; i++) {
        struct dead_letter dead, read;
        weir_view bytes;
        size_t cut;

        dead_random(&random, &dead, headers, text);
        bytes = dead_encode(&dead, &arena);
        ck_assert_int_eq(dead_decode(bytes, &arena, &read), WEIR_OK);
        dead_equal(&dead, &read);
        cut = (size_t)random_below(&random, bytes.size);
        ck_assert_int_eq(dead_decode(view_make(bytes.data, cut), &arena, &read), WEIR_DAMAGED);
        memcpy(copy, bytes.data, bytes.size);
        copy[bytes.size] = 0;
        ck_assert_int_eq(dead_decode(view_make(copy, bytes.size + 1), &arena, &read), WEIR_DAMAGED);
        copy[0] = 2;
        ck_assert_int_eq(dead_decode(view_make(copy, bytes.size), &arena, &read), WEIR_NEWER);
        arena_reset(&arena);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keys");
    TCase *c = tcase_create("keys");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_keys_are_fixed);
    tcase_add_test(c, test_hashes_are_fixed);
    tcase_add_test(c, test_scopes_tell_their_parts_apart);
    tcase_add_test(c, test_keys_split_into_their_parts);
    tcase_add_test(c, test_order_of_keys_is_order_of_positions);
    tcase_add_test(c, test_the_longest_names_fit);
    tcase_add_test_raise_signal(c, test_a_name_that_is_too_long_aborts, SIGABRT);
    tcase_add_test_raise_signal(c, test_a_name_with_a_zero_aborts, SIGABRT);
    tcase_add_test(c, test_long_state_keys_stay_apart);
    tcase_add_test(c, test_a_vector_is_fixed);
    tcase_add_test(c, test_vectors_come_back);
    tcase_add_test(c, test_impossible_vectors_are_refused);
    tcase_add_test(c, test_a_dead_letter_is_fixed);
    tcase_add_test(c, test_dead_letters_come_back_and_cut_ones_do_not);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
