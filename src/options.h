/*
 * The options of the program's commands: which exist, their bounds, defaults and help.
 */
#ifndef HMS_OPTIONS_H
#define HMS_OPTIONS_H

#include "controller/controller.h"
#include "core/bus_amqp.h"
#include "core/config.h"
#include "core/log.h"
#include "manager/options.h"

/* A command fills what it has options for; the rest is 0, the broker's role its user's. */
struct hms_options {
    struct hms_manager_options manager;
    struct hms_controller_options controller;
    struct hms_bus_amqp_options broker;
    enum hms_log_format log_format;
    enum hms_log_level log_level;
};

/* Of the commands of these names; the target is a struct hms_options. */
extern const struct hms_config_spec hms_standalone_spec;
extern const struct hms_config_spec hms_manager_spec;
extern const struct hms_config_spec hms_controller_spec;

#endif
