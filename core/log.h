/* log.h: structured lines to stderr, one write each, or to a callback.
 *
 * text: "2026-11-24T02:40:10.123Z info  mqtt meters: connected" ; json: {"time":…,"level":…,"part":…,"message":…}.
 * Control characters and invalid UTF-8 in a message are escaped. The same (part, format) more than 10 times in
 * a second is held back and summed up in one line later. Any thread. */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log;
struct log *log_new(int fd, enum log_level level, bool json); /* NULL: out of memory */
/* To a function instead: part and message as in a line of text, escaped the same way. Called on any thread, but one
 * call at a time; it must not log itself. */
typedef void log_call(void *arg, enum log_level level, const char *part, const char *message);
struct log *log_new_call(log_call *call, void *arg, enum log_level level);
void log_free(struct log *log);
void log_set(struct log *log, enum log_level level, bool json);
/* part: who speaks, as "route hot-meters". log may be NULL: nothing is written. */
void log_write(struct log *log, enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void log_writev(struct log *log, enum log_level level, const char *part, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

#endif
