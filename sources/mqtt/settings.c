/* module: mqtt libs: libmosquitto openssl */
/* settings.c: see settings.h.
 *
 * The normal path: the URL is cut into user, host and port; user and password come from it or from options of their
 * own; the client id is the given one or made from the store's id and the instance's name; TLS is prepared. Fails:
 * every fault is a configuration error that names the option. */
#include "settings.h"

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const settings_versions[] = {"5", "3.1.1", NULL};
const char *const settings_schemes[] = {"mqtt", "mqtts", NULL};
static const char *const min_versions[] = {"1.2", "1.3", NULL};

const weir_option settings_tls_rows[] = {
    {.name = "ca",
     .type = WEIR_OPTION_PATH,
     .offset = offsetof(struct settings, tls.ca),
     .help = "A PEM file of certificate authorities to trust; without it, the system's."},
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
     .help =
         "The name that the broker's certificate must be for, also sent to it; without it, the host of the url."},
    {.name = "verify",
     .type = WEIR_OPTION_BOOL,
     .fallback = "true",
     .offset = offsetof(struct settings, tls.verify),
     .help = "Check the broker's certificate and its name; false is for experiments only."},
    {.name = "min_version",
     .type = WEIR_OPTION_CHOICE,
     .choices = min_versions,
     .fallback = "1.2",
     .offset = offsetof(struct settings, tls.min_version),
     .help = "The oldest version of TLS to accept."},
    {.name = "alpn",
     .type = WEIR_OPTION_LIST,
     .offset = offsetof(struct settings, tls.alpn),
     .help = "Protocol names to offer (ALPN), for brokers that share a port with others."},
    {0}};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX. NULL: out of memory. A NUL byte would hide what is behind it: *bad is set. */
static char *url_decode(const char *text, size_t size, int *bad)
{
    char *plain = malloc(size + 1), *to = plain;
    for (size_t i = 0; plain && i < size; i++) {
        int escaped = text[i] == '%' && i + 2 < size;
        int high = escaped ? hex_digit(text[i + 1]) : -1, low = escaped ? hex_digit(text[i + 2]) : -1;
        low = high < 0 ? -1 : low;
        if (text[i] == '%' && (low < 0 || (high == 0 && low == 0)))
            *bad = 1;
        *to++ = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    if (plain)
        *to = '\0';
    return plain;
}

/* user:password before the @. */
static int url_login(struct settings *settings, const weir_host *host, const char *login, size_t size)
{
    const char *colon = memchr(login, ':', size);
    size_t name = colon ? (size_t)(colon - login) : size;
    int bad = 0;
    if (settings->username || settings->password)
        return host->refuse(host, "url", "has a user name, and `username` or `password` is there too; keep one");
    settings->user = url_decode(login, name, &bad);
    if (colon)
        settings->secret = url_decode(colon + 1, size - name - 1, &bad);
    if (bad)
        return host->refuse(host, "url", "has a %% that two hexadecimal digits (not 00) must follow");
    return settings->user && (!colon || settings->secret) ? WEIR_OK : WEIR_NOMEM;
}

static int url_port(struct settings *settings, const weir_host *host, const char *text, int fallback)
{
    settings->port = fallback;
    if (text[0] == '\0' || strcmp(text, ":") == 0)
        return WEIR_OK;
    char *end;
    long port = text[0] == ':' && text[1] >= '0' && text[1] <= '9' ? strtol(text + 1, &end, 10) : 0;
    if (port < 1 || port > 65535 || *end)
        return host->refuse(host, "url",
                            "must end with the host or a port from 1 to 65535, as in mqtt://HOST:PORT");
    settings->port = (int)port;
    return WEIR_OK;
}

/* HOST:PORT, or [IPv6]:PORT. */
static int url_address(struct settings *settings, const weir_host *host, const char *text, int fallback)
{
    size_t skip = text[0] == '[', size = strcspn(text, skip ? "]" : ":/");
    if (size == skip || (skip && text[size] != ']'))
        return host->refuse(host, "url", "has no host; write it as in mqtt://HOST:PORT");
    settings->host = strndup(text + skip, size - skip);
    if (!settings->host)
        return WEIR_NOMEM;
    return url_port(settings, host, text + size + skip, fallback);
}

static int url_parse(struct settings *settings, const weir_host *host)
{
    const char *at = strstr(settings->url, "://");
    int secure = settings->tls.present || strncmp(settings->url, "mqtts:", 6) == 0;
    char *rest = strdup(at ? at + 3 : settings->url);
    if (!rest)
        return WEIR_NOMEM;
    size_t size = strlen(rest);
    if (size && rest[size - 1] == '/')
        rest[size - 1] = '\0';
    char *login = strrchr(rest, '@');
    int result = login ? url_login(settings, host, rest, (size_t)(login - rest)) : WEIR_OK;
    if (result == WEIR_OK)
        result = url_address(settings, host, login ? login + 1 : rest, secure ? 8883 : 1883);
    settings->tls.present = secure;
    free(rest);
    return result;
}

static int login_check(struct settings *settings, const weir_host *host)
{
    if (settings->username)
        settings->user = strdup(settings->username);
    if (settings->password)
        settings->secret = strdup(settings->password);
    if ((settings->username && !settings->user) || (settings->password && !settings->secret))
        return WEIR_NOMEM;
    if (settings->secret && !settings->user && settings->version == MQTT_3_1_1)
        return host->refuse(host, "password", "needs `username` beside it: MQTT 3.1.1 has no password alone");
    return WEIR_OK;
}

static int id_make(struct settings *settings, const weir_host *host, const char *suffix)
{
    if (settings->client_id)
        settings->id = strdup(settings->client_id);
    else if (asprintf(&settings->id, "weir-%.*s-%.*s-%s", (int)host->store_id.size, host->store_id.data,
                      (int)host->name.size, host->name.data, suffix) < 0)
        settings->id = NULL;
    if (!settings->id)
        return WEIR_NOMEM;
    if (mosquitto_validate_utf8(settings->id, (int)strlen(settings->id)) != MOSQ_ERR_SUCCESS)
        return host->refuse(host, "client_id", "is not valid UTF-8, or has control characters");
    return WEIR_OK;
}

int settings_init(struct settings *settings, const weir_host *host, const char *suffix)
{
    int result = url_parse(settings, host);
    if (result == WEIR_OK)
        result = login_check(settings, host);
    if (result == WEIR_OK)
        result = id_make(settings, host, suffix);
    if (result == WEIR_OK && settings->tls.present)
        result = tls_new(&settings->tls, settings->host, host, &settings->secure);
    return result;
}

static void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void settings_fini(struct settings *settings)
{
    tls_free(settings->secure);
    free(settings->host);
    free(settings->id);
    free(settings->user);
    secret_free(settings->secret);
    settings->secure = NULL;
    settings->host = settings->id = settings->user = settings->secret = NULL;
}
