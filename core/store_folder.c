/* store_folder.c: the folder of a store and the lock that makes one process its owner.
 *
 *   1. folder_prepare makes the folder when asked, or says that there is no store.
 *   2. folder_lock takes an flock on `owner` and writes the process id into it. The kernel gives the lock back when
 *      the process ends, however it ends.
 *
 * How it fails: another process has the lock (its number is in the file); the folder cannot be made or written. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_private.h"

static int folder_missing(const char *path, struct error *error)
{
    return error_set(error, WEIR_MISSING, "there is no store at %s; `weir run` makes one", path);
}

/* LMDB makes data.mdb before it writes it, so an empty one is no store yet. */
static bool folder_has_store(const char *path)
{
    char file[PATH_MAX];
    struct stat status;

    if (snprintf(file, sizeof file, "%s/data.mdb", path) >= (int)sizeof file)
        return false;
    return stat(file, &status) == 0 && status.st_size > 0;
}

int folder_prepare(const struct store_options *options, struct error *error)
{
    struct stat status;

    if (stat(options->path, &status) == 0) {
        if (!S_ISDIR(status.st_mode))
            return error_set(error, WEIR_INVALID, "store %s is not a folder", options->path);
        if (!options->create && !folder_has_store(options->path))
            return folder_missing(options->path, error);
        return WEIR_OK;
    }
    if (errno != ENOENT)
        return error_set(error, WEIR_IO, "store %s: %s", options->path, strerror(errno));
    if (!options->create)
        return folder_missing(options->path, error);
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST)
        return error_set(error, WEIR_IO, "cannot make the store folder %s: %s", options->path, strerror(errno));
    return WEIR_OK;
}

static int folder_locked(const char *path, int fd, struct error *error)
{
    char text[32] = "";
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    long process = size > 0 ? strtol(text, NULL, 10) : 0;

    if (process <= 0)
        return error_set(error, WEIR_LOCKED,
                         "store %s is in use by another process; stop it, or use a command that reads", path);
    return error_set(error, WEIR_LOCKED,
                     "store %s is in use by process %ld (weir run); stop it, or use a command that reads", path,
                     process);
}

int folder_lock(const char *path, int *owner, struct error *error)
{
    char text[PATH_MAX];
    int fd, size;

    if (snprintf(text, sizeof text, "%s/owner", path) >= (int)sizeof text)
        return error_set(error, WEIR_INVALID, "the path of the store is too long: %s", path);
    fd = open(text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, WEIR_IO, "cannot open %s: %s", text, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int result = errno == EWOULDBLOCK ? folder_locked(path, fd, error)
                                          : error_set(error, WEIR_IO, "cannot lock %s: %s", text, strerror(errno));
        close(fd);
        return result;
    }
    size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The number is for people; a full disk must not keep a store from opening and draining. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) != size)
        (void)!ftruncate(fd, 0);
    *owner = fd;
    return WEIR_OK;
}

void folder_unlock(int owner)
{
    if (owner < 0)
        return;
    (void)!ftruncate(owner, 0);
    close(owner);
}

static int directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return -1;
    result = fsync(fd);
    close(fd);
    return result;
}

/* A new store's names must survive a power cut too: the files in the folder, and the folder in its parent. */
int folder_sync(const char *path, struct error *error)
{
    char parent[PATH_MAX];

    if (snprintf(parent, sizeof parent, "%s/..", path) >= (int)sizeof parent)
        return error_set(error, WEIR_INVALID, "the path of the store is too long: %s", path);
    if (directory_sync(path) != 0 || directory_sync(parent) != 0)
        return error_set(error, WEIR_IO, "cannot sync the store folder %s: %s", path, strerror(errno));
    return WEIR_OK;
}
