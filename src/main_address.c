/* Finds the host's main address. */
#include "main_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"

static char *address_text(const struct sockaddr_in *address)
{
    char text[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
    return hms_strdup(text);
}

static int is_loopback(const struct sockaddr_in *address)
{
    return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Connecting a datagram socket only asks for the route: 192.0.2.1 is for documentation. */
static char *default_route_source(void)
{
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in local = {0};
    socklen_t size = sizeof(local);
    char *text = NULL;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    remote.sin_addr.s_addr = htonl(0xc0000201);
    if (connect(fd, (struct sockaddr *)&remote, sizeof(remote)) == 0 &&
        getsockname(fd, (struct sockaddr *)&local, &size) == 0 && !is_loopback(&local))
        text = address_text(&local);
    close(fd);
    return text;
}

static char *first_interface(void)
{
    const struct ifaddrs *one;
    struct ifaddrs *all;
    char *text = NULL;

    if (getifaddrs(&all) != 0)
        return NULL;
    for (one = all; one != NULL && text == NULL; one = one->ifa_next)
        if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET &&
            (one->ifa_flags & IFF_UP) && !(one->ifa_flags & IFF_LOOPBACK))
            text = address_text((const struct sockaddr_in *)(const void *)one->ifa_addr);
    freeifaddrs(all);
    return text;
}

char *hms_main_address(void)
{
    char *text = default_route_source();

    if (text == NULL)
        text = first_interface();
    return text ? text : hms_strdup("127.0.0.1");
}
