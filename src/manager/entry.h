/*
 * One container's entry in the monitor log (protocol.md, section 1; docs/rest.md), and what of it
 * an operator would call news. `networks` are the host's.
 */
#ifndef HMS_MANAGER_ENTRY_H
#define HMS_MANAGER_ENTRY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct hms_container;
struct hms_docker_network;

/* A new reference. The container has been inspected. */
json_t *hms_entry_make(struct hms_container *container, const struct hms_docker_network *networks,
                       size_t network_count);

/* Stands for all of the entry but its measurements: equal values, equal entries. */
uint64_t hms_entry_sign(struct hms_container *container, const struct hms_docker_network *networks,
                        size_t network_count);

/*
 * Whether loss has moved by step_pct (0 to 100) or more since it was last announced, or to or from
 * nothing.
 */
int hms_entry_is_loss_news(const struct hms_container *container, double step_pct);

/* Whether the entry has measurements and they differ from those last told by more than jitter. */
int hms_entry_is_measure_news(const struct hms_container *container);

/* [loss_pct, rtt_min_ms, rtt_avg_ms, rtt_max_ms]; a new reference. */
json_t *hms_entry_measure(const struct hms_container *container);

#endif
