/* older.c: a function whose table ends after `call`, and behind it bytes that are none of it. */
#include "module_parts.h"

static const struct {
    size_t size;
    const char *type, *summary;
    const weir_option *options;
    size_t state_size;
    uint32_t flags, reserved;
    int (*init)(void *self, const weir_host *host);
    int (*call)(void *self, const weir_batch *in, weir_out *out);
    uintptr_t noise;
} older = {.size = offsetof(weir_function_ops, fini),
           .type = "older",
           .summary = "Is of an older ABI.",
           .call = part_call,
           .noise = 0x6666};
static const weir_function_ops *const functions[] = {(const weir_function_ops *)(const void *)&older, NULL};
PART_MODULE(functions);
