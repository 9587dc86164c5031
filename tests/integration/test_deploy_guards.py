"""What a deployment must not do: take what is another's, or forget what it has left behind."""

import os
import subprocess

from integration import fleet, frame, peer
from integration.test_deploy import MANAGER, CutLine
from lab import broker, image

OTHER = "10.77.0.200"  # nobody has this address
INTERFACE = "10.77.0.201"
NEWCOMER = "10.77.0.253"


class DeployGuards(frame.LabTest):
    def setUp(self):
        super().setUp()
        self.lab = frame.lab("guards", 1, 1, broker=True)
        self.host = self.lab.host(1)
        frame.restore(self.host, frame.container_names(1))
        self.docker("volume", "prune", "--force")
        self.controller = self.start_controller()

    def start_controller(self, name="controller", **options):
        controller = self.start_process(fleet.Controller(
            self, self.lab, self.folder,
            {"listen": f"unix:{self.folder}/{name}.sock", **options}, name))
        frame.wait_for(lambda: controller.role() == "active", "the controller is the active one")
        return controller

    def restart_as_another(self, **options):
        """The controller of a platform that has never heard of the host."""
        self.controller.stop()
        os.remove(os.path.join(self.folder, "controller-state", "controller.json"))
        self.controller = self.start_controller(**options)

    def docker(self, *words, **options):
        result = subprocess.run(["docker", "-H", f"unix://{self.host.socket}", *words],
                                capture_output=True, timeout=frame.DEADLINE_S, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode().split()

    def put(self, status, address=None, headers=None, **more):
        body = {"docker": f"unix://{self.host.socket}", **more}
        result = self.controller.call("PUT", f"/containers/{address or self.host.address}", body,
                                      headers or {})
        self.assertEqual(result[0], status, result[1])
        return result[1]

    def delete(self, status, address=None):
        result = self.controller.call("DELETE", f"/containers/{address or self.host.address}")
        self.assertEqual(result[0], status, result[1])
        return result[1]

    def host_view(self, address=None):
        status, answer = self.controller.call("GET", f"/hosts/{address or self.host.address}")
        return answer["description"] if status == 200 else None

    def manager_id(self):
        """Of the manager, which runs and has its state."""
        inspected = self.host.engine.inspect(MANAGER)
        self.assertTrue(inspected["State"]["Running"])
        self.assertIn(MANAGER, self.docker("volume", "ls", "-q"))
        return inspected["Id"]

    def test_manager_of_another_address(self):
        self.put(201)
        first = self.manager_id()
        self.assertIn(self.host.address, self.put(409, OTHER)["description"])
        self.assertIsNone(self.host_view(OTHER))
        self.put(202, OTHER, headers={"Prefer": "respond-async"})
        frame.wait_for(lambda: self.host_view(OTHER)["error"], "it is refused")
        self.delete(200, OTHER)
        self.assertEqual(self.manager_id(), first, "was left alone")
        self.assertEqual(self.host_view()["membership"], "joined")

    def test_manager_of_another_platform(self):
        same = f"amqp://{broker.USER}@{self.lab.broker().address}:{broker.PORT}/%2F"
        self.put(201)
        first = self.manager_id()
        self.restart_as_another(managers_broker=same)
        self.assertIn("replace", self.put(409)["description"])
        self.assertEqual(self.manager_id(), first, "was left alone")
        self.put(201, replace=True)
        self.assertNotEqual(self.manager_id(), first)
        self.delete(200)

    def test_manager_run_by_other_means(self):
        manager = self.start_process(fleet.Manager(self, self.lab, self.host, self.folder, {}))
        frame.wait_for(self.host_view, "it is heard of")
        self.assertIn("speaks for", self.put(409)["description"])
        self.assertNotIn(MANAGER, self.docker("ps", "-a", "--format", "{{.Names}}"))
        manager.stop()
        self.put(201)

    def test_image_of_that_name(self):
        name = f"hms:{self.controller.call('GET', '/healthz')[1]['version']}"
        self.docker("import", "-", name, input=image.build())
        foreign = self.docker("images", "-q", "--no-trunc", name)
        self.assertIn("not ours", self.put(409)["description"])
        self.assertEqual(self.docker("images", "-q", "--no-trunc", name), foreign)
        self.docker("rmi", name)
        self.put(201)

    def test_broker_account_is_not_an_administrators(self):
        interface = peer.OldInterface(self.lab.name, INTERFACE)
        self.addCleanup(interface.close)
        frame.wait_for(lambda: interface.request("controller", "get_all_containers", timeout_s=1),
                       "the controller hears the bus")
        for command, fields in (("add_host", {"docker": "none"}), ("remove_host", {})):
            reply = interface.command(command, address=OTHER, **fields)
            self.assertIn("REST only", reply["description"])
        self.assertIsNone(self.host_view(OTHER))

    def test_roster_outlives_a_newcomer(self):
        """One that knows no host and became active first does not take the others' from them."""
        self.assertEqual(self.controller.call("PUT", f"/containers/{OTHER}", {"docker": "none"})[0],
                         201)
        self.controller.stop()
        newcomer = self.start_controller("newcomer", address=NEWCOMER)
        self.controller.start()
        frame.wait_for(lambda: self.controller.call("GET", "/platform")[1]["description"]
                       ["controller"]["active"] == NEWCOMER, "it stands by")
        frame.observe(3, lambda: self.assertEqual(self.host_view(OTHER)["membership"], "joined"))
        newcomer.stop()
        frame.wait_for(lambda: self.controller.role() == "active", "it is active again")
        self.assertEqual(self.host_view(OTHER)["membership"], "joined")

    def test_what_is_left_is_not_forgotten(self):
        line = CutLine(self.host.engine, f"{self.folder}/line.sock", b"/start HTTP/1.1")
        self.addCleanup(line.close)
        result = self.controller.call("PUT", f"/containers/{self.host.address}",
                                      {"docker": f"unix://{line.path}",
                                       "socket": self.host.socket})
        self.assertEqual(result[1]["step"], "start", result)
        frame.wait_for(lambda: not self.host_view() or self.host_view()["error"]["step"] == "reach",
                       "it was tried to remove what is left")
        self.assertEqual(self.host_view()["membership"], "leaving")
        line.mend()
        frame.wait_for(lambda: self.host_view() is None, "what was left is removed")
        self.assertNotIn(MANAGER, self.docker("ps", "-a", "--format", "{{.Names}}"))
