"""
Everyday work with Docker goes on beside hms: each command succeeds, nothing is started that was
meant to be down, no finished job runs twice. Counted from the engine's own events.
"""

import os
import time

from integration import frame

SETTLE_S = 2  # longer than the stop grace and a round: a wrong start would have happened
COMPOSE = """version: "3"
services:
  web:
    image: hms-lab
  db:
    image: hms-lab
"""


class RepeatedWork(frame.IntegrationTest):
    """Work done REPEATS times beside hms, and the count of starts at its end."""

    def setUp(self):
        super().setUp()
        self.start_hms()
        self.began = time.monotonic()

    def check_starts(self, expected=None):
        """Every container was started once, but for those of `expected` (name -> count)."""
        time.sleep(SETTLE_S)
        expected = expected or {}
        wrong = {key: count for key, count in self.events.starts().items()
                 if count != expected.get(key[0], 1)}
        self.assertEqual(wrong, {})
        seconds = time.monotonic() - self.began - SETTLE_S
        print(f"\n  {frame.REPEATS} times in {seconds:.0f} s")

    def each(self):
        return range(1, frame.REPEATS + 1)


class Everyday(RepeatedWork):
    def test_restart(self):
        for _ in self.each():
            self.docker("restart", self.names[0])
        self.assertEqual(self.state_of(self.names[0]), "running")
        self.check_starts({self.names[0]: frame.REPEATS})

    def test_remove_by_force(self):
        for number in self.each():
            self.docker("run", "-d", "--name", f"gone{number}", "hms-lab")
            self.docker("rm", "-f", f"gone{number}")
        self.check_starts()

    def test_stop_then_remove(self):
        for number in self.each():
            self.docker("run", "-d", "--name", f"old{number}", "hms-lab")
            self.command(["sh", "-c", f"docker stop old{number} && docker rm old{number}"])
        self.check_starts()

    def test_run_and_remove(self):
        for number in self.each():
            text = self.docker("run", "--rm", "--name", f"once{number}", "hms-lab", "echo", "done")
            self.assertEqual(text, "done\n")
        self.check_starts()

    def test_finished_job(self):
        for number in self.each():
            self.docker("run", "--name", f"job{number}", "hms-lab", "true")
        self.check_starts()
        self.assertEqual({self.state_of(f"job{number}") for number in self.each()}, {"exited"})

    def test_build(self):
        for number in self.each():
            self.docker("build", "-q", "--no-cache", "-t", "hms-built", "-",
                        input=f"FROM hms-lab\nRUN echo {number} > /number\n")
        self.check_starts()

    def test_commit(self):
        for _ in self.each():
            self.docker("commit", self.names[0], "hms-committed")
        self.assertEqual(self.state_of(self.names[0]), "running")
        self.check_starts()


class Compose(RepeatedWork):
    """docker-compose stops, renames, recreates and removes."""

    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.folder, "docker-compose.yml")
        with open(self.file, "w", encoding="ascii") as file:
            file.write(COMPOSE)
        self.addCleanup(self.compose, "down")

    def compose(self, *arguments):
        self.command(["docker-compose", "-f", self.file, "-p", "everyday", *arguments])

    def test_recreate(self):
        self.compose("up", "-d")
        for _ in self.each():
            self.compose("up", "-d", "--force-recreate")
        self.assertEqual(len(self.docker_view()), len(self.names) + 2)
        self.check_starts()

    def test_down(self):
        for _ in self.each():
            self.compose("up", "-d")
            self.compose("down")
        self.assertEqual(len(self.docker_view()), len(self.names))
        self.check_starts()
