/* plug_kit.h: one instance of a source or a sink, driven by itself on a loop: what the core says to it, and all it
 * says.
 *
 *     struct plug *plug = plug_new(PLUG_SOURCE, "mqtt", "{ url: \"mqtt://127.0.0.1:1883\", topics: [ a ] }");
 *     plug_start(plug);
 *     ck_assert(plug_until(plug, plug_has_events, 3));
 *     plug_free(plug);
 *
 * It holds every instance to the contract: no more than the credit is emitted, positions ascend, a write is
 * answered once, `stopped` comes only after stop. What a helper cannot do fails the test. */
#ifndef WEIR_TEST_PLUG_KIT_H
#define WEIR_TEST_PLUG_KIT_H

#include <stddef.h>
#include <uv.h>

#include "weir_plugin.h" /* before check.h, which has a macro named fail */

#include "testing.h"

enum plug_sort { PLUG_SOURCE, PLUG_SINK };

struct plug_event {
    uint64_t position;
    char *payload, *key, *subject;
    size_t payload_size;
    size_t header_count;
    char *headers[8][2];
    int64_t time_us;
    bool payload_absent, key_absent, id_absent;
};

struct plug_write {
    weir_write write; /* first: the sink's handle */
    int result;       /* -1: not answered */
    void *memory;     /* freed with the answer */
    char reason[500];
    int results[2000]; /* of events; -1: none of its own */
    char reasons[2000][120];
    size_t order; /* in which writes were answered, from 1 */
};

struct plug {
    weir_host host; /* first */
    uv_loop_t *loop;
    void *state;
    const weir_source_ops *source;
    const weir_sink_ops *sink;
    char *log, *refused; /* lines; what refuse said */
    struct plug_stat {
        char name[64];
        int64_t value;
    } stats[32];
    bool settles; /* on the next turn; else by plug_settle */
    bool holds;   /* borrowed blocks are given back by plug_release, else at once */
    bool ended, failed;
    size_t stops, stopped;              /* times */
    size_t credit_events, credit_bytes; /* what is left of them */
    int emit_result;                    /* what emit answers */
    struct plug_event *events;
    size_t event_count, emit_count, emit_largest;
    size_t unsettled;         /* events; of a journaled source only */
    size_t borrowed;          /* blocks that were ever lent */
    struct plug_parts *parts; /* the kit's own */
    size_t answered;
};

/* Reads the options from YAML text and calls init. `type`: as in a configuration, or the path of a module that
 * holds one. NULL: refused; plug_refusal has the text. */
struct plug *plug_new(enum plug_sort sort, const char *type, const char *options, ...)
    __attribute__((format(printf, 3, 4)));
const char *plug_refusal(void);
/* Gives each option of the kind, and of its groups, what it cannot take, and leaves out what is required: each must
 * be refused by name, with its line and column. Returns how many rows there are. */
size_t plug_refuses_rows(enum plug_sort sort, const char *type);
void plug_start(struct plug *plug);     /* a source gets credit without end */
void plug_start_dry(struct plug *plug); /* a source gets no credit yet */
void plug_want(struct plug *plug, size_t events, size_t bytes);
void plug_settle(struct plug *plug);
void plug_release(struct plug *plug); /* on another thread; what was lent must be as it was */
/* The events must last until the answer; they are freed with it when `owned`. */
struct plug_write *plug_send(struct plug *plug, const weir_event *events, size_t count);
struct plug_write *plug_send_owned(struct plug *plug, void *memory, const weir_event *events, size_t count);
void plug_stop(struct plug *plug);  /* waits for the answer */
void plug_abort(struct plug *plug); /* as a crash: no stop; descriptors are closed without a word */
void plug_free(struct plug *plug);  /* stops it before if it was started */
bool plug_logged(const struct plug *plug, const char *text);
int64_t plug_stat(const struct plug *plug, const char *name);

/* Runs the loop until condition(plug, number); false: 20 s passed. */
typedef bool plug_condition(struct plug *plug, size_t number);
bool plug_until(struct plug *plug, plug_condition *condition, size_t number);
bool plug_has_events(struct plug *plug, size_t number);
bool plug_has_emits(struct plug *plug, size_t number);
bool plug_has_answers(struct plug *plug, size_t number);
/* Runs it for a time in which nothing is to happen. */
void plug_run(struct plug *plug, int ms);
bool plug_until_logged(struct plug *plug, const char *text);
uv_loop_t *kit_loop(void); /* of this test; plugs and wires run on it */

#endif
