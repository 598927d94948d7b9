/* test_json.c: the scanner against cJSON on random documents, and the corners of RFC 8259 by table. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "testing.h"

enum { ROUNDS = 3000, TEXT_MAX = 4096 };

/* Random documents. */

static const char *const keys[] = {"a", "b", "c", "long-key", "\xc3\xbc", "q\"\\/", "new\nline", ""};

static const char *random_text(struct random *random, char buffer[64])
{
    static const char *const pieces[] = {
        "x", "\"", "\\", "\n", "\x01", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "]}"};
    size_t count = random_below(random, 6);
    buffer[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(buffer, pieces[random_below(random, ARRAY_COUNT(pieces))]);
    return buffer;
}

static cJSON *random_value(struct random *random, int depth)
{
    char text[64];
    switch (random_below(random, depth > 4 ? 5 : depth ? 7 : 60)) {
    case 0:
        return cJSON_CreateNull();
    case 1:
        return cJSON_CreateBool(random_below(random, 2) == 1);
    case 2:
        return cJSON_CreateNumber((double)(int64_t)random_next(random) / (double)(1 + random_below(random, 1000)));
    case 3:
        return cJSON_CreateNumber((double)random_below(random, 1000) - 500);
    case 4:
        return cJSON_CreateString(random_text(random, text));
    default:
        break;
    }
    bool object = random_below(random, 2) == 1;
    cJSON *made = object ? cJSON_CreateObject() : cJSON_CreateArray();
    for (size_t left = random_below(random, 8); left > 0; left--) {
        cJSON *value = random_value(random, depth + 1);
        if (object)
            cJSON_AddItemToObject(made, keys[random_below(random, ARRAY_COUNT(keys))], value);
        else
            cJSON_AddItemToArray(made, value);
    }
    return made;
}

static char *random_document(struct random *random, cJSON **tree)
{
    cJSON *made = random_value(random, 0);
    char *text = random_below(random, 2) ? cJSON_Print(made) : cJSON_PrintUnformatted(made);
    *tree = cJSON_Parse(text); /* what was printed is rounded */
    ck_assert_ptr_nonnull(*tree);
    cJSON_Delete(made);
    return text;
}

/* Walks down at random, now and then into nothing; *found is NULL there. */
static void random_path(struct random *random, const cJSON *tree, struct json_path *path, const cJSON **found)
{
    path->count = 0;
    *found = tree;
    while (*found && path->count < JSON_STEPS_MAX && random_below(random, 6)) {
        struct json_step *step = &path->steps[path->count++];
        *step = (struct json_step){0};
        bool key = cJSON_IsObject(*found) != (random_below(random, 20) == 0);
        if (key) {
            step->key = view_of(keys[random_below(random, ARRAY_COUNT(keys))]);
            *found = cJSON_IsObject(*found) ? cJSON_GetObjectItemCaseSensitive(*found, step->key.data) : NULL;
        } else {
            step->index = random_below(random, 5);
            *found = cJSON_IsArray(*found) ? cJSON_GetArrayItem(*found, (int)step->index) : NULL;
        }
    }
}

static bool type_fits(const cJSON *item, enum json_type type)
{
    switch (type) {
    case JSON_NULL:
        return cJSON_IsNull(item);
    case JSON_TRUE:
        return cJSON_IsTrue(item);
    case JSON_FALSE:
        return cJSON_IsFalse(item);
    case JSON_NUMBER:
        return cJSON_IsNumber(item);
    case JSON_STRING:
        return cJSON_IsString(item);
    case JSON_OBJECT:
        return cJSON_IsObject(item);
    default:
        return cJSON_IsArray(item);
    }
}

static void value_compare(const cJSON *item, weir_view raw, enum json_type type)
{
    char text[TEXT_MAX];
    size_t length;
    double number;
    ck_assert(type_fits(item, type));
    if (type == JSON_STRING) {
        ck_assert_int_eq(json_text(raw, text, sizeof text, &length), WEIR_OK);
        ck_assert(view_is(view_make(text, length), item->valuestring));
    } else if (type == JSON_NUMBER) {
        ck_assert_int_eq(json_number(raw, &number), WEIR_OK);
        ck_assert(number == item->valuedouble);
    } else {
        cJSON *again = cJSON_ParseWithLength(raw.data, raw.size);
        char *left = cJSON_PrintUnformatted(again), *right = cJSON_PrintUnformatted(item);
        ck_assert_str_eq(left, right);
        free(left);
        free(right);
        cJSON_Delete(again);
    }
}

START_TEST(test_find_agrees_with_a_document)
{
    struct random random;
    size_t hits = 0;
    random_init(&random, 1);
    for (int round = 0; round < ROUNDS; round++) {
        cJSON *tree;
        char *text = random_document(&random, &tree);
        for (int i = 0; i < 10; i++) {
            struct json_path path;
            const cJSON *item;
            weir_view raw;
            enum json_type type;
            random_path(&random, tree, &path, &item);
            int result = json_find(view_of(text), &path, &raw, &type);
            ck_assert_msg(result == (item ? WEIR_OK : WEIR_MISSING), "%d in %s", result, text);
            if (item)
                value_compare(item, raw, type);
            hits += item && path.count;
        }
        cJSON_Delete(tree);
        free(text);
    }
    ck_assert_uint_gt(hits, ROUNDS / 2);
}
END_TEST

static void text_damage(struct random *random, char *text, size_t size)
{
    static const char bytes[] = "{}[]:,\"\\ 01-+.eEtfnu\n\x01\x80\xff";
    for (size_t left = 1 + random_below(random, 3); left > 0 && size > 0; left--)
        text[random_below(random, size)] = bytes[random_below(random, sizeof bytes)];
}

/* cJSON takes more than RFC 8259 allows, and never less: what passes the check must parse. */
START_TEST(test_check_never_passes_what_a_parser_refuses)
{
    struct random random;
    size_t passed = 0, refused = 0;
    random_init(&random, 2);
    for (int round = 0; round < ROUNDS * 5; round++) {
        cJSON *tree;
        char *text = random_document(&random, &tree);
        size_t size = strlen(text);
        ck_assert_msg(json_check(view_make(text, size)), "%s", text);
        text_damage(&random, text, size);
        bool good = json_check(view_make(text, size));
        cJSON *again = good ? cJSON_ParseWithLength(text, size) : NULL;
        ck_assert_msg(!good || again, "%s", text);
        passed += good;
        refused += !good;
        cJSON_Delete(again);
        cJSON_Delete(tree);
        free(text);
    }
    ck_assert_uint_gt(passed, 100);
    ck_assert_uint_gt(refused, 100);
}
END_TEST

/* Any prefix of an object or array is no document, and nothing behind the end is read (under ASan). */
START_TEST(test_a_cut_document_is_invalid)
{
    struct random random;
    random_init(&random, 3);
    for (int round = 0; round < ROUNDS; round++) {
        cJSON *tree;
        char *text = random_document(&random, &tree);
        size_t size = strlen(text), cut = random_below(&random, size);
        if (cJSON_IsObject(tree) || cJSON_IsArray(tree) || cJSON_IsString(tree)) {
            char *copy = malloc(cut + 1);
            struct json_path all = {.count = 0};
            weir_view raw;
            enum json_type type;
            memcpy(copy, text, cut);
            ck_assert(!json_check(view_make(copy, cut)));
            ck_assert_int_eq(json_find(view_make(copy, cut), &all, &raw, &type), WEIR_INVALID);
            free(copy);
        }
        cJSON_Delete(tree);
        free(text);
    }
}
END_TEST

START_TEST(test_check_table)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"null", true},
        {" true ", true},
        {"false", true},
        {"nul", false},
        {"nulll", false},
        {"True", false},
        {"", false},
        {" ", false},
        {"0", true},
        {"-0", true},
        {"01", false},
        {"-", false},
        {"+1", false},
        {"1.", false},
        {".5", false},
        {"1.5e3", true},
        {"1e", false},
        {"1e+", false},
        {"1E-7", true},
        {"0x10", false},
        {"NaN", false},
        {"\"\"", true},
        {"\"a", false},
        {"\"\\u00e4\"", true},
        {"\"\\u00e\"", false},
        {"\"\\x41\"", false},
        {"\"\\ud83d\\ude00\"", true},
        {"\"\\ud83d\"", false},
        {"\"\\ude00\"", false},
        {"\"\\ud83d\\u0041\"", false},
        {"\"\t\"", false},
        {"\"\xc3\xa4\"", true},
        {"\"\xc3\"", false},
        {"\"\xed\xa0\x80\"", false},
        {"\"\xff\"", false},
        {"[]", true},
        {"[ ]", true},
        {"[1,]", false},
        {"[,1]", false},
        {"[1 2]", false},
        {"[1", false},
        {"]", false},
        {"[1]]", false},
        {"[}", false},
        {"{}", true},
        {"{ }", true},
        {"{\"a\":1}", true},
        {"{\"a\":1,}", false},
        {"{\"a\"}", false},
        {"{\"a\":}", false},
        {"{a:1}", false},
        {"{1:1}", false},
        {"{\"a\":1 \"b\":2}", false},
        {"{\"a\":1,\"a\":2}", true},
        {"{\"a\":[1,{\"b\":[]}]}", true},
        {"{\"a\":[}]", false},
        {"1 1", false},
        {"[\"a\":1]", false},
        {"{\"a\",1}", false},
        {"\xef\xbb\xbf{}", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        ck_assert_msg(json_check(view_of(cases[i].text)) == cases[i].good, "%s", cases[i].text);
    ck_assert(!json_check(view_of(NULL)));
    ck_assert(!json_check(view_make("1\0", 2)));
}
END_TEST

