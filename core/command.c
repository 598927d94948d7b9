/* command.c: see command.h. The list of commands, the sorting of arguments, and --help.
 *
 * Fails: only on arguments, with EXIT_USAGE; or when standard output cannot take what was printed. */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "option.h"
#include "print.h"

const struct command *const commands[] = {
    &command_run,
    &command_check,
    &command_list,
    &command_help,
    &command_dead_list,
    &command_dead_show,
    &command_dead_replay,
    &command_dead_drop,
    &command_checkpoint,
    &command_store,
    &command_status,
    &command_version,
    NULL,
};

const char *const command_exit_codes[] = {
    [EXIT_DONE] = "done",
    [EXIT_FAILED] = "failed while running, or nothing was found",
    [EXIT_USAGE] = "the command line is wrong",
    [EXIT_CONFIG] = "the configuration is wrong",
    [EXIT_STORE] = "the store is locked, of another layout, damaged or not there",
    [EXIT_COMMIT] = "a commit failed: nothing more was acknowledged",
    NULL,
};

static const struct command_option option_output = {"output", "FORMAT", "text (default) or json; short: -o"};
static const struct command_option option_help_row = {"help", NULL, "print this; short: -h"};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

/* Bytes of the first word of a command's name. */
static size_t first_word(const char *name)
{
    return strcspn(name, " ");
}

bool command_in_group(const struct command *command, const char *word)
{
    size_t length = first_word(command->name);
    return command->name[length] && strlen(word) == length && !strncmp(command->name, word, length);
}

bool command_group_exists(const char *word)
{
    for (size_t i = 0; commands[i]; i++)
        if (command_in_group(commands[i], word))
            return true;
    return false;
}

void command_lines(FILE *to, const char *group)
{
    for (size_t i = 0; commands[i]; i++)
        if (!group || command_in_group(commands[i], group))
            fprintf(to, "  %-18s %s\n", commands[i]->name, commands[i]->summary);
}

void command_exit_codes_print(FILE *to)
{
    for (int code = 0; command_exit_codes[code]; code++)
        fprintf(to, "  %d  %s\n", code, command_exit_codes[code]);
}

void command_overview(FILE *to)
{
    fputs("weir runs your functions on events, and loses none that it has accepted.\n\n", to);
    print_title(to, "Usage");
    fputs("  weir COMMAND [ARGUMENT...]\n\n", to);
    print_title(to, "Commands");
    command_lines(to, NULL);
    fputs("\n", to);
    print_title(to, "Exit codes");
    command_exit_codes_print(to);
    fputs("\n`weir COMMAND --help` says more about a command, `weir help KIND` about a source, a sink, a function "
          "or\n"
          "a section of the configuration file.\n",
          to);
}

static void option_line(FILE *to, const struct command_option *option)
{
    char left[40];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    fprintf(to, "  %-20s %s\n", left, option->help);
}

void command_usage(FILE *to, const struct command *command)
{
    fprintf(to, "weir %s: %s.\n\n", command->name, command->summary);
    print_title(to, "Usage");
    fprintf(to, "  weir %s%s%s [OPTION...]\n\n", command->name, *command->operands ? " " : "", command->operands);
    if (command->text)
        fprintf(to, "%s\n", command->text);
    print_title(to, "Options");
    for (const struct command_option *option = command->options; option && option->name; option++)
        option_line(to, option);
    if (command->prints)
        option_line(to, &option_output);
    option_line(to, &option_help_row);
}

const char *invocation_value(const struct invocation *invocation, const char *option)
{
    const struct command_option *options = invocation->command->options;
    for (size_t i = 0; options && options[i].name; i++)
        if (!strcmp(options[i].name, option))
            return invocation->values[i];
    CHECK(!"an option that the command has no row for");
    return NULL;
}

int invocation_fail(const struct invocation *invocation, int code, const char *format, ...)
{
    va_list args;
    fprintf(invocation->err, "weir %s: ", invocation->command->name);
    va_start(args, format);
    vfprintf(invocation->err, format, args);
    va_end(args);
    fputc('\n', invocation->err);
    return code;
}

