/* control_engine.h: what the control socket of a running engine answers (the commands are listed in control.h). */
#ifndef WEIR_CONTROL_ENGINE_H
#define WEIR_CONTROL_ENGINE_H

#include "control.h"
#include "dead_select.h"
#include "engine.h"

struct control_engine {
    struct engine *engine;
    struct store_reader *reader;
    struct control *control;
};
/* Between engine_new and engine_run. */
int control_engine_open(struct control_engine *control, struct engine *engine, const char *folder, struct log *log,
                        struct error *error);
void control_engine_close(struct control_engine *control); /* before engine_free; also after a failed open */

/* The request of one step, and its reading; `after` is NULL at first. */
struct cJSON *dead_request(enum dead_change change, const struct dead_selection *selection, const char *after);

#endif
