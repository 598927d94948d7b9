/* test_arena.c: what an arena hands out stays apart and stays put, within its bound. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "base.h"
#include "testing.h"

static bool all_bytes(const unsigned char *piece, size_t size, size_t byte)
{
    for (size_t i = 0; i < size; i++) {
        if (piece[i] != byte)
            return false;
    }
    return true;
}

START_TEST(test_memory_is_aligned_and_apart)
{
    enum { PIECES = 500 };
    struct random random;
    random_init(&random, 1);
    for (int round = 0; round < 20; round++) {
        struct arena arena;
        unsigned char *pieces[PIECES];
        size_t sizes[PIECES], total = 0;
        arena_init(&arena, 0);
        for (size_t i = 0; i < PIECES; i++) {
            sizes[i] = random_below(&random, i % 50 ? 300 : 100000);
            pieces[i] = arena_alloc(&arena, sizes[i]);
            ck_assert_ptr_nonnull(pieces[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)i & 255, sizes[i]);
            total += sizes[i];
        }
        for (size_t i = 0; i < PIECES; i++)
            ck_assert(all_bytes(pieces[i], sizes[i], i & 255));
        ck_assert(arena.used >= total && arena.used < total + PIECES * 16);
        ck_assert(arena.reserved >= arena.used && arena.reserved < 4 * arena.used + 4096);
        ck_assert(!arena.overflow);
        arena_fini(&arena);
        ck_assert_uint_eq(arena.reserved, 0);
    }
}
END_TEST

/* For every bound: what is reserved never passes it, and the flag stays until it is reset. */
START_TEST(test_the_bound_holds)
{
    for (size_t limit = 100; limit < 20000; limit += 311) {
        struct arena arena;
        size_t got = 0;
        arena_init(&arena, limit);
        while (arena_alloc(&arena, 48))
            got += 48;
        ck_assert(arena.overflow);
        ck_assert_uint_le(arena.reserved, limit);
        ck_assert(got + 500 > limit * 9 / 10 || limit < 2000);
        ck_assert_ptr_null(arena_alloc(&arena, limit));
        arena_reset(&arena);
        ck_assert(!arena.overflow);
        ck_assert_uint_eq(arena.used, 0);
        ck_assert_uint_le(arena.reserved, limit);
        arena_fini(&arena);
        ck_assert_uint_eq(arena.limit, limit);
    }
}
END_TEST

START_TEST(test_absurd_sizes_overflow)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 16, SIZE_MAX - 64, SIZE_MAX / 2 + 100};
    struct arena arena;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        arena_init(&arena, i % 2 ? 100000 : 0);
        ck_assert_ptr_null(arena_alloc(&arena, sizes[i]));
        ck_assert(arena.overflow);
        ck_assert_ptr_nonnull(arena_alloc(&arena, 10));
        ck_assert(arena.overflow);
        arena_fini(&arena);
    }
}
END_TEST

START_TEST(test_reset_keeps_one_chunk)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
    size_t before = arena.reserved;
    arena_reset(&arena);
    size_t kept = arena.reserved;
    ck_assert(kept > 0 && kept < before);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
    ck_assert_uint_eq(arena.reserved, kept);
    arena_fini(&arena);
    arena_reset(&arena);
    ck_assert_uint_eq(arena.reserved, 0);
}
END_TEST

START_TEST(test_given_memory_is_used_first_and_not_freed)
{
    _Alignas(16) char memory[512];
    struct arena arena;
    for (int round = 0; round < 3; round++) {
        arena_init_over(&arena, memory, sizeof memory);
        char *first = arena_alloc(&arena, 100);
        ck_assert(first > memory && first + 100 <= memory + sizeof memory);
        ck_assert_uint_eq(arena.reserved, 0);
        for (int i = 0; i < round * 10; i++)
            ck_assert_ptr_nonnull(arena_alloc(&arena, 300));
        ck_assert_int_eq(arena.reserved > 0, round > 0);
        if (round == 1)
            arena_reset(&arena);
        ck_assert_ptr_nonnull(arena_alloc(&arena, 100));
        arena_fini(&arena);
    }
    arena_init_over(&arena, memory, sizeof memory);
    arena_reset(&arena);
    ck_assert_uint_eq(arena.reserved, 0);
    ck_assert_ptr_eq(arena_alloc(&arena, 1), arena_text(&arena, view_of("")) - 16);
    arena_fini(&arena);
}
END_TEST

