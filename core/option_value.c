/* option_value.c: one value of a configuration into one member.
 *
 * 1. The kind of node is checked: a text where a text belongs, no empty value.
 * 2. The text is parsed as the row's type says, and held against its bounds.
 * 3. The member is set.
 *
 * Fails with one fault that shows the value (never of a secret or a URL) and says what is expected. */
#include "option_value.h"

#include "field.h"
#include "template.h"

void option_names(const char *const *names, const char *last, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    for (size_t i = 0; names[i] != NULL && used < size; i++) {
        const char *before = i == 0 ? "" : names[i + 1] == NULL ? last : ", ";

        used += (size_t)snprintf(buffer + used, size - used, "%s%s", before, names[i]);
    }
}

static const char *type_expected(uint32_t type)
{
    switch (type) {
    case WEIR_OPTION_TEXT:
        return "a text";
    case WEIR_OPTION_SECRET:
        return "a text, { file: PATH } or { env: NAME }";
    case WEIR_OPTION_PATH:
        return "a path";
    case WEIR_OPTION_URL:
        return "a URL, as in SCHEME://HOST:PORT";
    case WEIR_OPTION_BOOL:
        return "true or false";
    case WEIR_OPTION_INT:
        return "a whole number";
    case WEIR_OPTION_SIZE:
        return "a size, as in 64KiB, 8MiB or 2GB";
    case WEIR_OPTION_DURATION:
        return "a duration, as in 20ms, 5s, 2h or 1d";
    case WEIR_OPTION_RATE:
        return "a rate, as in 1000/s";
    case WEIR_OPTION_RANGE:
        return "a range of durations, as in 100ms..30s";
    case WEIR_OPTION_LIST:
        return "a text or a list of texts";
    case WEIR_OPTION_TEMPLATE:
        return "a text, perhaps with {{FIELD}}";
    case WEIR_OPTION_FIELD:
        return "a field, as in key or payload.a.b";
    case WEIR_OPTION_MAP:
        return "a mapping of texts, as in { name: value }";
    default:
        return "a mapping";
    }
}

const char *option_expected(const weir_option *row, char buffer[OPTION_EXPECTED_MAX])
{
    char names[400] = "", bounds[OPTION_BOUNDS_MAX];

    if (row->choices != NULL)
        option_names(row->choices, " or ", names, sizeof(names));
    option_bounds(row, bounds);
    if (row->type == WEIR_OPTION_CHOICE)
        snprintf(buffer, OPTION_EXPECTED_MAX, "expected %s", names);
    else if (row->type == WEIR_OPTION_URL && names[0] != '\0')
        snprintf(buffer, OPTION_EXPECTED_MAX, "expected SCHEME://HOST:PORT with the scheme %s", names);
    else if (bounds[0] != '\0')
        snprintf(buffer, OPTION_EXPECTED_MAX, "expected %s; allowed is %s%s%s", type_expected(row->type), bounds,
                 names[0] != '\0' ? " or " : "", names);
    else
        snprintf(buffer, OPTION_EXPECTED_MAX, "expected %s%s%s", type_expected(row->type),
                 names[0] != '\0' ? " or " : "", names);
    return buffer;
}

static bool value_hidden(const weir_option *row)
{
    return row->type == WEIR_OPTION_SECRET || row->type == WEIR_OPTION_URL;
}

static void slot_refuse(const struct option_slot *slot)
{
    char expected[OPTION_EXPECTED_MAX], shown[YAML_SHOWN_MAX];

    option_expected(slot->row, expected);
    if (value_hidden(slot->row))
        yaml_fault(slot->report, slot->node, "is not allowed; %s", expected);
    else
        yaml_fault(slot->report, slot->node, "%s is not allowed; %s", yaml_shown(slot->node, shown), expected);
}

/* A scalar with a value; numbers and truth values must be written without quotes. */
static bool scalar_check(const struct option_slot *slot)
{
    uint32_t type = slot->row->type;
    char expected[OPTION_EXPECTED_MAX], shown[YAML_SHOWN_MAX];

    option_expected(slot->row, expected);
    if (slot->node->kind != YAML_SCALAR)
        yaml_fault(slot->report, slot->node, "is a %s; %s", slot->node->kind == YAML_MAPPING ? "mapping" : "list",
                   expected);
    else if (yaml_is_null(slot->node))
        yaml_fault(slot->report, slot->node, "has no value; remove the key, or give it one: %s", expected);
    else if (!slot->node->plain && (type == WEIR_OPTION_BOOL || type == WEIR_OPTION_INT))
        yaml_fault(slot->report, slot->node, "%s in quotes is a text; %s, without quotes",
                   yaml_shown(slot->node, shown), expected);
    else
        return true;
    return false;
}

