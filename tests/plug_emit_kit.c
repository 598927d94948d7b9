/* plug_emit_kit.c: what a source emits and a sink answers, held to the contract and kept for the test. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plug_parts.h"

int plug_shard_open(const weir_host *host, weir_view name, uint64_t generation, weir_resume *resume,
                    weir_shard **shard)
{
    struct plug *plug = plug_of(host);
    ck_assert_uint_gt(name.size, 0);
    ck_assert_uint_eq(resume->size, sizeof *resume);
    ck_assert_uint_lt(plug->parts->shard_count, SHARDS_MAX);
    (void)generation;
    if (plug->source->flags & WEIR_SOURCE_KEEPS_POSITION) { /* as for routes without state */
        resume->position = resume->is_kept ? resume->kept : resume->begin;
        resume->known = resume->is_kept;
        resume->pins = 1;
    }
    *shard = &plug->parts->shards[plug->parts->shard_count++];
    (*shard)->plug = plug;
    snprintf((*shard)->name, sizeof(*shard)->name, "%.*s", (int)name.size, name.data);
    (*shard)->last = resume->position;
    return WEIR_OK;
}

/* Let go at once: what it had open is settled no more. */
void plug_shard_revoke(const weir_host *host, weir_shard *shard, int lost)
{
    struct plug *plug = plug_of(host);
    struct open_emit *open = plug->parts->open;
    size_t kept = 0;
    (void)lost;
    for (size_t i = 0; i < plug->parts->open_count; i++) {
        if (open[i].shard != shard)
            open[kept++] = open[i];
    }
    plug->parts->open_count = kept;
    plug->unsettled = kept ? plug->unsettled : 0;
    plug->source->released(plug->state, shard);
}

static char *text_of(weir_view view)
{
    char *text = malloc(view.size + 1);
    ck_assert_ptr_nonnull(text);
    if (view.size)
        memcpy(text, view.data, view.size);
    text[view.size] = '\0';
    return text;
}

static void event_keep(struct plug_event *to, const weir_event *event)
{
    *to = (struct plug_event){.position = event->position,
                              .payload = text_of(event->payload),
                              .key = text_of(event->key),
                              .subject = text_of(event->subject),
                              .payload_size = event->payload.size,
                              .header_count = event->header_count,
                              .time_us = event->time_us,
                              .payload_absent = event->payload.data == NULL,
                              .key_absent = event->key.data == NULL,
                              .id_absent = event->id.data == NULL};
    for (size_t i = 0; i < event->header_count && i < 8; i++) {
        to->headers[i][0] = text_of(event->headers[i].name);
        to->headers[i][1] = text_of(event->headers[i].value);
    }
}

static void settle_due(uv_timer_t *timer)
{
    struct plug *plug = timer->data;
    if (plug->unsettled)
        plug_settle(plug);
}

/* "At most so many more events and bytes"; the last event may go beyond the bytes. */
static void credit_take(struct plug *plug, const weir_emit *emit)
{
    size_t bytes = 0, last = 0;
    for (size_t i = 0; i < emit->count; i++) {
        const weir_event *event = &emit->events[i];
        bytes += last;
        last = event->payload.size + event->key.size + event->subject.size + event->id.size;
    }
    ck_assert_uint_gt(emit->count, 0);
    ck_assert_uint_le(emit->count, plug->credit_events);
    ck_assert_uint_gt(plug->credit_bytes, 0);
    ck_assert_uint_lt(bytes, plug->credit_bytes);
    plug->credit_events -= emit->count;
    plug->credit_bytes -= bytes + last < plug->credit_bytes ? bytes + last : plug->credit_bytes;
}

/* A replaying source numbers its events itself, the others are numbered here. */
static void emit_number(weir_shard *shard, weir_emit *emit)
{
    if (shard->plug->source->flags & WEIR_SOURCE_KEEPS_POSITION) { /* the peer's log may have gaps */
        emit->first = emit->events[0].position;
        for (size_t i = 0; i < emit->count; i++) {
            ck_assert_uint_gt(emit->events[i].position, shard->last);
            emit->last = shard->last = emit->events[i].position;
        }
        return;
    }
    if (shard->plug->source->flags & WEIR_SOURCE_REPLAYS) {
        for (size_t i = 0; i < emit->count; i++)
            ck_assert_uint_eq(emit->events[i].position, shard->last + 1 + i);
    }
    emit->first = shard->last + 1;
    emit->last = shard->last + emit->count;
    shard->last = emit->last;
}

static void emit_lend(struct plug *plug, const weir_emit *emit)
{
    plug->borrowed++;
    if (!plug->holds) {
        emit->release(emit->owner);
        return;
    }
    ck_assert_uint_lt(plug->parts->loan_count, LOANS_MAX);
    plug->parts->loans[plug->parts->loan_count++] =
        (struct loan){emit->events, plug->event_count - emit->count, emit->count, emit->owner, emit->release};
}

