/* cmd_dead.h: what the `weir dead` commands share. */
#ifndef WEIR_CMD_DEAD_H
#define WEIR_CMD_DEAD_H

#include "command.h"
#include "dead_select.h"

struct cJSON;

#define DEAD_OPTIONS                                                                                               \
    {"route", "NAME", "only those of this route"}, {"id", "ID", "only those of the event with this id"},           \
        {"key", "KEY", "only those of events with this key"},                                                      \
    {                                                                                                              \
        "cause", "TEXT", "only those whose cause contains this text"                                               \
    }
#define DEAD_OPTION_ALL                                                                                            \
    {                                                                                                              \
        "all", NULL, "every dead letter"                                                                           \
    }

struct dead_selection dead_options(const struct invocation *invocation, bool all);
/* `replay` and `drop`: through the running weir, or with the store's lock when it is stopped. */
int dead_change_run(const struct invocation *invocation, enum dead_change change);
struct cJSON *dead_json(const struct dead_letter *dead, bool whole); /* whole: with headers and payload */
const char *dead_stage(struct arena *arena, const struct dead_letter *dead);

#endif
