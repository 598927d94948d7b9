/* late_write.c: no module of weir's but a library to preload: in the program named by WEIR_TEST_LATE, a write to a
 * stream socket comes three milliseconds late, so that the other side may have gone away before it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LATE_MS = 3 };

__attribute__((visibility("default"))) ssize_t write(int fd, const void *bytes, size_t count);

ssize_t write(int fd, const void *bytes, size_t count)
{
    const char *name = getenv("WEIR_TEST_LATE");
    int type = 0, error = errno;
    socklen_t length = sizeof type;
    if (name && strcmp(name, program_invocation_short_name) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM)
        poll(NULL, 0, LATE_MS);
    errno = error;
    return syscall(SYS_write, fd, bytes, count);
}
