/* out_file.h: one file of the sink `file`: append, sync, rotate, mend. Everything here may block: helper threads
 * only. */
#ifndef WEIR_OUT_FILE_H
#define WEIR_OUT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir_plugin.h"

struct out_rules {
    int64_t bytes, every, keep; /* 0: none */
    bool sync;
};

struct out_file {
    char *path;
    int fd;           /* -1: closed */
    off_t length;     /* what was written; the file may be longer after a failed write, until it is mended */
    off_t synced;     /* what fdatasync covered */
    int64_t since_us; /* when the file was begun, for rotation */
    unsigned rotations;
    uint64_t used; /* for closing the one not used longest */
    char *buffer;  /* lines not yet written */
    size_t buffered, room;
};

/* Opens or makes the file, with the folders it needs, for this process alone. A torn last line is cut off. 0 or an
 * errno; *why is set then. */
int out_open(struct out_file *file, const weir_host *host, const char **why);
/* Somebody else put it aside, removed it or cut it: what is appended to it now might go nowhere. */
bool out_changed(const struct out_file *file);
void out_close(struct out_file *file);
/* Gathers a line; writes and rotates as the rules say. */
int out_line(struct out_file *file, const weir_host *host, const struct out_rules *rules, weir_view line);
int out_flush(struct out_file *file); /* gathered lines to the file */
int out_sync(struct out_file *file);  /* and to the disk */
/* Back to `length`, which was a good one: what came after it is taken away. */
void out_cut(struct out_file *file, off_t length);

#endif
