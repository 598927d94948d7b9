/* early.c: a source that does in init everything that is for start. */
#include "module_parts.h"

static void early_job(void *state, void *arg)
{
    (void)state;
    (void)arg;
}

static int early_init(void *state, const weir_host *host)
{
    weir_view name = {"early", 5};
    weir_resume resume = {.size = sizeof resume};
    weir_shard *shard = NULL;
    weir_timer *timer = host->timer_new(host, early_job, NULL);
    (void)state;
    host->timer_set(timer, 0);
    host->wake(host);
    host->offload(host, early_job, early_job, NULL);
    host->stat_add(host, "early_total", 1);
    return host->shard_open(host, name, 1, &resume, &shard);
}

static const weir_source_ops early = {.size = sizeof early,
                                      .type = "early",
                                      .summary = "Cannot wait.",
                                      .state_size = 8,
                                      .init = early_init,
                                      .start = part_start,
                                      .want = part_want,
                                      .settle = part_settle,
                                      .woken = part_end,
                                      .stop = part_end,
                                      .fini = part_end};
static const weir_source_ops *const sources[] = {&early, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "early", .version = "1", .sources = sources};
