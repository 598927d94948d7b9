/* test_control_engine.c: what the control socket of a running engine answers, and what it changes while it runs. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "engine_kit.h"

#define RIG                                                                                                        \
    "limits: { workers: 2 }\nsources: { in: { type: probe } }\nsinks: { out: { type: probe } }\n"                  \
    "routes: [ { name: r, from: in, to: out, order: shard } ]\n"

static struct rig *rig;
static struct probe_source *in;
static struct probe_sink *out;
static weir_shard *shard;

static int reject(struct probe_sink *sink, weir_write *write)
{
    (void)write;
    sink->reason = "never";
    return WEIR_REJECT;
}

/* `letters` dead letters of the sink, positions 1.. */
static void begin(size_t letters)
{
    rig = rig_new(testing_folder());
    rig_open(rig, "%s", RIG);
    rig_control(rig);
    in = rig_source(rig, "in");
    out = rig_sink(rig, "out");
    shard = probe_shard(in, "s", NULL);
    out->script = reject;
    if (letters)
        probe_emit(in, shard, 1, letters);
    RIG_UNTIL(rig, probe_settled(in, shard) == letters);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), letters);
    out->script = NULL;
}

static void finish(void)
{
    ck_assert_int_eq(rig_stop(rig), EXIT_DONE);
    rig_free(rig);
}

/* A client on a thread of its own, since the test's is the loop. */
struct client {
    const char *request;
    cJSON *answer;
    int result;
    struct error error;
    atomic_bool ended;
};

static void *client_main(void *arg)
{
    struct client *client = arg;
    struct control_client connection;
    client->result = control_connect(&connection, rig->config->store_path, 20000, &client->error);
    if (client->result == WEIR_OK) {
        client->result = control_ask(&connection, cJSON_Parse(client->request), &client->answer, &client->error);
        control_disconnect(&connection);
    }
    atomic_store(&client->ended, true);
    return NULL;
}

/* NULL: refused, *said has why. */
static cJSON *ask(const char *request, const char **said)
{
    static struct client client;
    pthread_t thread;
    memset(&client, 0, sizeof client);
    client.request = request;
    ck_assert_int_eq(pthread_create(&thread, NULL, client_main, &client), 0);
    RIG_UNTIL(rig, client.ended);
    pthread_join(thread, NULL);
    if (client.result == WEIR_REJECT && said)
        *said = client.error.text;
    else
        ck_assert_msg(client.result == WEIR_OK, "%s", client.error.text);
    return client.result == WEIR_OK ? client.answer : NULL;
}

static double number(const cJSON *answer, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(answer, name);
    ck_assert_msg(cJSON_IsNumber(item), "no %s", name);
    return item->valuedouble;
}

START_TEST(test_status_says_what_is_open)
{
    begin(0);
    out->holds = true;
    probe_emit(in, shard, 1, 6);
    RIG_UNTIL(rig, out->open_count == 1);
    cJSON *answer = ask("{\"command\":\"status\"}", NULL);
    const cJSON *route = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "routes"), 0);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(route, "name")), "r");
    ck_assert_int_eq((int)number(route, "open_events"), 6);
    ck_assert_int_eq((int)number(route, "completed_total"), 0);
    cJSON_Delete(answer);
    probe_answer_all(out, WEIR_OK);
    RIG_UNTIL(rig, probe_settled(in, shard) == 6);
    answer = ask("{\"command\":\"status\"}", NULL);
    route = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "routes"), 0);
    ck_assert_int_eq((int)number(route, "open_events"), 0);
    ck_assert_int_eq((int)number(route, "completed_total"), 6);
    cJSON_Delete(answer);
    finish();
}
END_TEST

START_TEST(test_dead_letters_are_dropped_while_it_runs)
{
    begin(5);
    cJSON *answer = ask("{\"command\":\"dead-drop\",\"id\":\"s/2\"}", NULL);
    ck_assert_int_eq((int)number(answer, "changed"), 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 4); /* durable when it is answered */
    cJSON_Delete(answer);
    answer = ask("{\"command\":\"dead-drop\",\"id\":\"s/2\"}", NULL);
    ck_assert_int_eq((int)number(answer, "changed"), 0);
    cJSON_Delete(answer);
    answer = ask("{\"command\":\"dead-drop\",\"all\":true}", NULL);
    ck_assert_int_eq((int)number(answer, "changed"), 4);
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(answer, "more")));
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 0);
    cJSON_Delete(answer);
    ck_assert_uint_eq(out->seen.count, 5); /* none was written again */
    finish();
}
END_TEST

