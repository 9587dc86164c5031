"""What the controller knows against what the managers know, by the versions that both log."""

import time

from integration import fleet, frame, versions

KILLS = 3 if frame.QUICK else 5
AGGREGATION_MS = 100
PAUSE_S = 1  # between two kills on each host


class Versions(fleet.FleetTest):
    def check(self, sync):
        """Kills containers, and prints how far the controller was behind the managers."""
        options = {"sync": sync, "aggregation_ms": AGGREGATION_MS, "log_level": "debug"}
        self.start_fleet(options, options)
        for number in range(KILLS):
            for host in self.hosts:
                host.engine.kill(self.names[number % len(self.names)])
            time.sleep(PAUSE_S)
        frame.wait_for(lambda: all(lag is not None for host in self.hosts
                                   for lag in versions.lags(*self.steps(host))),
                       "the controller knows the last version of every manager")
        until = time.time()
        lags_ms = [1000 * lag for host in self.hosts for lag in versions.lags(*self.steps(host))]
        share = min(versions.availability(*self.steps(host), until) for host in self.hosts)
        print(f"\n  {sync}: a manager's step -> known to the controller:"
              f" {frame.distribution(lags_ms, 'ms')}; true information availability"
              f" {100 * share:.2f} %")
        frame.wait_for(lambda: self.information()["now_pct"] == 100, "no update is pending")

    def steps(self, host):
        manager = next(one for one in self.managers if one.host is host)
        return (versions.steps(manager.log_lines(), "manager", host.address),
                versions.steps(self.controller.log_lines(), "controller", host.address))

    def information(self):
        _, answer = self.controller.call("GET", "/platform")
        return answer["description"]["information_availability"]

    def test_push(self):
        self.check("push")
        platform = self.controller.call("GET", "/platform")[1]["description"]
        self.assertEqual(platform["bus"]["contact"], "ready")
        for one in platform["managers"]:
            self.assertGreater(one["messages"], KILLS)
            self.assertGreater(one["bytes"], 100 * one["messages"])

    def test_pull(self):
        self.check("pull")
        self.assertLess(self.information()["last_24h_pct"], 100)
