/* Everything that an engine sends, as any bytes: all readers of docker.h and the reader of rows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/docker.h"
#include "core/error.h"
#include "core/json_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_body(const json_t *body)
{
    struct hms_docker_container container;
    struct hms_docker_network *networks;
    struct hms_docker_event event;
    struct hms_docker_row *rows;
    char api[HMS_DOCKER_API_SIZE], error[128];
    size_t count;

    if (hms_docker_read_container(body, &container) == HMS_OK)
        hms_docker_container_clear(&container);
    if (hms_docker_read_networks(body, &networks, &count) == HMS_OK)
        hms_docker_networks_free(networks, count);
    if (hms_docker_read_list(body, &rows, &count) == HMS_OK)
        free(rows);
    if (hms_docker_read_event(body, &event) == HMS_OK && strlen(event.id) >= HMS_DOCKER_ID_SIZE)
        abort();
    hms_docker_read_version(body, api, error, sizeof(error));
}

static void on_row(void *arg, const json_t *row)
{
    read_body(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *body = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    size_t half = size / 2;
    struct hms_json_rows rows;

    if (body != NULL)
        read_body(body);
    json_decref(body);
    hms_json_rows_init(&rows, 64, 4096);
    if (hms_json_rows_feed(&rows, (const char *)data, half, on_row, NULL) == HMS_OK &&
        hms_json_rows_feed(&rows, (const char *)data + half, size - half, on_row, NULL) == HMS_OK)
        hms_json_rows_end(&rows);
    hms_json_rows_free(&rows);
    return 0;
}
