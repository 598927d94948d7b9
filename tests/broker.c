/* broker.c: write the configuration (and certificates by openssl), start mosquitto, connect until it answers. A
 * port that another process took in between is given up for another one. */
#include "broker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS 30000
#define PORT_TRIES 5
#define MOSQUITTO_SBIN "/usr/sbin/mosquitto" /* Debian's place, which is not in everyone's PATH */

static struct broker {
    struct broker *next;
    struct broker_options options;
    const char *folder;
    char url[64];
    int port;
    pid_t pid; /* 0: not running */
} * brokers;   /* all of this test */

static const char *mosquitto_command(void)
{
    if (testing_command_exists("mosquitto"))
        return "mosquitto";
    return access(MOSQUITTO_SBIN, X_OK) == 0 ? MOSQUITTO_SBIN : NULL;
}

static void command_must(const char *const *argv)
{
    char *output;
    int code = testing_command(argv, &output);
    ck_assert_msg(code == 0, "%s: exit code %d: %s", argv[0], code, output);
    free(output);
}

/* name.crt and name.key in the folder, signed by ca.crt. */
static void certificate_make(const char *folder, const char *name)
{
    char key[PATH_MAX], request[PATH_MAX], certificate[PATH_MAX], ca[PATH_MAX], ca_key[PATH_MAX], subject[80];

    snprintf(key, sizeof key, "%s/%s.key", folder, name);
    snprintf(request, sizeof request, "%s/%s.csr", folder, name);
    snprintf(certificate, sizeof certificate, "%s/%s.crt", folder, name);
    snprintf(ca, sizeof ca, "%s/ca.crt", folder);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", folder);
    snprintf(subject, sizeof subject, "/CN=%s", name);
    const char *ask[] = {"openssl", "req",   "-newkey", "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
                         "-nodes",  "-subj", subject,   "-keyout", key,        "-out",
                         request,   NULL};
    const char *sign[] = {
        "openssl", "x509",      "-req",  "-in", request,           "-CA",      ca,
        "-CAkey",  ca_key,      "-days", "2",   "-CAcreateserial", "-extfile", testing_path(folder, "names"),
        "-out",    certificate, NULL};
    command_must(ask);
    command_must(sign);
}

