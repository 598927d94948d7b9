/* cmd_dead_replay.c: `weir dead replay FILE`: sends dead letters again on their way, from the stage they failed at.
 */
#include "cmd_dead.h"

static int dead_replay_run(struct invocation *invocation)
{
    return dead_change_run(invocation, DEAD_REPLAY);
}

static const struct command_option options[] = {DEAD_OPTIONS, DEAD_OPTION_ALL, {0}};

const struct command command_dead_replay = {
    .name = "dead replay",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .summary = "send dead letters on their way again, from where they failed",
    .text =
        "A running weir takes them up at once, a stopped one with its next run. An event that fails again stays a\n"
        "dead letter. Nothing is selected by default: give --all for every one.\n",
    .prints = true,
    .run = dead_replay_run,
};
