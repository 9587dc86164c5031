"""An hms process under test, and its REST interface."""

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


class Hms:
    """
    `hms standalone` on a host of the lab: outside its namespace, listening on a unix socket, or
    inside it on TCP. Option `on_stop="respect"` is --on-stop=respect, True gives a bare flag, None
    takes a default of this frame away.
    """

    INSIDE_PORT = 8080

    def __init__(self, test, host, folder, options=None, inside=False):
        self.test, self.host, self.inside = test, host, inside
        self.socket = os.path.join(folder, "hms.sock")
        self.log = os.path.join(folder, "hms.log")
        self.process = None
        self.options = {
            "docker": f"unix://{host.socket}",
            "state_dir": os.path.join(folder, "state"),
            "address": host.address,
            "supervise": "all",
            "log_format": "json",
            "listen": f"127.0.0.1:{self.INSIDE_PORT}" if inside else f"unix:{self.socket}",
            **({} if inside else {"probe_netns": host.netns}),
            **(options or {}),
        }

    def arguments(self):
        words = [PROGRAM, "standalone"]
        if self.inside:
            words = ["nsenter", f"--net={self.host.netns}", *words]
        for name, value in self.options.items():
            name = "--" + name.replace("_", "-")
            if value is True:
                words.append(name)
            elif value is not None:
                words.append(f"{name}={value}")
        return words

    def start(self):
        """Starts it (again); returns when /healthz answers 200."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if self.process.poll() is not None:
                self.test.fail(f"hms ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.test.fail(f"hms is not ready after {READY_S} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def _is_ready(self):
        try:
            return self.request("GET", "/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

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

    def stop(self):
        """TERM; asserts a clean end and a log without a sanitizer's report."""
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(READY_S)
            except subprocess.TimeoutExpired:
                self.kill()
                self.test.fail(f"hms did not end on TERM:\n{self.log_tail()}")
            self.test.assertEqual(status, 0, self.log_tail())
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

    def connect(self):
        """A connected socket to the REST interface, for bytes that no HTTP client would send."""
        if self.inside:
            plain = net.open_socket(self.host.netns)
            target = ("127.0.0.1", self.INSIDE_PORT)
        elif self.options["listen"].startswith("unix:"):
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = self.options["listen"].removeprefix("unix:")
        else:
            plain = socket.socket()
            address, port = self.options["listen"].rsplit(":", 1)
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
        if self.inside:
            connection = http.client.HTTPConnection("127.0.0.1", self.INSIDE_PORT, timeout=30)
            connection.sock = self.connect()
        elif listen.startswith("unix:"):
            connection = UnixConnection(listen.removeprefix("unix:"), 30)
        else:
            address, port = listen.rsplit(":", 1)
            connection = http.client.HTTPConnection(address, int(port), timeout=30)
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
