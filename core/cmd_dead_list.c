/* cmd_dead_list.c: `weir dead list FILE`: a line for each dead letter, however many there are. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "cmd_dead.h"
#include "print.h"
#include "target.h"

struct listing {
    const struct invocation *invocation;
    struct target target;
    struct table table;
    struct json_list list;
    uint64_t count, limit; /* limit 0: all */
    bool more;
};

static void listing_row(struct listing *listing, const struct dead_letter *dead)
{
    struct arena *arena = &listing->table.arena;
    char attempts[48];
    snprintf(attempts, sizeof attempts, "%" PRIu32 "%s", dead->attempts, dead->replay_asked ? ", replay" : "");
    table_add(&listing->table, (const char *const[]){
                                   print_safe(arena, dead->event.id, 80),
                                   print_safe(arena, dead->route, NAME_MAX_BYTES),
                                   dead_stage(arena, dead),
                                   print_safe(arena, dead->event.key, 40),
                                   attempts,
                                   print_time(arena, dead->last_us),
                                   print_safe(arena, dead->cause, 120),
                               });
}

static bool listing_visit(void *arg, weir_view key, const struct dead_letter *dead)
{
    struct listing *listing = arg;
    UNUSED(key);
    if (listing->limit && listing->count == listing->limit) {
        listing->more = true;
        return false;
    }
    if (listing->invocation->json)
        json_list_add(&listing->list, dead_json(dead, false));
    else
        listing_row(listing, dead);
    listing->count++;
    return true;
}

static void listing_end(struct listing *listing)
{
    FILE *out = listing->target.out;
    if (listing->invocation->json) {
        cJSON *rest = cJSON_CreateObject();
        json_add_count(rest, "count", listing->count);
        cJSON_AddBoolToObject(rest, "more", listing->more);
        json_list_close(&listing->list, rest);
        return;
    }
    table_fini(&listing->table);
    if (!listing->count)
        fputs("no dead letters\n", out);
    if (listing->more)
        fputs("there are more; raise --limit to see them\n", out);
}

static void listing_between(void *arg)
{
    struct listing *listing = arg;
    target_flush(&listing->target);
}

static int listing_run(struct listing *listing)
{
    static const char *const titles[] = {"ID", "ROUTE", "STAGE", "KEY", "ATTEMPTS", "LAST", "CAUSE"};
    struct dead_selection selection = dead_options(listing->invocation, true);
    struct dead_scan scan = {
        .selection = &selection, .visit = listing_visit, .between = listing_between, .arg = listing};
    table_init(&listing->table, listing->target.out, titles, ARRAY_COUNT(titles));
    listing->table.bold = print_coloured(listing->invocation->out);
    if (listing->invocation->json)
        json_list_open(&listing->list, listing->target.out, "dead");
    int result = dead_scan(listing->target.reader, &scan);
    listing_end(listing);
    target_flush(&listing->target);
    if (result != WEIR_OK)
        return invocation_fail(listing->invocation, EXIT_STORE, "the store could not be read to its end: %s",
                               result_name(result));
    return EXIT_DONE;
}

static int dead_list_run(struct invocation *invocation)
{
    struct listing listing = {.invocation = invocation};
    int code = count_option(invocation, "limit", &listing.limit);
    if (code != EXIT_DONE)
        return code;
    code = target_find(&listing.target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = target_open(&listing.target, false);
    if (code == EXIT_DONE)
        code = listing_run(&listing);
    target_fini(&listing.target);
    return code;
}

static const struct command_option options[] = {
    DEAD_OPTIONS,
    {"limit", "N", "stop after so many"},
    {0},
};

const struct command command_dead_list = {
    .name = "dead list",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .summary = "list dead letters: events that could not be completed",
    .text = "Works beside a running weir. `replay` behind the attempts: it is asked for, and not done yet.\n",
    .prints = true,
    .run = dead_list_run,
};
