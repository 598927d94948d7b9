/* store_ops.c: a change set, built on one thread and then given away.
 *
 * Keys, and values that are not borrowed, are copied into the set's arena. How it fails: a failed malloc is
 * remembered, and store_submit answers WEIR_NOMEM. */
#include <stdlib.h>

#include "store_private.h"

/* Pages are estimated before the store is known: the usual size; smaller pages need more of them, not more bytes.
 */
#define ESTIMATE_PAGE_BYTES 4096

struct store_ops *store_ops_new(enum store_class class_)
{
    struct store_ops *ops = calloc(1, sizeof *ops);

    if (!ops)
        return NULL;
    ops->class_ = class_;
    arena_init(&ops->arena, 0);
    return ops;
}

void store_ops_free(struct store_ops *ops)
{
    if (!ops)
        return;
    arena_fini(&ops->arena);
    free(ops->ops);
    free(ops);
}

static struct op *op_add(struct store_ops *ops, enum op_type type, enum store_table table)
{
    CHECK(table < TABLE_COUNT);
    if (ops->count == ops->capacity) {
        size_t capacity = ops->capacity ? 2 * ops->capacity : 8;
        struct op *grown = realloc(ops->ops, capacity * sizeof *grown);

        if (!grown) {
            ops->failed = true;
            return NULL;
        }
        ops->ops = grown;
        ops->capacity = capacity;
    }
    ops->ops[ops->count] = (struct op){.type = type, .table = table};
    return &ops->ops[ops->count++];
}

static void op_keep(struct store_ops *ops, weir_view *to, weir_view from)
{
    *to = arena_copy(&ops->arena, from);
    if (ops->arena.overflow)
        ops->failed = true;
}

static struct op *op_put(struct store_ops *ops, enum store_table table, weir_view key, size_t size)
{
    struct op *op = op_add(ops, OP_PUT, table);

    CHECK(key.size > 0 && key.size <= STORE_KEY_MAX);
    if (!op)
        return NULL;
    op_keep(ops, &op->key, key);
    ops->bytes += key.size + size;
    room_cost(ESTIMATE_PAGE_BYTES, key.size, size + RECORD_HEADER_BYTES, &ops->growth, &ops->touch);
    return op;
}

void store_ops_put(struct store_ops *ops, enum store_table table, weir_view key, weir_view value)
{
    struct op *op = op_put(ops, table, key, value.size);

    if (op)
        op_keep(ops, &op->value, value);
}

void store_ops_put_borrowed(struct store_ops *ops, enum store_table table, weir_view key, weir_view value)
{
    struct op *op = op_put(ops, table, key, value.size);

    if (op)
        op->value = value;
}

void store_ops_del(struct store_ops *ops, enum store_table table, weir_view key)
{
    struct op *op = op_add(ops, OP_DEL, table);

    CHECK(key.size > 0 && key.size <= STORE_KEY_MAX);
    if (!op)
        return;
    op_keep(ops, &op->key, key);
    ops->bytes += key.size;
    ops->touch += ESTIMATE_PAGE_BYTES;
    ops->frees = true;
}

void store_ops_trim(struct store_ops *ops, enum store_table table, weir_view from, weir_view to)
{
    struct op *op = op_add(ops, OP_TRIM, table);

    CHECK(from.size <= STORE_KEY_MAX && to.size <= STORE_KEY_MAX);
    if (!op)
        return;
    op_keep(ops, &op->key, from);
    op_keep(ops, &op->value, to);
    ops->bytes += from.size + to.size;
    ops->touch += ESTIMATE_PAGE_BYTES;
    ops->frees = true;
}

size_t store_ops_bytes(const struct store_ops *ops)
{
    return ops->bytes;
}

bool store_ops_empty(const struct store_ops *ops)
{
    return ops->count == 0;
}
