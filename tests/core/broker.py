#!/usr/bin/env python3
"""
RabbitMQ for the unit tests, for as long as the standard input is open.

It runs in network, mount and pid namespaces of its own, on 127.0.0.1: plain on port 5672, TLS on
port 5671, where a client's certificate is checked if it has one. Printed first, one a line: a pid
whose network namespace is the broker's, and a folder with ca.pem, other-ca.pem, client.pem and
client.key. Then each command gives one line, "ok TEXT" or "error TEXT":

  stop | start         ends the broker with SIGKILL; starts it and waits until it speaks AMQP
  queues               the names of its queues
  connections          what its clients say of themselves
  ctl ARGUMENT...      runs rabbitmqctl
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.dont_write_bytecode = True
from lab import broker as lab_broker  # noqa: E402

START_DEADLINE_S = 90
TLS = """
listeners.tcp.1 = 127.0.0.1:5672
listeners.ssl.1 = 127.0.0.1:5671
ssl_options.cacertfile = {0}/ca.pem
ssl_options.certfile = {0}/server.pem
ssl_options.keyfile = {0}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make_ca(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
            "-subj", f"/CN={name}")


def make_certificate(folder, name, subject_name):
    with open(f"{folder}/{name}.ext", "w", encoding="ascii") as file:
        file.write(f"subjectAltName={subject_name}\n")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")


class Broker:
    """Lives inside the namespaces, as their first process."""

    def __init__(self, folder):
        self.folder = folder
        self.server = None
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        make_ca(folder, "ca")
        make_ca(folder, "other-ca")
        make_certificate(folder, "server", "DNS:localhost")
        make_certificate(folder, "client", "DNS:client")
        home = f"{folder}/home"
        os.mkdir(home)
        lab_broker.configure(home, TLS.format(folder))
        self.environment = {**os.environ, **lab_broker.environment(home)}
        self.start()

    def start(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.server = subprocess.Popen([lab_broker.SERVER], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env=self.environment,
                                           start_new_session=True)
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and self.server.poll() is None:
            if self.speaks_amqp():
                return
            time.sleep(0.1)
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as lines:
            raise RuntimeError("RabbitMQ does not start: " + " ".join(lines.readlines()[-5:]))

    @staticmethod
    def speaks_amqp():
        try:
            with socket.create_connection(("127.0.0.1", 5672), timeout=5) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                return connection.recv(1) == b"\x01"  # the frame with connection.start
        except OSError:
            return False

    def stop(self):
        """All of its processes: the server is a shell script, its node left that group."""
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            if pid != 1:
                os.kill(pid, signal.SIGKILL)
        self.server.wait()
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def ctl(self, *arguments):
        done = subprocess.run([lab_broker.CONTROL, "-q", *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=self.environment)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return done.stdout

    def queues(self):
        return self.ctl("list_queues", "--no-table-headers", "name")

    def connections(self):
        return self.ctl("list_connections", "--no-table-headers", "client_properties")

    def obey(self, line):
        verb, *arguments = shlex.split(line)
        if verb not in ("start", "stop", "ctl", "queues", "connections"):
            raise RuntimeError(f"unknown command {verb}")
        return getattr(self, verb)(*arguments) or ""

    def serve(self):
        for line in sys.stdin:
            try:
                print("ok", " ".join(self.obey(line).split()), flush=True)
            except Exception as error:  # the test reports it
                print("error", " ".join(str(error).split()), flush=True)


def outside():
    folder = tempfile.mkdtemp(prefix="hms-broker-")
    inside = None
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        inside = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork",
                                   "--kill-child", "--mount-proc", sys.executable, __file__,
                                   folder])
        print(inside.pid, flush=True)
        return inside.wait()
    except KeyboardInterrupt:
        return 1
    finally:
        if inside is not None and inside.poll() is None:
            inside.kill()  # the first process of the namespaces dies with it, and they with that
            inside.wait()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    if len(sys.argv) == 1:
        return outside()
    broker = Broker(sys.argv[1])
    print(sys.argv[1], flush=True)
    broker.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
