/* config_kit.h: what the tests of configuration share: a folder, and files in it. */
#ifndef WEIR_CONFIG_KIT_H
#define WEIR_CONFIG_KIT_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "testing.h"

/* The test's own folder becomes the current one; `folder` holds PATH_MAX bytes. */
static inline void config_kit_enter(char *folder)
{
    ck_assert_ptr_nonnull(realpath(testing_folder(), folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static inline void config_kit_leave(void)
{
    ck_assert_int_eq(chdir("/"), 0);
}

static inline void config_kit_write(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void config_kit_text(const char *path, const char *text)
{
    config_kit_write(path, text, strlen(text));
}

/* The folder of the test modules, beside the test program; buffer holds PATH_MAX bytes. */
static inline const char *config_kit_modules(char *buffer)
{
    ssize_t n = readlink("/proc/self/exe", buffer, PATH_MAX - 20);

    ck_assert_int_gt(n, 0);
    buffer[n] = '\0';
    strcpy(strrchr(buffer, '/'), "/modules");
    return buffer;
}

#endif
