/* test_control_socket.c: the socket in the file system, and the client against servers that are not as they should
 * be. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control_kit.h"

static void socket_path(char path[300])
{
    snprintf(path, 300, "%s/control.sock", folder);
}

/* A socket as a process leaves it that was killed. */
static int socket_make(int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", folder);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (backlog >= 0)
        ck_assert_int_eq(listen(fd, backlog), 0);
    return fd;
}

START_TEST(test_the_socket_is_private_and_goes_away)
{
    char path[300];
    struct stat status;
    struct control_client client;
    struct error error;
    socket_path(path);
    server_start();
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert(S_ISSOCK(status.st_mode));
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    server_stop();
    ck_assert_int_eq(stat(path, &status), -1);
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, &error), WEIR_MISSING);
    ck_assert_ptr_nonnull(strstr(error.text, folder));
}
END_TEST

START_TEST(test_a_dead_process_socket_is_replaced)
{
    struct control_client client;
    struct error error;
    close(socket_make(5));
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, &error), WEIR_MISSING);
    server_start();
    expect_served();
    server_stop();
}
END_TEST

START_TEST(test_anything_else_in_the_way_stays)
{
    char path[300];
    struct error error = {0};
    uv_loop_t loop;
    struct control *control;
    socket_path(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    uv_loop_init(&loop);
    struct control_options options = {.loop = &loop, .folder = folder, .handler = server_handle};
    ck_assert_int_eq(control_open(&control, &options, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "remove it"));
    ck_assert_ptr_null(control);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(test_a_missing_folder_is_an_error)
{
    struct error error = {0};
    uv_loop_t loop;
    struct control *control;
    char path[300];
    snprintf(path, sizeof path, "%s/none", folder);
    uv_loop_init(&loop);
    struct control_options options = {.loop = &loop, .folder = path, .handler = server_handle};
    ck_assert_int_eq(control_open(&control, &options, &error), WEIR_IO);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(test_a_folder_with_a_long_path)
{
    char first[300], path[600], name[150];
    struct control_client client;
    struct error error = {0};
    cJSON *answer;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    snprintf(first, sizeof first, "%s/%s", folder, name);
    snprintf(path, sizeof path, "%s/%s", first, name);
    ck_assert_int_eq(mkdir(first, 0700), 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_MISSING);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_MISSING);
    server_start_at(path, 0);
    ck_assert_int_eq(control_connect(&client, path, WAIT_MS, &error), WEIR_OK);
    ck_assert_int_eq(control_ask(&client, command_json("echo"), &answer, &error), WEIR_OK);
    cJSON_Delete(answer);
    control_disconnect(&client);
    server_stop();
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(first), 0);
}
END_TEST

START_TEST(test_who_listens_and_never_answers_is_given_up)
{
    struct control_client client;
    struct error error = {0};
    cJSON *answer;
    int fd = socket_make(5);
    ck_assert_int_eq(control_connect(&client, folder, 50, &error), WEIR_OK);
    ck_assert_int_eq(control_ask(&client, command_json("echo"), &answer, &error), WEIR_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "did not answer in time"));
    control_disconnect(&client);
    close(fd);
}
END_TEST

START_TEST(test_a_full_backlog_is_given_up)
{
    struct control_client clients[20];
    struct error error = {0};
    int fd = socket_make(0), result = WEIR_OK;
    size_t count = 0;
    while (count < ARRAY_COUNT(clients) && result == WEIR_OK)
        result = control_connect(&clients[count++], folder, 50, &error);
    ck_assert_int_eq(result, WEIR_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "takes no more clients"));
    while (count)
        control_disconnect(&clients[--count]);
    close(fd);
}
END_TEST

/* A server that answers `text` to whatever comes, and closes. */
static int ask_impostor(const char *text, struct error *error)
{
    struct control_client client;
    cJSON *answer;
    int listener = socket_make(5);
    char path[300];
    ck_assert_int_eq(control_connect(&client, folder, WAIT_MS, error), WEIR_OK);
    int fd = accept(listener, NULL, NULL);
    send_all(fd, text, strlen(text));
    shutdown(fd, SHUT_WR);
    int result = control_ask(&client, command_json("echo"), &answer, error);
    cJSON_Delete(answer);
    control_disconnect(&client);
    close(fd);
    close(listener);
    socket_path(path);
    unlink(path);
    return result;
}

START_TEST(test_a_client_survives_any_server)
{
    struct error error = {0};
    ck_assert_int_eq(ask_impostor("", &error), WEIR_CLOSED);
    ck_assert_int_eq(ask_impostor("{\"ok\":tr", &error), WEIR_CLOSED);
    ck_assert_int_eq(ask_impostor("HTTP/1.1 400 Bad Request\n", &error), WEIR_DAMAGED);
    ck_assert_int_eq(ask_impostor("{\"ok\":1}\n", &error), WEIR_REJECT);
    ck_assert_ptr_nonnull(strstr(error.text, "without a reason"));
    ck_assert_int_eq(ask_impostor("{\"ok\":true}\n", &error), WEIR_OK);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("control_socket");
    TCase *c = tcase_create("control_socket");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_the_socket_is_private_and_goes_away);
    tcase_add_test(c, test_a_dead_process_socket_is_replaced);
    tcase_add_test(c, test_anything_else_in_the_way_stays);
    tcase_add_test(c, test_a_missing_folder_is_an_error);
    tcase_add_test(c, test_a_folder_with_a_long_path);
    tcase_add_test(c, test_who_listens_and_never_answers_is_given_up);
    tcase_add_test(c, test_a_full_backlog_is_given_up);
    tcase_add_test(c, test_a_client_survives_any_server);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
