"""
Several hosts as they run in the field: a manager inside each host's namespace, a controller on the
LAN, RabbitMQ between them. The controller's REST is on a unix socket, which tests reach by its path.
"""

import os

from integration import frame
from integration.hms import Process, RestProcess
from lab import broker

HOSTS = 3 if frame.QUICK else 5
CONTAINERS = 4 if frame.QUICK else 20  # on each host
CONTROLLER_ADDRESS = "10.77.0.254"
IN_CONTACT = "STATUS=in contact"  # what a component tells its service manager


def broker_options(lab):
    """What every component is told of the broker; the password comes by another way."""
    return {"broker": f"amqp://{broker.USER}@{lab.broker().address}:{broker.PORT}",
            "log_format": "json"}


class Manager(Process):
    """`hms manager` of a host, in its namespace; the broker's password comes from a file."""

    def __init__(self, test, lab, host, folder, options):
        self.host = host
        state = os.path.join(folder, f"{host.name}-state")
        password_file = os.path.join(folder, "password")
        with open(password_file, "w", encoding="ascii") as file:
            file.write(broker.PASSWORD)
        os.chmod(password_file, 0o600)
        super().__init__(test, folder, "manager", f"manager-{host.name}", {
            **broker_options(lab),
            "broker_password_file": password_file,
            "docker": f"unix://{host.socket}",
            "address": host.address,
            "state_dir": state,
            "supervise": "all",
            **options,
        }, netns=host.netns)


class Controller(RestProcess):
    """`hms controller` on the LAN; the broker's password comes from the environment."""

    def __init__(self, test, lab, folder, options, name="controller"):
        super().__init__(test, folder, "controller", name, {
            **broker_options(lab),
            "address": CONTROLLER_ADDRESS,
            "state_dir": os.path.join(folder, f"{name}-state"),
            **options,
        }, netns=lab.netns, environment={"HMS_BROKER_PASSWORD": broker.PASSWORD})

    def hosts(self):
        """Every host that it knows, as GET /containers tells of it: address -> description."""
        status, answer = self.call("GET", "/containers")
        self.test.assertEqual(status, 200, answer)
        return {one["address"]: one for one in answer["description"]}

    def view(self):
        """Of every host short id -> state."""
        return {address: {key: entry["container_state"] for key, entry in one["content"].items()}
                for address, one in self.hosts().items()}

    def host_states(self):
        return {address: one["host_state"] for address, one in self.hosts().items()}

    def role(self):
        """"active" or "standby"."""
        return self.call("GET", "/healthz")[1]["role"]


def is_in_contact(process):
    """Whether it was on the bus when it last spoke of it."""
    statuses = [line for line in process.told() if line.startswith("STATUS=")]
    return bool(statuses) and statuses[-1] == IN_CONTACT


class FleetTest(frame.LabTest):
    """A test on the shared fleet: engines, containers, links and broker are well when it begins."""

    def setUp(self):
        super().setUp()
        self.lab = frame.lab("fleet", HOSTS, CONTAINERS, broker=True)
        self.broker = self.lab.broker()
        self.hosts = [self.lab.host(number) for number in range(1, HOSTS + 1)]
        self.names = frame.container_names(CONTAINERS)
        if not self.broker.pids():
            self.broker.start()
        frame.at_once(self._restore_host, self.hosts)

    def _restore_host(self, host):
        host.set_link(True)
        frame.restore(host, self.names)

    def start_manager(self, host, **options):
        """Returns when it serves, which it also does without a broker."""
        return self.start_process(Manager(self, self.lab, host, self.folder, options))

    def start_controller(self, name="controller", **options):
        """Returns when it is on the bus."""
        controller = self.start_process(Controller(self, self.lab, self.folder, options, name))
        frame.wait_for(lambda: is_in_contact(controller), "the controller is on the bus")
        return controller

    def start_fleet(self, manager_options=None, controller_options=None):
        """A controller and a manager on every host; returns when the view is right."""
        self.controller = self.start_controller(**(controller_options or {}))
        self.managers = [self.start_manager(host, **(manager_options or {}))
                         for host in self.hosts]
        self.wait_same_view()

    def docker_view(self):
        """What Controller.view() has to be: `docker ps -a` of every host."""
        return {host.address: frame.docker_view(host) for host in self.hosts}

    def is_view_right(self, controller=None):
        """Every host is online, and what is told of it is what its engine tells."""
        controller = controller or self.controller
        return (set(controller.host_states().values()) == {"online"}
                and controller.view() == self.docker_view())

    def wait_same_view(self):
        frame.wait_for(self.is_view_right, "the controller sees what every engine shows")

    def processes(self):
        return [self.controller, *self.managers]

    def possessions(self):
        """What the broker holds for all of them, their descriptors, their memory."""
        return (self.broker.counts(),
                {process.name: process.descriptors() for process in self.processes()},
                {process.name: round(process.memory_mib("VmRSS"), 1)
                 for process in self.processes()})

    def check_possessions(self):
        """What may not grow is as it was in self.before."""
        last = []

        def is_same():
            last[:] = self.possessions()
            return last[:2] == list(self.before[:2])

        frame.wait_for(is_same, f"nothing is left: {self.before}")
        print(f"  before: {self.before}\n  after:  {tuple(last)}")
