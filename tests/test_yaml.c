/* test_yaml.c: trees with places, variables, bounds, and reports. */
#include "config_kit.h"

static char folder[PATH_MAX];
static struct arena arena;
static struct yaml_report report;

static void setup(void)
{
    config_kit_enter(folder);
    arena_init(&arena, (size_t)64 << 20);
    memset(&report, 0, sizeof(report));
}

static void teardown(void)
{
    yaml_report_fini(&report);
    arena_fini(&arena);
    config_kit_leave();
}

static const struct yaml_node *load_bytes(const char *text, size_t size)
{
    const struct yaml_node *root;

    config_kit_write("t.yaml", text, size);
    if (yaml_load("t.yaml", &arena, &root, &report) == WEIR_OK) {
        ck_assert_ptr_nonnull(root);
        ck_assert_uint_eq(report.count, 0);
    } else {
        ck_assert_uint_gt(report.count, 0);
    }
    return root;
}

static const struct yaml_node *load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static void refused_bytes(const char *text, size_t size, const char *expected)
{
    load_bytes(text, size);
    ck_assert_ptr_nonnull(report.text);
    ck_assert_str_eq(report.text, expected);
    yaml_report_fini(&report);
}

static void refused(const char *text, const char *expected)
{
    refused_bytes(text, strlen(text), expected);
}

START_TEST(test_every_node_knows_its_place)
{
    const struct yaml_node *root = load("# c\na: 1\nb:\n  - x\n  - {k: 'v', \"q\": [y]}\n");
    const struct yaml_node *b = yaml_get(root, "b"), *k = yaml_get(b->items[1], "k");

    ck_assert_int_eq(root->kind, YAML_MAPPING);
    ck_assert_uint_eq(root->count, 2);
    ck_assert_str_eq(root->keys[1]->text, "b");
    ck_assert_int_eq(root->keys[1]->line, 3);
    ck_assert_int_eq(root->keys[1]->column, 1);
    ck_assert_int_eq(b->kind, YAML_SEQUENCE);
    ck_assert_int_eq(k->line, 5);
    ck_assert_int_eq(k->column, 9);
    ck_assert_str_eq(k->file, "t.yaml");
    ck_assert_str_eq(k->text, "v");
    ck_assert(!k->plain);
    ck_assert(yaml_get(root, "a")->plain);
    ck_assert_ptr_eq(k->parent, b->items[1]);
    ck_assert_ptr_eq(b->items[1]->parent, b);
    ck_assert_uint_eq(b->items[1]->index, 1);
    ck_assert_ptr_eq(k->key, b->items[1]->keys[0]);
    ck_assert_ptr_null(root->parent);
    ck_assert_ptr_null(yaml_get(root, "c"));
    ck_assert_ptr_null(yaml_get(b, "a"));
    ck_assert_ptr_null(yaml_get(NULL, "a"));
}
END_TEST

START_TEST(test_line_ends_and_marks)
{
    const struct yaml_node *root = load("\xef\xbb\xbf"
                                        "a: 1\r\nb: 2\r\n");

    ck_assert_str_eq(yaml_get(root, "b")->text, "2");
    ck_assert_int_eq(yaml_get(root, "b")->line, 2);
    ck_assert_int_eq(root->keys[0]->column, 1);
    root = load("k: \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 # c\nl: { \xc3\xa4: x }\n");
    ck_assert_str_eq(yaml_get(root, "k")->text, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    ck_assert_int_eq(yaml_get(root, "l")->items[0]->column, 9);
}
END_TEST

START_TEST(test_null_and_empty_differ)
{
    const struct yaml_node *root = load("a:\nb: ~\nc: null\nd: ''\ne: '~'\nf: x\n");
    static const bool null[] = {true, true, true, false, false, false};

    for (size_t i = 0; i < ARRAY_COUNT(null); i++)
        ck_assert_int_eq(yaml_is_null(root->items[i]), null[i]);
    ck_assert(!yaml_is_null(root));
}
END_TEST

START_TEST(test_variables)
{
    static const struct {
        const char *text, *value;
    } cases[] = {{"${WEIR_T}", "vier"},
                 {"a${WEIR_T}b${WEIR_T}", "avierbvier"},
                 {"${WEIR_NONE:-x y}", "x y"},
                 {"${WEIR_EMPTY:-d}", "d"},
                 {"${WEIR_EMPTY}", ""},
                 {"${WEIR_T:-d}", "vier"},
                 {"${WEIR_NONE:-}", ""},
                 {"$${WEIR_T}", "${WEIR_T}"},
                 {"$$${WEIR_T}", "$${WEIR_T}"},
                 {"$WEIR_T $ $$", "$WEIR_T $ $$"},
                 {"${WEIR_NESTED}", "${WEIR_T}"},
                 {"{{time:%Y}}", "{{time:%Y}}"},
                 {"", ""}};
    struct error error;

    setenv("WEIR_T", "vier", 1);
    setenv("WEIR_EMPTY", "", 1);
    setenv("WEIR_NESTED", "${WEIR_T}", 1);
    unsetenv("WEIR_NONE");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        ck_assert_str_eq(yaml_expand(view_of(cases[i].text), &arena, &error), cases[i].value);
}
END_TEST

START_TEST(test_variables_that_are_wrong)
{
    static const char *const bad[] = {"${WEIR_NONE}", "${}",   "${1A}", "${A",   "${A-b}",
                                      "${A:b}",       "${A:}", "x ${",  "${A B}"};
    struct error error;

    unsetenv("WEIR_NONE");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        error.code = WEIR_OK;
        ck_assert_ptr_null(yaml_expand(view_of(bad[i]), &arena, &error));
        ck_assert_int_eq(error.code, WEIR_INVALID);
    }
}
END_TEST

