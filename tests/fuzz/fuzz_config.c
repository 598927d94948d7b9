/* fuzz_config.c: any bytes as a configuration file: never a crash, a leak or a hang, and a report exactly when it
 * is refused. Includes lead nowhere, since a file that is named relative to the pipe is not there. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct registry *registry = registry_new("/nonexistent");
    struct config *config = NULL;
    int fd = memfd_create("config", MFD_CLOEXEC);
    char path[40];

    if (registry == NULL || fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if ((config_load(&config, path, registry) == WEIR_OK) != (config->report.text == NULL))
        abort();
    config_free(config);
    registry_free(registry);
    close(fd);
    return 0;
}
