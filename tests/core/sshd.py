"""A real sshd on port 2222, inside namespaces of somebody else's: those of the engine.

The folder has the client's keys (key, locked-key with a passphrase, stranger-key, which is not let
in) and, as one line each, the host's public key and another one (host.pub, other.pub). The password
of root is PASSWORD within this mount namespace alone.

As a program, `sshd.py FOLDER ADDRESS`, it listens there until it ends.
"""

import os
import signal
import subprocess
import sys

PORT = 2222
PASSWORD = "hms secret"
PASSPHRASE = "hms phrase"

CONFIG = """
Port {port}
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
Banner {folder}/banner
"""


def make_key(path, passphrase=""):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path],
                   check=True)


def set_password():
    """Root's, in a copy of the machine's file that is seen in this mount namespace only."""
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True,
                            capture_output=True, text=True).stdout.strip()
    copy = "/dev/shm/hms-shadow-%d" % os.getppid()
    with open("/etc/shadow", encoding="ascii") as file:
        lines = [f"root:{hashed}:19000:0:99999:7:::\n" if line.startswith("root:") else line
                 for line in file]
    with open(copy, "w", encoding="ascii", opener=private) as file:
        file.writelines(lines)
    subprocess.run(["mount", "--bind", copy, "/etc/shadow"], check=True)
    os.unlink(copy)


def private(path, flags):
    return os.open(path, flags, 0o600)


class Sshd:
    def __init__(self, folder, address="127.0.0.1"):
        self.folder = f"{folder}/ssh"
        os.mkdir(self.folder, 0o700)
        for name in ("host", "other", "key", "stranger-key"):
            make_key(f"{self.folder}/{name}")
        make_key(f"{self.folder}/locked-key", PASSPHRASE)
        self.write("banner", "Authorised users only. Connection refused is not meant.\n")
        self.write("authorized", self.read("key.pub") + self.read("locked-key.pub"))
        self.write("config", CONFIG.format(folder=self.folder, address=address,
                                           port=PORT))
        set_password()
        os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(f"{self.folder}/log", "wb")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/sshd", "-D", "-e", "-f",
             f"{self.folder}/config"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def read(self, name):
        with open(f"{self.folder}/{name}", encoding="ascii") as file:
            return file.read()

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def sessions(self):
        """The processes of the logins, as seen in this PID namespace."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended meanwhile
            if parent == self.process.pid:
                found.append(int(name))
        return found

    def hang_up(self):
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(Sshd(*sys.argv[1:]).process.wait())