/* Against a model that replaces in a simple way: no nesting, fixed tokens. */
START_TEST(test_variables_at_random)
{
    static const char *const tokens[] = {"${WEIR_T}", "$${", "$", "}", "${WEIR_NONE:-d}", "a", " ", "{"};
    static const char *const values[] = {"vier", "${", "$", "}", "d", "a", " ", "{"};
    struct random random;

    setenv("WEIR_T", "vier", 1);
    random_init(&random, 7);
    for (int round = 0; round < 3000; round++) {
        char text[300] = "", value[300] = "";
        size_t last = 0;

        for (int i = 0; i < 12; i++) {
            size_t token = (size_t)random_below(&random, ARRAY_COUNT(tokens));

            if (i > 0 && last == 2 && (token == 7 || token == 0 || token == 1 || token == 4))
                token = 5; /* "$" before these is another token */
            strcat(text, tokens[token]);
            strcat(value, values[token]);
            last = token;
        }
        ck_assert_str_eq(yaml_expand(view_of(text), &arena, NULL), value);
    }
}
END_TEST

START_TEST(test_values_are_expanded_and_keys_are_not)
{
    const struct yaml_node *root;

    setenv("WEIR_T", "{ x: 1 }", 1);
    root = load("'${WEIR_T}': \"${WEIR_T}\"\nplain: ${WEIR_T}\n");
    ck_assert_str_eq(root->keys[0]->text, "${WEIR_T}");
    ck_assert_str_eq(root->items[0]->text, "{ x: 1 }");
    ck_assert_int_eq(root->items[1]->kind, YAML_SCALAR);
    ck_assert(root->items[1]->plain);
}
END_TEST

START_TEST(test_a_fault_in_a_value_leaves_the_tree)
{
    const struct yaml_node *root;

    unsetenv("WEIR_NONE");
    root = load("a: {b: ['${WEIR_NONE}', x]}\nc: 1\n");
    ck_assert_ptr_nonnull(root);
    ck_assert(yaml_get(yaml_get(root, "a"), "b")->items[0]->bad);
    ck_assert_str_eq(report.text,
                     "t.yaml:1:9: a/b[0]: the environment variable WEIR_NONE is not set; set it, or give a "
                     "default: ${WEIR_NONE:-default}\n");
    yaml_fault(&report, yaml_get(yaml_get(root, "a"), "b")->items[0], "once more");
    ck_assert_uint_eq(report.count, 1);
}
END_TEST

