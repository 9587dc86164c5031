"""Hosts that join and leave by one call: through TLS, ssh and a socket, and what can go wrong."""

import os
import socket
import subprocess
import sys
import threading

from core import sshd
from integration import fleet, frame
from integration.hms import PROGRAM
from lab import broker, image, processes

CONTAINERS = 2
MANAGER = "hms-manager"
SILENCE_MS = 1000
MIB = 1024 * 1024


class CutLine:
    """A way to an engine that breaks: once it has seen `mark`, and `size` more bytes of requests,
    it passes nothing on and takes nobody in until it is mended."""

    def __init__(self, engine, path, mark, size=0):
        self.path, self._target = path, engine.socket_path
        self._mark, self._left, self._armed = mark, size, False
        self._lock, self._sockets, self.is_cut = threading.Lock(), [], False
        self._listen()

    def _listen(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self._target)
            with self._lock:
                self._sockets += [client, engine]
            for pair in ((client, engine, True), (engine, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, is_request):
        try:
            while data := source.recv(65536):
                if is_request and self._breaks(data):
                    self._cut()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _breaks(self, data):
        with self._lock:
            self._armed = self._armed or self._mark in data
            if self._armed:
                self._left -= len(data)
            return self._armed and self._left < 0

    def _cut(self):
        with self._lock:
            self.is_cut = True
            for each in [self._listener, *self._sockets]:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                each.close()
            self._sockets = []
        os.remove(self.path)

    def mend(self):
        self._left = float("inf")
        self._listen()

    def close(self):
        if not self.is_cut or os.path.exists(self.path):
            self._cut()


class Deploy(frame.LabTest):
    def setUp(self):
        super().setUp()
        self.lab = frame.lab("deploy", 1, CONTAINERS, broker=True, tls=True)
        self.host = self.lab.host(1)
        self.names = frame.container_names(CONTAINERS)
        self.host.set_link(True)
        frame.restore(self.host, self.names)
        self.docker("volume", "prune", "--force")
        self.path = f"/containers/{self.host.address}"
        self.controller = self.start_controller()

    def start_controller(self, controller=None, **options):
        """A new one, or one that was killed."""
        controller = controller or fleet.Controller(
            self, self.lab, self.folder,
            {"listen": f"unix:{self.folder}/c.sock", "life_timeout_ms": 20000,
             "silence_ms": SILENCE_MS, **options})
        if controller.process:
            controller.start()
        else:
            self.start_process(controller)
        frame.wait_for(lambda: controller.call("GET", "/platform")[1]["description"]["controller"]
                       ["role"] == "active", "the controller is active")
        return controller

    # ---- what is there ----

    def docker(self, *words):
        result = subprocess.run(["docker", "-H", f"unix://{self.host.socket}", *words],
                                capture_output=True, text=True, timeout=frame.DEADLINE_S)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.split()

    def assert_nothing_left(self):
        """No container, volume or half an image of ours."""
        self.assertEqual(sorted(self.docker("ps", "-a", "--format", "{{.Names}}")), self.names)
        self.assertEqual(self.docker("volume", "ls", "-q"), [])
        self.assertEqual(self.docker("images", "-q", "--filter", "dangling=true"), [])

    def wait_supervised(self):
        """The deployed manager tells of every container, and starts one that is killed."""
        frame.wait_for(lambda: self.states() == {**dict.fromkeys(self.names, "running"),
                                                 MANAGER: "running"}, "it tells of all containers")

    def states(self):
        status, answer = self.controller.call("GET", self.path)
        if status != 200:
            return {}
        return {entry["name"]: entry["container_state"]
                for entry in answer["description"]["content"].values()}

    def host_view(self):
        status, answer = self.controller.call("GET", f"/hosts/{self.host.address}")
        return answer["description"] if status == 200 else None

    # ---- what is asked for ----

    def by_socket(self, **more):
        return {"docker": f"unix://{self.host.socket}", **more}

    def by_tls(self, cert="cert.pem", ca="ca.pem"):
        def read(name):
            with open(os.path.join(self.host.tls, name), encoding="ascii") as file:
                return file.read()
        return {"docker": f"tcp://{self.host.address}:2375", "socket": self.host.socket,
                "tls": {"ca": read(ca), "cert": read(cert), "key": f"{self.host.tls}/key.pem"}}

    def by_ssh(self, **more):
        """sshd runs in the host's namespace until the lab goes down."""
        folder = os.path.join(self.host.folder, "login")
        if not os.path.exists(folder):
            os.mkdir(folder)
            processes.start(["nsenter", f"--net={self.host.netns}", "unshare", "--mount",
                             sys.executable, sshd.__file__, folder, self.host.address],
                            self.lab.name, self.host.name, f"{folder}/log")
            frame.wait_for(lambda: b"Server listening" in open(f"{folder}/ssh/log", "rb").read()
                           if os.path.exists(f"{folder}/ssh/log") else False, "sshd")

        def read(name):
            with open(f"{folder}/ssh/{name}", encoding="ascii") as file:
                return file.read().strip()
        return {"docker": f"ssh://root@{self.host.address}:{sshd.PORT}{self.host.socket}",
                "host_key": read("host.pub"), "key": f"{folder}/ssh/key",
                "other": read("other.pub"), **more}

    def put(self, body, status=None):
        result = self.controller.call("PUT", self.path,
                                      {key: value for key, value in body.items()
                                       if value is not None and key != "other"})
        if status:
            self.assertEqual(result[0], status, result[1])
        return result[1]

    def delete(self, status=200, query=""):
        result = self.controller.call("DELETE", self.path + query)
        self.assertEqual(result[0], status, result[1])
        return result[1]

    def refused(self, body, status, step, words):
        """The error names the step, says why, and leaves nothing on the host or the roster."""
        answer = self.put(body, status)
        self.assertEqual((answer["command"], answer["step"]), ("error", step), answer)
        for word in words:
            self.assertIn(word, answer["description"])
        self.assert_nothing_left()
        self.assertIsNone(self.host_view())

    # ---- what works ----

    def check_joins_and_leaves(self, body):
        self.put(body, 201)
        self.wait_supervised()
        first = self.host.engine.inspect(MANAGER)["Id"]
        self.put(body, 200)
        self.assertEqual(self.host.engine.inspect(MANAGER)["Id"], first, "was kept")
        self.host.engine.kill(self.names[0])
        frame.wait_for(lambda: self.host.engine.inspect(self.names[0])["State"]["Running"],
                       "the manager starts what is killed")
        self.delete()
        self.assertIsNone(self.host_view())
        self.assertEqual(self.docker("images", "-q", "hms"), [])
        self.assert_nothing_left()

    def test_by_socket(self):
        self.check_joins_and_leaves(self.by_socket())

    def test_by_tls(self):
        self.check_joins_and_leaves(self.by_tls())

    def test_by_ssh_with_a_key(self):
        self.check_joins_and_leaves(self.by_ssh())

    def test_by_ssh_with_a_password(self):
        self.check_joins_and_leaves(self.by_ssh(key=None, password=sshd.PASSWORD))

    def test_has_no_more_rights_than_it_needs(self):
        self.put(self.by_socket(), 201)
        config = self.host.engine.inspect(MANAGER)["HostConfig"]
        self.assertEqual((config["CapDrop"], config["CapAdd"]), (["ALL"], ["NET_RAW"]))
        self.assertTrue(config["ReadonlyRootfs"])
        self.assertEqual(config["SecurityOpt"], ["no-new-privileges"])
        inspected = str(self.host.engine.inspect(MANAGER))
        self.assertNotIn(f"'{broker.PASSWORD}'", inspected.replace(broker.USER, ""))
        self.wait_supervised()

    def test_another_version_is_replaced(self):
        self.put(self.by_socket(), 201)
        first = self.host.engine.inspect(MANAGER)["Id"]
        self.controller.stop()
        self.controller = self.start_controller(heartbeat_ms=500)
        self.put(self.by_socket(), 200)
        self.assertNotEqual(self.host.engine.inspect(MANAGER)["Id"], first)
        self.wait_supervised()
        self.assertEqual(len(self.docker("ps", "-aq")), CONTAINERS + 1)

    def test_the_controller_is_restarted(self):
        self.put(self.by_ssh(), 201)
        self.controller.kill()
        self.controller = self.start_controller(self.controller)
        view = self.host_view()
        self.assertEqual((view["membership"], view["credentials"]), ("joined", "kept"))
        self.wait_supervised()
        self.delete()
        self.assert_nothing_left()

    def test_a_password_is_not_kept(self):
        self.put(self.by_ssh(key=None, password=sshd.PASSWORD), 201)
        self.controller.stop()
        for folder, _, names in os.walk(os.path.join(self.folder, "controller-state")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(sshd.PASSWORD.encode(), file.read(), name)
        self.controller = self.start_controller()
        self.assertEqual(self.host_view()["credentials"], "needed")
        self.assertIn("password", self.delete(409)["description"])
        self.put(self.by_ssh(key=None, password=sshd.PASSWORD), 200)
        self.delete()
        self.assert_nothing_left()

    def test_asynchronously_and_by_file(self):
        status, _ = self.controller.call("PUT", self.path, self.by_socket(),
                                         {"Prefer": "respond-async"})
        self.assertEqual(status, 202)
        frame.wait_for(lambda: self.host_view()["membership"] == "joined", "it has joined")
        self.delete()
        self.controller.stop()
        path = os.path.join(self.folder, "hosts")
        with open(path, "w", encoding="ascii") as file:
            file.write(f'{{"address": "{self.host.address}", '
                       f'"docker": "unix://{self.host.socket}"}}\n')
        self.controller = self.start_controller(hosts_file=path)
        frame.wait_for(lambda: self.host_view()["membership"] == "joined", "it has joined")
        self.wait_supervised()

    def test_by_command(self):
        login = self.by_ssh()
        key_file = os.path.join(self.folder, "host.pub")
        with open(key_file, "w", encoding="ascii") as file:
            file.write(login["host_key"] + " a comment\n")
        add = ("add", self.host.address, "--docker", login["docker"])
        self.assertEqual(self.hosts(*add)[0], 1)
        status, output = self.hosts(*add, "--host-key-file", key_file, "--key", login["key"])
        self.assertEqual((status, output), (0, f"{self.host.address}: its manager runs\n"))
        status, output = self.hosts()
        self.assertEqual(status, 0)
        self.assertIn(f"{self.host.address}  online  joined      kept", output)
        self.assertEqual(self.hosts("remove", self.host.address)[0], 0)
        self.assertEqual(self.hosts("remove", self.host.address)[0], 1)
        self.assertEqual(self.hosts(*add, "--host-key-file", key_file, "--password-file", "-",
                                    text=sshd.PASSWORD + "\n")[0], 0)
        self.assertEqual(self.hosts("remove", self.host.address, "--force")[0], 0)
        self.assertTrue(self.host.engine.inspect(MANAGER)["State"]["Running"])

    def hosts(self, *words, text=""):
        """`hms hosts`; returns its status and what it said."""
        result = subprocess.run(
            [PROGRAM, "hosts", *words], input=text, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=frame.DEADLINE_S,
            env={**os.environ, "HMS_URL": f"unix:{self.folder}/c.sock"})
        return result.returncode, result.stdout

    # ---- what goes wrong ----

    def test_wrong_certificates(self):
        self.refused(self.by_tls(ca="other-ca.pem"), 502, "reach", ["certificate"])
        self.refused(self.by_tls(cert="stale-cert.pem"), 502, "reach", ["certificate"])
        self.refused({**self.by_tls(), "tls": {"ca": f"{self.host.tls}/ca.pem"}}, 502, "reach",
                     ["certificate"])

    def test_wrong_login(self):
        ssh = self.by_ssh()
        self.refused({**ssh, "host_key": None}, 502, "reach", ["not known"])
        self.refused({**ssh, "host_key": ssh["other"]}, 502, "reach", ["not the one"])
        self.refused({**ssh, "key": None, "password": "wrong"}, 502, "reach", ["denied"])
        self.refused({**ssh, "docker": ssh["docker"] + "x"}, 502, "reach", ["the engine's socket"])

    def test_host_down(self):
        self.host.set_link(False)
        answer = self.put(self.by_tls(), 504)
        self.assertEqual(answer["step"], "reach")
        self.host.set_link(True)
        self.assert_nothing_left()
        self.assertIsNone(self.host_view())

    def test_load_interrupted(self):
        line = CutLine(self.host.engine, f"{self.folder}/line.sock", b"/images/load", 5 * MIB)
        self.addCleanup(line.close)
        self.docker_remove_image()
        self.refused({"docker": f"unix://{line.path}", "socket": self.host.socket}, 502, "load", [])
        self.assertTrue(line.is_cut)
        self.assertEqual(self.docker("images", "-q", "hms"), [])
        self.put(self.by_socket(), 201)

    def docker_remove_image(self):
        if self.docker("images", "-q", "hms"):
            self.docker("rmi", "--force", *set(self.docker("images", "-q", "hms")))

    def test_line_cut_at_the_start(self):
        """What cannot be undone at once is undone when the engine can be reached again."""
        line = CutLine(self.host.engine, f"{self.folder}/line.sock", b"/start")
        self.addCleanup(line.close)
        answer = self.put({"docker": f"unix://{line.path}", "socket": self.host.socket})
        self.assertEqual((answer["command"], answer["step"]), ("error", "start"), answer)
        self.assertEqual(self.host_view()["membership"], "leaving")
        self.assertIn(MANAGER, self.docker("ps", "-a", "--format", "{{.Names}}"))
        line.mend()
        frame.wait_for(lambda: self.host_view() is None, "what was left is removed")
        self.assert_nothing_left()

    def test_manager_ends_at_once(self):
        broken = f"{self.folder}/broken.tar"
        entry = '["/bin/busybox", "sh", "-c", "echo it is broken; exit 3"]'
        subprocess.run(["docker", "-H", f"unix://{self.host.socket}", "import", "-c",
                        f"ENTRYPOINT {entry}", "-", "broken:1"], input=image.build(), check=True,
                       capture_output=True)
        self.docker("save", "--output", broken, "broken:1")
        self.docker("rmi", "broken:1")
        self.controller.stop()
        self.controller = self.start_controller(image=broken)
        self.refused(self.by_socket(), 502, "sign_of_life", ["ended at once", "it is broken"])
        self.docker("rmi", "broken:1")

    def test_manager_cannot_speak(self):
        self.controller.stop()
        self.controller = self.start_controller(
            life_timeout_ms=3000, managers_broker=f"amqp://{broker.USER}@{self.lab.broker().address}:1")
        self.refused(self.by_socket(), 504, "sign_of_life", ["not heard of", "no contact with the broker"])

    def test_failed_replacement_brings_the_old_one_back(self):
        self.put(self.by_socket(), 201)
        first = self.host.engine.inspect(MANAGER)["Id"]
        self.controller.stop()
        self.controller = self.start_controller(
            life_timeout_ms=3000, managers_broker=f"amqp://{broker.USER}@{self.lab.broker().address}:1")
        answer = self.put(self.by_socket(), 504)
        self.assertEqual(answer["step"], "sign_of_life")
        self.assertEqual(self.host.engine.inspect(MANAGER)["Id"], first)
        self.wait_supervised()
        self.assertEqual(len(self.docker("ps", "-aq")), CONTAINERS + 1)

    def test_engine_without_memory(self):
        limit = self.limit_memory(MIB)
        self.addCleanup(limit, -1)
        answer = self.put(self.by_socket())
        self.assertEqual(answer["command"], "error")
        self.assertIn(answer["step"], ("start", "sign_of_life"))
        limit(-1)
        frame.restore(self.host, self.names)
        self.assert_nothing_left()

    def limit_memory(self, size):
        """All containers of the host together get that much and what they use now."""
        group = processes.cgroup(self.lab.name, self.host.name)
        path = f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"
        usage, none = path.replace("limit_in", "usage_in"), "-1"
        if not os.path.exists(path):
            path, none = f"/sys/fs/cgroup{group}/memory.max", "max"
            usage = path.replace("max", "current")

        def limit(size):
            with open(path, "w", encoding="ascii") as file:
                file.write(none if size < 0 else str(size))

        with open(usage, encoding="ascii") as file:
            limit(int(file.read()) + size)
        return limit

    def test_name_taken(self):
        frame.run_container(self.host, MANAGER)
        answer = self.put(self.by_socket(), 409)
        self.assertEqual(answer["step"], "engine")
        self.assertIn("not ours", answer["description"])
        self.assertTrue(self.host.engine.inspect(MANAGER)["State"]["Running"])

    # ---- what happens by itself ----

    def test_silent_manager_is_brought_back(self):
        self.put(self.by_socket(), 201)
        self.wait_supervised()
        self.docker("update", "--restart=no", MANAGER)
        for number, harm in enumerate((("kill",), ("rm", "--force"))):
            self.docker(*harm, MANAGER)
            frame.wait_for(lambda: self.host_view()["revivals"] > number, "it is noticed")
            frame.wait_for(lambda: self.host_view()["host_state"] == "online", "it is back")
            self.wait_supervised()

    def test_strangers_are_refused(self):
        self.put(self.by_socket(), 201)
        self.wait_supervised()
        self.controller.stop()
        os.remove(os.path.join(self.folder, "controller-state", "controller.json"))
        self.controller = self.start_controller(accept_managers="registered")
        frame.wait_for(lambda: self.controller.call("GET", "/hosts")[1]["description"]["refused"],
                       "it is refused")
        self.assertEqual(self.controller.hosts(), {})
        self.put({"docker": "none"}, 201)
        self.wait_supervised()