START_TEST(test_given_memory_must_be_aligned)
{
    _Alignas(16) char memory[512];
    struct arena arena;
    arena_init_over(&arena, memory + 1, sizeof memory - 1);
}
END_TEST

START_TEST(test_copies)
{
    struct arena arena;
    char text[] = "text";
    arena_init(&arena, 0);
    weir_view copy = arena_copy(&arena, view_of(text)), empty = arena_copy(&arena, view_make(text, 0));
    char *ended = arena_text(&arena, view_make(text, 2)), *none = arena_text(&arena, view_of(NULL));
    const char *printed = arena_printf(&arena, "%s %d", text, 7);
    text[0] = '#';
    ck_assert(view_is(copy, "text"));
    ck_assert(empty.data != NULL && empty.size == 0);
    ck_assert_ptr_null(arena_copy(&arena, view_of(NULL)).data);
    ck_assert_str_eq(ended, "te");
    ck_assert_str_eq(none, "");
    ck_assert_str_eq(printed, "text 7");
    const char *zeros = arena_zalloc(&arena, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(zeros[i], 0);
    arena_fini(&arena);
}
END_TEST

static bool event_equal(const weir_event *a, const weir_event *b)
{
    bool same = view_equal(a->payload, b->payload) && view_equal(a->key, b->key) &&
                view_equal(a->subject, b->subject) && view_equal(a->id, b->id) && a->time_us == b->time_us &&
                a->position == b->position && a->header_count == b->header_count;
    for (size_t i = 0; same && i < a->header_count; i++)
        same = view_equal(a->headers[i].name, b->headers[i].name) &&
               view_equal(a->headers[i].value, b->headers[i].value);
    return same;
}

static weir_view random_view(struct random *random, char *bytes, size_t size)
{
    size_t length = random_below(random, size);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)random_next(random);
    return random_below(random, 4) ? view_make(bytes, length) : view_of(NULL);
}

START_TEST(test_an_event_is_copied_whole)
{
    struct random random;
    random_init(&random, 2);
    for (int round = 0; round < 300; round++) {
        char bytes[10][64];
        weir_header headers[3];
        weir_event event = {
            .time_us = (int64_t)random_next(&random), .position = random_next(&random), .headers = headers};
        event.payload = random_view(&random, bytes[0], 64);
        event.key = random_view(&random, bytes[1], 64);
        event.subject = random_view(&random, bytes[2], 64);
        event.id = random_view(&random, bytes[3], 64);
        event.header_count = random_below(&random, 4);
        for (size_t i = 0; i < event.header_count; i++)
            headers[i] = (weir_header){random_view(&random, bytes[4 + 2 * i], 64),
                                       random_view(&random, bytes[5 + 2 * i], 64)};
        struct arena one, two;
        weir_event copy, again;
        arena_init(&one, 0);
        arena_init(&two, 0);
        ck_assert(arena_event(&one, &copy, &event));
        ck_assert(event_equal(&copy, &event));
        ck_assert(arena_event(&two, &again, &copy));
        arena_fini(&one); /* nothing may still point there */
        ck_assert(event_equal(&again, &event));
        arena_fini(&two);
    }
}
END_TEST

START_TEST(test_an_event_that_does_not_fit_is_no_copy)
{
    char payload[300];
    weir_header header = {view_of("n"), view_make(payload, sizeof payload)};
    weir_event event = {.payload = view_make(payload, sizeof payload), .headers = &header, .header_count = 1}, copy;
    memset(payload, 'x', sizeof payload);
    for (size_t limit = 1; limit < 1500; limit += 10) {
        struct arena arena;
        arena_init(&arena, limit);
        bool copied = arena_event(&arena, &copy, &event);
        ck_assert_int_eq(copied, !arena.overflow);
        ck_assert(!copied || event_equal(&copy, &event));
        ck_assert(copied || limit < 1400);
        arena_fini(&arena);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("arena");
    TCase *c = tcase_create("arena");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_memory_is_aligned_and_apart);
    tcase_add_test(c, test_the_bound_holds);
    tcase_add_test(c, test_absurd_sizes_overflow);
    tcase_add_test(c, test_reset_keeps_one_chunk);
    tcase_add_test(c, test_given_memory_is_used_first_and_not_freed);
    tcase_add_test_raise_signal(c, test_given_memory_must_be_aligned, SIGABRT);
    tcase_add_test(c, test_copies);
    tcase_add_test(c, test_an_event_is_copied_whole);
    tcase_add_test(c, test_an_event_that_does_not_fit_is_no_copy);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
