/* sink.c: see sink.h.
 *
 * The normal path: sink_write queues the write; while fewer than writes_max are open it is prepared (its batch may
 * have moved to other memory while it waited) and handed to the plug-in;
 * its answer frees a place, marks each output as confirmed, dead or still open, and goes to the flow. Fails:
 * results are taken from the closed set only; anything else, or a second answer, is the plug-in's fault: logged
 * with its name, and treated as WEIR_FATAL, or ignored.
 */
#include "sink.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "flow.h"

enum { RESULT_NONE = 0 }; /* results[] holds a weir_result + 1 */

static void sink_next(struct sink *sink);

static struct sink *sink_of(const weir_host *host)
{
    return CONTAINER_OF(CONTAINER_OF(host, struct instance, host), struct sink, instance);
}

static void sink_stopped(struct instance *instance)
{
    engine_advance(instance->engine);
}

static void sink_failed(struct instance *instance, const char *reason)
{
    struct sink *sink = CONTAINER_OF(instance, struct sink, instance);
    for (size_t i = 0; i < instance->engine->flow_count; i++)
        flow_sink_failed(&instance->engine->flows[i], sink, reason);
}

int sink_init(struct sink *sink, struct engine *engine, const struct config_sink *config, struct error *error)
{
    struct instance_kind kind = {"sink",       config->name,     config->ops->options,
                                 config->node, config_sink_skip, config->ops->state_size};
    sink->config = config;
    sink->ops = config->ops;
    sink->writes_max = config->ops->writes_max ? config->ops->writes_max : 1;
    list_init(&sink->queued);
    int result = instance_init(&sink->instance, engine, &kind, error);
    if (result != WEIR_OK)
        return result;
    sink->instance.woken = sink->ops->woken;
    sink->instance.on_stopped = sink_stopped;
    sink->instance.on_failed = sink_failed;
    sink->written = instance_metric(&sink->instance, "events_total");
    sink->rejected = instance_metric(&sink->instance, "rejected_total");
    sink->retried = instance_metric(&sink->instance, "retries_total");
    sink->instance.made = true; /* fini follows a failed init */
    if (sink->ops->init)
        result = sink->ops->init(sink->instance.state, &sink->instance.host);
    if (result != WEIR_OK && !error->text[0])
        error_set(error, result, "%s: could not be made: %s", sink->instance.part, result_name(result));
    sink->instance.error = NULL;
    return result;
}

static void *batch_bytes(struct batch *batch, size_t size)
{
    return arena_zalloc(&batch->arena, size);
}

/* Compacts what is still open. False: out of memory. */
static bool write_compact(struct write *write, const struct outputs *outputs)
{
    if (write->some_room < outputs->count) {
        free(write->some);
        free(write->places);
        write->some = malloc(outputs->count * sizeof *write->some);
        write->places = malloc(outputs->count * sizeof *write->places);
        write->some_room = write->some && write->places ? outputs->count : 0;
    }
    if (write->some_room < outputs->count)
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < outputs->count; i++) {
        if (outputs->closed[i])
            continue;
        write->some[kept] = outputs->events[i];
        write->places[kept++] = (uint32_t)i;
    }
    write->pub.batch.events = write->some;
    write->pub.batch.count = kept;
    return true;
}

static bool write_prepare(struct write *write)
{
    struct batch *batch = write->batch;
    const struct outputs *outputs = &batch->outputs[write->index];
    write->pub.size = sizeof write->pub;
    write->pub.batch = batch_view(batch);
    write->pub.batch.events = outputs->events;
    write->pub.batch.count = outputs->count;
    write->pub.order = link_order(batch->link, batch->route->lane);
    write->pub.data[0] = write->pub.data[1] = NULL;
    write->results = NULL;
    write->reasons = NULL;
    write->rejected = NULL;
    write->rejected_count = 0;
    return outputs->closed == NULL || write_compact(write, outputs);
}

void sink_write(struct write *write)
{
    list_append(&write->sink->queued, &write->node);
    sink_next(write->sink);
}

static void sink_next(struct sink *sink)
{
    while (!list_empty(&sink->queued) && sink->open < sink->writes_max) {
        struct write *write = LIST_FIRST(&sink->queued, struct write, node);
        list_remove(&write->node);
        if (sink->instance.failed || !write_prepare(write)) {
            flow_written(write, sink->instance.failed ? WEIR_FATAL : WEIR_RETRY);
            continue;
        }
        sink->open++;
        write->open = true;
        sink->ops->write(sink->instance.state, &write->pub);
    }
}

