"""The demo llama.cpp server of the quickstart, detached from the terminal.

Usage: demo_provider.py start|stop DIR   `start` prints its URL, and starts nothing when it runs already.

DIR/process.json remembers the process by id and start time: a process id alone may be somebody else's by now.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS, STOP_SECONDS = 30.0, 10.0


def born(pid: int) -> str | None:
    """When the kernel started ``pid`` (ticks since boot); None when there is no such process, or only its remains."""
    try:
        # proc(5): the name in parentheses may hold anything; after it state is the first field, starttime the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def running(directory: Path) -> tuple[int, str] | None:
    """The process id and URL of the server that ``directory`` remembers, if it still runs."""
    try:
        record = json.loads((directory / "process.json").read_text())
    except (OSError, ValueError):
        return None
    return (record["pid"], record["url"]) if born(record["pid"]) == record["born"] else None


def last_port(directory: Path) -> str:
    """The port it had before, so that the provider that was added for it stays right; 0 for any free one."""
    try:
        return str(json.loads((directory / "process.json").read_text())["url"].rpartition(":")[2])
    except (OSError, ValueError, KeyError):
        return "0"


def launch(directory: Path, port: str) -> str:
    """Start it and return its URL once it answers; raise SystemExit(4) with the end of its log when it does not."""
    log = directory / "llama-cpp.log"
    command = [sys.executable, "-m", "aiops.demo", "llama-cpp", "--port", port, "--dir", str(directory)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("ready ") and line.endswith("\n"):
                url = line.removeprefix("ready ").strip()
                record = {"pid": process.pid, "born": born(process.pid), "url": url}
                (directory / "process.json").write_text(json.dumps(record))
                return url
        time.sleep(0.02)
    process.kill()
    if port != "0":
        return launch(directory, "0")
    tail = log.read_text(errors="replace")[-2000:]
    print(f"error: the demo llama.cpp server did not start; the end of {log}:\n{tail}", file=sys.stderr)
    raise SystemExit(4)


def stop(directory: Path) -> bool:
    """Stop it and wait until it is gone; False when it was not running. The port is remembered."""
    if not (found := running(directory)):
        return False
    pid, _ = found
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(directory):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return True


def main(action: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if action == "stop":
        if stop(directory):
            print("The demo llama.cpp server is stopped", file=sys.stderr)
    elif found := running(directory):
        print(found[1])
    else:
        print(launch(directory, last_port(directory)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
