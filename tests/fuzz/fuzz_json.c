/* fuzz_json.c: any bytes as a document, with a path cut from their start. What is found is valid, what is a string
 * can be read and written again, and what is valid by our check is valid for cJSON too. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_round(weir_view raw)
{
    char *text = malloc(raw.size), *again = malloc(6 * raw.size), *back = malloc(6 * raw.size);
    size_t length, written, returned;
    CHECK(json_text(raw, text, raw.size, &length) == WEIR_OK && length <= raw.size - 2);
    again[0] = '"';
    written = json_escape(view_make(text, length), again + 1, 6 * raw.size - 2);
    CHECK(written <= 6 * length);
    again[written + 1] = '"';
    CHECK(json_text(view_make(again, written + 2), back, 6 * raw.size, &returned) == WEIR_OK);
    CHECK(view_equal(view_make(text, length), view_make(back, returned)));
    free(text);
    free(again);
    free(back);
}

static void find(weir_view document, const char *text)
{
    struct json_path path;
    weir_view raw;
    enum json_type type;
    double number;
    if (json_path_parse(text, &path) != WEIR_OK || json_find(document, &path, &raw, &type) != WEIR_OK)
        return;
    CHECK(raw.data >= document.data && raw.data + raw.size <= document.data + document.size);
    CHECK(json_check(raw));
    if (type == JSON_STRING)
        text_round(raw);
    if (type == JSON_NUMBER)
        CHECK(json_number(raw, &number) == WEIR_OK || raw.size >= 400);
}

/* cJSON reads numbers of at most 63 characters. */
static bool number_is_long(weir_view document)
{
    size_t run = 0;
    for (size_t i = 0; i < document.size && run < 60; i++)
        run = document.data[i] && strchr("0123456789+-.eE", document.data[i]) ? run + 1 : 0;
    return run >= 60;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_view all = view_make(data, size);
    char path[32] = "";
    size_t cut = size ? data[0] % sizeof path : 0;
    if (cut < size)
        memcpy(path, data + 1, size_min(cut, size - 1));
    path[sizeof path - 1] = '\0';
    find(all, "");
    find(all, "a");
    find(all, "a.b[1]");
    find(all, "[0]");
    find(view_make(data + size_min(cut + 1, size), size - size_min(cut + 1, size)), path);
    if (json_check(all) && !number_is_long(all)) {
        cJSON *document = cJSON_ParseWithLength(all.data, all.size);
        CHECK(document != NULL);
        cJSON_Delete(document);
    }
    return 0;
}
