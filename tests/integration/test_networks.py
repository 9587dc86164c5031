"""
Which address of a container is probed, and what its networks' changes do: never a restart, never a
loss that is not there.
"""

from integration import frame
from lab.engine import EngineError

SETTLE_S = 3  # several rounds
LOUD = ("warn", "error")


class NetworksTest(frame.IntegrationTest):
    """Containers on networks of the test's own, which go at its end."""

    def setUp(self):
        super().setUp()
        self.networks = []
        self.addCleanup(self.remove_networks)

    def remove_networks(self):
        frame.restore(self.host, self.names)  # a network that is used cannot be removed
        for network in self.networks:
            self.engine.call("DELETE", f"/networks/{network}")

    def create_network(self, name, subnet, driver="bridge", **options):
        config = [{"Subnet": one} for one in subnet.split()]
        self.engine.call("POST", "/networks/create", body={
            "Name": name, "Driver": driver, "IPAM": {"Config": config}, **options})
        self.networks.append(name)

    def run_on(self, name, network, address=None, **config):
        endpoint = {"IPAMConfig": {"IPv4Address": address}} if address else {}
        return self.run_container(name, HostConfig={"NetworkMode": network},
                                  NetworkingConfig={"EndpointsConfig": {network: endpoint}},
                                  **config)

    def connect(self, network, container, address=None):
        endpoint = {"IPAMConfig": {"IPv4Address": address}} if address else {}
        self.engine.call("POST", f"/networks/{network}/connect",
                         body={"Container": container, "EndpointConfig": endpoint})

    def disconnect(self, network, container):
        self.engine.call("POST", f"/networks/{network}/disconnect", body={"Container": container})

    def find(self, hms, name):
        return next((entry for entry in hms.content().values() if entry["name"] == name), None)

    def wait_probed(self, hms, name, address):
        """Waits until a round has found it well at that address."""
        def is_probed():
            entry = self.find(hms, name)
            return entry and entry["address"] == address and entry["loss_pct"] == 0
        frame.wait_for(is_probed, f"{name} is probed at {address}")

    def wait_state_only(self, hms, name, why):
        def is_shown():
            entry = self.find(hms, name)
            return entry and why in entry["details"] and entry
        entry = frame.wait_for(is_shown, f"{name} is supervised by its state only: {why}")
        self.assertEqual((entry["address"], entry["loss_pct"]), ("", None))
        self.assertEqual((entry["service_state"], entry["guard"]), ("enable", "clear"))

    def check_no_harm(self, hms):
        """No container shows loss or is acted on for a while."""
        def no_loss():
            for entry in hms.content().values():
                self.assertIn(entry["loss_pct"], (0, None), entry)
                self.assertIsNone(entry["last_decision"], entry)
        frame.observe(SETTLE_S, no_loss)

    def check_quiet(self, hms):
        self.assertEqual([line for line in hms.log_lines() if line["level"] in LOUD], [])


class Addresses(NetworksTest):
    def test_bridge_of_ones_own(self):
        hms = self.start_hms()
        self.create_network("own", "172.30.0.0/24")
        self.run_on("web", "own", "172.30.0.7")
        self.wait_probed(hms, "web", "172.30.0.7")
        self.lose("web", 80)
        frame.wait_for(lambda: len(self.events.all("start", "web")) == 2, "it is restarted")

    def test_two_networks(self):
        self.create_network("beta", "172.31.0.0/24")
        self.create_network("alpha", "172.30.0.0/24")
        self.run_on("web", "beta", "172.31.0.7")
        self.connect("alpha", "web", "172.30.0.7")
        hms = self.start_hms()
        self.wait_probed(hms, "web", "172.30.0.7")
        self.connect("bridge", "web")
        default = self.engine.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        self.wait_probed(hms, "web", default)
        self.check_no_harm(hms)

    def test_internal_network(self):
        hms = self.start_hms()
        self.create_network("inner", "172.30.0.0/24", Internal=True)
        self.run_on("web", "inner", "172.30.0.7")
        self.wait_probed(hms, "web", "172.30.0.7")

    def test_without_an_address(self):
        hms = self.start_hms(stop_grace_ms=0)
        modes = {"bare": "none", "open": "host", "sidecar": f"container:{self.names[0]}"}
        whys = {"bare": "no network", "open": "host's network",
                "sidecar": "another container's network"}
        for name, mode in modes.items():
            self.run_container(name, HostConfig={"NetworkMode": mode})
        for name, why in whys.items():
            self.wait_state_only(hms, name, why)
        self.check_no_harm(hms)
        for name in modes:
            self.engine.kill(name)
        self.wait_running(modes)

    def test_macvlan(self):
        hms = self.start_hms()
        try:
            self.create_network("lan", "10.77.0.0/24", "macvlan", Options={"parent": "eth0"})
            self.run_on("far", "lan", "10.77.0.200")
        except EngineError as error:
            self.skipTest(f"no macvlan here: {error}")
        self.wait_state_only(hms, "far", "no bridge among them")
        self.check_no_harm(hms)


