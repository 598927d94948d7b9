/* module: kafka libs: rdkafka openssl */
/* words.c: see words.h. */
#include "words.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct advice {
    rd_kafka_resp_err_t code;
    const char *detail; /* only when this is in what the library said; NULL: always */
    const char *text;
};

/* The first that fits is told. */
static const struct advice advices[] = {
    {RD_KAFKA_RESP_ERR__SSL, "hostname",
     "its certificate is for another name: set tls.server_name to the name in it, or reach the broker by that "
     "name"},
    {RD_KAFKA_RESP_ERR__SSL, "IP address mismatch",
     "its certificate is for another name: set tls.server_name to the name in it, or reach the broker by that "
     "name"},
    {RD_KAFKA_RESP_ERR__SSL, "certificate verify failed",
     "set tls.ca to the authority that signed the broker's certificate"},
    {RD_KAFKA_RESP_ERR__SSL, "verification", "set tls.ca to the authority that signed the broker's certificate"},
    {RD_KAFKA_RESP_ERR__SSL, "certificate required", "the broker asks for a certificate: set tls.cert and tls.key"},
    {RD_KAFKA_RESP_ERR__SSL, "bad certificate",
     "the broker does not take our certificate: look at tls.cert and tls.key"},
    {RD_KAFKA_RESP_ERR__SSL, "wrong version",
     "the broker does not talk TLS on this port: leave out tls, or use its TLS port"},
    {RD_KAFKA_RESP_ERR__SSL, NULL, "look at tls, and at the broker's log"},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, NULL,
     "look at sasl: mechanism, username, password or token; and at the user's entry at the broker"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, NULL,
     "look at sasl: mechanism, username, password or token; and at the user's entry at the broker"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, NULL, "set sasl.mechanism to one that the broker offers"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, "SSL", "the broker may want tls, or have another port for it"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, NULL, "trying again; is the broker up, and is its address right?"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NULL, "trying again; are the brokers up, and is `brokers` right?"},
    {RD_KAFKA_RESP_ERR__RESOLVE, NULL, "trying again; is the host in `brokers` right, and does its name resolve?"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "trying again; is the broker overloaded, or the network slow?"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, NULL, "trying again; is the broker up?"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, NULL, "create the topic, or mend its name; it is looked for again"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, NULL, "create the topic, or mend its name; it is looked for again"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, NULL, "the topic has fewer partitions than before: was it made anew?"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, NULL, "the topic's name is not allowed at the broker"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, NULL, "give this user the right to the topic (kafka-acls)"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, NULL,
     "give this user the right to read with the group (kafka-acls)"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, NULL,
     "give this user the right to the cluster (kafka-acls); an idempotent producer needs IDEMPOTENT_WRITE on old "
     "brokers"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NULL,
     "give this user the right to the transactional id (kafka-acls)"},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, NULL,
     "another process runs with the same instance_id: give each its own"},
    {RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, NULL,
     "the process stood still for longer than max.poll.interval.ms; its partitions went to others and come back"},
    {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, NULL,
     "the other members of the group use another assignment: set `assignment` as theirs, or another group"},
    {RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, NULL,
     "set properties.session.timeout.ms within group.min.session.timeout.ms and group.max.session.timeout.ms of "
     "the broker"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, NULL,
     "raise message.max.bytes of the broker or max.message.bytes of the topic, or make records smaller"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, NULL,
     "raise message.max.bytes of the broker or max.message.bytes of the topic, or make batches smaller"},
    {RD_KAFKA_RESP_ERR__BAD_MSG, NULL,
     "a record batch is damaged: the broker's disk or the network has changed it"},
    {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, NULL,
     "a record batch cannot be unpacked: it is damaged, or its compression is not built into this librdkafka"},
    {RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, NULL, "this librdkafka cannot do it; a newer one may"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, NULL,
     "trying again; fewer replicas are in sync than min.insync.replicas"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, NULL,
     "trying again; fewer replicas are in sync than min.insync.replicas"},
    {RD_KAFKA_RESP_ERR__FENCED, NULL, "another process runs with the same transactional id: give each its own"},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, NULL,
     "another process runs with the same transactional id: give each its own"},
};

const char *words_error(rd_kafka_resp_err_t code, const char *detail, char text[WORDS_MAX])
{
    const char *what = rd_kafka_err2str(code), *advice = NULL;
    for (size_t i = 0; i < sizeof advices / sizeof advices[0] && !advice; i++) {
        bool fits = !advices[i].detail || (detail && strcasestr(detail, advices[i].detail));
        advice = advices[i].code == code && fits ? advices[i].text : NULL;
    }
    bool more = detail && *detail && strcmp(detail, what) != 0;
    snprintf(text, WORDS_MAX, "%s%s%.300s%s%s", what, more ? ": " : "", more ? detail : "", advice ? "; " : "",
             advice ? advice : "");
    return text;
}

int words_passing(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        return 1;
    default:
        return 0;
    }
}