int count_option(const struct invocation *invocation, const char *option, uint64_t *count)
{
    const char *text = invocation_value(invocation, option);
    char *end = NULL;
    if (!text)
        return EXIT_DONE;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno)
        return invocation_fail(invocation, EXIT_USAGE, "--%s takes a count, not `%s`", option, text);
    *count = value;
    return EXIT_DONE;
}

int exit_of_result(int result)
{
    switch (result) {
    case WEIR_OK:
        return EXIT_DONE;
    case WEIR_INVALID:
        return EXIT_CONFIG;
    case WEIR_LOCKED:
    case WEIR_NEWER:
    case WEIR_DAMAGED:
    case WEIR_MISSING:
        return EXIT_STORE;
    default:
        return EXIT_FAILED;
    }
}

static int option_unknown(struct invocation *invocation, const char *name, size_t length)
{
    const char *names[COMMAND_OPTIONS_MAX + 2] = {"help"};
    char word[64];
    size_t count = 1;
    const struct command_option *options = invocation->command->options;
    snprintf(word, sizeof word, "%.*s", (int)size_min(length, sizeof word - 1), name);
    if (invocation->command->prints)
        names[count++] = "output";
    for (size_t i = 0; options && options[i].name; i++)
        names[count++] = options[i].name;
    const char *near = option_nearest(word, names, count);
    return invocation_fail(invocation, EXIT_USAGE, "there is no option --%s%s%s%s; see `weir %s --help`", word,
                           near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "",
                           invocation->command->name);
}

/* The arguments not yet looked at. */
struct words {
    char *const *next, *const *end;
};

/* The value of an option: what follows "=", or the next word. NULL: there is none. */
static const char *option_value(struct words *words, const char *attached)
{
    if (attached)
        return attached;
    return words->next < words->end ? *words->next++ : NULL;
}

static int output_take(struct invocation *invocation, const char *format)
{
    if (!invocation->command->prints)
        return invocation_fail(invocation, EXIT_USAGE, "this command prints no data: leave -o out");
    if (!format || (strcmp(format, "json") != 0 && strcmp(format, "text") != 0))
        return invocation_fail(invocation, EXIT_USAGE, "-o takes `text` or `json`%s%s", format ? ", not " : "",
                               format ? format : "");
    invocation->json = !strcmp(format, "json");
    return EXIT_DONE;
}

static int option_take(struct invocation *invocation, const char *name, struct words *words)
{
    size_t length = strcspn(name, "=");
    const char *attached = name[length] ? name + length + 1 : NULL;
    const struct command_option *options = invocation->command->options;
    if (length == strlen(option_output.name) && !strncmp(name, option_output.name, length))
        return output_take(invocation, option_value(words, attached));
    for (size_t i = 0; options && options[i].name; i++) {
        if (strlen(options[i].name) != length || strncmp(options[i].name, name, length) != 0)
            continue;
        if (!options[i].argument && attached)
            return invocation_fail(invocation, EXIT_USAGE, "--%s takes no value", options[i].name);
        invocation->values[i] = options[i].argument ? option_value(words, attached) : "";
        if (!invocation->values[i])
            return invocation_fail(invocation, EXIT_USAGE, "--%s takes a value: --%s %s", options[i].name,
                                   options[i].name, options[i].argument);
        return EXIT_DONE;
    }
    return option_unknown(invocation, name, length);
}

static int operand_take(struct invocation *invocation, const char *word)
{
    if (invocation->operand_count == invocation->command->operands_max)
        return invocation_fail(invocation, EXIT_USAGE, "`%s` is one argument too many: weir %s %s", word,
                               invocation->command->name, invocation->command->operands);
    invocation->operands[invocation->operand_count++] = word;
    return EXIT_DONE;
}

