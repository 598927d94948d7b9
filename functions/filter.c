/* filter.c: the function `filter`: hands on the events whose field fits every comparison that was given.
 *
 * 1. The field of an event is read as text: a JSON string unescaped, any other JSON value as it is written.
 * 2. It is held against the comparisons; two numbers are compared as numbers, all else as text.
 * 3. What fits is handed on as it is, the rest is completed without a result.
 *
 * An event without the field fits only `exists: false`. A payload that is not JSON fits nothing; it is counted. */
#include "arena.h"
#include "field.h"
#include "json.h"

enum { EXISTS_ANY, EXISTS_TRUE, EXISTS_FALSE };

/* One thing to compare with; number is valid if is_number. */
struct operand {
    weir_view text; /* absent: not asked for */
    double number;
    bool is_number;
};

struct filter {
    weir_field *field;
    const char *equals, *not_equals, *above, *below;
    int64_t exists;
    const weir_host *host;
    struct operand same, other, low, high;
};

static const char *const exists_words[] = {"any", "true", "false", NULL};
static const weir_option filter_options[] = {
    {.name = "field",
     .type = WEIR_OPTION_FIELD,
     .flags = WEIR_OPTION_REQUIRED,
     .offset = offsetof(struct filter, field),
     .help = "The field that is compared, as payload.temperature."},
    {.name = "equals",
     .type = WEIR_OPTION_TEXT,
     .offset = offsetof(struct filter, equals),
     .help = "The field must be this; numbers are compared as numbers, so 5 equals 5.0."},
    {.name = "not_equals",
     .type = WEIR_OPTION_TEXT,
     .offset = offsetof(struct filter, not_equals),
     .help = "The field must be there and must not be this."},
    {.name = "above",
     .type = WEIR_OPTION_TEXT,
     .offset = offsetof(struct filter, above),
     .help = "The field must be a number greater than this one."},
    {.name = "below",
     .type = WEIR_OPTION_TEXT,
     .offset = offsetof(struct filter, below),
     .help = "The field must be a number less than this one."},
    {.name = "exists",
     .type = WEIR_OPTION_CHOICE,
     .choices = exists_words,
     .fallback = "any",
     .offset = offsetof(struct filter, exists),
     .help = "true: the field must be there; false: it must not, and no other comparison is allowed."},
    {0},
};

static struct operand operand_of(weir_view text)
{
    struct operand operand = {.text = text};
    operand.is_number = text.data && json_number(text, &operand.number) == WEIR_OK;
    return operand;
}

static int filter_init(void *self, const weir_host *host)
{
    struct filter *f = self;
    f->host = host;
    f->same = operand_of(view_of(f->equals));
    f->other = operand_of(view_of(f->not_equals));
    f->low = operand_of(view_of(f->above));
    f->high = operand_of(view_of(f->below));
    bool compares = f->equals || f->not_equals || f->above || f->below;
    if (!compares && f->exists == EXISTS_ANY)
        return host->refuse(host, "field",
                            "nothing to compare with; give equals, not_equals, above, below or exists");
    if (compares && f->exists == EXISTS_FALSE)
        return host->refuse(host, "exists",
                            "a field that must not exist cannot be compared; drop this or the others");
    if (f->above && !f->low.is_number)
        return host->refuse(host, "above", "expected a number, as in 50 or -1.5");
    if (f->below && !f->high.is_number)
        return host->refuse(host, "below", "expected a number, as in 50 or -1.5");
    if (f->above && f->below && f->low.number >= f->high.number)
        return host->refuse(host, "above", "no number is above %s and below %s", f->above, f->below);
    return WEIR_OK;
}

static bool operand_equal(const struct operand *a, const struct operand *b)
{
    return a->is_number && b->is_number ? a->number == b->number : view_equal(a->text, b->text);
}

static bool value_fits(const struct filter *f, weir_view text)
{
    struct operand value = operand_of(text);
    return (!f->same.text.data || operand_equal(&value, &f->same)) &&
           (!f->other.text.data || !operand_equal(&value, &f->other)) &&
           (!f->above || (value.is_number && value.number > f->low.number)) &&
           (!f->below || (value.is_number && value.number < f->high.number));
}

/* Whether the event goes on; *unreadable counts payloads that are not JSON. */
static int event_fits(const struct filter *f, const weir_batch *in, size_t i, bool *fits, int64_t *unreadable)
{
    _Alignas(16) char memory[512];
    struct arena scratch;
    weir_view value = {0};
    arena_init_over(&scratch, memory, sizeof memory);
    int result = field_read(f->field, in, i, &scratch, &value);
    if (result == WEIR_OK)
        *fits = f->exists != EXISTS_FALSE && value_fits(f, value);
    else
        *fits = result == WEIR_MISSING && f->exists == EXISTS_FALSE;
    *unreadable += result == WEIR_INVALID;
    arena_fini(&scratch);
    return result == WEIR_NOMEM ? result : WEIR_OK;
}

static int filter_call(void *self, const weir_batch *in, weir_out *out)
{
    const struct filter *f = self;
    int64_t unreadable = 0;
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++) {
        bool fits;
        result = event_fits(f, in, i, &fits, &unreadable);
        if (result == WEIR_OK && fits)
            result = weir_out_forward(out, i, NULL);
    }
    if (unreadable)
        f->host->stat_add(f->host, "not_json_events_total", unreadable);
    return result;
}

const weir_function_ops function_filter = {
    .size = sizeof(weir_function_ops),
    .type = "filter",
    .summary = "Hands on the events whose field fits every comparison given.",
    .options = filter_options,
    .state_size = sizeof(struct filter),
    .flags = WEIR_FUNCTION_CHEAP,
    .init = filter_init,
    .call = filter_call,
};
