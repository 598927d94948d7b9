/* control_engine.c: see control_engine.h.
 *
 * The normal path of a dead-replay or dead-drop:
 *   1. One step over the dead letters (dead_select.h) makes a change set, in the loop's turn of the request.
 *   2. The engine puts it into its next transaction.
 *   3. When that is durable, the client is answered, and a replay begins.
 * How it fails: no room, or a poisoned store: the client is told, and nothing of that step was changed. */
#include "control_engine.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "arena.h"
#include "print.h"

/* A step that waits for its commit. */
struct dead_job {
    struct control_engine *control;
    struct control_request *request;
    enum dead_change change;
    struct dead_step step;
};

static const char *body_text(const cJSON *body, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, name));
}

static struct dead_selection body_selection(const cJSON *body)
{
    return (struct dead_selection){
        .route = body_text(body, "route"),
        .id = body_text(body, "id"),
        .key = body_text(body, "key"),
        .cause = body_text(body, "cause"),
        .all = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "all")),
    };
}

/* False: a member is unknown or of another type, so the selection would be wider than what was meant. */
static bool body_sound(const cJSON *body)
{
    static const char *const texts[] = {"command", "route", "id", "key", "cause", "after"};
    for (const cJSON *item = body->child; item; item = item->next) {
        bool sound = !strcmp(item->string, "all") && cJSON_IsBool(item);
        for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
            sound |= !strcmp(item->string, texts[i]) && cJSON_IsString(item);
        if (!sound)
            return false;
    }
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool key_read(const char *hex, struct key *key)
{
    size_t digits = strlen(hex);
    if (digits % 2 || digits / 2 > sizeof key->data)
        return false;
    key->size = digits / 2;
    for (size_t i = 0; i < key->size; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key->data[i] = (char)(high << 4 | low);
    }
    return true;
}

static void dead_done(void *arg, int result)
{
    struct dead_job *job = arg;
    struct arena arena;
    if (result != WEIR_OK) {
        control_refuse(job->request, result == WEIR_FULL ? "the store has no room: free some and try again"
                                                         : "the store could not write; see the log");
    } else {
        arena_init(&arena, 0);
        cJSON *answer = cJSON_CreateObject();
        json_add_count(answer, "changed", job->step.changed);
        cJSON_AddBoolToObject(answer, "more", job->step.more);
        cJSON_AddStringToObject(answer, "after", print_hex(&arena, key_view(&job->step.last)));
        control_answer(job->request, answer);
        arena_fini(&arena);
        /* The socket may be closed by now, and the engine about to end: its next run takes them up. */
        if (job->change == DEAD_REPLAY && job->step.changed && job->control->engine)
            engine_replay(job->control->engine);
    }
    free(job);
}

static void dead_start(struct dead_job *job, const struct dead_selection *selection, const struct key *after)
{
    int result = dead_step(job->control->reader, selection, job->change, after, &job->step);
    if (result != WEIR_OK) {
        control_refuse(job->request, "the dead letters could not be read: %s", result_name(result));
        free(job);
    } else if (!job->step.changed) {
        store_ops_free(job->step.ops);
        dead_done(job, WEIR_OK);
    } else {
        engine_change(job->control->engine, job->step.ops, dead_done, job);
    }
}

static void answer_dead(struct control_engine *control, struct control_request *request, enum dead_change change)
{
    const cJSON *body = control_request_body(request);
    struct dead_selection selection = body_selection(body);
    const char *after = body_text(body, "after");
    struct key key;
    if (!body_sound(body) || dead_selection_empty(&selection)) {
        control_refuse(request, "say which: texts `route`, `id`, `key`, `cause`, or \"all\":true");
        return;
    }
    if (after && !key_read(after, &key)) {
        control_refuse(request, "`after` is no key");
        return;
    }
    struct dead_job *job = calloc(1, sizeof *job);
    if (!job) {
        control_refuse(request, "out of memory");
        return;
    }
    *job = (struct dead_job){.control = control, .request = request, .change = change};
    dead_start(job, &selection, after ? &key : NULL);
}

static void answer_status(struct control_engine *control, struct control_request *request)
{
    cJSON *status = engine_status(control->engine);
    if (status)
        control_answer(request, status);
    else
        control_refuse(request, "out of memory");
}

static void control_engine_answer(void *arg, struct control_request *request)
{
    struct control_engine *control = arg;
    const char *command = control_request_command(request);
    if (!strcmp(command, "status")) {
        answer_status(control, request);
    } else if (!strcmp(command, "dead-replay")) {
        answer_dead(control, request, DEAD_REPLAY);
    } else if (!strcmp(command, "dead-drop")) {
        answer_dead(control, request, DEAD_DROP);
    } else if (!strcmp(command, "ping")) {
        control_answer(request, cJSON_CreateObject());
    } else if (!strcmp(command, "stop")) {
        control_answer(request, cJSON_CreateObject());
        engine_stop(control->engine);
    } else {
        control_refuse(request, "unknown command; known are status, dead-replay, dead-drop, stop, ping");
    }
}

int control_engine_open(struct control_engine *control, struct engine *engine, const char *folder, struct log *log,
                        struct error *error)
{
    *control = (struct control_engine){.engine = engine, .reader = store_reader_new(engine_store(engine))};
    if (!control->reader)
        return error_set(error, WEIR_NOMEM, "out of memory");
    struct control_options options = {.loop = engine_loop(engine),
                                      .folder = folder,
                                      .log = log,
                                      .handler = control_engine_answer,
                                      .arg = control};
    return control_open(&control->control, &options, error);
}

void control_engine_close(struct control_engine *control)
{
    control_close(control->control);
    if (control->reader)
        store_reader_free(control->reader);
    *control = (struct control_engine){0};
}

static void request_text(cJSON *request, const char *name, const char *text)
{
    if (text)
        cJSON_AddStringToObject(request, name, text);
}

struct cJSON *dead_request(enum dead_change change, const struct dead_selection *selection, const char *after)
{
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "command", change == DEAD_REPLAY ? "dead-replay" : "dead-drop");
    request_text(request, "route", selection->route);
    request_text(request, "id", selection->id);
    request_text(request, "key", selection->key);
    request_text(request, "cause", selection->cause);
    request_text(request, "after", after);
    if (selection->all)
        cJSON_AddTrueToObject(request, "all");
    return request;
}
