"""Waiting for providers: until one serves its models, and until nobody needs one any more."""

from __future__ import annotations

import time

from aiops.actions.provider.managed import Managed
from aiops.errors import RolledBack, VerificationFailed
from aiops.host import master
from aiops.host.instance import Instance
from aiops.host.process import Update
from aiops.output import Output
from aiops.verify import providers
from aiops.verify.check import Failed

POLL_SECONDS = 0.25


# A server that lists other models may still be loading (Ollama), or is simply the wrong one.
WRONG_MODELS_SECONDS = 10.0


# systemd restarts a unit that died; what dies twice in a row does so for a reason.
MOST_RESTARTS = 1


def wait_until_serving(server: Managed, limit: float, update: Update) -> str:
    """Wait until its unit runs and it is healthy and lists its models; what it said.

    Raises RolledBack when the unit fails or ``limit`` seconds pass, VerificationFailed for the wrong models.
    """
    began, wrong_since = time.monotonic(), None
    while True:
        _require_alive(server)
        elapsed = time.monotonic() - began
        try:
            return providers.serves(server.provider, server.key)
        except providers.WrongModels as wrong:
            problem = str(wrong)
            wrong_since = wrong_since if wrong_since is not None else elapsed
            if elapsed - wrong_since > WRONG_MODELS_SECONDS:
                raise VerificationFailed(
                    f"{server.name} runs, but {problem}", f"is that what {server.unit} is meant to serve?"
                ) from wrong
        except Failed as failed:
            problem, wrong_since = str(failed), None
        if elapsed > limit:
            raise RolledBack(
                f"{server.name} does not serve after {limit:g} s: {problem}{_quoted(server)}",
                f"{server.unit.look_hint()}; --timeout waits longer",
            )
        update(elapsed, limit, problem[:60])
        time.sleep(POLL_SECONDS)


def _require_alive(server: Managed) -> None:
    """Raises RolledBack, with the end of its journal, when the unit ended or keeps ending."""
    now = server.unit.now()
    if now.restarts > MOST_RESTARTS:
        ended = f"keeps dying ({now.restarts} restarts)"
    elif now.active == "failed":
        ended = f"failed: {now.result}"
    elif now.active == "inactive" and not server.unit.has_job():
        ended = "ended by itself"
    else:
        return
    raise RolledBack(f"{server.unit} {ended}{_quoted(server)}", server.unit.look_hint())


def _quoted(server: Managed) -> str:
    said = server.unit.last_words()
    return said.replace(server.key, "***") if server.key else said


def wait_until_drained(instance: Instance, limit: float, update: Update, out: Output) -> None:
    """Wait, at most ``limit`` seconds, until no earlier generation has requests in flight: they may be with it."""
    began = time.monotonic()
    while draining := _draining(instance):
        elapsed = time.monotonic() - began
        if elapsed > limit:
            out.say(f"generation {', '.join(draining)} still had requests after {limit:g} s: they are cut off")
            return
        update(elapsed, limit, "finishing requests")
        time.sleep(POLL_SECONDS)


def _draining(instance: Instance) -> list[str]:
    # Asked again and again: this is what is waited for.
    groups = (master.status(instance.run) or {}).get("groups", [])
    return [str(group["generation"]) for group in groups if group["role"] == "draining"]
