"""RabbitMQ in a namespace on the LAN, with files, ports and cookie of its own."""

import os

from . import net, processes
from .errors import LabError, wait_for

PART = "mq"
USER = "health-monitor"
PASSWORD = "health-monitor"
PORT = 5672
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
READY_TIMEOUT_S = 90


def describe(lab):
    address = net.BROKER_ADDRESS
    return {"url": f"amqp://{USER}:{PASSWORD}@{address}:{PORT}/%2f", "address": address,
            "port": PORT, "user": USER, "password": PASSWORD, "vhost": "/",
            "netns": net.path(net.namespace(lab, PART)), "lan_port": "vmq"}


def create(lab, folder):
    """Starts the broker; returns when it speaks AMQP."""
    if not os.path.exists(SERVER):
        raise LabError(f"no {SERVER}; install the package rabbitmq-server")
    netns = net.path(net.join_lan(lab, PART, "vmq", net.BROKER_ADDRESS))
    home = os.path.join(folder, PART)
    os.makedirs(home)
    server = processes.start(["nsenter", f"--net={netns}", SERVER], lab, PART,
                             os.path.join(home, "server.log"), environment(home))

    def ready():
        if server.poll() is not None:
            raise LabError(f"rabbitmq-server ended; its log: {home}/server.log")
        return _speaks_amqp(netns)

    wait_for(ready, f"rabbitmq-server to answer (its log: {home}/server.log)", READY_TIMEOUT_S,
             poll_s=0.1)


def environment(home, more=""):
    """What makes a server find all its files in `home`; `more` are lines of its configuration."""
    def write(name, text, mode=0o600):
        file_path = os.path.join(home, name)
        with open(file_path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(file_path, mode)
        return file_path

    write(".erlang.cookie", os.urandom(16).hex(), 0o400)
    return {
        "HOME": home,
        "RABBITMQ_NODENAME": "hms@localhost",
        "RABBITMQ_MNESIA_BASE": os.path.join(home, "mnesia"),
        "RABBITMQ_LOG_BASE": os.path.join(home, "log"),
        "RABBITMQ_PID_FILE": os.path.join(home, "pid"),
        "RABBITMQ_CONFIG_FILE": write("rabbitmq.conf", f"default_user = {USER}\n"
                                      f"default_pass = {PASSWORD}\nloopback_users = none\n{more}"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": write("plugins", "[]."),
        # The namespace is the broker's alone, so the well-known ports are free in it.
        "ERL_EPMD_PORT": "4369",
        "RABBITMQ_DIST_PORT": "25672",
    }


def _speaks_amqp(netns):
    with net.open_socket(netns) as connection:
        connection.settimeout(5)
        try:
            connection.connect((net.BROKER_ADDRESS, PORT))
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"  # the frame with connection.start
        except OSError:
            return False
