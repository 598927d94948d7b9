/* slow_sync.c: no module of weir's but a library to preload: while the file named by WEIR_TEST_GATE is there, no
 * fdatasync ends, and with it no commit. GATE.waiting is made as soon as one waits. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    const char *gate = getenv("WEIR_TEST_GATE");
    char waiting[4096];
    snprintf(waiting, sizeof waiting, "%s.waiting", gate ? gate : "");
    while (gate && access(gate, F_OK) == 0) {
        int made = open(waiting, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (made >= 0)
            close(made);
        poll(NULL, 0, 1);
    }
    return (int)syscall(SYS_fdatasync, fd);
}
