"""The container image: loads into an engine, and hms in it does its work with the rights it is given."""

import json
import os
import subprocess

from integration import frame
from integration.hms import PROGRAM

IMAGE = os.path.join(os.path.dirname(PROGRAM), "hms-image.tar")
# As docs/deployment.md tells it; what is missing here is missing there.
RUN = ["run", "--network", "host", "--cap-drop", "ALL", "--read-only",
       "--security-opt", "no-new-privileges", "--label", "hms.ignore=true"]


class Image(frame.IntegrationTest):
    def setUp(self):
        super().setUp()
        with open(IMAGE, "rb") as image:
            self.docker("load", stdin=image)
        self.addCleanup(self.docker, "volume", "rm", "--force", "hms-test-state")
        self.addCleanup(self.engine.remove, "hms")

    def run_hms(self, *options):
        """`hms standalone` in a container, as documented; returns when it knows the containers."""
        self.engine.remove("hms")
        self.docker(*RUN, "--detach", "--name", "hms", "--cap-add", "NET_RAW",
                    "--volume", f"{self.host.socket}:/var/run/docker.sock",
                    "--volume", "hms-test-state:/var/lib/hms",
                    "hms:latest", "standalone", "--supervise=all", "--stop-grace-ms=0",
                    f"--address={self.host.address}", *options)
        frame.wait_for(self._is_ready, "hms in its container is ready")

    def _is_ready(self):
        self.assertEqual(self.state_of("hms"), "running", self._log())
        return self._answers()

    def _answers(self):
        return subprocess.run(["nsenter", f"--net={self.host.netns}", "curl", "-fs",
                               "http://127.0.0.1:8080/healthz"],
                              capture_output=True).returncode == 0

    def _log(self):
        return subprocess.run(["docker", "-H", f"unix://{self.host.socket}", "logs", "hms"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    def entry(self, name):
        answer = json.loads(self.in_host(["curl", "-fsS", "http://127.0.0.1:8080/containers/"
                                          f"{self.host.address}/{name}"]))
        return next(iter(answer["description"]["content"].values()))

    def test_version(self):
        version = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True,
                                 text=True).stdout
        self.assertEqual(self.docker("run", "--rm", "hms:latest", "--version"), version)
        self.assertEqual(self.docker("run", "--rm", f"hms:{version.split()[1]}", "--version"),
                         version)

    def test_same_bytes_again(self):
        with open(IMAGE, "rb") as image:
            before = image.read()
        again = os.path.join(self.folder, "again.tar")
        self.command([os.path.join(frame.ROOT, "scripts", "image"), "--program", PROGRAM,
                      "--version", self.docker("run", "--rm", "hms:latest",
                                               "--version").split()[1],
                      "--licence", os.path.join(frame.ROOT, "LICENSE"), "--output", again])
        with open(again, "rb") as image:
            self.assertTrue(image.read() == before, "another archive of the same program")

    def test_needs_its_capability(self):
        """Raw sockets are what it cannot do without; the message says so."""
        result = subprocess.run(
            ["docker", "-H", f"unix://{self.host.socket}", *RUN, "--rm",
             "--volume", f"{self.host.socket}:/var/run/docker.sock", "--tmpfs", "/var/lib/hms",
             "hms:latest", "standalone"], capture_output=True, text=True,
            timeout=frame.DEADLINE_S)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("--cap-add NET_RAW", result.stderr)

    def test_compose(self):
        compose = ["env", f"HMS_DOCKER_SOCKET={self.host.socket}", "docker-compose", "--project-name", "hms-test", "--file",
                   os.path.join(frame.ROOT, "packaging", "compose.yaml")]
        self.addCleanup(self.command, [*compose, "down", "--volumes"])
        self.command([*compose, "up", "--detach"])
        frame.wait_for(self._answers, "hms in its container is ready")

    def test_supervises(self):
        self.run_hms()
        name = self.names[0]
        frame.wait_for(lambda: self.entry(name)["packet_loss"] == "0.0%", "it is probed")
        starts = len(self.events.all("start", name))
        self.engine.kill(name)
        frame.wait_for(lambda: len(self.events.all("start", name)) > starts, "it is started")
        self.wait_running(self.names)
        self.assertEqual(self.entry("hms")["container_state"], "disabled")
        self._check_state_survives(self.names[1])
        self.docker("stop", "--time", str(frame.DEADLINE_S), "hms")
        self.assertEqual(self.engine.inspect("hms")["State"]["ExitCode"], 0, self._log())

    def _check_state_survives(self, name):
        """The volume outlives the container: a new one still leaves `name` alone."""
        self.in_host(["curl", "-fsS", "-X", "DELETE",
                      f"http://127.0.0.1:8080/containers/{self.host.address}/{name}"])
        self.run_hms()
        self.assertEqual(self.entry(name)["container_state"], "disabled")
