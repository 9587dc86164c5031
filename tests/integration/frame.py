"""
What every integration test needs: the lab, a running hms, REST, the engine's events, waiting.

A lab serves the whole run; a test finds its containers all running. run.py takes the labs down at
the end. From the environment: HMS (the program), HMS_TEST_QUICK, HMS_TEST_REPEATS.
"""

import hashlib
import os
import statistics
import subprocess
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from integration.events import Events
from integration.hms import Hms
from lab.lab import Lab

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
QUICK = bool(os.environ.get("HMS_TEST_QUICK"))
REPEATS = int(os.environ.get("HMS_TEST_REPEATS") or (5 if QUICK else 100))
if QUICK:
    REPEATS = min(REPEATS, 5)
CONTAINERS = 12 if QUICK else 50
DEADLINE_S = 60  # of any wait; an order of magnitude above what is expected

_labs = {}


def lab_name(part):
    """One name per checkout, so that two of them can test at once and a killed run is found."""
    return f"test-{hashlib.sha256(ROOT.encode()).hexdigest()[:8]}-{part}"


def lab(part, hosts, containers, **options):
    """That lab, brought up at first use; options are those of Lab.up()."""
    if part not in _labs:
        new = Lab(lab_name(part))
        new.down()
        began = time.monotonic()
        new.up(hosts=hosts, containers=containers, **options)
        _labs[part] = new
        print(f"lab {part}: {hosts} x {containers} containers up in"
              f" {time.monotonic() - began:.1f} s")
    return _labs[part]


def host(part="main", containers=CONTAINERS, **options):
    """The host of a lab that has one."""
    return lab(part, 1, containers, **options).host(1)


def drop(part):
    """Takes that lab down."""
    if part in _labs:
        _labs.pop(part).down()


def close():
    """Takes down every lab of this run."""
    for part in list(_labs):
        drop(part)


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """Waits until condition() is true and returns its value; fails the test past the deadline."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.02)


def observe(seconds, check):
    """Calls check() twice a second for that long: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(0.5)
    check()


def at_once(function, items, workers=16):
    """function(item) for all items in parallel; returns the results, raises the first error."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def distribution(values, unit):
    """A line that describes measured values."""
    values = sorted(values)
    p95 = values[min(len(values) - 1, int(len(values) * 0.95))]
    return (f"n={len(values)} min={values[0]:.1f} median={statistics.median(values):.1f} "
            f"p95={p95:.1f} max={values[-1]:.1f} {unit}")


def container_names(count):
    """Of a host's own containers, as the lab calls them."""
    return [f"c{number:03}" for number in range(1, count + 1)]


def restore(target, names):
    """That host's engine and its own containers, these and no others, all run again."""
    if not target.engine_pids():
        target.start_engine()
    states = {}
    for container in target.engine.containers():
        name = container["Names"][0].lstrip("/")
        states[name] = container["State"]
        if name not in names:
            target.engine.remove(container["Id"])
    for name in names:
        if name not in states:
            run_container(target, name)
        elif states[name] != "running":
            target.engine.start(name)


def run_container(target, name, command=None, **config):
    """`docker run -d` on that host; returns the id."""
    body = {"Image": "hms-lab", **config}
    if command:
        body["Cmd"] = command
    container = target.engine.create(name, body)
    target.engine.start(container)
    return container


def docker_view(target):
    """`docker ps -a` of that host as short id -> state."""
    return {entry["Id"][:12]: entry["State"] for entry in target.engine.containers()}


class LabTest(unittest.TestCase):
    """A test with files of its own and processes of hms, which are stopped at its end."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hms-test-")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=True)

    def record_events(self, target, since_s=None):
        """A recorder on that host's engine until the end of the test; see Events."""
        events = Events(target.engine, since_s)
        self.addCleanup(events.close)
        return events

    def start_process(self, process):
        """Starts it; stopped, with all its asserts, at the end of the test."""
        self.addCleanup(process.stop)
        process.start()
        self.addCleanup(self._show_log_of_failure, process)
        return process

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def _show_log_of_failure(self, process):
        if any(test is self for test, _ in self._result.failures + self._result.errors):
            print(f"\n  the last lines of the log of {process.name}:\n{process.log_tail()}")


class IntegrationTest(LabTest):
    """A test on the shared host, whose own containers (c001, ...) all run when it begins."""

    def setUp(self):
        super().setUp()
        self.host, count = self.shared_host()
        self.engine = self.host.engine
        self.names = container_names(count)
        restore(self.host, self.names)
        self.events = self.record_events(self.host)

    def shared_host(self):
        """The host that the tests of a class share, and how many containers it has."""
        return host(), CONTAINERS

    def start_hms(self, inside=False, **options):
        """Starts hms on the host."""
        hms = self.start_process(Hms(self, self.host, self.folder, options, inside))
        wait_for(lambda: self.view(hms) == self.docker_view(), "hms sees what Docker sees")
        return hms

    def state_of(self, container):
        return self.engine.inspect(container)["State"]["Status"]

    def docker_view(self):
        """`docker ps -a` as short id -> state."""
        return docker_view(self.host)

    def view(self, hms):
        """The same as hms tells it."""
        return {name: entry["container_state"] for name, entry in hms.content().items()}

    def wait_running(self, names):
        """Waits until the engine says that all of them run."""
        def all_running():
            states = {entry["Names"][0].lstrip("/"): entry["State"]
                      for entry in self.engine.containers()}
            return all(states.get(name) == "running" for name in names)
        wait_for(all_running, f"{len(names)} containers run")

    def run_container(self, name, command=None, **config):
        """`docker run -d`; returns the id."""
        return run_container(self.host, name, command, **config)

    def docker(self, *arguments, **options):
        """The docker command on this host; it has to succeed."""
        return self.command(["docker", *arguments], **options)

    def command(self, arguments, **options):
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE_S * 2,
                                env={**os.environ, "DOCKER_HOST": f"unix://{self.host.socket}",
                                     "DOCKER_BUILDKIT": "0"}, **options)
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stdout}{result.stderr}")
        return result.stdout

    def in_host(self, arguments, text=None):
        """Runs a program of the machine in the host's network namespace; returns its output."""
        return self._in_namespace(self.host.netns, arguments, text)

    def in_container(self, container, arguments, text=None):
        """The same in a container's network namespace."""
        pid = self.engine.inspect(container)["State"]["Pid"]
        return self._in_namespace(f"/proc/{pid}/ns/net", arguments, text)

    def _in_namespace(self, path, arguments, text):
        result = subprocess.run(["nsenter", f"--net={path}", *arguments], input=text, text=True,
                                capture_output=True)
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stderr}")
        return result.stdout

    def lose(self, container, percent):
        """That share of the packets to the container is lost, silently, until its restart."""
        self.in_container(container, ["nft", "-f", "-"], (
            "table ip hmstest { chain input { type filter hook input priority 0;"
            f" numgen random mod 100 < {percent} drop; }}; }}"))
