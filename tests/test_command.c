/* test_command.c: arguments, --help, and the commands that need nothing but the program. */
#include "command_kit.h"

START_TEST(test_without_words_the_commands_are_told)
{
    ck_assert_int_eq(weir(NULL), EXIT_USAGE);
    ck_contains(err, "dead replay");
    ck_assert_int_eq(WEIR("--help"), EXIT_DONE);
    ck_contains(out, "dead replay");
    ck_contains(out, "  5  a commit failed");
    ck_assert_int_eq(WEIR("-h"), EXIT_DONE);
    ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(test_every_command_has_help)
{
    size_t count = 0;
    for (; commands[count]; count++) {
        char name[64];
        snprintf(name, sizeof name, "%s", commands[count]->name);
        char *second = strchr(name, ' ');
        if (second)
            *second++ = 0;
        ck_assert_int_eq(second ? WEIR(name, second, "--help") : WEIR(name, "--help"), EXIT_DONE);
        ck_contains(out, commands[count]->name);
        ck_contains(out, commands[count]->summary);
        ck_contains(out, "--help");
        ck_assert_int_eq(strstr(out, "--output") != NULL, commands[count]->prints);
        for (const struct command_option *row = commands[count]->options; row && row->name; row++)
            ck_contains(out, row->help);
        ck_assert_str_eq(err, "");
        ck_assert_ptr_eq(command_find(commands[count]->name), commands[count]);
    }
    ck_assert_uint_eq(count, 12);
}
END_TEST

START_TEST(test_a_wrong_word_names_the_nearest)
{
    static const struct {
        const char *first, *second, *said;
    } cases[] = {
        {"stauts", NULL, "did you mean `weir status`?"},
        {"chek", "x", "did you mean `weir check`?"},
        {"dead", "lst", "did you mean `weir dead list`?"},
        {"ded", "list", "did you mean `weir dead`?"},
        {"frobnicate", NULL, "`weir --help` lists them"},
        {"dead", NULL, "dead replay"},
        {"store", "frobnicate", "no command `store frob"},
        {"checkpoint", "shwo", "`weir checkpoint show`?"},
        {"", NULL, "no command ``"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        ck_assert_int_eq(WEIR(cases[i].first, cases[i].second), EXIT_USAGE);
        ck_contains(err, cases[i].said);
        ck_assert_str_eq(out, "");
    }
    ck_assert_int_eq(WEIR("dead", "--help"), EXIT_DONE);
    ck_contains(out, "dead drop");
}
END_TEST

START_TEST(test_wrong_options_and_operands)
{
    ck_assert_int_eq(WEIR("dead", "list", file, "--rout", "x"), EXIT_USAGE);
    ck_contains(err, "did you mean --route?");
    ck_assert_int_eq(WEIR("dead", "list", file, "-x"), EXIT_USAGE);
    ck_contains(err, "no option --x");
    ck_assert_int_eq(WEIR("dead", "list", file, "--route"), EXIT_USAGE);
    ck_contains(err, "--route NAME");
    ck_assert_int_eq(WEIR("dead", "drop", file, "--all=yes"), EXIT_USAGE);
    ck_contains(err, "takes no value");
    ck_assert_int_eq(WEIR("dead", "list"), EXIT_USAGE);
    ck_contains(err, "weir dead list FILE");
    ck_assert_int_eq(WEIR("check", file, "more"), EXIT_USAGE);
    ck_contains(err, "`more` is one argument too many");
    ck_assert_int_eq(WEIR("version", "-o", "xml"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("version", "-o"), EXIT_USAGE);
    ck_contains(err, "`text` or `json`");
    ck_assert_int_eq(WEIR("run", file, "-o", "json"), EXIT_USAGE);
    ck_contains(err, "prints no data");
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "-1"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("dead", "list", file, "--limit", "1x"), EXIT_USAGE);
    ck_assert_int_eq(WEIR("dead", "show", file, "--limit", "99999999999999999999"), EXIT_USAGE);
    ck_contains(err, "takes a count");
}
END_TEST

START_TEST(test_all_ways_to_write_an_option)
{
    static const char *const ways[][3] = {{"-o", "json"}, {"-ojson"}, {"--output", "json"}, {"--output=json"}};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        ck_assert_int_eq(WEIR("version", ways[i][0], ways[i][1]), EXIT_DONE);
        cJSON_Delete(printed());
    }
    ck_assert_int_eq(WEIR("version", "-o", "text"), EXIT_DONE);
    ck_contains(out, "weir " WEIR_VERSION);
    ck_assert_int_eq(WEIR("--version"), EXIT_DONE);
    store_fill();
    ck_assert_int_eq(WEIR("dead", "list", "--route=q", "--", file), EXIT_DONE);
    ck_contains(out, "s/0/5");
    ck_assert_int_eq(WEIR("check", "--", "--help"), EXIT_CONFIG); /* a file of that name */
}
END_TEST

START_TEST(test_output_that_cannot_be_written_is_a_failure)
{
    char *words[] = {(char *)"weir", (char *)"version"};
    FILE *full = fopen("/dev/full", "w"), *complaints = tmpfile();
    if (!full)
        return;
    ck_assert_int_eq(command_main(2, words, full, complaints), EXIT_FAILED);
    ck_assert_int_gt(ftell(complaints), 0);
    fclose(full);
    fclose(complaints);
}
END_TEST

/* Commands that need no store. */

START_TEST(test_version)
{
    ck_assert_int_eq(WEIR("version", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_str_eq(text(document, "version"), WEIR_VERSION);
    ck_assert_int_eq((int)number(document, "abi"), WEIR_ABI);
    ck_assert_int_eq((int)number(document, "store_layout"), STORE_LAYOUT);
    cJSON_Delete(document);
}
END_TEST

START_TEST(test_list)
{
    size_t sources = 0;
    const cJSON *kind;
    ck_assert_int_eq(WEIR("list", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert(cJSON_IsArray(member(document, "left_out")));
    cJSON_ArrayForEach(kind, member(document, "kinds"))
    {
        sources += !strcmp(text(kind, "sort"), "source") && !strcmp(text(kind, "type"), "generate");
        ck_assert_uint_gt(strlen(text(kind, "where")), 0);
    }
    cJSON_Delete(document);
    ck_assert_uint_eq(sources, 1);
    ck_assert_int_eq(WEIR("list"), EXIT_DONE);
    ck_contains(out, "generate");
    ck_contains(out, "SUMMARY");
}
END_TEST

START_TEST(test_left_out_kinds_are_read_line_by_line)
{
    weir_view name, reason;
    const char *at = "kafka\tlibrdkafka is missing\nodd\n\tonly why\nlast\tno newline";
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "kafka") && view_is(reason, "librdkafka is missing"));
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "odd") && reason.size == 0);
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(name.size == 0 && view_is(reason, "only why"));
    ck_assert(left_out_next(&at, &name, &reason));
    ck_assert(view_is(name, "last") && view_is(reason, "no newline"));
    ck_assert(!left_out_next(&at, &name, &reason));
}
END_TEST

START_TEST(test_help)
{
    ck_assert_int_eq(WEIR("help"), EXIT_DONE);
    ck_contains(out, "Sections:");
    ck_assert_int_eq(WEIR("help", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "commands")), 12);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("help", "dead", "list", "-o", "json"), EXIT_DONE);
    document = printed();
    const cJSON *command = member(document, "commands")->child;
    ck_assert_str_eq(text(command, "name"), "dead list");
    ck_assert_str_eq(text(command, "operands"), "FILE");
    ck_assert_str_eq(text(member(command, "options")->child, "name"), "route");
    ck_assert_str_eq(text(member(command, "options")->child, "argument"), "NAME");
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("help", "exit-codes", "-o", "json"), EXIT_DONE);
    document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "exit_codes")), 6);
    const cJSON *code = member(document, "exit_codes")->child->next->next->next;
    ck_assert_int_eq((int)number(code, "code"), EXIT_CONFIG);
    ck_assert_str_eq(text(code, "meaning"), "the configuration is wrong");
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("help", "dead", "list"), EXIT_DONE);
    ck_contains(out, "--cause TEXT");
    ck_assert_int_eq(WEIR("help", "exit-codes"), EXIT_DONE);
    ck_contains(out, "  4  the store");
    ck_assert_int_eq(WEIR("help", "dead"), EXIT_DONE);
    ck_contains(out, "  dead replay ");
    ck_assert_ptr_null(strstr(out, "checkpoint"));
    ck_assert_int_eq(WEIR("help", "dead", "-o", "json"), EXIT_DONE);
    document = printed();
    ck_assert_int_eq(cJSON_GetArraySize(member(document, "commands")), 4);
    cJSON_Delete(document);
    ck_assert_int_eq(WEIR("help", "stor"), EXIT_USAGE);
    ck_contains(err, "did you mean `weir help store`?");
    ck_assert_int_eq(WEIR("help", "stauts"), EXIT_USAGE);
    ck_contains(err, "did you mean `weir help status`?");
    ck_assert_int_eq(WEIR("help", "stauts", "-o", "json"), EXIT_USAGE);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(WEIR("help", "frobnicate"), EXIT_USAGE);
    ck_contains(err, "see `weir list`");
    ck_assert_int_eq(WEIR("help", "a", "b", "c"), EXIT_USAGE);
}
END_TEST

