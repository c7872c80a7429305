"""``python -m tests.bench [SECTION…]``; ``scripts/bench`` is how people start it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from tests.bench import away, changes, command_line, routing, sizes, starting, store, tenancy
from tests.bench.clients import section as clients
from tests.bench.figures import Figure, table
from tests.bench.gateways import BenchError
from tests.bench.lanes import section
from tests.bench.session import Session

SECTIONS: dict[str, Callable[[Session], Iterator[Figure]]] = {
    "cli": command_line.cli,
    "change": changes.change,
    "busy": command_line.busy,
    "refusal": changes.refusal,
    "rollback": changes.rollback,
    "zero-loss": changes.zero_loss,
    "memory": sizes.memory,
    "scale": sizes.scale,
    "throughput": sizes.throughput,
    "lanes": section.lanes,
    "routing": routing.routing,
    "resolution": routing.resolution,
    "start": starting.start,
    "store": store.store,
    "keys": tenancy.keys,
    "stores-away": away.stores_away,
    "clients": clients.clients,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure what aiops promises.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--out", type=Path, default=Path(".cache/bench.json"))
    parser.add_argument("--check", action="store_true", help="exit 1 when a figure misses its limit")
    parser.add_argument("--against", type=Path, metavar="DIR", help="measure `cli` and `busy` of this checkout too")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is stopped

    figures: list[Figure] = []
    broken: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        session = Session(given.quick, stack, given.against.resolve() if given.against else None)
        for name in given.sections or SECTIONS:
            session.say(f"== {name}")
            began = time.monotonic()
            try:
                figures.extend(SECTIONS[name](session))
            except BenchError as error:
                broken[name] = str(error)
                session.say(f"  could not be measured: {error}")
            session.say(f"   {time.monotonic() - began:.0f} s")
    print(table(figures))
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "litellm": version("litellm")}
    report = {
        "quick": given.quick,
        "machine": machine,
        "figures": [figure.as_dict() for figure in figures],
        "not_measured": broken,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    missed = [figure.name for figure in figures if not figure.ok]
    return 1 if broken or (given.check and missed) else 0


if __name__ == "__main__":
    raise SystemExit(main())