START_TEST(test_refused_files)
{
    refused("", "t.yaml:1:1: the file is empty; write a section into it, at least `routes:`\n");
    refused("# nothing\n", "t.yaml:1:1: the file is empty; write a section into it, at least `routes:`\n");
    refused("---\n", "t.yaml:1:1: the file is empty; write a section into it, at least `routes:`\n");
    refused("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: a: is there twice, first on line 1; remove one of the two\n");
    refused("a: &x 1\n", "t.yaml:1:4: anchors and aliases (&name, *name) are not allowed; write the value out\n");
    refused("a: *x\n", "t.yaml:1:4: anchors and aliases (&name, *name) are not allowed; write the value out\n");
    refused("*x : 1\n", "t.yaml:1:1: anchors and aliases (&name, *name) are not allowed; write the value out\n");
    refused("a: !!str 1\n", "t.yaml:1:4: a: tags (!name) mean nothing here; remove the tag\n");
    refused("a: !x {}\nb: !y []\n", "t.yaml:1:4: a: tags (!name) mean nothing here; remove the tag\n"
                                    "t.yaml:2:4: b: tags (!name) mean nothing here; remove the tag\n");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document begins here; one file holds one\n");
    refused("{a: 1}: 2\n", "t.yaml:1:1: a key must be a plain word; put quotes around text with { or [\n");
    refused("a: \"x\\0y\"\n", "t.yaml:1:4: a: a text cannot hold a NUL character; remove \\0\n");
    refused("a: [1\n",
            "t.yaml:2:1: YAML syntax: did not find expected ',' or ']' (while parsing a flow sequence that "
            "began on line 1)\n");
    refused("a: \xc3\xa4\n\tb: 1\n", "t.yaml:2:1: YAML syntax: a tab cannot stand here; indent with spaces\n");
    refused("a: 1\n b: 2\n", "t.yaml:2:3: YAML syntax: mapping values are not allowed in this context\n");
}
END_TEST

START_TEST(test_refused_bytes)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *expected;
    } cases[] = {
        {"a: \0", 4, "t.yaml:1:4: byte 0x00"},          {"a: x\nb: \x01", 9, "t.yaml:2:4: byte 0x01"},
        {"\xff\xfe", 2, "t.yaml:1:1: byte 0xff"},       {"a: \xc3", 4, "t.yaml:1:4: byte 0xc3"},
        {"a: \xc0\x80", 5, "t.yaml:1:4: byte 0xc0"},    {"a: \xed\xa0\x80", 6, "t.yaml:1:4: byte 0xed"},
        {"\xc3\xa4: \x7f", 5, "t.yaml:1:4: byte 0x7f"}, {"a: \xf5\x80\x80\x80", 7, "t.yaml:1:4: byte 0xf5"},
        {"a: \xe2\x82", 5, "t.yaml:1:4: byte 0xe2"},    {"a: \xc2\x80", 5, "t.yaml:1:4: byte 0xc2"}};

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char expected[200];

        snprintf(expected, sizeof(expected), "%s is no text; save the file as UTF-8 without control characters\n",
                 cases[i].expected);
        refused_bytes(cases[i].bytes, cases[i].size, expected);
    }
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
    const struct yaml_node *root;

    ck_assert_int_eq(yaml_load("none.yaml", &arena, &root, &report), WEIR_INVALID);
    ck_assert_str_eq(
        report.text,
        "none.yaml:1:1: cannot be read: No such file or directory; check the path and its permissions\n");
    yaml_report_fini(&report);
    ck_assert_int_eq(yaml_load(".", &arena, &root, &report), WEIR_INVALID);
    ck_assert_str_eq(report.text, ".:1:1: cannot be read: Is a directory; check the path and its permissions\n");
    yaml_report_fini(&report);
    ck_assert_int_eq(mkfifo("pipe", 0600), 0);
    ck_assert_int_eq(yaml_load("pipe", &arena, &root, &report), WEIR_INVALID);
    ck_assert_str_eq(report.text, "pipe:1:1: the file is empty; write a section into it, at least `routes:`\n");
}
END_TEST

START_TEST(test_bounds)
{
    size_t size = ((size_t)1 << 20) + 1, used = 0;
    char *text = malloc(size + 100);
    const struct yaml_node *root;

    memset(text, ' ', size);
    memcpy(text, "a: 1 #", 6);
    root = load_bytes(text, size - 1);
    ck_assert_ptr_nonnull(root);
    refused_bytes(text, size, "t.yaml:1:1: is larger than 1MiB; split it with `include`\n");
    memset(text, '[', 5000);
    refused_bytes(text, 5000, "t.yaml:1:65: nested more than 64 deep\n");
    for (int i = 0; i < 100001; i++)
        used += (size_t)sprintf(text + used, "- 1\n");
    refused_bytes(text, used, "t.yaml:100000:3: more than 100000 values; split the file with `include`\n");
    used = (size_t)sprintf(text, "%s", "a: &a [x, x]\n");
    for (char c = 'b'; c < 'z'; c++)
        used += (size_t)sprintf(text + used, "%c: &%c [*%c, *%c]\n", c, c, c - 1, c - 1);
    refused_bytes(text, used,
                  "t.yaml:1:4: anchors and aliases (&name, *name) are not allowed; write the value out\n");
    free(text);
}
END_TEST

