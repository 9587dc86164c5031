/* Opening ICMP sockets: permission, namespace, kernel-side filter and options. */
#include "core/icmp_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"

/* A tick of the largest wave (a small packet is charged about 800 bytes) several times over. */
#define RECEIVE_BUFFER_BYTES (4 << 20)
/*
 * Requests to a neighbour that does not answer ARP are charged to their socket until the kernel
 * gives up on it, 3 s later. Without CAP_NET_ADMIN the buffer stays small, and a few dozen dead
 * targets fill it: see PRESSED_PCT in icmp.c.
 */
#define SEND_BUFFER_BYTES (32 << 20)

#define PERMISSION_HELP                                                                            \
    "run as root, grant CAP_NET_RAW (setcap cap_net_raw+ep, docker --cap-add NET_RAW), or allow "  \
    "group %d in net.ipv4.ping_group_range"

/* Beyond the privileged variant, the limit of the system holds (net.core.[rw]mem_max). */
static void set_buffer(int fd, int forced, int plain, int size_bytes)
{
    if (setsockopt(fd, SOL_SOCKET, forced, &size_bytes, sizeof(size_bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &size_bytes, sizeof(size_bytes));
}

/* Lets in echo replies with our id and the upper half of our cookie, so that no other pinger's
 * traffic can fill the receive buffer. The rest of the cookie is checked on decoding. */
static int attach_filter(int fd, int ipv6, uint16_t id, uint64_t cookie)
{
    struct sock_filter code[] = {
        /* X = where ICMP begins: raw IPv4 sockets see the IP header, IPv6 ones do not. */
        ipv6 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0)
             : (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ipv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY, 0, 5),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(cookie >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int set_up_raw(struct hms_icmp_socket *sock, int ipv6, uint64_t cookie)
{
    struct icmp6_filter types;

    if (getrandom(&sock->id, sizeof(sock->id), 0) != (ssize_t)sizeof(sock->id))
        return -1;
    if (attach_filter(sock->fd, ipv6, sock->id, cookie) != 0)
        return -1;
    if (!ipv6)
        return 0;
    /* Cheaper than the program above for the neighbour discovery that IPv6 is full of. */
    ICMP6_FILTER_SETBLOCKALL(&types);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &types);
    return setsockopt(sock->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof(types));
}

/* Has the kernel choose the echo id now, which it otherwise does at the first request. */
static int set_up_dgram(struct hms_icmp_socket *sock, int ipv6)
{
    union hms_icmp_address local = {0};
    socklen_t size = ipv6 ? sizeof(local.v6) : sizeof(local.v4);

    local.any.sa_family = ipv6 ? AF_INET6 : AF_INET;
    if (bind(sock->fd, &local.any, size) != 0 || getsockname(sock->fd, &local.any, &size) != 0)
        return -1;
    sock->id = ntohs(ipv6 ? local.v6.sin6_port : local.v4.sin_port);
    return 0;
}

static int set_up(struct hms_icmp_socket *sock, int ipv6, int raw, uint64_t cookie)
{
    /* No search for the path's MTU; and as this sets "don't fragment", no IP id to choose either.
     */
    int no_search = ipv6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
    int on = 1;

    if (ipv6)
        sock->framing = HMS_ICMP_FRAMING_V6;
    else
        sock->framing = raw ? HMS_ICMP_FRAMING_IPV4 : HMS_ICMP_FRAMING_NONE;
    set_buffer(sock->fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    set_buffer(sock->fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
    if (setsockopt(sock->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0)
        return -1;
    if (setsockopt(sock->fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   ipv6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &no_search, sizeof(no_search)) != 0)
        return -1;
    return raw ? set_up_raw(sock, ipv6, cookie) : set_up_dgram(sock, ipv6);
}

/* Returns 0, or the errno. */
static int open_family(struct hms_icmp_socket *sock, int ipv6, int raw, uint64_t cookie)
{
    int error;

    sock->fd = socket(ipv6 ? AF_INET6 : AF_INET,
                      (raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                      ipv6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP);
    if (sock->fd < 0)
        return errno;
    if (set_up(sock, ipv6, raw, cookie) == 0)
        return 0;
    error = errno;
    hms_icmp_socket_close(sock);
    return error;
}

/* Returns 0, or the errno of IPv4; a system without IPv6 is none. */
static int open_backend(struct hms_icmp_socket *v4, struct hms_icmp_socket *v6, int raw,
                        uint64_t cookie)
{
    int error = open_family(v4, 0, raw, cookie);

    if (error == 0)
        open_family(v6, 1, raw, cookie);
    return error;
}

static int refuse(int cause, char *error, size_t error_size)
{
    char help[256];

    if (cause != EPERM && cause != EACCES) {
        snprintf(error, error_size, "cannot open an ICMP socket: %s", strerror(cause));
        return HMS_EIO;
    }
    snprintf(help, sizeof(help), PERMISSION_HELP, (int)getegid());
    snprintf(error, error_size, "not permitted to open an ICMP socket: %s", help);
    return HMS_EPERM;
}

static int open_here(struct hms_icmp_socket *v4, struct hms_icmp_socket *v6,
                     const struct hms_icmp_options *options, uint64_t cookie,
                     enum hms_icmp_backend *backend, char *error, size_t error_size)
{
    int cause = EPERM;

    *backend = HMS_ICMP_RAW;
    if (options->backend != HMS_ICMP_DGRAM)
        cause = open_backend(v4, v6, 1, cookie);
    if (cause != 0 && options->backend != HMS_ICMP_RAW) {
        *backend = HMS_ICMP_DGRAM;
        cause = open_backend(v4, v6, 0, cookie);
    }
    return cause == 0 ? HMS_OK : refuse(cause, error, error_size);
}

/* Moves the thread into the namespace at path; *home is then the way back. Returns 0 or -1. */
static int enter_netns(const char *path, int *home)
{
    int netns = open(path, O_RDONLY | O_CLOEXEC);
    int saved;

    *home = -1;
    if (netns < 0)
        return -1;
    *home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (*home >= 0 && setns(netns, CLONE_NEWNET) == 0) {
        close(netns);
        return 0;
    }
    saved = errno;
    close(netns);
    if (*home >= 0)
        close(*home);
    errno = saved;
    return -1;
}

static void leave_netns(int home)
{
    /* A process stuck in a foreign namespace must not go on. */
    if (setns(home, CLONE_NEWNET) != 0)
        abort();
    close(home);
}

int hms_icmp_socket_open(struct hms_icmp_socket *v4, struct hms_icmp_socket *v6,
                         const struct hms_icmp_options *options, uint64_t cookie,
                         enum hms_icmp_backend *backend, char *error, size_t error_size)
{
    int home;
    int result;

    v4->fd = -1;
    v6->fd = -1;
    if (options->netns == NULL)
        return open_here(v4, v6, options, cookie, backend, error, error_size);
    if (enter_netns(options->netns, &home) != 0) {
        int cause = errno;

        snprintf(error, error_size, "cannot enter the network namespace %s: %s%s", options->netns,
                 strerror(cause), cause == EPERM ? " (run as root or grant CAP_SYS_ADMIN)" : "");
        return cause == EPERM || cause == EACCES ? HMS_EPERM : HMS_EIO;
    }
    result = open_here(v4, v6, options, cookie, backend, error, error_size);
    leave_netns(home);
    return result;
}

struct hms_icmp_buffers hms_icmp_socket_buffers(const struct hms_icmp_socket *sock)
{
    struct hms_icmp_buffers buffers = {0};
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(memory);

    if (sock->fd < 0 || getsockopt(sock->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0)
        return buffers;
    buffers.drops = memory[SK_MEMINFO_DROPS];
    if (memory[SK_MEMINFO_SNDBUF] > 0)
        buffers.send_pct =
            (int)((uint64_t)memory[SK_MEMINFO_WMEM_ALLOC] * 100 / memory[SK_MEMINFO_SNDBUF]);
    return buffers;
}

void hms_icmp_socket_close(struct hms_icmp_socket *sock)
{
    if (sock->fd >= 0)
        close(sock->fd);
    sock->fd = -1;
}
