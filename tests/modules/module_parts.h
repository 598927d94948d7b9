/* module_parts.h: operations that do nothing, for the modules that tests load. */
#ifndef MODULE_PARTS_H
#define MODULE_PARTS_H

#include "weir_plugin.h"

__attribute__((unused)) static int part_init(void *state, const weir_host *host)
{
    (void)state;
    (void)host;
    return WEIR_OK;
}

__attribute__((unused)) static int part_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

__attribute__((unused)) static void part_end(void *state)
{
    (void)state;
}

__attribute__((unused)) static void part_want(void *state, size_t events, size_t bytes)
{
    (void)state;
    (void)events;
    (void)bytes;
}

__attribute__((unused)) static void part_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last,
                                                weir_settled how)
{
    (void)state;
    (void)shard;
    (void)first;
    (void)last;
    (void)how;
}

__attribute__((unused)) static void part_write(void *state, weir_write *write)
{
    (void)state;
    (void)write;
}

__attribute__((unused)) static int part_call(void *self, const weir_batch *in, weir_out *out)
{
    (void)self;
    (void)in;
    (void)out;
    return WEIR_OK;
}

#define PART_FUNCTION(name)                                                                                        \
    static const weir_function_ops name = {                                                                        \
        .size = sizeof(name), .type = #name, .summary = "Does nothing.", .state_size = 8, .call = part_call}

#define PART_MODULE(list)                                                                                          \
    WEIR_MODULE = {                                                                                                \
        .abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "parts", .version = "1", .functions = list}

#endif
