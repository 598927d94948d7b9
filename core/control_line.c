/* control_line.c: what both ends of the control socket share: the address, and JSON that is not to be trusted. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base.h"
#include "control.h"

#define SOCKET_NAME "control.sock"

/* Whether brackets never nest deeper than CONTROL_DEPTH_MAX; cJSON would follow a thousand levels down. */
static bool depth_bounded(const char *text, size_t size)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && depth && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > CONTROL_DEPTH_MAX)
            return false;
    }
    return true;
}

struct cJSON *control_parse(const char *text, size_t size)
{
    const char *end = NULL;
    if (memchr(text, 0, size) || !depth_bounded(text, size))
        return NULL;
    cJSON *document = cJSON_ParseWithLengthOpts(text, size, &end, false);
    while (document && end < text + size && isspace((unsigned char)*end))
        end++;
    if (document && cJSON_IsObject(document) && end == text + size)
        return document;
    cJSON_Delete(document);
    return NULL;
}

/* sun_path holds 108 bytes. A longer path goes through a descriptor of its folder, which Linux names in /proc. */
int control_address(struct sockaddr_un *address, const char *folder, int *folder_fd, struct error *error)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *folder_fd = -1;
    int size = snprintf(address->sun_path, sizeof address->sun_path, "%s/" SOCKET_NAME, folder);
    if (size > 0 && (size_t)size < sizeof address->sun_path)
        return WEIR_OK;
    *folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder_fd < 0)
        return error_set(error, errno == ENOENT ? WEIR_MISSING : WEIR_IO, "%s: %s", folder, strerror(errno));
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" SOCKET_NAME, *folder_fd);
    return WEIR_OK;
}
