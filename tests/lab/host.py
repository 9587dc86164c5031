"""
One Docker host: a network namespace on the LAN and a dockerd of its own in it.

The engine also gets a private mount namespace, pinned by a file: its hundreds of overlay and
namespace mounts stay out of the machine's table, and the kernel drops them all at the end, however
that comes about. Its containerd is the one that dockerd manages.
"""

import contextlib
import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from core import certificates

from . import image, net, processes
from .engine import Engine
from .errors import LabError, wait_for

READY_TIMEOUT_S = 60
CREATORS = 4  # containers created at once on one host


class Host:
    """Everything is derived from the lab's folder and name and the host's number."""

    def __init__(self, lab, folder, number):
        self.lab, self.number = lab, number
        self.name = f"h{number}"
        self.folder = os.path.join(folder, self.name)
        self.pin = os.path.join(folder, "mnt", self.name)
        self.socket = os.path.join(self.folder, "docker.sock")
        self.tls = os.path.join(self.folder, "tls")  # certificates, if its tcp port wants them
        self.log = os.path.join(self.folder, "dockerd.log")
        self.address = net.host_address(number)
        self.port = f"v{number}"
        self.netns = net.path(net.namespace(lab, self.name))
        self.engine = Engine(self.socket)

    def create(self, ipv6=False, live_restore=False, tls=False):
        """Makes the namespaces and starts the engine; returns when it answers."""
        net.join_lan(self.lab, self.name, self.port, self.address)
        os.makedirs(self.folder)
        self._create_mount_namespace()
        self._write_config(ipv6, live_restore, tls)
        self.start_engine()

    def _create_mount_namespace(self):
        with open(self.pin, "wb"):
            pass
        # containerd's shims put their sockets into /run/containerd whatever their options say.
        os.makedirs("/run/containerd", exist_ok=True)
        result = subprocess.run(
            ["unshare", f"--mount={self.pin}", "--propagation", "slave",
             "mount", "-t", "tmpfs", "-o", "mode=711", "hms-lab", "/run/containerd"],
            capture_output=True, text=True)
        if result.returncode:
            raise LabError(f"cannot make a mount namespace for {self.name}: "
                           f"{result.stderr.strip()}")

    def _write_config(self, ipv6, live_restore, tls):
        config = {
            "hosts": [f"unix://{self.socket}", f"tcp://{self.address}:2375"],
            "tls": False,
            "data-root": os.path.join(self.folder, "data"),
            "exec-root": os.path.join(self.folder, "exec"),
            "pidfile": os.path.join(self.folder, "dockerd.pid"),
            "deprecated-key-path": os.path.join(self.folder, "key.json"),
            "storage-driver": "overlay2",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": processes.cgroup(self.lab, self.name),
            "bip": "172.17.0.1/16",
            "userland-proxy": False,
            "live-restore": live_restore,
            "log-level": "warn",
        }
        if tls:
            os.mkdir(self.tls)
            certificates.make(self.tls, self.address)
            config.update(tlsverify=True, tlscacert=f"{self.tls}/ca.pem",
                          tlscert=f"{self.tls}/server.pem", tlskey=f"{self.tls}/key.pem")
            del config["tls"]
        if ipv6:
            config["ipv6"] = True
            config["fixed-cidr-v6"] = f"fd00:77:{self.number}::/64"
        with open(os.path.join(self.folder, "daemon.json"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)

    def start_engine(self):
        """Starts dockerd, also again after its end; returns when it answers."""
        # A killed containerd may wait to be reaped for long, and dockerd takes it for a live one.
        for pid_file in ("dockerd.pid", "exec/containerd/containerd.pid"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self.folder, pid_file))
        daemon = processes.start(
            ["nsenter", f"--net={self.netns}", f"--mount={self.pin}", "dockerd",
             f"--config-file={self.folder}/daemon.json"],
            self.lab, self.name, self.log)

        def ready():
            if daemon.poll() is not None:
                raise LabError(f"dockerd of {self.name} ended:\n{self._log_tail()}")
            return self.engine.is_up()

        wait_for(ready, f"dockerd of {self.name} to answer (its log: {self.log})",
                 READY_TIMEOUT_S)

    def engine_pids(self):
        """Pids of dockerd; none while it is down."""
        return processes.find_command(self.lab, self.name, "dockerd")

    def set_link(self, is_up):
        """Joins the host to the LAN, or cuts it off."""
        net.set_link(self.lab, self.port, is_up)

    def kill_engine(self):
        """dockerd ends as by kill -9; its containerd goes with it, the containers stay."""
        for pid in self.engine_pids():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.engine_pids()
                 and not processes.find_command(self.lab, self.name, "containerd"),
                 f"the end of dockerd of {self.name}", READY_TIMEOUT_S)

    def _log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-5:]).strip()

    def create_containers(self, count, tar):
        """Imports the image and runs c001, c002, ... up to `count` containers."""
        self.engine.import_image(image.NAME, tar, image.CHANGES)

        def run(number):
            name = f"c{number:03}"
            self.engine.create(name, {"Image": image.NAME})
            self.engine.start(name)

        with ThreadPoolExecutor(CREATORS) as pool:
            for future in [pool.submit(run, number) for number in range(1, count + 1)]:
                try:
                    future.result()
                except BaseException:
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise

    def describe(self):
        """The host as the lab prints it."""
        up = self.engine.is_up()
        return {
            "name": self.name,
            "address": self.address,
            "socket": self.socket,
            "docker_host": f"unix://{self.socket}",
            "tcp": f"tcp://{self.address}:2375",
            "netns": self.netns,
            "lan_port": self.port,
            "log": self.log,
            "engine": "up" if up else "down",
            "containers": self._describe_containers() if up else [],
        }

    def _describe_containers(self):
        containers = []
        for entry in self.engine.containers():
            bridge = entry["NetworkSettings"]["Networks"].get("bridge", {})
            container = {"name": entry["Names"][0].lstrip("/"), "id": entry["Id"],
                         "address": bridge.get("IPAddress", "")}
            if bridge.get("GlobalIPv6Address"):
                container["address6"] = bridge["GlobalIPv6Address"]
            containers.append(container)
        return sorted(containers, key=lambda container: container["name"])