START_TEST(test_help_of_sections_and_kinds)
{
    ck_assert_int_eq(WEIR("help", "routes"), EXIT_DONE);
    ck_contains(out, "on_failure");
    ck_assert_int_eq(WEIR("help", "route"), EXIT_DONE);
    ck_contains(out, "on_failure");
    ck_assert_int_eq(WEIR("help", "generate"), EXIT_DONE);
    ck_contains(out, "source generate");
    ck_contains(out, "seed");
    ck_assert_int_eq(WEIR("help", "store", "-o", "json"), EXIT_DONE);
    cJSON *document = printed();
    const cJSON *kind = member(document, "kinds")->child;
    ck_assert_str_eq(text(kind, "sort"), "section");
    ck_assert_str_eq(text(member(kind, "options")->child, "name"), "path");
    cJSON_Delete(document);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("command");
    TCase *c = tcase_create("command");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_without_words_the_commands_are_told);
    tcase_add_test(c, test_every_command_has_help);
    tcase_add_test(c, test_a_wrong_word_names_the_nearest);
    tcase_add_test(c, test_wrong_options_and_operands);
    tcase_add_test(c, test_all_ways_to_write_an_option);
    tcase_add_test(c, test_output_that_cannot_be_written_is_a_failure);
    tcase_add_test(c, test_version);
    tcase_add_test(c, test_list);
    tcase_add_test(c, test_left_out_kinds_are_read_line_by_line);
    tcase_add_test(c, test_help);
    tcase_add_test(c, test_help_of_sections_and_kinds);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
