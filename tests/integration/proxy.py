"""A way to the engine that can be made slow: requests, or answers to them, are held back."""

import os
import re
import socket
import threading

HEAD_END = b"\r\n\r\n"


class _Hold:
    def __init__(self, pattern, is_answer):
        self.pattern, self.is_answer = re.compile(pattern), is_answer
        self.released = threading.Event()


class Proxy:
    """
    Listens on a unix socket and hands each request to the engine over a connection of its own.
    Requests are told as "METHOD /target". Knows requests without a body only: hms sends no others.
    """

    def __init__(self, engine, folder):
        self.path = os.path.join(folder, "proxy.sock")
        self._engine_path = engine.socket_path
        self._lock = threading.Lock()
        self._requests, self._holds, self._sockets = [], [], []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, pattern):
        """Requests that fit the pattern do not reach the engine until release()."""
        return self._add_hold(_Hold(pattern, is_answer=False))

    def hold_answers(self, pattern):
        """They reach it, and its answers are kept until release()."""
        return self._add_hold(_Hold(pattern, is_answer=True))

    def _add_hold(self, hold):
        with self._lock:
            self._holds.append(hold)
        return hold

    def release(self, hold):
        with self._lock:
            self._holds.remove(hold)
        hold.released.set()

    def requests(self, pattern):
        """Those so far that fit the pattern."""
        with self._lock:
            return [request for request in self._requests if re.search(pattern, request)]

    def close(self):
        for hold in list(self._holds):
            self.release(hold)
        with self._lock:
            sockets = [self._listener, *self._sockets]
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _wait(self, request, is_answer):
        with self._lock:
            holds = [hold for hold in self._holds
                     if hold.is_answer == is_answer and hold.pattern.search(request)]
        for hold in holds:
            hold.released.wait()

    def _serve(self, client):
        upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._lock:
            self._sockets += [client, upstream]
        try:
            head = b""
            while HEAD_END not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            request = " ".join(head.split(b"\r\n")[0].decode().split(" ")[:2])
            with self._lock:
                self._requests.append(request)
            self._wait(request, is_answer=False)
            upstream.connect(self._engine_path)
            upstream.sendall(head.replace(HEAD_END, b"\r\nConnection: close" + HEAD_END))
            answer = upstream.recv(65536)
            self._wait(request, is_answer=True)
            while answer:
                client.sendall(answer)
                answer = upstream.recv(65536)
        except OSError:
            pass  # either side went away
        finally:
            upstream.close()
            client.close()
