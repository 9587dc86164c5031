"""
Brokers that misbehave. Whatever one does, killed containers are started and all are probed as ever,
REST answers, no loop is held up; afterwards all is well again and nothing is left.
"""

import statistics
import threading
import time
from typing import NamedTuple

from integration import fleet, frame, relay
from integration.interop import INTERFACE
from integration.peer import OldInterface

USUAL_S = 2
FAULT_S = 5 if frame.QUICK else 12  # two heartbeats of silence are 10 s
PAUSE_S = 0.25  # between two kills, and two cuts
LAG_MS = 200  # the goal is 20 ms
GAP_S = 5  # without an echo request to a container; half a second is usual
REST_MS = 1000  # a few milliseconds are usual
QUESTIONS = 25  # at a time
STUCK_READS = 25


class Sampler:
    """Calls function() every so often in a thread of its own until it is left; keeps the results."""

    def __init__(self, function, period_s):
        self._function, self._period_s = function, period_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.results, self.error = [], None

    def _run(self):
        try:
            while not self._is_over.wait(self._period_s):
                self.results.append(self._function())
        except Exception as error:  # for the thread that waits
            self.error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        if self.error:
            raise self.error


class Figures(NamedTuple):
    """What was seen for a while."""

    back_ms: list  # Docker's die event -> its start event, of each kill
    echoes_per_s: float  # requests to a container that is let be
    gap_s: float  # the longest time without one
    rest_ms: list  # of each answer

    def __str__(self):
        return (f"die -> start: {frame.distribution(self.back_ms, 'ms')}\n"
                f"    echo requests: {self.echoes_per_s:.1f}/s, longest gap"
                f" {1000 * self.gap_s:.0f} ms\n"
                f"    REST: {frame.distribution(self.rest_ms, 'ms')}")


def waited_ms(process):
    """How long it was ready to run but had no processor, since its start."""
    with open(f"/proc/{process.process.pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e6


def echoes(pid):
    """How many echo requests that process's network namespace has got, and when that was read."""
    with open(f"/proc/{pid}/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Icmp:")]
    return time.monotonic(), int(values[names.index("InEchos")])


