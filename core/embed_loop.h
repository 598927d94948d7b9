/* embed_loop.h: a loop that is turned by another one. */
#ifndef WEIR_EMBED_LOOP_H
#define WEIR_EMBED_LOOP_H

#include <uv.h>

struct embed_loop;
/* Whenever `inner` has something to do, `outer` turns it and calls turned(arg) afterwards, which may close this.
 * NULL: out of memory, or outer cannot watch it. */
struct embed_loop *embed_loop_new(uv_loop_t *outer, uv_loop_t *inner, void (*turned)(void *arg), void *arg);
/* inner is left alone from now on; the handles go with the next turn of outer, which frees the rest. */
void embed_loop_close(struct embed_loop *loop);

#endif
