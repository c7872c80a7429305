"""The demo llama.cpp server of the quickstart, detached from the terminal.

Usage: demo_provider.py start|stop DIR   `start` prints its URL, and starts nothing when it runs already.

DIR/process.json remembers the process by id and start time: a process id alone may be somebody else's by now.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from aiops.host.process import end, is_alive, start_detached, start_time

START_SECONDS, STOP_SECONDS = 30.0, 10.0


def running(directory: Path) -> tuple[int, str] | None:
    """The process id and URL of the server that ``directory`` remembers, if it still runs."""
    try:
        record = json.loads((directory / "process.json").read_text())
    except (OSError, ValueError):
        return None
    pid = record["pid"]
    return (pid, record["url"]) if is_alive(pid) and start_time(pid) == record["started"] else None


def last_port(directory: Path) -> str:
    """The port it had before, so that the provider that was added for it stays right; 0 for any free one."""
    try:
        return str(json.loads((directory / "process.json").read_text())["url"].rpartition(":")[2])
    except (OSError, ValueError, KeyError):
        return "0"


def launch(directory: Path, port: str) -> str:
    """Start it and return its URL once it answers; raise SystemExit(4) with the end of its log when it does not."""
    log = directory / "llama-cpp.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "aiops.demo", "llama-cpp", "--port", port, "--dir", str(directory)]
    process = start_detached(command, log, os.environ)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("ready ") and line.endswith("\n"):
                url = line.removeprefix("ready ").strip()
                record = {"pid": process.pid, "started": start_time(process.pid), "url": url}
                (directory / "process.json").write_text(json.dumps(record))
                return url
        time.sleep(0.02)
    process.kill()
    if port != "0":
        return launch(directory, "0")
    tail = log.read_text(errors="replace")[-2000:]
    print(f"error: the demo llama.cpp server did not start; the end of {log}:\n{tail}", file=sys.stderr)
    raise SystemExit(4)


def main(action: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    found = running(directory)
    if action == "stop":
        if found:
            end([found[0]], STOP_SECONDS)
            print("The demo llama.cpp server is stopped", file=sys.stderr)
    else:
        print(found[1] if found else launch(directory, last_port(directory)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
