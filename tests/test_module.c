/* test_module.c: shared objects that are modules, and those that are not. */
#include "config_kit.h"
#include "module.h"

static char folder[PATH_MAX];
static char modules[PATH_MAX];

static void setup(void)
{
    config_kit_enter(folder);
    config_kit_modules(modules);
}

static void teardown(void)
{
    config_kit_leave();
}

static struct module *opened(const char *name)
{
    char path[PATH_MAX + 64];
    struct module *module;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/%s.so", modules, name);
    ck_assert_msg(module_open(path, &module, &error) == WEIR_OK, "%s", error.text);
    ck_assert_str_eq(module->path, path);
    return module;
}

/* expected: what follows "PATH: " */
static void refused(const char *name, int code, const char *expected)
{
    char path[PATH_MAX + 64], text[PATH_MAX + 1000];
    struct module *module = (struct module *)(void *)&path;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/%s.so", modules, name);
    snprintf(text, sizeof(text), "%s: %s", path, expected);
    ck_assert_int_eq(module_open(path, &module, &error), code);
    ck_assert_int_eq(error.code, code);
    ck_assert_str_eq(error.text, text);
    ck_assert_ptr_null(module);
    ck_assert_int_eq(module_open(path, &module, NULL), code);
}

START_TEST(test_a_good_module)
{
    struct module *module = opened("kit");

    ck_assert_str_eq(module->name, "kit");
    ck_assert_str_eq(module->version, "1");
    ck_assert_str_eq(module->sources[0]->type, "kit");
    ck_assert_ptr_null(module->sources[1]);
    ck_assert_str_eq(module->sinks[0]->type, "kit");
    ck_assert_ptr_null(module->sinks[1]);
    ck_assert_str_eq(module->functions[0]->type, "kit");
    ck_assert_str_eq(module->functions[1]->type, "keeper");
    ck_assert_ptr_null(module->functions[2]);
    module_free(module);
    module_free(NULL);
}
END_TEST

START_TEST(test_a_list_that_is_absent_is_empty)
{
    struct module *module = opened("one");

    ck_assert_ptr_null(module->sources[0]);
    ck_assert_ptr_null(module->sinks[0]);
    ck_assert_ptr_nonnull(module->functions[0]);
    module_free(module);
}
END_TEST

START_TEST(test_a_smaller_table_ends_in_zeros)
{
    struct module *module = opened("older");

    ck_assert_ptr_nonnull((const void *)(uintptr_t)module->functions[0]->call);
    ck_assert(module->functions[0]->fini == NULL);
    module_free(module);
}
END_TEST

START_TEST(test_a_larger_table_is_cut)
{
    struct module *module = opened("newer");

    ck_assert_str_eq(module->functions[0]->type, "newer");
    ck_assert(module->functions[0]->call != NULL);
    ck_assert_uint_gt(module->functions[0]->size, sizeof(weir_function_ops));
    module_free(module);
}
END_TEST

START_TEST(test_what_is_no_module)
{
    char expected[300];

    refused("none", WEIR_MISSING, "No such file or directory");
    refused("no_symbol", WEIR_MISSING,
            "is no module of weir: it has no symbol weir_module (see WEIR_MODULE in weir.h)");
    snprintf(expected, sizeof(expected),
             "was built for ABI %u, this weir has ABI %u; build it with this weir's headers", WEIR_ABI + 7,
             WEIR_ABI);
    refused("bad_abi", WEIR_INVALID, expected);
    snprintf(expected, sizeof(expected), "weir_module says it has 16 bytes; expected %zu..4096",
             sizeof(weir_module_info));
    refused("bad_size", WEIR_INVALID, expected);
    refused("nothing", WEIR_INVALID, "exports no source, sink or function");
    refused("twice", WEIR_INVALID, "function same is there twice");
}
END_TEST

START_TEST(test_tables_that_are_wrong)
{
    char expected[300];

    snprintf(expected, sizeof(expected), "the table of a function says it has %zu bytes; expected %zu..4096",
             offsetof(weir_function_ops, call), offsetof(weir_function_ops, fini));
    refused("bad_table_size", WEIR_INVALID, expected);
    refused("bad_name", WEIR_INVALID, "a function has a type that is not 1 to 64 letters, digits, - or _");
    refused("bad_flag", WEIR_INVALID,
            "function bad_flag: has flags that this weir does not know; use a newer weir");
    refused("no_slot", WEIR_INVALID, "sink no_slot: lacks an operation that every sink must have");
    refused("bad_row", WEIR_INVALID, "function bad_row: option far: its member does not lie in the state");
    refused(
        "bad_default", WEIR_INVALID,
        "function bad_default: a default is wrong: \"2h\" is not allowed; expected a duration, as in 20ms, 5s, 2h "
        "or 1d; allowed is 1us..1ms");
}
END_TEST

START_TEST(test_what_cannot_be_loaded)
{
    struct module *module;
    struct error error = {0};

    config_kit_text("text.so", "no shared object");
    ck_assert_int_eq(module_open("./text.so", &module, &error), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "./text.so: cannot be loaded: "));
    ck_assert_int_eq(module_open(".", &module, &error), WEIR_MISSING);
    ck_assert_str_eq(error.text, ".: is no file");
}
END_TEST

START_TEST(test_every_symbol_is_bound_at_once)
{
    char path[PATH_MAX + 64];
    struct module *module;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/undefined.so", modules);
    ck_assert_int_eq(module_open(path, &module, &error), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "undefined symbol: weir_has_no_such_function"));
}
END_TEST

