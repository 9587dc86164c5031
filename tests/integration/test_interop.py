"""Version 1 and HMS together: each manager under the other's controller, both doors of ours."""

import re
import time

from integration import fleet, frame, peer
from integration.interop import (IDS, INTERFACE, OLD_CONTROLLER, OLD_MANAGER, OTHER_MANAGER,
                                 InteropTest, full_id)

FIELDS = {"address", "packet_loss", "container_state", "service_state", "details"}
CORRELATION_ID = re.compile(r"[A-Z0-9]{10}")
AGGREGATION_MS = 200


class OldManagerUnderOurController(InteropTest):
    def setUp(self):
        super().setUp()
        self.controller = self.start_controller(aggregation_ms=AGGREGATION_MS)

    def host(self, address=OLD_MANAGER):
        """The host as GET /containers shows it, which asks nobody for more than 5 s; or {}."""
        _, answer = self.controller.call("GET", f"/containers/{address}")
        return answer["description"] if answer["command"] == "ok" else {}

    def status(self, address=OLD_MANAGER):
        """(manager_status, host_state) without asking the manager; or None."""
        _, answer = self.controller.call("GET", "/platform")
        return next(((one["manager_status"], one["host_state"])
                     for one in answer["description"]["managers"] if one["address"] == address),
                    None)

    def wait_status(self, *expected, address=OLD_MANAGER):
        frame.wait_for(lambda: self.status(address) == expected, f"{address} is {expected}")

    def order(self, method, path="", **body):
        return self.controller.call(method, f"/containers/{OLD_MANAGER}{path}", body or None)

    def test_life_cycle(self):
        manager = self.old_manager(live_s=3600)
        self.wait_status("updated", "online")
        self.assertEqual(self.host()["content"], manager.content())
        asked = manager.heard("give_content")
        self.assertEqual(len(asked), 1)
        self.assertEqual(set(asked[0].fields), {"command", "sender"})
        self.assertEqual(asked[0].key, f"manager.{OLD_MANAGER}")
        self.assertTrue(CORRELATION_ID.fullmatch(asked[0].correlation_id), asked[0])

        manager.answers = False
        manager.change(IDS[0], container_state="exited", packet_loss="100.0%")
        self.wait_status("update_present", "online")
        self.wait_status("update_present", "stale")  # the answer was waited for in vain
        self.assertEqual(self.host()["content"][IDS[0][:10]]["container_state"], "running")

        manager.answers = True
        self.wait_status("updated", "online")
        self.assertEqual(self.host()["content"], manager.content())

    def test_every_sign_of_life_makes_it_due(self):
        manager = self.old_manager(live_s=0.5)
        frame.wait_for(lambda: len(manager.heard("give_content")) >= 3, "it is asked at each live")
        frame.wait_for(lambda: self.status() == ("updated", "online"), "it is up to date")

    def test_states_of_the_peer(self):
        manager = self.old_manager(live_s=3600)
        for state in ("exited", "restart", "offline", "disabled", "running"):
            with self.subTest(state=state):
                manager.change(IDS[1], container_state=state)
                frame.wait_for(lambda: self.host().get("content") == manager.content(),
                               "the controller knows")
                _, answer = self.controller.call("GET", "/platform")
                states = answer["description"]["containers"]["by_state"]
                self.assertEqual(states[state], 3 if state == "running" else 1)

    def test_expiry(self):
        self.controller.stop()
        controller = self.controller = self.start_controller(aggregation_ms=AGGREGATION_MS,
                                                             expiry_ms=3000)
        manager = self.old_manager(live_s=1)
        self.wait_status("updated", "online")
        manager.tells = manager.answers = False
        self.wait_status("updated", "stale")
        self.wait_status("offline", "offline")
        self.assertEqual(self.host()["content"], manager.content())  # the last that was known
        states = controller.call("GET", "/platform")[1]["description"]["hosts"]
        self.assertEqual((states["total"], states["offline"]), (1, 1))
        manager.tells = manager.answers = True
        frame.wait_for(lambda: self.status() == ("updated", "online"), "it is back")

    def test_threshold(self):
        manager, other = self.old_manager(), self.old_manager(OTHER_MANAGER)
        self.wait_status("updated", "online")
        self.wait_status("updated", "online", address=OTHER_MANAGER)
        status, answer = self.order("POST", threshold=33)
        self.assertEqual((status, answer["command"]), (200, "ok"), answer)
        told = manager.heard("container_threshold")[0]
        self.assertEqual({**told.fields, "sender": None},
                         {"command": "container_threshold", "sender": None, "threshold": 33})
        self.assertIsInstance(manager.threshold, int)  # a peer compares with a whole number
        self.assertEqual((manager.threshold, other.threshold), (33, 60))

        status, answer = self.controller.call("POST", "/containers", {"threshold": 44})
        self.assertEqual(status, 200, answer)
        self.assertEqual({one["address"]: one["command"] for one in answer["description"]},
                         {OLD_MANAGER: "ok", OTHER_MANAGER: "ok"})
        self.assertEqual((manager.threshold, other.threshold), (44, 44))

    def test_ignore_and_add(self):
        manager = self.old_manager(live_s=3600)
        self.wait_status("updated", "online")
        key = IDS[2][:10]
        for name in (key, IDS[2][:12], IDS[2]):  # however it is named, the peer gets its own id
            with self.subTest(name=name):
                self.assertEqual(self.order("DELETE", f"/{name}")[0], 200)
                self.assertEqual(manager.heard("container_ignore")[-1].fields["containerID"], key)
                self.assertEqual(manager.ignored, {key})
                self.assertEqual(self.host()["content"][key],
                                 {"container_state": "disabled",
                                  "details": "ignored by the operator"})
                self.assertEqual(self.order("PUT", f"/{name}")[0], 200)
                self.assertEqual(manager.heard("container_add")[-1].fields["containerID"], key)
                self.assertEqual(self.host()["content"], manager.content())

    def test_errors_of_the_manager(self):
        manager = self.old_manager(live_s=3600)
        self.wait_status("updated", "online")
        key = IDS[0][:10]
        status, answer = self.order("PUT", f"/{key}")
        self.assertEqual((status, answer["type"]), (409, "invalid_op"))
        self.assertIn("not removed from the service", answer["description"])
        self.assertEqual(self.order("DELETE", f"/{key}")[0], 200)
        status, answer = self.order("DELETE", f"/{key}")
        self.assertEqual((status, answer["type"]), (409, "invalid_op"))
        self.assertIn("already ignored", answer["description"])
        manager.do(lambda: manager.entries.pop(IDS[1][:10]))  # gone, and nobody was told
        status, answer = self.order("DELETE", f"/{IDS[1]}")
        self.assertEqual((status, answer["type"]), (404, "CONTAINER_NOT_PRESENT"))
        self.assertIn("not present", answer["description"])
        status, answer = self.order("DELETE", f"/{full_id('unheard of')}")
        self.assertEqual((status, answer["type"]), (404, "CONTAINER_NOT_PRESENT"))

    def test_silent_manager(self):
        silent, other = self.old_manager(), self.old_manager(OTHER_MANAGER)
        self.wait_status("updated", "online")
        self.wait_status("updated", "online", address=OTHER_MANAGER)
        silent.answers = False
        began = time.monotonic()
        status, answer = self.order("POST", threshold=20)
        took_s = time.monotonic() - began
        self.assertEqual((status, answer["type"]), (504, "unreachable"), answer)
        self.assertIn(OLD_MANAGER, answer["description"])
        self.assertGreater(took_s, peer.REPLY_S - 0.1)
        self.assertLess(took_s, peer.REPLY_S * 10)

        status, answer = self.controller.call("POST", "/containers", {"threshold": 21})
        self.assertEqual(status, 207, answer)
        self.assertEqual({one["address"]: one.get("type") for one in answer["description"]},
                         {OLD_MANAGER: "unreachable", OTHER_MANAGER: None})
        self.assertEqual(other.threshold, 21)

    def test_manager_that_left(self):
        manager = self.old_manager()
        self.wait_status("updated", "online")
        manager.close()
        began = time.monotonic()
        status, answer = self.order("POST", threshold=20)
        self.assertEqual((status, answer["type"]), (504, "unreachable"), answer)
        print(f"nobody is at that key: told after {(time.monotonic() - began) * 1000:.0f} ms")
        self.assertEqual(self.host()["content"], manager.content())

    def test_old_and_new_together(self):
        host = self.hosts[0]
        self.start_manager(host)
        manager = self.old_manager()
        self.wait_status("updated", "online")
        frame.wait_for(lambda: self.host(host.address).get("content"), "ours is there too")
        status, answer = self.controller.call("POST", "/containers", {"threshold": 55})
        self.assertEqual(status, 200, answer)
        self.assertEqual({one["address"] for one in answer["description"]},
                         {OLD_MANAGER, host.address})
        self.assertEqual(manager.threshold, 55)
        manager.change(IDS[0], container_state="exited")
        frame.wait_for(lambda: self.host()["content"] == manager.content(), "the old one's news")
        _, answer = self.controller.call("GET", "/containers")
        sizes = {one["address"]: len(one["content"]) for one in answer["description"]}
        self.assertEqual(sizes, {OLD_MANAGER: len(IDS),
                                 host.address: len(host.engine.containers())})


