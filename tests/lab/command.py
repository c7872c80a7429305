"""Run a program and say what it said when it fails."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class LabError(Exception):
    """The lab itself is at fault, or the machine it runs on: never the code under test."""


@dataclass(frozen=True)
class Result:
    """What a program left behind. ``code`` is 124 when it did not end in time."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = 60,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Run ``argv`` to its end, at most ``timeout`` seconds. Raises LabError when ``check`` and it fails."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
    except subprocess.TimeoutExpired as late:
        result = Result(124, _text(late.stdout), _text(late.stderr) + f"\nnot done after {timeout:g} s")
    if check and not result.ok:
        told = "\n".join(part.strip()[-4000:] for part in (result.out, result.err) if part.strip())
        raise LabError(f"{shlex.join(argv)}: exit {result.code}\n{told}")
    return result


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
