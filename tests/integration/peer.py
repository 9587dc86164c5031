"""
Peers that speak version 1 of the protocol as the system that HMS replaces did: its manager, its
controller and its interface, message by message, over pika. They share no code with HMS.

A peer is one connection and one thread, which lives in the broker's network. Everything that it
receives is kept, so that it can be looked at and sent again.
"""

import json
import random
import string
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple, Optional

import pika

from lab import net
from lab.lab import Lab

EXCHANGE = "health_system_exchange"
REPLY_S = 5  # the controller's patience
ANSWER_S = 60  # the tests': an order of magnitude above what is expected


class Message(NamedTuple):
    """One delivery; fields is None if the body is no JSON object."""

    key: str
    correlation_id: Optional[str]
    body: bytes
    fields: Optional[dict]
    at: float  # monotonic

    @property
    def command(self):
        return self.fields and self.fields.get("command")

    @property
    def address(self):
        return self.fields and self.fields.get("address")


def _fields(body):
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _new_correlation_id():
    return "".join(random.choices(string.ascii_uppercase + string.digits, k=10))


class Peer:
    """
    A component on the bus of a lab. Declares what the old one declared; is ready when the
    constructor returns. on_notification() and on_request() run in its thread.
    """

    def __init__(self, lab, role, address):
        self.role, self.address = role, address
        self.received = []  # requests and notifications
        self.replies = []
        self._waiting = {}  # correlation id -> function that takes the reply
        self._broker = Lab(lab).broker().describe()
        self._lan = net.path(net.namespace(lab, "lan"))
        self._connection = self._channel = None
        self._is_closing = False
        ready = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.result(ANSWER_S)

    # In the thread.

    def _run(self, ready):
        try:
            net.enter(self._lan)
            self._connection = pika.BlockingConnection(pika.ConnectionParameters(
                self._broker["address"], self._broker["port"], self._broker["vhost"],
                pika.PlainCredentials(self._broker["user"], self._broker["password"]),
                heartbeat=60))
            self._channel = self._connection.channel()
            self._declare()
            self.begin()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        while not self._is_closing:
            self._connection.process_data_events(time_limit=None)
        self._connection.close()

    def _declare(self):
        self._channel.exchange_declare(EXCHANGE, "direct", arguments={"x-message-ttl": 0})
        self._consume(self.bindings(), self._on_received)
        self._consume([f"{self.role}.callback.{self.address}"], self._on_reply)

    def _consume(self, keys, callback):
        queue = self._channel.queue_declare("", exclusive=True).method.queue
        for key in keys:
            self._channel.queue_bind(queue, EXCHANGE, key)
        self._channel.basic_consume(queue, callback, auto_ack=True)

    def _on_received(self, _channel, method, properties, body):
        message = Message(method.routing_key, properties.correlation_id, body, _fields(body),
                          time.monotonic())
        self.received.append(message)
        if message.fields is None:
            return
        if message.correlation_id is None:
            self.on_notification(message)
            return
        reply = self.on_request(message)
        if reply is not None:
            self._publish(message.fields["sender"], reply, message.correlation_id)

    def _on_reply(self, _channel, method, properties, body):
        message = Message(method.routing_key, properties.correlation_id, body, _fields(body),
                          time.monotonic())
        self.replies.append(message)
        take = self._waiting.get(message.correlation_id)
        if take is not None:
            take(message)

    def _publish(self, key, message, correlation_id):
        if isinstance(message, dict):
            message = json.dumps({"sender": self.sender, **message}).encode()
        self._channel.basic_publish(EXCHANGE, key, message,
                                    pika.BasicProperties(correlation_id=correlation_id))

    def _every(self, period_s, function):
        def run():
            function()
            self._connection.call_later(period_s, run)

        self._connection.call_later(period_s, run)

    def _ask(self, key, command, fields, take):
        """Sends a request; take(message) gets each reply until _forget(). Returns its id."""
        correlation_id = _new_correlation_id()
        self._waiting[correlation_id] = take
        self._publish(key, {"command": command, **fields}, correlation_id)
        return correlation_id

    def _forget(self, correlation_id):
        self._waiting.pop(correlation_id, None)

    # To be overridden.

    def begin(self):
        """Once, when it is on the bus."""

    def bindings(self):
        """The receive queue's routing keys."""
        return [self.role, f"{self.role}.{self.address}"]

    def on_notification(self, message):
        pass

    def on_request(self, message):
        """Returns the reply, or None to be silent."""

    # From any other thread.

    @property
    def sender(self):
        return f"{self.role}.callback.{self.address}"

    def do(self, function):
        """Runs it in the peer's thread and returns its result."""
        result = Future()

        def run():
            try:
                result.set_result(function())
            except Exception as error:
                result.set_exception(error)

        self._connection.add_callback_threadsafe(run)
        return result.result(ANSWER_S)

    def publish(self, key, message, correlation_id=None):
        """Sends an object, to which `sender` is added if it has none, or bytes as they are."""
        self.do(lambda: self._publish(key, message, correlation_id))

    def publish_all(self, messages):
        """The same for many of (key, message, correlation id)."""
        self.do(lambda: [self._publish(*one) for one in messages])

    def repeat(self, message):
        """Sends once more what was recorded."""
        self.publish(message.key, message.body, message.correlation_id)

    def request(self, key, command, replies=1, timeout_s=ANSWER_S, **fields):
        """Sends a request and returns so many replies, or fewer that came within the time."""
        came, enough = [], threading.Event()

        def take(message):
            came.append(message)
            if len(came) >= replies:
                enough.set()

        correlation_id = self.do(lambda: self._ask(key, command, fields, take))
        enough.wait(timeout_s)
        self.do(lambda: self._forget(correlation_id))
        return list(came)

    def heard(self, command, address=None):
        """What it received of that command, and of that `address`."""
        return [message for message in list(self.received)
                if message.command == command and address in (None, message.address)]

    def close(self):
        if self._thread.is_alive():
            self.do(lambda: setattr(self, "_is_closing", True))
            self._thread.join(ANSWER_S)


