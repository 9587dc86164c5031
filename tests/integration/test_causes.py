"""
How a container ended decides what is done about it: its cause, its labels, Docker's own restart
policy, whom hms supervises. What is to stay down is shown to by a witness that comes back.
"""

import os
import signal
import subprocess

from integration import frame

MIB = 1 << 20
POLICY_S = 2  # longer than Docker's own restart policy is given to show itself
CRASH = ["sh", "-c", "exit 3"]
FAST_BACKOFF = {"backoff_min_ms": 300, "backoff_max_ms": 800, "restart_limit": 4}


class CausesTest(frame.IntegrationTest):
    """Containers that end in some way, beside a witness."""

    def wait_guard(self, hms, name, word):
        def find():
            return next((entry for entry in hms.content().values()
                         if entry["name"] == name and entry.get("guard") == word), None)
        return frame.wait_for(find, f"guard {word} for {name}")

    def wait_probed(self, hms, name):
        self.wait_guard(hms, name, "clear")
        frame.wait_for(lambda: hms.entry(name)["loss_pct"] == 0, f"{name} is probed")

    def wait_starts(self, name, count):
        frame.wait_for(lambda: len(self.events.all("start", name)) >= count,
                       f"{name} is started for the {count}. time")

    def starts_of(self, name):
        self.events.sync()
        return len(self.events.all("start", name))

    def wait_witness(self):
        """The last container is killed and comes back: whatever was due before it is done."""
        witness = self.names[-1]
        starts = self.starts_of(witness)
        self.engine.kill(witness)
        self.wait_starts(witness, starts + 1)

    def check_left_down(self, name, starts=1):
        self.wait_witness()
        self.assertEqual(self.starts_of(name), starts)
        self.assertEqual(self.state_of(name), "exited")

    def wait_cause(self, hms, name, cause):
        """The newest decision that names this cause."""
        def find():
            return next((one for one in reversed(hms.decisions(name)) if one["cause"] == cause),
                        None)
        return frame.wait_for(find, f"a decision on {name} for {cause}")

    def actions(self, hms, name):
        return [one["action"] for one in hms.decisions(name) if one["action"] != "none"]

    def run_down(self, name, **config):
        """A container that ran and was stopped."""
        self.run_container(name, **config)
        self.engine.stop(name)


