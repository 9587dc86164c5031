"""The one error that the lab's user sees; its text says in plain words what is wrong."""

import time


class LabError(Exception):
    """Something in the environment, not in the lab, is not as it has to be."""


def wait_for(condition, what, timeout_s, poll_s=0.02):
    """Waits until condition() is true and returns its value; LabError after timeout_s seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s} s")
        time.sleep(poll_s)
