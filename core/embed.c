/* embed.c: the embedding interface: what weir_embed.h promises, over config, registry and engine.
 *
 * The normal path:
 *   1. Calls collect parts of a configuration, as texts, and kinds in the registry.
 *   2. weir_start reads the parts as a file is read, and makes the engine; from then on events may be pushed.
 *   3. weir_run turns the loop until the engine is over; or the host's loop does (embed_loop.h).
 *   4. At the end whoever still waits is answered; weir_free gives everything back.
 * How it fails: the first call that was refused is the result of the start, with all faults as text; an engine that
 * broke off ends its run here, not the process. This file and embed_ask.c have a lock, since stopping, asking and
 * pushing come from any thread; `opening` is the one thing that all instances share (weir_embed.h says why). */
#include "weir_embed.h"

#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "embed.h"
#include "source.h"

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

int embed_say(weir *w, int result, const char *format, ...)
{
    char *said = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&said, format, args) < 0)
        said = NULL;
    va_end(args);
    free(w->said);
    w->said = said;
    return result;
}

const char *weir_error(weir *w)
{
    return !w ? "out of memory\n" : w->said ? w->said : "";
}

int weir_exit_code(const weir *w)
{
    return w ? w->exit_code : EXIT_FAILED;
}

/* Making one. */

/* `weir` beside the shared library; of a static one this is beside the executable. NULL: there is no such folder.
 */
static const char *modules_find(char path[PATH_MAX])
{
    struct stat folder;
    Dl_info info;
    const char *set = getenv("WEIR_MODULES");
    if ((set && *set) || !dladdr((void *)(uintptr_t)&weir_new, &info) || !info.dli_fname ||
        !realpath(info.dli_fname, path))
        return NULL;
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/weir" > PATH_MAX)
        return NULL;
    memcpy(slash, "/weir", sizeof "/weir");
    return stat(path, &folder) == 0 && S_ISDIR(folder.st_mode) ? path : NULL;
}

static bool weir_init(weir *w)
{
    char path[PATH_MAX];
    struct error error;
    w->registry = registry_new(w->settings.modules ? w->settings.modules : modules_find(path));
    w->settings.modules = NULL; /* not looked at again, and the text is the caller's */
    return w->registry && registry_add(w->registry, &push_module, &error) == WEIR_OK;
}

weir *weir_new(const weir_settings *settings)
{
    if (settings && (settings->size < offsetof(weir_settings, reserved) || settings->size > 4096))
        return NULL;
    weir *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    if (settings)
        memcpy(&w->settings, settings, size_min(settings->size, sizeof w->settings));
    arena_init(&w->texts, 0);
    list_init(&w->questions);
    w->letter.open = embed_ask_open;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->answered, NULL);
    if (weir_init(w))
        return w;
    weir_free(w);
    return NULL;
}

/* The configuration. */

static int refuse(weir *w, int result)
{
    if (w->refused == WEIR_OK)
        w->refused = result;
    return result;
}

static int part_add(weir *w, struct config_part part)
{
    if (!w)
        return WEIR_NOMEM;
    if (w->phase != EMBED_NEW)
        return embed_say(w, WEIR_CLOSED, "the configuration cannot be changed after the start\n");
    if (w->part_count == w->part_room) {
        size_t room = w->part_room * 2 + 8;
        struct config_part *parts = realloc(w->parts, room * sizeof *parts);
        if (!parts)
            return refuse(w, WEIR_NOMEM);
        w->parts = parts;
        w->part_room = room;
    }
    const char **texts[] = {&part.name, &part.type, &part.text};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        *texts[i] = *texts[i] ? arena_text(&w->texts, view_of(*texts[i])) : NULL;
    if (w->texts.overflow)
        return refuse(w, WEIR_NOMEM);
    w->parts[w->part_count++] = part;
    return WEIR_OK;
}

int weir_file(weir *w, const char *path)
{
    return part_add(w, (struct config_part){.sort = PART_FILE, .text = path});
}

int weir_text(weir *w, const char *yaml)
{
    return part_add(w, (struct config_part){.sort = PART_TEXT, .text = yaml});
}

int weir_set(weir *w, const char *section, const char *yaml)
{
    return part_add(w, (struct config_part){.sort = PART_SECTION, .name = section, .text = yaml});
}

int weir_source(weir *w, const char *name, const char *type, const char *options)
{
    return part_add(w, (struct config_part){PART_SOURCE, name, type, options});
}

int weir_function(weir *w, const char *name, const char *type, const char *options)
{
    return part_add(w, (struct config_part){PART_FUNCTION, name, type, options});
}

int weir_sink(weir *w, const char *name, const char *type, const char *options)
{
    return part_add(w, (struct config_part){PART_SINK, name, type, options});
}