class OurManagerUnderOldController:
    """For each way to synchronise."""

    sync = None

    def setUp(self):
        super().setUp()
        self.host = self.hosts[0]
        self.engine = self.host.engine
        self.controller = self.join(peer.OldController, OLD_CONTROLLER, aggregation_s=0.2)
        self.manager = self.start_manager(self.host, sync=self.sync, stop_grace_ms=0)
        frame.wait_for(lambda: set(self.content()) == set(self.facts()), "all containers are told")

    def content(self):
        return self.controller.content(self.host.address)

    def facts(self):
        """Short id -> what Docker says."""
        return {entry["Id"][:12]: entry for entry in self.engine.containers()}

    def order(self, command, **fields):
        return self.controller.order(self.host.address, command, **fields)

    def test_content(self):
        frame.wait_for(lambda: all(entry["packet_loss"] == "0.0%"
                                   for entry in self.content().values()), "all are probed")
        content, facts = self.content(), self.facts()
        self.assertEqual(set(content), set(facts))
        self.assertEqual(len({key[:10] for key in content}), len(content))
        for key, entry in content.items():
            network = facts[key]["NetworkSettings"]["Networks"]["bridge"]
            self.assertLessEqual(FIELDS, set(entry))
            self.assertEqual([entry["address"], entry["container_state"], entry["service_state"]],
                             [network["IPAddress"], "running", "enable"])
            self.assertIsInstance(entry["details"], str)

    def test_notifications(self):
        live = frame.wait_for(lambda: self.controller.heard("live")[3:] and
                              self.controller.heard("live"), "it tells that it is alive")
        for message in live + self.controller.heard("update"):
            self.assertEqual((message.key, message.correlation_id), ("controller", None))
            self.assertEqual((message.address, message.fields["sender"]),
                             (self.host.address, f"manager.callback.{self.host.address}"))
        added = set().union(*(message.fields for message in live))
        added -= {"command", "sender", "address"}
        self.assertLessEqual(added, {"period_ms", "epoch", "version", "measures", "host"})

    def test_change(self):
        key, facts = next(iter(self.facts().items()))
        self.engine.stop(facts["Id"])
        began = time.monotonic()
        update = frame.wait_for(
            lambda: [one for one in self.controller.heard("update") if one.at > began],
            "an update")[0]
        if self.sync == "pull":
            self.assertEqual(set(update.fields), {"command", "sender", "address"})
        frame.wait_for(lambda: self.content()[key].get("restarts") == 1
                       and self.content()[key]["container_state"] == "running",
                       "it was started, and that is told")

    def test_orders(self):
        key, facts = next(iter(self.facts().items()))
        for name in (key, key[:10], facts["Id"]):
            with self.subTest(name=name):
                reply = self.order("container_ignore", containerID=name)
                self.assertEqual(reply["command"], "ok", reply)
                frame.wait_for(lambda: self.content()[key]["container_state"] == "disabled",
                               "it is told as ignored")
                self.assertIsInstance(self.content()[key]["details"], str)
                self.assertEqual(self.order("container_ignore", containerID=name)["type"],
                                 "invalid_op")
                reply = self.order("container_add", containerID=name)
                self.assertEqual(reply["command"], "ok", reply)
                frame.wait_for(lambda: self.content()[key]["container_state"] == "running",
                               "it is told as supervised")
                self.assertEqual(self.order("container_add", containerID=name)["type"],
                                 "invalid_op")
        self.assertEqual(self.order("container_threshold", threshold=42)["command"], "ok")

    def test_errors(self):
        for command, fields, expected in (
                ("container_ignore", {}, "missing_par"),
                ("container_add", {}, "missing_par"),
                ("container_threshold", {}, "missing_par"),
                ("container_ignore", {"containerID": "0123456789"}, "CONTAINER_NOT_PRESENT"),
                ("container_add", {"containerID": "0123456789"}, "CONTAINER_NOT_PRESENT"),
                ("container_threshold", {"threshold": 100.5}, "invalid_param"),
                ("container_threshold", {"threshold": -1}, "invalid_param"),
                ("container_threshold", {"threshold": "60"}, "invalid_param"),
                ("no_such_command", {}, "INVALID_REQUEST")):
            with self.subTest(command=command, fields=fields):
                reply = self.order(command, **fields)
                self.assertEqual((reply["command"], reply["type"]), ("error", expected), reply)
                self.assertTrue(reply["description"])

    def test_all_managers(self):
        self.old_manager()
        replies = self.controller.request("manager", "container_threshold", replies=2, threshold=70)
        self.assertEqual({(one.fields["sender"], one.fields["command"]) for one in replies},
                         {(f"manager.callback.{self.host.address}", "ok"),
                          (f"manager.callback.{OLD_MANAGER}", "ok")})
        self.assertEqual(len({one.correlation_id for one in replies}), 1)
        self.assertEqual({one.key for one in replies}, {self.controller.sender})