START_TEST(test_depth_64_is_enough)
{
    char text[200];
    const struct yaml_node *node;
    int depth = 0;

    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    for (node = load_bytes(text, 128); node->count > 0; node = node->items[0])
        depth++;
    ck_assert_int_eq(depth, 63);
}
END_TEST

START_TEST(test_memory_that_ends)
{
    const struct yaml_node *root = NULL;

    config_kit_text("t.yaml", "a: [1, 2, 3, 4, 5, 6, 7, 8]\nb: { c: d }\n");
    for (size_t limit = 1; root == NULL; limit += 64) {
        struct arena small;
        struct yaml_report faults = {0};

        arena_init(&small, limit);
        yaml_load("t.yaml", &small, &root, &faults);
        ck_assert_int_eq(root == NULL, faults.count > 0);
        yaml_report_fini(&faults);
        if (root != NULL)
            ck_assert_str_eq(yaml_get(yaml_get(root, "b"), "c")->text, "d");
        arena_fini(&small);
        ck_assert_uint_lt(limit, 1000000);
    }
}
END_TEST

START_TEST(test_a_report_is_sorted_and_bounded)
{
    struct yaml_node at = {.file = "f", .column = 1, .text = ""};
    char expected[60];

    for (int line = 120; line > 0; line--) {
        at.line = line;
        yaml_fault(&report, &at, "%s", line == 7 ? "two\nlines\x7f" : "x");
    }
    ck_assert_uint_eq(report.count, 120);
    ck_assert_ptr_nonnull(strstr(report.text, "f:1:1: x\nf:2:1: x\n"));
    ck_assert_ptr_nonnull(strstr(report.text, "f:7:1: two?lines?\n"));
    ck_assert_ptr_nonnull(strstr(report.text, "f:50:1: x\nand 70 more\n"));
    ck_assert_ptr_null(strstr(report.text, "f:51:1"));
    ck_assert_uint_eq(strlen(report.text), report.size);
    at.line = 3;
    at.column = 0;
    yaml_fault(&report, &at, "%2000s", "wide");
    snprintf(expected, sizeof(expected), "f:2:1: x\nf:3:0: ");
    ck_assert_ptr_nonnull(strstr(report.text, expected));
    ck_assert_ptr_nonnull(strstr(report.text, "...\nf:3:1: x\n"));
}
END_TEST

START_TEST(test_shown_values_are_cut_between_characters)
{
    char text[200] = "", shown[YAML_SHOWN_MAX];
    struct yaml_node node = {.kind = YAML_SCALAR, .text = text};

    for (int i = 0; i < 40; i++)
        strcat(text, "\xc3\xa4");
    node.size = strlen(text);
    yaml_shown(&node, shown);
    ck_assert_uint_eq(strlen(shown), 60 + 5);
    ck_assert_str_eq(shown + 61, "...\"");
    node.size = 61;
    memmove(text + 1, text, 61);
    text[0] = 'x';
    text[61] = '\0';
    yaml_shown(&node, shown);
    ck_assert_uint_eq(strlen(shown), 59 + 5);
}
END_TEST

/* Random bytes from a small alphabet: never a crash, and either a tree or faults. */
START_TEST(test_random_text)
{
    static const char alphabet[] = "ab:-[]{}'\"\n  #,&*!|>%$\\?\t~0";
    struct random random;

    random_init(&random, 11);
    for (int round = 0; round < 3000; round++) {
        char text[64];
        size_t size = (size_t)random_below(&random, sizeof(text));

        for (size_t i = 0; i < size; i++)
            text[i] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
        load_bytes(text, size);
        yaml_report_fini(&report);
        arena_reset(&arena);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("yaml");
    TCase *c = tcase_create("yaml");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_every_node_knows_its_place);
    tcase_add_test(c, test_line_ends_and_marks);
    tcase_add_test(c, test_null_and_empty_differ);
    tcase_add_test(c, test_variables);
    tcase_add_test(c, test_variables_that_are_wrong);
    tcase_add_test(c, test_variables_at_random);
    tcase_add_test(c, test_values_are_expanded_and_keys_are_not);
    tcase_add_test(c, test_a_fault_in_a_value_leaves_the_tree);
    tcase_add_test(c, test_refused_files);
    tcase_add_test(c, test_refused_bytes);
    tcase_add_test(c, test_files_that_cannot_be_read);
    tcase_add_test(c, test_bounds);
    tcase_add_test(c, test_depth_64_is_enough);
    tcase_add_test(c, test_memory_that_ends);
    tcase_add_test(c, test_a_report_is_sorted_and_bounded);
    tcase_add_test(c, test_shown_values_are_cut_between_characters);
    tcase_add_test(c, test_random_text);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