int weir_route(weir *w, const char *options)
{
    return part_add(w, (struct config_part){.sort = PART_ROUTE, .text = options});
}

/* The kind has a name of its own, so that a callback may be called what a built-in kind is. */
int weir_function_callback(weir *w, const char *name, weir_function_call *call, void *user, uint32_t flags)
{
    char type[40];
    snprintf(type, sizeof type, "callback-%zu", w ? w->part_count + 1 : 0);
    struct registry_call added = {.type = type, .call = call, .user = user, .flags = flags};
    struct error error;
    int result = weir_function(w, name, type, "{ concurrency: 1 }");
    if (result != WEIR_OK || (result = registry_add_call(w->registry, &added, &error)) == WEIR_OK)
        return result;
    w->part_count--;
    return refuse(w, embed_say(w, result, "the callback \"%.64s\": %s\n", name, error.text));
}

int weir_add(weir *w, const weir_module_info *module)
{
    struct error error;
    if (!w)
        return WEIR_NOMEM;
    if (w->phase != EMBED_NEW)
        return embed_say(w, WEIR_CLOSED, "kinds cannot be added after the start\n");
    int result = registry_add(w->registry, module, &error);
    return result == WEIR_OK ? WEIR_OK : refuse(w, embed_say(w, result, "%s\n", error.text));
}

/* The start. */

static void embed_log(void *arg, enum log_level level, const char *part, const char *message)
{
    const weir_settings *settings = arg;
    settings->log(settings->arg, (int)level, part, message);
}

/* What the log needs lives with it: a run that hung may still log when w is gone. */
static struct log *start_log(weir *w)
{
    enum log_level level = (enum log_level)w->config->log_level;
    if (!w->settings.log)
        return log_new(STDERR_FILENO, level, w->config->log_json != 0);
    weir_settings *kept = arena_zalloc(&w->config->arena, sizeof *kept);
    if (!kept)
        return NULL;
    *kept = w->settings;
    return log_new_call(embed_log, kept, level);
}

static int start_config(weir *w)
{
    int result = config_load_parts(&w->config, w->parts, w->part_count, w->registry);
    if (result == WEIR_OK)
        return WEIR_OK;
    w->exit_code = w->config && w->config->report.count ? EXIT_CONFIG : EXIT_FAILED;
    return embed_say(w, result, "%s",
                     w->config && w->config->report.text ? w->config->report.text : result_name(result));
}

static int start_exit_code(int result)
{
    switch (result) {
    case WEIR_INVALID:
        return EXIT_CONFIG;
    case WEIR_LOCKED:
    case WEIR_NEWER:
    case WEIR_DAMAGED:
        return EXIT_STORE;
    default:
        return EXIT_FAILED;
    }
}

static int start_engine(weir *w)
{
    struct error error = {0};
    w->log = start_log(w);
    int result = w->log ? engine_new(&w->engine, w->config, w->log, &error) : WEIR_NOMEM;
    if (result == WEIR_OK)
        return WEIR_OK;
    w->engine = NULL;
    w->exit_code = start_exit_code(result);
    return embed_say(w, result, "%s\n", error.text[0] ? error.text : result_name(result));
}

static int start_pushes(weir *w)
{
    w->pushes = calloc(w->engine->source_count + 1, sizeof *w->pushes);
    if (!w->pushes)
        return embed_say(w, WEIR_NOMEM, "out of memory\n");
    for (size_t i = 0; i < w->engine->source_count; i++) {
        struct source *source = &w->engine->sources[i];
        if (source->ops->want == source_push.want)
            w->pushes[w->push_count++] = (struct embed_push){source->instance.name, source->instance.state};
    }
    return WEIR_OK;
}

/* The disposition is the host's to set; what it means is only said. */
static void start_signals(const weir *w)
{
    struct sigaction pipe_action = {0};
    if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL)
        log_write(w->log, LOG_WARN, "embed", "SIGPIPE is not ignored: a peer that goes away may end this process");
}

static void start_control(weir *w)
{
    struct error error = {0};
    if (!w->settings.control)
        return;
    w->controlled = true;
    if (control_engine_open(&w->control, w->engine, w->config->store_path, w->log, &error) != WEIR_OK)
        log_write(w->log, LOG_WARN, "embed", "there is no control socket, commands cannot reach this run: %s",
                  error.text);
}

static void embed_end(weir *w);

static void embed_turned(void *arg)
{
    weir *w = arg;
    pthread_mutex_lock(&w->lock);
    w->loop_thread = pthread_self();
    pthread_mutex_unlock(&w->lock);
    if (!engine_over(w->engine) || w->phase == EMBED_ENDED)
        return;
    embed_loop_close(w->loop); /* so that the host's loop may end when weir has */
    w->loop = NULL;
    embed_end(w);
    if (w->settings.ended)
        w->settings.ended(w->settings.arg, (weir_result)w->refused);
}