int plug_emit(const weir_host *host, weir_shard *shard, weir_emit *emit)
{
    struct plug *plug = plug_of(host);
    struct plug_parts *parts = plug->parts;
    ck_assert_ptr_eq(shard->plug, plug);
    /* Those of ours that cannot replay have one emit open at a time. */
    ck_assert(plug->unsettled == 0 || (plug->source->flags & WEIR_SOURCE_REPLAYS));
    if (plug->emit_result != WEIR_OK)
        return plug->emit_result;
    credit_take(plug, emit);
    emit_number(shard, emit);
    plug->events = realloc(plug->events, (plug->event_count + emit->count) * sizeof *plug->events);
    for (size_t i = 0; i < emit->count; i++)
        event_keep(&plug->events[plug->event_count++], &emit->events[i]);
    plug->emit_count++;
    plug->unsettled += emit->count;
    plug->emit_largest = emit->count > plug->emit_largest ? emit->count : plug->emit_largest;
    parts->open = realloc(parts->open, (parts->open_count + 1) * sizeof *parts->open);
    parts->open[parts->open_count++] = (struct open_emit){shard, emit->first, emit->last};
    if (emit->release)
        emit_lend(plug, emit);
    if (plug->settles)
        uv_timer_start(&parts->settle, settle_due, 0, 0);
    return WEIR_OK;
}

static void *loans_return(void *arg)
{
    struct plug_parts *parts = arg;
    for (size_t i = 0; i < parts->loan_count; i++)
        parts->loans[i].release(parts->loans[i].owner);
    parts->loan_count = 0;
    return NULL;
}

void plug_release(struct plug *plug)
{
    pthread_t thread;
    for (size_t i = 0; i < plug->parts->loan_count; i++) {
        const struct loan *loan = &plug->parts->loans[i];
        for (size_t j = 0; j < loan->count; j++) {
            const struct plug_event *kept = &plug->events[loan->first + j];
            ck_assert_uint_eq(loan->events[j].payload.size, kept->payload_size);
            if (kept->payload_size)
                ck_assert_int_eq(memcmp(loan->events[j].payload.data, kept->payload, kept->payload_size), 0);
        }
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, loans_return, plug->parts), 0);
    pthread_join(thread, NULL);
}

void plug_write_event(const weir_host *host, weir_write *write, size_t index, int result, const char *reason)
{
    struct plug_write *open = (struct plug_write *)write;
    (void)host;
    ck_assert_uint_lt(index, write->batch.count);
    ck_assert_int_eq(open->result, -1);
    open->results[index] = result;
    snprintf(open->reasons[index], sizeof open->reasons[index], "%s", reason ? reason : "");
}

void plug_write_done(const weir_host *host, weir_write *write, int result, const char *reason)
{
    struct plug_write *open = (struct plug_write *)write;
    ck_assert_int_eq(open->result, -1);
    open->result = result;
    open->order = ++plug_of(host)->answered;
    snprintf(open->reason, sizeof open->reason, "%s", reason ? reason : "");
    free(open->memory);
    open->memory = NULL;
}

/* Each emit by itself and once; a settle may bring the next emit. */
void plug_settle(struct plug *plug)
{
    bool replays = plug->source->flags & WEIR_SOURCE_REPLAYS;
    struct open_emit *open = plug->parts->open;
    size_t count = plug->parts->open_count;
    ck_assert_uint_gt(count, 0);
    plug->parts->open = NULL;
    plug->parts->open_count = 0;
    plug->unsettled = 0;
    for (size_t i = 0; i < count; i++)
        plug->source->settle(plug->state, open[i].shard, open[i].first, open[i].last,
                             replays ? WEIR_COMPLETED : WEIR_ACCEPTED);
    free(open);
}

struct plug_write *plug_send(struct plug *plug, const weir_event *events, size_t count)
{
    return plug_send_owned(plug, NULL, events, count);
}

struct plug_write *plug_send_owned(struct plug *plug, void *memory, const weir_event *events, size_t count)
{
    struct plug_write *open = calloc(1, sizeof *open);
    ck_assert_ptr_nonnull(open);
    open->memory = memory;
    ck_assert_uint_le(count, 2000);
    open->result = -1;
    for (size_t i = 0; i < count; i++)
        open->results[i] = -1;
    open->write = (weir_write){.size = sizeof open->write,
                               .batch = {.size = sizeof(weir_batch), .events = events, .count = count}};
    plug->sink->write(plug->state, &open->write);
    return open;
}

void plug_events_free(struct plug *plug)
{
    for (size_t i = 0; i < plug->event_count; i++) {
        struct plug_event *event = &plug->events[i];
        for (size_t j = 0; j < event->header_count && j < 8; j++) {
            free(event->headers[j][0]);
            free(event->headers[j][1]);
        }
        free(event->payload);
        free(event->key);
        free(event->subject);
    }
    free(plug->events);
}
