/* cmd_version.c: `weir version`. */
#include <cjson/cJSON.h>

#include "command.h"
#include "print.h"
#include "store.h"

static int version_run(struct invocation *invocation)
{
    if (!invocation->json) {
        fprintf(invocation->out, "weir %s\nmodule ABI %u, store layout %u\n", WEIR_VERSION, WEIR_ABI, STORE_LAYOUT);
        return EXIT_DONE;
    }
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "version", WEIR_VERSION);
    cJSON_AddNumberToObject(document, "abi", WEIR_ABI);
    cJSON_AddNumberToObject(document, "store_layout", STORE_LAYOUT);
    json_print(invocation->out, document);
    return EXIT_DONE;
}

const struct command command_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version, the module ABI and the store layout",
    .prints = true,
    .run = version_run,
};
