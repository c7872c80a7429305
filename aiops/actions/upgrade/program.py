"""``aiops upgrade``: another LiteLLM, or another aiops, in the gateway that runs, without losing a request.

The new runtime is built and checked beside the one that serves. Then it is a change like any other: the master
becomes a program of the new runtime while its workers serve on, a candidate is proved, promoted, confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiops
from aiops.actions.change import runtime
from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.instance.asking import Stopwatch, ask, asks, require_same
from aiops.actions.instance.drift import drift
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.upgrade.image import upgrade_image
from aiops.apply import audit
from aiops.errors import AiopsError, Interrupted, Precondition
from aiops.gateway.shared.messages import Status
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.supervise import requirements
from aiops.supervise.requirements import Source
from aiops.supervise.runtimes import Runtimes, our_code


@dataclass(frozen=True)
class UpgradeIntent:
    """``version`` None: the LiteLLM of this installation, and its aiops. ``find_links``: packages come from this
    directory only; ``offline``: from uv's cache only."""

    version: str | None
    find_links: Path | None
    offline: bool
    terms: Terms


def upgrade(instance: Instance, intent: UpgradeIntent, out: Output) -> Result:
    """Raises UsageError, Precondition, VerificationFailed before anything is touched; ChangeFailed after."""
    watch = Stopwatch()
    if intent.version is not None:
        requirements.require_acceptable(intent.version)
    now = Snapshot.of(instance)
    status, supervisor = _running(now)
    if supervisor == "container":
        result = upgrade_image(now, intent.version, Intent.of("upgrade", intent.terms), out, watch)
        result.seconds = watch.seconds
        return result
    version = _version(intent)
    result = Result("planned", None, now.current)
    if (status.litellm, status.code) == (version, our_code()):
        result.outcome, result.generation = "unchanged", now.current
        out.say(f"the gateway runs LiteLLM {version} and this aiops ({aiops.__version__}) already")
        return result
    source = Source(intent.find_links, intent.offline)
    if version != requirements.installed_version():
        requirements.require_there(version, source)
    lines = _lines(status, version)
    for line in lines:
        out.say(line)
    if intent.terms.dry_run:
        out.say("dry run: nothing was downloaded, nothing was changed")
        return result
    asked = asks(out, intent.terms.assume_yes)
    if asked:
        ask(out, watch)
    runtimes = Runtimes(instance.state)
    with runtimes.held():
        if asked:  # another upgrade may have come first
            after, _ = _running(Snapshot.of(instance))
            require_same("\n".join(lines), "\n".join(_lines(after, version)))
        try:
            made = runtimes.build(version, source, out.say)
            out.say(f"checking {made.id}: importing LiteLLM there, answering one mocked request")
            runtimes.check(made)
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted while the runtime was made", "it is removed, and nothing was changed"
            ) from None
        except AiopsError as error:
            audit.record(
                instance.audit_log, verb="upgrade", outcome="refused", error=error.message, exit=error.exit_code
            )
            raise
        result = make(instance, Intent("upgrade", intent.terms.reason, assume_yes=True, runtime=made.id), out)
        runtime.prune(instance, held=True)
    result.seconds = watch.seconds
    return result


def _version(intent: UpgradeIntent) -> str:
    version = intent.version or requirements.installed_version()
    if version is None:
        raise Precondition("LiteLLM is not installed here, so there is no version to upgrade to", "name one")
    requirements.require_acceptable(version)
    return version


def _running(now: Snapshot) -> tuple[Status, str]:
    """What runs now, under which supervisor.

    Raises Precondition when that is not what was committed: an upgrade changes one thing only.
    """
    instance, status = now.instance, now.master
    if now.routes is None or status is None:
        raise Precondition("the gateway is not running", f"`{instance.command} up` starts it")
    if status.state != "serving":
        raise Precondition(f"the gateway is {status.state}", f"`{instance.command} status` shows when it serves")
    if edited := drift(now):
        raise Precondition(
            f"an upgrade changes the runtime and nothing else, but {'; '.join(edited)}",
            f"`{instance.command} apply` first",
        )
    return status, now.routes[1].settings.supervisor


def _lines(status: Status, version: str) -> list[str]:
    before, after = status.version, aiops.__version__
    if before == after and status.code != our_code():
        before, after = f"{before} as it was started", f"{after} as it is now"
    lines = [f"LiteLLM {status.litellm} → {version}" if status.litellm != version else f"LiteLLM {version}"]
    return [*lines, f"aiops {before} → {after}" if before != after else f"aiops {after}"]