START_TEST(test_depth_is_bounded)
{
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        char text[2 * JSON_DEPTH_MAX + 10] = "";
        for (size_t i = 0; i < depth; i++)
            strcat(text, "[");
        for (size_t i = 0; i < depth; i++)
            strcat(text, "]");
        ck_assert(json_check(view_of(text)) == (depth <= JSON_DEPTH_MAX));
    }
}
END_TEST

START_TEST(test_millions_of_brackets_do_not_hurt)
{
    enum { DEPTH = 2000000 };
    static const char before[] = "{\"a\":", after[] = ",\"b\":1}";
    char *text = malloc(sizeof before + 2 * DEPTH + sizeof after);
    char *at = text + sizeof before - 1;
    struct json_path path;
    weir_view raw;
    enum json_type type;
    strcpy(text, before);
    memset(at, '[', DEPTH);
    memset(at + DEPTH, ']', DEPTH);
    strcpy(at + 2 * DEPTH, after);
    ck_assert_int_eq(json_path_parse("b", &path), WEIR_OK);
    ck_assert_int_eq(json_find(view_of(text), &path, &raw, &type), WEIR_OK);
    ck_assert(view_is(raw, "1"));
    ck_assert_int_eq(json_path_parse("a", &path), WEIR_OK);
    ck_assert_int_eq(json_find(view_of(text), &path, &raw, &type), WEIR_INVALID);
    ck_assert_int_eq(json_path_parse("a[0][1]", &path), WEIR_OK);
    ck_assert_int_eq(json_find(view_of(text), &path, &raw, &type), WEIR_MISSING);
    ck_assert(!json_check(view_of(text)));
    free(text);
}
END_TEST

