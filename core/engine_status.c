/* engine_status.c: what is going on, as JSON for the control socket. */
#include <cjson/cJSON.h>

#include "clock.h"
#include "commit.h"
#include "engine.h"
#include "flow.h"
#include "host.h"
#include "journal.h"
#include "shell.h"
#include "sink.h"
#include "source.h"

static const char *instance_word(const struct instance *instance)
{
    if (instance->failed)
        return "failed";
    if (instance->stopped)
        return "stopped";
    if (instance->stopping)
        return "stopping";
    return instance->started ? "running" : "made";
}

static void add_number(cJSON *to, const char *name, double value)
{
    cJSON_AddNumberToObject(to, name, value);
}

static void add_time(cJSON *to, const char *name, int64_t time_us)
{
    char text[TIME_TEXT_MAX];
    if (time_us)
        cJSON_AddStringToObject(to, name, time_format(time_us, text));
}

static void status_shard(cJSON *to, const struct source *source, const struct shard *shard)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", shard->name);
    const struct journal *journal = source->journal;
    add_number(item, "emitted", (double)(journal ? journal->next - 1 : shard->last));
    add_number(item, "completed", (double)(source->flow_count ? shard_low(shard) : 0));
    cJSON_AddItemToArray(to, item);
}

static void status_source(cJSON *to, const struct source *source)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", source->instance.name);
    cJSON_AddStringToObject(item, "type", source->ops->type);
    cJSON_AddStringToObject(item, "state", source->ended ? "ended" : instance_word(&source->instance));
    add_number(item, "accepted_total", (double)metric_value(source->accepted));
    add_number(item, "refused_total", (double)metric_value(source->refused));
    add_number(item, "credit_events", (double)source->told_events);
    if (source->journal) {
        add_number(item, "journal_events", (double)metric_value(source->journal->lag));
        add_number(item, "journal_bytes", (double)source->journal->held_bytes);
        add_number(item, "journal_missing_total", (double)metric_value(source->journal->gaps));
        add_number(item, "journal_damaged_total", (double)metric_value(source->journal->damaged));
    }
    cJSON *shards = cJSON_AddArrayToObject(item, "shards");
    LIST_EACH(shard, &source->shards, struct shard, node)
    status_shard(shards, source, shard);
    cJSON_AddItemToArray(to, item);
}

static void status_sink(cJSON *to, const struct sink *sink)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", sink->instance.name);
    cJSON_AddStringToObject(item, "type", sink->ops->type);
    cJSON_AddStringToObject(item, "state", sink->failing_since_us ? "failing" : instance_word(&sink->instance));
    add_number(item, "confirmed_total", (double)metric_value(sink->written));
    add_number(item, "rejected_total", (double)metric_value(sink->rejected));
    add_number(item, "retries_total", (double)metric_value(sink->retried));
    add_number(item, "open_writes", (double)sink->open);
    add_time(item, "failing_since", sink->failing_since_us);
    if (sink->failing_since_us)
        cJSON_AddStringToObject(item, "failing", sink->failing);
    cJSON_AddItemToArray(to, item);
}

/* Why a source waits for this route, in words; NULL: it does not. */
static const char *flow_holds(const struct flow *flow)
{
    for (size_t i = 0; i < flow->source_count; i++) {
        const struct source *source = flow->sources[i];
        for (size_t j = 0; source->journal && j < source->flow_count; j++) {
            if (source->flows[j] == flow && journal_blocked_by(source->journal, j))
                return "holds the journal: journal_max is reached";
        }
    }
    return NULL;
}

static void status_route(cJSON *to, const struct flow *flow)
{
    struct route_status status;
    route_status(flow->route, &status);
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", flow->config->name);
    cJSON_AddStringToObject(item, "state",
                            flow->failed              ? "failed"
                            : status.blocked_since_us ? "retrying"
                            : flow->stopping          ? "stopping"
                                                      : "running");
    add_number(item, "open_events", (double)status.open_events);
    add_number(item, "open_bytes", (double)status.open_bytes);
    add_number(item, "in_flight_max", (double)flow->window_events);
    add_number(item, "calls", (double)status.calls);
    add_number(item, "writes", (double)status.writes);
    add_number(item, "waiting", (double)status.waiting);
    add_number(item, "emitted_total", (double)metric_value(flow->emitted));
    add_number(item, "completed_total", (double)metric_value(flow->completed));
    add_number(item, "calls_total", (double)metric_value(flow->called));
    add_number(item, "failed_calls_total", (double)metric_value(flow->failed_calls));
    add_number(item, "dead_letters_total", (double)metric_value(flow->dead));
    if (status.blocked_since_us)
        add_time(item, "blocked_since", clock_wall_us() - (clock_mono_us() - status.blocked_since_us));
    if (flow->reason[0])
        cJSON_AddStringToObject(item, "reason", flow->reason);
    if (flow_holds(flow))
        cJSON_AddStringToObject(item, "holds", flow_holds(flow));
    cJSON_AddItemToArray(to, item);
}

static void status_store(cJSON *to, struct engine *engine)
{
    struct store_status status;
    store_status(engine->store, &status);
    cJSON *item = cJSON_AddObjectToObject(to, "store");
    cJSON_AddStringToObject(item, "path", engine->config->store_path);
    cJSON_AddStringToObject(item, "id", store_id(engine->store));
    add_number(item, "bytes_used", (double)status.bytes_used);
    add_number(item, "bytes_max", (double)status.bytes_max);
    add_number(item, "room", (double)status.room);
    add_number(item, "commits_total", (double)status.commits);
    add_number(item, "damaged_total", (double)status.damaged);
    add_number(item, "dead_letters", (double)status.records[TABLE_DEAD]);
    cJSON_AddBoolToObject(item, "full", commit_full(engine->committer));
}

struct cJSON *engine_status(struct engine *engine)
{
    cJSON *status = cJSON_CreateObject();
    if (!status)
        return NULL;
    static const char *const phases[] = {"new", "running", "stopping", "stopping", "ended"};
    cJSON_AddStringToObject(status, "state", phases[engine->phase]);
    add_number(status, "uptime_s", (double)(clock_wall_us() - engine->started_us) / 1e6);
    add_number(status, "memory_bytes", (double)atomic_load(&engine->memory_used));
    add_number(status, "memory_max", (double)engine->config->memory);
    cJSON *sources = cJSON_AddArrayToObject(status, "sources");
    for (size_t i = 0; i < engine->source_count; i++)
        status_source(sources, &engine->sources[i]);
    cJSON *routes = cJSON_AddArrayToObject(status, "routes");
    for (size_t i = 0; i < engine->flow_count; i++)
        status_route(routes, &engine->flows[i]);
    cJSON *sinks = cJSON_AddArrayToObject(status, "sinks");
    for (size_t i = 0; i < engine->sink_count; i++)
        status_sink(sinks, &engine->sinks[i]);
    status_store(status, engine);
    return status;
}
