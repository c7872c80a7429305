"""The parts of the test suite one after another, each beside its budget: ``run_tests.py [PART…] [-- ARGUMENTS]``.

The arguments are pytest's. Each part is a pytest of its own, because what they share, a warm process or a booted
host, is different. A part that is over its budget is marked and fails nothing: machines differ by more than two times,
which is why the speed of this one is measured in the same run.

Exit codes are pytest's: 0 everything passed, 1 tests failed, 2 interrupted, 4 wrong arguments, 5 nothing to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.kit.warm import server  # noqa: E402

PASSED, FAILED, NOTHING_TO_DO = 0, 1, 5
# Two cores that need this many seconds for `measured_speed` are what the budgets are for.
REFERENCE_SECONDS = 0.25
WHOLE_MINUTES, WHOLE_FOR_GOOD = 30, 45
IN_TWO = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
# Where one file holds most of the tests, and each leaves the gateway of its worker as it found it.
IN_HALVES = ("-n", "2", "--dist", "worksteal")


@dataclass(frozen=True)
class Part:
    """``minutes``: its budget on two slow cores. ``options``: for pytest."""

    name: str
    directories: tuple[str, ...]
    minutes: float | None = None
    options: tuple[str, ...] = IN_TWO
    environment: Mapping[str, str] = field(default_factory=dict)


PARTS = (
    Part("unit and cases", ("unit", "effects"), 3),
    Part("docs", ("docs",), 2, IN_HALVES),
    Part("e2e", ("e2e",), 8),
    Part("faults", ("faults",), 4, IN_HALVES),
    Part("distributed", ("distributed",), 8),
    Part("lab", ("lab",), 10),
)
# The same tests, so long that chance has no say: by hand, before a release.
SOAK = (
    Part("soak: 10,000 requests", ("e2e",), None, ("-k", "weights_of_seventy"), {"AIOPS_E2E_REQUESTS": "10000"}),
    Part("soak: 5,000 per change", ("lab",), None, ("-k", "under_load"), {"AIOPS_LAB_REQUESTS": "5000"}),
    Part(
        "soak: 5,000 games of counters", ("unit",), None, ("-k", "shared_machine"), {"AIOPS_COUNTERS_EXAMPLES": "5000"}
    ),
    Part(
        "soak: 2,000 in Redis", ("distributed",), None, ("-k", "counters_machine"), {"AIOPS_COUNTERS_EXAMPLES": "2000"}
    ),
    Part("soak: 2,000 orders of events", ("faults",), None, ("-k", "interleavings"), {"AIOPS_INTERLEAVINGS": "2000"}),
    Part("soak: 100,000 direct", ("e2e",), None, ("-k", "memory_is_flat"), {"AIOPS_LANES_REQUESTS": "100000"}),
    Part("soak: 10,000 endings on a box", ("faults",), None, ("-k", "mixed_endings"), {"AIOPS_ENDINGS": "10000"}),
    Part("soak: 10,000 over three", ("distributed",), None, ("-k", "mixed_endings"), {"AIOPS_ENDINGS": "10000"}),
)


def chosen(names: Sequence[str]) -> list[Part]:
    """Given names of directories below tests/ and `soak`, what to run; without any, all but `soak`."""
    if not names:
        return list(PARTS)
    found: list[Part] = []
    for name in names:
        if name == "soak":
            found += SOAK
            continue
        whole = next((part for part in PARTS if name in part.directories), None)
        single = whole is not None and len(whole.directories) == 1
        found.append(whole if whole is not None and single else Part(name, (name,)))
    return found


@dataclass(frozen=True)
class Ran:
    part: Part
    code: int
    seconds: float

    @property
    def over(self) -> bool:
        return self.part.minutes is not None and self.seconds > self.part.minutes * 60


def run(part: Part, arguments: Sequence[str]) -> Ran:
    directories = [f"tests/{name}" for name in part.directories]
    # A cache for each part: `--last-failed` runs everything where the failures it remembers are all elsewhere.
    cache = ("-o", f"cache_dir=.pytest_cache/{'-'.join(part.directories)}")
    # A log has no line that grows: one for each test, so that its reader sees that something goes on.
    progress = () if sys.stdout.isatty() or part.directories[0] == "unit" else ("-v",)
    argv = [*directories, *part.options, *cache, *progress, *arguments]
    say(f"== {part.name}: pytest {' '.join(argv)}")
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", *argv], cwd=ROOT, env={**os.environ, **part.environment})
    if "lab" not in part.directories:  # its hosts may be wanted afterwards
        end_what_is_left(part)
    return Ran(part, done.returncode, time.monotonic() - started)


def end_what_is_left(part: Part) -> None:
    """Gateways that were started for real outlive a pytest that is killed: they have become our children."""
    for pid in Path("/proc/thread-self/children").read_text().split():
        with suppress(OSError):
            if os.waitpid(int(pid), os.WNOHANG)[0]:
                continue  # it had ended, and its parent was not there to collect it
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            say(f"left behind by {part.name}, and ended: {line or pid}")
    server.end_descendants()


def run_all(parts: Sequence[Part], arguments: Sequence[str]) -> tuple[int, list[Ran]]:
    """Run them in order, to the end unless one is interrupted or asked to stop; the exit code and how each went."""
    ran: list[Ran] = []
    for part in parts:
        ran.append(run(part, arguments))
        code = ran[-1].code
        if code not in (PASSED, FAILED, NOTHING_TO_DO):
            return code, ran
        if code == FAILED and {"-x", "--exitfirst"} & set(arguments):
            break
    codes = {each.code for each in ran}
    return next(code for code in (FAILED, PASSED, NOTHING_TO_DO) if code in codes), ran


def measured_speed() -> float:
    """Seconds of CPU for a fixed piece of work, the shortest of some, so that who else is at work matters little."""
    return min(_seconds_of_work() for _ in range(5))


def _seconds_of_work() -> float:
    started = time.process_time()
    table: dict[str, int] = {}
    for number in range(1_000_000):
        table[f"key-{number % 5000}"] = number
    sorted(table, key=table.__getitem__)
    return time.process_time() - started


def table(ran: Sequence[Ran], whole: bool, speed: float) -> list[str]:
    rows = [f"{'':24}{'minutes':>8}{'budget':>8}"]
    for each in ran:
        budget = "" if each.part.minutes is None else f"{each.part.minutes:g}"
        rows.append(f"{each.part.name:24}{each.seconds / 60:8.1f}{budget:>8}{'  OVER ITS BUDGET' if each.over else ''}")
    if whole:
        minutes = sum(each.seconds for each in ran) / 60
        over = f"  OVER ITS BUDGET ({WHOLE_FOR_GOOD} is the end)" if minutes > WHOLE_MINUTES else ""
        rows.append(f"{'all parts':24}{minutes:8.1f}{WHOLE_MINUTES:>8}{over}")
    rows.append(
        f"This machine needs {speed:.2f} s of CPU for what takes {REFERENCE_SECONDS:.2f} s where the budgets were set:"
        f" {REFERENCE_SECONDS / speed:.1f} times as fast, {os.cpu_count()} cores."
    )
    return rows


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    server.adopt_orphans()
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    names, arguments = words[:cut], words[cut + 1 :]
    code, ran = run_all(chosen(names), arguments)
    if arguments and names:  # a look at a few tests, not a measurement
        return code
    for row in table(ran, not names, measured_speed()):
        say(row)
    if "soak" not in names:
        say("Not run: the long versions (10,000 requests, 5,000 under each change): scripts/test soak")
    return code


if __name__ == "__main__":
    sys.exit(main())
