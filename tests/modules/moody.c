/* moody.c: a function that does what its event says: {"do":"pass|fail|whole|crash|sleep|twice|noname|flood|nokey"}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir_plugin.h"

struct moody {
    const char *mark; /* put behind every payload */
    int64_t pause;    /* microseconds before each call returns */
};

static int says(const weir_event *event, const char *word)
{
    char text[64];
    int size = snprintf(text, sizeof text, "\"do\":\"%s\"", word);
    return memmem(event->payload.data, event->payload.size, text, (size_t)size) != NULL;
}

static int put_marked(const struct moody *self, const weir_event *event, size_t i, const char *output,
                      weir_out *out)
{
    size_t mark = self->mark ? strlen(self->mark) : 0;
    char *text = weir_out_alloc(out, event->payload.size + mark);
    if (!text)
        return WEIR_NOMEM;
    memcpy(text, event->payload.data, event->payload.size);
    if (mark)
        memcpy(text + event->payload.size, self->mark, mark);
    weir_event result = {
        .payload = {text, event->payload.size + mark}, .key = event->key, .subject = event->subject};
    return weir_out_put(out, i, output, &result);
}

static int flood(const struct moody *self, const weir_event *event, size_t i, weir_out *out)
{
    int result = WEIR_OK;
    while (result == WEIR_OK)
        result = put_marked(self, event, i, NULL, out);
    return WEIR_OK; /* what it put is void all the same: the overflow is sticky */
}

static int moody_one(const struct moody *self, const weir_event *event, size_t i, weir_out *out)
{
    if (says(event, "fail")) {
        weir_out_fail(out, i, "told to fail");
        return WEIR_OK;
    }
    if (says(event, "whole"))
        return WEIR_RETRY;
    if (says(event, "crash"))
        abort();
    if (says(event, "sleep"))
        sleep(3600);
    if (says(event, "noname"))
        return put_marked(self, event, i, "nobody", out);
    if (says(event, "flood"))
        return flood(self, event, i, out);
    if (says(event, "twice") && put_marked(self, event, i, NULL, out) != WEIR_OK)
        return WEIR_NOMEM;
    return put_marked(self, event, i, NULL, out);
}

static int moody_call(void *self, const weir_batch *in, weir_out *out)
{
    const struct moody *moody = self;
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++)
        result = moody_one(moody, &in->events[i], i, out);
    if (moody->pause)
        usleep((useconds_t)moody->pause);
    return result;
}

static const weir_option moody_options[] = {
    {.name = "mark",
     .type = WEIR_OPTION_TEXT,
     .offset = offsetof(struct moody, mark),
     .help = "Put behind every payload."},
    {.name = "pause",
     .type = WEIR_OPTION_DURATION,
     .offset = offsetof(struct moody, pause),
     .fallback = "0s",
     .help = "How long each call takes."},
    {0},
};

static const weir_function_ops moody_ops = {
    .size = sizeof moody_ops,
    .type = "moody",
    .summary = "Does what its event says.",
    .options = moody_options,
    .state_size = sizeof(struct moody),
    .call = moody_call,
};
static const weir_function_ops *const moody_functions[] = {&moody_ops, NULL};
WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "moody",
               .version = "1",
               .functions = moody_functions};
