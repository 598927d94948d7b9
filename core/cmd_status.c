/* cmd_status.c: `weir status FILE`: what a running weir is doing, or what the store of a stopped one knows.
 *
 * The normal path: engine_status as it came through the control socket, for people as a table of each list. How it
 * fails: a weir that has the socket and does not answer is said so. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "clock.h"
#include "command.h"
#include "control.h"
#include "print.h"
#include "target.h"

#define STATUS_TIMEOUT_MS 5000

enum kind { KIND_TEXT, KIND_COUNT, KIND_SIZE, KIND_DURATION };
struct column {
    const char *title, *member; /* several members: the first that is there, as "reason holds" */
    enum kind kind;
};

struct list {
    const char *name;  /* of the list in the status */
    const char *inner; /* the list within each item whose rows are meant; NULL: the items themselves */
    const struct column *columns;
    size_t count;
};

static const struct column route_columns[] = {
    {"ROUTE", "name", KIND_TEXT},
    {"STATE", "state", KIND_TEXT},
    {"IN FLIGHT", "open_events", KIND_COUNT},
    {"OF", "in_flight_max", KIND_COUNT},
    {"CALLS", "calls", KIND_COUNT},
    {"WRITES", "writes", KIND_COUNT},
    {"RETRYING", "waiting", KIND_COUNT},
    {"COMPLETED", "completed_total", KIND_COUNT},
    {"DEAD", "dead_letters_total", KIND_COUNT},
    {"BLOCKED SINCE", "blocked_since", KIND_TEXT},
    {"WHY", "reason holds", KIND_TEXT},
};
static const struct column source_columns[] = {
    {"SOURCE", "name", KIND_TEXT},
    {"TYPE", "type", KIND_TEXT},
    {"STATE", "state", KIND_TEXT},
    {"ACCEPTED", "accepted_total", KIND_COUNT},
    {"REFUSED", "refused_total", KIND_COUNT},
    {"CREDIT", "credit_events", KIND_COUNT},
    {"JOURNAL EVENTS", "journal_events", KIND_COUNT},
    {"SIZE", "journal_bytes", KIND_SIZE},
};
static const struct column shard_columns[] = {
    {"SOURCE", NULL, KIND_TEXT},
    {"SHARD", "name", KIND_TEXT},
    {"EMITTED", "emitted", KIND_COUNT},
    {"COMPLETED", "completed", KIND_COUNT},
};
static const struct column sink_columns[] = {
    {"SINK", "name", KIND_TEXT},
    {"TYPE", "type", KIND_TEXT},
    {"STATE", "state", KIND_TEXT},
    {"CONFIRMED", "confirmed_total", KIND_COUNT},
    {"REJECTED", "rejected_total", KIND_COUNT},
    {"RETRIES", "retries_total", KIND_COUNT},
    {"OPEN", "open_writes", KIND_COUNT},
    {"FAILING SINCE", "failing_since", KIND_TEXT},
    {"WHY", "failing", KIND_TEXT},
};
static const struct list lists[] = {
    {"routes", NULL, route_columns, ARRAY_COUNT(route_columns)},
    {"sources", NULL, source_columns, ARRAY_COUNT(source_columns)},
    {"sources", "shards", shard_columns, ARRAY_COUNT(shard_columns)},
    {"sinks", NULL, sink_columns, ARRAY_COUNT(sink_columns)},
};

static const cJSON *member_find(const cJSON *item, const char *names)
{
    const cJSON *found = NULL;
    char name[64];
    while (*names && !found) {
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        found = cJSON_GetObjectItemCaseSensitive(item, name);
        names += length + (names[length] == ' ');
    }
    return found;
}

static const char *member_text(struct arena *arena, const cJSON *member, enum kind kind)
{
    if (cJSON_IsString(member))
        return print_safe(arena, view_of(member->valuestring), 80);
    if (!cJSON_IsNumber(member) || member->valuedouble < 0)
        return "-";
    if (kind == KIND_SIZE)
        return print_size(arena, (uint64_t)member->valuedouble);
    if (kind == KIND_DURATION)
        return print_duration(arena, (int64_t)(member->valuedouble * (double)SECOND_US));
    return print_number(arena, (uint64_t)member->valuedouble);
}

static void row_add(struct table *table, const struct list *list, const cJSON *item, const char *owner)
{
    const char *cells[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < list->count; i++) {
        const char *names = list->columns[i].member;
        cells[i] = names ? member_text(&table->arena, member_find(item, names), list->columns[i].kind) : owner;
    }
    table_add(table, cells);
}

