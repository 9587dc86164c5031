"""
Machine-wide kernel limits that many containers exceed: raised when needed, put back when the last
lab that needed them goes down.
"""

import contextlib
import fcntl
import json
import os
import resource

from .errors import LabError

RUN_DIR = "/run/hms-lab"
MANY_CONTAINERS = 100
OPEN_FILES = 65536

# The neighbour table is one for all namespaces: each container is an entry of its host and holds
# one for its gateway. A shim needs about a dozen threads; with cgroup v2 also an inotify instance.
WANTED = {
    "net/ipv4/neigh/default/gc_thresh3": 16384,
    "net/ipv4/neigh/default/gc_thresh2": 8192,
    "net/ipv4/neigh/default/gc_thresh1": 4096,
    "net/ipv6/neigh/default/gc_thresh3": 16384,
    "net/ipv6/neigh/default/gc_thresh2": 8192,
    "net/ipv6/neigh/default/gc_thresh1": 4096,
    "fs/inotify/max_user_instances": 8192,
    "kernel/pid_max": 131072,
}


@contextlib.contextmanager
def _record():
    """The record of who raised what, under a lock that every lab of the machine takes."""
    os.makedirs(RUN_DIR, mode=0o700, exist_ok=True)
    with open(os.path.join(RUN_DIR, ".limits.json"), "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        record = json.loads(text) if text else {"labs": [], "before": {}}
        yield record
        file.seek(0)
        file.truncate()
        json.dump(record, file)


def _read(name):
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return None


def _write(name, value):
    try:
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError as error:
        raise LabError(f"cannot set /proc/sys/{name}: {error.strerror}")


def raise_for(lab, containers):
    """Raises what that many containers in all need; a lab of few needs nothing."""
    if containers <= MANY_CONTAINERS:
        return
    with _record() as record:
        if lab not in record["labs"]:
            record["labs"].append(lab)
        for name, wanted in WANTED.items():
            now = _read(name)
            if now is not None and now < wanted:
                record["before"].setdefault(name, now)
                _write(name, wanted)


def restore(lab):
    """Takes the lab off the record; the last one puts the machine's own values back."""
    with _record() as record:
        if lab not in record["labs"]:
            return
        record["labs"].remove(lab)
        if record["labs"]:
            return
        for name, value in reversed(record["before"].items()):
            _write(name, value)
        record["before"].clear()


def raise_open_files():
    """Lets this process and those it starts open enough files for several hundred containers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(OPEN_FILES, _read("fs/nr_open"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except ValueError:  # without CAP_SYS_RESOURCE the hard limit is all there is
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
