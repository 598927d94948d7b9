/* module: kafka libs: rdkafka openssl */
/* settings.c: see settings.h.
 *
 * The normal path: brokers, TLS and login become properties of the client library; then come the user's own
 * properties, each checked against what weir sets itself. Fails: every fault is a configuration error that names
 * the option. A name other than the host's (tls.server_name) is checked here, since the library has no property for
 * it. */
#include "settings.h"

#include <inttypes.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", NULL};

const weir_option settings_tls_rows[] = {
    {.name = "ca",
     .type = WEIR_OPTION_PATH,
     .offset = offsetof(struct settings, tls.ca),
     .help = "A PEM file, or a folder, of certificate authorities to trust; without it, the system's."},
    {.name = "cert",
     .type = WEIR_OPTION_PATH,
     .offset = offsetof(struct settings, tls.cert),
     .help = "A PEM file of our own certificate, with its chain, for brokers that ask for one."},
    {.name = "key",
     .type = WEIR_OPTION_PATH,
     .offset = offsetof(struct settings, tls.key),
     .help = "A PEM file of the private key of `cert`."},
    {.name = "key_password",
     .type = WEIR_OPTION_SECRET,
     .offset = offsetof(struct settings, tls.key_password),
     .help = "What the private key is encrypted with."},
    {.name = "server_name",
     .type = WEIR_OPTION_TEXT,
     .min = 1,
     .max = 253,
     .offset = offsetof(struct settings, tls.server_name),
     .help = "The name that each broker's certificate must be for; without it, the broker's host."},
    {.name = "verify",
     .type = WEIR_OPTION_BOOL,
     .fallback = "true",
     .offset = offsetof(struct settings, tls.verify),
     .help = "Check the brokers' certificates and names; false is for experiments only."},
    {0}};

const weir_option settings_sasl_rows[] = {
    {.name = "mechanism",
     .type = WEIR_OPTION_CHOICE,
     .choices = mechanisms,
     .fallback = "PLAIN",
     .offset = offsetof(struct settings, sasl.mechanism),
     .help = "How to log in; PLAIN and OAUTHBEARER show the secret to whoever listens, unless there is `tls`."},
    {.name = "username",
     .type = WEIR_OPTION_TEXT,
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct settings, sasl.username),
     .help = "The name to log in with."},
    {.name = "password",
     .type = WEIR_OPTION_SECRET,
     .offset = offsetof(struct settings, sasl.password),
     .help = "The password to log in with."},
    {.name = "token",
     .type = WEIR_OPTION_SECRET,
     .offset = offsetof(struct settings, sasl.token),
     .help = "The token of OAUTHBEARER (a JWT)."},
    {0}};

/* Of both; names that end with * stand for all that begin so. */
static const struct settings_rule common_rules[] = {
    {"bootstrap.servers", "use `brokers`"},
    {"metadata.broker.list", "use `brokers`"},
    {"security.protocol", "it follows from `tls` and `sasl`"},
    {"ssl.ca.location", "use `tls.ca`"},
    {"ssl.certificate.location", "use `tls.cert`"},
    {"ssl.key.location", "use `tls.key`"},
    {"ssl.key.password", "use `tls.key_password`, which is not shown"},
    {"enable.ssl.certificate.verification", "use `tls.verify`"},
    {"ssl.endpoint.identification.algorithm", "use `tls.verify` or `tls.server_name`"},
    {"sasl.mechanism", "use `sasl.mechanism`"},
    {"sasl.mechanisms", "use `sasl.mechanism`"},
    {"sasl.username", "use `sasl.username`"},
    {"sasl.password", "use `sasl.password`, which is not shown"},
    {"log.queue", "the log goes to weir's own"},
    {"enabled_events", "weir chooses what it is told"},
    {"opaque", "it is no text"},
    {"default_topic_conf", "it is no text; give its properties here one by one"},
    {"plugin.library.paths", "it would load code into weir"},
    {0}};

