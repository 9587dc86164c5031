/*
 * The address that stands for this host where none was chosen.
 */
#ifndef HMS_MAIN_ADDRESS_H
#define HMS_MAIN_ADDRESS_H

/*
 * The IPv4 address from which this host speaks to the world (the source address of its default
 * route; nothing is sent), else the first that is not loopback, else 127.0.0.1. A new string.
 */
char *hms_main_address(void);

#endif
