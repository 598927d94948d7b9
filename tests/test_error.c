/* test_error.c: errors are made once, cut at their bound, and get what was attempted put before them. */
#include <string.h>

#include "error.h"
#include "testing.h"

START_TEST(test_set_says_and_returns)
{
    struct error error;
    ck_assert_int_eq(error_set(&error, WEIR_FULL, "no room for %d bytes", 7), WEIR_FULL);
    ck_assert_int_eq(error.code, WEIR_FULL);
    ck_assert_str_eq(error.text, "no room for 7 bytes");
    ck_assert_int_eq(error_set(NULL, WEIR_RETRY, "nobody %s", "asks"), WEIR_RETRY);
}
END_TEST

START_TEST(test_prefix_comes_first)
{
    struct error error;
    error_set(&error, WEIR_INVALID, "is not a number");
    error_prefix(&error, "column %d", 3);
    error_prefix(&error, "option every");
    ck_assert_str_eq(error.text, "option every: column 3: is not a number");
    ck_assert_int_eq(error.code, WEIR_INVALID);
    error_prefix(NULL, "nobody");
}
END_TEST

/* For every length of text and prefix: what fits is there, what does not is cut, and the end is an end. */
START_TEST(test_everything_is_cut_at_the_bound)
{
    char longest[2 * sizeof(((struct error *)0)->text)];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t prefix = 0; prefix < sizeof longest - 1; prefix += 37) {
        struct error error;
        size_t bound = sizeof error.text - 1;
        error_set(&error, WEIR_IO, "%s", longest);
        ck_assert_uint_eq(strlen(error.text), bound);
        error_set(&error, WEIR_IO, "the end");
        error_prefix(&error, "%.*s", (int)prefix, longest);
        size_t whole = prefix + strlen(": the end");
        ck_assert_uint_le(strlen(error.text), bound);
        if (whole <= bound)
            ck_assert_str_eq(error.text + prefix, ": the end");
        else
            ck_assert(error.text[0] == 'x' && error.text[bound - 3] != '\0');
    }
}
END_TEST

START_TEST(test_every_result_has_its_word)
{
    ck_assert_str_eq(result_name(WEIR_OK), "ok");
    ck_assert_str_eq(result_name(WEIR_RETRY), "retry");
    ck_assert_str_eq(result_name(WEIR_REJECT), "rejected");
    ck_assert_str_eq(result_name(WEIR_NOMEM), "out of memory");
    ck_assert_str_eq(result_name(WEIR_FULL), "no room");
    ck_assert_str_eq(result_name(WEIR_DAMAGED), "damaged");
    ck_assert_str_eq(result_name(-1), "unknown");
    ck_assert_str_eq(result_name(1000), "unknown");
    for (int i = 0; strcmp(result_name(i), "unknown") != 0; i++) {
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(result_name(i), result_name(k));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("error");
    TCase *c = tcase_create("error");
    tcase_add_test(c, test_set_says_and_returns);
    tcase_add_test(c, test_prefix_comes_first);
    tcase_add_test(c, test_everything_is_cut_at_the_bound);
    tcase_add_test(c, test_every_result_has_its_word);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
