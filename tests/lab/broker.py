"""
RabbitMQ in a namespace on the LAN, with files, ports and cookie of its own. What it holds survives
stop() and kill().
"""

import json
import os
import signal
import subprocess

from . import net, processes
from .errors import LabError, wait_for

PART = "mq"
USER = "health-monitor"
PASSWORD = "health-monitor"
PORT = 5672
PROGRAMS = "/usr/lib/rabbitmq/bin"
SERVER = f"{PROGRAMS}/rabbitmq-server"
CONTROL = f"{PROGRAMS}/rabbitmqctl"
VIRTUAL_MACHINE = "beam.smp"  # the process that is the broker; epmd beside it does not matter
MEMORY_SHARE = 0.4  # RabbitMQ's own default for its memory alarm
READY_TIMEOUT_S = 90


def configure(home, more=""):
    """Writes the files of a server whose home that is; `more` are lines of its configuration."""
    def write(name, text, mode=0o600):
        path = os.path.join(home, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, mode)

    write(".erlang.cookie", os.urandom(16).hex(), 0o400)
    write("rabbitmq.conf", f"default_user = {USER}\ndefault_pass = {PASSWORD}\n"
          f"loopback_users = none\n{more}")
    write("plugins", "[].")


def environment(home):
    """What makes the server, and its rabbitmqctl, find these files and one another."""
    return {
        "HOME": home,
        "RABBITMQ_NODENAME": "hms@localhost",
        "RABBITMQ_MNESIA_BASE": os.path.join(home, "mnesia"),
        "RABBITMQ_LOG_BASE": os.path.join(home, "log"),
        "RABBITMQ_PID_FILE": os.path.join(home, "pid"),
        "RABBITMQ_CONFIG_FILE": os.path.join(home, "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(home, "plugins"),
        # The namespace is the broker's alone, so the well-known ports are free in it.
        "ERL_EPMD_PORT": "4369",
        "RABBITMQ_DIST_PORT": "25672",
    }


class Broker:
    """Everything is derived from the lab's folder and name."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.home = os.path.join(folder, PART)
        self.log = os.path.join(self.home, "server.log")
        self.netns = net.path(net.namespace(lab, PART))
        self.address = net.BROKER_ADDRESS
        self.port = "vmq"

    def describe(self):
        return {"url": f"amqp://{USER}:{PASSWORD}@{self.address}:{PORT}/%2f",
                "address": self.address, "port": PORT, "user": USER, "password": PASSWORD,
                "vhost": "/", "netns": self.netns, "lan_port": self.port}

    def create(self):
        """Makes the namespace and starts the broker; returns when it speaks AMQP."""
        if not os.path.exists(SERVER):
            raise LabError(f"no {SERVER}; install the package rabbitmq-server")
        net.join_lan(self.lab, PART, self.port, self.address)
        os.makedirs(self.home)
        configure(self.home)
        self.start()

    def start(self):
        """Starts it, also again after its end; returns when it speaks AMQP."""
        server = processes.start(self._inside(SERVER), self.lab, PART, self.log,
                                 environment(self.home))

        def ready():
            if server.poll() is not None:
                raise LabError(f"rabbitmq-server ended; its log: {self.log}")
            return self._speaks_amqp()

        wait_for(ready, f"rabbitmq-server to answer (its log: {self.log})", READY_TIMEOUT_S,
                 poll_s=0.1)

    def stop(self):
        """Ends it in order: it takes leave of its clients."""
        self._end(signal.SIGTERM)

    def kill(self):
        """Ends it as by kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        for pid in self.pids():
            os.kill(pid, number)
        wait_for(lambda: not self.pids(), "the broker's end", READY_TIMEOUT_S)

    def pids(self):
        """Pids of the broker; none while it is down."""
        return processes.find_command(self.lab, PART, VIRTUAL_MACHINE)

    def control(self, *words):
        """Runs rabbitmqctl; returns its output."""
        result = subprocess.run(self._inside(CONTROL, "--quiet", *words), text=True,
                                capture_output=True,
                                env={**os.environ, **environment(self.home)})
        if result.returncode:
            raise LabError(f"rabbitmqctl {' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def list(self, what, *columns):
        """list("queues", "name", "messages"): one dict for each; also "connections", ..."""
        return json.loads(self.control("--formatter", "json", f"list_{what}", *columns))

    def counts(self):
        """How many "queues", "connections" and "channels" it has; quicker than three lists."""
        numbers = self.control("eval", "{length(rabbit_amqqueue:list()),"
                               " length(rabbit_networking:connections()),"
                               " length(rabbit_channel:list())}.")
        return dict(zip(("queues", "connections", "channels"),
                        map(int, numbers.strip("{}\n").split(","))))

    def set_memory_alarm(self, is_on):
        """At its memory alarm a broker reads nothing more from those who publish."""
        self.control("set_vm_memory_high_watermark", "1e-9" if is_on else str(MEMORY_SHARE))

    def _inside(self, *words):
        return ["nsenter", f"--net={self.netns}", *words]

    def _speaks_amqp(self):
        with net.open_socket(self.netns) as connection:
            connection.settimeout(5)
            try:
                connection.connect((self.address, PORT))
                connection.sendall(b"AMQP\0\0\x09\x01")
                return connection.recv(1) == b"\x01"  # the frame with connection.start
            except OSError:
                return False
