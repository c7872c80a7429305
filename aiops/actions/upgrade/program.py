"""``aiops upgrade``: another LiteLLM, or another aiops, in the gateway that runs, without losing a request.

The new runtime is built and checked beside the one that serves. Then it is a change like any other: the master
becomes a program of the new runtime while its workers serve on, a candidate is proved, promoted, confirmed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import aiops
from aiops.actions.change import runtime
from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.instance.drift import drift
from aiops.actions.instance.held import agreed
from aiops.actions.upgrade.image import upgrade_image
from aiops.apply import audit
from aiops.apply.store import GenerationStore
from aiops.errors import AiopsError, Precondition
from aiops.gateway.shared.messages import Status
from aiops.host import master
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.supervise import requirements
from aiops.supervise.requirements import Source
from aiops.supervise.runtimes import Runtimes, our_code


@dataclass(frozen=True)
class Wanted:
    """``version`` None: the LiteLLM of this installation, and its aiops."""

    version: str | None
    source: Source
    reason: str = ""
    dry_run: bool = False
    assume_yes: bool = False


def upgrade(instance: Instance, wanted: Wanted, out: Output) -> Result:
    """Raises UsageError, Precondition, VerificationFailed before anything is touched; ChangeFailed after."""
    started = time.monotonic()
    if wanted.version is not None:
        requirements.require_acceptable(wanted.version)
    instance.require()
    status, current, supervisor = _running(instance)
    if supervisor == "container":
        intent = Intent("upgrade", wanted.reason, dry_run=wanted.dry_run, assume_yes=wanted.assume_yes)
        result = upgrade_image(instance, wanted.version, intent, status, out)
        result.seconds = time.monotonic() - started
        return result
    version = _version(wanted)
    result = Result("planned", None, current)
    if (status.litellm, status.code) == (version, our_code()):
        result.outcome, result.generation = "unchanged", current
        out.say(f"the gateway runs LiteLLM {version} and this aiops ({aiops.__version__}) already")
        return result
    for line in _lines(status, version):
        out.say(line)
    if wanted.dry_run:
        out.say("dry run: nothing was downloaded, nothing was changed")
        return result
    agreed(out, wanted.assume_yes)
    runtimes = Runtimes(instance.state)
    with runtimes.held():
        try:
            made = runtimes.build(version, wanted.source, out.say)
            out.say(f"checking {made.id}: importing LiteLLM there, answering one mocked request")
            runtimes.check(made)
        except AiopsError as error:
            audit.record(
                instance.audit_log, verb="upgrade", outcome="refused", error=error.message, exit=error.exit_code
            )
            raise
        intent = Intent("upgrade", wanted.reason, assume_yes=True, runtime=made.id)
        result = make(instance, intent, out)
        runtime.prune(instance, held=True)
    result.seconds = time.monotonic() - started
    return result


def _version(wanted: Wanted) -> str:
    version = wanted.version or requirements.installed_version()
    if version is None:
        raise Precondition("LiteLLM is not installed here, so there is no version to upgrade to", "name one")
    requirements.require_acceptable(version)
    return version


def _running(instance: Instance) -> tuple[Status, int, str]:
    """What runs now, which generation, under which supervisor.

    Raises Precondition when that is not what was committed: an upgrade changes one thing only.
    """
    generations = GenerationStore(instance.state)
    current, status = generations.current(), master.status(instance.run)
    if current is None or status is None:
        raise Precondition("the gateway is not running", f"`{instance.command} up` starts it")
    if status.state != "serving":
        raise Precondition(f"the gateway is {status.state}", f"`{instance.command} status` shows when it serves")
    if edited := drift(instance, generations, current):
        raise Precondition(
            f"an upgrade changes the runtime and nothing else, but {'; '.join(edited)}",
            f"`{instance.command} apply` first",
        )
    return status, current, generations.get(current).routes()[1].settings.supervisor


def _lines(status: Status, version: str) -> list[str]:
    before, after = status.version, aiops.__version__
    if before == after and status.code != our_code():
        before, after = f"{before} as it was started", f"{after} as it is now"
    lines = [f"LiteLLM {status.litellm} → {version}" if status.litellm != version else f"LiteLLM {version}"]
    return [*lines, f"aiops {before} → {after}" if before != after else f"aiops {after}"]
