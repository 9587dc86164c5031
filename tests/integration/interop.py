"""What tests with peers of version 1 share: a fleet's broker, and addresses on its bus."""

import hashlib

from integration import fleet, peer

OLD_MANAGER = "10.77.0.101"
OTHER_MANAGER = "10.77.0.102"
OLD_CONTROLLER = "10.77.0.201"
INTERFACE = "10.77.0.211"


def full_id(text):
    """A container's id, made up from any text."""
    return hashlib.sha256(text.encode()).hexdigest()


IDS = [full_id(f"container {number}") for number in range(3)]


class InteropTest(fleet.FleetTest):
    """Peers join the fleet's bus, and leave it at the end of the test."""

    def join(self, kind, *arguments, **options):
        joined = kind(self.lab.name, *arguments, **options)
        self.addCleanup(joined.close)
        return joined

    def old_manager(self, address=OLD_MANAGER, containers=IDS, **options):
        return self.join(peer.OldManager, address, containers, **options)