class Changes(NetworksTest):
    def test_connected_and_disconnected_while_it_runs(self):
        hms = self.start_hms()
        self.create_network("alpha", "172.30.0.0/24")
        self.create_network("beta", "172.31.0.0/24")
        self.run_on("web", "alpha", "172.30.0.7")
        self.wait_probed(hms, "web", "172.30.0.7")
        for _ in range(3):
            self.connect("beta", "web", "172.31.0.7")
            self.disconnect("alpha", "web")
            self.wait_probed(hms, "web", "172.31.0.7")
            self.connect("alpha", "web", "172.30.0.7")
            self.disconnect("beta", "web")
            self.wait_probed(hms, "web", "172.30.0.7")
        self.disconnect("alpha", "web")
        self.wait_state_only(hms, "web", "no address")
        self.check_no_harm(hms)
        self.connect("alpha", "web", "172.30.0.8")
        self.wait_probed(hms, "web", "172.30.0.8")
        self.check_no_harm(hms)

    def test_address_that_somebody_asked_for_before(self):
        """The kernel's neighbour entry is incomplete when the container gets the address."""
        hms = self.start_hms()
        self.create_network("own", "172.30.0.0/24")
        for number in range(10, 15):
            address = f"172.30.0.{number}"
            self.send_to(address)
            self.run_on(f"new{number}", "own", address)
            self.wait_probed(hms, f"new{number}", address)
        self.check_no_harm(hms)

    def test_new_network_with_an_address_that_somebody_asked_for(self):
        hms = self.start_hms()
        self.create_network("own", "172.30.0.0/24")
        name = self.names[0]
        self.disconnect("bridge", name)
        self.addCleanup(self.back_to_bridge, name)
        self.wait_state_only(hms, name, "no address")
        self.send_to("172.30.0.9")
        self.connect("own", name, "172.30.0.9")
        self.wait_probed(hms, name, "172.30.0.9")
        self.check_no_harm(hms)

    def back_to_bridge(self, name):
        self.disconnect("own", name)
        self.connect("bridge", name)

    def send_to(self, address):
        self.in_host(["bash", "-c", f"echo > /dev/udp/{address}/9"])
        neighbour = self.in_host(["ip", "neighbour", "show", address])
        self.assertIn("INCOMPLETE", neighbour)

    def test_renamed(self):
        hms = self.start_hms(stop_grace_ms=0)
        container = self.run_container("before")
        frame.wait_for(lambda: self.find(hms, "before"), "it is seen")
        self.engine.call("POST", "/containers/before/rename", {"name": "after"})
        frame.wait_for(lambda: self.find(hms, "after"), "its new name is seen")
        self.assertIsNone(self.find(hms, "before"))
        self.assertEqual(hms.call("GET", f"/containers/{self.host.address}/before")[0], 404)
        self.assertEqual(hms.entry("after")["id"], container)
        self.engine.kill("after")
        self.wait_running(["after"])

    def test_removed_in_the_middle(self):
        hms = self.start_hms(stop_grace_ms=0)
        for number in range(frame.REPEATS):
            name = f"brief{number}"
            self.run_container(name, ["true"] if number % 2 else None)
            if number % 2 == 0:
                self.engine.kill(name)  # its start by hms and its removal meet
            self.engine.remove(name)
        frame.wait_for(lambda: self.view(hms) == self.docker_view(), "hms sees what Docker sees")
        self.check_quiet(hms)


class DualStack(NetworksTest):
    """A host whose containers have IPv6 addresses as well."""

    CONTAINERS = 2

    def setUp(self):
        self.addCleanup(frame.drop, "ipv6")
        super().setUp()

    def shared_host(self):
        return frame.host("ipv6", self.CONTAINERS, ipv6=True), self.CONTAINERS

    def test_ipv4_is_probed(self):
        hms = self.start_hms()
        for name in self.names:
            self.wait_probed(hms, name, self.engine.inspect(name)["NetworkSettings"]["IPAddress"])
        self.create_network("dual", "172.30.0.0/24 fd00:78::/64", EnableIPv6=True)
        self.run_on("web", "dual", "172.30.0.7")
        self.wait_probed(hms, "web", "172.30.0.7")
        self.check_no_harm(hms)
