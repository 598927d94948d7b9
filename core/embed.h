/* embed.h: what the files of the embedding interface share (weir_embed.h says what it does). */
#ifndef WEIR_EMBED_CORE_H
#define WEIR_EMBED_CORE_H

#include <pthread.h>

#include "arena.h"
#include "config.h"
#include "control_engine.h"
#include "embed_loop.h"
#include "push.h"
#include "shell.h"

enum embed_phase { EMBED_NEW, EMBED_STARTED, EMBED_RUNNING, EMBED_ENDED };

struct embed_push {
    const char *source;
    struct push *push;
};

struct weir {
    weir_settings settings;
    struct registry *registry;
    struct arena texts; /* of parts */
    struct config_part *parts;
    size_t part_count, part_room;
    char *said; /* by the last failure; NULL: nothing */

    struct config *config;
    struct log *log;
    struct engine *engine;
    struct control_engine control;
    struct embed_loop *loop;
    struct embed_push *pushes;
    size_t push_count;
    int refused; /* the first result of a call before the start that was not WEIR_OK; then what the run returned */
    int exit_code;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t answered;
    pthread_t loop_thread; /* while running */
    struct list questions; /* for the status, of threads that wait */
    struct letter letter;  /* brings them to the loop */
    enum embed_phase phase;
    bool stop_asked, posted;
    bool controlled; /* by the control socket; not under the lock */
};

/* embed.c: keeps the text; returns result. */
int embed_say(weir *w, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* embed_ask.c */
void embed_ask_open(struct letter *letter);
void embed_ask_close(weir *w); /* with the lock: nobody will turn the loop any more */

#endif