static int arguments_sort(struct invocation *invocation, struct words *words)
{
    int code = EXIT_DONE;
    bool operands_only = false;
    while (code == EXIT_DONE && words->next < words->end) {
        const char *word = *words->next++;
        if (operands_only || word[0] != '-' || !word[1])
            code = operand_take(invocation, word);
        else if (!strcmp(word, "--"))
            operands_only = true;
        else if (word[1] == '-')
            code = option_take(invocation, word + 2, words);
        else if (word[1] == 'o')
            code = output_take(invocation, option_value(words, word[2] ? word + 2 : NULL));
        else
            code = option_unknown(invocation, word + 1, strlen(word + 1));
    }
    if (code == EXIT_DONE && invocation->operand_count < invocation->command->operands_min)
        code = invocation_fail(invocation, EXIT_USAGE, "an argument is missing: weir %s %s",
                               invocation->command->name, invocation->command->operands);
    return code;
}

static bool asks_help(const struct words *words)
{
    for (char *const *word = words->next; word < words->end && strcmp(*word, "--") != 0; word++)
        if (!strcmp(*word, "--help") || !strcmp(*word, "-h"))
            return true;
    return false;
}

static int command_start(struct invocation *invocation, struct words *words)
{
    if (asks_help(words)) {
        command_usage(invocation->out, invocation->command);
        return EXIT_DONE;
    }
    int code = arguments_sort(invocation, words);
    return code == EXIT_DONE ? invocation->command->run(invocation) : code;
}

/* `word` is no command: says which is the nearest. With a group, among its second words. */
static int command_unknown(FILE *err, const char *group, const char *word)
{
    const char *names[64];
    char firsts[64][32];
    size_t count = 0;
    for (size_t i = 0; commands[i] && count < ARRAY_COUNT(names); i++) {
        size_t length = first_word(commands[i]->name);
        if (group && !command_in_group(commands[i], group))
            continue;
        snprintf(firsts[count], sizeof firsts[count], "%.*s", (int)length, commands[i]->name);
        names[count] = group ? commands[i]->name + length + 1 : firsts[count];
        count++;
    }
    const char *near = option_nearest(word, names, count);
    fprintf(err, "weir: there is no command `%s%s%s`", group ? group : "", group ? " " : "", word);
    if (near)
        fprintf(err, "; did you mean `weir %s%s%s`?\n", group ? group : "", group ? " " : "", near);
    else
        fprintf(err, "; `weir --help` lists them all\n");
    return EXIT_USAGE;
}

/* `weir dead ...`: the second word makes the command. */
static int group_start(struct invocation *invocation, const char *group, struct words *words)
{
    char name[64];
    if (asks_help(words) && (*words->next)[0] == '-') {
        command_lines(invocation->out, group);
        return EXIT_DONE;
    }
    if (words->next == words->end || (*words->next)[0] == '-') {
        fprintf(invocation->err, "weir %s: say what to do:\n", group);
        command_lines(invocation->err, group);
        return EXIT_USAGE;
    }
    snprintf(name, sizeof name, "%s %s", group, *words->next);
    invocation->command = command_find(name);
    if (!invocation->command)
        return command_unknown(invocation->err, group, *words->next);
    words->next++;
    return command_start(invocation, words);
}

static int words_start(struct invocation *invocation, struct words *words)
{
    if (words->next == words->end) {
        command_overview(invocation->err);
        return EXIT_USAGE;
    }
    const char *word = *words->next++;
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        command_overview(invocation->out);
        return EXIT_DONE;
    }
    if (command_group_exists(word))
        return group_start(invocation, word, words);
    invocation->command = command_find(strcmp(word, "--version") ? word : "version");
    if (!invocation->command)
        return command_unknown(invocation->err, NULL, word);
    return command_start(invocation, words);
}

int command_main(int argc, char *const argv[], FILE *out, FILE *err)
{
    struct invocation invocation = {.out = out, .err = err};
    struct words words = {argv + (argc > 0), argv + argc};
    int code = words_start(&invocation, &words);
    errno = 0;
    if ((fflush(out) || ferror(out)) && code == EXIT_DONE) {
        fprintf(err, "weir: standard output could not be written%s%s\n", errno ? ": " : "",
                errno ? strerror(errno) : "");
        return EXIT_FAILED;
    }
    return code;
}
