/* command.h: the command line. One command is one file, cmd_<name>.c: a const table entry, then its function.
 *
 * The normal path: command_main finds the entry by its one or two words, sorts the arguments into operands and
 * options by the entry's rows, and calls run. `--help` never reaches run. What is wrong with the arguments is said
 * with the nearest known word, and is EXIT_USAGE. */
#ifndef WEIR_COMMAND_H
#define WEIR_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "engine.h" /* exit codes */

#define COMMAND_OPTIONS_MAX 8
#define COMMAND_OPERANDS_MAX 4

struct command_option {
    const char *name;     /* without the dashes */
    const char *argument; /* as shown in help; NULL: takes none */
    const char *help;
};

struct invocation;
struct command {
    const char *name;                     /* "run", "dead list" */
    const char *operands;                 /* as shown in help: "FILE" */
    size_t operands_min, operands_max;    /* at most COMMAND_OPERANDS_MAX */
    const struct command_option *options; /* up to one without a name, at most COMMAND_OPTIONS_MAX; NULL: none */
    const char *summary;                  /* one sentence without a full stop */
    const char *text;                     /* the rest of --help, lines with \n; NULL: none */
    bool prints;                          /* prints data: takes -o json */
    int (*run)(struct invocation *invocation); /* returns the exit code */
};

struct invocation {
    const struct command *command;
    const char *operands[COMMAND_OPERANDS_MAX];
    size_t operand_count;
    const char *values[COMMAND_OPTIONS_MAX]; /* of each option row; "" when it takes none; NULL: not given */
    bool json;                               /* -o json */
    FILE *out, *err;
};

extern const struct command command_run, command_check, command_list, command_help, command_dead_list,
    command_dead_show, command_dead_replay, command_dead_drop, command_checkpoint, command_store, command_status,
    command_version;
extern const struct command *const commands[]; /* as shown in help, up to NULL */

/* The whole program: returns the exit code. argv[0] is not looked at. */
int command_main(int argc, char *const argv[], FILE *out, FILE *err);

const char *invocation_value(const struct invocation *invocation, const char *option); /* NULL: not given */
/* A count given as an option; *count stays when it is not. EXIT_DONE or EXIT_USAGE. */
int count_option(const struct invocation *invocation, const char *option, uint64_t *count);
/* "weir dead list: " and the text to err; returns code, so that a command can return it. */
int invocation_fail(const struct invocation *invocation, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* EXIT_STORE, EXIT_CONFIG, ... of a result of the store or the engine. */
int exit_of_result(int result);

void command_overview(FILE *to);                             /* every command with its summary */
void command_usage(FILE *to, const struct command *command); /* what --help prints */
const struct command *command_find(const char *name);
/* `dead` is the group of `dead list`, `dead show` and so on. */
bool command_group_exists(const char *word);
bool command_in_group(const struct command *command, const char *word);
void command_lines(FILE *to, const char *group); /* a line for each of the group, or of all (NULL) */
extern const char *const command_exit_codes[];   /* what each means, up to NULL */
void command_exit_codes_print(FILE *to);
/* The next of what weir was built without; *at begins at builtin_left_out. False: no more. */
bool left_out_next(const char **at, weir_view *name, weir_view *reason);

#endif
