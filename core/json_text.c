/* json_text.c: strings and numbers of JSON text, read and written. See json.h. */
#include <stdlib.h>

#include "json_private.h"

static int hex4(const char *at, const char *end, uint32_t *value)
{
    *value = 0;
    if (end - at < 4)
        return WEIR_INVALID;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return WEIR_INVALID;
        *value = *value << 4 | digit;
    }
    return WEIR_OK;
}

static size_t utf8_write(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3F));
    to[0] = (char)(marks[length] | code);
    return length;
}

size_t json_escape_read(const char **at, const char *end, char to[4])
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (*at >= end)
        return 0;
    char c = *(*at)++;
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        to[0] = into[found - from];
        return 1;
    }
    uint32_t code, low;
    if (c != 'u' || hex4(*at, end, &code) != WEIR_OK)
        return 0;
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || hex4(*at + 2, end, &low) != WEIR_OK ||
            low < 0xDC00 || low > 0xDFFF)
            return 0;
        *at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
        return 0;
    }
    return utf8_write(code, to);
}

int json_text(weir_view raw, char *buffer, size_t size, size_t *length)
{
    *length = 0;
    if (raw.size < 2 || raw.data[0] != '"' || raw.data[raw.size - 1] != '"')
        return WEIR_INVALID;
    const char *at = raw.data + 1, *end = raw.data + raw.size - 1;
    while (at < end) {
        char escaped[4];
        const char *from = at;
        size_t count = utf8_length(at, end);
        if (!count || (unsigned char)*at < 0x20 || *at == '"')
            return WEIR_INVALID;
        at += count;
        if (*from == '\\') {
            count = json_escape_read(&at, end, escaped);
            from = escaped;
        }
        if (!count)
            return WEIR_INVALID;
        if (count > size - *length)
            return WEIR_FULL;
        memcpy(buffer + *length, from, count);
        *length += count;
    }
    return WEIR_OK;
}

static const char *digits_skip(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

bool json_number_valid(weir_view raw)
{
    const char *at = raw.data, *end = at + raw.size;
    at += at < end && *at == '-';
    const char *first = at;
    at = digits_skip(at, end);
    if (at == first || (*first == '0' && at - first > 1))
        return false;
    if (at < end && *at == '.') {
        first = ++at;
        at = digits_skip(at, end);
        if (at == first)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        first = at;
        at = digits_skip(at, end);
        if (at == first)
            return false;
    }
    return at == end;
}

/* A valid number without exponent and of at most 15 digits: both its digits and the power of ten are exact as
 * doubles, so one division rounds right (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990). */
static bool number_short(weir_view raw, double *number)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int64_t digits = 0;
    size_t negative = raw.data[0] == '-', point = raw.size - 1;
    if (raw.size > 15 + negative)
        return false;
    for (size_t i = negative; i < raw.size; i++) {
        if (raw.data[i] == '.')
            point = i;
        else if (raw.data[i] >= '0' && raw.data[i] <= '9')
            digits = digits * 10 + (raw.data[i] - '0');
        else
            return false;
    }
    *number = (double)digits / powers[raw.size - 1 - point];
    *number = negative ? -*number : *number;
    return true;
}

int json_number(weir_view raw, double *number)
{
    char text[400];
    if (!raw.size || raw.size >= sizeof text || !json_number_valid(raw))
        return WEIR_INVALID;
    if (number_short(raw, number))
        return WEIR_OK;
    memcpy(text, raw.data, raw.size);
    text[raw.size] = '\0';
    *number = strtod(text, NULL);
    return WEIR_OK;
}

static size_t escape_one(const char *at, size_t length, char to[8])
{
    static const char hex[] = "0123456789abcdef", from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    static const char unknown[] = {'\xEF', '\xBF', '\xBD'}, unicode[] = {'\\', 'u', '0', '0'};
    if (!length) {
        memcpy(to, unknown, sizeof unknown);
        return sizeof unknown;
    }
    const char *found = *at ? strchr(from, *at) : NULL;
    if (found) {
        to[0] = '\\';
        to[1] = into[found - from];
        return 2;
    }
    if ((unsigned char)*at < 0x20) {
        memcpy(to, unicode, sizeof unicode);
        to[4] = hex[*at >> 4 & 15];
        to[5] = hex[*at & 15];
        return 6;
    }
    memcpy(to, at, length);
    return length;
}

size_t json_escape(weir_view text, char *buffer, size_t size)
{
    const char *at = text.data, *end = at + text.size;
    size_t total = 0;
    while (at < end) {
        char one[8];
        size_t length = utf8_length(at, end), count = escape_one(at, length, one);
        for (size_t i = 0; i < count; i++, total++) {
            if (total < size)
                buffer[total] = one[i];
        }
        at += length ? length : 1;
    }
    return total;
}
