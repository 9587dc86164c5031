"""The Debian package: it installs, its units are sound, and the rights they give are enough."""

import glob
import grp
import os
import shutil
import subprocess
import tempfile
import unittest

from integration import frame
from integration.hms import PROGRAM, Hms

UNITS = ("hms-controller.service", "hms-manager.service", "hms-standalone.service")
MACHINE_UNITS = "/lib/systemd/system"
WORST_EXPOSURE = 20  # of `systemd-analyze security`, in percent; a unit without a word about it: 96
NOBODY = 65534


def run(*arguments):
    """Runs a command that has to succeed; returns what it printed."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise AssertionError(f"{arguments}: {done.stdout}")
    return done.stdout


class Package(unittest.TestCase):
    """Installed into a folder, with a dpkg database of its own."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="hms-test-")
        cls.addClassCleanup(shutil.rmtree, folder)
        config = os.path.join(os.path.dirname(PROGRAM), "CPackConfig.cmake")
        run("cpack", "-B", folder, "--config", config)
        cls.package, = glob.glob(os.path.join(folder, "*.deb"))
        cls.root = os.path.join(folder, "root")
        os.makedirs(os.path.join(cls.root, "etc"))
        os.makedirs(os.path.join(cls.root, "var/lib/dpkg/info"))
        os.makedirs(os.path.join(cls.root, "var/lib/dpkg/updates"))
        with open(os.path.join(cls.root, "var/lib/dpkg/status"), "wb"):
            pass
        cls.dpkg("--install", cls.package)

    @classmethod
    def dpkg(cls, *arguments):
        # What it depends on is the machine's, which that database does not know.
        run("dpkg", f"--root={cls.root}", "--force-depends", "--force-script-chrootless",
            "--log=/dev/null", *arguments)

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def test_program(self):
        self.assertEqual(run(self.path("usr/bin/hms"), "--version"), run(PROGRAM, "--version"))
        self.assertLess(os.path.getsize(self.path("usr/bin/hms")), os.path.getsize(PROGRAM))
        self.assertTrue(os.path.exists(self.path("usr/share/hms/hms-image.tar")))

    def test_installing_starts_nothing(self):
        self.assertIn("\nhms:", "\n" + self.read("etc/passwd"))
        self.assertEqual(os.listdir(self.path("etc/hms")), ["hms.conf"])
        self.assertFalse(os.path.exists(self.path("etc/systemd")))

    def test_configuration_is_accepted(self):
        for command, *needed in (["standalone"], ["manager", "--broker=amqp://broker.example"],
                                 ["controller", "--broker=amqp://broker.example"]):
            run(self.path("usr/bin/hms"), command, *needed, "--check-config",
                "--config", self.path("etc/hms/hms.conf"))

    def test_configuration_survives(self):
        with open(self.path("etc/hms/hms.conf"), "a", encoding="utf-8") as file:
            file.write("; an operator's line\n")
        self.dpkg("--install", self.package)
        self.assertIn("an operator's line", self.read("etc/hms/hms.conf"))

    def test_units(self):
        for target in glob.glob(os.path.join(MACHINE_UNITS, "*.target")):
            shutil.copy(target, self.path("usr/lib/systemd/system"))
        for unit in UNITS:
            self.assertEqual(run("systemd-analyze", "verify", "--man=no", f"--root={self.root}",
                                 unit), "")
            print(run("systemd-analyze", "security", "--offline=yes", f"--root={self.root}",
                      f"--threshold={WORST_EXPOSURE}", unit).splitlines()[-1])

    def test_package_is_well_formed(self):
        self.assertIn("libuv1", run("dpkg-deb", "--field", self.package, "Depends"))
        if shutil.which("lintian"):
            run("lintian", "--fail-on", "error", self.package)


class Confined(Hms):
    """hms as its unit runs it: a user of the group docker, with CAP_NET_RAW and no other right."""

    def arguments(self):
        words = super().arguments()
        at = words.index(PROGRAM)
        return [*words[:at], "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                f"--groups={grp.getgrnam('docker').gr_gid}", "--inh-caps=-all,+net_raw",
                "--ambient-caps=+net_raw", "--bounding-set=-all,+net_raw", "--no-new-privs",
                *words[at:]]

    def _listen(self):
        super()._listen()
        os.chmod(self._notify_path, 0o777)  # as systemd's own


class Rights(frame.IntegrationTest):
    def test_rights_of_the_unit_are_enough(self):
        os.chmod(self.folder, 0o711)
        state = os.path.join(self.folder, "state")
        os.mkdir(state)
        os.chown(state, NOBODY, NOBODY)
        hms = Confined(self, self.host, self.folder, {"stop_grace_ms": 0}, inside=True)
        self.addCleanup(hms.stop)
        hms.start()
        name = self.names[0]
        frame.wait_for(lambda: hms.entry(name)["packet_loss"] == "0.0%", "it is probed")
        starts = len(self.events.all("start", name))
        self.engine.kill(name)
        frame.wait_for(lambda: len(self.events.all("start", name)) > starts, "it is started")
