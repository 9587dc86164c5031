"""
A lab as a whole: up, down, description.

A name is the machine's: namespaces, marks and cgroups are derived from it, so `down` finds them
without any record. The record in /run adds where the files are and, once `up` came to its end,
with which options; a reboot takes it away together with everything else.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import image, limits, net, processes
from .broker import Broker
from .errors import LabError
from .host import Host

DEFAULT_STATE_DIR = "/var/lib/hms-lab"
SOCKET_PATH_MAX = 107


class Lab:
    """One lab; nothing is touched before up() or down()."""

    def __init__(self, name, state_dir=DEFAULT_STATE_DIR):
        self.name = name
        self._record_file = os.path.join(limits.RUN_DIR, f"{name}.json")
        record = self._read_record()
        self.folder = record.get("folder") or os.path.join(os.path.abspath(state_dir), name)
        self._signature = os.path.join(self.folder, ".hms-lab")
        self._mount_pins = os.path.join(self.folder, "mnt")
        self.netns = net.path(net.namespace(name, "lan"))
        longest = os.path.join(self.folder, "h999/exec/containerd/containerd-debug.sock")
        if len(longest) > SOCKET_PATH_MAX:
            raise LabError(f"the path {self.folder} is too long for the sockets in it")

    def host(self, number):
        return Host(self.name, self.folder, number)

    def broker(self):
        return Broker(self.name, self.folder)

    def up(self, hosts, containers, broker=False, ipv6=False, live_restore=False,
           tls=False):
        """Brings it up, or leaves nothing. A lab that is up already is an error."""
        options = {"hosts": hosts, "containers": containers, "broker": broker, "ipv6": ipv6,
                   "live_restore": live_restore, "tls": tls}
        with self._locked():
            if self._options():
                raise LabError(f"lab {self.name} is up; 'lab down --name {self.name}' ends it")
            self._clean()  # what an earlier run that was killed may have left
            self._write_record(None)
            try:
                self._create(options)
                self._write_record(options)
            except BaseException:
                # A second Ctrl-C must not stop the clean-up halfway.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                self._clean()
                raise

    def down(self):
        """Removes everything of it; no lab of that name is no error."""
        with self._locked():
            self._clean()

    def describe(self):
        """What there is, as the commands print it."""
        options = self._options()
        if not options:
            raise LabError(f"lab {self.name} is not up")
        with ThreadPoolExecutor(options["hosts"]) as pool:
            hosts = list(pool.map(lambda number: self.host(number).describe(),
                                  range(1, options["hosts"] + 1)))
        lan = {"netns": self.netns, "address": net.LAN_ADDRESS}
        return {"name": self.name, "folder": self.folder, "lan": lan, "hosts": hosts,
                "broker": self.broker().describe() if options["broker"] else None}

    @contextlib.contextmanager
    def _locked(self):
        os.makedirs(limits.RUN_DIR, mode=0o700, exist_ok=True)
        with open(os.path.join(limits.RUN_DIR, f"{self.name}.lock"), "w",
                  encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(f"another command is at work on lab {self.name}") from None
            yield

    def _read_record(self):
        try:
            with open(self._record_file, encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return {}

    def _write_record(self, options):
        """Options are None until the lab is complete."""
        with open(self._record_file + ".new", "w", encoding="utf-8") as file:
            json.dump({"folder": self.folder, "options": options}, file)
        os.rename(self._record_file + ".new", self._record_file)

    def _options(self):
        """With what it was brought up, or None if it is not up."""
        return self._read_record().get("options")

    def _create(self, options):
        limits.raise_open_files()
        limits.raise_for(self.name, options["hosts"] * options["containers"])
        tar = image.build()
        self._create_folder()
        os.makedirs(self._mount_pins, mode=0o700)
        self._make_private(self._mount_pins)
        net.create_lan(self.name)

        def create_host(number):
            host = self.host(number)
            host.create(options["ipv6"], options["live_restore"], options["tls"])
            host.create_containers(options["containers"], tar)

        with ThreadPoolExecutor(options["hosts"] + 1) as pool:
            futures = [pool.submit(create_host, n) for n in range(1, options["hosts"] + 1)]
            if options["broker"]:
                futures.append(pool.submit(self.broker().create))
            try:
                for future in futures:
                    future.result()
            except BaseException:
                processes.kill(self.name)  # so that the others end soon, too
                raise

    def _create_folder(self):
        try:
            os.makedirs(self.folder, mode=0o755)
        except FileExistsError:
            raise LabError(f"{self.folder} exists and is no lab's; choose another --state-dir "
                           "or --name") from None
        with open(self._signature, "wb"):
            pass

    @staticmethod
    def _make_private(folder):
        """A namespace can be pinned only where its mount does not propagate into itself."""
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "--make-private", folder], check=True)

    def _clean(self):
        processes.kill(self.name)
        self._unmount()
        for name in net.namespaces(self.name):
            net.delete(name)
        processes.remove_cgroups(self.name)
        limits.restore(self.name)
        if os.path.exists(self._signature):  # never a folder that is somebody else's
            shutil.rmtree(self.folder)
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._record_file)

    def _unmount(self):
        """Every mount of the machine's own table below the lab's folder, the last one first."""
        with open("/proc/self/mounts", encoding="utf-8") as file:
            points = [line.split()[1] for line in file]
        for point in reversed(points):
            if point.startswith(self.folder + "/"):
                subprocess.run(["umount", "--lazy", point], check=True)