static bool bounds_hold(const weir_option *row, int64_t value)
{
    return (row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max);
}

static int64_t choice_index(const weir_option *row, const char *text)
{
    for (size_t i = 0; row->choices != NULL && row->choices[i] != NULL; i++)
        if (strcmp(row->choices[i], text) == 0)
            return (int64_t)i;
    return -1;
}

static bool number_value(const weir_option *row, const char *text, int64_t *value)
{
    switch (row->type) {
    case WEIR_OPTION_BOOL:
        *value = strcmp(text, "true") == 0;
        return *value == 1 || strcmp(text, "false") == 0;
    case WEIR_OPTION_CHOICE:
        *value = choice_index(row, text);
        return *value >= 0;
    case WEIR_OPTION_INT:
        *value = choice_index(row, text);
        if (*value >= 0)
            return true;
        return option_parse_int(text, value, NULL) == WEIR_OK && bounds_hold(row, *value);
    case WEIR_OPTION_SIZE:
        return option_parse_size(text, value, NULL) == WEIR_OK && bounds_hold(row, *value);
    case WEIR_OPTION_DURATION:
        return option_parse_duration(text, value, NULL) == WEIR_OK && bounds_hold(row, *value);
    default:
        return option_parse_rate(text, value, NULL) == WEIR_OK && bounds_hold(row, *value);
    }
}

static void number_fill(const struct option_slot *slot)
{
    const weir_option *row = slot->row;
    const char *nearest = NULL;
    size_t count = 0;
    int64_t value;

    if (number_value(row, slot->node->text, &value)) {
        *(int64_t *)slot->member = value;
        return;
    }
    while (row->type == WEIR_OPTION_CHOICE && row->choices[count] != NULL)
        count++;
    nearest = option_nearest(slot->node->text, row->choices, count);
    if (nearest == NULL) {
        slot_refuse(slot);
    } else {
        char shown[YAML_SHOWN_MAX], expected[OPTION_EXPECTED_MAX];

        yaml_fault(slot->report, slot->node, "%s is not allowed; did you mean %s? %s",
                   yaml_shown(slot->node, shown), nearest, option_expected(row, expected));
    }
}

static void range_fill(const struct option_slot *slot)
{
    weir_range range;

    if (option_parse_range(slot->node->text, &range, NULL) == WEIR_OK && bounds_hold(slot->row, range.low) &&
        bounds_hold(slot->row, range.high))
        *(weir_range *)slot->member = range;
    else
        slot_refuse(slot);
}

/* SCHEME://HOST..., with the schemes of the row if it names any. */
static bool url_valid(const weir_option *row, const char *text)
{
    const char *colon = strstr(text, "://");
    bool scheme = row->choices == NULL;

    if (colon == NULL || colon == text || colon[3] == '\0' || colon[3] == '/' || strpbrk(text, " \t\r\n") != NULL)
        return strncmp(text, "unix://", 7) == 0 && text[7] == '/' && row->choices == NULL;
    for (size_t i = 0; row->choices != NULL && row->choices[i] != NULL; i++)
        scheme = scheme || (strlen(row->choices[i]) == (size_t)(colon - text) &&
                            strncmp(row->choices[i], text, (size_t)(colon - text)) == 0);
    return scheme;
}

static void text_fill(const struct option_slot *slot)
{
    const struct yaml_node *node = slot->node;
    const char *text;

    if ((slot->row->type == WEIR_OPTION_URL && !url_valid(slot->row, node->text)) ||
        (slot->row->type == WEIR_OPTION_PATH && node->size == 0) ||
        !bounds_hold(slot->row, slot->row->type == WEIR_OPTION_TEXT ? (int64_t)node->size : slot->row->min)) {
        slot_refuse(slot);
        return;
    }
    if (slot->row->type == WEIR_OPTION_PATH)
        text = option_path(slot->arena, node->file, node->text);
    else
        text = arena_text(slot->arena, view_make(node->text, node->size));
    if (text == NULL)
        yaml_fault(slot->report, node, "out of memory");
    *(const char **)slot->member = text;
}

