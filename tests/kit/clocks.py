"""Processes whose clock is wrong, by Debian's package libfaketime."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.kit.gateway import Gateway
from tests.kit.waiting import until
from tests.kit.warm.product import ROOT

PACKAGE = "libfaketime"


def _library() -> Path | None:
    """The one for programs with threads."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def missing() -> str | None:
    return None if _library() else f"no {PACKAGE} on this machine: apt-get install {PACKAGE}"


@contextmanager
def ahead(gateway: Gateway, seconds: int) -> Iterator[None]:
    """A gateway that runs is started again by us, as a service manager does it, with a clock so many seconds ahead."""
    argv = Path(f"/proc/{gateway.master}/cmdline").read_text().rstrip("\0").split("\0")
    gateway.must("down")
    wrong = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": f"+{seconds}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": f"{Path(__file__).with_name('wrong_clock')}:{ROOT}",
    }
    with (gateway.home / "logs" / "gateway.log").open("ab") as log:
        master = subprocess.Popen(
            argv, env=gateway.env | wrong, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: _serves(gateway), 60, "a gateway with another clock")
        yield
    finally:
        gateway.must("down")
        master.wait(30)


def _serves(gateway: Gateway) -> bool:
    try:
        return gateway.get("/_health/ready").status_code == 200
    except httpx.TransportError:
        return False
