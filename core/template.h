/* template.h: text with {{FIELD}}, {{FIELD|default}} and {{time:%Y-%m-%d}} (strftime in UTC of the event's time).
 *
 * Parsed once, rendered for each event. A caller may have names of its own beside the fields (the generator's seq
 * and random), whose values it gives with each rendering. Pure. */
#ifndef WEIR_TEMPLATE_H
#define WEIR_TEMPLATE_H

#include "error.h"
#include "field.h"
#include "weir_plugin.h"

/* WEIR_OK, WEIR_NOMEM, or WEIR_INVALID with the column within the text and what is allowed. */
int template_parse(const char *text, weir_template **made, struct error *error);
/* own: names ended by NULL that stand for themselves. */
int template_parse_with(const char *text, const char *const *own, weir_template **made, struct error *error);
void template_free(weir_template *pattern);

/* The whole text when there is nothing to fill in, else NULL. */
const char *template_constant(const weir_template *pattern);
/* The text before the first thing to fill in. */
weir_view template_prefix(const weir_template *pattern);

/* Writes the text of events[i], ended by NUL; *length is what it takes: when it is not below size, the text was
 * cut, call again with more. WEIR_OK, WEIR_REJECT (a field without default is missing), WEIR_NOMEM. */
int template_render(const weir_template *pattern, const weir_batch *batch, size_t i, char *buffer, size_t size,
                    size_t *length);
/* The same with the values of the own names, in their order; an absent value, or NULL for all, is missing. */
struct template_target {
    char *buffer;
    size_t size, length;
};
int template_render_with(const weir_template *pattern, const weir_batch *batch, size_t i, const weir_view *own,
                         struct template_target *target);

#endif
