/* settings.h: what the source and the sink have in common in a configuration, checked and taken apart. */
#ifndef WEIR_MQTT_SETTINGS_H
#define WEIR_MQTT_SETTINGS_H

#include "tls.h"
#include "weir_plugin.h"

enum { MQTT_5, MQTT_3_1_1 }; /* values of `version` */

/* The first member of the state of both, so that the rows below fit either. */
struct settings {
    const char *url, *client_id, *username, *password;
    int64_t version, keep_alive_us;
    struct tls_options tls;

    /* Made by settings_init. */
    char *host;
    int port;
    char *id; /* the client id */
    char *user, *secret;
    struct tls *secure; /* NULL: no TLS */
};

extern const char *const settings_versions[];
extern const char *const settings_schemes[];
extern const weir_option settings_tls_rows[];

/* The rows of both. client_help: what the client id is when none is given. */
#define SETTINGS_ROWS(client_help)                                                                                 \
    {.name = "url",                                                                                                \
     .type = WEIR_OPTION_URL,                                                                                      \
     .flags = WEIR_OPTION_REQUIRED,                                                                                \
     .choices = settings_schemes,                                                                                  \
     .offset = offsetof(struct settings, url),                                                                     \
     .help = "The broker: mqtt://HOST:PORT (1883), or mqtts://HOST:PORT (8883) for TLS."},                         \
        {.name = "client_id",                                                                                      \
         .type = WEIR_OPTION_TEXT,                                                                                 \
         .min = 1,                                                                                                 \
         .max = 65535,                                                                                             \
         .offset = offsetof(struct settings, client_id),                                                           \
         .help = client_help},                                                                                     \
        {.name = "username",                                                                                       \
         .type = WEIR_OPTION_TEXT,                                                                                 \
         .max = 65535,                                                                                             \
         .offset = offsetof(struct settings, username),                                                            \
         .help = "The name to log in with."},                                                                      \
        {.name = "password",                                                                                       \
         .type = WEIR_OPTION_SECRET,                                                                               \
         .offset = offsetof(struct settings, password),                                                            \
         .help = "The password to log in with."},                                                                  \
        {.name = "version",                                                                                        \
         .type = WEIR_OPTION_CHOICE,                                                                               \
         .choices = settings_versions,                                                                             \
         .fallback = "5",                                                                                          \
         .offset = offsetof(struct settings, version),                                                             \
         .help = "The version of MQTT to speak."},                                                                 \
        {.name = "keep_alive",                                                                                     \
         .type = WEIR_OPTION_DURATION,                                                                             \
         .fallback = "60s",                                                                                        \
         .min = INT64_C(5000000),                                                                                  \
         .max = INT64_C(65535000000),                                                                              \
         .offset = offsetof(struct settings, keep_alive_us),                                                       \
         .help = "A silent connection is asked for a sign of life this often; whole seconds."},                    \
    {                                                                                                              \
        .name = "tls", .type = WEIR_OPTION_GROUP, .flags = WEIR_OPTION_TRUE_OK, .rows = settings_tls_rows,         \
        .offset = offsetof(struct settings, tls.present),                                                          \
        .help = "Talk by TLS, and how; mqtts:// alone is the same as true."                                        \
    }

/* Checks what the rows filled in, loads certificates, and makes the members above. `suffix` ends a client id that
 * is not configured. WEIR_OK, WEIR_INVALID (refused by host), WEIR_NOMEM. */
int settings_init(struct settings *settings, const weir_host *host, const char *suffix);
void settings_fini(struct settings *settings);

#endif
