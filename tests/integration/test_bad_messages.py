"""
What nobody should send: malformed, oversized, unknown and repeated messages are counted and
dropped, the log is not flooded, and what is known stays as it was.
"""

import json
import threading
import time

from integration import fleet, frame, peer
from integration.interop import IDS, OLD_CONTROLLER, OLD_MANAGER, OTHER_MANAGER, InteropTest

STRANGER = "10.77.0.231"
FLOOD = 5000
LOG_LINES_MAX = 20  # that many drops in a short time may cost
NESTED = 100_000

LIVE = {"command": "live", "sender": f"manager.callback.{OLD_MANAGER}", "address": OLD_MANAGER}
POINT = {"epoch": 1_700_000_000_000, "version": 7}
UPDATE = {**LIVE, **POINT, "command": "update", "base": 6}
ENTRY = {"address": "172.17.0.9", "packet_loss": "0.0%", "container_state": "running",
         "service_state": "enable", "details": "-"}


def without(message, *names):
    return {name: value for name, value in message.items() if name not in names}


# No messages at all, for whoever gets them.
GARBAGE = [
    b"", b" ", b"\0", b"{", b"}", b"null", b"7", b'"live"', b"[]", b'[{"command": "live"}]',
    b"\xff\xfe{}", b'{"command": "live", "sender": "x", "address": "\xff"}',
    json.dumps(LIVE).encode() + b" x", json.dumps(LIVE).encode() * 2,
    json.dumps(LIVE).encode()[:-1], json.dumps(LIVE).encode("utf-16"),
    b'{"command": "live", "command": "update", "sender": "x", "address": "10.77.0.101"}',
    b'{"command": "live", "sender": "x", "address": "10.77.0.101", "period_ms": NaN}',
    b'{"command": "live", "sender": "x", "address": "10.77.0.101", "period_ms": 1e999}',
    b'{"command": "li\\u0000ve", "sender": "x", "address": "10.77.0.101"}',
    b"[" * NESTED, b'{"a":' * NESTED, b'{"command": "live", "sender": "x", "a": ' + b"[" * NESTED +
    b"]" * NESTED + b"}",
    *(json.dumps({**without(LIVE, name), **change}).encode() for name in ("command", "sender")
      for change in ({}, {name: None}, {name: 7}, {name: True}, {name: []}, {name: {"x": 1}})),
    *(json.dumps({**LIVE, "sender": sender}).encode() for sender in ("", "x" * 256)),
]

# Notifications that tell a controller nothing it can use.
BAD_FIELDS = {
    "address": [None, 7, True, [], {}, "", "localhost", "10.77.0", "10.77.0.999", "::1",
                f"{OLD_MANAGER} ", f"{OLD_MANAGER}/24", "x" * 10_000, OTHER_MANAGER],
    "period_ms": ["1000", 0, -1, None, 1.5, True, []],
    "epoch": ["1", 0, -1, None, 1.5, []],
    "version": ["1", -1, None, 1.5, []],
}
BAD_LIVE_FIELDS = {
    "measures": [[], "x", 7, None, {"": [0, 1, 1, 1]}, {"a": []}, {"a": [0, 1, 1]},
                 {"a": [101, 1, 1, 1]}, {"a": [-1, 1, 1, 1]}, {"a": ["0", 1, 1, 1]},
                 {"a": [0, 1, 1, None]}, {"a": {"loss": 0}}],
}
BAD_UPDATE_FIELDS = {
    "base": ["6", -1, 8, None, 1.5, []],
    "changed": [[], "x", 7, None, {"": ENTRY}, {"a": 7}, {"a": None}, {"a": []}, {"x" * 65: ENTRY},
                *({"a": {**ENTRY, name: value}} for name in ENTRY
                             for value in (None, 7, True, [], {}))],
    "removed": [{}, "x", 7, None, [7], [""], [None], [["a"]], ["x" * 65]],
    "host": [[], "x", 7, None],
}
UNFIT = [
    *({**message, name: value} for message in ({**LIVE, **POINT}, UPDATE)
      for name, values in BAD_FIELDS.items() for value in values),
    *({**LIVE, **POINT, name: value} for name, values in BAD_LIVE_FIELDS.items()
      for value in values),
    *({**UPDATE, name: value} for name, values in BAD_UPDATE_FIELDS.items() for value in values),
    without(LIVE, "address"), without(UPDATE, "address"), without(UPDATE, "base"),
    without(UPDATE, "epoch"), without(UPDATE, "version"),
]

UNKNOWN = ["", "LIVE", "live ", "nonsense", "give_content", "get_all_containers", "x" * 10_000]

