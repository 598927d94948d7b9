/* list.h: an intrusive doubly linked list. A node is in at most one list; a node out of any list points to itself.
 */
#ifndef WEIR_LIST_H
#define WEIR_LIST_H

#include <stdbool.h>

#include "base.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
    node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* All of `from` goes behind what is in `to`. */
static inline void list_move(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *node = from->next;
        list_remove(node);
        list_append(to, node);
    }
}

#define LIST_FIRST(head, type, member) CONTAINER_OF((head)->next, type, member)
#define LIST_EACH(item, head, type, member)                                                                        \
    for (type *item = CONTAINER_OF((head)->next, type, member); &item->member != (head);                           \
         item = CONTAINER_OF(item->member.next, type, member))

#endif
