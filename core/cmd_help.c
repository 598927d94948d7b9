/* cmd_help.c: `weir help [KIND]`: the options of a source, a sink, a function or a section of the configuration
 * file, from the same tables that read them; a command; the exit codes. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "command.h"
#include "config.h"
#include "print.h"

#define TOPICS_MAX 256

/* What is asked for, and all that could have been. */
struct topic {
    const struct invocation *invocation;
    const char *word;
    struct json_list list; /* with -o json */
    size_t found;
    const char *names[TOPICS_MAX]; /* in arena */
    size_t name_count;
    struct arena arena;
};

static void topic_name(struct topic *topic, const char *name)
{
    const char *copy = arena_text(&topic->arena, view_of(name));
    if (copy && topic->name_count < TOPICS_MAX)
        topic->names[topic->name_count++] = copy;
}

static void topic_text(const struct topic *topic, const char *sort, const char *summary, const weir_option *rows)
{
    FILE *out = topic->invocation->out;
    char title[160];
    snprintf(title, sizeof title, "%s %s", sort, topic->word);
    fputs(topic->found ? "\n" : "", out);
    print_title(out, title);
    fprintf(out, "%s%s\n", summary ? summary : "", summary ? "\n" : "");
    if (rows && rows->name)
        option_help(out, rows, 2);
    else
        fputs("  no options\n", out);
}

static void topic_json(struct topic *topic, const char *sort, const char *summary, const weir_option *rows)
{
    cJSON *item = cJSON_CreateObject();
    if (!topic->found)
        json_list_open(&topic->list, topic->invocation->out, "kinds");
    char *options = NULL;
    size_t size;
    FILE *memory = rows && rows->name ? open_memstream(&options, &size) : NULL;
    if (memory) {
        option_help_json(memory, rows);
        fclose(memory);
    }
    cJSON_AddStringToObject(item, "sort", sort);
    cJSON_AddStringToObject(item, "name", topic->word);
    cJSON_AddStringToObject(item, "summary", summary ? summary : "");
    cJSON_AddRawToObject(item, "options", options ? options : "[]");
    json_list_add(&topic->list, item);
    free(options);
}

/* A section's name also in the plural, as a file has it: `routes`. */
static bool topic_is(const char *word, const char *sort, const char *type)
{
    size_t length = strlen(type);
    return !strcmp(word, type) ||
           (!strcmp(sort, "section") && !strncmp(word, type, length) && !strcmp(word + length, "s"));
}

static void topic_visit(void *arg, const char *sort, const char *type, const char *summary, const weir_option *rows,
                        const char *where)
{
    struct topic *topic = arg;
    UNUSED(where);
    topic_name(topic, type);
    if (!topic_is(topic->word, sort, type))
        return;
    if (topic->invocation->json)
        topic_json(topic, sort, summary, rows);
    else
        topic_text(topic, sort, summary, rows);
    topic->found++;
}

static int topic_missing(const struct topic *topic)
{
    weir_view name, reason;
    for (const char *at = builtin_left_out; left_out_next(&at, &name, &reason);)
        if (view_is(name, topic->word))
            return invocation_fail(topic->invocation, EXIT_USAGE, "`%s` was left out of this weir: %.*s",
                                   topic->word, (int)reason.size, reason.data);
    const char *near = option_nearest(topic->word, topic->names, topic->name_count);
    return invocation_fail(topic->invocation, EXIT_USAGE, "there is no kind, section or command `%s`%s%s%s",
                           topic->word, near ? "; did you mean `weir help " : "; see `weir list` and `weir help`",
                           near ? near : "", near ? "`?" : "");
}

static void command_json(struct json_list *list, const struct command *command)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", command->name);
    cJSON_AddStringToObject(item, "operands", command->operands);
    cJSON_AddStringToObject(item, "summary", command->summary);
    json_add_bytes(item, "text", view_of(command->text));
    cJSON_AddBoolToObject(item, "json", command->prints);
    cJSON *options = cJSON_AddArrayToObject(item, "options");
    for (const struct command_option *row = command->options; row && row->name; row++) {
        cJSON *option = cJSON_CreateObject();
        cJSON_AddStringToObject(option, "name", row->name);
        json_add_bytes(option, "argument", view_of(row->argument));
        cJSON_AddStringToObject(option, "help", row->help);
        cJSON_AddItemToArray(options, option);
    }
    json_list_add(list, item);
}