static void list_take(const struct option_slot *slot, const struct yaml_node *const *items, size_t count)
{
    const char **texts = arena_alloc(slot->arena, (count + 1) * sizeof(*texts));
    struct option_slot item = *slot;
    weir_option row = {.type = WEIR_OPTION_TEXT};
    weir_list *list = slot->member;

    if (texts == NULL) {
        yaml_fault(slot->report, slot->node, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        texts[i] = "";
        item.row = &row;
        item.node = items[i];
        item.member = &texts[i];
        if (scalar_check(&item))
            text_fill(&item);
    }
    *list = (weir_list){texts, count};
}

static void list_fill(const struct option_slot *slot)
{
    const struct yaml_node *node = slot->node;
    bool one = node->kind == YAML_SCALAR;
    int64_t count = one ? 1 : (int64_t)node->count;
    char expected[OPTION_EXPECTED_MAX];

    if (node->kind == YAML_MAPPING) {
        scalar_check(slot);
        return;
    }
    if ((slot->row->flags & WEIR_OPTION_REQUIRED) != 0 && count == 0)
        yaml_fault(slot->report, node, "is empty; give at least one");
    else if (!bounds_hold(slot->row, count))
        yaml_fault(slot->report, node, "has %d entries; %s", (int)count, option_expected(slot->row, expected));
    else if (one)
        list_take(slot, &node, 1);
    else
        list_take(slot, (const struct yaml_node *const *)node->items, node->count);
}

/* Every scalar is a text here, numbers and truth values too. */
static void map_fill(const struct option_slot *slot)
{
    const struct yaml_node *node = slot->node;
    const char **names = arena_alloc(slot->arena, (node->count + 1) * sizeof(*names));
    const char **values = arena_alloc(slot->arena, (node->count + 1) * sizeof(*values));
    weir_option row = {.type = WEIR_OPTION_TEXT};
    struct option_slot item = {&row, NULL, NULL, slot->arena, slot->report};
    weir_map *map = slot->member;

    if (node->kind == YAML_SCALAR && !yaml_is_null(node)) {
        slot_refuse(slot);
        return;
    }
    if (node->kind != YAML_MAPPING) {
        scalar_check(slot);
        return;
    }
    if (names == NULL || values == NULL) {
        yaml_fault(slot->report, node, "out of memory");
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        names[i] = arena_text(slot->arena, view_make(node->keys[i]->text, node->keys[i]->size));
        values[i] = "";
        item.node = node->items[i];
        item.member = &values[i];
        if (names[i] == NULL)
            yaml_fault(slot->report, node, "out of memory");
        else if (scalar_check(&item))
            text_fill(&item);
    }
    *map = (weir_map){names, values, node->count};
}

/* The text was parsed as it is written, so that a fault's column is the user's; now it is as the file's folder
 * makes it. */
static int pattern_absolute(const struct option_slot *slot, struct error *error)
{
    struct weir_template **member = slot->member;
    const char *text = slot->node->text;

    template_free(*member);
    *member = NULL;
    if (*text == '\0')
        return error_set(error, WEIR_INVALID, "\"\" is not allowed; expected the path of a file");
    text = option_path(slot->arena, slot->node->file, text);
    if (text == NULL)
        return error_set(error, WEIR_NOMEM, "out of memory");
    return template_parse_with(text, slot->row->choices, member, error);
}

static void pattern_fill(const struct option_slot *slot)
{
    struct error error;
    const char *text = slot->node->text;
    int result;

    if (slot->row->type == WEIR_OPTION_TEMPLATE)
        result = template_parse_with(text, slot->row->choices, slot->member, &error);
    else
        result = field_parse(text, slot->member, &error);
    if (result == WEIR_OK && (slot->row->flags & WEIR_OPTION_IS_PATH) != 0)
        result = pattern_absolute(slot, &error);
    if (result != WEIR_OK)
        yaml_fault(slot->report, slot->node, "%s", error.text);
}

void option_value(const struct option_slot *slot)
{
    if (slot->row->type == WEIR_OPTION_SECRET) {
        option_secret(slot);
        return;
    }
    if (slot->row->type == WEIR_OPTION_LIST) {
        list_fill(slot);
        return;
    }
    if (slot->row->type == WEIR_OPTION_MAP) {
        map_fill(slot);
        return;
    }
    if (!scalar_check(slot))
        return;
    switch (slot->row->type) {
    case WEIR_OPTION_TEXT:
    case WEIR_OPTION_PATH:
    case WEIR_OPTION_URL:
        text_fill(slot);
        break;
    case WEIR_OPTION_RANGE:
        range_fill(slot);
        break;
    case WEIR_OPTION_TEMPLATE:
    case WEIR_OPTION_FIELD:
        pattern_fill(slot);
        break;
    default:
        number_fill(slot);
    }
}
