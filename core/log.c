/* log.c: see log.h.
 *
 * The normal path: the message is formatted into a bounded buffer, escaped into a line, and written by one write(2), so that
 * lines of several threads (or processes) do not mix. Fails: a write that fails is dropped; a log must not stop the work. */
#include "log.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum { MESSAGE_MAX = 2000, LINE_MAX_BYTES = MESSAGE_MAX * 6 + 400, CAUSES = 64, BURST = 10 };

/* How often one cause (who speaks, with what format) spoke in this second. Causes that share a place push each other out. */
struct cause {
    const char *format;
    uint64_t part;
    int64_t second;
    unsigned count, held;
};

struct log {
    pthread_mutex_t lock;
    int fd;
    enum log_level level;
    bool json;
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

void log_free(struct log *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void log_set(struct log *log, enum log_level level, bool json)
{
    pthread_mutex_lock(&log->lock);
    log->level = level;
    log->json = json;
    pthread_mutex_unlock(&log->lock);
}

static uint64_t part_hash(const char *part)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *part; part++)
        hash = (hash ^ (unsigned char)*part) * UINT64_C(1099511628211);
    return hash;
}

/* With the lock held. True: write it; *held: so many like it were held back before. */
static bool log_admit(struct log *log, const char *part, const char *format, unsigned *held)
{
    uint64_t hash = part_hash(part);
    struct cause *cause = &log->causes[(hash ^ ((uintptr_t)format >> 4)) % CAUSES];
    int64_t second = clock_mono_us() / SECOND_US;
    *held = 0;
    if (cause->format != format || cause->part != hash)
        *cause = (struct cause){.format = format, .part = hash, .second = second};
    if (cause->second != second) {
        *held = cause->held;
        *cause = (struct cause){.format = format, .part = hash, .second = second};
    }
    if (cause->count++ < BURST)
        return true;
    cause->held++;
    return false;
}

/* The length of the valid UTF-8 sequence at `at`, 0 if there is none. */
static size_t utf8_length(const unsigned char *at)
{
    size_t more = at[0] < 0x80 ? 0 : at[0] >= 0xC2 && at[0] < 0xE0 ? 1 : at[0] >= 0xE0 && at[0] < 0xF0 ? 2
                                                   : at[0] >= 0xF0 && at[0] < 0xF5                       ? 3
                                                                                                         : 9;
    if (more == 9)
        return 0;
    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    }
    bool bad = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF0 && at[1] < 0x90) ||
               (at[0] == 0xF4 && at[1] > 0x8F);
    return bad ? 0 : more + 1;
}

/* Copies text so that it stays one line of valid UTF-8 (and, for json, of a JSON string). */
static size_t text_escape(char *to, const char *text, bool json)
{
    size_t size = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = utf8_length(at);
        if (length == 0 || *at < 0x20 || *at == 0x7F) {
            size += (size_t)sprintf(to + size, json ? "\\u%04x" : "\\x%02x", length ? *at : json ? 0xFFFD : *at);
            at++;
            continue;
        }
        if (json && (*at == '"' || *at == '\\'))
            to[size++] = '\\';
        memcpy(to + size, at, length);
        size += length;
        at += length;
    }
    return size;
}

static void line_write(const struct log *log, enum log_level level, const char *part, const char *message)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char line[LINE_MAX_BYTES], when[TIME_TEXT_MAX];
    time_format(clock_wall_us(), when);
    memcpy(when + 23, "Z", 2); /* milliseconds are enough here */
    size_t size;
    if (log->json)
        size = (size_t)sprintf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"", when, levels[level]);
    else
        size = (size_t)sprintf(line, "%s %-5s ", when, levels[level]);
    size += text_escape(line + size, part, log->json);
    size += (size_t)sprintf(line + size, log->json ? "\",\"message\":\"" : ": ");
    size += text_escape(line + size, message, log->json);
    size += (size_t)sprintf(line + size, log->json ? "\"}\n" : "\n");
    ssize_t written = write(log->fd, line, size);
    (void)written;
}

void log_writev(struct log *log, enum log_level level, const char *part, const char *format, va_list args)
{
    if (!log || level > log->level)
        return;
    char message[MESSAGE_MAX], name[100];
    vsnprintf(message, sizeof message, format, args);
    snprintf(name, sizeof name, "%s", part);
    unsigned held;
    pthread_mutex_lock(&log->lock);
    bool admitted = log_admit(log, name, format, &held);
    if (held) {
        char sum[80];
        snprintf(sum, sizeof sum, "%u more lines like the next one were held back", held);
        line_write(log, level, name, sum);
    }
    if (admitted)
        line_write(log, level, name, message);
    pthread_mutex_unlock(&log->lock);
}

void log_write(struct log *log, enum log_level level, const char *part, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_writev(log, level, part, format, args);
    va_end(args);
}
