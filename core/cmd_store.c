/* cmd_store.c: `weir store check FILE`: reads every record of the store, and tells which are damaged. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "command.h"
#include "print.h"
#include "target.h"

#define LISTED_MAX 1000 /* faults that are told one by one */

struct check {
    const struct invocation *invocation;
    struct target target;
    struct json_list faults; /* with -o json */
    uint64_t listed;
    uint64_t records, damaged;
    struct store_status status;
};

static void check_damaged(void *arg, enum store_table table, weir_view key, const char *what)
{
    struct check *check = arg;
    struct arena arena;
    if (check->listed++ >= LISTED_MAX)
        return;
    arena_init(&arena, 0);
    if (!check->invocation->json) {
        fprintf(check->target.out, "damaged: %s %s: %s\n", store_table_name(table), print_safe(&arena, key, 120),
                what);
    } else {
        cJSON *fault = cJSON_CreateObject();
        cJSON_AddStringToObject(fault, "table", store_table_name(table));
        cJSON_AddStringToObject(fault, "key_hex", print_hex(&arena, key));
        cJSON_AddStringToObject(fault, "what", what);
        json_list_add(&check->faults, fault);
    }
    arena_fini(&arena);
}

static void check_text(struct check *check)
{
    static const char *const titles[] = {"TABLE", "RECORDS"};
    struct table table;
    struct arena *arena = &check->target.arena;
    FILE *out = check->target.out;
    if (check->listed > LISTED_MAX)
        fprintf(out, "and %" PRIu64 " more\n", check->listed - LISTED_MAX);
    table_init(&table, out, titles, ARRAY_COUNT(titles));
    table.bold = print_coloured(check->invocation->out);
    for (int i = 0; i < TABLE_COUNT; i++)
        table_add(&table, (const char *const[]){store_table_name((enum store_table)i),
                                                print_number(arena, check->status.records[i])});
    table_fini(&table);
    fprintf(out, "\n%s: %s in use of %s\n", check->target.path, print_size(arena, check->status.bytes_used),
            print_size(arena, check->status.bytes_max));
    if (!check->damaged)
        fprintf(out, "all of %" PRIu64 " records are sound\n", check->records);
    else
        fprintf(out,
                "%" PRIu64 " of %" PRIu64
                " records are damaged; they are never served, and weir goes on with the rest\n",
                check->damaged, check->records);
}

static void check_json(struct check *check)
{
    cJSON *rest = cJSON_CreateObject(), *tables = cJSON_CreateObject();
    cJSON_AddStringToObject(rest, "path", check->target.path);
    cJSON_AddBoolToObject(rest, "sound", !check->damaged);
    json_add_count(rest, "records", check->records);
    json_add_count(rest, "damaged", check->damaged);
    json_add_count(rest, "bytes_used", check->status.bytes_used);
    json_add_count(rest, "bytes_max", check->status.bytes_max);
    for (int i = 0; i < TABLE_COUNT; i++)
        json_add_count(tables, store_table_name((enum store_table)i), check->status.records[i]);
    cJSON_AddItemToObject(rest, "tables", tables);
    json_list_close(&check->faults, rest);
}

static int check_open_store(struct check *check)
{
    if (check->invocation->json)
        json_list_open(&check->faults, check->target.out, "faults");
    int result = store_check(check->target.store, check_damaged, check, &check->records, &check->damaged);
    store_status(check->target.store, &check->status);
    if (check->invocation->json)
        check_json(check);
    else
        check_text(check);
    target_flush(&check->target);
    if (result != WEIR_OK && !check->damaged)
        return invocation_fail(check->invocation, EXIT_STORE, "%s could not be read to its end: %s",
                               check->target.path, result_name(result));
    return check->damaged ? EXIT_STORE : EXIT_DONE;
}

static int store_run(struct invocation *invocation)
{
    struct check check = {.invocation = invocation};
    int code = target_find(&check.target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = target_open(&check.target, false);
    if (code == EXIT_DONE)
        code = check_open_store(&check);
    target_fini(&check.target);
    return code;
}

const struct command command_store = {
    .name = "store check",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "read every record of the store and report what is damaged",
    .text = "Works beside a running weir. The exit code is 4 when a record is damaged.\n",
    .prints = true,
    .run = store_run,
};