static int function_call(void *self, const weir_batch *in, weir_out *out)
{
    UNUSED(self);
    UNUSED(in);
    UNUSED(out);
    return WEIR_OK;
}

/* The option rows that a table may not have, one change each. */
START_TEST(test_rows_that_are_wrong)
{
    static const char *const none[] = {NULL};
    static const weir_option empty[] = {{0}};
    static const struct {
        weir_option row;
        const char *fault;
    } cases[] = {{{.name = "a b", .help = "x"}, "option a b: its name is not 1 to 64 letters, digits, - or _"},
                 {{.name = "a"}, "option a: it has no help"},
                 {{.name = "a", .help = "x", .type = 99}, "option a: its type is unknown to this weir"},
                 {{.name = "a", .help = "x", .flags = 64}, "option a: it has a flag that is unknown to this weir"},
                 {{.name = "a", .help = "x", .offset = 4}, "option a: its member does not lie in the state"},
                 {{.name = "a", .help = "x", .offset = 64}, "option a: its member does not lie in the state"},
                 {{.name = "a", .help = "x", .type = WEIR_OPTION_CHOICE}, "option a: it is a choice of nothing"},
                 {{.name = "a", .help = "x", .type = WEIR_OPTION_CHOICE, .choices = none},
                  "option a: it is a choice of nothing"},
                 {{.name = "a", .help = "x", .type = WEIR_OPTION_GROUP}, "option a: it is a group without rows"},
                 {{.name = "a", .help = "x", .type = WEIR_OPTION_INT, .min = 3, .max = 2},
                  "option a: its least value is above its greatest"},
                 {{.name = "ok", .help = "x", .type = WEIR_OPTION_GROUP, .rows = empty}, NULL}};
    struct error error;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        weir_option rows[2] = {cases[i].row, {0}};
        weir_function_ops ops = {.size = sizeof(ops),
                                 .type = "f",
                                 .summary = "s",
                                 .options = rows,
                                 .state_size = 16,
                                 .call = function_call};
        char expected[200];

        snprintf(expected, sizeof(expected), "function f: %s", cases[i].fault != NULL ? cases[i].fault : "");
        ck_assert_int_eq(module_check_function(&ops, &error), cases[i].fault != NULL ? WEIR_INVALID : WEIR_OK);
        if (cases[i].fault != NULL)
            ck_assert_str_eq(error.text, expected);
    }
}
END_TEST

START_TEST(test_rows_in_groups_and_rows_twice)
{
    static const weir_option inner[] = {{.name = "far", .help = "x", .offset = 100}, {0}};
    static const weir_option outer[] = {{.name = "group", .help = "x", .type = WEIR_OPTION_GROUP, .rows = inner},
                                        {0}};
    static const weir_option twice[] = {{.name = "a", .help = "x"}, {.name = "a", .help = "x"}, {0}};
    weir_option circle[] = {{.name = "again", .help = "x", .type = WEIR_OPTION_GROUP}, {0}};
    weir_function_ops ops = {.size = sizeof(ops),
                             .type = "f",
                             .summary = "s",
                             .options = outer,
                             .state_size = 16,
                             .call = function_call};
    struct error error;

    ck_assert_int_eq(module_check_function(&ops, &error), WEIR_INVALID);
    ck_assert_str_eq(error.text, "function f: in group: option far: its member does not lie in the state");
    ops.options = twice;
    ck_assert_int_eq(module_check_function(&ops, &error), WEIR_INVALID);
    ck_assert_str_eq(error.text, "function f: option a: is there twice");
    circle[0].rows = circle;
    ops.options = circle;
    ck_assert_int_eq(module_check_function(&ops, &error), WEIR_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "too many options, or groups too deep"));
    ops.options = NULL;
    ops.state_size = (size_t)1 << 30;
    ck_assert_int_eq(module_check_function(&ops, &error), WEIR_INVALID);
    ck_assert_str_eq(error.text, "function f: has a state of more than 64MiB");
}
END_TEST

START_TEST(test_what_is_built_in_passes_the_same_checks)
{
    struct error error = {0};

    for (size_t i = 0; builtin_sources[i] != NULL; i++)
        ck_assert_msg(module_check_source(builtin_sources[i], &error) == WEIR_OK, "%s", error.text);
    for (size_t i = 0; builtin_sinks[i] != NULL; i++)
        ck_assert_msg(module_check_sink(builtin_sinks[i], &error) == WEIR_OK, "%s", error.text);
    for (size_t i = 0; builtin_functions[i] != NULL; i++)
        ck_assert_msg(module_check_function(builtin_functions[i], &error) == WEIR_OK, "%s", error.text);
    ck_assert_int_eq(error.code, WEIR_OK);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("module");
    TCase *c = tcase_create("module");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_a_good_module);
    tcase_add_test(c, test_a_list_that_is_absent_is_empty);
    tcase_add_test(c, test_a_smaller_table_ends_in_zeros);
    tcase_add_test(c, test_a_larger_table_is_cut);
    tcase_add_test(c, test_what_is_no_module);
    tcase_add_test(c, test_tables_that_are_wrong);
    tcase_add_test(c, test_what_cannot_be_loaded);
    tcase_add_test(c, test_every_symbol_is_bound_at_once);
    tcase_add_test(c, test_rows_that_are_wrong);
    tcase_add_test(c, test_rows_in_groups_and_rows_twice);
    tcase_add_test(c, test_what_is_built_in_passes_the_same_checks);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
