/* route_kit.h: a route with one shard, stepped by hand, and a record of what it asked for. */
#ifndef WEIR_ROUTE_KIT_H
#define WEIR_ROUTE_KIT_H

#include "route.h"

enum { KIT_EVENTS = 256, KIT_ACTIONS = 1024 };

struct kit_route {
    struct route *route;
    struct route_shard *shard;
    int64_t now;
    weir_event events[KIT_EVENTS]; /* positions 1, 2, ... */
    struct block block;
    struct route_action actions[KIT_ACTIONS]; /* of the last input; `count` of batches as they were then */
    size_t counts[KIT_ACTIONS];
    size_t action_count;
    bool released;
};

struct route_config
kit_config(void); /* by key, 1 lane, calls, batches of 10, one sink, window of 100, 3 attempts */
void kit_open(struct kit_route *kit, const struct route_config *config, const struct route_shard_open *open);
void kit_close(struct kit_route *kit); /* every block must have come back */
/* Keys of the events from `first` on: one letter each; '-' is no key. */
void kit_keys(struct kit_route *kit, const char *keys);
void kit_step(struct kit_route *kit, const struct route_input *input);
void kit_emit(struct kit_route *kit, size_t first, size_t count); /* positions first .. */
void kit_type(struct kit_route *kit, enum route_input_type type);
void kit_tick(struct kit_route *kit, int64_t now);
void kit_called(struct kit_route *kit, struct route_batch *batch, int result);
void kit_some_failed(struct kit_route *kit, struct route_batch *batch, const uint32_t *failed, size_t count);
void kit_written(struct kit_route *kit, struct route_batch *batch, uint32_t sink, int result);
void kit_committed(struct kit_route *kit, uint64_t ticket);
/* The n-th action of that type of the last input, from 0; fails the test when there is none. */
const struct route_action *kit_action(const struct kit_route *kit, enum route_action_type type, size_t n);
size_t kit_actions(const struct kit_route *kit, enum route_action_type type);
/* The only call, and its events must be first .. last. */
struct route_batch *kit_call(const struct kit_route *kit, uint64_t first, uint64_t last);
struct route_batch *kit_write(const struct kit_route *kit, uint32_t sink);
void kit_passes(struct kit_route *kit, struct route_batch *batch); /* called and written to sink 0, both well */

#endif