class PullUnderOldController(OurManagerUnderOldController, InteropTest):
    sync = "pull"


class PushUnderOldController(OurManagerUnderOldController, InteropTest):
    sync = "push"


class TwoDoors(InteropTest):
    """REST and the interface's commands reach the same dispatcher."""

    def setUp(self):
        super().setUp()
        self.controller = self.start_controller(aggregation_ms=AGGREGATION_MS,
                                                trust_broker=True)
        self.manager = self.old_manager(live_s=3600)
        self.interface = self.join(peer.OldInterface, INTERFACE)
        frame.wait_for(lambda: self.controller.call(
            "GET", f"/containers/{OLD_MANAGER}")[1]["command"] == "ok", "the manager is known")

    def both(self, rest, command, **fields):
        """The answer of either door; rest is (method, path, body)."""
        status, by_rest = self.controller.call(*rest)
        by_bus = self.interface.command(command, **fields)
        self.assertEqual(by_bus.pop("sender"), f"controller.callback.{fleet.CONTROLLER_ADDRESS}")
        return status, self.without_times(by_rest), self.without_times(by_bus)

    def without_times(self, body):
        """A write is a sign of life, and each door's comes at its own time."""
        if isinstance(body, dict):
            return {key: self.without_times(value) for key, value in body.items()
                    if key != "last_alive"}
        if isinstance(body, list):
            return [self.without_times(value) for value in body]
        return body

    def test_same_answers(self):
        here = {"address": OLD_MANAGER}
        path, key = f"/containers/{OLD_MANAGER}", IDS[0][:10]
        one, ghost = {**here, "containerID": key}, {**here, "containerID": "0123456789"}
        elsewhere = {"address": "10.9.9.9"}
        for status, rest, command, fields in (
                (200, ("GET", "/containers"), "get_all_containers", {}),
                (200, ("GET", path), "get_host_containers", here),
                (200, ("GET", f"{path}/{key}"), "get_container", one),
                (200, ("POST", "/containers", {"threshold": 12}), "change_all_threshold",
                 {"threshold": 12}),
                (200, ("POST", path, {"threshold": 13.5}), "change_threshold",
                 {**here, "threshold": 13.5}),
                (409, ("PUT", f"{path}/{key}"), "add_container", one),
                (502, ("GET", f"{path}/{key}/decisions"), "get_decisions", one),  # ours alone ...
                (502, ("DELETE", f"{path}/{key}/quarantine"), "release_container", one),  # ... too
                (404, ("GET", f"{path}/0123456789"), "get_container", ghost),
                (404, ("PUT", f"{path}/0123456789"), "add_container", ghost),
                (404, ("DELETE", f"{path}/0123456789"), "remove_container", ghost),
                (404, ("GET", "/containers/10.9.9.9"), "get_host_containers", elsewhere),
                (404, ("POST", "/containers/10.9.9.9", {"threshold": 1}), "change_threshold",
                 {**elsewhere, "threshold": 1}),
                (400, ("GET", "/containers/nowhere"), "get_host_containers",
                 {"address": "nowhere"}),
                (400, ("POST", path, {"threshold": 101}), "change_threshold",
                 {**here, "threshold": 101}),
                (400, ("POST", path, {"threshold": "60"}), "change_threshold",
                 {**here, "threshold": "60"}),
                (400, ("POST", "/containers", {}), "change_all_threshold", {}),
                (400, ("PUT", "/containers/10.9.9.8", {"docker": "carrier-pigeon://x"}),
                 "add_host", {"address": "10.9.9.8", "docker": "carrier-pigeon://x"}),
                (404, ("DELETE", "/containers/10.9.9.8"), "remove_host",
                 {"address": "10.9.9.8"})):
            with self.subTest(command=command, fields=fields):
                came, by_rest, by_bus = self.both(rest, command, **fields)
                self.assertEqual(came, status, by_rest)
                self.assertEqual(by_rest, by_bus)

    def test_same_effect(self):
        key = IDS[0][:10]
        path = f"/containers/{OLD_MANAGER}/{key}"
        one = {"address": OLD_MANAGER, "containerID": key}
        removed = self.interface.command("remove_container", **one)
        self.assertEqual(self.manager.ignored, {key})
        status, again = self.controller.call("DELETE", path)
        self.assertEqual((status, again["type"]), (409, "invalid_op"))
        _, answer = self.controller.call("GET", path)
        self.assertEqual(answer["description"]["content"][key]["container_state"], "disabled")
        self.assertEqual(self.controller.call("PUT", path)[0], 200)
        reply = self.interface.command("get_container", **one)
        self.assertEqual(reply["description"]["content"][key]["container_state"], "running")
        status, by_rest = self.controller.call("DELETE", path)
        removed.pop("sender")
        self.assertEqual((status, by_rest), (200, removed))

    def test_own_key(self):
        own = f"controller.{fleet.CONTROLLER_ADDRESS}"
        self.assertEqual(self.interface.command("get_all_containers", own)["command"], "ok")

    def test_commands_that_only_the_bus_can_get_wrong(self):
        here = {"address": OLD_MANAGER}
        for command, fields, expected in (
                ("get_host_containers", {}, "missing_par"),
                ("get_host_containers", {"address": 7}, "invalid_param"),
                ("get_container", here, "missing_par"),
                ("get_container", {**here, "containerID": ["x"]}, "invalid_param"),
                ("remove_container", here, "missing_par"),
                ("add_container", here, "missing_par"),
                ("change_threshold", here, "missing_par"),
                ("add_host", {}, "missing_par"),
                ("remove_host", {}, "missing_par"),
                ("give_content", {}, "INVALID_REQUEST"),
                ("", {}, "INVALID_REQUEST")):
            with self.subTest(command=command, fields=fields):
                reply = self.interface.command(command, **fields)
                self.assertEqual((reply["command"], reply["type"]), ("error", expected), reply)