START_TEST(test_find_table)
{
    static const struct {
        const char *text, *path, *raw; /* raw NULL: missing; "!": invalid */
    } cases[] = {
        {"{\"a\":1}", "a", "1"},
        {"{\"a\":1,\"a\":2}", "a", "1"},
        {"{\"a\":{\"b\":[10,20,{\"c\":\"x\"}]}}", "a.b[2].c", "\"x\""},
        {"[[1,2],[3]]", "[1][0]", "3"},
        {" { \"a\" : [ 1 , 2 ] } ", "a[1]", "2"},
        {"{\"\\u0061\":true}", "a", "true"},
        {"{\"\\\\x\":1,\"\\u0078\":2}", "x", "2"},
        {"{\"\\u0061\":1}", "\\u0061", NULL},
        {"{\"\\\\u0061\":1}", "\\u0061", "1"},
        {"{\"a\\\"\":1,\"b\":2}", "b", "2"},
        {"{\"x\":\"}\\\"\",\"b\":null}", "b", "null"},
        {"{\"a\":1} what follows", "a", "1"},
        {"{\"a\":-1.5e3}", "a", "-1.5e3"},
        {"7", "", "7"},
        {"{}", "a", NULL},
        {"[]", "[0]", NULL},
        {"[1]", "[1]", NULL},
        {"{\"a\":1}", "a.b", NULL},
        {"{\"a\":1}", "[0]", NULL},
        {"{\"ab\":1}", "a", NULL},
        {"7", "a", NULL},
        {"[{}]", "a", NULL},
        {"text", "a", "!"},
        {"{\"a\":text}", "a.b", "!"},
        {"", "", "!"},
        {"", "a", "!"},
        {"{", "a", "!"},
        {"{\"a\"", "a", "!"},
        {"{\"a\":", "a", "!"},
        {"{\"a\":}", "a", "!"},
        {"{\"a\":x}", "a", "!"},
        {"{\"a\":\"\\", "a", "!"},
        {"{\"a\":\"\\", "b", "!"},
        {"{\"a\":[}", "a", "!"},
        {"{\"a\":\"\\q\"}", "a", "!"},
        {"{\"b\":1 \"a\":2}", "a", "!"},
        {"{\"b\":,\"a\":2}", "a", "!"},
        {"{b:1,\"a\":2}", "a", "!"},
        {"[1 2]", "[1]", "!"},
        {"[,2]", "[1]", "!"},
        {"[1", "[1]", "!"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct json_path path;
        weir_view raw = {0};
        enum json_type type;
        ck_assert_int_eq(json_path_parse(cases[i].path, &path), WEIR_OK);
        int expected = !cases[i].raw ? WEIR_MISSING : cases[i].raw[0] == '!' ? WEIR_INVALID : WEIR_OK;
        int result = json_find(view_of(cases[i].text), &path, &raw, &type);
        ck_assert_msg(result == expected, "%s in %s: %d", cases[i].path, cases[i].text, result);
        ck_assert(result != WEIR_OK || view_is(raw, cases[i].raw));
    }
}
END_TEST

/* A key in the document may be longer than any path can name. */
START_TEST(test_a_long_escaped_key_is_passed_over)
{
    char text[2000] = "{\"\\u0061", path_text[JSON_KEY_MAX + 2];
    size_t size = strlen(text);
    struct json_path path;
    weir_view raw;
    enum json_type type;
    memset(text + size, 'x', 1000);
    strcpy(text + size + 1000, "\":1,\"b\":2}");
    ck_assert_int_eq(json_path_parse("b", &path), WEIR_OK);
    ck_assert_int_eq(json_find(view_of(text), &path, &raw, &type), WEIR_OK);
    ck_assert(view_is(raw, "2"));
    memset(path_text, 'k', sizeof path_text);
    path_text[JSON_KEY_MAX + 1] = '\0';
    ck_assert_int_eq(json_path_parse(path_text, &path), WEIR_INVALID);
    path_text[JSON_KEY_MAX] = '\0';
    ck_assert_int_eq(json_path_parse(path_text, &path), WEIR_OK);
}
END_TEST

START_TEST(test_paths)
{
    static const char *const bad[] = {".a",           "a.",
                                      "a..b",         "a.[0]",
                                      "a[0]b",        "[",
                                      "[]",           "[x]",
                                      "[-1]",         "[1",
                                      "[1]]",         "a[0].",
                                      "[1234567890]", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"};
    struct json_path path;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        ck_assert_msg(json_path_parse(bad[i], &path) == WEIR_INVALID, "%s", bad[i]);
    ck_assert_int_eq(json_path_parse("a.b-c[12][3].d e", &path), WEIR_OK);
    ck_assert_uint_eq(path.count, 5);
    ck_assert(view_is(path.steps[1].key, "b-c"));
    ck_assert_uint_eq(path.steps[2].index, 12);
    ck_assert(path.steps[3].key.data == NULL && path.steps[3].index == 3);
    ck_assert(view_is(path.steps[4].key, "d e"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("json");
    TCase *c = tcase_create("json");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_find_agrees_with_a_document);
    tcase_add_test(c, test_check_never_passes_what_a_parser_refuses);
    tcase_add_test(c, test_a_cut_document_is_invalid);
    tcase_add_test(c, test_check_table);
    tcase_add_test(c, test_depth_is_bounded);
    tcase_add_test(c, test_millions_of_brackets_do_not_hurt);
    tcase_add_test(c, test_find_table);
    tcase_add_test(c, test_a_long_escaped_key_is_passed_over);
    tcase_add_test(c, test_paths);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
