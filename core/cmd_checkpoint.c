/* cmd_checkpoint.c: `weir checkpoint show FILE`: where each route stands, as the store has it: positions, sources'
 * notes, attempts that never came back, and what the journals hold. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "command.h"
#include "journal_block.h"
#include "keys.h"
#include "print.h"
#include "target.h"

/* One table of the store on its way out. */
struct section {
    struct target *target;
    bool json;
    struct table table;
    cJSON *list;
    struct arena scratch; /* of one record */
};

static void position_text(struct section *section, const weir_view *parts, const struct route_vector *vector)
{
    struct arena *arena = &section->table.arena;
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (uint32_t i = 0; i < vector->lanes; i++) {
        lowest = vector->positions[i] < lowest ? vector->positions[i] : lowest;
        highest = vector->positions[i] > highest ? vector->positions[i] : highest;
    }
    if (vector->range_count)
        highest = vector->ranges[vector->range_count - 1][1];
    table_add(&section->table, (const char *const[]){
                                   print_safe(arena, parts[0], NAME_MAX_BYTES),
                                   print_safe(arena, parts[1], NAME_MAX_BYTES),
                                   print_safe(arena, parts[2], 60),
                                   print_number(arena, vector->lanes),
                                   print_number(arena, lowest),
                                   print_number(arena, highest),
                                   print_number(arena, vector->range_count),
                               });
}

static cJSON *number_list(const uint64_t *numbers, size_t count)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        char digits[21] = {0};
        decimal_write(digits, numbers[i]);
        cJSON_AddItemToArray(list, cJSON_CreateRaw(digits));
    }
    return list;
}

static void position_json(struct section *section, const weir_view *parts, const struct route_vector *vector)
{
    cJSON *item = cJSON_CreateObject();
    json_add_bytes(item, "route", parts[0]);
    json_add_bytes(item, "source", parts[1]);
    json_add_bytes(item, "shard", parts[2]);
    json_add_count(item, "lanes", vector->lanes);
    cJSON_AddItemToObject(item, "positions", number_list(vector->positions, vector->lanes));
    cJSON *ranges = cJSON_AddArrayToObject(item, "ranges");
    for (size_t i = 0; i < vector->range_count; i++)
        cJSON_AddItemToArray(ranges, number_list(vector->ranges[i], 2));
    cJSON_AddItemToArray(section->list, item);
}

static bool position_visit(void *arg, weir_view key, weir_view value)
{
    struct section *section = arg;
    struct route_vector vector;
    weir_view parts[3] = {{0}}, rest;
    arena_reset(&section->scratch);
    if (key_split(key, parts, 3, &rest) != 3 || vector_decode(value, &section->scratch, &vector) != WEIR_OK)
        return true; /* `store check` speaks of damage */
    if (section->json)
        position_json(section, parts, &vector);
    else
        position_text(section, parts, &vector);
    return true;
}

static bool note_visit(void *arg, weir_view key, weir_view value)
{
    struct section *section = arg;
    weir_view parts[2] = {{0}}, rest;
    if (key_split(key, parts, 2, &rest) != 2)
        return true;
    if (section->json) {
        cJSON *item = cJSON_CreateObject();
        json_add_bytes(item, "source", parts[0]);
        json_add_bytes(item, "shard", parts[1]);
        json_add_bytes(item, "note", value);
        cJSON_AddItemToArray(section->list, item);
        return true;
    }
    struct arena *arena = &section->table.arena;
    table_add(&section->table,
              (const char *const[]){print_safe(arena, parts[0], NAME_MAX_BYTES), print_safe(arena, parts[1], 60),
                                    print_safe(arena, value, 100)});
    return true;
}

static bool attempt_visit(void *arg, weir_view key, weir_view value)
{
    struct section *section = arg;
    weir_view parts[3] = {{0}}, rest;
    if (key_split(key, parts, 3, &rest) != 3 || rest.size != 8 || value.size != 4)
        return true;
    if (section->json) {
        cJSON *item = cJSON_CreateObject();
        json_add_bytes(item, "route", parts[0]);
        json_add_bytes(item, "source", parts[1]);
        json_add_bytes(item, "shard", parts[2]);
        json_add_count(item, "position", get_be64(rest.data));
        json_add_count(item, "attempts", get_le32(value.data) & ~ATTEMPT_AMONG);
        cJSON_AddItemToArray(section->list, item);
        return true;
    }
    struct arena *arena = &section->table.arena;
    table_add(&section->table,
              (const char *const[]){print_safe(arena, parts[0], NAME_MAX_BYTES),
                                    print_safe(arena, parts[1], NAME_MAX_BYTES), print_safe(arena, parts[2], 60),
                                    print_number(arena, get_be64(rest.data)),
                                    print_number(arena, get_le32(value.data) & ~ATTEMPT_AMONG)});
    return true;
}

/* The records of one source's journal, summed up. */
struct journal_sum {
    struct key last;
    uint64_t first, end, blocks, bytes;
};

static bool journal_first(void *arg, weir_view key, weir_view value)
{
    struct key *found = arg;
    UNUSED(value);
    found->size = key.size;
    memcpy(found->data, key.data, key.size);
    return false;
}

static bool journal_add(void *arg, weir_view key, weir_view value)
{
    struct journal_sum *sum = arg;
    uint64_t first = get_be64(key.data + key.size - 8);
    if (!sum->blocks++)
        sum->first = first;
    sum->end = first;
    sum->bytes += value.size;
    sum->last.size = key.size;
    memcpy(sum->last.data, key.data, key.size);
    return true;
}

