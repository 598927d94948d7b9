/* option_secret.c: a secret, from the file itself, a file of its own, or the environment.
 *
 * A file with a secret must be a regular file of at most 64 KiB that only its owner can read; one that belongs to
 * root may be readable for all (so do container platforms hand out secrets). One newline at its end is cut. No
 * fault ever shows the secret. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "option_value.h"

#define SECRET_MAX 65536

static void secret_set(const struct option_slot *slot, const struct yaml_node *at, const char *text, size_t size)
{
    const weir_option *row = slot->row;
    char expected[OPTION_EXPECTED_MAX];
    bool bounded = row->min != 0 || row->max != 0;
    char *copy;

    if (bounded && ((int64_t)size < row->min || (int64_t)size > row->max)) {
        yaml_fault(slot->report, at, "has %zu bytes; %s", size, option_expected(row, expected));
        return;
    }
    copy = arena_text(slot->arena, view_make(text, size));
    if (copy == NULL)
        yaml_fault(slot->report, at, "out of memory");
    *(const char **)slot->member = copy;
}

static size_t newline_cut(const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > 0 && text[size - 1] == '\r')
        size--;
    return size;
}

/* Says what is wrong with the file as a place for a secret; false: nothing is. */
static bool file_refuse(const struct option_slot *slot, const struct yaml_node *at, int fd)
{
    struct stat info;

    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        yaml_fault(slot->report, at, "is no regular file; put the secret into one");
    else if (info.st_uid != 0 && (info.st_mode & (S_IRGRP | S_IROTH)) != 0)
        yaml_fault(slot->report, at, "can be read by others; run: chmod 600 %s", at->text);
    else if (info.st_size > SECRET_MAX)
        yaml_fault(slot->report, at, "is larger than 64KiB; a secret is one short text");
    else
        return false;
    return true;
}

static void secret_from_file(const struct option_slot *slot, const struct yaml_node *at)
{
    const char *path = option_path(slot->arena, at->file, at->text);
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    char *text = arena_alloc(slot->arena, SECRET_MAX + 1);
    ssize_t n;

    if (fd < 0 || text == NULL) {
        yaml_fault(slot->report, at, "cannot be read: %s; check the path and its permissions", strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    if (!file_refuse(slot, at, fd)) {
        n = read(fd, text, SECRET_MAX);
        if (n < 0)
            yaml_fault(slot->report, at, "cannot be read: %s", strerror(errno));
        else if (newline_cut(text, (size_t)n) == 0)
            yaml_fault(slot->report, at, "is empty; write the secret into it");
        else if (memchr(text, '\0', (size_t)n) != NULL)
            yaml_fault(slot->report, at, "holds a NUL byte; a secret is a text");
        else
            secret_set(slot, at, text, newline_cut(text, (size_t)n));
    }
    close(fd);
}

static void secret_from_environment(const struct option_slot *slot, const struct yaml_node *at)
{
    const char *value = getenv(at->text);

    if (value == NULL)
        yaml_fault(slot->report, at, "the environment variable %s is not set; set it", at->text);
    else
        secret_set(slot, at, value, strlen(value));
}

void option_secret(const struct option_slot *slot)
{
    const struct yaml_node *node = slot->node,
                           *item = node->kind == YAML_MAPPING && node->count == 1 ? node->items[0] : NULL;
    char expected[OPTION_EXPECTED_MAX];

    option_expected(slot->row, expected);
    if (node->kind == YAML_SCALAR && yaml_is_null(node))
        yaml_fault(slot->report, node, "has no value; remove the key, or give it one: %s", expected);
    else if (node->kind == YAML_SCALAR)
        secret_set(slot, node, node->text, node->size);
    else if (item != NULL && item->kind == YAML_SCALAR && item->size > 0 && strcmp(item->key->text, "file") == 0)
        secret_from_file(slot, item);
    else if (item != NULL && item->kind == YAML_SCALAR && item->size > 0 && strcmp(item->key->text, "env") == 0)
        secret_from_environment(slot, item);
    else
        yaml_fault(slot->report, node, "is not allowed; %s", expected);
}