static const struct settings_rule *rule_find(const struct settings_rule *rules, const char *name)
{
    for (; rules && rules->name; rules++) {
        size_t size = strlen(rules->name);
        if (rules->name[size - 1] == '*' ? strncmp(name, rules->name, size - 1) == 0
                                         : strcmp(name, rules->name) == 0)
            return rules;
    }
    return NULL;
}

const char *settings_property(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->properties.count; i++) {
        if (strcmp(settings->properties.names[i], name) == 0)
            return settings->properties.values[i];
    }
    return NULL;
}

int settings_set(const struct settings *settings, rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char fault[300];
    if (rd_kafka_conf_set(conf, name, value, fault, sizeof fault) == RD_KAFKA_CONF_OK)
        return WEIR_OK;
    return settings->host->refuse(settings->host, name, "librdkafka %s does not take it: %s",
                                  rd_kafka_version_str(), fault);
}

int settings_default(const struct settings *settings, rd_kafka_conf_t *conf, const char *name, const char *value)
{
    return settings_property(settings, name) ? WEIR_OK : settings_set(settings, conf, name, value);
}

/* HOST, HOST:PORT or [IPv6]:PORT. */
static bool broker_valid(const char *text)
{
    size_t host = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
    const char *port = text + host;
    if (strpbrk(text, " ,/\t\r\n") || host == 0 || (text[0] == '[' && port[-1] != ']'))
        return false;
    if (!*port)
        return true;
    char *end;
    long number = port[0] == ':' && port[1] >= '0' && port[1] <= '9' ? strtol(port + 1, &end, 10) : 0;
    return number >= 1 && number <= 65535 && !*end;
}

static int brokers_set(const struct settings *settings, rd_kafka_conf_t *conf)
{
    char *list = NULL;
    for (size_t i = 0; i < settings->brokers.count; i++) {
        char *longer;
        const char *broker = settings->brokers.items[i];
        if (!broker_valid(broker)) {
            free(list);
            return settings->host->refuse(settings->host, "brokers", "\"%s\" is no broker; write HOST:PORT",
                                          broker);
        }
        if (asprintf(&longer, "%s%s%s", list ? list : "", list ? "," : "", broker) < 0)
            longer = NULL;
        free(list);
        list = longer;
        if (!list)
            return WEIR_NOMEM;
    }
    int result = settings_set(settings, conf, "bootstrap.servers", list ? list : "");
    free(list);
    return result;
}

static const char *certificate_advice(int error)
{
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "it is for another name: set tls.server_name to the name in it, or reach the broker by that name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "its time has ended or not begun: renew it, or set this machine's clock";
    case X509_V_ERR_CERT_REVOKED:
        return "it was revoked: the broker needs a new one";
    default:
        return "set tls.ca to the authority that signed it";
    }
}

/* The library tells no more than that a check failed. */
static void certificate_refused(struct settings *settings, const char *broker, int error)
{
    if (__atomic_exchange_n(&settings->refused, error, __ATOMIC_RELAXED) != error)
        settings->host->log(settings->host, WEIR_LOG_WARN, "the certificate of broker %s is refused: %s; %s",
                            broker, X509_verify_cert_error_string(error), certificate_advice(error));
}

static bool certificate_named(const struct settings *settings, const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    bool named = certificate && (X509_check_host(certificate, settings->tls.server_name, 0, 0, NULL) == 1 ||
                                 X509_check_ip_asc(certificate, settings->tls.server_name, 0) == 1);
    X509_free(certificate);
    return named;
}

/* On a thread of the library, for each certificate of the chain; depth 0 is the broker's own. */
// NOLINTNEXTLINE(readability-function-size): the library gives it so many arguments
static int certificate_check(rd_kafka_t *client, const char *broker, int32_t id, int *error, int depth,
                             const char *bytes, size_t size, char *text, size_t text_size, void *opaque)
{
    struct settings *settings = opaque;
    (void)client, (void)id;
    if (!*error && depth == 0 && settings->tls.server_name && !certificate_named(settings, bytes, size))
        *error = X509_V_ERR_HOSTNAME_MISMATCH;
    if (!*error)
        return 1;
    certificate_refused(settings, broker, *error);
    snprintf(text, text_size, "%s", X509_verify_cert_error_string(*error));
    return 0;
}

