/* settings.h: what the source and the sink have in common in a configuration, checked, and made into a
 * configuration of the client library. */
#ifndef WEIR_KAFKA_SETTINGS_H
#define WEIR_KAFKA_SETTINGS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "weir_plugin.h"

enum { SASL_PLAIN, SASL_SCRAM_256, SASL_SCRAM_512, SASL_OAUTHBEARER }; /* values of `sasl.mechanism` */

/* The first member of the state of both, so that the rows below fit either. */
struct settings {
    weir_list brokers;
    weir_map properties;
    struct {
        int64_t present, verify;
        const char *ca, *cert, *key, *key_password, *server_name;
    } tls;
    struct {
        int64_t present, mechanism;
        const char *username, *password, *token;
    } sasl;

    const weir_host *host; /* set by settings_conf */
};

extern const weir_option settings_tls_rows[], settings_sasl_rows[];

/* The rows of both. */
#define SETTINGS_ROWS                                                                                              \
    {.name = "brokers",                                                                                            \
     .type = WEIR_OPTION_LIST,                                                                                     \
     .flags = WEIR_OPTION_REQUIRED,                                                                                \
     .min = 1,                                                                                                     \
     .max = 1000,                                                                                                  \
     .offset = offsetof(struct settings, brokers),                                                                 \
     .help = "Where to ask first, HOST:PORT (9092); the cluster tells the rest."},                                 \
        {.name = "tls",                                                                                            \
         .type = WEIR_OPTION_GROUP,                                                                                \
         .flags = WEIR_OPTION_TRUE_OK,                                                                             \
         .rows = settings_tls_rows,                                                                                \
         .offset = offsetof(struct settings, tls.present),                                                         \
         .help = "Talk by TLS, and how; true is the same with the defaults."},                                     \
        {.name = "sasl",                                                                                           \
         .type = WEIR_OPTION_GROUP,                                                                                \
         .rows = settings_sasl_rows,                                                                               \
         .offset = offsetof(struct settings, sasl.present),                                                        \
         .help = "Log in, and how."},                                                                              \
    {                                                                                                              \
        .name = "properties", .type = WEIR_OPTION_MAP, .offset = offsetof(struct settings, properties),            \
        .help = "Any property of librdkafka, as in { socket.keepalive.enable: true }."                             \
    }

/* A property that may not be set by `properties`, and why, as the end of a sentence: "use `group`". */
struct settings_rule {
    const char *name, *why;
};

/* Makes a configuration of the client library: what the options say, then `properties`. rules (ends without a name)
 * are refused beside those of both. Its opaque is `settings`; its log goes to host. What the caller has to set
 * comes after it, and so wins; a default of ours that a property may replace is set by settings_default. WEIR_OK,
 * WEIR_INVALID (refused by host), WEIR_NOMEM. */
int settings_conf(struct settings *settings, const weir_host *host, const struct settings_rule *rules,
                  rd_kafka_conf_t **conf);
/* Sets one of ours; a fault is a defect, or a build of the library that lacks it: host->refuse by that name. */
int settings_set(const struct settings *settings, rd_kafka_conf_t *conf, const char *name, const char *value);
/* The same unless `properties` has it. */
int settings_default(const struct settings *settings, rd_kafka_conf_t *conf, const char *name, const char *value);
/* What `properties` says of it; NULL: nothing. */
const char *settings_property(const struct settings *settings, const char *name);
/* After rd_kafka_new: hands over the token of OAUTHBEARER. WEIR_OK or WEIR_INVALID, told in the log. */
int settings_login(const struct settings *settings, rd_kafka_t *client);

#endif
