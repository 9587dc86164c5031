"""Many containers on one host: rounds keep their time, nothing is lost, little is used."""

import re
import time

from integration import frame

MANY = 500
WINDOW_S = 20
PROBES_PER_ROUND = 20
ROUND_PAUSE_MS = 200
COUNTER = ("table ip hmscount { chain input { type filter hook input priority 0;"
           " icmp type echo-request counter; }; }")


class Density(frame.IntegrationTest):
    def setUp(self):
        if frame.QUICK:
            self.skipTest("not in the quick round")
        frame.drop("main")  # two labs of that size at once would disturb the measurement
        self.addCleanup(frame.drop, "dense")
        super().setUp()

    def shared_host(self):
        return frame.host("dense", MANY), MANY

    def requests_seen(self, name):
        """Echo requests that came to that container, from a counter in its namespace."""
        rules = self.in_container(name, ["nft", "list", "table", "ip", "hmscount"])
        return int(re.search(r"packets (\d+)", rules).group(1))

    def test_rounds_of_many(self):
        hms = self.start_hms(round_pause_ms=ROUND_PAUSE_MS)
        name = self.names[0]
        frame.wait_for(lambda: all(entry["loss_pct"] is not None
                                   for entry in hms.content().values()), "all are probed")
        self.in_container(name, ["nft", "-f", "-"], COUNTER)
        begin, packets, cpu = time.monotonic(), self.requests_seen(name), hms.cpu_s()
        frame.observe(WINDOW_S, lambda: self.check_no_loss(hms))
        seconds = time.monotonic() - begin
        rounds = (self.requests_seen(name) - packets) / PROBES_PER_ROUND
        round_ms = seconds * 1000 / rounds - ROUND_PAUSE_MS
        busy = hms.cpu_s() - cpu
        print(f"\n  {MANY} containers, {rounds:.0f} rounds in {seconds:.0f} s:"
              f" {round_ms:.0f} ms per round beside the pause;"
              f" CPU {100 * busy / seconds:.1f} % of a core,"
              f" {1e6 * busy / (rounds * MANY * PROBES_PER_ROUND):.1f} us per probe;"
              f" memory {hms.memory_mib('VmRSS'):.1f} MiB, at most {hms.memory_mib('VmHWM'):.1f}")
        # The goal is 400 ms on a quiet machine; this only catches a change of kind.
        self.assertLess(round_ms, 4000)
        self.assertEqual(self.events.starts(), {})

    def check_no_loss(self, hms):
        lossy = {name: entry["loss_pct"] for name, entry in hms.content().items()
                 if entry["loss_pct"] not in (0, None)}
        self.assertEqual(lossy, {})
