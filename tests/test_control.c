/* test_control.c: the server of the control socket, and everything that a client can do wrong. */
#include <poll.h>

#include "control_kit.h"

START_TEST(test_a_request_is_answered)
{
    struct control_client client;
    struct error error;
    cJSON *answer;
    server_start();
    connect_client(&client);
    expect_ok(&client);
    expect_ok(&client);
    ck_assert_int_eq(control_ask(&client, command_json("dance"), &answer, &error), WEIR_REJECT);
    ck_assert_str_eq(error.text, "unknown command dance");
    ck_assert_ptr_null(answer);
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_an_answer_of_any_length_arrives)
{
    struct control_client client;
    struct error error;
    cJSON *answer;
    server_start();
    connect_client(&client);
    ck_assert_int_eq(control_ask(&client, command_json("big"), &answer, &error), WEIR_OK);
    ck_assert_uint_eq(strlen(cJSON_GetObjectItem(answer, "text")->valuestring), (4u << 20) - 1);
    cJSON_Delete(answer);
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_requests_sent_at_once_are_answered_in_order)
{
    struct control_client client;
    char text[4000] = "", line[200], expected[20];
    server_start();
    connect_client(&client);
    for (int i = 0; i < 50; i++)
        sprintf(text + strlen(text), "{\"command\":\"echo\",\"n\":%d}\n", i);
    send_all(client.fd, text, strlen(text));
    for (int i = 0; i < 50; i++) {
        ck_assert(read_line(client.fd, line, sizeof line));
        snprintf(expected, sizeof expected, "\"n\":%d,", i);
        ck_assert_ptr_nonnull(strstr(line, expected));
    }
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_a_request_may_come_in_pieces)
{
    static const char text[] = "{\"command\":\"echo\"}\r\n";
    struct control_client client;
    char line[200];
    server_start();
    connect_client(&client);
    for (size_t i = 0; i < sizeof text - 1; i++)
        send_all(client.fd, text + i, 1);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_garbage_is_refused_and_the_connection_lives)
{
    static const struct {
        const char *text;
        size_t size;
    } bad[] = {
        {"\n", 1},
        {"hello\n", 6},
        {"{\"command\":\"echo\"\n", 18},
        {"{\"command\":\"echo\"} x\n", 21},
        {"{\"command\":1}\n", 14},
        {"{}\n", 3},
        {"[\"command\"]\n", 12},
        {"\"command\"\n", 10},
        {"\0\0\n", 3},
        {"{\"command\":\"ec\0ho\"}\n", 20},
        {"\xff\xfe{\"command\":\"echo\"}\n", 21},
        {"{\"command\":\"\\\n", 14},
    };
    struct control_client client;
    server_start();
    connect_client(&client);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        expect_refused(client.fd, bad[i].text, bad[i].size, "one JSON object");
    expect_ok(&client);
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_deep_nesting_is_refused)
{
    char text[60000];
    struct control_client client;
    server_start();
    connect_client(&client);
    int size = sprintf(text, "{\"command\":\"echo\",\"x\":");
    memset(text + size, '[', 50000);
    strcpy(text + size + 50000, "\n");
    expect_refused(client.fd, text, strlen(text), "one JSON object");
    strcpy(text, "{\"command\":\"echo\",\"x\":[[[\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"]]]}\n");
    send_all(client.fd, text, strlen(text));
    ck_assert(read_line(client.fd, text, sizeof text));
    ck_assert_ptr_nonnull(strstr(text, "\"ok\":true"));
    control_disconnect(&client);
    server_stop();
}
END_TEST

static void long_line(char *text, size_t size)
{
    static const char head[] = "{\"command\":\"echo\",\"x\":\"";
    memset(text, 'x', size);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + size - 3, "\"}\n", 3);
}

START_TEST(test_a_line_of_the_maximum_is_taken_and_a_longer_one_ends_the_client)
{
    static char text[1u << 20], line[CONTROL_LINE_MAX + 100];
    struct control_client client;
    server_start();
    connect_client(&client);
    long_line(text, CONTROL_LINE_MAX);
    send_all(client.fd, text, CONTROL_LINE_MAX);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    long_line(text, CONTROL_LINE_MAX + 1);
    expect_refused(client.fd, text, CONTROL_LINE_MAX + 1, "too long");
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    connect_client(&client);
    memset(text, 'x', sizeof text);
    expect_refused(client.fd, text, sizeof text, "too long");
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_half_a_line_and_gone)
{
    server_start();
    for (int i = 0; i < 20; i++) {
        struct control_client client;
        connect_client(&client);
        send_all(client.fd, "{\"command\":\"ec", 14);
        control_disconnect(&client);
    }
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_who_only_stops_writing_still_gets_the_answer)
{
    char line[200];
    struct control_client client;
    server_start();
    connect_client(&client);
    send_all(client.fd, "{\"command\":\"echo\"}\n{\"comm", 26);
    shutdown(client.fd, SHUT_WR);
    ck_assert(read_line(client.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "\"ok\":true"));
    ck_assert(!read_line(client.fd, line, sizeof line));
    control_disconnect(&client);
    server_stop();
}
END_TEST

