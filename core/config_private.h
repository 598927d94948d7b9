/* config_private.h: what the config_*.c files share. */
#ifndef WEIR_CONFIG_PRIVATE_H
#define WEIR_CONFIG_PRIVATE_H

#include "config.h"

/* What the core's own rows fill; copied into struct config and its parts once checked. */
struct top_values {
    int64_t has_store, has_limits, has_log, has_sources, has_functions, has_sinks, has_routes;
    weir_list include;
    const char *store_path;
    int64_t store_size_max;
    int64_t memory, event_bytes, workers, stop_us;
    int64_t log_level, log_json;
};

struct source_values {
    const char *type, *module;
    weir_field *key, *id, *time;
    int64_t has_time, time_format;
};

struct sink_values {
    const char *type, *module;
    int64_t has_retry, attempts;
    weir_range backoff;
};

struct function_values {
    const char *type, *module, *function;
    int64_t has_options, concurrency;
};

struct route_values {
    const char *name;
    weir_list from, call;
    int64_t has_to, has_batch, has_in_flight, has_retry;
    int64_t batch_events, batch_bytes, batch_wait_us;
    int64_t window_events, window_bytes;
    int64_t order, lanes, on_failure, journal_max, moved_state;
    int64_t attempts, bisect;
    weir_range backoff;
};

extern const weir_option top_rows[], config_source_rows[], config_sink_rows[], config_function_rows[],
    config_route_rows[];

/* A load under way. The sections are merged over all files; NULL: nowhere. */
struct loading {
    struct config *config;
    struct registry *registry;
    struct yaml_report *report;
    const struct yaml_node *root;
    const struct yaml_node *sources, *functions, *sinks, *routes;
    bool *source_used, *function_used, *sink_used;
};

/* config_file.c: reads the parts and what they include; false: nothing can be read further. */
bool loading_parts(struct loading *l, const struct config_part *parts, size_t count);
/* config_part.c: what a part that is no file holds, as a root; NULL after a fault. number: from 1, among its sort.
 */
const struct yaml_node *part_load(struct loading *l, const struct config_part *part, size_t number);
/* config_kinds.c: the sources, functions and sinks. */
void loading_kinds(struct loading *l);
/* config_route.c */
void loading_routes(struct loading *l);

#define CONFIG_NAME_MAX 64
/* 1 to 64 letters, digits, _ - or . */
bool config_name_valid(const char *name);
/* Zeroed memory of the configuration, at least one element; NULL after a fault. */
void *loading_alloc(struct loading *l, size_t count, size_t size);

#endif
