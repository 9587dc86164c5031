"""The truth about each container over REST, from inside the host's namespace and from outside."""

import os
import stat

from integration import frame

FIELDS = {"address", "packet_loss", "container_state", "service_state", "details", "id", "name",
          "image", "loss_pct", "rtt_ms", "restarts", "since", "guard", "last_decision"}


class Rest(frame.IntegrationTest):
    def check_entry(self, hms):
        name = self.names[0]
        entry = frame.wait_for(lambda: (entry := hms.entry(name))["loss_pct"] is not None and entry,
                               f"{name} is probed")
        facts = self.engine.inspect(name)
        self.assertLessEqual(FIELDS, entry.keys())
        self.assertEqual((entry["name"], entry["container_state"], entry["packet_loss"]),
                         (name, "running", "0.0%"))
        self.assertEqual(entry["address"], facts["NetworkSettings"]["IPAddress"])
        self.assertTrue(facts["Id"].startswith(entry["id"]))
        for key in (facts["Id"], facts["Id"][:12]):
            self.assertEqual(hms.entry(key)["name"], name)

    def test_from_outside(self):
        hms = self.start_hms()
        self.check_entry(hms)
        self.assertEqual(stat.S_IMODE(os.stat(hms.socket).st_mode), 0o660)

    def test_from_inside(self):
        self.check_entry(self.start_hms(inside=True))

    def test_both_base_paths(self):
        hms = self.start_hms()
        for base in ("", "/healthmonitor"):
            status, answer = hms.call("GET", f"{base}/containers")
            self.assertEqual((status, answer["command"]), (200, "ok"))
            self.assertEqual([one["address"] for one in answer["description"]],
                             [self.host.address])

    def test_head_and_options(self):
        hms = self.start_hms()
        status, headers, body = hms.request("HEAD", "/containers")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 0)
        status, headers, _ = hms.request("OPTIONS", "/containers")
        self.assertIn(status, (200, 204))
        self.assertIn("POST", headers["Allow"])

    def test_ignored_container_stays_down(self):
        hms = self.start_hms(stop_grace_ms=0)
        path = f"/containers/{self.host.address}/{self.names[0]}"
        self.assertEqual(hms.call("DELETE", path)[0], 200)
        self.engine.stop(self.names[0])
        self.engine.stop(self.names[1])  # the witness that stopped ones are started
        self.wait_running(self.names[1:])
        self.assertEqual(self.state_of(self.names[0]), "exited")
        self.assertEqual(hms.call("PUT", path)[0], 200)
        self.wait_running(self.names)

    def test_observe_touches_nothing(self):
        hms = self.start_hms(observe=True, stop_grace_ms=0)
        self.engine.stop(self.names[0])
        frame.wait_for(lambda: hms.entry(self.names[0])["last_decision"], "the decision")
        self.assertEqual(hms.entry(self.names[0])["last_decision"]["outcome"], "observed")
        self.assertEqual(self.events.starts(), {})

    def test_on_stop_respect(self):
        hms = self.start_hms(on_stop="respect", stop_grace_ms=0)
        self.engine.stop(self.names[0])
        frame.wait_for(lambda: hms.entry(self.names[0])["guard"] == "respected", "it is left down")
        self.assertEqual(self.events.starts(), {})
