"""The containers' image: a static busybox. No registry is needed, or reachable."""

import io
import subprocess
import tarfile

from .errors import LabError

NAME = "hms-lab"
BUSYBOX = "/bin/busybox"

# PID 1 gets TERM only if it handles it; without the trap `docker stop` takes its whole timeout.
SERVICE = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"
CHANGES = [f'CMD ["/bin/sh", "-c", "{SERVICE}"]']


def _add(tar, name, kind, mode, data=b"", target=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), target
    tar.addfile(info, io.BytesIO(data))


def build():
    """The image's file system as the bytes of a tar archive."""
    try:
        with open(BUSYBOX, "rb") as file:
            busybox = file.read()
    except OSError as error:
        raise LabError(f"no {BUSYBOX} ({error.strerror}); install the package busybox-static")
    if b"/ld-linux" in busybox[:4096]:
        raise LabError(f"{BUSYBOX} is not static; install the package busybox-static")
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True,
                             text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys"):
            _add(tar, folder, tarfile.DIRTYPE, 0o755)
        _add(tar, "tmp", tarfile.DIRTYPE, 0o1777)
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, busybox)
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"bin/{applet}", tarfile.SYMTYPE, 0o777, target="busybox")
    return out.getvalue()