# Answers to give_content.
CONTENT = {"command": "ok", "address": OLD_MANAGER, "content": {}}
BAD_CONTENTS = [
    without(CONTENT, "content"),
    *({**CONTENT, "content": value} for value in BAD_UPDATE_FIELDS["changed"]),
    *({**CONTENT, "address": value} for value in (None, 7, [], "", OTHER_MANAGER)),
    *({**CONTENT, "epoch": 1, "version": value} for value in BAD_FIELDS["version"]),
    *({**CONTENT, "host": value} for value in BAD_UPDATE_FIELDS["host"]),
    {**CONTENT, "epoch": 1}, {**CONTENT, "version": 1},
    {**CONTENT, "command": "yes"}, {**CONTENT, "command": "error"},
    peer.error("INTERNAL_ERROR", "no"), {"command": "error", "type": 7, "description": []},
]


def name_of(message):
    """For the report of a subtest."""
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return text[:100]


class BadMessages(InteropTest):
    """What the tests of either side share."""

    def check_log(self, process):
        """It tells that messages were dropped, but not of each."""
        lines = [line for line in process.log_lines() if "dropped" in line["message"]]
        self.assertIn(len(lines), range(1, LOG_LINES_MAX))


class ToController(BadMessages):
    def setUp(self):
        super().setUp()
        self.controller = self.start_controller(aggregation_ms=100)
        self.manager = self.old_manager(live_s=3600)
        self.stranger = self.join(peer.Peer, "manager", STRANGER)
        frame.wait_for(lambda: self.view() and self.view()[0]["manager_status"] == "updated",
                       "the manager's content is known")
        self.known = self.view()
        self.counted = self.counters()

    def view(self):
        """All that is known, to the last sign of life."""
        return self.controller.call("GET", "/containers")[1]["description"]

    def platform(self):
        return self.controller.call("GET", "/platform")[1]["description"]

    def counters(self):
        platform = self.platform()
        return {f"{part}.{name}": value for part in ("bus", "notifications")
                for name, value in platform[part].items() if isinstance(value, int)}

    def wait_counted(self, **expected):
        """Waits until the counters have grown by so much, and by nothing else."""
        wanted = dict(self.counted)
        for name, count in expected.items():
            wanted[name.replace("_", ".")] += count
        try:
            frame.wait_for(lambda: self.counters() == wanted, "all are counted")
        except AssertionError:
            self.assertEqual(self.counters(), wanted)
        self.counted = wanted

    def check_unharmed(self):
        self.assertTrue(self.controller.is_alive())
        self.assertEqual(self.view(), self.known)

    def check_each(self, messages, counter, correlation_id=None, key="controller"):
        for message in messages:
            with self.subTest(message=name_of(message)):
                self.stranger.publish(key, message, correlation_id)
                self.wait_counted(**{counter: 1})
                self.check_unharmed()

    def test_garbage(self):
        self.check_each(GARBAGE, "bus_malformed")
        self.check_log(self.controller)

    def test_garbage_as_request(self):
        self.check_each(GARBAGE, "bus_malformed", "0123456789")
        self.assertEqual(self.stranger.replies, [])

    def test_unfit_notifications(self):
        self.check_each(UNFIT, "notifications_malformed")
        self.check_log(self.controller)

    def test_unknown_commands(self):
        for command in UNKNOWN:
            with self.subTest(command=command[:20]):
                self.stranger.publish("controller", {"command": command, "address": OLD_MANAGER})
                self.wait_counted(notifications_unknown=1)
        self.check_unharmed()
        for command in (*UNKNOWN[:5], "live", "update"):
            with self.subTest(command=command, kind="request"):
                reply = self.stranger.request("controller", command, address=OLD_MANAGER)[0]
                self.assertEqual((reply.fields["command"], reply.fields["type"]),
                                 ("error", "INVALID_REQUEST"), reply)
        self.check_unharmed()
        self.wait_counted()

    def test_long_messages(self):
        padding = "x" * (40 << 20)
        self.stranger.publish("controller", {**LIVE, "padding": padding})
        self.wait_counted(bus_oversized=1)
        self.stranger.publish("controller", {**LIVE, "command": "get_all_containers",
                                             "padding": padding}, "0123456789")
        self.wait_counted(bus_oversized=1)
        self.check_unharmed()
        self.assertEqual(self.stranger.replies, [])

    def test_replies_that_nobody_waits_for(self):
        key = f"controller.callback.{fleet.CONTROLLER_ADDRESS}"
        reply = {**CONTENT, "content": {IDS[0][:10]: {**ENTRY, "container_state": "exited"}}}
        for correlation_id in (None, "", "0123456789", "x" * 255):
            with self.subTest(correlation_id=correlation_id):
                self.stranger.publish(key, reply, correlation_id)
                self.wait_counted(bus_unexpected=1)
        for message in GARBAGE:
            self.stranger.publish(key, message, "0123456789")
        self.wait_counted(bus_unexpected=len(GARBAGE))
        self.check_unharmed()

    def asks_failed(self):
        return self.platform()["managers"][0]["asks_failed"]

    def check_bad_contents(self, replies):
        """The content stays while the manager's answers are useless; it comes back with them."""
        for reply in replies:
            with self.subTest(reply=name_of(reply)):
                failed = self.asks_failed()
                self.manager.content_reply = reply
                self.manager.change(IDS[0])
                frame.wait_for(lambda: self.asks_failed() > failed, "it is of no use")
                self.assertTrue(self.controller.is_alive())
                self.manager.content_reply = None
                frame.wait_for(lambda: self.view()[0]["manager_status"] == "updated", "a good one")
                self.assertEqual(self.view()[0]["content"], self.manager.content())

    def test_bad_contents(self):
        known = self.manager.content()
        self.check_bad_contents(BAD_CONTENTS)
        self.manager.content_reply = BAD_CONTENTS[0]
        self.manager.change(IDS[0], container_state="exited")
        frame.wait_for(lambda: self.view()[0]["host_state"] == "stale", "the host is stale")
        self.assertEqual(self.view()[0]["content"], known)

    def test_contents_that_are_no_messages(self):
        """Nobody can tell whom they answer, so each costs the waiting time."""
        self.check_bad_contents([b"{", {**CONTENT, "command": None},
                                 {**CONTENT, "padding": "x" * (40 << 20)}])

    def test_many_containers(self):
        entries = {f"{number:012x}": ENTRY for number in range(65_537)}
        self.check_bad_contents([{**CONTENT, "content": entries}])
        self.stranger.publish("controller", {**UPDATE, "changed": entries})
        self.wait_counted(notifications_malformed=1)

    def test_flood(self):
        bad = ([(message, "bus_malformed") for message in GARBAGE if len(message) < NESTED]
               + [(message, "notifications_malformed") for message in UNFIT]
               + [({"command": command, "sender": "x"}, "notifications_unknown")
                  for command in UNKNOWN])
        flood = [bad[number % len(bad)] for number in range(FLOOD)]
        expected = {name: sum(counter == name for _, counter in flood) for _, name in bad}
        began = time.monotonic()
        sending = threading.Thread(target=self.stranger.publish_all, args=(
            [("controller", message, None) for message, _ in flood],))
        sending.start()
        waits_ms = []
        while sum(self.counters().values()) < sum(self.counted.values()) + FLOOD:
            asked = time.monotonic()
            self.check_unharmed()
            waits_ms.append((time.monotonic() - asked) * 1000)
            self.assertLess(time.monotonic() - began, frame.DEADLINE_S)
        print(f"{FLOOD} bad messages in {time.monotonic() - began:.1f} s; REST meanwhile: "
              f"{frame.distribution(waits_ms, 'ms')}")
        sending.join()
        self.wait_counted(**expected)
        self.check_log(self.controller)
        self.check_unharmed()
        status, answer = self.controller.call("POST", "/containers", {"threshold": 31})
        self.assertEqual((status, self.manager.threshold), (200, 31), answer)


