/* cmd_dead_show.c: `weir dead show FILE`: dead letters whole, with headers and payload. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "cmd_dead.h"
#include "print.h"
#include "target.h"

struct showing {
    const struct invocation *invocation;
    struct target target;
    struct json_list list;
    uint64_t count, limit;
    bool more;
};

static void show_line(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%-10s %s\n", name, value);
}

static void show_event(FILE *out, struct arena *arena, const weir_event *event)
{
    show_line(out, "time", print_time(arena, event->time_us));
    show_line(out, "key", print_safe(arena, event->key, 1000));
    show_line(out, "subject", print_safe(arena, event->subject, 1000));
    for (size_t i = 0; i < event->header_count; i++)
        fprintf(out, "%-10s %s: %s\n", "header", print_safe(arena, event->headers[i].name, 200),
                print_safe(arena, event->headers[i].value, 1000));
    if (!event->payload.data) {
        show_line(out, "payload", "absent");
        return;
    }
    fprintf(out, "%-10s %zu bytes\n\n", "payload", event->payload.size);
    print_payload(out, event->payload);
}

static void show_text(FILE *out, const struct dead_letter *dead)
{
    struct arena arena;
    arena_init(&arena, 0);
    show_line(out, "id", print_safe(&arena, dead->event.id, WEIR_ID_MAX));
    show_line(out, "route", print_safe(&arena, dead->route, NAME_MAX_BYTES));
    fprintf(out, "%-10s source %s, shard %s, position %" PRIu64 "\n", "origin",
            print_safe(&arena, dead->source, NAME_MAX_BYTES), print_safe(&arena, dead->shard, SHARD_MAX_BYTES),
            dead->position);
    show_line(out, "stage", dead_stage(&arena, dead));
    show_line(out, "cause", print_safe(&arena, dead->cause, 2000));
    fprintf(out, "%-10s %" PRIu32 ", replayed %" PRIu32 " times%s\n", "attempts", dead->attempts, dead->replays,
            dead->replay_asked ? ", waits for its replay" : "");
    show_line(out, "first", print_time(&arena, dead->first_us));
    show_line(out, "last", print_time(&arena, dead->last_us));
    show_event(out, &arena, &dead->event);
    arena_fini(&arena);
}

static bool show_visit(void *arg, weir_view key, const struct dead_letter *dead)
{
    struct showing *showing = arg;
    UNUSED(key);
    if (showing->limit && showing->count == showing->limit) {
        showing->more = true;
        return false;
    }
    if (showing->invocation->json) {
        json_list_add(&showing->list, dead_json(dead, true));
    } else {
        fputs(showing->count ? "\n" : "", showing->target.out);
        show_text(showing->target.out, dead);
    }
    showing->count++;
    return true;
}

static void show_between(void *arg)
{
    struct showing *showing = arg;
    target_flush(&showing->target);
}

static int show_all(struct showing *showing)
{
    const struct invocation *invocation = showing->invocation;
    struct dead_selection selection = dead_options(invocation, true);
    struct dead_scan scan = {.selection = &selection, .visit = show_visit, .between = show_between, .arg = showing};
    if (invocation->json)
        json_list_open(&showing->list, showing->target.out, "dead");
    int result = dead_scan(showing->target.reader, &scan);
    if (invocation->json)
        json_list_close(&showing->list, NULL);
    target_flush(&showing->target);
    if (result != WEIR_OK)
        return invocation_fail(invocation, EXIT_STORE, "the store could not be read to its end: %s",
                               result_name(result));
    if (!showing->count)
        return invocation_fail(invocation, EXIT_FAILED, "no such dead letter; see `weir dead list %s`",
                               showing->target.file);
    if (showing->more)
        fprintf(invocation->err, "more are selected; say which by --id and --route, or raise --limit\n");
    return EXIT_DONE;
}

static int dead_show_run(struct invocation *invocation)
{
    struct showing showing = {.invocation = invocation, .limit = 1};
    int code = count_option(invocation, "limit", &showing.limit);
    if (code != EXIT_DONE)
        return code;
    code = target_find(&showing.target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = target_open(&showing.target, false);
    if (code == EXIT_DONE)
        code = show_all(&showing);
    target_fini(&showing.target);
    return code;
}

static const struct command_option options[] = {
    DEAD_OPTIONS,
    {"limit", "N", "show up to so many; default 1, 0 is all"},
    {0},
};

const struct command command_dead_show = {
    .name = "dead show",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .options = options,
    .summary = "print a dead letter whole, with headers and payload",
    .text = "The first that the options select. A payload that is not printable is shown in hexadecimal digits.\n",
    .prints = true,
    .run = dead_show_run,
};
