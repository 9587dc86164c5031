"""
Everything at once: containers come, go and change at random beside hms. Afterwards it sees what
Docker sees, and whatever is down has a reason to be. HMS_TEST_SEED repeats a run.
"""

import contextlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

from integration import frame
from lab.engine import EngineError

SEED = int(os.environ.get("HMS_TEST_SEED") or random.randrange(1 << 32))
CHURN_S = 10 if frame.QUICK else 60
WORKERS = 3
NAMES = 5  # of each worker
COMMANDS = (None, None, None, ["true"], ["sh", "-c", "exit 3"], ["/nonexistent"])
POLICIES = ("", "", "", "always", "on-failure")
# What may hold hms back from a container that is down.
REASONS_TO_BE_DOWN = {"completed", "quarantine", "backoff", "not-started", "state"}


class Worker:
    """Acts at random on containers of its own, beside hms which acts on them too."""

    def __init__(self, engine, number):
        self.engine = engine
        self.random = random.Random(SEED + number)
        self.names = [f"churn{number}-{i}" for i in range(NAMES)]
        self.done = 0

    def run(self, until):
        actions = [self.create, self.create, self.start, self.stop, self.kill, self.rename,
                   self.pause, self.unpause, self.restart, self.remove]
        while time.monotonic() < until:
            with contextlib.suppress(EngineError):  # not in a state to have that done
                self.random.choice(actions)(self.random.choice(self.names))
                self.done += 1

    def create(self, name):
        policy = self.random.choice(POLICIES)
        self.engine.create(name, {
            "Image": "hms-lab", "HostConfig": {"RestartPolicy": {"Name": policy}},
            **({"Cmd": command} if (command := self.random.choice(COMMANDS)) else {})})
        self.engine.start(name)

    def start(self, name):
        self.engine.start(name)

    def stop(self, name):
        self.engine.stop(name, 1)

    def kill(self, name):
        self.engine.kill(name)

    def rename(self, name):
        self.act(name, "rename", {"name": self.random.choice(self.names)})

    def pause(self, name):
        self.act(name, "pause")

    def unpause(self, name):
        self.act(name, "unpause")

    def restart(self, name):
        self.act(name, "restart", {"t": 1})

    def remove(self, name):
        self.engine.remove(name)

    def act(self, name, action, query=None):
        self.engine.call("POST", f"/containers/{name}/{action}", query)


class Churn(frame.IntegrationTest):
    def test_random_acts(self):
        hms = self.start_hms(restart_limit=3, backoff_min_ms=100, backoff_max_ms=1000)
        workers = [Worker(self.engine, number) for number in range(WORKERS)]
        until = time.monotonic() + CHURN_S
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda worker: worker.run(until), workers))
        frame.wait_for(lambda: self.named_view(hms) == self.named_docker_view(),
                       f"hms sees what Docker sees (seed {SEED})")
        frame.wait_for(lambda: self.left_down_without_reason(hms) == {},
                       f"all are up or have a reason not to be (seed {SEED})")
        self.assertTrue(hms.is_alive())
        self.wait_running(self.names)
        done = sum(worker.done for worker in workers)
        starts = len([line for line in hms.log_lines() if line.get("outcome") == "done"])
        print(f"\n  seed {SEED}: {done} acts, {starts} starts by hms")
        self.assertGreater(starts, 0)
        errors = [line for line in hms.log_lines() if line["level"] == "error"]
        self.assertEqual(errors, [], f"seed {SEED}")

    def named_view(self, hms):
        return {(key, entry["name"], entry["container_state"])
                for key, entry in hms.content().items()}

    def named_docker_view(self):
        return {(entry["Id"][:12], entry["Names"][0].lstrip("/"), entry["State"])
                for entry in self.engine.containers()}

    def left_down_without_reason(self, hms):
        return {entry["name"]: entry["guard"] for entry in hms.content().values()
                if not entry["up"] and entry["guard"] not in REASONS_TO_BE_DOWN}