class BrokerFaults(fleet.FleetTest):
    def setUp(self):
        super().setUp()
        self.hosts = self.hosts[:1]
        self.host = self.hosts[0]
        self.relay = relay.Relay(self.lab)
        self.addCleanup(self.relay.close)
        options = {"broker": self.relay.url}
        self.start_fleet({"stop_grace_ms": 0, **options}, options)
        self.manager = self.managers[0]
        self.interface = OldInterface(self.lab.name, INTERFACE)  # past the relay
        self.addCleanup(self.interface.close)
        self.events = self.record_events(self.host)
        *self.victims, observed = self.names
        self.observed_pid = self.host.engine.inspect(observed)["State"]["Pid"]
        self.kills = 0
        self.before = self.possessions()
        self.usual = self.observe(USUAL_S)

    # What is seen.

    def kill_one(self):
        """Returns how long it took from Docker's event of the end to that of the start, in ms."""
        name = self.victims[self.kills % len(self.victims)]
        self.kills += 1
        count = len(self.events.all("start", name))
        self.host.engine.kill(name)
        frame.wait_for(lambda: len(self.events.all("start", name)) > count, f"{name} is started")
        return (self.events.all("start", name)[count]["timeNano"]
                - self.events.all("die", name)[count]["timeNano"]) / 1e6

    def ask_rest(self):
        began = time.monotonic()
        status, answer = self.controller.call("GET", "/containers")
        took_ms = 1000 * (time.monotonic() - began)
        self.assertEqual(status, 200, answer)
        content = answer["description"][0]["content"]
        self.assertEqual(len(content), len(self.names))
        return took_ms

    def observe(self, seconds, disturb=lambda: None):
        """Kills containers for that long, with disturb() in between; returns the figures."""
        back_ms, end = [], time.monotonic() + seconds
        with Sampler(lambda: echoes(self.observed_pid), 0.01) as requests, \
                Sampler(self.ask_rest, 0.05) as rest:
            while time.monotonic() < end:
                back_ms.append(self.kill_one())
                disturb()
                time.sleep(PAUSE_S)
        (first_s, first), (last_s, last) = requests.results[0], requests.results[-1]
        changes = [at for (_, one), (at, next_one) in zip(requests.results, requests.results[1:])
                   if next_one != one]
        gaps = [b - a for a, b in zip([first_s, *changes], [*changes, last_s])]
        return Figures(back_ms, (last - first) / (last_s - first_s), max(gaps), rest.results)

    def lags_ms(self):
        """Of manager and controller, since their start; a processor that others had counts too."""
        reply, = self.interface.request(f"manager.{self.host.address}", "give_content")
        platform = self.controller.call("GET", "/platform")[1]["description"]
        return (reply.fields["host"]["loop_lag_max_ms"],
                platform["controller"]["loop_lag_max_ms"])

    def contact(self):
        return self.controller.call("GET", "/platform")[1]["description"]["bus"]["contact"]

    def is_stuck(self):
        """Whether the controller cannot get rid of its messages for a while."""
        for _ in range(STUCK_READS):
            if self.contact() != "congested":
                return False
            time.sleep(0.02)
        return True

    # What has to be.

    def check(self, begin, end, disturb=lambda: None):
        """All goes on as usual from begin() to end(), and afterwards."""
        begin()
        figures = self.observe(FAULT_S, disturb)
        end()
        began = time.monotonic()
        frame.wait_for(self.is_view_right, "the view is right again")
        right_s = time.monotonic() - began
        self.kill_one()
        frame.wait_for(self.is_view_right, "the view is right")
        lags_ms = self.lags_ms()
        print(f"\n  usual\n    {self.usual}\n  meanwhile\n    {figures}\n"
              f"  the view is right {right_s:.1f} s after the end of the trouble\n"
              f"  longest turn of the loop: manager {lags_ms[0]:.1f} ms,"
              f" controller {lags_ms[1]:.1f} ms (waited for a processor in all:"
              f" {waited_ms(self.manager):.0f} and {waited_ms(self.controller):.0f} ms)")
        self.assertLess(statistics.median(figures.back_ms),
                        10 * statistics.median(self.usual.back_ms))
        self.assertGreater(figures.echoes_per_s, self.usual.echoes_per_s / 10)
        self.assertLess(figures.gap_s, GAP_S)
        self.assertLess(max(figures.rest_ms), REST_MS)
        self.assertLess(max(lags_ms), LAG_MS)
        self.assertEqual(sum(self.events.starts().values()), self.kills)
        self.check_possessions()

    def test_silent(self):
        """Also for a manager that begins meanwhile."""
        def begin():
            self.relay.behave(relay.SILENT)
            self.manager.stop()
            self.manager.start()

        self.check(begin, lambda: self.relay.behave(relay.FORWARD))

    def test_stops_reading(self):
        """... while both have plenty to say."""
        def pester():
            self.interface.publish_all(
                [(key, {"command": command}, f"{command}-{number}") for number in range(QUESTIONS)
                 for key, command in ((f"manager.{self.host.address}", "give_content"),
                                      ("controller", "get_all_containers"))])

        def begin():
            self.relay.hold(relay.CLIENT)
            while not self.is_stuck():
                pester()

        self.check(begin, self.relay.hold, pester)

    def test_stops_talking(self):
        self.check(lambda: self.relay.hold(relay.BROKER), self.relay.hold)

    def test_memory_alarm(self):
        self.addCleanup(self.broker.set_memory_alarm, False)

        def begin():
            self.broker.set_memory_alarm(True)
            frame.wait_for(lambda: self.controller.host_states()[self.host.address] != "online",
                           "the broker takes nothing")

        self.check(begin, lambda: self.broker.set_memory_alarm(False))

    def test_garbage(self):
        self.check(lambda: self.relay.behave(relay.GARBAGE),
                   lambda: self.relay.behave(relay.FORWARD))

    def test_resets(self):
        """Within the handshake and soon after it."""
        self.check(lambda: self.relay.behave(relay.RESET),
                   lambda: self.relay.behave(relay.FORWARD), self.relay.cut)
