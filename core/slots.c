/* slots.c: see slots.h.
 *
 *   1. slots_open reads the file that the last process left, and visits each slot whose checksum holds. The visitor
 *      may make it durable before the file begins anew.
 *   2. The file is written anew, all empty, with its blocks allocated: a full disk must not make a store into the
 *      map fail.
 *   3. slots_fill writes a slot's body and then, in one store, its mark and checksum; slots_clear takes those away.
 *
 * A process killed in the middle leaves no mark, or a checksum that does not hold: the call had not begun. */
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES 256
#define SLOTS_MAX 4096
#define MARK 0x544f4c53u /* "SLOT" */

/* The machine's own byte order: the file never leaves it. */
struct slot_file {
    uint64_t mark; /* MARK and the crc of what follows; 0: empty */
    uint64_t shard_hash, first, last;
    uint32_t lane, attempt;
    char route[65], source[65];
    uint8_t suspect, replay;
    char reserved[SLOT_BYTES - 172];
};
_Static_assert(sizeof(struct slot_file) == SLOT_BYTES, "a slot has 256 bytes");

#define BODY_BYTES (offsetof(struct slot_file, reserved) - offsetof(struct slot_file, shard_hash))

struct slots {
    struct slot_file *map;
    size_t count;
};

static uint64_t slot_mark(const struct slot_file *file)
{
    return (uint64_t)MARK << 32 | crc32c(0, &file->shard_hash, BODY_BYTES);
}

static bool slot_read(const struct slot_file *file, struct slot *slot)
{
    if (file->mark != slot_mark(file) || file->route[64] != '\0' || file->source[64] != '\0')
        return false;
    slot->shard_hash = file->shard_hash;
    slot->first = file->first;
    slot->last = file->last;
    slot->lane = file->lane;
    slot->attempt = file->attempt;
    slot->suspect = file->suspect != 0;
    slot->replay = file->replay != 0;
    memcpy(slot->route, file->route, sizeof slot->route);
    memcpy(slot->source, file->source, sizeof slot->source);
    return true;
}

/* A short last slot was never whole. */
static void slots_visit(int fd, void (*visit)(void *arg, const struct slot *slot), void *arg)
{
    struct slot_file file;
    struct slot slot;

    for (off_t i = 0; i < SLOTS_MAX && pread(fd, &file, sizeof file, i * SLOT_BYTES) == SLOT_BYTES; i++)
        if (slot_read(&file, &slot))
            visit(arg, &slot);
}

static int slots_map(struct slots *slots, int fd, const char *path, struct error *error)
{
    size_t bytes = slots->count * SLOT_BYTES;
    void *map;
    int rc;

    if (ftruncate(fd, 0) != 0)
        return error_set(error, WEIR_IO, "cannot empty %s: %s", path, strerror(errno));
    rc = posix_fallocate(fd, 0, (off_t)bytes);
    if (rc != 0)
        return error_set(error, rc == ENOSPC ? WEIR_FULL : WEIR_IO, "cannot make room for %s: %s", path,
                         strerror(rc));
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return error_set(error, WEIR_IO, "cannot map %s: %s", path, strerror(errno));
    slots->map = map;
    return WEIR_OK;
}

int slots_open(struct slots **opened, const char *folder, size_t count,
               void (*visit)(void *arg, const struct slot *slot), void *arg, struct error *error)
{
    char path[PATH_MAX];
    struct slots *slots;
    int fd, result;

    *opened = NULL;
    CHECK(count > 0 && count <= SLOTS_MAX);
    if (snprintf(path, sizeof path, "%s/calls", folder) >= (int)sizeof path)
        return error_set(error, WEIR_INVALID, "the path of the store is too long: %s", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, WEIR_IO, "cannot open %s: %s", path, strerror(errno));
    slots = calloc(1, sizeof *slots);
    if (!slots) {
        close(fd);
        return error_set(error, WEIR_NOMEM, "out of memory while opening %s", path);
    }
    slots->count = count;
    slots_visit(fd, visit, arg);
    result = slots_map(slots, fd, path, error);
    close(fd);
    if (result != WEIR_OK)
        free(slots);
    else
        *opened = slots;
    return result;
}

void slots_close(struct slots *slots)
{
    if (!slots)
        return;
    munmap(slots->map, slots->count * SLOT_BYTES);
    free(slots);
}

static void name_copy(char to[65], const char from[65])
{
    size_t size = strnlen(from, 64);

    memcpy(to, from, size);
    memset(to + size, 0, 65 - size);
}

void slots_fill(struct slots *slots, size_t worker, const struct slot *slot)
{
    struct slot_file *file = &slots->map[worker];

    CHECK(worker < slots->count);
    file->shard_hash = slot->shard_hash;
    file->first = slot->first;
    file->last = slot->last;
    file->lane = slot->lane;
    file->attempt = slot->attempt;
    file->suspect = slot->suspect;
    file->replay = slot->replay;
    name_copy(file->route, slot->route);
    name_copy(file->source, slot->source);
    /* After the body: the kernel keeps the page as it is when the process is killed between two stores. */
    __atomic_store_n(&file->mark, slot_mark(file), __ATOMIC_RELEASE);
}

void slots_clear(struct slots *slots, size_t worker)
{
    CHECK(worker < slots->count);
    __atomic_store_n(&slots->map[worker].mark, 0, __ATOMIC_RELEASE);
}

/* The checksum, and the size above it. */
uint64_t slots_shard_hash(weir_view shard)
{
    return (uint64_t)shard.size << 32 | crc32c(0, shard.data, shard.size);
}
