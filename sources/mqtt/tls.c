/* module: mqtt libs: libmosquitto openssl */
/* tls.c: see tls.h. The only file that knows OpenSSL.
 *
 * libmosquitto can make a TLS context of its own, but takes the name to check from the address it connects to and
 * tells failures only to its log. So it is handed a context of ours: it checks chain and name inside OpenSSL, with
 * the name of the configuration, and keeps the cause. Files are read once, at init, so a wrong one is a
 * configuration error with its place. Thread: the first step of a handshake runs on a helper, the others on the
 * loop, never both. */
#include "tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tls {
    SSL_CTX *context;
    const struct tls_options *options;
    const char *name; /* that the certificate must be for */
    int fault;        /* X509_V_ERR_*, of the last handshake */
};

static const char *error_text(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return text ? text : "unknown error";
}

static int certificate_checked(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (!good)
        tls->fault = X509_STORE_CTX_get_error(store);
    return good;
}

static int is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* libmosquitto sends the host of the URL as the name (SNI); the configured one goes over it before it leaves. */
static void handshake_named(const SSL *ssl, int where, int value)
{
    struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    (void)value;
    if ((where & SSL_CB_HANDSHAKE_START) && tls->options->server_name)
        SSL_set_tlsext_host_name((SSL *)ssl, tls->name);
}

static int authorities_load(struct tls *tls, const weir_host *host)
{
    const char *ca = tls->options->ca;
    if (!ca) {
        SSL_CTX_set_default_verify_paths(tls->context);
        return WEIR_OK;
    }
    if (SSL_CTX_load_verify_locations(tls->context, ca, NULL) != 1)
        return host->refuse(host, "tls.ca", "no certificates can be read from %s: %s; it must be a PEM file", ca,
                            error_text());
    return WEIR_OK;
}

static int name_check(struct tls *tls)
{
    X509_VERIFY_PARAM *check = SSL_CTX_get0_param(tls->context);
    if (!tls->options->verify) {
        SSL_CTX_set_verify(tls->context, SSL_VERIFY_NONE, NULL);
        return WEIR_OK;
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, certificate_checked);
    X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int set = is_address(tls->name) ? X509_VERIFY_PARAM_set1_ip_asc(check, tls->name)
                                    : X509_VERIFY_PARAM_set1_host(check, tls->name, 0);
    return set == 1 ? WEIR_OK : WEIR_NOMEM;
}

static int key_password(char *buffer, int size, int writing, void *arg)
{
    const struct tls *tls = arg;
    const char *password = tls->options->key_password;
    (void)writing;
    if (!password || strlen(password) >= (size_t)size)
        return -1;
    memcpy(buffer, password, strlen(password));
    return (int)strlen(password);
}

static int own_certificate(struct tls *tls, const weir_host *host)
{
    const struct tls_options *options = tls->options;
    if (!options->cert && !options->key && !options->key_password)
        return WEIR_OK;
    if (!options->cert)
        return host->refuse(host, options->key ? "tls.key" : "tls.key_password", "needs `cert` beside it");
    if (!options->key)
        return host->refuse(host, "tls.cert", "needs `key` beside it: the private key of the certificate");
    SSL_CTX_set_default_passwd_cb(tls->context, key_password);
    SSL_CTX_set_default_passwd_cb_userdata(tls->context, tls);
    if (SSL_CTX_use_certificate_chain_file(tls->context, options->cert) != 1)
        return host->refuse(host, "tls.cert", "no certificate can be read from %s: %s; it must be a PEM file",
                            options->cert, error_text());
    if (SSL_CTX_use_PrivateKey_file(tls->context, options->key, SSL_FILETYPE_PEM) != 1)
        return host->refuse(
            host, "tls.key",
            "the key of tls.cert cannot be read from %s: %s; it must be a PEM file of that key, and "
            "key_password must fit if it is encrypted",
            options->key, error_text());
    return WEIR_OK;
}

/* On the wire each name is a byte with its length, then the name. */
static int protocols_offer(struct tls *tls, const weir_host *host)
{
    unsigned char wire[1024];
    size_t used = 0;
    for (size_t i = 0; i < tls->options->alpn.count; i++) {
        size_t size = strlen(tls->options->alpn.items[i]);
        if (size < 1 || size > 255 || used + 1 + size > sizeof wire)
            return host->refuse(host, "tls.alpn", "a name must have 1 to 255 bytes, all together at most 1000");
        wire[used++] = (unsigned char)size;
        memcpy(wire + used, tls->options->alpn.items[i], size);
        used += size;
    }
    if (used && SSL_CTX_set_alpn_protos(tls->context, wire, (unsigned)used) != 0)
        return WEIR_NOMEM;
    return WEIR_OK;
}

