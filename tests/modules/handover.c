/* handover.c: a source whose shard is taken from it, first softly and then for good, while the sink holds a write;
 * it is given back, read again, and taken once more in the middle of a settle. What the core answers on the way is
 * held against weir_plugin.h; the first answer that is wrong fails the source. */
#include "module_parts.h"

/* The sink tells the source that it holds a write. There is one of each. */
static struct handover {
    const weir_host *host;
    weir_shard *shard;
    int opened, emitted, released, writes;
} * handover;
static const weir_host *sink_host;

static void wrong(struct handover *self, const char *what)
{
    self->host->failed(self->host, what);
}

static int emit(struct handover *self, uint64_t first, uint64_t second)
{
    weir_event events[] = {{.payload = {"one", 3}, .position = first}, {.payload = {"two", 3}, .position = second}};
    weir_emit emit = {.size = sizeof emit, .events = events, .count = second ? 2 : 1};
    return self->host->emit(self->host, self->shard, &emit);
}

static int open_shard(struct handover *self, weir_resume *resume)
{
    weir_view name = {"s", 1};
    *resume = (weir_resume){.size = sizeof *resume};
    return self->host->shard_open(self->host, name, (uint64_t)self->opened, resume, &self->shard);
}

static int source_init(void *state, const weir_host *host)
{
    handover = state;
    handover->host = host;
    return WEIR_OK;
}

static int source_start(void *state)
{
    struct handover *self = state;
    weir_resume resume;
    self->opened = 1;
    return open_shard(self, &resume);
}

static void source_want(void *state, size_t events, size_t bytes)
{
    struct handover *self = state;
    if (events < 2 || bytes < 6 || self->emitted == self->opened)
        return;
    self->emitted = self->opened;
    if (emit(self, 2, 1) != WEIR_INVALID)
        wrong(self, "positions out of order were taken");
    if (emit(self, 1, 2) != WEIR_OK)
        wrong(self, "events were not taken");
}

/* The first write is held: the shard goes, softly, then for good. */
static void take_away(struct handover *self)
{
    weir_resume resume;
    weir_shard *shard = self->shard;
    self->host->shard_revoke(self->host, shard, 0);
    if (emit(self, 3, 0) != WEIR_CLOSED)
        wrong(self, "a revoked shard took an event");
    if (open_shard(self, &resume) != WEIR_RETRY)
        wrong(self, "a shard was opened again before it was released");
    self->host->shard_revoke(self->host, shard, 1);
    self->host->shard_revoke(self->host, shard, 0);
}

static void source_released(void *state, weir_shard *shard)
{
    struct handover *self = state;
    weir_resume resume;
    if (shard != self->shard)
        wrong(self, "another shard was released");
    if (++self->released == 2) {
        self->host->log(self->host, WEIR_LOG_INFO, "handed over, %d writes", self->writes);
        self->host->ended(self->host);
        return;
    }
    self->opened++;
    if (open_shard(self, &resume) != WEIR_OK || resume.position != 0)
        wrong(self, "what was lost is not read again");
}

/* An emit and a revocation inside settle wait until the route is at rest. */
static void source_settle(void *state, weir_shard *shard, uint64_t first, uint64_t last, weir_settled how)
{
    struct handover *self = state;
    if (self->opened != 2 || how != WEIR_COMPLETED || first > last)
        wrong(self, "a lost shard was settled");
    if (last == 2) {
        if (emit(self, 3, 0) != WEIR_OK)
            wrong(self, "an event was not taken inside settle");
        self->host->shard_revoke(self->host, shard, 0);
    } else {
        self->host->shard_revoke(self->host, shard, 1);
    }
}

static void source_stop(void *state)
{
    struct handover *self = state;
    self->host->stopped(self->host);
}

static int sink_init(void *state, const weir_host *host)
{
    (void)state;
    sink_host = host;
    return WEIR_OK;
}

static void sink_write(void *state, weir_write *write)
{
    (void)state;
    if (++handover->writes == 1)
        take_away(handover);
    sink_host->write_done(sink_host, write, WEIR_OK, NULL);
}

static void sink_stop(void *state)
{
    (void)state;
    sink_host->stopped(sink_host);
}

static const weir_source_ops source = {.size = sizeof(source),
                                       .type = "handover",
                                       .summary = "A source whose shard comes and goes.",
                                       .state_size = sizeof(struct handover),
                                       .flags = WEIR_SOURCE_REPLAYS,
                                       .init = source_init,
                                       .start = source_start,
                                       .want = source_want,
                                       .settle = source_settle,
                                       .released = source_released,
                                       .stop = source_stop,
                                       .fini = part_end};
static const weir_sink_ops sink = {.size = sizeof(sink),
                                   .type = "handover",
                                   .summary = "A sink that tells the source of its first write.",
                                   .state_size = 1,
                                   .init = sink_init,
                                   .start = part_start,
                                   .write = sink_write,
                                   .stop = sink_stop,
                                   .fini = part_end};
static const weir_source_ops *const sources[] = {&source, NULL};
static const weir_sink_ops *const sinks[] = {&sink, NULL};

WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "handover",
               .version = "1",
               .sources = sources,
               .sinks = sinks};
