"""The engine, or hms itself, goes away and comes back: the view is right again, nothing is lost."""

import os
import signal
import time

from integration import frame

SETTLE_S = 3


class RestartTest(frame.IntegrationTest):
    """A scene of what must stay down, and the check that all else runs and is seen."""

    def wait_same_view(self, hms):
        """hms sees what `docker ps -a` shows; ignored containers have a word of their own."""
        def same():
            seen = self.view(hms)
            docker = {name: "disabled" if seen.get(name) == "disabled" else state
                      for name, state in self.docker_view().items()}
            return seen == docker
        began = time.monotonic()
        frame.wait_for(same, "hms sees what Docker sees")
        return time.monotonic() - began

    def set_scene(self, hms):
        """What must stay down: a job that is done, and a container taken out of supervision."""
        self.run_container("job", ["true"])
        frame.wait_for(lambda: self.state_of("job") == "exited", "the job is done")
        self.assertEqual(hms.call("DELETE", f"/containers/{self.host.address}/{self.names[0]}")[0],
                         200)
        self.engine.stop(self.names[0])

    def restart_engine(self):
        """The engine again; a recorder on it, since the old one's stream has ended."""
        began_s = time.time()
        self.host.start_engine()
        return self.record_events(self.host, began_s)

    def check_scene(self, hms, events):
        self.wait_running(self.names[1:])
        took_s = self.wait_same_view(hms)
        time.sleep(SETTLE_S)
        self.assertEqual(self.state_of("job"), "exited")
        self.assertEqual(self.state_of(self.names[0]), "exited")
        twice = {key: count for key, count in events.starts().items() if count > 1}
        self.assertEqual(twice, {})
        print(f"\n  the view is right {took_s:.1f} s after the last container runs")


class EngineRestart(RestartTest):
    def test_engine_killed(self):
        hms = self.start_hms()
        self.set_scene(hms)
        self.host.kill_engine()
        frame.wait_for(lambda: hms.request("GET", "/containers")[0] == 200, "REST goes on")
        self.check_scene(hms, self.restart_engine())

    def test_engine_stopped_in_order(self):
        hms = self.start_hms()
        self.set_scene(hms)
        for pid in self.host.engine_pids():
            os.kill(pid, signal.SIGTERM)
        frame.wait_for(lambda: not self.host.engine_pids(), "the engine's end")
        self.check_scene(hms, self.restart_engine())


class LiveRestore(RestartTest):
    """Containers that outlive their engine: there is nothing to do."""

    CONTAINERS = 5

    def setUp(self):
        self.addCleanup(frame.drop, "live")
        super().setUp()

    def shared_host(self):
        return frame.host("live", self.CONTAINERS, live_restore=True), self.CONTAINERS

    def test_engine_killed(self):
        hms = self.start_hms()
        self.host.kill_engine()
        events = self.restart_engine()
        self.wait_same_view(hms)
        time.sleep(SETTLE_S)
        self.assertEqual(set(self.docker_view().values()), {"running"})
        self.assertEqual(events.starts(), {})


class OwnRestart(RestartTest):
    def test_killed_and_started_again(self):
        hms = self.start_hms()
        self.set_scene(hms)
        hms.kill()
        self.engine.kill(self.names[1])
        self.engine.remove(self.names[2])
        self.run_container("newcomer")
        hms.start()
        frame.wait_for(lambda: self.state_of(self.names[1]) == "running", "the killed one is back")
        del self.names[2]
        self.check_scene(hms, self.events)
        self.assertEqual(hms.entry(self.names[0])["container_state"], "disabled")

    def test_killed_with_state_being_written(self):
        hms = self.start_hms()
        for number in range(5):
            status, answer = hms.call("POST", f"/containers/{self.host.address}",
                                      {"threshold": 50 + number})
            self.assertEqual(status, 200, answer)
            hms.kill()
            hms.start()
            self.wait_same_view(hms)
        self.assertEqual(self.events.starts(), {})
