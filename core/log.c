/* log.c: see log.h.
 *
 * The normal path: the message is formatted into a bounded buffer, escaped into a line, and written by one
 * write(2), so that lines of several threads (or processes) do not mix. What one cause says too often is counted
 * instead; the count is written with the first line of a later second, whoever writes it, or at the end.
 *
 * Fails: a write that fails is dropped; a log must not stop the work. */
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"

enum {
    MESSAGE_MAX = 2000,
    PART_MAX = 100,
    LAST_MAX = 160,
    LINE_BYTES = 6 * (MESSAGE_MAX + PART_MAX) + 200, /* an escaped byte takes at most six */
    CAUSES = 64,
    BURST = 10
};

/* How often one cause (who speaks, with what format) spoke in this second. Causes that share a place push each
 * other out. */
struct cause {
    const char *format;
    int64_t second;
    unsigned count, held;
    enum log_level level;
    char part[PART_MAX];
    char last[LAST_MAX]; /* of those held back */
};

struct log {
    pthread_mutex_t lock;
    int fd;
    log_call *call; /* instead of fd */
    void *arg;
    atomic_int level;
    bool json;
    int64_t swept; /* the second in which held counts were written last */
    struct cause causes[CAUSES];
};

struct log *log_new(int fd, enum log_level level, bool json)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    pthread_mutex_init(&log->lock, NULL);
    log->fd = fd;
    log->level = level;
    log->json = json;
    return log;
}

struct log *log_new_call(log_call *call, void *arg, enum log_level level)
{
    struct log *log = log_new(-1, level, false);
    if (!log)
        return NULL;
    log->call = call;
    log->arg = arg;
    return log;
}

void log_set(struct log *log, enum log_level level, bool json)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->level = level;
    log->json = json;
    pthread_mutex_unlock(&log->lock);
}

/* One character that may not stand as it is; *at moves past it. */
static size_t control_escape(char *to, const char **at, size_t length, bool json)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    size_t size = 0;
    *at += length ? length : 1;
    if (json) {
        unsigned code = !length ? 0xFFFD : length == 2 ? bytes[1] : bytes[0];
        return (size_t)snprintf(to, 7, "\\u%04x", code);
    }
    for (size_t i = 0; i < (length ? length : 1); i++)
        size += (size_t)snprintf(to + size, 5, "\\x%02x", bytes[i]);
    return size;
}

/* Copies text so that it stays one line of valid UTF-8 that cannot drive a terminal; for json, of a JSON string. */
static size_t text_escape(char *to, const char *text, bool json)
{
    const char *end = text + strlen(text);
    size_t size = 0;
    while (text < end) {
        size_t length = utf8_length(text, end);
        bool c1 = length == 2 && (unsigned char)text[0] == 0xC2 && (unsigned char)text[1] < 0xA0;
        if (!length || c1 || (unsigned char)*text < 0x20 || *text == 0x7F) {
            size += control_escape(to + size, &text, length, json);
            continue;
        }
        if (json && (*text == '"' || *text == '\\'))
            to[size++] = '\\';
        memcpy(to + size, text, length);
        size += length;
        text += length;
    }
    return size;
}

static void line_call(const struct log *log, enum log_level level, const char *part, const char *message)
{
    char line[LINE_BYTES];
    size_t size = text_escape(line, part, false);
    line[size] = '\0';
    line[size + 1 + text_escape(line + size + 1, message, false)] = '\0';
    log->call(log->arg, level, line, line + size + 1);
}

/* With the lock held. */
static void line_write(const struct log *log, enum log_level level, const char *part, const char *message)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char line[LINE_BYTES], when[TIME_TEXT_MAX];
    if (log->call) {
        line_call(log, level, part, message);
        return;
    }
    time_format(clock_wall_us(), when);
    size_t size;
    if (log->json) /* milliseconds are enough here */
        size = (size_t)sprintf(line, "{\"time\":\"%.23sZ\",\"level\":\"%s\",\"part\":\"", when, levels[level]);
    else
        size = (size_t)sprintf(line, "%.23sZ %-5s ", when, levels[level]);
    size += text_escape(line + size, part, log->json);
    size += (size_t)sprintf(line + size, log->json ? "\",\"message\":\"" : ": ");
    size += text_escape(line + size, message, log->json);
    size += (size_t)sprintf(line + size, log->json ? "\"}\n" : "\n");
    while (write(log->fd, line, size) < 0 && errno == EINTR)
        continue;
}

static void cause_report(const struct log *log, struct cause *cause)
{
    char text[LAST_MAX + 60];
    if (!cause->held)
        return;
    snprintf(text, sizeof text, "%u more like this were held back, the last: %s", cause->held, cause->last);
    line_write(log, cause->level, cause->part, text);
    cause->held = 0;
}

void log_free(struct log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < CAUSES; i++)
        cause_report(log, &log->causes[i]);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* Once a second: what was held back in seconds that are over. */
static void log_sweep(struct log *log, int64_t second)
{
    if (log->swept == second)
        return;
    log->swept = second;
    for (size_t i = 0; i < CAUSES; i++) {
        if (log->causes[i].second != second)
            cause_report(log, &log->causes[i]);
    }
}

/* The place of this cause in this second; whoever had it before is reported and pushed out. */
static struct cause *cause_get(struct log *log, const char *part, const char *format, int64_t second)
{
    uint32_t hash = crc32c((uint32_t)((uintptr_t)format >> 3), part, strlen(part));
    struct cause *cause = &log->causes[hash % CAUSES];
    if (cause->format == format && cause->second == second && strcmp(cause->part, part) == 0)
        return cause;
    cause_report(log, cause);
    cause->format = format;
    cause->second = second;
    cause->count = 0;
    memcpy(cause->part, part, strlen(part) + 1);
    return cause;
}

static void cause_hold(struct cause *cause, enum log_level level, const char *message)
{
    cause->held++;
    cause->level = level;
    snprintf(cause->last, sizeof cause->last, "%.*s", LAST_MAX - 1, message);
}

void log_writev(struct log *log, enum log_level level, const char *part, const char *format, va_list args)
{
    if (!log || (int)level > atomic_load_explicit(&log->level, memory_order_relaxed))
        return;
    char message[MESSAGE_MAX], name[PART_MAX];
    vsnprintf(message, sizeof message, format, args);
    snprintf(name, sizeof name, "%s", part);
    pthread_mutex_lock(&log->lock);
    int64_t second = clock_mono_us() / SECOND_US;
    log_sweep(log, second);
    struct cause *cause = cause_get(log, name, format, second);
    if (cause->count++ < BURST)
        line_write(log, level, name, message);
    else
        cause_hold(cause, level, message);
    pthread_mutex_unlock(&log->lock);
}

void log_write(struct log *log, enum log_level level, const char *part, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_writev(log, level, part, format, args);
    va_end(args);
}
