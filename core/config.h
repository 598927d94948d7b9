/* config.h: the configuration file as checked structures. Nothing is started here.
 *
 * config_load reads FILE and its includes, resolves every name, finds and checks every kind with its options, and
 * reports all faults at once, each with file:line:column and what to do: unknown keys (with the nearest known one),
 * wrong types and ranges, missing functions, unused sources, sinks and functions, dead routes, duplicate names,
 * include cycles, unset variables. */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include "log.h"
#include "option.h"
#include "registry.h"
#include "route.h"

enum route_moved { MOVED_STOP, MOVED_DISCARD };
enum config_time { TIME_UNIX_MS, TIME_UNIX_S, TIME_RFC3339 };

struct config_source {
    const char *name;
    const weir_source_ops *ops;
    const struct yaml_node *node; /* its mapping: options for option_fill, with config_source_skip */
    weir_field *key, *id, *time;  /* overrides, or NULL */
    int64_t time_format;          /* enum config_time */
};

struct config_sink {
    const char *name;
    const weir_sink_ops *ops;
    const struct yaml_node *node;
    struct retry_policy retry; /* default: for ever, 100ms..30s */
};

struct config_function {
    const char *name;
    const weir_function_ops *ops;
    const struct yaml_node *node; /* the mapping its options lie in: `options:` for a module; may be NULL */
    int64_t concurrency;          /* calls at once over all routes; 0: no bound */
    bool has_user;                /* a callback: its self is `user` */
    void *user;
};

struct config_output {
    const char *name; /* NULL: the only output (`to: a` or `to: [a, b]`: every one has NULL) */
    struct config_sink *sink;
    uint32_t index; /* into route->sinks */
};

struct config_route {
    const char *name;
    const struct yaml_node *node;
    struct config_source **from;
    size_t from_count;
    struct config_function **call;
    size_t call_count;
    struct config_sink **sinks; /* each once */
    size_t sink_count;
    struct config_output *outputs;
    size_t output_count;
    int64_t batch_events, batch_bytes, batch_wait_us;
    int64_t window_events, window_bytes;
    int64_t order, lanes; /* enum route_order; lanes is 1 for `order: shard` */
    struct retry_policy retry;
    int64_t bisect;
    int64_t on_failure; /* enum route_failure */
    int64_t journal_max;
    int64_t moved_state; /* enum route_moved */
};

struct config {
    const char *file, *folder;
    const char *store_path; /* absolute */
    int64_t store_size_max;
    int64_t memory, event_bytes, workers; /* workers: already resolved */
    int64_t stop_timeout_us;              /* limits.stop: how long SIGTERM may finish what is in flight; 10s */
    int64_t log_level, log_json;
    struct config_source *sources;
    size_t source_count;
    struct config_sink *sinks;
    size_t sink_count;
    struct config_function *functions;
    size_t function_count;
    struct config_route *routes;
    size_t route_count;
    struct arena arena;
    struct yaml_report report; /* faults, and with WEIR_OK nothing */
};

/* WEIR_OK, or WEIR_INVALID with config->report. config_free in either case. check: also make one instance's options
 * of everything and give them back (what `weir check` does); functions' and plug-ins' init are never called here.
 */
int config_load(struct config **config, const char *path, struct registry *registry);

/* A configuration in parts, merged as a file and its includes are. */
enum config_part_sort {
    PART_FILE,     /* text: its path */
    PART_TEXT,     /* text: what such a file holds */
    PART_SOURCE,   /* name, and in text a mapping with its options; type: its `type`, NULL: text says it */
    PART_FUNCTION, /* the same */
    PART_SINK,     /* the same */
    PART_ROUTE,    /* text: a mapping, one entry of `routes` */
    PART_SECTION   /* name: a section of the top level; text: what it holds */
};
struct config_part {
    enum config_part_sort sort;
    const char *name, *type;
    const char *text; /* NULL or "": an empty mapping */
};
/* config_load of parts; the texts need to live no longer than the call. In faults each part has a place as
 * "<source meters>:1:9". Relative paths in them start at the current folder. */
int config_load_parts(struct config **config, const struct config_part *parts, size_t count,
                      struct registry *registry);
void config_free(struct config *config);

/* Keys that every source, sink or function has, beside its own options. */
extern const char *const config_source_skip[];
extern const char *const config_sink_skip[];
extern const char *const config_function_skip[];
/* The core's own tables, for help: name of the section, then its rows. */
struct config_section {
    const char *name, *summary;
    const weir_option *rows;
};
extern const struct config_section config_sections[]; /* up to one without a name */

#endif
