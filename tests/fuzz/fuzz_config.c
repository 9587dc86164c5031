/* Any bytes as the file of --config: refused or taken, never a crash, a leak or a wrong value. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/alloc.h"
#include "options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hms_options *options)
{
    if (!(options->manager.threshold_pct >= 0 && options->manager.threshold_pct <= 100) ||
        options->manager.probe_count < 1 || options->manager.probe_count > 1000 ||
        options->controller.listen == NULL || options->log_level > HMS_LOG_ERROR)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hms_options options = {0};
    struct hms_config *config;
    FILE *nowhere = fopen("/dev/null", "w");
    int fd = memfd_create("hms.conf", MFD_CLOEXEC);
    char *flag = hms_asprintf("--config=/proc/self/fd/%d", fd);
    char *argv[] = {"standalone", flag, NULL};
    int status;

    if (nowhere == NULL || fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (hms_config_load(&config, &hms_standalone_spec, 2, argv, &options, nowhere, nowhere,
                        &status)) {
        check(&options);
        hms_config_free(config);
    }
    free(flag);
    close(fd);
    fclose(nowhere);
    return 0;
}
