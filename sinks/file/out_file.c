/* out_file.c: see out_file.h. */
#include "out_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GATHER = 256 * 1024, NAMES_MAX = 10000 };

static int folder_sync(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return result;
}

/* A new folder is itself a name in another, which a power cut may take away until that one is synced. */
static int folders_make(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *at = copy + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        int result = mkdir(copy, 0777) == 0 ? folder_sync(copy) : errno == EEXIST ? 0 : errno;
        if (result != 0)
            return result;
        *at = '/';
    }
    return 0;
}

/* The length up to and with the last newline: a crash may have torn the line behind it. */
static int whole_lines(int fd, off_t length, off_t *whole)
{
    char part[4096];
    *whole = 0;
    while (length > 0) {
        size_t size = length < (off_t)sizeof part ? (size_t)length : sizeof part;
        ssize_t got = pread(fd, part, size, length - (off_t)size);
        if (got != (ssize_t)size)
            return got < 0 ? errno : EIO;
        char *newline = memrchr(part, '\n', size);
        if (newline) {
            *whole = length - (off_t)size + (newline - part) + 1;
            return 0;
        }
        length -= (off_t)size;
    }
    return 0;
}

static int out_mend(struct out_file *file, const weir_host *host, const struct stat *status)
{
    off_t whole = 0;
    int result = whole_lines(file->fd, status->st_size, &whole);
    if (result == 0 && whole < status->st_size) {
        host->log(host, WEIR_LOG_WARN, "%s: cut off a torn last line of %lld bytes", file->path,
                  (long long)(status->st_size - whole));
        if (ftruncate(file->fd, whole) != 0)
            result = errno;
    }
    file->length = file->synced = whole;
    return result;
}

/* When the file was begun, so that its age goes on over restarts; where the file system does not keep that, now. */
static int64_t begun_us(const struct out_file *file, int64_t now_us)
{
    struct statx status;
    if (statx(file->fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) != 0 || !(status.stx_mask & STATX_BTIME))
        return now_us;
    int64_t born_us = status.stx_btime.tv_sec * 1000000 + status.stx_btime.tv_nsec / 1000;
    return born_us < now_us ? born_us : now_us;
}

static bool same_file(const struct out_file *file, const struct stat *open)
{
    struct stat named;
    return lstat(file->path, &named) == 0 && named.st_dev == open->st_dev && named.st_ino == open->st_ino;
}

bool out_changed(const struct out_file *file)
{
    struct stat status;
    return fstat(file->fd, &status) != 0 || status.st_size != file->length || !same_file(file, &status);
}

static int out_lock(struct out_file *file, struct stat *status, const char **why)
{
    *why = "another process or sink writes to it";
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        return errno;
    *why = "it is not a regular file";
    if (fstat(file->fd, status) != 0)
        return errno;
    if (!S_ISREG(status->st_mode))
        return EINVAL;
    *why = "it was put aside while it was opened";
    return same_file(file, status) ? 0 : EAGAIN;
}

int out_open(struct out_file *file, const weir_host *host, const char **why)
{
    struct stat status = {0};
    *why = "its folder cannot be made";
    int result = folders_make(file->path);
    if (result != 0)
        return result;
    *why = "it cannot be opened";
    file->fd = open(file->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0666);
    if (file->fd < 0)
        return errno;
    result = out_lock(file, &status, why);
    if (result == 0) {
        *why = "it cannot be read to its end";
        result = out_mend(file, host, &status);
    }
    if (result == 0) {
        *why = "its folder cannot be synced";
        result = folder_sync(file->path);
    }
    file->since_us = begun_us(file, host->wall_us(host));
    if (result != 0)
        out_close(file);
    return result;
}

static void buffer_free(struct out_file *file)
{
    free(file->buffer);
    file->buffer = NULL;
    file->room = file->buffered = 0;
}

void out_close(struct out_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    buffer_free(file);
}

void out_cut(struct out_file *file, off_t length)
{
    file->buffered = 0;
    if (file->fd < 0)
        return;
    if (ftruncate(file->fd, length) != 0) {
        out_close(file); /* opening it again mends a torn line at least */
        return;
    }
    file->length = length;
    if (file->synced > length)
        file->synced = length;
}

