"""
The lab's processes: started with a mark in their environment, found again by it.

A mark that is read from /proc at the time of the kill cannot belong to a stranger who got an old
pid, and a pidfd, opened before the mark is read, closes the gap between look and kill. Containers
do not inherit the mark; the path of their cgroup tells whose they are.
"""

import contextlib
import os
import signal
import subprocess

from .errors import wait_for

CGROUP = "hms-lab"
CGROUP_ROOT = "/sys/fs/cgroup"


def mark(lab, part):
    return f"HMS_LAB={lab}/{part}"


def cgroup(lab, part):
    """Parent cgroup of a host's containers."""
    return f"/{CGROUP}/{lab}/{part}"


def start(arguments, lab, part, log_path, environment=None):
    """Starts a process of the lab in a session of its own. Returns its Popen."""
    key, value = mark(lab, part).split("=")
    with open(log_path, "ab") as log:
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True,
                                env={**os.environ, **(environment or {}), key: value})


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _belongs(pid, lab, part):
    wanted = mark(lab, part or "").encode()
    for variable in _read(pid, "environ").split(b"\0"):
        if variable == wanted or (not part and variable.startswith(wanted)):
            return True
    group = cgroup(lab, part or "").rstrip("/").encode() + b"/"
    return any(line.split(b":", 2)[-1].startswith(group)
               for line in _read(pid, "cgroup").splitlines())


def find(lab, part=None):
    """Pids of the lab's live processes, of one part (host or broker) or of all."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _belongs(pid, lab, part)
            and b") Z " not in _read(pid, "stat")]


def find_command(lab, part, command):
    """Pids of one program of a part, e.g. its dockerd."""
    return [pid for pid in find(lab, part) if _read(pid, "comm").strip() == command.encode()]


def _kill_one(pid, lab, part):
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _belongs(pid, lab, part):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _thaw(lab, part):
    """Paused containers run on: with cgroup v1 a frozen process does not even die."""
    for folder, _, _ in os.walk(f"{CGROUP_ROOT}/freezer{cgroup(lab, part or '')}"):
        with contextlib.suppress(OSError), \
                open(os.path.join(folder, "freezer.state"), "w", encoding="ascii") as file:
            file.write("THAWED")


def kill(lab, part=None):
    """Ends every process of the lab (of one part) and waits until none is left."""
    def none_left():
        _thaw(lab, part)
        found = find(lab, part)
        for pid in found:
            _kill_one(pid, lab, part)
        return not found

    wait_for(none_left, f"ending the processes of lab {lab}", 60)


def remove_cgroups(lab):
    """Removes the cgroups of the lab's containers in every hierarchy (v1 has many, v2 one)."""
    bases = [CGROUP_ROOT] + [entry.path for entry in os.scandir(CGROUP_ROOT)
                             if entry.is_dir(follow_symlinks=False)]
    for base in bases:
        top = os.path.join(base, CGROUP, lab)
        for folder, _, _ in os.walk(top, topdown=False):
            _remove_cgroup(folder)
        _remove_cgroup(os.path.dirname(top))  # stays while another lab has one in it


def _remove_cgroup(folder):
    try:
        os.rmdir(folder)
    except OSError:
        pass
