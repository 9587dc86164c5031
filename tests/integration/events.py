"""Recorder of a Docker Engine's container events."""

import itertools
import json
import socket
import threading
import time


class Events:
    """
    Records until close(), from its creation on or from wall time since_s, which reaches back 256
    events at most. Each event is Docker's own JSON object.
    """

    _barriers = itertools.count()

    def __init__(self, engine, since_s=None):
        self._engine = engine
        self._events = []
        self._lock = threading.Lock()
        self._connection, self._response = engine.open(
            "GET", "/events", {"filters": json.dumps({"type": ["container"]}),
                               **({"since": f"{since_s:.9f}"} if since_s else {})},
            timeout_s=None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for line in self._response:
                with self._lock:
                    self._events.append(json.loads(line))
        except (OSError, ValueError, AttributeError):
            pass  # closed, or the engine went away

    def close(self):
        if self._connection.sock:
            try:
                self._connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join()
        self._connection.close()

    def all(self, action=None, container=None):
        """Events so far, of one action and of one container (name or id) if given."""
        with self._lock:
            return [event for event in self._events
                    if (action is None or event["Action"] == action)
                    and (container is None
                         or container in (event["Actor"]["ID"],
                                          event["Actor"]["Attributes"].get("name")))]

    def sync(self):
        """Returns when every event up to now has been recorded: one made now has been."""
        name = f"barrier-{next(self._barriers)}"
        self._engine.remove(self._engine.create(name, {"Image": "hms-lab"}))
        deadline = time.monotonic() + 60
        while not self.all("destroy", name):
            if time.monotonic() > deadline:
                raise AssertionError("the engine's events stream is silent")
            time.sleep(0.01)

    def starts(self):
        """How often each container was started: (name, id) -> count."""
        self.sync()
        counts = {}
        for event in self.all("start"):
            key = event["Actor"]["Attributes"]["name"], event["Actor"]["ID"]
            counts[key] = counts.get(key, 0) + 1
        return counts
