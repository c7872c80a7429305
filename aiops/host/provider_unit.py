"""The systemd unit that runs a provider: start it, stop it, look at it, and quote it when it fails."""

from __future__ import annotations

import time
from contextlib import suppress

from aiops.errors import AiopsError, Precondition
from aiops.host.process import Update
from aiops.host.systemd import Systemd, Unit
from aiops.spec.shapes.model import Service

CALL_SECONDS = 30.0  # for what does not wait for the unit itself
# systemd kills a unit at its own TimeoutStopSec, 90 s unless the unit says otherwise.
STOP_SECONDS = 600.0
POLL_SECONDS = 0.2
QUOTED_LINES = 8
STOPPED = ("inactive", "failed")


class ProviderUnit:
    def __init__(self, service: Service, install: str = "") -> None:
        """``install``: what to type when systemd does not know it; put it there oneself when empty."""
        self._install = install
        self.name = service.unit
        self._systemd = Systemd(service.scope)

    def __str__(self) -> str:
        return self.name

    def require(self) -> None:
        """Raises Precondition when systemd does not answer or the unit cannot be started: not there, masked, broken."""
        self._systemd.require()
        now = self.now()
        if now.load == "loaded":
            return
        why = {"not-found": "systemd does not know it", "masked": "it is masked"}.get(now.load, f"it is {now.load}")
        mend = {
            "not-found": f"`{self._install}`"
            if self._install
            else f"put it into {self._systemd.directory}, then `{self._systemd.command('daemon-reload')}`",
            "masked": f"`{self._systemd.command('unmask', self.name)}`",
        }
        hint = mend.get(now.load, f"`{self._systemd.command('status', self.name)}` shows why")
        raise Precondition(f"the unit {self.name} cannot be started: {why}", hint)

    def why_unknown(self) -> str:
        """Why nothing can be said about it; empty when systemd answers. Asking needs no privilege."""
        done = self._systemd.call("show", "--property=Version", "--value")
        return "" if done.ok and done.out.strip() else done.reason

    def now(self) -> Unit:
        """As systemd has it now."""
        return self._systemd.units(self.name)[self.name]

    def start(self) -> None:
        """Begin to start it; it does not have to run yet when this returns. Raises Precondition."""
        # Past failures would count towards the start limit of this attempt.
        self._systemd.call("reset-failed", self.name, timeout=CALL_SECONDS)
        self._order("start", "--no-block")

    def stop(self, update: Update, limit: float = STOP_SECONDS) -> bool:
        """Stop it and wait, at most ``limit`` seconds. False when it did not run. Raises Precondition."""
        if self.now().active in STOPPED and not self.has_job():
            return False
        self._order("stop", "--no-block")
        started = time.monotonic()
        while self.now().active not in STOPPED or self.has_job():
            elapsed = time.monotonic() - started
            if elapsed > limit:
                raise Precondition(f"{self.name} did not stop within {limit:g} s", self.look_hint())
            update(elapsed, limit, self.name)
            time.sleep(POLL_SECONDS)
        return True

    def has_job(self) -> bool:
        """Whether systemd is about to do something with it."""
        return bool(self._systemd.job(self.name))

    def at_boot(self, wanted: bool) -> str:
        """Have it started at boot, or not. Returns why that is not possible; empty when it was done."""
        done = self._systemd.call("enable" if wanted else "disable", self.name, timeout=CALL_SECONDS)
        return "" if done.ok else done.reason

    def last_words(self) -> str:
        """The end of its journal, indented, on lines of its own; empty when there is none to be read."""
        said: list[str] = []
        with suppress(AiopsError, OSError):
            said = list(self._systemd.journal(self.name, QUOTED_LINES, follow=False))
        return "".join(f"\n  {line}" for line in said)

    def look_hint(self) -> str:
        return f"`{self._systemd.command('status', self.name)}` shows what it does"

    def _order(self, verb: str, *options: str) -> None:
        done = self._systemd.call(verb, *options, self.name, timeout=CALL_SECONDS)
        if not done.ok:
            raise Precondition(f"systemd refused to {verb} {self.name}: {done.reason}", self.look_hint())