class Repeated(BadMessages):
    """Messages of our manager to our controller, recorded and sent again."""

    def setUp(self):
        super().setUp()
        self.host = self.hosts[0]
        self.controller = self.start_controller(aggregation_ms=100)
        self.recorder = self.join(peer.Recorder, STRANGER,
                                  ["controller", f"controller.callback.{fleet.CONTROLLER_ADDRESS}"])
        self.manager = self.start_manager(self.host, aggregation_ms=100, stop_grace_ms=0)
        frame.wait_for(lambda: self.view() == {key: ("running", 0) for key in
                                               frame.docker_view(self.host)}, "all are known")
        self.name = self.names[0]
        self.key = self.host.engine.inspect(self.name)["Id"][:12]
        for number in (1, 2):
            self.host.engine.stop(self.name)
            frame.wait_for(lambda: self.view()[self.key] == ("running", number), "it is started")
        self.known = self.view()

    def view(self):
        """Short id -> (state, restarts)."""
        content = self.controller.hosts().get(self.host.address, {}).get("content", {})
        return {key: (entry["container_state"], entry["restarts"])
                for key, entry in content.items()}

    def counter(self, part, name):
        return self.controller.call("GET", "/platform")[1]["description"][part][name]

    def repeat(self, messages, part, name, count):
        before = self.counter(part, name)
        for message in messages:
            self.recorder.repeat(message)
            self.assertEqual(self.view(), self.known)
        frame.wait_for(lambda: self.counter(part, name) >= before + count, "they are counted")
        self.assertEqual(self.counter(part, name), before + count)
        self.assertEqual(self.view(), self.known)

    def test_notifications(self):
        updates = self.recorder.heard("update")
        self.assertGreater(len(updates), 2)
        self.repeat(updates, "notifications", "repeated", len(updates))
        self.repeat(updates[::-1], "notifications", "repeated", len(updates))
        self.repeat(self.recorder.heard("live"), "notifications", "repeated", 0)

    def test_notifications_of_an_earlier_life(self):
        """They may cost a question each time, but are not believed."""
        messages = list(self.recorder.heard("update") + self.recorder.heard("live"))
        self.manager.stop()
        self.host.engine.stop(self.name)
        self.manager.start()
        frame.wait_for(lambda: self.view().get(self.key) == ("running", 3), "its new life is known")
        self.known = self.view()
        for message in messages:
            self.recorder.repeat(message)
            self.assertEqual(self.view(), self.known)
        frame.wait_for(lambda: self.controller.host_states() == {self.host.address: "online"},
                       "it is online")
        self.assertEqual(self.view(), self.known)

    def test_replies(self):
        replies = [message for message in self.recorder.received
                   if message.key == f"controller.callback.{fleet.CONTROLLER_ADDRESS}"]
        self.assertGreater(len(replies), 0)
        self.repeat(replies, "bus", "unexpected", len(replies))


