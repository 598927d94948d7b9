/* test_store_damage.c: a saved store is damaged in every way, and opened. Each record is then served as it was, or
 * said to be damaged, or the store is refused in words; never wrong, and the caller never crashes. */
#include <sys/wait.h>

#include "journal_block.h"
#include "store_kit.h"

#define RECORDS 120
#define PAGE 4096

static char folder[PATH_MAX];

static void setup(void)
{
    kit_folder(folder);
}

static void teardown(void)
{
    kit_remove(folder);
}

static const enum store_table kinds[] = {TABLE_POSITION, TABLE_STATE, TABLE_DEAD, TABLE_JOURNAL};

/* What record `number` of a table holds: small, several to a page, or pages of its own. */
static weir_view record_value(enum store_table table, unsigned number, char value[20000])
{
    static const size_t sizes[] = {24, 300, 1500, 9000};
    size_t size = sizes[(number + table) % 4] + number % 7;

    if (table == TABLE_JOURNAL) {
        weir_event event = {.payload = view_make(value + 10000, size % 5000)};

        memset(value + 10000, (int)number, 5000);
        return view_make(value, journal_block_write(value, number, &event, 1, NULL, NULL));
    }
    memset(value, (int)(number + 31 * table), size);
    return view_make(value, size);
}

static weir_view record_key(enum store_table table, unsigned number, char buffer[24])
{
    if (table != TABLE_JOURNAL)
        return kit_key(buffer, number);
    memcpy(buffer, "in", 3);
    put_be64(buffer + 3, number);
    return view_make(buffer, 11);
}

static void records_put(struct store *store, unsigned from, unsigned to, unsigned step)
{
    char buffer[24], value[20000];

    for (; from < to; from += step) {
        struct store_ops *ops = store_ops_new(STORE_KEEPS);

        for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
            store_ops_put(ops, kinds[i], record_key(kinds[i], from, buffer), record_value(kinds[i], from, value));
        ck_assert_int_eq(store_apply(store, ops), WEIR_OK);
    }
}

/* With a history: free pages, and pages that were used again. */
static void store_make(void)
{
    struct store *store = kit_open(folder);

    records_put(store, 0, RECORDS, 3);
    records_put(store, 1, RECORDS, 3);
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i] != TABLE_JOURNAL)
            ck_assert_int_eq(kit_trim(store, kinds[i], 10, 30), WEIR_OK);
    records_put(store, 2, RECORDS, 3);
    records_put(store, 9, 31, 1);
    store_close(store);
}

enum outcome { SERVED = 10, QUARANTINED, REFUSED, WRONG };

/* Every record is right, or damage was reported. */
static bool records_right(struct store *store)
{
    struct store_status status;
    bool missing = false;

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        for (unsigned number = 0; number < RECORDS; number++) {
            char buffer[24], value[20000];
            bool same;
            int result = kit_get(store, kinds[i], record_key(kinds[i], number, buffer),
                                 record_value(kinds[i], number, value), &same);

            /* A journal block carries its own checksums: its bytes are judged by its reader. */
            if (result == WEIR_OK && !same && kinds[i] != TABLE_JOURNAL)
                return false;
            missing = missing || result != WEIR_OK;
        }
    }
    store_status(store, &status);
    return !missing || status.damaged > 0;
}

static bool journal_event_right(void *arg, weir_view key, weir_view block)
{
    struct journal_block_info info;
    weir_event event;
    weir_header headers[4096];
    bool *right = arg;
    char value[20000];
    weir_view expected;
    unsigned number;

    if (journal_block_info(block, &info) != WEIR_OK || info.count != 1 ||
        info.header_count > ARRAY_COUNT(headers) || journal_block_read(block, &event, headers, NULL, NULL) != 1)
        return true;
    number = (unsigned)get_be64(key.data + 3);
    expected = record_value(TABLE_JOURNAL, number, value);
    *right = *right && event.position == number && event.payload.size < expected.size &&
             memcmp(event.payload.data, value + 10000, event.payload.size) == 0;
    return true;
}

static bool journal_right(struct store *store)
{
    struct store_reader *reader = store_reader_new(store);
    weir_view all = {0};
    bool right = true;

    store_scan(reader, TABLE_JOURNAL, all, all, journal_event_right, &right);
    store_reader_free(reader);
    return right;
}

static enum outcome judge(void)
{
    struct error error = {0};
    struct store_status status;
    uint64_t records, damaged;
    struct store *store;

    if (kit_try(&store, folder, false, &error) != WEIR_OK)
        return error.text[0] != '\0' ? REFUSED : WRONG;
    if (!records_right(store) || !journal_right(store))
        return WRONG;
    store_check(store, NULL, NULL, &records, &damaged);
    /* Writing on must not turn damage into loss elsewhere. */
    records_put(store, RECORDS, RECORDS + 5, 1);
    if (!records_right(store))
        return WRONG;
    store_status(store, &status);
    store_close(store);
    if (kit_try(&store, folder, false, &error) != WEIR_OK)
        return WRONG;
    store_close(store);
    return status.damaged ? QUARANTINED : SERVED;
}

