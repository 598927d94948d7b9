/* test_registry.c: kinds by type and by module, and what is said about those that are not there. */
#include "config_kit.h"

static char folder[PATH_MAX];
static char modules[PATH_MAX];
static struct registry *registry;

static void setup(void)
{
    config_kit_enter(folder);
    config_kit_modules(modules);
    registry = registry_new(modules);
    ck_assert_ptr_nonnull(registry);
}

static void teardown(void)
{
    registry_free(registry);
    config_kit_leave();
}

static const char *module_path(const char *name)
{
    static char path[PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/%s.so", modules, name);
    return path;
}

START_TEST(test_a_type_is_found_in_the_folder)
{
    struct error error;
    const weir_source_ops *source = registry_source(registry, "kit", NULL, &error);

    ck_assert_ptr_nonnull(source);
    ck_assert_str_eq(source->summary, "A source that emits nothing.");
    ck_assert_ptr_eq(registry_source(registry, "kit", NULL, &error), source);
    ck_assert_str_eq(registry_sink(registry, "kit", NULL, &error)->type, "kit");
    ck_assert_str_eq(registry_function(registry, "keeper", NULL, &error)->type, "keeper");
}
END_TEST

START_TEST(test_a_module_that_is_named)
{
    struct error error;
    const weir_function_ops *one = registry_function(registry, NULL, module_path("one"), &error);

    ck_assert_str_eq(one->type, "one");
    ck_assert_ptr_eq(registry_function(registry, "one", module_path("one"), &error), one);
    ck_assert_str_eq(registry_function(registry, "second", module_path("several"), &error)->type, "second");
    ck_assert_ptr_null(registry_function(registry, "second", NULL, &error));
}
END_TEST

START_TEST(test_a_module_is_opened_once)
{
    struct error error;
    char link_path[PATH_MAX + 64];
    const weir_function_ops *one = registry_function(registry, NULL, module_path("one"), &error);

    snprintf(link_path, sizeof(link_path), "%s/link.so", folder);
    ck_assert_int_eq(symlink(module_path("one"), link_path), 0);
    ck_assert_ptr_eq(registry_function(registry, NULL, link_path, &error), one);
}
END_TEST

static void refused(const weir_function_ops *found, const struct error *error, const char *expected)
{
    ck_assert_ptr_null(found);
    ck_assert_str_eq(error->text, expected);
}

START_TEST(test_faults)
{
    struct error error;
    char expected[PATH_MAX + 200];

    refused(registry_function(registry, NULL, NULL, &error), &error, "neither a type nor a module is named");
    snprintf(expected, sizeof(expected), "%s has several functions, name one; known: first, second",
             module_path("several"));
    refused(registry_function(registry, NULL, module_path("several"), &error), &error, expected);
    snprintf(expected, sizeof(expected), "%s has no function \"secnd\"; did you mean second? known: first, second",
             module_path("several"));
    refused(registry_function(registry, "secnd", module_path("several"), &error), &error, expected);
    ck_assert_ptr_null(registry_sink(registry, NULL, module_path("one"), &error));
    snprintf(expected, sizeof(expected), "%s has no sink", module_path("one"));
    ck_assert_str_eq(error.text, expected);
    ck_assert_ptr_null(registry_source(registry, "kti", NULL, &error));
    ck_assert_int_eq(error.code, WEIR_MISSING);
    ck_assert_ptr_nonnull(strstr(error.text, "there is no source of type \"kti\"; did you mean kit? known: "));
    ck_assert_ptr_nonnull(strstr(error.text, ", several, "));
    ck_assert_ptr_null(registry_source(registry, "kti", NULL, NULL));
    ck_assert_ptr_null(registry_source(registry, "bad_abi", NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "bad_abi.so: was built for ABI"));
}
END_TEST

/* A type never leads out of the folder. */
START_TEST(test_types_that_are_no_names)
{
    static const char *const types[] = {"", "../modules/kit", "./kit", "kit.so", "a b", "/etc/passwd"};
    struct error error;

    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        ck_assert_ptr_null(registry_source(registry, types[i], NULL, &error));
        ck_assert_ptr_nonnull(strstr(error.text, "there is no source of type"));
    }
}
END_TEST

struct seen {
    int kit, broken, functions;
};

static void visit(void *arg, const char *sort, const char *type, const char *summary, const weir_option *options,
                  const char *where)
{
    struct seen *seen = arg;

    ck_assert_ptr_nonnull(summary);
    ck_assert_ptr_nonnull(where);
    if (strcmp(type, "kit") == 0) {
        seen->kit++;
        ck_assert_ptr_nonnull(options);
        ck_assert_str_eq(where, module_path("kit"));
    }
    seen->functions += strcmp(sort, "function") == 0;
    if (strcmp(sort, "broken") == 0 && strcmp(type, "bad_abi.so") == 0) {
        seen->broken++;
        ck_assert_ptr_nonnull(strstr(summary, "ABI"));
    }
}

START_TEST(test_everything_is_visited)
{
    struct seen seen = {0};

    registry_each(registry, visit, &seen);
    ck_assert_int_eq(seen.kit, 3);
    ck_assert_int_eq(seen.broken, 1);
    ck_assert_int_ge(seen.functions, 6);
}
END_TEST

START_TEST(test_the_folder_comes_from_the_environment)
{
    struct registry *other;
    struct error error;

    setenv("WEIR_MODULES", modules, 1);
    other = registry_new(NULL);
    ck_assert_ptr_nonnull(registry_source(other, "kit", NULL, &error));
    registry_free(other);
    setenv("WEIR_MODULES", folder, 1);
    other = registry_new(NULL);
    ck_assert_ptr_null(registry_source(other, "kit", NULL, &error));
    registry_free(other);
    unsetenv("WEIR_MODULES");
    other = registry_new(NULL);
    ck_assert_ptr_null(registry_source(other, "kit", NULL, &error));
    registry_free(other);
    registry_free(NULL);
}
END_TEST

START_TEST(test_what_is_built_in_is_found)
{
    struct error error;

    for (size_t i = 0; builtin_sources[i] != NULL; i++)
        ck_assert_ptr_eq(registry_source(registry, builtin_sources[i]->type, NULL, &error), builtin_sources[i]);
    for (size_t i = 0; builtin_sinks[i] != NULL; i++)
        ck_assert_ptr_eq(registry_sink(registry, builtin_sinks[i]->type, NULL, &error), builtin_sinks[i]);
    for (size_t i = 0; builtin_functions[i] != NULL; i++)
        ck_assert_ptr_eq(registry_function(registry, builtin_functions[i]->type, NULL, &error),
                         builtin_functions[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("registry");
    TCase *c = tcase_create("registry");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_a_type_is_found_in_the_folder);
    tcase_add_test(c, test_a_module_that_is_named);
    tcase_add_test(c, test_a_module_is_opened_once);
    tcase_add_test(c, test_faults);
    tcase_add_test(c, test_types_that_are_no_names);
    tcase_add_test(c, test_everything_is_visited);
    tcase_add_test(c, test_the_folder_comes_from_the_environment);
    tcase_add_test(c, test_what_is_built_in_is_found);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