/* All commands, those of a group, or one. */
static int commands_json(const struct invocation *invocation, const char *group, const struct command *only)
{
    struct json_list list;
    json_list_open(&list, invocation->out, "commands");
    for (size_t i = 0; commands[i]; i++)
        if (only ? only == commands[i] : !group || command_in_group(commands[i], group))
            command_json(&list, commands[i]);
    json_list_close(&list, NULL);
    return EXIT_DONE;
}

static int help_command(const struct invocation *invocation, const struct command *command)
{
    if (invocation->json)
        return commands_json(invocation, NULL, command);
    command_usage(invocation->out, command);
    return EXIT_DONE;
}

static int help_group(const struct invocation *invocation, const char *group)
{
    if (invocation->json)
        return commands_json(invocation, group, NULL);
    command_lines(invocation->out, group);
    return EXIT_DONE;
}

static int topic_options(const struct invocation *invocation, const char *word)
{
    struct registry *registry = registry_new(NULL);
    struct topic topic = {.invocation = invocation, .word = word};
    if (!registry)
        return invocation_fail(invocation, EXIT_FAILED, "out of memory");
    arena_init(&topic.arena, 0);
    topic_name(&topic, "exit-codes");
    for (size_t i = 0; commands[i]; i++)
        topic_name(&topic, commands[i]->name);
    for (const struct config_section *section = config_sections; section->name; section++)
        topic_visit(&topic, "section", section->name, section->summary, section->rows, NULL);
    registry_each(registry, topic_visit, &topic);
    if (topic.found && invocation->json)
        json_list_close(&topic.list, NULL);
    int code = topic.found                  ? EXIT_DONE
               : command_group_exists(word) ? help_group(invocation, word)
                                            : topic_missing(&topic);
    arena_fini(&topic.arena);
    registry_free(registry);
    return code;
}

static int help_exit_codes(const struct invocation *invocation)
{
    struct json_list list;
    if (!invocation->json) {
        command_exit_codes_print(invocation->out);
        return EXIT_DONE;
    }
    json_list_open(&list, invocation->out, "exit_codes");
    for (int code = 0; command_exit_codes[code]; code++) {
        cJSON *item = cJSON_CreateObject();
        json_add_count(item, "code", (uint64_t)code);
        cJSON_AddStringToObject(item, "meaning", command_exit_codes[code]);
        json_list_add(&list, item);
    }
    json_list_close(&list, NULL);
    return EXIT_DONE;
}

static int help_all(const struct invocation *invocation)
{
    if (invocation->json)
        return commands_json(invocation, NULL, NULL);
    command_overview(invocation->out);
    fputs("\nSections:", invocation->out);
    for (const struct config_section *section = config_sections; section->name; section++)
        fprintf(invocation->out, " %s", section->name);
    fputs("\n`weir list` names the kinds.\n", invocation->out);
    return EXIT_DONE;
}

static int help_run(struct invocation *invocation)
{
    char word[128];
    if (!invocation->operand_count)
        return help_all(invocation);
    snprintf(word, sizeof word, "%s%s%s", invocation->operands[0], invocation->operand_count > 1 ? " " : "",
             invocation->operand_count > 1 ? invocation->operands[1] : "");
    if (!strcmp(word, "exit-codes"))
        return help_exit_codes(invocation);
    const struct command *command = command_find(word);
    return command ? help_command(invocation, command) : topic_options(invocation, word);
}

const struct command command_help = {
    .name = "help",
    .operands = "[KIND]",
    .operands_max = 2,
    .summary = "explain a kind, a section of the configuration file or a command",
    .text = "KIND is a type as in `weir list`, a section of the configuration file such as `routes` or `store`,\n"
            "a command, or `exit-codes`. A source and a sink of one name are both shown.\n",
    .prints = true,
    .run = help_run,
};
