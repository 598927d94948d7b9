/* fuzz_template.c: a line is a template, the rest is the payload. At any size of the buffer the length is the same,
 * and what is written is the beginning of the whole. */
#include <stdlib.h>

#include "base.h"
#include "template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void template_use(const weir_template *pattern, const weir_batch *batch)
{
    static const weir_view own[] = {{"17", 2}, {"0.5", 3}};
    char part[16];
    struct template_target whole = {.buffer = NULL}, again, cut = {.buffer = part, .size = sizeof part};
    int result = template_render_with(pattern, batch, 0, own, &whole);
    CHECK(result == WEIR_OK || result == WEIR_REJECT);
    if (result != WEIR_OK)
        return;
    again = (struct template_target){.buffer = malloc(whole.length + 1), .size = whole.length + 1};
    CHECK(template_render_with(pattern, batch, 0, own, &again) == WEIR_OK && again.length == whole.length);
    CHECK(again.buffer[whole.length] == '\0');
    CHECK(template_render_with(pattern, batch, 0, own, &cut) == WEIR_OK && cut.length == whole.length);
    CHECK(memcmp(part, again.buffer, size_min(sizeof part - 1, whole.length)) == 0);
    if (template_constant(pattern))
        CHECK(view_is(view_make(again.buffer, whole.length), template_constant(pattern)));
    weir_view prefix = template_prefix(pattern);
    CHECK(prefix.size <= whole.length && memcmp(prefix.data, again.buffer, prefix.size) == 0);
    free(again.buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const own[] = {"seq", "random", NULL};
    char *text = calloc(1, size + 1);
    memcpy(text, data, size);
    char *rest = memchr(text, '\n', size);
    rest = rest ? rest : text + size;
    weir_view bytes = view_make(rest, (size_t)(text + size - rest));
    if (bytes.size)
        *rest = '\0';
    weir_event event = {.payload = bytes, .subject = bytes, .time_us = (int64_t)size << 40, .position = size};
    weir_batch batch = {.events = &event, .count = 1, .id_prefix = view_of("p")};
    weir_template *pattern;
    struct error error = {.text = ""};
    if (template_parse_with(text, own, &pattern, &error) == WEIR_OK) {
        template_use(pattern, &batch);
        template_free(pattern);
    } else {
        CHECK(error.code == WEIR_INVALID && strncmp(error.text, "column ", 7) == 0);
    }
    free(text);
    return 0;
}
