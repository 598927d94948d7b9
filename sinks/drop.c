/* drop.c: the sink `drop`: confirms everything at once and keeps nothing; for benchmarks and tests. Cannot fail. */
#include "weir_plugin.h"

struct drop {
    const weir_host *host;
};

static int drop_init(void *state, const weir_host *host)
{
    struct drop *drop = state;
    drop->host = host;
    return WEIR_OK;
}

static int drop_start(void *state)
{
    (void)state;
    return WEIR_OK;
}

static void drop_write(void *state, weir_write *write)
{
    const struct drop *drop = state;
    drop->host->write_done(drop->host, write, WEIR_OK, NULL);
}

static void drop_stop(void *state)
{
    const struct drop *drop = state;
    drop->host->stopped(drop->host);
}

static void drop_fini(void *state)
{
    (void)state;
}

const weir_sink_ops sink_drop = {
    .size = sizeof sink_drop,
    .type = "drop",
    .summary = "Confirms every event at once and keeps nothing.",
    .state_size = sizeof(struct drop),
    .flags = WEIR_SINK_ORDERED,
    .init = drop_init,
    .start = drop_start,
    .write = drop_write,
    .stop = drop_stop,
    .fini = drop_fini,
};
