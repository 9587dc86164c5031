"""hms processes under test, and their REST interface."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from lab import net
from lab.engine import UnixConnection

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PROGRAM = os.environ.get("HMS") or os.path.join(ROOT, "build", "hms")
READY_S = 60
SANITIZER_REPORT = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:")


class Process:
    """
    `hms COMMAND`, in a network namespace if one is given; `name` tells it from others in the same
    folder. Option `on_stop="respect"` is --on-stop=respect, True gives a bare flag, None takes a
    default of this frame away. It tells how it fares as to systemd.
    """

    def __init__(self, test, folder, command, name, options, netns=None, environment=None):
        self.test, self.command, self.name = test, command, name
        self.options, self.netns = options, netns
        self.environment = {**os.environ, **(environment or {})}
        self.log = os.path.join(folder, f"{name}.log")
        self.process = None
        self._notify_path = os.path.join(folder, f"{name}.notify")
        self._notify = None
        self._told = []

    def arguments(self):
        words = [PROGRAM, self.command]
        if self.netns:
            words = ["nsenter", f"--net={self.netns}", *words]
        for name, value in self.options.items():
            name = "--" + name.replace("_", "-")
            if value is True:
                words.append(name)
            elif value is not None:
                words.append(f"{name}={value}")
        return words

    def start(self):
        """Starts it (again); returns when it is ready."""
        self._listen()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**self.environment, "NOTIFY_SOCKET": self._notify_path})
        deadline = time.monotonic() + READY_S
        while not self.is_ready():
            if self.process.poll() is not None:
                self.test.fail(f"{self.name} ended with {self.process.returncode}:\n"
                               f"{self.log_tail()}")
            if time.monotonic() > deadline:
                self.test.fail(f"{self.name} is not ready after {READY_S} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def _listen(self):
        """A new socket for each life, so that nothing of the previous one is heard."""
        self._hang_up()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notify.bind(self._notify_path)

    def _hang_up(self):
        if self._notify:
            self._notify.close()
            os.remove(self._notify_path)
        self._notify, self._told = None, []

    def told(self):
        """What it has told its service manager in this life: ["READY=1", "STATUS=...", ...]."""
        with contextlib.suppress(BlockingIOError):
            while self._notify:
                self._told += self._notify.recv(4096).decode().split("\n")
        return self._told

    def is_ready(self):
        return "READY=1" in self.told()

    def kill(self):
        """As kill -9."""
        self.process.kill()
        self.process.wait()

    def cpu_s(self):
        """User and system time that it has used so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, field):
        """VmRSS or VmHWM."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(rf"{field}:\s+(\d+) kB", file.read()).group(1)) / 1024

    def descriptors(self):
        """How many it has open, but for unix sockets: connections to an engine are kept a while."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        with open(f"/proc/{self.process.pid}/net/unix", encoding="ascii") as file:
            unix = {f"socket:[{line.split()[6]}]" for line in file}
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                count += os.readlink(os.path.join(folder, name)) not in unix
        return count

    def stop(self):
        """TERM; asserts a clean end and a log without a sanitizer's report."""
        if self.process is None:
            return
        if self.process.returncode is None:
            self.told()  # makes room for what it is going to tell
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(READY_S)
            except subprocess.TimeoutExpired:
                self.kill()
                self.test.fail(f"{self.name} did not end on TERM:\n{self.log_tail()}")
            self.test.assertEqual(status, 0, self.log_tail())
            self.test.assertIn("STOPPING=1", self.told())
        self._hang_up()
        with open(self.log, encoding="utf-8", errors="replace") as file:
            report = SANITIZER_REPORT.search(file.read())
        self.test.assertIsNone(report, f"sanitizer report in\n{self.log_tail(100)}")

    def is_alive(self):
        return self.process.poll() is None

    def log_tail(self, lines=20):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def log_lines(self):
        """The log's JSON lines as objects."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return [json.loads(line) for line in file if line.startswith("{")]


class RestProcess(Process):
    """One that offers REST, on a unix socket unless its options say otherwise."""

    def __init__(self, test, folder, command, name, options, **more):
        self.socket = os.path.join(folder, f"{name}.sock")
        super().__init__(test, folder, command, name,
                         {"listen": f"unix:{self.socket}", **options}, **more)

    def connect(self):
        """A connected socket to the REST interface, for bytes that no HTTP client would send."""
        listen = self.options["listen"]
        if listen.startswith("unix:"):
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = listen.removeprefix("unix:")
        else:
            plain = net.open_socket(self.netns) if self.netns else socket.socket()
            address, port = listen.rsplit(":", 1)
            target = (address, int(port))
        plain.settimeout(30)
        try:
            plain.connect(target)
        except OSError:
            plain.close()
            raise
        return plain

    def request(self, method, path, body=None, headers=None):
        """Returns (status, headers, body bytes). A dict or list is sent as JSON."""
        listen = self.options["listen"]
        if listen.startswith("unix:"):
            connection = UnixConnection(listen.removeprefix("unix:"), 30)
        else:
            address, port = listen.rsplit(":", 1)
            connection = http.client.HTTPConnection(address, int(port), timeout=30)
            connection.sock = self.connect()
        headers = dict(headers or {})
        if method not in ("GET", "HEAD"):
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def call(self, method, path, body=None, headers=None):
        """Returns (status, JSON answer)."""
        status, _, data = self.request(method, path, body, headers)
        return status, json.loads(data)

    def is_healthy(self):
        """Whether /healthz answers 200."""
        try:
            return self.request("GET", "/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


class Hms(RestProcess):
    """
    `hms standalone` on a host of the lab: outside its namespace, listening on a unix socket, or
    inside it on TCP. Ready when it knows the host's containers.
    """

    def __init__(self, test, host, folder, options=None, inside=False):
        self.host = host
        place = {"listen": "127.0.0.1:8080"} if inside else {"probe_netns": host.netns}
        super().__init__(test, folder, "standalone", "hms", {
            "docker": f"unix://{host.socket}",
            "state_dir": os.path.join(folder, "state"),
            "address": host.address,
            "supervise": "all",
            "log_format": "json",
            **place,
            **(options or {}),
        }, netns=host.netns if inside else None)

    def is_ready(self):
        return super().is_ready() and self.is_healthy()

    def content(self):
        """The host's containers: short id -> entry."""
        status, answer = self.call("GET", f"/containers/{self.host.address}")
        self.test.assertEqual(status, 200, answer)
        return answer["description"]["content"]

    def entry(self, container):
        """One container's entry; by name or id."""
        status, answer = self.call("GET", f"/containers/{self.host.address}/{container}")
        self.test.assertEqual(status, 200, answer)
        return next(iter(answer["description"]["content"].values()))

    def decisions(self, container):
        """The records of what was decided about it, oldest first."""
        status, answer = self.call("GET", f"/containers/{self.host.address}/{container}/decisions")
        self.test.assertEqual(status, 200, answer)
        return answer["description"][::-1]

    def put(self, container):
        """Puts it under supervision; returns (status, answer)."""
        return self.call("PUT", f"/containers/{self.host.address}/{container}")
