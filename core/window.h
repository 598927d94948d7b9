/* window.h: what a route has been given and has not durably completed, against the bound of both events and bytes.
 *
 * The room that is left is the credit of the sources. It is told only when it moved by an eighth of the window,
 * came back in full, or is used up, so that small batches do not wake sources for each event. Pure. */
#ifndef WEIR_WINDOW_H
#define WEIR_WINDOW_H

#include "base.h"

struct window {
    size_t events_max, bytes_max;
    size_t events, bytes;           /* in use; may pass the maximum, then there is no room */
    size_t told_events, told_bytes; /* the room that was told last */
};

void window_init(struct window *window, size_t events_max, size_t bytes_max);
void window_take(struct window *window, size_t events, size_t bytes);
void window_give(struct window *window, size_t events, size_t bytes);
/* True: the room (none at all when `closed`) is worth telling; it counts as told then. */
bool window_tell(struct window *window, bool closed);

#endif