int out_flush(struct out_file *file)
{
    size_t at = 0;
    while (at < file->buffered) {
        ssize_t wrote = write(file->fd, file->buffer + at, file->buffered - at);
        if (wrote < 0 && errno != EINTR)
            return errno;
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    file->length += (off_t)file->buffered;
    file->buffered = 0;
    if (file->room > 2 * GATHER)
        buffer_free(file); /* one large event must not hold its memory for ever */
    return 0;
}

int out_sync(struct out_file *file)
{
    int result = out_flush(file);
    if (result == 0 && file->synced != file->length)
        result = fdatasync(file->fd) == 0 ? 0 : errno;
    if (result == 0)
        file->synced = file->length;
    return result;
}

/* Rotation. */

struct names {
    char **items;
    size_t count;
};

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rotated files of `base`: base.YYYYmmddTHHMMSS, perhaps with .N; their names sort by age. */
static bool name_rotated(const char *name, const char *base)
{
    size_t size = strlen(base);
    if (strncmp(name, base, size) != 0 || name[size] != '.' || strlen(name + size) < 16)
        return false;
    const char *at = name + size + 1;
    return strspn(at, "0123456789") == 8 && at[8] == 'T' && strspn(at + 9, "0123456789") == 6;
}

static void names_keep(struct names *names, const char *folder, int64_t keep)
{
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, name_compare);
    for (size_t i = 0; i < names->count; i++) {
        char path[PATH_MAX];
        bool fits = snprintf(path, sizeof path, "%s/%s", folder, names->items[i]) < (int)sizeof path;
        if (fits && names->count - i > (size_t)keep)
            unlink(path);
        free(names->items[i]);
    }
    free(names->items);
}

static void rotated_keep(const char *path, int64_t keep)
{
    char folder_copy[PATH_MAX], base_copy[PATH_MAX];
    struct names names = {0};
    snprintf(folder_copy, sizeof folder_copy, "%s", path);
    snprintf(base_copy, sizeof base_copy, "%s", path);
    const char *folder = dirname(folder_copy), *base = basename(base_copy);
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    names.items = calloc(NAMES_MAX, sizeof *names.items);
    for (struct dirent *entry; names.items && names.count < NAMES_MAX && (entry = readdir(dir)) != NULL;) {
        if (name_rotated(entry->d_name, base) && (names.items[names.count] = strdup(entry->d_name)) != NULL)
            names.count++;
    }
    closedir(dir);
    names_keep(&names, folder, keep);
}

static int rotated_name(const struct out_file *file, int64_t now_us, char to[PATH_MAX])
{
    time_t now = (time_t)(now_us / 1000000);
    struct tm tm;
    char when[32];
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
    for (int n = 0; n < 100000; n++) {
        int size = n ? snprintf(to, PATH_MAX, "%s.%s.%05d", file->path, when, n)
                     : snprintf(to, PATH_MAX, "%s.%s", file->path, when);
        if (size >= PATH_MAX)
            return ENAMETOOLONG;
        if (access(to, F_OK) != 0)
            return 0;
    }
    return EEXIST;
}

static int out_rotate(struct out_file *file, const weir_host *host, const struct out_rules *rules)
{
    char to[PATH_MAX];
    const char *why;
    int result = out_sync(file);
    if (result == 0)
        result = rotated_name(file, host->wall_us(host), to);
    if (result == 0 && rename(file->path, to) != 0)
        result = errno;
    if (result != 0)
        return result;
    out_close(file);
    file->rotations++;
    if (rules->keep)
        rotated_keep(file->path, rules->keep);
    return out_open(file, host, &why);
}

static bool rotation_due(const struct out_file *file, const weir_host *host, const struct out_rules *rules,
                         size_t more)
{
    off_t length = file->length + (off_t)file->buffered;
    if (length == 0)
        return false;
    if (rules->bytes && length + (off_t)more > rules->bytes)
        return true;
    return rules->every && host->wall_us(host) - file->since_us >= rules->every;
}

static bool out_room(struct out_file *file, size_t more)
{
    if (file->buffer && file->buffered + more <= file->room)
        return true;
    size_t room = file->room ? file->room : 4096;
    while (room < file->buffered + more)
        room *= 2;
    char *buffer = realloc(file->buffer, room);
    if (!buffer)
        return false;
    file->buffer = buffer;
    file->room = room;
    return true;
}

int out_line(struct out_file *file, const weir_host *host, const struct out_rules *rules, weir_view line)
{
    if ((rules->bytes || rules->every) && rotation_due(file, host, rules, line.size + 1)) {
        int result = out_rotate(file, host, rules);
        if (result != 0)
            return result;
    }
    if (!out_room(file, line.size + 1))
        return ENOMEM;
    if (line.size)
        memcpy(file->buffer + file->buffered, line.data, line.size);
    file->buffer[file->buffered + line.size] = '\n';
    file->buffered += line.size + 1;
    return file->buffered >= GATHER ? out_flush(file) : 0;
}
