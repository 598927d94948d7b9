/* test_log.c: every line is one line, whatever is logged; what is said too often is counted, and nothing is lost of
 * the count. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "log.h"
#include "testing.h"

static int fd;
static char *text;

static void setup(void)
{
    fd = open(testing_folder(), O_TMPFILE | O_RDWR | O_APPEND, 0600);
    ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
    free(text);
    close(fd);
}

/* All that was written so far; lines counts them. */
static const char *written(size_t *lines)
{
    off_t size = lseek(fd, 0, SEEK_END);
    free(text);
    text = calloc(1, (size_t)size + 1);
    ck_assert_int_eq(pread(fd, text, (size_t)size, 0), size);
    *lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        ++*lines;
    ck_assert(size == 0 || text[size - 1] == '\n');
    return text;
}

START_TEST(test_a_line_of_text)
{
    struct log *log = log_new(fd, LOG_INFO, false);
    size_t lines;
    log_write(log, LOG_INFO, "mqtt meters", "connected to %s:%d", "broker", 1883);
    log_write(log, LOG_ERROR, "store", "full");
    const char *all = written(&lines);
    ck_assert_uint_eq(lines, 2);
    int64_t us;
    ck_assert_int_eq(time_parse(all, 24, &us), WEIR_OK);
    ck_assert(llabs(us - clock_wall_us()) < 10 * SECOND_US);
    ck_assert(all[19] == '.' && all[23] == 'Z');
    ck_assert_ptr_nonnull(strstr(all, "Z info  mqtt meters: connected to broker:1883\n"));
    ck_assert_ptr_nonnull(strstr(all, "Z error store: full\n"));
    log_free(log);
}
END_TEST

START_TEST(test_a_line_of_json)
{
    struct log *log = log_new(fd, LOG_INFO, true);
    size_t lines;
    log_write(log, LOG_WARN, "route \"a\"", "tab\t, quote \", back\\slash, \xc3\xa4 \xff \xc2\x9b");
    cJSON *line = cJSON_Parse(written(&lines));
    ck_assert_uint_eq(lines, 1);
    ck_assert_str_eq(cJSON_GetObjectItem(line, "level")->valuestring, "warn");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "part")->valuestring, "route \"a\"");
    ck_assert_str_eq(cJSON_GetObjectItem(line, "message")->valuestring,
                     "tab\t, quote \", back\\slash, \xc3\xa4 \xef\xbf\xbd \xc2\x9b");
    ck_assert_uint_eq(strlen(cJSON_GetObjectItem(line, "time")->valuestring), 24);
    cJSON_Delete(line);
    log_free(log);
}
END_TEST

START_TEST(test_levels)
{
    struct log *log = log_new(fd, LOG_WARN, false);
    size_t lines;
    log_write(log, LOG_ERROR, "p", "1");
    log_write(log, LOG_WARN, "p", "2");
    log_write(log, LOG_INFO, "p", "no");
    log_write(log, LOG_DEBUG, "p", "no");
    log_set(log, LOG_DEBUG, true);
    log_write(log, LOG_DEBUG, "p", "3");
    log_set(log, LOG_ERROR, false);
    log_write(log, LOG_WARN, "p", "no");
    const char *all = written(&lines);
    ck_assert_uint_eq(lines, 3);
    ck_assert_ptr_null(strstr(all, "no"));
    ck_assert_ptr_nonnull(strstr(all, "\"level\":\"debug\""));
    log_free(log);
}
END_TEST

START_TEST(test_no_log_is_no_fault)
{
    log_write(NULL, LOG_ERROR, "p", "nothing");
    log_set(NULL, LOG_ERROR, true);
    log_free(NULL);
}
END_TEST

START_TEST(test_a_broken_descriptor_is_no_fault)
{
    struct log *log = log_new(-1, LOG_INFO, false);
    log_write(log, LOG_ERROR, "p", "nobody reads this");
    log_free(log);
}
END_TEST

static bool printable(const char *line)
{
    const char *end = line + strlen(line);
    for (size_t length; line < end; line += length) {
        length = utf8_length(line, end);
        bool c1 = length == 2 && (unsigned char)line[0] == 0xC2 && (unsigned char)line[1] < 0xA0;
        if (!length || c1 || (unsigned char)*line < 0x20 || *line == 0x7F)
            return false;
    }
    return true;
}

/* Any bytes, up to far beyond the bound, as part and as message. */
START_TEST(test_any_message_is_one_printable_line)
{
    bool json = _i == 1;
    struct random random;
    random_init(&random, testing_seed());
    for (int round = 0; round < 300; round++) {
        char part[300], message[4000];
        size_t lines, sizes[2] = {random_below(&random, sizeof part), random_below(&random, sizeof message)};
        int control = round % 3 == 0;
        for (size_t i = 0; i < sizes[0]; i++)
            part[i] = (char)(control ? 1 : 1 + random_below(&random, 255));
        for (size_t i = 0; i < sizes[1]; i++)
            message[i] = (char)(control ? 1 : 1 + random_below(&random, 255));
        part[sizes[0]] = message[sizes[1]] = '\0';
        struct log *log = log_new(fd, LOG_INFO, json);
        log_write(log, LOG_INFO, part, "%s", message);
        log_free(log);
        written(&lines);
        ck_assert_uint_eq(lines, 1);
        *strchr(text, '\n') = '\0';
        ck_assert(printable(text));
        cJSON *line = json ? cJSON_Parse(text) : NULL;
        ck_assert(!json || line);
        cJSON_Delete(line);
        ck_assert_int_eq(ftruncate(fd, 0), 0);
    }
}
END_TEST

