/* push.h: the source `push`: events that the program around weir hands over, from any thread.
 *
 * Only a program that embeds weir has it (registry_add of push_module): in a file for `weir run` nobody could push.
 */
#ifndef WEIR_PUSH_H
#define WEIR_PUSH_H

#include <stdbool.h>

#include "weir_embed.h"
#include "weir_plugin.h"

extern const weir_module_info push_module;
extern const weir_source_ops source_push;

struct push; /* the state of an instance; its init has been called */

/* Any thread. As weir_push; wait: for room, as long as it takes. */
int push_put(struct push *push, const weir_event *event, weir_pushed *pushed, void *arg, bool wait);
void push_end(struct push *push); /* any thread */
/* Loop thread, when nothing turns the loop any more: what is open is answered by WEIR_CLOSED, and so is what comes.
 */
void push_close(struct push *push);

#endif