static void embed_begin(weir *w)
{
    pthread_mutex_lock(&w->lock);
    w->loop_thread = pthread_self();
    w->phase = EMBED_RUNNING;
    pthread_mutex_unlock(&w->lock);
}

static int start_loop(weir *w)
{
    if (!w->settings.loop)
        return WEIR_OK;
    w->loop = embed_loop_new(w->settings.loop, engine_loop(w->engine), embed_turned, w);
    if (!w->loop)
        return embed_say(w, WEIR_IO, "the loop of the host cannot watch weir's\n");
    embed_begin(w);
    engine_begin(w->engine);
    return WEIR_OK;
}

static int start_parts(weir *w)
{
    int result = w->refused;
    w->exit_code = result == WEIR_INVALID ? EXIT_CONFIG : EXIT_FAILED;
    if (result != WEIR_OK)
        return result;
    pthread_mutex_lock(&opening);
    if ((result = start_config(w)) == WEIR_OK)
        result = start_engine(w);
    pthread_mutex_unlock(&opening);
    return result == WEIR_OK ? start_pushes(w) : result;
}

int weir_start(weir *w)
{
    if (!w)
        return WEIR_NOMEM;
    if (w->phase != EMBED_NEW)
        return embed_say(w, WEIR_CLOSED, "a weir is started once\n");
    int result = start_parts(w);
    if (result == WEIR_OK) {
        start_signals(w);
        start_control(w);
    }
    pthread_mutex_lock(&w->lock);
    w->phase = result == WEIR_OK ? EMBED_STARTED : EMBED_ENDED;
    if (result == WEIR_OK && w->stop_asked)
        engine_stop(w->engine);
    pthread_mutex_unlock(&w->lock);
    return result == WEIR_OK ? start_loop(w) : result;
}

/* The run. */

static int end_result(weir *w)
{
    w->exit_code = engine_exit_code(w->engine);
    if (engine_end(w->engine) == ENGINE_DIED)
        return embed_say(w, WEIR_IO,
                         "a commit failed: nothing was settled after it; start again when the disk is sound\n");
    if (engine_end(w->engine) == ENGINE_HUNG)
        return embed_say(w, WEIR_FATAL, "a call, a write or a connection did not end; it was given up\n");
    if (w->exit_code == EXIT_DONE)
        return embed_say(w, WEIR_OK, "%s", "");
    return embed_say(w, WEIR_FATAL,
                     "a route or an instance failed, or the stop took too long; the log says which\n");
}

/* The loop is not turned any more. `refused` becomes what the run returned. */
static void embed_end(weir *w)
{
    w->refused = end_result(w);
    pthread_mutex_lock(&w->lock);
    w->phase = EMBED_ENDED;
    embed_ask_close(w);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->push_count; i++)
        push_close(w->pushes[i].push);
    if (w->controlled)
        control_engine_close(&w->control);
    w->controlled = false;
}

int weir_run(weir *w)
{
    if (!w)
        return WEIR_NOMEM;
    if (w->settings.loop)
        return embed_say(w, WEIR_INVALID, "the host turns the loop: weir_start, and run that loop\n");
    int result = w->phase == EMBED_STARTED ? WEIR_OK : weir_start(w);
    if (result != WEIR_OK)
        return result;
    embed_begin(w);
    engine_run(w->engine);
    embed_end(w);
    return w->refused;
}

void weir_stop(weir *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop_asked = true;
    if (w->phase == EMBED_STARTED || w->phase == EMBED_RUNNING)
        engine_stop(w->engine);
    pthread_mutex_unlock(&w->lock);
}

/* The end. */

/* Of a run on the host's loop that is still going: it ends here, on a loop of its own. */
static void free_running(weir *w)
{
    if (w->loop)
        embed_loop_close(w->loop);
    w->loop = NULL;
    if (w->phase != EMBED_RUNNING && w->phase != EMBED_STARTED)
        return;
    if (w->phase == EMBED_RUNNING) {
        weir_stop(w);
        while (!engine_over(w->engine))
            uv_run(engine_loop(w->engine), UV_RUN_ONCE);
    }
    embed_end(w);
}

/* What a hung call may still come back to stays: the engine, and what it was told to use. */
static void free_engine(weir *w)
{
    if (w->engine && engine_hangs(w->engine))
        return;
    pthread_mutex_lock(&opening);
    engine_free(w->engine);
    pthread_mutex_unlock(&opening);
    config_free(w->config);
    registry_free(w->registry);
    log_free(w->log);
}

void weir_free(weir *w)
{
    if (!w)
        return;
    free_running(w);
    free_engine(w);
    arena_fini(&w->texts);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->answered);
    free(w->parts);
    free(w->pushes);
    free(w->said);
    free(w);
}