/* In a child, so that a crash is an outcome too. */
static enum outcome judge_apart(const char *what, size_t at)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        /* A log is not needed, and failed assertions must not look like outcomes. */
        close(STDERR_FILENO);
        _exit(judge());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) >= SERVED && WEXITSTATUS(status) < WRONG,
                  "%s at %zu: status %x", what, at, status);
    return (enum outcome)WEXITSTATUS(status);
}

START_TEST(test_flipped_bits_are_never_served)
{
    size_t outcomes[WRONG + 1] = {0};
    struct random random;
    struct kit_image image;

    store_make();
    image = kit_image_load(folder);
    random_init(&random, testing_seed());
    for (int i = 0; i < 500; i++) {
        /* Headers of pages and ends of pages, where the structure lies, more often than the rest. */
        size_t at = (size_t)random_below(&random, image.size);

        if (i % 3 == 0)
            at = at / PAGE * PAGE + random_below(&random, 64);
        else if (i % 3 == 1)
            at = at % (4 * PAGE);
        image.bytes[at] ^= (char)(1 << i % 8);
        kit_image_save(folder, &image);
        outcomes[judge_apart("bit", at)]++;
        image.bytes[at] ^= (char)(1 << i % 8);
    }
    printf("flipped bits: %zu harmless, %zu quarantined, %zu refused\n", outcomes[SERVED], outcomes[QUARANTINED],
           outcomes[REFUSED]);
    ck_assert_uint_gt(outcomes[QUARANTINED], 0);
    ck_assert_uint_gt(outcomes[REFUSED], 0);
    free(image.bytes);
}
END_TEST

START_TEST(test_zeroed_pages_are_never_served)
{
    struct kit_image image;
    char page[PAGE];

    store_make();
    image = kit_image_load(folder);
    for (size_t at = 0; at + PAGE <= image.size; at += PAGE) {
        memcpy(page, image.bytes + at, PAGE);
        memset(image.bytes + at, 0, PAGE);
        kit_image_save(folder, &image);
        judge_apart("zeroed page", at);
        memcpy(image.bytes + at, page, PAGE);
    }
    free(image.bytes);
}
END_TEST

START_TEST(test_a_cut_file_is_never_served)
{
    struct kit_image image, cut;

    store_make();
    image = kit_image_load(folder);
    for (size_t size = 1; size < image.size; size += size < PAGE * 3 ? 700 : 3 * PAGE + 333) {
        cut = (struct kit_image){image.bytes, size};
        kit_image_save(folder, &cut);
        judge_apart("cut", size);
    }
    free(image.bytes);
}
END_TEST

static void refused_with(const char *words)
{
    struct error error = {0};
    struct store *store;

    ck_assert_int_eq(kit_try(&store, folder, false, &error), WEIR_DAMAGED);
    ck_assert_msg(strstr(error.text, words) && strstr(error.text, folder), "%s", error.text);
    ck_assert_int_eq(kit_try(&store, folder, true, &error), WEIR_DAMAGED);
}

START_TEST(test_meta_pages_are_judged)
{
    struct kit_image image;
    char page[PAGE];
    uint64_t txn;

    store_make();
    image = kit_image_load(folder);
    memcpy(page, image.bytes, PAGE);
    memcpy(image.bytes, image.bytes + PAGE, PAGE);
    memcpy(image.bytes + PAGE, page, PAGE);
    kit_image_save(folder, &image);
    refused_with("meta pages do not follow each other");
    memcpy(image.bytes + PAGE, image.bytes, PAGE);
    memcpy(image.bytes, page, PAGE);
    /* The older of the two claims to be the next: everything fits, but its contents are old. */
    memcpy(&txn, image.bytes + 16 + 128, sizeof txn);
    memcpy(page, image.bytes + PAGE + 16 + 128, sizeof txn);
    if (memcmp(&txn, page, 8) < 0)
        txn += 2;
    else
        txn = txn + 1;
    memcpy(image.bytes + (txn % 2) * PAGE + 16 + 128, &txn, sizeof txn);
    kit_image_save(folder, &image);
    refused_with("is not of the transaction");
    free(image.bytes);
}
END_TEST

START_TEST(test_what_is_no_store_is_refused)
{
    struct kit_image image = {malloc(100000), 100000};

    store_close(kit_open(folder));
    memset(image.bytes, 'x', image.size);
    kit_image_save(folder, &image);
    refused_with("does not begin like");
    image.size = 100;
    kit_image_save(folder, &image);
    refused_with("cut off");
    free(image.bytes);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store_damage");
    TCase *c = tcase_create("store_damage");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, test_flipped_bits_are_never_served);
    tcase_add_test(c, test_zeroed_pages_are_never_served);
    tcase_add_test(c, test_a_cut_file_is_never_served);
    tcase_add_test(c, test_meta_pages_are_judged);
    tcase_add_test(c, test_what_is_no_store_is_refused);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