START_TEST(test_dead_letters_are_replayed_while_it_runs)
{
    begin(3);
    cJSON *answer = ask("{\"command\":\"dead-replay\",\"id\":\"s/3\"}", NULL);
    ck_assert_int_eq((int)number(answer, "changed"), 1);
    cJSON_Delete(answer);
    RIG_UNTIL(rig, rig_records(rig, TABLE_DEAD) == 2);
    ck_assert_str_eq(seen_ids(&out->seen), "s/1 s/2 s/3 s/3");
    finish();
}
END_TEST

/* More than one step: the client goes on after what it was told. */
START_TEST(test_many_go_in_steps)
{
    char request[2000] = "{\"command\":\"dead-drop\",\"all\":true}";
    size_t steps = 0, changed = 0;
    bool more = true;
    begin(2500);
    while (more) {
        cJSON *answer = ask(request, NULL);
        steps++;
        changed += (size_t)number(answer, "changed");
        more = cJSON_IsTrue(cJSON_GetObjectItem(answer, "more"));
        snprintf(request, sizeof request, "{\"command\":\"dead-drop\",\"all\":true,\"after\":\"%s\"}",
                 cJSON_GetStringValue(cJSON_GetObjectItem(answer, "after")));
        cJSON_Delete(answer);
    }
    ck_assert_uint_eq(changed, 2500);
    ck_assert_uint_gt(steps, 1);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 0);
    finish();
}
END_TEST

static const struct {
    const char *request, *said;
} refusals[] = {
    {"{\"command\":\"dead-drop\"}", "say which"},
    {"{\"command\":\"dead-drop\",\"all\":false}", "say which"},
    {"{\"command\":\"dead-drop\",\"all\":true,\"rout\":\"r\"}", "say which"},
    {"{\"command\":\"dead-drop\",\"route\":7,\"all\":true}", "say which"},
    {"{\"command\":\"dead-replay\",\"all\":\"true\"}", "say which"},
    {"{\"command\":\"dead-drop\",\"all\":true,\"after\":\"xyz\"}", "`after` is no key"},
    {"{\"command\":\"dead-drop\",\"all\":true,\"after\":\"abc\"}", "`after` is no key"},
    {"{\"command\":\"reload\"}", "unknown command"},
};

/* Nothing is changed by a request that is not understood in full: it could mean fewer than it would hit. */
START_TEST(test_what_is_not_understood_changes_nothing)
{
    const char *said = "";
    begin(3);
    ck_assert_ptr_null(ask(refusals[_i].request, &said));
    ck_assert_msg(strstr(said, refusals[_i].said) != NULL, "%s", said);
    ck_assert_uint_eq(rig_records(rig, TABLE_DEAD), 3);
    finish();
}
END_TEST

START_TEST(test_stop_ends_the_run_in_order)
{
    begin(0);
    probe_emit(in, shard, 1, 20);
    cJSON_Delete(ask("{\"command\":\"ping\"}", NULL));
    cJSON_Delete(ask("{\"command\":\"stop\"}", NULL));
    ck_assert_int_eq(rig_run(rig), EXIT_DONE);
    ck_assert_uint_eq(probe_settled(in, shard), 20);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control_engine");
    TCase *c = tcase_create("control_engine");
    tcase_add_test(c, test_status_says_what_is_open);
    tcase_add_test(c, test_dead_letters_are_dropped_while_it_runs);
    tcase_add_test(c, test_dead_letters_are_replayed_while_it_runs);
    tcase_add_test(c, test_many_go_in_steps);
    tcase_add_loop_test(c, test_what_is_not_understood_changes_nothing, 0, ARRAY_COUNT(refusals));
    tcase_add_test(c, test_stop_ends_the_run_in_order);
    suite_add_tcase(s, c);
    return testing_run(s);
}
