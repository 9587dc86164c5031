"""A way to the broker that can go wrong: it may hold back, cut, or play a broker that misbehaves."""

import contextlib
import random
import select
import socket
import struct
import threading

from lab import broker, net

CHUNK = 65536
SMALL_BUFFER = 4096  # so that whoever is not read from notices soon
RESET_BYTES_MAX = 4000  # of the broker's; the handshake has about a third of that
AT_ONCE = struct.pack("ii", 1, 0)  # closing sends a reset

FORWARD = "forward"
SILENT = "silent"  # accepts, reads nothing and says nothing
GARBAGE = "garbage"  # accepts and says what is no AMQP
RESET = "reset"  # forwards, and resets each connection after a while, be it within the handshake

CLIENT, BROKER = "client", "broker"  # the sides of a connection


class _Connection:
    def __init__(self, sockets):
        self.sockets = sockets  # side -> socket
        self.pending = {side: b"" for side in sockets}  # what is to be sent there
        self.left = None  # bytes of the broker's until the reset

    def reset(self):
        for one in self.sockets.values():
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            one.close()


class Relay:
    """Listens on the LAN; one thread carries everything. close() it."""

    def __init__(self, lab):
        self._lan, self._broker = lab.netns, lab.broker().address
        self.url = f"amqp://{broker.USER}@{net.LAN_ADDRESS}:{broker.PORT}"
        self.accepted = 0
        self._lock = threading.Lock()
        self._connections, self._manners, self._held = [], FORWARD, ()
        self._listener = net.open_socket(self._lan)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._listener.bind((net.LAN_ADDRESS, broker.PORT))
        self._listener.listen(64)
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def behave(self, manners):
        """From now on; all connections are reset."""
        with self._lock:
            self._manners = manners
        self.cut()

    def hold(self, *sides):
        """Nothing is read from these sides; hold() lets all go on."""
        with self._lock:
            self._held = sides

    def cut(self):
        """Resets all connections."""
        with self._lock:
            for connection in self._connections:
                connection.reset()
            self._connections.clear()

    def close(self):
        self._is_closing = True
        self._thread.join()
        self.cut()
        self._listener.close()

    # In the thread.

    def _run(self):
        while not self._is_closing:
            with self._lock:
                reads, writes = self._wanted()
            with contextlib.suppress(ValueError, OSError):  # cut meanwhile
                readable, writable, _ = select.select(reads, writes, [], 0.02)
                with self._lock:
                    self._serve(readable, writable)

    def _wanted(self):
        reads, writes = [self._listener], []
        for connection in self._connections:
            for source, target in ((CLIENT, BROKER), (BROKER, CLIENT)):
                if target not in connection.sockets:
                    continue
                if connection.pending[target]:
                    writes.append(connection.sockets[target])
                elif source in connection.sockets and source not in self._held:
                    reads.append(connection.sockets[source])
        return reads, writes

    def _serve(self, readable, writable):
        for connection in list(self._connections):
            try:
                for source, target in ((CLIENT, BROKER), (BROKER, CLIENT)):
                    if connection.sockets.get(source) in readable:
                        self._receive(connection, source, target)
                    if connection.sockets.get(target) in writable:
                        sent = connection.sockets[target].send(connection.pending[target])
                        connection.pending[target] = connection.pending[target][sent:]
            except OSError:  # either side went away
                connection.reset()
                self._connections.remove(connection)
        if self._listener in readable:
            self._accept()

    @staticmethod
    def _receive(connection, source, target):
        data = connection.sockets[source].recv(CHUNK)
        if not data:
            raise ConnectionResetError
        if source == BROKER and connection.left is not None:
            connection.left -= len(data)
            if connection.left < 0:
                raise ConnectionResetError
        connection.pending[target] += data

    def _accept(self):
        client, _ = self._listener.accept()
        self.accepted += 1
        sockets = {CLIENT: client}
        if self._manners in (FORWARD, RESET):
            sockets[BROKER] = net.open_socket(self._lan)
            sockets[BROKER].connect((self._broker, broker.PORT))
        for one in sockets.values():
            one.setblocking(False)
        connection = _Connection(sockets)
        if self._manners == GARBAGE:
            connection.pending[CLIENT] = random.randbytes(CHUNK)
        if self._manners == RESET:
            connection.left = random.randrange(RESET_BYTES_MAX)
        self._connections.append(connection)