class Recorder(Peer):
    """Listens to any routing keys; for a copy of what others are told."""

    def __init__(self, lab, address, keys):
        self._keys = keys
        super().__init__(lab, "recorder", address)

    def bindings(self):
        return self._keys


def ok(description):
    return {"command": "ok", "description": description}


def error(kind, description):
    return {"command": "error", "type": kind, "description": description}


class OldManager(Peer):
    """
    The old manager of a host whose containers are made up: `containers` has their full ids, of
    which it tells ten digits. It can be made to tell nothing of itself, and to answer nothing.
    """

    def __init__(self, lab, address, containers=(), live_s=10):
        self.live_s = live_s
        self.threshold = 60
        self.ignored = set()
        self.tells = self.answers = True
        self.content_reply = None  # instead of the true one
        self.entries = {
            name[:10]: {"address": f"172.17.0.{number}", "packet_loss": "0.0%",
                        "container_state": "running", "service_state": "enable",
                        "details": "packet loss: 0.0%"}
            for number, name in enumerate(containers, 2)}
        super().__init__(lab, "manager", address)

    def begin(self):
        self._tell("live")
        self._every(self.live_s, lambda: self._tell("live"))

    def _tell(self, command):
        if self.tells:
            self._publish("controller", {"command": command, "address": self.address}, None)

    def change(self, container, **fields):
        """Something happens to a container; the update flag is raised."""
        self.do(lambda: (self.entries[container[:10]].update(fields), self._tell("update")))

    def content(self):
        return {name: {"container_state": "disabled", "details": "ignored by the operator"}
                if name in self.ignored else dict(entry) for name, entry in self.entries.items()}

    def on_request(self, message):
        if not self.answers:
            return None
        command = getattr(self, f"_{message.command}", None)
        if command is None:
            return error("INVALID_REQUEST", "invalid command")
        reply = command(message.fields)
        if message.command != "give_content" and reply["command"] == "ok":
            self._tell("update")
        return reply

    def _give_content(self, _fields_of_it):
        return self.content_reply or {"command": "ok", "address": self.address,
                                      "content": self.content()}

    def _container_ignore(self, fields):
        container = fields.get("containerID")
        if container is None:
            return error("missing_par", "missing containerID")
        if container not in self.entries:
            return error("CONTAINER_NOT_PRESENT", "containerID not present")
        if container in self.ignored:
            return error("invalid_op", "already ignored")
        self.ignored.add(container)
        return ok("container ignored")

    def _container_add(self, fields):
        container = fields.get("containerID")
        if container is None:
            return error("missing_par", "missing containerID")
        if container not in self.entries:
            return error("CONTAINER_NOT_PRESENT", "containerID not present")
        if container not in self.ignored:
            return error("invalid_op", "not removed from the service")
        self.ignored.remove(container)
        return ok("container added")

    def _container_threshold(self, fields):
        threshold = fields.get("threshold")
        if threshold is None:
            return error("missing_par", "missing threshold")
        if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 100:
            return error("invalid_param", "threshold must be between 0 and 100")
        self.threshold = threshold
        return ok("threshold changed")


class OldController(Peer):
    """
    The old controller: knows its hosts by their `live` and `update`, and asks those that have told
    of something with give_content every aggregation time.
    """

    def __init__(self, lab, address, aggregation_s=1):
        self.aggregation_s = aggregation_s
        self.hosts = {}  # address -> {"manager_status", "content"}; status `asked` is between
        super().__init__(lab, "controller", address)

    def begin(self):
        self._every(self.aggregation_s, self._aggregate)

    def on_notification(self, message):
        if message.command in ("live", "update"):
            host = self.hosts.setdefault(message.address, {"content": None})
            host["manager_status"] = "update_present"

    def _aggregate(self):
        for address, host in self.hosts.items():
            if host["manager_status"] == "update_present":
                self._give_content(address, host)

    def _give_content(self, address, host):
        def take(message):
            host["content"] = message.fields["content"]
            end("updated")

        def end(status):
            self._forget(correlation_id)
            self._connection.remove_timeout(patience)
            if host["manager_status"] == "asked":  # and nothing was told meanwhile
                host["manager_status"] = status

        host["manager_status"] = "asked"
        correlation_id = self._ask(f"manager.{address}", "give_content", {}, take)
        patience = self._connection.call_later(REPLY_S, lambda: end("update_present"))

    def content(self, address):
        """What it last learnt of that host, or {}."""
        return self.hosts.get(address, {}).get("content") or {}

    def order(self, address, command, **fields):
        """Sends a command to one manager; returns the fields of its reply, or None."""
        replies = self.request(f"manager.{address}", command, timeout_s=REPLY_S, **fields)
        return replies[0].fields if replies else None


class OldInterface(Peer):
    """The old REST interface's side of the bus."""

    def __init__(self, lab, address):
        super().__init__(lab, "interface", address)

    def command(self, name, key="controller", **fields):
        """Sends a command to the controller; returns the fields of the reply."""
        replies = self.request(key, name, **fields)
        if not replies:
            raise AssertionError(f"no reply to {name} within {ANSWER_S} s")
        return replies[0].fields
