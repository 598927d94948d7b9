/* module: mqtt libs: libmosquitto openssl */
/* words.c: see words.h. Codes: MQTT 5 §2.4, MQTT 3.1.1 §3.2.2.3 and §3.9.3. */
#include "words.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stddef.h>

#include "settings.h"

struct word {
    int code;
    const char *text;
};

static const char *word_find(const struct word *words, int code)
{
    while (words->text && words->code != code)
        words++;
    return words->text;
}

static const struct word refusals[] = {
    {MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, "it does not speak MQTT 5; set version: 3.1.1"},
    {MQTT_RC_CLIENTID_NOT_VALID, "it does not accept the client id; set another client_id"},
    {MQTT_RC_BAD_USERNAME_OR_PASSWORD, "bad user name or password; correct username and password"},
    {MQTT_RC_NOT_AUTHORIZED,
     "not authorized; correct username and password, or let this client in by the broker's access rules"},
    {MQTT_RC_SERVER_UNAVAILABLE, "the server is unavailable"},
    {MQTT_RC_SERVER_BUSY, "the server is busy"},
    {MQTT_RC_BANNED, "this client is banned; ask the broker's administrator"},
    {MQTT_RC_BAD_AUTHENTICATION_METHOD, "it wants another method of authentication than user name and password"},
    {MQTT_RC_QUOTA_EXCEEDED, "a quota is exceeded"},
    {MQTT_RC_USE_ANOTHER_SERVER, "another server is to be used; correct the url"},
    {MQTT_RC_SERVER_MOVED, "the server has moved; correct the url"},
    {MQTT_RC_CONNECTION_RATE_EXCEEDED, "too many connections in too short a time"},
    {0, NULL}};

static const struct word refusals_3[] = {
    {CONNACK_REFUSED_PROTOCOL_VERSION, "it does not speak MQTT 3.1.1; set version: 5"},
    {CONNACK_REFUSED_IDENTIFIER_REJECTED, "it does not accept the client id; set another client_id"},
    {CONNACK_REFUSED_SERVER_UNAVAILABLE, "the server is unavailable"},
    {CONNACK_REFUSED_BAD_USERNAME_PASSWORD, "bad user name or password; correct username and password"},
    {CONNACK_REFUSED_NOT_AUTHORIZED,
     "not authorized; correct username and password, or let this client in by the broker's access rules"},
    {0, NULL}};

const char *words_connack(int version, int code)
{
    const char *text = word_find(version == MQTT_5 ? refusals : refusals_3, code);
    /* A broker that does not know MQTT 5 answers it with the older code. */
    if (!text && version == MQTT_5 && code == CONNACK_REFUSED_PROTOCOL_VERSION)
        return word_find(refusals, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION);
    if (text)
        return text;
    return version == MQTT_5 ? mosquitto_reason_string(code) : mosquitto_connack_string(code);
}

const char *words_suback(int version, int code)
{
    static const struct word words[] = {
        {MQTT_RC_NOT_AUTHORIZED, "not authorized; let this client read it by the broker's access rules"},
        {MQTT_RC_TOPIC_FILTER_INVALID, "the broker does not allow this filter; correct it"},
        {MQTT_RC_QUOTA_EXCEEDED, "a quota is exceeded"},
        {MQTT_RC_SHARED_SUBS_NOT_SUPPORTED, "the broker has no shared subscriptions"},
        {MQTT_RC_WILDCARD_SUBS_NOT_SUPPORTED, "the broker has no wildcards"},
        {0, NULL}};
    const char *text = word_find(words, code);
    if (version != MQTT_5)
        return "the broker gives no reason; look at its access rules and its log";
    return text ? text : mosquitto_reason_string(code);
}

const char *words_puback(int code)
{
    static const struct word words[] = {
        {MQTT_RC_NOT_AUTHORIZED,
         "not authorized: the broker's access rules do not let this client publish to the topic"},
        {MQTT_RC_TOPIC_NAME_INVALID, "topic name invalid: the broker does not allow this topic"},
        {MQTT_RC_PACKET_TOO_LARGE, "packet too large: the event is larger than the broker allows"},
        {MQTT_RC_QUOTA_EXCEEDED, "quota exceeded: the broker has no room for more now"},
        {MQTT_RC_PAYLOAD_FORMAT_INVALID, "payload format invalid: the broker does not accept this payload"},
        {MQTT_RC_PACKET_ID_IN_USE, "packet id in use: the broker has an older publication open"},
        {MQTT_RC_IMPLEMENTATION_SPECIFIC, "the broker refuses it, for a reason of its own"},
        {MQTT_RC_UNSPECIFIED, "the broker refuses it and gives no reason"},
        {0, NULL}};
    const char *text = word_find(words, code);
    return text ? text : mosquitto_reason_string(code);
}

const char *words_goodbye(int code)
{
    static const struct word words[] = {
        {MQTT_RC_SESSION_TAKEN_OVER,
         "another client connected with the same client id; give each its own client_id"},
        {MQTT_RC_SERVER_SHUTTING_DOWN, "the broker is shutting down"},
        {MQTT_RC_KEEP_ALIVE_TIMEOUT, "the broker heard nothing from us for too long"},
        {MQTT_RC_PACKET_TOO_LARGE, "something sent was larger than the broker allows"},
        {MQTT_RC_ADMINISTRATIVE_ACTION, "the broker's administrator ended the connection"},
        {0, NULL}};
    const char *text = word_find(words, code);
    return text ? text : mosquitto_reason_string(code);
}
