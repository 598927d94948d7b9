/* option_value.h: one value of a configuration into one member. Inside option_*.c only. */
#ifndef WEIR_OPTION_VALUE_H
#define WEIR_OPTION_VALUE_H

#include "option.h"

struct option_slot {
    const weir_option *row;
    const struct yaml_node *node; /* a GROUP never comes here */
    void *member;
    struct arena *arena;
    struct yaml_report *report;
};

/* Checks the node against the row and fills the member; else adds a fault. */
void option_value(const struct option_slot *slot);
/* The same for a SECRET. */
void option_secret(const struct option_slot *slot);

/* "a duration 1s..1d, as in 20ms": what a row takes, for faults. */
#define OPTION_EXPECTED_MAX 600
const char *option_expected(const weir_option *row, char buffer[OPTION_EXPECTED_MAX]);
/* Names as "a, b or c", cut at size. */
void option_names(const char *const *names, const char *last, char *buffer, size_t size);

#endif
