/* inputs.c: see inputs.h. */
#include "inputs.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

static struct route_input *input_at(const struct inputs *inputs, size_t i)
{
    return &inputs->ring[(inputs->head + i) % inputs->room];
}

static void input_drop(struct route_input *input)
{
    if (input->block)
        block_drop(input->block);
    *input = (struct route_input){.type = ROUTE_TICK};
}

void inputs_fini(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        input_drop(input_at(inputs, i));
    free(inputs->ring);
    *inputs = (struct inputs){0};
}

static void inputs_grow(struct inputs *inputs)
{
    size_t room = inputs->room ? inputs->room * 2 : ROOM_MIN;
    struct route_input *ring = malloc(room * sizeof *ring);
    CHECK(ring != NULL); /* bounded by what is open */
    for (size_t i = 0; i < inputs->count; i++)
        ring[i] = *input_at(inputs, i);
    free(inputs->ring);
    inputs->ring = ring;
    inputs->head = 0;
    inputs->room = room;
}

void inputs_push(struct inputs *inputs, const struct route_input *input)
{
    if (inputs->count == inputs->room)
        inputs_grow(inputs);
    if (input->block)
        block_hold(input->block);
    *input_at(inputs, inputs->count++) = *input;
}

bool inputs_next(struct inputs *inputs, struct route_input *next)
{
    if (!inputs->count)
        return false;
    *next = *input_at(inputs, 0);
    inputs->head = (inputs->head + 1) % inputs->room;
    inputs->count--;
    return true;
}

size_t inputs_events(const struct inputs *inputs)
{
    size_t events = 0;
    for (size_t i = 0; i < inputs->count; i++)
        events += input_at(inputs, i)->type == ROUTE_EMIT ? input_at(inputs, i)->count : 0;
    return events;
}

void inputs_forget(struct inputs *inputs, const struct route_shard *shard)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (input_at(inputs, i)->shard == shard)
            input_drop(input_at(inputs, i));
    }
}