static void journal_show(struct section *section, weir_view source, const struct journal_sum *sum)
{
    if (section->json) {
        cJSON *item = cJSON_CreateObject();
        json_add_bytes(item, "source", source);
        json_add_count(item, "first", sum->first);
        json_add_count(item, "last", sum->end);
        json_add_count(item, "blocks", sum->blocks);
        json_add_count(item, "bytes", sum->bytes);
        cJSON_AddItemToArray(section->list, item);
        return;
    }
    struct arena *arena = &section->table.arena;
    table_add(&section->table, (const char *const[]){
                                   print_safe(arena, source, NAME_MAX_BYTES),
                                   print_number(arena, sum->first),
                                   print_number(arena, sum->end),
                                   print_number(arena, sum->blocks),
                                   print_size(arena, sum->bytes),
                               });
}

/* One source's journal. Only its last block is opened, to see where it ends. */
static int journal_source(struct section *section, weir_view source)
{
    struct journal_sum sum = {0};
    struct journal_block_info info;
    struct key from, to;
    weir_view block;
    key_journal(&from, source, 0);
    key_journal(&to, source, UINT64_MAX);
    int result =
        store_scan(section->target->reader, TABLE_JOURNAL, key_view(&from), key_view(&to), journal_add, &sum);
    if (result != WEIR_OK || !sum.blocks)
        return result;
    arena_reset(&section->scratch);
    if (store_get(section->target->reader, TABLE_JOURNAL, key_view(&sum.last), &section->scratch, &block) ==
            WEIR_OK &&
        journal_block_info(block, &info) == WEIR_OK && info.count)
        sum.end = info.first + info.count - 1;
    journal_show(section, source, &sum);
    return WEIR_OK;
}

static int journals_scan(struct section *section)
{
    struct key found = {0}, from = {0};
    int result = WEIR_OK;
    while (result == WEIR_OK) {
        weir_view source, rest, none = {0};
        found.size = 0;
        result = store_scan(section->target->reader, TABLE_JOURNAL, from.size ? key_view(&from) : none, none,
                            journal_first, &found);
        if (result != WEIR_OK || !found.size)
            return result;
        if (key_split(key_view(&found), &source, 1, &rest) != 1 || source.size > NAME_MAX_BYTES || rest.size != 8)
            return WEIR_DAMAGED;
        result = journal_source(section, source);
        from = found;
        from.size = source.size + 1;
        from.data[source.size] = 1; /* behind every key of this source */
    }
    return result;
}

static int table_scan(struct section *section, enum store_table table, store_visit *visit)
{
    weir_view none = {0};
    return store_scan(section->target->reader, table, none, none, visit, section);
}

struct section_kind {
    const char *name, *title; /* in JSON; for people */
    enum store_table table;
    store_visit *visit; /* NULL: the journals */
    const char *const *columns;
    size_t column_count;
};

static int section_show(struct target *target, const struct section_kind *kind, cJSON *document)
{
    struct section section = {.target = target, .json = document != NULL};
    if (document)
        section.list = cJSON_AddArrayToObject(document, kind->name);
    table_init(&section.table, target->out, kind->columns, kind->column_count);
    section.table.before = kind->title;
    section.table.bold = print_coloured(target->invocation->out);
    arena_init(&section.scratch, 0);
    int result = kind->visit ? table_scan(&section, kind->table, kind->visit) : journals_scan(&section);
    arena_fini(&section.scratch);
    table_fini(&section.table);
    return result;
}

static const char *const position_columns[] = {"ROUTE", "SOURCE", "SHARD", "LANES", "LOWEST", "HIGHEST", "RANGES"};
static const char *const note_columns[] = {"SOURCE", "SHARD", "NOTE"};
static const char *const attempt_columns[] = {"ROUTE", "SOURCE", "SHARD", "POSITION", "ATTEMPTS"};
static const char *const journal_columns[] = {"SOURCE", "FIRST", "LAST", "BLOCKS", "SIZE"};

static const struct section_kind sections[] = {
    {"positions", "positions: everything up to LOWEST is completed", TABLE_POSITION, position_visit,
     position_columns, ARRAY_COUNT(position_columns)},
    {"notes", "notes of the sources", TABLE_NOTE, note_visit, note_columns, ARRAY_COUNT(note_columns)},
    {"attempts", "calls that never came back", TABLE_ATTEMPT, attempt_visit, attempt_columns,
     ARRAY_COUNT(attempt_columns)},
    {"journals", "journals: accepted, and kept until every route completed it", TABLE_JOURNAL, NULL,
     journal_columns, ARRAY_COUNT(journal_columns)},
};

static int checkpoint_show(struct target *target)
{
    cJSON *document = target->invocation->json ? cJSON_CreateObject() : NULL;
    int result = WEIR_OK;
    if (document)
        cJSON_AddStringToObject(document, "path", target->path);
    else
        fprintf(target->out, "store %s\n", target->path);
    for (size_t i = 0; i < ARRAY_COUNT(sections) && result == WEIR_OK; i++)
        result = section_show(target, &sections[i], document);
    if (document)
        json_print(target->out, document);
    target_flush(target);
    if (result != WEIR_OK)
        return invocation_fail(target->invocation, EXIT_STORE,
                               "the store could not be read to its end: %s; `weir store check %s` says more",
                               result_name(result), target->file);
    return EXIT_DONE;
}

static int checkpoint_run(struct invocation *invocation)
{
    struct target target;
    int code = target_find(&target, invocation, invocation->operands[0]);
    if (code == EXIT_DONE)
        code = target_open(&target, false);
    if (code == EXIT_DONE)
        code = checkpoint_show(&target);
    target_fini(&target);
    return code;
}

const struct command command_checkpoint = {
    .name = "checkpoint show",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "show where each route stands in each shard, and what the journals hold",
    .text = "Works beside a running weir, and shows what is durable: a running weir may be ahead of it.\n",
    .prints = true,
    .run = checkpoint_run,
};
