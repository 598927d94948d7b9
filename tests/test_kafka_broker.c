/* test_kafka_broker.c: the Kafka broker that other tests stand on: it starts, keeps its data over a kill, and its
 * listeners ask for what they should. */
#include "kafka_kit.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

START_TEST(test_records_outlive_a_killed_broker)
{
    struct kafka *kafka = kafka_start(&(struct kafka_options){0});
    if (!kafka)
        return;
    kafka_topic(kafka_brokers(kafka), "t", 3);
    kafka_put(kafka_brokers(kafka), "t",
              (struct kafka_record[]){
                  {.partition = 2,
                   .time_ms = 1000,
                   .key = "k",
                   .value = "v",
                   .header_count = 1,
                   .headers = {{.name = "h", .value = "x"}}},
                  {.partition = 2, .time_ms = 2000},
              },
              2);
    kafka_kill(kafka);
    kafka_resume(kafka);
    struct kafka_records *records = kafka_read(kafka_brokers(kafka), "t", 2);
    const struct kafka_record *first = &records->items[0];
    ck_assert_int_eq(first->partition, 2);
    ck_assert_int_eq(first->offset, 0);
    ck_assert_int_eq(first->time_ms, 1000);
    ck_assert_str_eq(first->key, "k");
    ck_assert_str_eq(first->value, "v");
    ck_assert_uint_eq(first->header_count, 1);
    ck_assert_str_eq(first->headers[0].name, "h");
    ck_assert_str_eq(first->headers[0].value, "x");
    ck_assert_ptr_null(records->items[1].key);
    ck_assert_ptr_null(records->items[1].value);
    kafka_records_free(records);
    ck_assert_uint_eq(kafka_count(kafka_brokers(kafka), "t"), 2);
    kafka_stop(kafka);
}
END_TEST

/* The error of a client that asks `listener` for its topics. */
static rd_kafka_resp_err_t listener_ask(const struct kafka *kafka, const char *listener,
                                        const char *const *settings)
{
    char text[500];
    const struct rd_kafka_metadata *metadata;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", kafka_listener(kafka, listener), text, sizeof text);
    rd_kafka_conf_set(conf, "ssl.ca.location", kafka_file(kafka, "tls/ca.crt"), text, sizeof text);
    for (; settings[0]; settings += 2)
        ck_assert_msg(rd_kafka_conf_set(conf, settings[0], settings[1], text, sizeof text) == RD_KAFKA_CONF_OK,
                      "%s", text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    ck_assert_msg(client != NULL, "%s", text);
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, 3000);
    if (!error)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(client);
    return error;
}

START_TEST(test_listeners_ask_for_what_they_should)
{
    struct kafka *kafka = kafka_start(&(struct kafka_options){.secure = true});
    if (!kafka)
        return;
    char certificate[500], key[500];
    snprintf(certificate, sizeof certificate, "%s", kafka_file(kafka, "tls/client.crt"));
    snprintf(key, sizeof key, "%s", kafka_file(kafka, "tls/client.key"));
    const char *const tls[] = {"security.protocol", "ssl", NULL};
    const char *const mtls[] = {
        "security.protocol", "ssl", "ssl.certificate.location", certificate, "ssl.key.location", key, NULL};
    const char *const scram[] = {"security.protocol", "sasl_ssl",      "sasl.mechanism",
                                 "SCRAM-SHA-512",     "sasl.username", "bob",
                                 "sasl.password",     "bob-secret",    NULL};
    const char *const plain[] = {"security.protocol",
                                 "sasl_plaintext",
                                 "sasl.mechanism",
                                 "PLAIN",
                                 "sasl.username",
                                 "alice",
                                 "sasl.password",
                                 "alice-secret",
                                 NULL};
    const char *const wrong[] = {"security.protocol",
                                 "sasl_plaintext",
                                 "sasl.mechanism",
                                 "PLAIN",
                                 "sasl.username",
                                 "alice",
                                 "sasl.password",
                                 "no",
                                 NULL};
    const char *const token[] = {"security.protocol",
                                 "sasl_plaintext",
                                 "sasl.mechanism",
                                 "OAUTHBEARER",
                                 "enable.sasl.oauthbearer.unsecure.jwt",
                                 "true",
                                 "sasl.oauthbearer.config",
                                 "principal=carol",
                                 NULL};
    ck_assert_int_eq(listener_ask(kafka, "tls", tls), 0);
    ck_assert_int_eq(listener_ask(kafka, "mtls", mtls), 0);
    ck_assert_int_eq(listener_ask(kafka, "sasl_tls", scram), 0);
    ck_assert_int_eq(listener_ask(kafka, "sasl", plain), 0);
    ck_assert_int_ne(listener_ask(kafka, "mtls", tls), 0);
    ck_assert_int_ne(listener_ask(kafka, "stranger", tls), 0);
    ck_assert_int_ne(listener_ask(kafka, "sasl", wrong), 0);
    ck_assert_int_eq(listener_ask(kafka, "sasl", token), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka broker");
    TCase *tcase = tcase_create("broker");
    tcase_set_timeout(tcase, KAFKA_TEST_S);
    tcase_add_test(tcase, test_records_outlive_a_killed_broker);
    tcase_add_test(tcase, test_listeners_ask_for_what_they_should);
    suite_add_tcase(suite, tcase);
    return testing_run(suite);
}