static void certificates_make(const char *folder)
{
    char key[PATH_MAX], certificate[PATH_MAX];

    snprintf(key, sizeof key, "%s/ca.key", folder);
    snprintf(certificate, sizeof certificate, "%s/ca.crt", folder);
    const char *argv[] = {"openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:prime256v1",
                          "-nodes",
                          "-days",
                          "2",
                          "-subj",
                          "/CN=weir test authority",
                          "-keyout",
                          key,
                          "-out",
                          certificate,
                          NULL};
    command_must(argv);
    testing_write(testing_path(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    certificate_make(folder, "server");
    certificate_make(folder, "client");
}

static void password_make(const char *folder)
{
    const char *argv[] = {"mosquitto_passwd", "-b", "-c", testing_path(folder, "passwords"), "weir",
                          "secret",           NULL};
    command_must(argv);
}

static void config_write(const struct broker *broker)
{
    const struct broker_options *options = &broker->options;
    FILE *file = fopen(testing_path(broker->folder, "mosquitto.conf"), "w");
    const char *folder = broker->folder;

    ck_assert_msg(file != NULL, "mosquitto.conf: %s", strerror(errno));
    if (getuid() == 0) /* or it would change to a user that may not enter the folder */
        fputs("user root\n", file);
    fprintf(file, "per_listener_settings false\npersistence true\npersistence_location %s/\n", folder);
    fprintf(file, "autosave_interval 1\nautosave_on_changes true\n");
    fprintf(file, "max_queued_messages %d\nmax_inflight_messages %d\n", options->queued_max, options->inflight_max);
    if (options->more)
        fputs(options->more, file);
    fprintf(file, "listener %d 127.0.0.1\nallow_anonymous %s\n", broker->port,
            options->password ? "false" : "true");
    if (options->password)
        fprintf(file, "password_file %s/passwords\n", folder);
    if (options->tls != BROKER_PLAIN)
        fprintf(file, "cafile %s/ca.crt\ncertfile %s/server.crt\nkeyfile %s/server.key\n", folder, folder, folder);
    if (options->tls == BROKER_TLS_CLIENT)
        fputs("require_certificate true\n", file);
    ck_assert_int_eq(fclose(file), 0);
}

/* It answers, or it ended. */
static bool broker_settled(void *arg)
{
    struct broker *broker = arg;
    if (waitpid(broker->pid, NULL, WNOHANG) == broker->pid) {
        broker->pid = 0;
        return true;
    }
    return testing_port_answers(broker->port);
}

/* false: it ended at once. */
static bool broker_launch(struct broker *broker)
{
    const char *log = testing_path(broker->folder, "mosquitto.log");
    const char *argv[] = {mosquitto_command(), "-c", testing_path(broker->folder, "mosquitto.conf"), NULL};

    broker->pid = testing_spawn(argv, log);
    ck_assert_msg(testing_wait(broker_settled, broker, READY_MS), "mosquitto does not answer, see %s", log);
    return broker->pid != 0;
}

static void broker_prepare(struct broker *broker)
{
    broker->folder = testing_folder();
    if (broker->options.tls != BROKER_PLAIN)
        certificates_make(broker->folder);
    if (broker->options.password)
        password_make(broker->folder);
}

static bool port_try(struct broker *broker)
{
    broker->port = testing_free_port();
    snprintf(broker->url, sizeof broker->url,
             broker->options.tls == BROKER_PLAIN ? "mqtt://127.0.0.1:%d" : "mqtts://localhost:%d", broker->port);
    config_write(broker);
    return broker_launch(broker);
}

struct broker *broker_start(const struct broker_options *options)
{
    struct broker *broker;

    if (!mosquitto_command()) {
        testing_skip("mosquitto", "mosquitto is not installed");
        return NULL;
    }
    if (options->tls != BROKER_PLAIN && !testing_command_exists("openssl")) {
        testing_skip("openssl", "openssl is not installed");
        return NULL;
    }
    broker = calloc(1, sizeof *broker);
    ck_assert_ptr_nonnull(broker);
    broker->options = *options;
    broker->next = brokers;
    brokers = broker;
    broker_prepare(broker);
    for (int tries = 0; tries < PORT_TRIES; tries++)
        if (port_try(broker))
            return broker;
    ck_abort_msg("mosquitto does not start, see %s/mosquitto.log", broker->folder);
}

/* mosquitto listens a moment before its loop begins, and forgets a SIGTERM that comes between: it is said again. */
static bool broker_asked(void *arg)
{
    struct broker *broker = arg;
    siginfo_t info = {0};
    ck_assert_int_eq(waitid(P_PID, (id_t)broker->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    if (info.si_pid == 0)
        kill(broker->pid, SIGTERM);
    return info.si_pid != 0;
}

void broker_stop(struct broker *broker)
{
    ck_assert_int_ne(broker->pid, 0);
    ck_assert(testing_wait(broker_asked, broker, READY_MS));
    testing_end(broker->pid, 0);
    broker->pid = 0;
}

void broker_kill(struct broker *broker)
{
    ck_assert_int_ne(broker->pid, 0);
    testing_end(broker->pid, SIGKILL);
    broker->pid = 0;
}

void broker_resume(struct broker *broker)
{
    ck_assert_int_eq(broker->pid, 0);
    ck_assert_msg(broker_launch(broker), "mosquitto does not start again, see %s/mosquitto.log", broker->folder);
}

int broker_port(const struct broker *broker)
{
    return broker->port;
}

const char *broker_url(const struct broker *broker)
{
    return broker->url;
}

const char *broker_folder(const struct broker *broker)
{
    return broker->folder;
}