static int tls_set(const struct settings *settings, rd_kafka_conf_t *conf)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"ssl.ca.location", settings->tls.ca},
                 {"ssl.certificate.location", settings->tls.cert},
                 {"ssl.key.location", settings->tls.key},
                 {"ssl.key.password", settings->tls.key_password},
                 {"enable.ssl.certificate.verification", settings->tls.verify ? "true" : "false"},
                 {"ssl.endpoint.identification.algorithm",
                  settings->tls.verify && !settings->tls.server_name ? "https" : "none"}};
    if (!settings->tls.cert != !settings->tls.key)
        return settings->host->refuse(settings->host, "tls", "`cert` and `key` belong together; %s is missing",
                                      settings->tls.cert ? "key" : "cert");
    if (settings->tls.server_name && !settings->tls.verify)
        return settings->host->refuse(settings->host, "tls.server_name", "means nothing with `verify: false`");
    int result = WEIR_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && result == WEIR_OK; i++) {
        if (texts[i].value)
            result = settings_set(settings, conf, texts[i].name, texts[i].value);
    }
    if (settings->tls.verify)
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, certificate_check);
    return result;
}

/* Login. */

static int digit64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The claims of a JWT are JSON in base64url between the first two dots. */
static void claims_read(const char *token, char *claims, size_t size)
{
    const char *at = strchr(token, '.');
    unsigned bits = 0, count = 0;
    size_t used = 0;
    for (at = at ? at + 1 : ""; digit64(*at) >= 0 && used + 1 < size; at++) {
        bits = bits << 6 | (unsigned)digit64(*at);
        count += 6;
        if (count >= 8) {
            count -= 8;
            claims[used++] = (char)(bits >> count & 0xff);
        }
    }
    claims[used] = '\0';
}

/* When it ends, in ms since 1970; a token that does not say so is good for a year as far as we know. */
static int64_t token_end_ms(const struct settings *settings)
{
    char claims[4096];
    claims_read(settings->sasl.token, claims, sizeof claims);
    const char *at = strstr(claims, "\"exp\"");
    double end = 0;
    if (at && sscanf(at + 5, " : %lf", &end) == 1 && end > 0 && end < 1e13)
        return (int64_t)(end * 1000);
    return settings->host->wall_us(settings->host) / 1000 + INT64_C(365) * 86400 * 1000;
}

