/* kit.c: a good module: a source, a sink and two functions with options, for tests of configuration. */
#include "module_parts.h"

struct kit_source {
    int64_t count, wait_us, tls, verify, rate, version;
    const char *url, *password, *ca;
    weir_list topics;
};

static const char *const schemes[] = {"mqtt", "mqtts", NULL};
static const char *const versions[] = {"5", "3.1.1", NULL};

static const weir_option tls_rows[] = {
    {.name = "ca", .type = WEIR_OPTION_PATH, .offset = offsetof(struct kit_source, ca), .help = "Whom to trust."},
    {.name = "verify",
     .type = WEIR_OPTION_BOOL,
     .fallback = "true",
     .offset = offsetof(struct kit_source, verify),
     .help = "Whether to."},
    {0}};
static const weir_option source_rows[] = {
    {.name = "topics",
     .type = WEIR_OPTION_LIST,
     .flags = WEIR_OPTION_REQUIRED,
     .offset = offsetof(struct kit_source, topics),
     .help = "What to read."},
    {.name = "count",
     .type = WEIR_OPTION_INT,
     .fallback = "0",
     .max = 1000,
     .offset = offsetof(struct kit_source, count),
     .help = "How many."},
    {.name = "wait",
     .type = WEIR_OPTION_DURATION,
     .fallback = "1m",
     .min = INT64_C(1000000),
     .max = INT64_C(86400000000),
     .offset = offsetof(struct kit_source, wait_us),
     .help = "How long."},
    {.name = "rate", .type = WEIR_OPTION_RATE, .offset = offsetof(struct kit_source, rate), .help = "How fast."},
    {.name = "version",
     .type = WEIR_OPTION_CHOICE,
     .fallback = "5",
     .choices = versions,
     .offset = offsetof(struct kit_source, version),
     .help = "Which."},
    {.name = "url",
     .type = WEIR_OPTION_URL,
     .choices = schemes,
     .offset = offsetof(struct kit_source, url),
     .help = "Where."},
    {.name = "password",
     .type = WEIR_OPTION_SECRET,
     .offset = offsetof(struct kit_source, password),
     .help = "By what right."},
    {.name = "tls",
     .type = WEIR_OPTION_GROUP,
     .flags = WEIR_OPTION_TRUE_OK,
     .rows = tls_rows,
     .offset = offsetof(struct kit_source, tls),
     .help = "How safely."},
    {0}};
static const weir_source_ops source = {.size = sizeof(source),
                                       .type = "kit",
                                       .summary = "A source that emits nothing.",
                                       .options = source_rows,
                                       .state_size = sizeof(struct kit_source),
                                       .init = part_init,
                                       .start = part_start,
                                       .want = part_want,
                                       .settle = part_settle,
                                       .stop = part_end,
                                       .fini = part_end};

struct kit_sink {
    weir_template *path;
};

static const weir_option sink_rows[] = {{.name = "path",
                                         .type = WEIR_OPTION_TEMPLATE,
                                         .flags = WEIR_OPTION_REQUIRED,
                                         .offset = offsetof(struct kit_sink, path),
                                         .help = "Where to."},
                                        {0}};
static const weir_sink_ops sink = {.size = sizeof(sink),
                                   .type = "kit",
                                   .summary = "A sink that answers nothing.",
                                   .options = sink_rows,
                                   .state_size = sizeof(struct kit_sink),
                                   .init = part_init,
                                   .start = part_start,
                                   .write = part_write,
                                   .stop = part_end,
                                   .fini = part_end};

struct kit_function {
    int64_t limit;
    const char *type;
};

static const weir_option function_rows[] = {{.name = "limit",
                                             .type = WEIR_OPTION_INT,
                                             .fallback = "10",
                                             .min = 1,
                                             .max = 20,
                                             .offset = offsetof(struct kit_function, limit),
                                             .help = "How far."},
                                            {0}};
static const weir_function_ops function = {.size = sizeof(function),
                                           .type = "kit",
                                           .summary = "A function that puts nothing.",
                                           .options = function_rows,
                                           .state_size = sizeof(struct kit_function),
                                           .call = part_call};

/* An option with the name of a common key: possible inside `options`. */
static const weir_option keeper_rows[] = {{.name = "type",
                                           .type = WEIR_OPTION_TEXT,
                                           .flags = WEIR_OPTION_REQUIRED,
                                           .offset = offsetof(struct kit_function, type),
                                           .help = "Its type."},
                                          {0}};
static const weir_function_ops keeper = {.size = sizeof(keeper),
                                         .type = "keeper",
                                         .summary = "A function that keeps state.",
                                         .options = keeper_rows,
                                         .state_size = sizeof(struct kit_function),
                                         .flags = WEIR_FUNCTION_STATE,
                                         .call = part_call};

static const weir_source_ops *const sources[] = {&source, NULL};
static const weir_sink_ops *const sinks[] = {&sink, NULL};
static const weir_function_ops *const functions[] = {&function, &keeper, NULL};

WEIR_MODULE = {.abi = WEIR_ABI,
               .size = sizeof(weir_module_info),
               .name = "kit",
               .version = "1",
               .sources = sources,
               .sinks = sinks,
               .functions = functions};
