"""An engine that is slow, refuses, or lives in another time: hms waits, and does not do harm."""

import json
import os
import time

from integration import frame
from integration.proxy import Proxy

HOLD_S = 3
AN_HOUR_NS = 3600 * 10**9


class SlowEngine(frame.IntegrationTest):
    def start_behind_proxy(self, **options):
        proxy = Proxy(self.engine, self.folder)
        self.addCleanup(proxy.close)
        return proxy, self.start_hms(docker=f"unix://{proxy.path}", **options)

    def wait_for_events(self, hms):
        """Returns once hms has read every event up to now."""
        barrier = self.engine.create("barrier", {"Image": "hms-lab"})
        frame.wait_for(lambda: barrier[:12] in hms.content(), "hms sees the newest container")

    def test_start_under_way_is_not_repeated(self):
        proxy, _ = self.start_behind_proxy(restarted_ms=1000, stop_grace_ms=0)
        hold = proxy.hold(r"^POST .*/start$")
        self.engine.kill(self.names[0])
        frame.wait_for(lambda: proxy.requests("/start$"), "a start is asked for")
        frame.observe(HOLD_S, lambda: self.assertEqual(len(proxy.requests("/start$")), 1))
        proxy.release(hold)
        self.wait_running(self.names)

    def test_who_waits_longest_is_first(self):
        proxy, hms = self.start_behind_proxy(concurrent_restarts=1, stop_grace_ms=0)
        hold = proxy.hold(r"^POST .*/start$")
        for name in self.names[:3]:
            self.engine.kill(name)
        frame.wait_for(lambda: [hms.entry(name)["guard"] for name in self.names[1:3]]
                       == ["concurrency"] * 2, "two wait for the first")
        self.engine.call("POST", f"/containers/{self.names[1]}/update",
                         body={"RestartPolicy": {"Name": "no"}})
        self.wait_for_events(hms)
        proxy.release(hold)
        self.wait_running(self.names)
        starts = sorted(self.events.all("start"), key=lambda event: event["timeNano"])
        self.assertEqual([event["Actor"]["Attributes"]["name"] for event in starts], self.names[:3])

    def test_kill_before_the_first_look_is_remembered(self):
        target = self.run_container("target", [
            "sh", "-c", "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done"])
        proxy, hms = self.start_behind_proxy(stop_grace_ms=60000)
        self.engine.stop(target)
        hold = proxy.hold_answers(f"^GET .*/containers/{target}/json")
        self.engine.start(target)
        time.sleep(0.5)  # for its trap; too short a time would only end it sooner
        self.engine.kill(target, "TERM")
        self.wait_for_events(hms)
        proxy.release(hold)
        frame.wait_for(lambda: self.state_of(target) == "exited", "its end")
        frame.wait_for(lambda: hms.entry(target)["container_state"] == "exited", "hms sees it")
        self.assertRegex(hms.entry(target)["details"], "^stopped")


class RefusingEngine(frame.IntegrationTest):
    def test_refused_request_backs_off(self):
        hms = self.start_hms(backoff_min_ms=3600000, backoff_max_ms=3600000)
        port = {"ExposedPorts": {"9/tcp": {}},
                "HostConfig": {"PortBindings": {"9/tcp": [{"HostPort": "9"}]}}}
        self.run_container("first", **port)
        second = self.engine.create("second", {"Image": "hms-lab", **port})
        path = f"/containers/{self.host.address}/{second}"
        frame.wait_for(lambda: second[:12] in hms.content(), "hms sees it")
        self.assertEqual(hms.call("DELETE", path)[0], 200)
        self.assertEqual(hms.call("PUT", path)[0], 200)
        frame.wait_for(lambda: self.refused(hms, path), "the start is tried")
        frame.observe(HOLD_S, lambda: self.assertEqual(len(self.refused(hms, path)), 1))

    def refused(self, hms, path):
        _, answer = hms.call("GET", path + "/decisions")
        return [record for record in answer["description"] if record.get("outcome") == "refused"]


class ClockSetBack(frame.IntegrationTest):
    def test_state_file_from_the_future(self):
        folder = os.path.join(self.folder, "state")
        os.makedirs(folder)
        with open(os.path.join(folder, "manager.json"), "w", encoding="utf-8") as file:
            json.dump({"version": 1, "threshold": 60, "containers": {},
                       "last_event_ns": time.time_ns() + AN_HOUR_NS}, file)
        hms = self.start_hms(stop_grace_ms=0)
        self.engine.kill(self.names[0])
        self.wait_running(self.names)
        frame.wait_for(lambda: hms.entry(self.names[0])["restarts"] == 1, "the restart is told of")
