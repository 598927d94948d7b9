/* sink.h: a configured sink: bounds its open writes, keeps their order, turns its answers into the route's inputs.
 */
#ifndef WEIR_SINK_H
#define WEIR_SINK_H

#include "batch.h"
#include "host.h"

struct sink {
    struct instance instance;
    const struct config_sink *config;
    const weir_sink_ops *ops;
    struct list queued; /* struct write, first come first served over all routes */
    size_t open, writes_max;
    struct metric *written, *rejected, *retried;
    int64_t failing_since_us; /* 0: the last write was confirmed */
    char failing[200];        /* why */
};

int sink_init(struct sink *sink, struct engine *engine, const struct config_sink *config, struct error *error);
/* Writes what is still open of the batch's outputs for this sink; answered by flow_written. */
void sink_write(struct write *write);
void sink_stop(struct sink *sink);

#endif