class Causes(CausesTest):
    def test_crash_loop_ends_in_quarantine(self):
        hms = self.start_hms(**FAST_BACKOFF)
        self.run_container("loop", CRASH)
        self.wait_guard(hms, "loop", "backoff")
        self.wait_guard(hms, "loop", "quarantine")
        story = hms.decisions("loop")
        self.assertEqual([(one["action"], one["reason"]) for one in story],
                         [("start", "clear")] + [("none", "backoff"), ("start", "clear")] * 3
                         + [("none", "quarantine")])
        self.assertEqual({(one["cause"], one["exit_code"]) for one in story}, {("crashed", 3)})
        starts = [one for one in story if one["action"] == "start"]
        for decision, wait_ms in zip(starts[1:], (300, 600, 800)):
            self.assertGreaterEqual(decision["event_to_ask_ms"], wait_ms - 1)
        self.check_left_down("loop", 1 + 4)

    def test_quarantine_survives_and_is_released(self):
        hms = self.start_hms(backoff_min_ms=1, backoff_max_ms=1, restart_limit=1)
        self.run_container("loop", CRASH)
        self.wait_guard(hms, "loop", "quarantine")
        frame.wait_for(lambda: '"quarantined"' in self.kept_state(hms), "it is kept")
        hms.kill()
        hms.start()
        self.wait_guard(hms, "loop", "quarantine")
        self.check_left_down("loop", 2)
        path = f"/containers/{self.host.address}/loop/quarantine"
        self.assertEqual(hms.call("DELETE", path)[0], 200)
        self.wait_starts("loop", 3)
        self.wait_guard(hms, "loop", "quarantine")
        self.assertEqual(hms.call("DELETE", path.replace("loop", self.names[0]))[0], 409)

    def kept_state(self, hms):
        try:
            with open(os.path.join(hms.options["state_dir"], "manager.json"),
                      encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def test_quarantine_ends_when_it_runs_steadily(self):
        hms = self.start_hms(backoff_min_ms=1, backoff_max_ms=1, restart_limit=1, stable_ms=1500)
        # It is not probed, so that no round looks after it.
        self.run_container("loop", ["sh", "-c", "test -e /well || exit 3; exec sleep 86400"],
                           HostConfig={"NetworkMode": "none"})
        self.wait_guard(hms, "loop", "quarantine")
        self.put_file("loop", "well")
        self.engine.start("loop")
        self.wait_guard(hms, "loop", "clear")
        self.engine.kill("loop")
        self.wait_starts("loop", 4)

    def put_file(self, container, name):
        path = os.path.join(self.folder, name)
        with open(path, "wb"):
            pass
        self.docker("cp", path, f"{container}:/{name}")

    def test_finished_job(self):
        hms = self.start_hms(**FAST_BACKOFF)
        self.run_container("job", ["true"])
        self.run_container("service", ["true"], Labels={"hms.restart": "always"})
        entry = self.wait_guard(hms, "job", "completed")
        self.assertEqual(entry["container_state"], "exited")
        self.assertIn("completed (exit code 0)", entry["details"])
        self.wait_starts("service", 3)
        self.check_left_down("job")

    def test_killed_behind_dockers_back(self):
        hms = self.start_hms()
        name = self.names[0]
        os.kill(self.engine.inspect(name)["State"]["Pid"], signal.SIGKILL)
        self.wait_starts(name, 1)
        decision = self.wait_cause(hms, name, "crashed")
        self.assertEqual((decision["signal"], decision["rule"]), (9, "failed"))

    def test_killed_and_stopped_through_docker(self):
        hms = self.start_hms(stop_grace_ms=0, restart_limit=1, backoff_min_ms=60000)
        name = self.names[0]
        for number, (action, cause) in enumerate([(self.engine.kill, "killed"),
                                                  (self.engine.stop, "stopped")] * 2):
            action(name)
            self.wait_starts(name, number + 1)
            self.wait_cause(hms, name, cause)
            self.wait_running([name])

    def test_out_of_memory(self):
        hms = self.start_hms(**FAST_BACKOFF)
        self.run_container("hungry", ["sh", "-c", "head -c 64m /dev/zero | tail"],
                           HostConfig={"Memory": 16 * MIB, "MemorySwap": 16 * MIB})
        frame.wait_for(lambda: self.events.all("die", "hungry"), "its end")
        self.events.sync()
        if not self.events.all("oom", "hungry"):
            self.skipTest("this kernel tells no end for want of memory")
        self.wait_cause(hms, "hungry", "out-of-memory")
        self.wait_starts("hungry", 2)

    def test_start_that_the_engine_refuses(self):
        hms = self.start_hms(stop_grace_ms=0, **FAST_BACKOFF)
        self.engine.create("broken", {"Image": "hms-lab", "Cmd": ["/nonexistent"]})
        self.wait_guard(hms, "broken", "not-started")
        path = f"/containers/{self.host.address}/broken"
        self.assertEqual(hms.call("DELETE", path)[0], 200)
        self.assertEqual(hms.put("broken")[0], 200)
        self.wait_guard(hms, "broken", "quarantine")
        starts = [one for one in hms.decisions("broken") if one["action"] == "start"]
        self.assertEqual([one["outcome"] for one in starts],
                         ["refused"] * FAST_BACKOFF["restart_limit"])
        self.assertIn("nonexistent", starts[0]["error"])


class DockersPolicy(CausesTest):
    """Docker acts first; hms only after it gave up."""

    def test_on_failure(self):
        hms = self.start_hms(restart_limit=1)
        self.run_container("retried", CRASH, HostConfig={
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
        self.wait_guard(hms, "retried", "quarantine")
        # The engine tries 1 + 2 times, and again after our start.
        self.assertEqual(self.starts_of("retried"), 6)
        self.assertEqual(self.actions(hms, "retried"), ["start"])
        self.assertEqual(hms.entry("retried")["restarts"], 1)

    def test_always(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("steady", CRASH, HostConfig={"RestartPolicy": {"Name": "always"}})
        self.wait_starts("steady", 5)
        frame.wait_for(lambda: self.state_of("steady") == "restarting", "Docker waits")
        self.assertEqual(self.actions(hms, "steady"), [])
        self.assertEqual(hms.entry("steady")["restarts"], 0)

    def test_stopped_while_docker_waits(self):
        hms = self.start_hms(stop_grace_ms=0, reconcile_ms=600000)
        self.run_container("steady", CRASH, HostConfig={"RestartPolicy": {"Name": "always"}})
        self.wait_starts("steady", 5)
        frame.wait_for(lambda: self.state_of("steady") == "restarting", "Docker waits")
        self.engine.stop("steady")
        self.wait_cause(hms, "steady", "stopped")
        frame.wait_for(lambda: self.actions(hms, "steady") == ["start"], "it is started again")

    def test_killed_on_the_host(self):
        hms = self.start_hms()
        self.run_container("steady", HostConfig={"RestartPolicy": {"Name": "always"}})
        os.kill(self.engine.inspect("steady")["State"]["Pid"], signal.SIGKILL)
        self.wait_starts("steady", 2)
        frame.observe(POLICY_S, lambda: self.assertEqual(self.actions(hms, "steady"), []))
        self.assertEqual(self.starts_of("steady"), 2)


class Labels(CausesTest):
    def test_restart_no(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("left", Labels={"hms.restart": "no"})
        self.engine.kill("left")
        self.wait_guard(hms, "left", "label-no")
        self.check_left_down("left")

    def test_restart_on_failure(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("stopped", Labels={"hms.restart": "on-failure"})
        self.run_container("failed", Labels={"hms.restart": "on-failure"})
        self.engine.stop("stopped")
        self.wait_guard(hms, "stopped", "label-on-failure")
        os.kill(self.engine.inspect("failed")["State"]["Pid"], signal.SIGKILL)
        self.wait_starts("failed", 2)
        self.check_left_down("stopped")

    def test_ignore(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("ignored", Labels={"hms.ignore": "true"})
        self.engine.kill("ignored")
        frame.wait_for(lambda: self.state_of("ignored") == "exited", "its end")
        self.check_left_down("ignored")
        self.assertEqual(hms.entry("ignored")["container_state"], "disabled")
        self.assertEqual(hms.put("ignored")[0], 409)

    def test_threshold(self):
        hms = self.start_hms(start_grace_ms=0)
        self.run_container("tolerant", Labels={"hms.threshold": "100"})
        self.run_container("strict", Labels={"hms.threshold": "5"})
        for name in ("tolerant", "strict"):
            self.wait_probed(hms, name)
        self.lose("tolerant", 99)
        frame.wait_for(lambda: hms.entry("tolerant")["loss_pct"] > 80, "its loss is seen")
        self.lose("strict", 30)
        self.wait_starts("strict", 2)
        self.assertEqual(self.wait_rule(hms, "strict", "loss")["action"], "restart")
        self.assertEqual(self.starts_of("tolerant"), 1)
        self.assertEqual(hms.decisions("tolerant"), [])

    def wait_rule(self, hms, name, rule):
        def find():
            return next((one for one in hms.decisions(name) if one["rule"] == rule), None)
        return frame.wait_for(find, f"a decision on {name} by {rule}")

    def test_stop_timeout(self):
        hms = self.start_hms(start_grace_ms=0)
        self.run_container("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 86400; done"],
                           Labels={"hms.stop-timeout": "1"})
        self.wait_probed(hms, "deaf")
        self.lose("deaf", 99)
        self.wait_starts("deaf", 2)
        signals = self.events.all("kill", "deaf")
        self.assertEqual([one["Actor"]["Attributes"]["signal"] for one in signals], ["15", "9"])
        waited_s = (signals[1]["timeNano"] - signals[0]["timeNano"]) / 1e9
        self.assertGreaterEqual(waited_s, 0.9)
        self.assertLess(waited_s, 9)  # Docker's own timeout is 10 s

    def test_label_that_is_not_understood(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("odd", Labels={"hms.restart": "sometimes"})
        details = self.wait_guard(hms, "odd", "clear")["details"]
        self.assertIn("hms.restart=sometimes is not understood", details)
        self.engine.kill("odd")
        self.wait_starts("odd", 2)


class Whom(CausesTest):
    """Who is supervised at all."""

    def test_auto_remove(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("once", HostConfig={"AutoRemove": True})
        self.assertEqual(self.wait_guard(hms, "once", "auto-remove")["service_state"], "disable")
        self.engine.kill("once")
        frame.wait_for(lambda: self.events.all("destroy", "once"), "its removal")
        self.wait_witness()
        self.assertEqual(self.starts_of("once"), 1)

    def test_somebodys_session(self):
        hms = self.start_hms(stop_grace_ms=0)
        session = subprocess.Popen(
            ["docker", "-H", f"unix://{self.host.socket}", "run", "-i", "--name", "session",
             "hms-lab", "sh"], stdin=subprocess.PIPE)
        self.addCleanup(session.wait)
        self.addCleanup(session.stdin.close)
        frame.wait_for(lambda: self.events.all("start", "session"), "it runs")
        self.wait_guard(hms, "session", "interactive")
        self.engine.kill("session")
        frame.wait_for(lambda: self.state_of("session") == "exited", "its end")
        self.check_left_down("session")

    def test_seen(self):
        self.run_down("old")
        hms = self.start_hms(supervise="seen", stop_grace_ms=0)
        self.wait_guard(hms, "old", "not-seen-running")
        self.check_left_down("old")
        self.assertEqual(hms.put("old")[0], 200)
        self.wait_starts("old", 2)
        self.engine.kill("old")
        self.wait_starts("old", 3)

    def test_seen_is_kept(self):
        hms = self.start_hms(supervise="seen", on_stop="respect", stop_grace_ms=0)
        self.run_down("stopped")
        self.wait_guard(hms, "stopped", "respected")
        hms.stop()
        hms.options["on_stop"] = "start"
        hms.start()
        self.wait_starts("stopped", 2)

    def test_all(self):
        self.run_down("old")
        self.run_container("job", ["true"])
        self.engine.create("never", {"Image": "hms-lab"})
        hms = self.start_hms(supervise="all", stop_grace_ms=0)
        self.wait_starts("old", 2)
        self.wait_guard(hms, "job", "completed")
        self.wait_guard(hms, "never", "not-started")
        self.check_left_down("job")

    def test_labelled(self):
        self.run_down("old", Labels={"hms.threshold": "50"})
        self.run_down("plain")
        hms = self.start_hms(supervise="labelled", stop_grace_ms=0)
        self.wait_starts("old", 2)
        self.wait_guard(hms, "plain", "not-labelled")
        self.engine.kill("old")
        self.wait_starts("old", 3)
        self.assertEqual(self.starts_of("plain"), 1)
        self.assertEqual(hms.put("plain")[0], 409)

    def test_put_starts_what_was_never_started(self):
        hms = self.start_hms(supervise="seen")
        self.engine.create("never", {"Image": "hms-lab"})
        self.wait_guard(hms, "never", "not-seen-running")
        self.assertEqual(hms.put("never")[0], 200)
        self.wait_starts("never", 1)
        self.assertEqual(self.wait_rule_requested(hms)["outcome"], "done")

    def wait_rule_requested(self, hms):
        def find():
            return next((one for one in hms.decisions("never")
                         if one["rule"] == "requested" and "outcome" in one), None)
        return frame.wait_for(find, "the decision is recorded")

    def test_paused(self):
        hms = self.start_hms()
        name = self.names[0]
        self.wait_probed(hms, name)
        self.docker("pause", name)
        self.addCleanup(self.unpause, name)
        entry = frame.wait_for(lambda: (entry := hms.entry(name))["container_state"] == "paused"
                               and entry, "it is shown as paused")
        self.assertEqual((entry["loss_pct"], entry["packet_loss"]), (None, "n/a"))
        self.lose(name, 99)  # nobody is to notice
        frame.observe(POLICY_S, lambda: self.assertIsNone(hms.entry(name)["loss_pct"]))
        self.in_container(name, ["nft", "delete table ip hmstest"])
        self.docker("unpause", name)
        frame.wait_for(lambda: hms.entry(name)["loss_pct"] == 0, "it is probed again")
        self.assertEqual(hms.entry(name)["container_state"], "running")
        self.assertEqual((self.starts_of(name), hms.decisions(name)), (0, []))

    def unpause(self, name):
        if self.state_of(name) == "paused":
            self.docker("unpause", name)


class WhileAway(CausesTest):
    """What ended while hms was not there follows the cause that the engine's events still tell."""

    def test_causes_are_read_afterwards(self):
        hms = self.start_hms(stop_grace_ms=0)
        self.run_container("job", ["sh", "-c", "while [ ! -e /done ]; do sleep 0.1; done"])
        self.wait_guard(hms, "job", "clear")
        hms.stop()
        self.docker("exec", "job", "touch", "/done")
        self.engine.kill(self.names[0])
        self.engine.stop(self.names[1])
        os.kill(self.engine.inspect(self.names[2])["State"]["Pid"], signal.SIGKILL)
        for name in ("job", *self.names[:3]):
            frame.wait_for(lambda: self.state_of(name) == "exited", f"the end of {name}")
        hms.start()
        self.wait_running(self.names)
        for name, cause in zip(self.names, ("killed", "stopped", "crashed")):
            self.wait_cause(hms, name, cause)
        self.wait_guard(hms, "job", "completed")
        self.check_left_down("job")

    def test_forgotten_events(self):
        hms = self.start_hms(stop_grace_ms=0)
        hms.stop()
        self.engine.kill(self.names[0])
        self.forget_events()
        hms.start()
        self.wait_starts(self.names[0], 1)
        self.wait_cause(hms, self.names[0], "unknown")

    def forget_events(self):
        """Docker keeps the last 256."""
        name = self.names[1]
        for number in range(130):
            self.docker_rename(name, f"renamed{number % 2}")
            name = f"renamed{number % 2}"
        for _ in range(130):
            self.docker_rename(name, "renamed2")
            self.docker_rename("renamed2", name)
        self.docker_rename(name, self.names[1])

    def docker_rename(self, name, new_name):
        self.engine.call("POST", f"/containers/{name}/rename", {"name": new_name})

    def test_on_stop_respect(self):
        hms = self.start_hms(on_stop="respect", stop_grace_ms=0)
        hms.stop()
        self.engine.stop(self.names[0])
        os.kill(self.engine.inspect(self.names[1])["State"]["Pid"], signal.SIGKILL)
        frame.wait_for(lambda: self.state_of(self.names[1]) == "exited", "its end")
        hms.start()
        self.wait_starts(self.names[1], 1)
        self.wait_guard(hms, self.names[0], "respected")
        self.assertEqual(self.starts_of(self.names[0]), 0)
