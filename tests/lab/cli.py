"""Commands up, down and status."""

import argparse
import json
import os
import re
import shutil
import signal
import sys

from .engine import EngineError
from .errors import LabError
from .lab import DEFAULT_STATE_DIR, Lab

PROGRAMS = {"dockerd": "docker.io", "ip": "iproute2", "nsenter": "util-linux", "nft": "nftables"}
MAX_HOSTS = 200
MAX_CONTAINERS = 1000  # a bridge has 1024 ports


def _bounded(low, high):
    def parse(text):
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return int(text)
    return parse


def _name(text):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", text):
        raise argparse.ArgumentTypeError("up to 32 letters, digits, '.', '_' and '-'")
    return text


def _parser():
    parser = argparse.ArgumentParser(
        prog="lab", description="Real Docker hosts (and RabbitMQ) in network namespaces of this "
        "machine, on a LAN of their own. Prints what there is as JSON.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", type=_name, default="lab", help="which lab (default: lab)")
    common.add_argument("--state-dir", default=DEFAULT_STATE_DIR,
                        help=f"where the labs' files are (default: {DEFAULT_STATE_DIR})")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="bring a lab up")
    up.add_argument("--hosts", type=_bounded(1, MAX_HOSTS), default=1, metavar="N",
                    help="Docker hosts (default: 1)")
    up.add_argument("--containers", type=_bounded(0, MAX_CONTAINERS), default=0, metavar="M",
                    help="containers on each host (default: 0)")
    up.add_argument("--broker", action="store_true", help="RabbitMQ on the LAN")
    up.add_argument("--ipv6", action="store_true", help="containers get IPv6 addresses as well")
    up.add_argument("--live-restore", action="store_true",
                    help="containers outlive the end of their engine")
    up.add_argument("--tls", action="store_true",
                    help="the engines' tcp ports speak TLS and want a client's certificate")
    commands.add_parser("down", parents=[common],
                        help="remove all of a lab, also what a killed run left")
    commands.add_parser("status", parents=[common], help="print a lab that is up")
    return parser


def _check_machine():
    if os.geteuid():
        raise LabError("the lab needs root: it makes network namespaces")
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            raise LabError(f"no {program}; install the package {package}")


def _run(arguments):
    _check_machine()
    lab = Lab(arguments.name, arguments.state_dir)
    if arguments.command == "down":
        lab.down()
        return
    if arguments.command == "up":
        lab.up(arguments.hosts, arguments.containers, broker=arguments.broker,
               ipv6=arguments.ipv6, live_restore=arguments.live_restore, tls=arguments.tls)
    json.dump(lab.describe(), sys.stdout, indent=2)
    print()


def main():
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that `up` cleans up after itself
    try:
        _run(arguments)
    except (LabError, EngineError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    return 0