static void list_print(FILE *out, const cJSON *status, const struct list *list)
{
    const char *titles[TABLE_COLUMNS_MAX];
    struct table table;
    struct arena names; /* outlive the table's rows */
    const cJSON *item, *row;
    arena_init(&names, 0);
    for (size_t i = 0; i < list->count; i++)
        titles[i] = list->columns[i].title;
    table_init(&table, out, titles, list->count);
    table.before = "";
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, list->name))
    {
        const char *name = member_text(&names, member_find(item, "name"), KIND_TEXT);
        if (!list->inner)
            row_add(&table, list, item, NULL);
        else
            cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(item, list->inner))
                row_add(&table, list, row, name);
    }
    table_fini(&table);
    arena_fini(&names);
}

static void status_print(FILE *out, const cJSON *status)
{
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(status, "store");
    struct arena arena;
    arena_init(&arena, 0);
    fprintf(out, "%s for %s, memory %s of %s\n", member_text(&arena, member_find(status, "state"), KIND_TEXT),
            member_text(&arena, member_find(status, "uptime_s"), KIND_DURATION),
            member_text(&arena, member_find(status, "memory_bytes"), KIND_SIZE),
            member_text(&arena, member_find(status, "memory_max"), KIND_SIZE));
    fprintf(out, "store %s: %s in use of %s, room for %s, %s dead letters%s\n",
            member_text(&arena, member_find(store, "path"), KIND_TEXT),
            member_text(&arena, member_find(store, "bytes_used"), KIND_SIZE),
            member_text(&arena, member_find(store, "bytes_max"), KIND_SIZE),
            member_text(&arena, member_find(store, "room"), KIND_SIZE),
            member_text(&arena, member_find(store, "dead_letters"), KIND_COUNT),
            cJSON_IsTrue(member_find(store, "full")) ? "; FULL: nothing is accepted until there is room" : "");
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        list_print(out, status, &lists[i]);
    arena_fini(&arena);
}

static int status_running(const struct invocation *invocation, struct control_client *client)
{
    struct error error;
    cJSON *status, *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "command", "status");
    if (control_ask(client, request, &status, &error) != WEIR_OK)
        return invocation_fail(invocation, EXIT_FAILED, "%s", error.text);
    cJSON_DeleteItemFromObjectCaseSensitive(status, "ok");
    if (!invocation->json) {
        status_print(invocation->out, status);
        cJSON_Delete(status);
        return EXIT_DONE;
    }
    cJSON_AddTrueToObject(status, "running");
    json_print(invocation->out, status);
    return EXIT_DONE;
}

static void stopped_json(const struct target *target, const struct store_status *status)
{
    cJSON *document = cJSON_CreateObject(), *store = cJSON_CreateObject(), *records = cJSON_CreateObject();
    cJSON_AddFalseToObject(document, "running");
    cJSON_AddStringToObject(store, "path", target->path);
    json_add_count(store, "bytes_used", status->bytes_used);
    json_add_count(store, "bytes_max", status->bytes_max);
    for (int i = 0; i < TABLE_COUNT; i++)
        json_add_count(records, store_table_name((enum store_table)i), status->records[i]);
    cJSON_AddItemToObject(store, "records", records);
    cJSON_AddItemToObject(document, "store", store);
    json_print(target->invocation->out, document);
}

static int status_stopped(struct target *target)
{
    struct store_status status;
    int code = target_open(target, false);
    if (code != EXIT_DONE)
        return code;
    store_status(target->store, &status);
    if (target->invocation->json) {
        stopped_json(target, &status);
        return EXIT_DONE;
    }
    FILE *out = target->invocation->out;
    fprintf(out, "stopped: no weir is running on %s\n", target->path);
    fprintf(out, "store         %s in use of %s\n", print_size(&target->arena, status.bytes_used),
            print_size(&target->arena, status.bytes_max));
    fprintf(out, "dead letters  %" PRIu64 "\n", status.records[TABLE_DEAD]);
    fprintf(out, "journal       %" PRIu64 " blocks wait for the next run\n", status.records[TABLE_JOURNAL]);
    fprintf(out, "positions     %" PRIu64 "; `weir checkpoint show %s` lists them\n",
            status.records[TABLE_POSITION], target->file);
    if (status.records[TABLE_QUARANTINE])
        fprintf(out, "damaged       %" PRIu64 " records are in the quarantine\n", status.records[TABLE_QUARANTINE]);
    return EXIT_DONE;
}

static int status_find(struct target *target)
{
    struct control_client client;
    struct error error;
    int result = control_connect(&client, target->path, STATUS_TIMEOUT_MS, &error);
    if (result == WEIR_MISSING)
        return status_stopped(target);
    if (result != WEIR_OK)
        return invocation_fail(target->invocation, EXIT_FAILED, "%s", error.text);
    int code = status_running(target->invocation, &client);
    control_disconnect(&client);
    return code;
}

static int status_run(struct invocation *invocation)
{
    struct target target;
    int code = target_find(&target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = status_find(&target);
    target_fini(&target);
    return code;
}

const struct command command_status = {
    .name = "status",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "show what a running weir is doing, or what a stopped one left",
    .text = "Sources, routes and sinks of a running weir; without one, what its store holds.\n",
    .prints = true,
    .run = status_run,
};
