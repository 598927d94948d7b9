/* cmd_dead_drop.c: `weir dead drop FILE`: deletes dead letters for good. */
#include "cmd_dead.h"

static int dead_drop_run(struct invocation *invocation)
{
    return dead_change_run(invocation, DEAD_DROP);
}

static const struct command_option options[] = {DEAD_OPTIONS, DEAD_OPTION_ALL, {0}};

const struct command command_dead_drop = {
    .name = "dead drop",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .summary = "delete dead letters for good",
    .text =
        "Works on a running weir and on a stopped one. Nothing is selected by default: give --all for every one.\n",
    .prints = true,
    .run = dead_drop_run,
};
