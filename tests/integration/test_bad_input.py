"""Bad input on REST: a clear error, the process alive, the state as it was."""

import os
import random
import socket
import subprocess

from integration import frame

ADDRESS = "10.77.0.1"
ERROR_TYPES = {"missing_par", "invalid_param", "invalid_op", "INVALID_REQUEST", "unreachable",
               "connection_error", "CONTAINER_NOT_PRESENT", "INTERNAL_ERROR"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# method, path, body, headers, status
REQUESTS = [
    ("POST", "/containers", "{", None, 400),
    ("POST", "/containers", "", None, 400),
    ("POST", "/containers", "[]", None, 400),
    ("POST", "/containers", "null", None, 400),
    ("POST", "/containers", "{}", None, 400),
    ("POST", "/containers", '{"threshold": 1} x', None, 400),
    ("POST", "/containers", '{"threshold": 1, "threshold": 2}', None, 400),
    ("POST", "/containers", '{"threshold": "60"}', None, 400),
    ("POST", "/containers", '{"threshold": null}', None, 400),
    ("POST", "/containers", '{"threshold": [60]}', None, 400),
    ("POST", "/containers", '{"threshold": true}', None, 400),
    ("POST", "/containers", '{"threshold": -1}', None, 400),
    ("POST", "/containers", '{"threshold": 100.5}', None, 400),
    ("POST", "/containers", '{"threshold": 1e999}', None, 400),
    ("POST", "/containers", '{"threshold": NaN}', None, 400),
    ("POST", "/containers", '{"threshold": "\xff"}'.encode("latin-1"), None, 400),
    ("POST", "/containers", "[" * 60000, None, 400),
    ("POST", "/containers?threshold=101", None, None, 400),
    ("POST", "/containers?threshold=abc", None, None, 400),
    ("POST", f"/containers/{ADDRESS}", '{"threshold": 101}', None, 400),
    ("POST", "/containers/10.9.9.9", '{"threshold": 50}', None, 404),
    ("POST", "/containers", '{"threshold": 50}', FORM, 415),
    ("POST", "/containers", '{"threshold": 50}' + " " * 1_000_000, None, 413),
    ("GET", "/containers/10.9.9.9", None, None, 404),
    ("GET", "/containers/not-an-address", None, None, (400, 404)),
    ("GET", f"/containers/{ADDRESS}/nosuch", None, None, 404),
    ("PUT", f"/containers/{ADDRESS}/nosuch", None, None, 404),
    ("DELETE", f"/containers/{ADDRESS}/nosuch", None, None, 404),
    ("DELETE", f"/containers/{ADDRESS}/%00%ff", None, None, (400, 404)),
    ("GET", f"/containers/{ADDRESS}/c001/more", None, None, 404),
    ("GET", "/containers/" + "x" * 3000, None, None, (400, 404, 414)),
    ("GET", "/../../etc/passwd", None, None, (400, 404)),
    ("GET", "/nosuch", None, None, 404),
    ("PATCH", "/containers", '{"threshold": 50}', None, 405),
    ("DELETE", "/containers", None, None, 405),
    ("POST", "/healthz", "{}", None, 405),
    ("POST", "/containers", '{"threshold": 50}', {"Origin": "http://evil.example"}, 403),
    ("POST", "/containers", '{"threshold": 50}', {"Host": "evil.example"}, 403),
]

# Bytes that are no HTTP, and the statuses that may answer (None: the connection just ends).
GARBAGE = [
    (b"\r\n" * 4 + b"garbage\r\n\r\n", {400, None}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400, None}),  # a TLS hello
    (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", {400, 414}),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", {431}),
    (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", {400, 505}),
    (b"POST /containers HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", {400}),
    (b"POST /containers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    (b"POST /containers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     {400}),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHead\0er: 1\r\n\r\n", {400}),
]


class BadInput(frame.IntegrationTest):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.host.address, ADDRESS)
        with socket.socket() as probe:  # a port that is free now; nobody else here takes any
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.hms = self.start_hms(listen=f"127.0.0.1:{port}")
        self.before = self.state()

    def state(self):
        """What bad input must not change: per container, is it supervised, and the threshold."""
        description = self.hms.call("GET", f"/containers/{ADDRESS}")[1]["description"]
        return ({name: (entry["container_state"], entry["service_state"], entry["restarts"])
                 for name, entry in description["content"].items()},
                description.get("threshold_pct"))

    def check_unharmed(self):
        self.assertTrue(self.hms.is_alive())
        self.assertEqual(self.state(), self.before)

    def test_requests(self):
        for method, path, body, headers, expected in REQUESTS:
            with self.subTest(method=method, path=path[:60], body=repr(body)[:60]):
                status, answer = self.hms.call(method, path, body, headers)
                self.assertIn(status, expected if isinstance(expected, tuple) else (expected,),
                              answer)
                self.assertEqual(answer["command"], "error")
                self.assertIn(answer["type"], ERROR_TYPES)
                self.assertTrue(answer["description"])
                self.check_unharmed()

    def test_garbage(self):
        for data, statuses in GARBAGE:
            with self.subTest(data=data[:40]):
                self.assertIn(self.send(data), statuses)
                self.check_unharmed()

    def test_random_bytes(self):
        seed = int.from_bytes(os.urandom(4), "big")
        source = random.Random(seed)
        for _ in range(20 if frame.QUICK else 200):
            with self.subTest(seed=seed):
                self.send(source.randbytes(source.randrange(1, 4096)))
                self.assertTrue(self.hms.is_alive())
        self.check_unharmed()

    def send(self, data):
        """Sends bytes and no more; returns the answer's status or None."""
        with self.hms.connect() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(4096)
            except ConnectionError:
                return None
        return int(answer.split()[1]) if answer.startswith(b"HTTP/1.") else None

    def test_conflicts(self):
        path = f"/containers/{ADDRESS}/{self.names[0]}"
        self.assertEqual(self.hms.call("PUT", path)[0], 409)
        self.check_unharmed()
        self.assertEqual(self.hms.call("DELETE", path)[0], 200)
        self.assertEqual(self.hms.call("DELETE", path)[0], 409)
        self.assertEqual(self.hms.entry(self.names[0])["container_state"], "disabled")
        self.assertEqual(self.hms.call("PUT", path)[0], 200)
        frame.wait_for(lambda: self.state() == self.before, "all is as before")

    def test_public_address_needs_a_token(self):
        other = frame.Hms(self, self.host, self.folder,
                          {"listen": "0.0.0.0:0", "state_dir": f"{self.folder}/other"})
        result = subprocess.run(other.arguments(), capture_output=True, text=True,
                                timeout=frame.DEADLINE_S)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("token", result.stdout + result.stderr)
