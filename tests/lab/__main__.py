"""`scripts/lab`: play with hosts by hand. They stay until `down`."""

from __future__ import annotations

import argparse
import os
import sys

from tests.lab import machine, progress
from tests.lab.command import LabError
from tests.lab.image import compile_checkout, image
from tests.lab.lab import Lab, attach, playground, sweep
from tests.lab.places import RUN, locked
from tests.lab.traces import traces

ACTIONS = {
    "start": "switch it on, disk kept",
    "stop": "shut it down",
    "restart": "shut it down and start it",
    "kill": "kill -9 for all of it",
    "power_cut": "pull the plug",
    "freeze": "stop every process where it is",
    "thaw": "let them go on",
    "cut": "pull the network cable",
    "heal": "plug it in again",
}


def main() -> int:
    arguments = parser().parse_args()
    try:
        with progress.shown():
            return act(arguments)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="scripts/lab", description="Real Debian hosts on this machine, to try things on."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start hosts; without names, h1")
    up.add_argument("hosts", nargs="*", default=["h1"], metavar="HOST")
    login = verbs.add_parser("ssh", help="log in as ops, or run a command")
    login.add_argument("--root", action="store_true", help="log in as root")
    login.add_argument("host", metavar="HOST")
    login.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    verbs.add_parser("status", help="which hosts there are")
    verbs.add_parser("down", help="remove all of it but the cached layers")
    for action, text in ACTIONS.items():
        verb = verbs.add_parser(action.replace("_", "-"), help=text)
        verb.add_argument("host", metavar="HOST")
    return top


def act(arguments: argparse.Namespace) -> int:
    verb = arguments.verb.replace("-", "_")
    if verb == "up":
        machine.prepare()
        compile_checkout(image())
        for host in Lab(playground(), detached=True).up(*arguments.hosts):
            print(f"{host.name}\t{host.address}\tscripts/lab ssh {host.name}")
        return 0
    if verb == "down":
        with locked(RUN / "lock"):
            sweep(playground())
            (RUN / f"{playground()}.lock").unlink(missing_ok=True)
        left = traces(playground())
        print("\n".join(left) if left else "nothing is left", file=sys.stderr)
        return 1 if left else 0
    lab = attach()
    if verb == "status":
        for host in lab.hosts.values():
            state = "frozen" if host.cgroup.frozen else "running" if host.running else "off"
            print(f"{host.name}\t{host.address}\t{state}")
        return 0
    if arguments.host not in lab.hosts:
        raise LabError(f"there is no host `{arguments.host}`; scripts/lab status lists them")
    host = lab.hosts[arguments.host]
    if verb == "ssh":
        argv = host.ssh_argv(*arguments.command, user="root" if arguments.root else "ops")
        os.execvp(argv[0], argv)
    getattr(host, verb)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