/* Lines that say `word`, and of lines held back the number they say. */
static void lines_count(const char *word, size_t *shown, size_t *held)
{
    size_t lines;
    char *save = NULL, *all = strdup(written(&lines));
    *shown = *held = 0;
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *more = strstr(line, " more like this were held back, the last: ");
        if (!strstr(line, word))
            continue;
        *shown += !more;
        while (more && more[-1] >= '0' && more[-1] <= '9')
            more--;
        *held += more ? strtoul(more, NULL, 10) : 0;
    }
    free(all);
}

START_TEST(test_a_flood_is_summed_up_at_the_end)
{
    struct log *log = log_new(fd, LOG_INFO, false);
    int64_t start = clock_mono_us();
    size_t shown, held;
    for (int i = 0; i < 1000; i++) {
        log_write(log, LOG_INFO, "one", "flood %d", i);
        log_write(log, LOG_INFO, "two", "flood %d", i);
    }
    log_free(log);
    size_t seconds = (size_t)((clock_mono_us() - start) / SECOND_US) + 2;
    lines_count("one: ", &shown, &held);
    ck_assert_uint_eq(shown + held, 1000);
    ck_assert(shown >= 10 && shown <= 10 * seconds);
    lines_count("two: ", &shown, &held);
    ck_assert_uint_eq(shown + held, 1000);
    ck_assert(strstr(text, "the last: flood 999") || held == 0);
}
END_TEST

static bool second_is_over(void *arg)
{
    return clock_mono_us() / SECOND_US != *(const int64_t *)arg;
}

/* Also when their cause never speaks again. */
START_TEST(test_held_lines_are_told_in_a_later_second)
{
    struct log *log = log_new(fd, LOG_INFO, false);
    int64_t second = clock_mono_us() / SECOND_US;
    size_t shown, held;
    ck_assert(testing_wait(second_is_over, &second, 3000)); /* a whole second lies ahead */
    second = clock_mono_us() / SECOND_US;
    for (int i = 0; i < 30; i++)
        log_write(log, LOG_INFO, "often", "flood");
    ck_assert(testing_wait(second_is_over, &second, 3000));
    log_write(log, LOG_INFO, "other", "something else");
    lines_count("often: ", &shown, &held);
    ck_assert_uint_eq(shown + held, 30);
    ck_assert_uint_gt(held, 0);
    log_free(log);
    lines_count("often: ", &shown, &held);
    ck_assert_uint_eq(shown + held, 30);
}
END_TEST

/* More causes than there are places push each other out; the sum still holds. */
START_TEST(test_many_causes_lose_no_count)
{
    enum { PARTS = 300, EACH = 25 };
    struct log *log = log_new(fd, LOG_INFO, true);
    size_t shown, held;
    for (int i = 0; i < EACH; i++) {
        for (int part = 0; part < PARTS; part++) {
            char name[20];
            snprintf(name, sizeof name, "part %d", part);
            log_write(log, LOG_INFO, name, "again");
        }
    }
    log_free(log);
    lines_count("\"part\":\"part ", &shown, &held);
    ck_assert_uint_eq(shown + held, PARTS * EACH);
}
END_TEST

static void *writer(void *arg)
{
    struct log *log = arg;
    char name[40];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "thread %d", i);
        log_write(log, LOG_INFO, name, "abcdefghijklmnopqrstuvwxyz %d", i);
        if (i % 100 == 0)
            log_set(log, LOG_INFO, i % 200 == 0);
    }
    return NULL;
}

START_TEST(test_threads_do_not_mix_lines)
{
    struct log *log = log_new(fd, LOG_INFO, false);
    pthread_t threads[4];
    size_t lines;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, writer, log), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_free(log);
    char *save = NULL, *all = strdup(written(&lines));
    ck_assert_uint_eq(lines, 2000);
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *part = strstr(line, "thread "), *message = strstr(line, "abcdefghijklmnopqrstuvwxyz ");
        ck_assert(part && message && strtol(part + 7, NULL, 10) == strtol(message + 27, NULL, 10));
        ck_assert(!strstr(message + 1, "abc"));
    }
    free(all);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("log");
    TCase *c = tcase_create("log");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_a_line_of_text);
    tcase_add_test(c, test_a_line_of_json);
    tcase_add_test(c, test_levels);
    tcase_add_test(c, test_no_log_is_no_fault);
    tcase_add_test(c, test_a_broken_descriptor_is_no_fault);
    tcase_add_loop_test(c, test_any_message_is_one_printable_line, 0, 2);
    tcase_add_test(c, test_a_flood_is_summed_up_at_the_end);
    tcase_add_test(c, test_held_lines_are_told_in_a_later_second);
    tcase_add_test(c, test_many_causes_lose_no_count);
    tcase_add_test(c, test_threads_do_not_mix_lines);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
