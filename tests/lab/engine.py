"""Docker Engine API over a unix socket, with the standard library alone."""

import http.client
import json
import socket
from urllib.parse import quote, urlencode

API = "/v1.40"


class EngineError(Exception):
    """The engine answered with an error; `status` is its HTTP status."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path, timeout_s=60):
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self.path)
        except OSError:
            self.sock.close()
            raise


class Engine:
    """One Docker Engine. Every call opens a connection of its own, so threads may share it."""

    def __init__(self, socket_path):
        self.socket_path = socket_path

    def open(self, method, path, query=None, body=None, headers=None, timeout_s=120):
        """Sends a request; returns (connection, response) for the caller to read and close."""
        connection = UnixConnection(self.socket_path, timeout_s)
        target = API + path + ("?" + urlencode(query) if query else "")
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                text = response.read().decode(errors="replace")
                raise EngineError(response.status, text.strip())
        except BaseException:
            connection.close()
            raise
        return connection, response

    def call(self, method, path, query=None, body=None, headers=None, timeout_s=120):
        """Sends a request; returns the JSON answer, or None where there is no body."""
        connection, response = self.open(method, path, query, body, headers, timeout_s)
        try:
            data = response.read()
        finally:
            connection.close()
        return json.loads(data) if data else None

    def is_up(self):
        """Whether the engine answers."""
        try:
            connection = UnixConnection(self.socket_path, 5)
            try:
                connection.request("GET", "/_ping")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    def containers(self):
        """`docker ps -a`."""
        return self.call("GET", "/containers/json", {"all": "1"})

    def inspect(self, container):
        return self.call("GET", f"/containers/{quote(container)}/json")

    def create(self, name, config):
        """Creates a container; returns its id."""
        return self.call("POST", "/containers/create", {"name": name}, config)["Id"]

    def start(self, container):
        self.call("POST", f"/containers/{quote(container)}/start")

    def stop(self, container, timeout_s=10):
        self.call("POST", f"/containers/{quote(container)}/stop", {"t": timeout_s})

    def kill(self, container, signal="KILL"):
        self.call("POST", f"/containers/{quote(container)}/kill", {"signal": signal})

    def remove(self, container):
        """`docker rm -f`; a container that is gone is no error."""
        try:
            self.call("DELETE", f"/containers/{quote(container)}", {"force": "1"})
        except EngineError as error:
            if error.status != 404:
                raise

    def import_image(self, name, tar, changes):
        """`docker import -c CHANGE ... - NAME`."""
        query = [("fromSrc", "-"), ("repo", name)] + [("changes", change) for change in changes]
        connection, response = self.open("POST", "/images/create", query, tar,
                                         {"Content-Type": "application/x-tar"})
        try:
            answer = response.read().decode(errors="replace")
        finally:
            connection.close()
        if "errorDetail" in answer:
            raise EngineError(response.status, answer.strip())
