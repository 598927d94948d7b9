/* fuzz_field.c: a line is a FIELD, the rest is the payload, subject and header of an event. */
#include <stdlib.h>

#include "base.h"
#include "field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void field_use(const weir_field *field, const weir_batch *batch)
{
    struct arena scratch;
    weir_view value = {0}, raw;
    arena_init(&scratch, 0);
    int result = field_read(field, batch, 0, &scratch, &value);
    CHECK(result == WEIR_OK || result == WEIR_MISSING || result == WEIR_INVALID);
    CHECK(result != WEIR_OK || value.data != NULL);
    if (field_is_json(field))
        CHECK(field_read_json(field, batch, 0, &raw) == result);
    arena_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    memcpy(text, data, size);
    char *rest = memchr(text, '\n', size);
    rest = rest ? rest : text + size;
    weir_view bytes = view_make(rest, (size_t)(text + size - rest));
    if (bytes.size)
        *rest = '\0';
    weir_header header = {view_of("name"), bytes};
    weir_event event = {.payload = bytes, .subject = bytes, .headers = &header, .header_count = 1};
    weir_batch batch = {.events = &event, .count = 1, .id_prefix = bytes, .source = bytes};
    weir_field *field;
    struct error error = {.text = ""};
    if (field_parse(text, &field, &error) == WEIR_OK) {
        field_use(field, &batch);
        field_free(field);
    } else {
        CHECK(error.code == WEIR_INVALID && error.text[0]);
    }
    free(text);
    return 0;
}
