/* cmd_dead.c: what the `weir dead` commands share: the selection from the options, a dead letter as JSON, and how
 * one is changed.
 *
 * The normal path of a change: step after step through the control socket while weir runs (control.h); with no weir
 * there, the same steps with the store's lock. How it fails: a weir that has the store but does not answer leaves
 * everything as it is. What an earlier step changed stays changed, and is told. */
#include "cmd_dead.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

#include "control_engine.h"
#include "print.h"
#include "target.h"

#define ANSWER_TIMEOUT_MS 60000 /* a step may wait for a commit on a slow disk */

struct dead_selection dead_options(const struct invocation *invocation, bool all)
{
    return (struct dead_selection){
        .route = invocation_value(invocation, "route"),
        .id = invocation_value(invocation, "id"),
        .key = invocation_value(invocation, "key"),
        .cause = invocation_value(invocation, "cause"),
        .all = all,
    };
}

const char *dead_stage(struct arena *arena, const struct dead_letter *dead)
{
    bool sink = dead->stage.size > 0;
    const char *name = print_safe(arena, sink ? dead->stage : dead->function, NAME_MAX_BYTES);
    const char *text = arena_printf(arena, "%s %s", sink ? "sink" : "function", name);
    return text ? text : "?";
}

static cJSON *headers_json(const weir_event *event)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < event->header_count; i++) {
        cJSON *header = cJSON_CreateObject();
        json_add_bytes(header, "name", event->headers[i].name);
        json_add_bytes(header, "value", event->headers[i].value);
        cJSON_AddItemToArray(list, header);
    }
    return list;
}

struct cJSON *dead_json(const struct dead_letter *dead, bool whole)
{
    cJSON *object = cJSON_CreateObject();
    json_add_bytes(object, "id", dead->event.id);
    json_add_bytes(object, "route", dead->route);
    json_add_bytes(object, "source", dead->source);
    json_add_bytes(object, "shard", dead->shard);
    json_add_count(object, "position", dead->position);
    cJSON_AddStringToObject(object, "stage", dead->stage.size ? "sink" : "function");
    json_add_bytes(object, "name", dead->stage.size ? dead->stage : dead->function);
    json_add_bytes(object, "cause", dead->cause);
    json_add_count(object, "attempts", dead->attempts);
    json_add_count(object, "replays", dead->replays);
    cJSON_AddBoolToObject(object, "replay_asked", dead->replay_asked);
    json_add_time(object, "first", dead->first_us);
    json_add_time(object, "last", dead->last_us);
    json_add_bytes(object, "key", dead->event.key);
    json_add_bytes(object, "subject", dead->event.subject);
    json_add_time(object, "time", dead->event.time_us);
    if (whole) {
        cJSON_AddItemToObject(object, "headers", headers_json(&dead->event));
        json_add_bytes(object, "payload", dead->event.payload);
    }
    return object;
}

struct changing {
    const struct invocation *invocation;
    struct target target;
    struct dead_selection selection;
    enum dead_change change;
    uint64_t changed;
    bool running;
};

static int changing_failed(const struct changing *changing, int code, const char *text)
{
    return invocation_fail(changing->invocation, code, "%s (after %" PRIu64 " dead letters)", text,
                           changing->changed);
}

static int change_by_socket(struct changing *changing, struct control_client *client)
{
    cJSON *answer = NULL;
    bool more = true;
    while (more) {
        struct error error;
        const char *after = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "after"));
        cJSON *request = dead_request(changing->change, &changing->selection, after);
        cJSON_Delete(answer);
        if (control_ask(client, request, &answer, &error) != WEIR_OK)
            return changing_failed(changing, EXIT_FAILED, error.text);
        double changed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(answer, "changed"));
        changing->changed += changed > 0 ? (uint64_t)changed : 0;
        more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "more"));
    }
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int change_in_store(struct changing *changing)
{
    struct dead_step step = {0};
    do {
        struct key after = step.last;
        int result = dead_step(changing->target.reader, &changing->selection, changing->change,
                               after.size ? &after : NULL, &step);
        if (result == WEIR_OK && step.changed)
            result = store_apply(changing->target.store, step.ops);
        else
            store_ops_free(step.ops);
        if (result != WEIR_OK)
            return changing_failed(changing, result == WEIR_IO ? EXIT_COMMIT : EXIT_STORE,
                                   result == WEIR_FULL ? "the store has no room" : "the store failed");
        changing->changed += step.changed;
    } while (step.more);
    return EXIT_DONE;
}

static void changing_tell(const struct changing *changing)
{
    FILE *out = changing->invocation->out;
    if (changing->invocation->json) {
        cJSON *document = cJSON_CreateObject();
        json_add_count(document, "changed", changing->changed);
        cJSON_AddBoolToObject(document, "running", changing->running);
        json_print(out, document);
        return;
    }
    const char *plural = changing->changed == 1 ? "" : "s";
    if (!changing->changed)
        fprintf(out, "nothing was changed: no dead letter %s\n",
                changing->change == DEAD_DROP ? "is selected"
                                              : "is selected that does not wait for its replay already");
    else if (changing->change == DEAD_DROP)
        fprintf(out, "%" PRIu64 " dead letter%s dropped\n", changing->changed, plural);
    else if (changing->running)
        fprintf(out, "%" PRIu64 " dead letter%s on the way again; `weir status %s` shows how it goes\n",
                changing->changed, plural, changing->target.file);
    else
        fprintf(out, "%" PRIu64 " dead letter%s will be replayed by the next `weir run %s`\n", changing->changed,
                plural, changing->target.file);
}

static int changing_start(struct changing *changing)
{
    struct control_client client;
    struct error error;
    int result = control_connect(&client, changing->target.path, ANSWER_TIMEOUT_MS, &error);
    if (result == WEIR_OK) {
        changing->running = true;
        int code = change_by_socket(changing, &client);
        control_disconnect(&client);
        return code;
    }
    if (result != WEIR_MISSING)
        return invocation_fail(changing->invocation, EXIT_FAILED, "%s", error.text);
    int code = target_open(&changing->target, true);
    return code == EXIT_DONE ? change_in_store(changing) : code;
}

int dead_change_run(const struct invocation *invocation, enum dead_change change)
{
    struct changing changing = {.invocation = invocation, .change = change};
    changing.selection = dead_options(invocation, invocation_value(invocation, "all") != NULL);
    if (dead_selection_empty(&changing.selection))
        return invocation_fail(invocation, EXIT_USAGE,
                               "say which: --route, --id, --key, --cause, or --all for every dead letter");
    int code = target_find(&changing.target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = changing_start(&changing);
    if (code == EXIT_DONE) {
        changing_tell(&changing);
        code = changing.changed || changing.selection.all ? EXIT_DONE : EXIT_FAILED;
    }
    target_fini(&changing.target);
    return code;
}