START_TEST(test_an_answer_may_come_later_and_to_nobody)
{
    struct control_client waiting, gone, other;
    struct error error;
    char line[200];
    cJSON *answer;
    server_start();
    connect_client(&other);
    connect_client(&waiting);
    send_all(waiting.fd, "{\"command\":\"hold\"}\n{\"command\":\"echo\"}\n", 38);
    do { /* until the server has it in hand */
        ck_assert_int_ne(control_ask(&other, command_json("release"), &answer, &error), WEIR_CLOSED);
    } while (!answer);
    cJSON_Delete(answer);
    ck_assert(read_line(waiting.fd, line, sizeof line));
    ck_assert_ptr_null(strstr(line, "echo"));
    ck_assert(read_line(waiting.fd, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "echo"));
    connect_client(&gone);
    send_all(gone.fd, "{\"command\":\"hold\"}\n", 19);
    control_disconnect(&gone);
    do {
        ck_assert_int_ne(control_ask(&other, command_json("release"), &answer, &error), WEIR_CLOSED);
    } while (!answer);
    cJSON_Delete(answer);
    expect_ok(&other);
    control_disconnect(&waiting);
    control_disconnect(&other);
    server_stop();
}
END_TEST

START_TEST(test_a_hundred_clients)
{
    struct control_client clients[100];
    size_t served = 0, refused = 0;
    server_start();
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        connect_client(&clients[i]);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        struct error error;
        cJSON *answer;
        int result = control_ask(&clients[i], command_json("echo"), &answer, &error);
        ck_assert_msg(result == WEIR_OK || (result == WEIR_REJECT && strstr(error.text, "too many")), "%s",
                      error.text);
        served += result == WEIR_OK;
        refused += result == WEIR_REJECT;
        cJSON_Delete(answer);
    }
    ck_assert_uint_eq(served, CONTROL_CLIENTS_MAX);
    ck_assert_uint_eq(refused, ARRAY_COUNT(clients) - CONTROL_CLIENTS_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        control_disconnect(&clients[i]);
    for (int result = WEIR_REJECT; result != WEIR_OK;) { /* until it has seen that they left */
        struct error error;
        cJSON *answer;
        connect_client(&clients[0]);
        result = control_ask(&clients[0], command_json("echo"), &answer, &error);
        cJSON_Delete(answer);
        control_disconnect(&clients[0]);
    }
    server_stop();
}
END_TEST

START_TEST(test_who_neither_asks_nor_reads_is_sent_away)
{
    char line[200];
    struct control_client silent, slow, partial;
    server_start_at(folder, 500);
    connect_client(&silent);
    connect_client(&slow);
    connect_client(&partial);
    for (int i = 0; i < 10; i++)
        send_all(slow.fd, "{\"command\":\"big\"}\n", 18);
    send_all(partial.fd, "{\"comm", 6);
    ck_assert(!read_line(silent.fd, line, sizeof line));
    ck_assert(!read_line(partial.fd, line, sizeof line));
    struct pollfd hung_up = {.fd = slow.fd}; /* without reading */
    ck_assert_int_eq(poll(&hung_up, 1, WAIT_MS), 1);
    char *piece = malloc(1 << 20);
    size_t total = 0;
    for (ssize_t got; (got = recv(slow.fd, piece, 1 << 20, 0)) > 0;)
        total += (size_t)got;
    ck_assert_uint_lt(total, 4u << 20);
    free(piece);
    expect_served();
    control_disconnect(&silent);
    control_disconnect(&slow);
    control_disconnect(&partial);
    server_stop();
}
END_TEST

START_TEST(test_the_server_ends_while_clients_are_there)
{
    struct control_client idle, slow, waiting;
    char line[200];
    server_start();
    connect_client(&idle);
    connect_client(&slow);
    connect_client(&waiting);
    expect_ok(&idle);
    send_all(slow.fd, "{\"command\":\"big\"}\n", 18);
    send_all(waiting.fd, "{\"command\":\"ec", 14);
    expect_ok(&idle);
    server_stop(); /* its loop closes with nothing left open */
    ck_assert(!read_line(idle.fd, line, sizeof line));
    control_disconnect(&idle);
    control_disconnect(&slow);
    control_disconnect(&waiting);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("control");
    TCase *c = tcase_create("control");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_a_request_is_answered);
    tcase_add_test(c, test_an_answer_of_any_length_arrives);
    tcase_add_test(c, test_requests_sent_at_once_are_answered_in_order);
    tcase_add_test(c, test_a_request_may_come_in_pieces);
    tcase_add_test(c, test_garbage_is_refused_and_the_connection_lives);
    tcase_add_test(c, test_deep_nesting_is_refused);
    tcase_add_test(c, test_a_line_of_the_maximum_is_taken_and_a_longer_one_ends_the_client);
    tcase_add_test(c, test_half_a_line_and_gone);
    tcase_add_test(c, test_who_only_stops_writing_still_gets_the_answer);
    tcase_add_test(c, test_an_answer_may_come_later_and_to_nobody);
    tcase_add_test(c, test_a_hundred_clients);
    tcase_add_test(c, test_who_neither_asks_nor_reads_is_sent_away);
    tcase_add_test(c, test_the_server_ends_while_clients_are_there);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
