"""``python -m tests.load --url http://127.0.0.1:4000 --key-env KEY --model M --seconds 10``: the report as JSON."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

from tests.load import Mix, Target, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-env", required=True, help="the variable that holds the key")
    parser.add_argument("--model", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--until-file", type=Path, help="run until this file exists, instead of --seconds")
    parser.add_argument("--expect-chunks", type=int, help="content pieces of a whole stream")
    parser.add_argument("--out", type=Path, help="write the report here instead of to stdout")
    for entry in fields(Mix):
        kind = int if entry.type == "int" else float
        parser.add_argument("--" + entry.name.replace("_", "-"), type=kind, default=entry.default)
    given = parser.parse_args()
    if not os.environ.get(given.key_env):
        parser.error(f"the variable {given.key_env} is not set")

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def wait() -> None:
        deadline = time.monotonic() + given.seconds
        while not (given.until_file.exists() if given.until_file else time.monotonic() >= deadline):
            if stop.wait(0.1):
                return
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    target = Target(given.url.rstrip("/"), os.environ[given.key_env], given.model, given.expect_chunks)
    report = run(target, stop, Mix(**{entry.name: getattr(given, entry.name) for entry in fields(Mix)}))
    text = json.dumps(report.as_dict(), indent=2) + "\n"
    if given.out:
        given.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 0 if report.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
