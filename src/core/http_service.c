/* The connections' common ground. */
#include "core/http_service.h"

#include <stdlib.h>

#include "core/alloc.h"

#define TURN_NS       UINT64_C(3000000)
#define LOG_PERIOD_MS 10000
#define LOG_BURST     10

void hms_http_service_init(struct hms_http_service *service)
{
    LIST_INIT(&service->connections);
    TAILQ_INIT(&service->waiters);
    hms_buffer_init(&service->head, SIZE_MAX / 2);
    service->read_buffer = hms_malloc(HMS_HTTP_READ_BYTES);
    service->log_limit.period_ms = LOG_PERIOD_MS;
    service->log_limit.burst = LOG_BURST;
    uv_idle_init(service->loop, &service->turn);
    service->turn.data = service;
}

void hms_http_service_free(struct hms_http_service *service)
{
    hms_buffer_free(&service->head);
    free(service->read_buffer);
}

int hms_http_service_has_time(struct hms_http_service *service)
{
    uint64_t loop_ms = uv_now(service->loop);

    if (loop_ms != service->turn_loop_ms) { /* the loop has gone round */
        service->turn_loop_ms = loop_ms;
        service->turn_start_ns = uv_hrtime();
        return 1;
    }
    return uv_hrtime() - service->turn_start_ns < TURN_NS;
}

void hms_http_service_reject(struct hms_http_service *service, enum hms_log_level level,
                             const char *who, const char *why)
{
    unsigned long long suppressed = service->log_limit.suppressed;

    service->counters.rejected++;
    if (!hms_log_limit_pass(&service->log_limit, (int64_t)uv_now(service->loop)))
        return;
    hms_log(service->log, level, "http", "%s refused: %s", who, why);
    if (suppressed > 0)
        hms_log(service->log, level, "http", "%llu more refused since the last line", suppressed);
}
