"""Two controllers on one broker: one is active, the other knows as much, and takes over."""

import signal
import time

from integration import fleet, frame

SECOND_ADDRESS = "10.77.0.253"
TAKEOVER_S = 60  # the goal is seconds


class TwoControllers(fleet.FleetTest):
    def setUp(self):
        super().setUp()
        self.start_fleet()
        self.first = self.controller
        frame.wait_for(lambda: self.first.role() == "active", "the first controller is active")
        self.second = self.start_second()
        frame.wait_for(lambda: self.is_view_right(self.second), "the second one knows all")

    def start_second(self, **options):
        return self.start_controller("second", address=SECOND_ADDRESS, **options)

    def wait_takeover(self, began):
        frame.wait_for(lambda: self.second.role() == "active", "the second one is active",
                       TAKEOVER_S)
        took = time.monotonic() - began
        frame.wait_for(lambda: self.is_view_right(self.second), "its view is right", TAKEOVER_S)
        print(f"\n  active after {took:.1f} s, view right after {time.monotonic() - began:.1f} s")

    def check_follows(self, controller):
        """A change is seen there, without a word of ours to it."""
        host, name = self.hosts[0], self.names[0]
        before = controller.hosts()[host.address]
        host.engine.call("POST", f"/containers/{name}/restart?t=0")
        frame.wait_for(lambda: controller.hosts()[host.address]["version"] > before["version"],
                       "the change is seen")
        frame.wait_for(lambda: self.is_view_right(controller), "the view is right again")

    def put_container(self, controller):
        """Takes a container off the ignored list: 409, for it is not on it, if that is obeyed."""
        return controller.call("PUT", f"/containers/{self.hosts[0].address}/{self.names[0]}")

    def test_the_second_one_follows_and_points_to_the_first(self):
        self.assertEqual(self.second.role(), "standby")
        self.check_follows(self.second)
        status, answer = self.put_container(self.second)
        self.assertEqual((status, answer["active"]), (503, fleet.CONTROLLER_ADDRESS), answer)
        self.assertEqual(self.put_container(self.first)[0], 409)
        _, answer = self.second.call("GET", "/platform")
        told = answer["description"]["controller"]
        self.assertEqual((told["role"], told["active"]), ("standby", fleet.CONTROLLER_ADDRESS))

    def test_the_second_one_takes_over(self):
        began = time.monotonic()
        self.first.kill()
        self.wait_takeover(began)
        self.check_follows(self.second)
        self.assertEqual(self.put_container(self.second)[0], 409)
        self.first.start()
        frame.wait_for(lambda: self.is_view_right(self.first), "the first one follows")
        self.assertEqual((self.first.role(), self.second.role()), ("standby", "active"))

    def test_an_orderly_end_hands_over_at_once(self):
        began = time.monotonic()
        self.first.stop()
        self.wait_takeover(began)

    def test_one_that_hung_does_not_come_back_active(self):
        began = time.monotonic()
        self.first.process.send_signal(signal.SIGSTOP)
        try:
            self.wait_takeover(began)
        finally:
            self.first.process.send_signal(signal.SIGCONT)
        frame.wait_for(lambda: self.first.role() == "standby", "the first one stands by")
        frame.wait_for(lambda: self.is_view_right(self.first), "and follows")
        self.assertEqual(self.second.role(), "active")

    def test_a_new_broker_has_one_active(self):
        self.broker.stop()
        frame.wait_for(lambda: {self.first.role(), self.second.role()} == {"standby"},
                       "without the broker nobody is active")
        self.broker.start()
        frame.wait_for(lambda: sorted([self.first.role(), self.second.role()])
                       == ["active", "standby"], "one is active")
        for controller in (self.first, self.second):
            frame.wait_for(lambda: self.is_view_right(controller), "both know all")

    def test_the_second_one_knows_the_roster(self):
        address = "10.77.0.99"
        status, answer = self.first.call("PUT", f"/containers/{address}", {"docker": "none"})
        self.assertEqual(status, 201, answer)

        def membership():
            status, answer = self.second.call("GET", f"/hosts/{address}")
            return status == 200 and answer["description"]["membership"]

        frame.wait_for(lambda: membership() == "joined", "the second one knows the host")
        self.first.kill()
        frame.wait_for(lambda: self.second.role() == "active", "the second one is active")
        self.assertEqual(membership(), "joined")
        self.assertEqual(self.second.call("DELETE", f"/containers/{address}")[0], 200)
