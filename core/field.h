/* field.h: one FIELD of an event, as configurations and templates name it: id, key, subject, source, shard,
 * position, time, headers.NAME, topic[N] (level N of the subject, from 0), payload, payload.a.b[0] (JSON). Pure. */
#ifndef WEIR_FIELD_H
#define WEIR_FIELD_H

#include "arena.h"
#include "error.h"
#include "weir_plugin.h"

/* WEIR_OK, WEIR_NOMEM, or WEIR_INVALID with what is allowed. */
int field_parse(const char *text, weir_field **field, struct error *error);
void field_free(weir_field *field);

/* The value, as a view into the event or into scratch; JSON strings come unescaped, other JSON values as their raw
 * text, time in RFC 3339. WEIR_OK, WEIR_MISSING, WEIR_INVALID (the payload is not JSON), WEIR_NOMEM. */
int field_read(const weir_field *field, const weir_batch *batch, size_t i, struct arena *scratch, weir_view *value);
/* For payload.a.b: the value's raw JSON text. WEIR_MISSING also when the field is no JSON field. */
int field_read_json(const weir_field *field, const weir_batch *batch, size_t i, weir_view *raw);
bool field_is_json(const weir_field *field);

/* The id of an event: its own, else id_prefix "/" (position - id_less). Ended by NUL; returns its length
 * (snprintf's rule). */
size_t event_id_write(const weir_batch *batch, size_t i, char *buffer, size_t size);

#endif
