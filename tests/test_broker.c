/* test_broker.c: the tests' own mosquitto, by mosquitto's own clients: it refuses whom it should, and forgets
 * nothing when it is killed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

#define WORDS_MAX 30

/* The words every client needs, then `more`. Returns the exit code; *output as testing_command. */
static int client_run(const struct broker *broker, const char *command, const char *const *more, char **output)
{
    char port[12];
    const char *argv[WORDS_MAX] = {command, "-p", port, "-h", "localhost", "-q", "1", "-t", "box"};
    size_t count = 9;

    if (!testing_command_exists(command)) {
        testing_skip("mosquitto", "mosquitto's clients are not installed");
        exit(EXIT_SUCCESS);
    }
    snprintf(port, sizeof port, "%d", broker_port(broker));
    for (; *more; more++)
        argv[count++] = *more;
    ck_assert_uint_lt(count, WORDS_MAX);
    return testing_command(argv, output);
}

static int message_publish(const struct broker *broker, const char *text)
{
    const char *more[] = {"-m", text, NULL};
    return client_run(broker, "mosquitto_pub", more, NULL);
}

/* Makes the session "keeper", so that messages wait for it. */
static void session_make(const struct broker *broker)
{
    const char *more[] = {"-i", "keeper", "-c", "-E", NULL};
    ck_assert_int_eq(client_run(broker, "mosquitto_sub", more, NULL), 0);
}

static char *session_take(const struct broker *broker, const char *count)
{
    const char *more[] = {"-i", "keeper", "-c", "-C", count, "-W", "30", NULL};
    char *output;
    ck_assert_int_eq(client_run(broker, "mosquitto_sub", more, &output), 0);
    return output;
}

START_TEST(test_messages_wait_over_a_stop)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_PLAIN});
    char *text, url[64];

    if (!broker)
        return;
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", broker_port(broker));
    ck_assert_str_eq(broker_url(broker), url);
    session_make(broker);
    ck_assert_int_eq(message_publish(broker, "one"), 0);
    broker_stop(broker);
    ck_assert_int_ne(message_publish(broker, "lost"), 0);
    broker_resume(broker);
    ck_assert_int_eq(message_publish(broker, "two"), 0);
    text = session_take(broker, "2");
    ck_assert_str_eq(text, "one\ntwo\n");
    free(text);
}
END_TEST

/* What was saved before is there again; mosquitto saves once a second and at each change when told so. */
START_TEST(test_a_kill_is_survived)
{
    struct broker *broker = broker_start(&(struct broker_options){.queued_max = 0});
    char *text;

    if (!broker)
        return;
    session_make(broker);
    broker_stop(broker);
    broker_resume(broker);
    broker_kill(broker);
    broker_resume(broker);
    ck_assert_int_eq(message_publish(broker, "after"), 0);
    text = session_take(broker, "1");
    ck_assert_str_eq(text, "after\n");
    free(text);
}
END_TEST

START_TEST(test_a_password_is_wanted)
{
    struct broker *broker = broker_start(&(struct broker_options){.password = true});
    const char *right[] = {"-m", "x", "-u", "weir", "-P", "secret", NULL};
    const char *wrong[] = {"-m", "x", "-u", "weir", "-P", "guess", NULL};

    if (!broker)
        return;
    ck_assert_int_eq(client_run(broker, "mosquitto_pub", right, NULL), 0);
    ck_assert_int_ne(client_run(broker, "mosquitto_pub", wrong, NULL), 0);
    ck_assert_int_ne(message_publish(broker, "nobody"), 0);
}
END_TEST

START_TEST(test_tls)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS});
    char ca[4096];
    const char *with[] = {"-m", "x", "--cafile", ca, NULL};

    if (!broker)
        return;
    ck_assert_int_eq(strncmp(broker_url(broker), "mqtts://localhost:", 18), 0);
    snprintf(ca, sizeof ca, "%s/ca.crt", broker_folder(broker));
    ck_assert_int_eq(client_run(broker, "mosquitto_pub", with, NULL), 0);
    snprintf(ca, sizeof ca, "%s/client.crt", broker_folder(broker));
    ck_assert_int_ne(client_run(broker, "mosquitto_pub", with, NULL), 0);
}
END_TEST

START_TEST(test_tls_with_client_certificates)
{
    struct broker *broker = broker_start(&(struct broker_options){.tls = BROKER_TLS_CLIENT});
    char ca[4096], certificate[4096], key[4096];
    const char *without[] = {"-m", "x", "--cafile", ca, NULL};
    const char *with[] = {"-m", "x", "--cafile", ca, "--cert", certificate, "--key", key, NULL};

    if (!broker)
        return;
    snprintf(ca, sizeof ca, "%s/ca.crt", broker_folder(broker));
    snprintf(certificate, sizeof certificate, "%s/client.crt", broker_folder(broker));
    snprintf(key, sizeof key, "%s/client.key", broker_folder(broker));
    ck_assert_int_eq(client_run(broker, "mosquitto_pub", with, NULL), 0);
    ck_assert_int_ne(client_run(broker, "mosquitto_pub", without, NULL), 0);
}
END_TEST

START_TEST(test_a_queue_of_two_keeps_two)
{
    struct broker *broker = broker_start(&(struct broker_options){.queued_max = 2, .inflight_max = 1});
    char *text;

    if (!broker)
        return;
    session_make(broker);
    for (int n = 0; n < 10; n++)
        ck_assert_int_eq(message_publish(broker, n < 2 ? "kept" : "dropped"), 0);
    text = session_take(broker, "2");
    ck_assert_str_eq(text, "kept\nkept\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker");
    TCase *c = tcase_create("broker");

    tcase_add_test(c, test_messages_wait_over_a_stop);
    tcase_add_test(c, test_a_kill_is_survived);
    tcase_add_test(c, test_a_password_is_wanted);
    tcase_add_test(c, test_tls);
    tcase_add_test(c, test_tls_with_client_certificates);
    tcase_add_test(c, test_a_queue_of_two_keeps_two);
    suite_add_tcase(s, c);
    return testing_run(s);
}