static int context_make(struct tls *tls, const weir_host *host)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        return WEIR_NOMEM;
    SSL_CTX_set_app_data(tls->context, tls);
    SSL_CTX_set_info_callback(tls->context, handshake_named);
    SSL_CTX_set_min_proto_version(tls->context, tls->options->min_version ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    int result = authorities_load(tls, host);
    if (result == WEIR_OK)
        result = name_check(tls);
    if (result == WEIR_OK)
        result = own_certificate(tls, host);
    return result == WEIR_OK ? protocols_offer(tls, host) : result;
}

int tls_new(const struct tls_options *options, const char *server, const weir_host *host, struct tls **made)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return WEIR_NOMEM;
    tls->options = options;
    tls->name = options->server_name ? options->server_name : server;
    *made = tls;
    return context_make(tls, host);
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

int tls_use(struct tls *tls, struct mosquitto *client)
{
    int result = mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, tls->context);
    return result == MOSQ_ERR_SUCCESS ? mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) : result;
}

int tls_pending(struct mosquitto *client)
{
    SSL *ssl = mosquitto_ssl_get(client);
    return ssl ? SSL_pending(ssl) : 0;
}

struct tls_ear tls_listen(struct mosquitto *client)
{
    SSL *ssl = mosquitto_ssl_get(client);
    struct tls_ear ear = {.fd = -1};
    if (!ssl)
        return ear;
    ear.fd = fcntl(mosquitto_socket(client), F_DUPFD_CLOEXEC, 0);
    if (ear.fd >= 0 && SSL_up_ref(ssl))
        ear.ssl = ssl;
    return ear;
}

void tls_heard(struct tls_ear *ear, bool failed, char text[TLS_TEXT_MAX])
{
    char byte;
    ERR_clear_error();
    if (failed && ear->ssl && SSL_set_fd(ear->ssl, ear->fd) && SSL_read(ear->ssl, &byte, 1) <= 0 &&
        ERR_peek_error())
        snprintf(text, TLS_TEXT_MAX, "%s", error_text());
    SSL_free(ear->ssl);
    if (ear->fd >= 0)
        close(ear->fd);
}

void tls_forget(struct tls *tls)
{
    tls->fault = X509_V_OK;
}

static const char *fault_advice(const struct tls *tls)
{
    switch (tls->fault) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "it is for another host; correct the url, or set tls.server_name";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "it has to be renewed at the broker";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "compare the clocks of this machine and the broker";
    default:
        return tls->options->ca ? "it is not signed by an authority in tls.ca; correct tls.ca"
                                : "no authority of this system signed it; set tls.ca to the broker's authority";
    }
}

static const char *text_advice(const char *text)
{
    static const struct {
        const char *part, *advice;
    } known[] = {
        {"certificate required", "the broker wants a certificate of ours; set tls.cert and tls.key"},
        {"handshake failure", "the broker may want a certificate of ours; set tls.cert and tls.key"},
        {"unknown ca", "the broker does not trust our certificate; correct tls.cert"},
        {"bad certificate", "the broker does not accept our certificate; correct tls.cert"},
        {"certificate expired", "our certificate has expired; renew tls.cert"},
        {"wrong version number", "no TLS is spoken at this port; correct the port, or use mqtt://"},
        {"protocol version", "the broker's TLS is older than tls.min_version"},
        {"unsupported protocol", "the broker's TLS is older than tls.min_version"},
        {"unexpected eof", "is TLS spoken at this port?"},
        {"no application protocol", "the broker knows none of the names in tls.alpn"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(text, known[i].part))
            return known[i].advice;
    }
    return NULL;
}

int tls_reason(const struct tls *tls, const char *text, char reason[TLS_TEXT_MAX])
{
    if (tls->fault != X509_V_OK) {
        snprintf(reason, TLS_TEXT_MAX, "the broker's certificate is not accepted for %.80s (%s): %s", tls->name,
                 X509_verify_cert_error_string(tls->fault), fault_advice(tls));
        return 1;
    }
    if (!text[0])
        return 0;
    const char *last = strrchr(text, ':');
    const char *advice = text_advice(text);
    snprintf(reason, TLS_TEXT_MAX, "TLS failed (%.100s)%s%s", last ? last + 1 : text, advice ? ": " : "",
             advice ? advice : "");
    return 1;
}
