"""The true information availability, from what managers and controller log (docs/wire.md)."""

import datetime


def steps(log_lines, module, address):
    """What a side knew of that host, and since when: [(seconds, (epoch, version)), ...]."""
    return [(datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp(),
             (line["epoch"], line["version"]))
            for line in log_lines
            if line["module"] == module and line.get("address") == address and "epoch" in line]


def lags(manager, controller):
    """
    For each step of the manager the seconds until the controller knew of it or of a later one of
    the same life; None: it never did.
    """
    result, next_one = [], 0
    for at, (epoch, version) in manager:
        while next_one < len(controller) and not (
                controller[next_one][1][0] == epoch and controller[next_one][1][1] >= version):
            next_one += 1
        result.append(controller[next_one][0] - at if next_one < len(controller) else None)
    return result


def availability(manager, controller, until):
    """The share of the time from the manager's first step until then in which both knew the same."""
    missing, covered = 0.0, manager[0][0]
    for (at, _), lag in zip(manager, lags(manager, controller)):
        end = min(until, until if lag is None else at + lag)
        missing += max(0.0, end - max(at, covered))
        covered = max(covered, end)
    return 1 - missing / (until - manager[0][0])
