/* clock.h: the two clocks and their text. Time-outs use the monotonic clock only. */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define SECOND_US INT64_C(1000000)
#define MILLISECOND_US INT64_C(1000)
#define TIME_TEXT_MAX 40

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);

/* RFC 3339 in UTC with microseconds, "2026-11-24T02:40:10.000000Z"; returns buffer. */
char *time_format(int64_t time_us, char buffer[TIME_TEXT_MAX]);
/* Reads RFC 3339 (any offset, any count of fraction digits). 0 or WEIR_INVALID. */
int time_parse(const char *text, size_t size, int64_t *time_us);

#endif