void sink_write_event(const weir_host *host, weir_write *pub, size_t index, int result, const char *reason)
{
    struct write *write = CONTAINER_OF(pub, struct write, pub);
    bool known = result == WEIR_OK || result == WEIR_RETRY || result == WEIR_REJECT;
    if (!write->open || index >= pub->batch.count || !known) {
        log_write(write->sink->instance.engine->log, LOG_ERROR, write->sink->instance.part,
                  "the plug-in answered for event %zu of %zu with %d; ignored", index, pub->batch.count, result);
        return;
    }
    UNUSED(host);
    if (!write->results) {
        write->results = batch_bytes(write->batch, pub->batch.count);
        write->reasons = batch_bytes(write->batch, pub->batch.count * sizeof *write->reasons);
    }
    if (!write->results || !write->reasons) {
        write->results = NULL; /* out of memory: the whole write is tried again */
        return;
    }
    write->results[index] = (uint8_t)(result + 1);
    if (result == WEIR_REJECT)
        write->reasons[index] = arena_text(&write->batch->arena, view_of(reason ? reason : "rejected"));
}

static int event_result(const struct write *write, size_t i, int whole)
{
    return write->results && write->results[i] != RESULT_NONE ? write->results[i] - 1 : whole;
}

/* Marks what is confirmed or dead; collects the dead for the route. Returns how many are still open. */
static size_t write_close(struct write *write, int whole, const char *reason)
{
    struct batch *batch = write->batch;
    struct outputs *outputs = &batch->outputs[write->index];
    size_t open = 0, count = write->pub.batch.count;
    bool ordered_break = false;
    if (!outputs->closed)
        outputs->closed = batch_bytes(batch, outputs->count);
    write->rejected = batch_bytes(batch, count * sizeof *write->rejected);
    if (!write->reasons)
        write->reasons = batch_bytes(batch, count * sizeof *write->reasons);
    if (!outputs->closed || !write->rejected || !write->reasons) {
        outputs->closed = NULL;
        write->rejected_count = 0;
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = write->pub.batch.events == write->some && write->some ? write->places[i] : i;
        int result = event_result(write, i, whole);
        ordered_break |= result == WEIR_RETRY && (write->sink->ops->flags & WEIR_SINK_ORDERED);
        if (result == WEIR_RETRY || result == WEIR_FATAL || ordered_break) {
            open++;
            continue;
        }
        outputs->closed[place] = 1;
        if (result != WEIR_REJECT)
            continue;
        if (!write->reasons[i])
            write->reasons[i] = arena_text(&batch->arena, view_of(reason ? reason : "rejected"));
        batch_reject(batch, write->index, place, write->reasons[i]);
        write->rejected[write->rejected_count++] = (uint32_t)place;
    }
    return open;
}

static void sink_health(struct sink *sink, int result, const char *reason)
{
    if (result == WEIR_OK) {
        if (sink->failing_since_us)
            instance_log(&sink->instance, LOG_INFO, "writes are confirmed again");
        sink->failing_since_us = 0;
        return;
    }
    if (!sink->failing_since_us) {
        sink->failing_since_us = clock_wall_us();
        instance_log(&sink->instance, LOG_WARN, "write failed (%s): %s", result_name(result),
                     reason ? reason : "no reason given");
    }
    snprintf(sink->failing, sizeof sink->failing, "%s", reason ? reason : result_name(result));
}

void sink_write_done(const weir_host *host, weir_write *pub, int result, const char *reason)
{
    struct sink *sink = sink_of(host);
    struct write *write = CONTAINER_OF(pub, struct write, pub);
    if (!write->open) {
        instance_log(&sink->instance, LOG_ERROR, "the plug-in answered a write twice; ignored");
        return;
    }
    write->open = false;
    sink->open--;
    if (sink->instance.engine->broken)
        return;
    if (result != WEIR_OK && result != WEIR_RETRY && result != WEIR_REJECT)
        result = WEIR_FATAL;
    size_t count = pub->batch.count, left = 0;
    if (result != WEIR_OK || write->results)
        left = write_close(write, result, reason);
    metric_add(sink->written, (int64_t)(count - left - write->rejected_count));
    metric_add(sink->rejected, (int64_t)write->rejected_count);
    if (left)
        metric_add(sink->retried, 1);
    int answer = left == 0 ? WEIR_OK : result == WEIR_FATAL ? WEIR_FATAL : WEIR_RETRY;
    sink_health(sink, left == 0 && result != WEIR_REJECT ? WEIR_OK : answer, reason);
    flow_written(write, answer);
    sink_next(sink);
}

void sink_stop(struct sink *sink)
{
    if (sink->instance.started && !sink->instance.stopping) {
        sink->instance.stopping = true;
        sink->ops->stop(sink->instance.state);
    }
}
