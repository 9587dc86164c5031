"""Network namespaces, the LAN between them, and sockets opened inside them."""

import ctypes
import os
import re
import socket
import subprocess
import threading

from .errors import LabError

NETNS_DIR = "/run/netns"
LAN_ADDRESS = "10.77.0.254"
BROKER_ADDRESS = "10.77.0.250"
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def host_address(number):
    return f"10.77.0.{number}"


def namespace(lab, part):
    """The name of a namespace; part is `lan`, `mq` or a host's name."""
    return f"hms-{lab}-{part}"


def path(name):
    return os.path.join(NETNS_DIR, name)


def namespaces(lab):
    """Every namespace that belongs to the lab of that name, whatever its state file says."""
    pattern = re.compile(re.escape(f"hms-{lab}-") + r"(lan|mq|h\d+)")
    try:
        return sorted(name for name in os.listdir(NETNS_DIR) if pattern.fullmatch(name))
    except FileNotFoundError:
        return []


def ip(*words):
    result = subprocess.run(["ip", *words], capture_output=True, text=True)
    if result.returncode:
        raise LabError(f"ip {' '.join(words)}: {result.stderr.strip()}")


def create_lan(lab):
    """The LAN: a namespace with one bridge, which has an address for whoever works from there."""
    name = namespace(lab, "lan")
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    ip("-n", name, "link", "add", "br0", "type", "bridge")
    ip("-n", name, "addr", "add", f"{LAN_ADDRESS}/24", "dev", "br0")
    ip("-n", name, "link", "set", "br0", "up")
    return name


def join_lan(lab, part, port, address):
    """A namespace whose eth0 is plugged into the LAN's bridge as `port`. Returns its name."""
    lan, name = namespace(lab, "lan"), namespace(lab, part)
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    ip("-n", lan, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("-n", lan, "link", "set", port, "master", "br0", "up")
    ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    return name


def set_link(lab, port, is_up):
    """Plugs a port of the LAN's bridge in, or pulls it out."""
    ip("-n", namespace(lab, "lan"), "link", "set", port, "up" if is_up else "down")


def delete(name):
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def enter(netns_path):
    """Moves the calling thread, and nothing else of the process, into that namespace."""
    with open(netns_path, "rb") as file:
        if _libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {netns_path}")


def open_socket(netns_path, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """A socket that belongs to that namespace; a thread is lent to it."""
    made = []

    def make():
        try:
            enter(netns_path)
            made.append(socket.socket(family, kind))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
