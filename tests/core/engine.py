#!/usr/bin/env python3
"""A real Docker Engine for one test, steered over standard input.

Runs dockerd, with all it starts, in network, mount and PID namespaces of its own, in a new folder
under /tmp. When standard input ends (the test is over, or died) or a signal comes, the namespaces
end with every process and mount in them, and the folder is removed.

Prints the folder once the engine answers; it holds docker.sock, proxy.sock (which "cut" and "join"
disconnect and reconnect) and the image "t" is there (busybox). Then each command gives one line,
"ok TEXT" or "error TEXT":

  docker ARGUMENT...   runs the docker command
  churn NAME COUNT     renames a container and back, COUNT times: two events each (unlike pause
                       and unpause, of which Docker tells one twice now and then)
  clear                removes all containers
  kill | start         ends dockerd with SIGKILL; starts it and waits until it answers
  freeze | thaw        SIGSTOP, SIGCONT
  cut | join           see above
  tls SERVER           starts dockerd anew: TLS at port 2376 too, with that certificate of those that
                       certificates.py makes in the folder
  sshd                 starts an ssh server (sshd.py)
  sessions             how many logins that has
  hangup               ends them

The file "network" in the folder names the process in whose network namespace those ports are.
"""

import http.client
import io
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse

import certificates
import sshd

START_DEADLINE_S = 60
BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")
APPLETS = ("sh", "sleep", "true", "false", "kill")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("docker")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class Proxy:
    """Passes a unix socket on to another one, until it is cut."""

    def __init__(self, path, target):
        self.path, self.target = path, target
        self.lock = threading.Lock()
        self.sockets = []
        self.join()

    def join(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(64)
        with self.lock:
            self.sockets.append(listener)
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def cut(self):
        os.unlink(self.path)
        with self.lock:
            for each in self.sockets:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side has gone already
            self.sockets = []

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                listener.close()
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def pass_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Engine:
    """Lives inside the namespaces, as their first process."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = f"{folder}/docker.sock"
        self.pid = 0
        self.options = []
        self.sshd = None
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.start()
        self.import_image()
        self.proxy = Proxy(f"{folder}/proxy.sock", self.socket)

    def reap(self):
        """Orphans of the namespace are ours to wait for."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.pid = 0

    def request(self, method, path, body=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def start(self):
        log = open(f"{self.folder}/log", "ab")
        arguments = ["dockerd", "--data-root", f"{self.folder}/data",
                     "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid",
                     "-H", f"unix://{self.socket}", "--storage-driver", "overlay2",
                     "--bip", "172.17.0.1/16", "--cgroup-parent", cgroup(self.folder),
                     *self.options]
        self.pid = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log).pid
        log.close()
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            self.reap()
            if self.pid == 0:
                break
            try:
                if self.request("GET", "/_ping")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as lines:
            raise RuntimeError("dockerd does not start: " + " ".join(lines.readlines()[-3:]))

    def import_image(self):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.add(BUSYBOX, "bin/busybox")
            for name in APPLETS:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        command = urllib.parse.quote('CMD ["sleep", "100000"]')
        status, text = self.request(
            "POST", f"/images/create?fromSrc=-&repo=t&changes={command}", tar.getvalue())
        if status != 200:
            raise RuntimeError(text)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        while self.pid != 0:
            self.reap()
            time.sleep(0.01)

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def cut(self):
        self.proxy.cut()

    def join(self):
        self.proxy.join()

    def tls(self, server):
        if not os.path.exists(f"{self.folder}/ca.pem"):
            certificates.make(self.folder)
        self.options = ["-H", "tcp://0.0.0.0:2376", "--tlsverify",
                        "--tlscacert", f"{self.folder}/ca.pem",
                        "--tlscert", f"{self.folder}/{server}.pem",
                        "--tlskey", f"{self.folder}/key.pem"]
        self.kill()
        self.start()

    def start_sshd(self):
        self.sshd = sshd.Sshd(self.folder)

    def sessions(self):
        return str(len(self.sshd.sessions()))

    def hang_up(self):
        self.sshd.hang_up()

    def churn(self, name, count):
        for _ in range(int(count)):
            for old, new in ((name, f"{name}-"), (f"{name}-", name)):
                status, text = self.request("POST", f"/containers/{old}/rename?name={new}")
                if status != 204:
                    raise RuntimeError(text)

    def clear(self):
        for container in json.loads(self.request("GET", "/containers/json?all=1")[1]):
            self.request("DELETE", f"/containers/{container['Id']}?force=1")

    def docker(self, *arguments):
        done = subprocess.run(["docker", "-H", f"unix://{self.socket}", *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return done.stdout

    def obey(self, line):
        commands = {"docker": self.docker, "churn": self.churn, "clear": self.clear,
                    "kill": self.kill, "start": self.start, "freeze": self.freeze,
                    "thaw": self.thaw, "cut": self.cut, "join": self.join, "tls": self.tls,
                    "sshd": self.start_sshd, "sessions": self.sessions, "hangup": self.hang_up}
        verb, *arguments = shlex.split(line)
        if verb not in commands:
            raise RuntimeError(f"unknown command {verb}")
        return commands[verb](*arguments) or ""

    def serve(self):
        print(self.folder, flush=True)
        pending = b""
        while True:
            self.reap()
            if not select.select([0], [], [], 0.2)[0]:
                continue
            data = os.read(0, 4096)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                try:
                    print("ok", " ".join(self.obey(line.decode()).split()), flush=True)
                except Exception as error:  # the test reports it
                    print("error", " ".join(str(error).split()), flush=True)


def cgroup(folder):
    return "/hms-" + os.path.basename(folder)


def remove_cgroups(name):
    """The kernel keeps the empty groups of what was killed."""
    for root in ["/sys/fs/cgroup"] + [entry.path for entry in os.scandir("/sys/fs/cgroup")
                                      if entry.is_dir(follow_symlinks=False)]:
        for path, _, _ in os.walk(root + name, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass


def outside():
    folder = tempfile.mkdtemp(prefix="hms-engine-")
    inside = None
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        inside = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork",
                                   "--kill-child", "--mount-proc", sys.executable, __file__,
                                   folder])
        with open(f"{folder}/network", "w", encoding="ascii") as file:
            file.write(str(inside.pid))
        return inside.wait()
    except KeyboardInterrupt:
        return 1
    finally:
        if inside is not None and inside.poll() is None:
            inside.kill()  # the first process of the namespaces dies with it, and they with that
            inside.wait()
        remove_folder(folder)
        remove_cgroups(cgroup(folder))


def remove_folder(folder):
    """The mounts within it go with their namespace, shortly after its last process."""
    deadline = time.monotonic() + 10
    while os.path.exists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def main():
    if len(sys.argv) == 1:
        return outside()
    Engine(sys.argv[1]).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