int settings_login(const struct settings *settings, rd_kafka_t *client)
{
    char fault[300];
    if (!settings->sasl.present || settings->sasl.mechanism != SASL_OAUTHBEARER)
        return WEIR_OK;
    int64_t end_ms = token_end_ms(settings), now_ms = settings->host->wall_us(settings->host) / 1000;
    const char *name = settings->sasl.username ? settings->sasl.username : "weir";
    if (end_ms <= now_ms)
        snprintf(fault, sizeof fault, "it ended %" PRId64 " s ago", (now_ms - end_ms) / 1000);
    else if (rd_kafka_oauthbearer_set_token(client, settings->sasl.token, end_ms, name, NULL, 0, fault,
                                            sizeof fault) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return WEIR_OK;
    settings->host->log(settings->host, WEIR_LOG_ERROR,
                        "the token of `sasl` cannot be used: %s; give a new one and start again", fault);
    rd_kafka_oauthbearer_set_token_failure(client, fault);
    return WEIR_INVALID;
}

static void token_refresh(rd_kafka_t *client, const char *config, void *opaque)
{
    (void)config;
    settings_login(opaque, client);
}

static int sasl_check(const struct settings *settings)
{
    const weir_host *host = settings->host;
    bool token = settings->sasl.mechanism == SASL_OAUTHBEARER;
    if (token && !settings->sasl.token)
        return host->refuse(host, "sasl", "OAUTHBEARER needs `token`");
    if (token && settings->sasl.password)
        return host->refuse(host, "sasl.password", "OAUTHBEARER takes `token` alone");
    if (!token && settings->sasl.token)
        return host->refuse(host, "sasl.token", "only OAUTHBEARER takes one");
    if (!token && (!settings->sasl.username || !settings->sasl.password))
        return host->refuse(host, "sasl", "needs `username` and `password`");
    return WEIR_OK;
}

static int sasl_set(const struct settings *settings, rd_kafka_conf_t *conf)
{
    int result = sasl_check(settings);
    if (result == WEIR_OK)
        result = settings_set(settings, conf, "sasl.mechanism", mechanisms[settings->sasl.mechanism]);
    if (result == WEIR_OK && settings->sasl.username)
        result = settings_set(settings, conf, "sasl.username", settings->sasl.username);
    if (result == WEIR_OK && settings->sasl.password)
        result = settings_set(settings, conf, "sasl.password", settings->sasl.password);
    if (settings->sasl.mechanism == SASL_OAUTHBEARER)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, token_refresh);
    return result;
}

/* The whole. */

static void library_logs(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    const struct settings *settings = rd_kafka_opaque(client);
    int ours = level <= LOG_ERR ? WEIR_LOG_WARN : level <= LOG_WARNING ? WEIR_LOG_INFO : WEIR_LOG_DEBUG;
    settings->host->log(settings->host, ours, "librdkafka: %s: %s", facility, text);
}

static int properties_set(const struct settings *settings, const struct settings_rule *rules, rd_kafka_conf_t *conf)
{
    for (size_t i = 0; i < settings->properties.count; i++) {
        char option[120], fault[400];
        const char *name = settings->properties.names[i];
        const struct settings_rule *rule = rule_find(common_rules, name);
        snprintf(option, sizeof option, "properties.%.100s", name);
        rule = rule ? rule : rule_find(rules, name);
        if (rule)
            return settings->host->refuse(settings->host, option, "may not be set here: %s", rule->why);
        if (rd_kafka_conf_set(conf, name, settings->properties.values[i], fault, sizeof fault) != RD_KAFKA_CONF_OK)
            return settings->host->refuse(settings->host, option, "librdkafka %s does not take it: %s",
                                          rd_kafka_version_str(), fault);
    }
    return WEIR_OK;
}

static int conf_fill(const struct settings *settings, const struct settings_rule *rules, rd_kafka_conf_t *conf)
{
    static const char *const protocols[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"};
    const weir_host *host = settings->host;
    char id[300];
    snprintf(id, sizeof id, "weir-%.*s-%.*s", (int)host->store_id.size, host->store_id.data, (int)host->name.size,
             host->name.data);
    int result = brokers_set(settings, conf);
    if (result == WEIR_OK)
        result = settings_set(settings, conf, "security.protocol",
                              protocols[(settings->tls.present ? 1 : 0) + (settings->sasl.present ? 2 : 0)]);
    if (result == WEIR_OK && settings->tls.present)
        result = tls_set(settings, conf);
    if (result == WEIR_OK && settings->sasl.present)
        result = sasl_set(settings, conf);
    if (result == WEIR_OK)
        result = settings_default(settings, conf, "client.id", id);
    if (result == WEIR_OK)
        result = properties_set(settings, rules, conf);
    return result;
}

int settings_conf(struct settings *settings, const weir_host *host, const struct settings_rule *rules,
                  rd_kafka_conf_t **conf)
{
    settings->host = host;
    *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(*conf, settings);
    rd_kafka_conf_set_log_cb(*conf, library_logs);
    int result = conf_fill(settings, rules, *conf);
    if (result != WEIR_OK) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return result;
}