class ToManager(BadMessages):
    def setUp(self):
        super().setUp()
        self.host = self.hosts[0]
        self.controller = self.join(peer.OldController, OLD_CONTROLLER, aggregation_s=0.2)
        self.manager = self.start_manager(self.host)
        frame.wait_for(lambda: self.view() == {key: ("running", "enable") for key in
                                               frame.docker_view(self.host)}, "all are known")
        self.known = self.view()
        self.key = f"manager.{self.host.address}"

    def view(self):
        """What the old controller was told: short id -> (container_state, service_state)."""
        return {key: (entry["container_state"], entry["service_state"])
                for key, entry in self.controller.content(self.host.address).items()}

    def check_unharmed(self):
        """It answers, and what it tells is as before."""
        self.assertTrue(self.manager.is_alive())
        reply = self.controller.order(self.host.address, "give_content")
        self.assertEqual({key: (entry["container_state"], entry["service_state"])
                          for key, entry in reply["content"].items()}, self.known)

    def test_garbage(self):
        for message in GARBAGE:
            with self.subTest(message=name_of(message)):
                for key in (self.key, "manager"):
                    for correlation_id in (None, "0123456789"):
                        self.controller.publish(key, message, correlation_id)
                self.check_unharmed()
        self.assertNotIn("0123456789", [one.correlation_id for one in self.controller.replies])
        self.check_log(self.manager)

    def test_unfit_requests(self):
        for command, name, values in (
                ("container_ignore", "containerID", [None, 7, True, [], {}, "", "x" * 10_000, "é"]),
                ("container_add", "containerID", [None, 7, True, [], {}, "", "x" * 10_000, "é"]),
                ("container_threshold", "threshold", [None, "60", True, [], {}, -0.1, 100.1]),
                ("live", "period_ms", [1000]),
                ("", "x", [1]),
                ("x" * 10_000, "x", [1])):
            for value in values:
                with self.subTest(command=command[:20], value=repr(value)[:20]):
                    reply = self.controller.order(self.host.address, command, **{name: value})
                    self.assertEqual(reply["command"], "error")
                    self.assertIn(reply["type"], ("invalid_param", "CONTAINER_NOT_PRESENT",
                                                  "INVALID_REQUEST"), reply)
        self.check_unharmed()

    def test_notifications(self):
        """A command that asks for no reply is no command."""
        for command, fields in (("container_ignore", {"containerID": next(iter(self.known))}),
                                ("container_threshold", {"threshold": 0}), ("nonsense", {})):
            self.controller.publish(self.key, {"command": command, **fields})
        self.check_unharmed()

    def test_long_message(self):
        self.controller.publish(self.key, {"command": "give_content", "x": "x" * (40 << 20)},
                                "0123456789")
        self.check_unharmed()
        self.assertNotIn("0123456789", [one.correlation_id for one in self.controller.replies])

    def test_replies_that_nobody_waits_for(self):
        for correlation_id in (None, "0123456789"):
            self.controller.publish(f"manager.callback.{self.host.address}", CONTENT,
                                    correlation_id)
        self.check_unharmed()

    def test_flood(self):
        small = [message for message in GARBAGE if len(message) < NESTED]
        self.controller.publish_all([(self.key, small[number % len(small)], None)
                                     for number in range(FLOOD)])
        self.check_unharmed()
        self.check_log(self.manager)
