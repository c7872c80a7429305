"""``aiops upgrade`` of a gateway in a container: the image that its name stands for now, without losing a request."""

from __future__ import annotations

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent
from aiops.actions.change.result import Result
from aiops.actions.instance.asking import Stopwatch, ask, asks, require_same
from aiops.actions.instance.containers import containers_of
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import UsageError
from aiops.host import engines
from aiops.output import Output
from aiops.supervise import requirements


def upgrade_image(now: Snapshot, version: str | None, intent: Intent, out: Output, watch: Stopwatch) -> Result:
    """Like ``upgrade``. Raises UsageError, Precondition before anything is touched; ChangeFailed after."""
    instance, status = now.instance, now.master or {}
    if version is not None:
        raise UsageError(
            "the gateway runs in a container, whose image says which LiteLLM it is",
            f"build an image with LiteLLM {version} (units/Containerfile), then `{instance.command} upgrade`",
        )
    containers = containers_of(instance)
    image = containers.wanted_image()
    runtime = engines.runtime_of(image)
    result = Result("planned", None, now.current)
    if status["runtime"] == runtime:
        result.outcome, result.generation = "unchanged", now.current
        out.say(f"the gateway runs in {runtime} (LiteLLM {status['litellm']}) already")
        return result
    litellm, ours = containers.versions(image)
    requirements.require_acceptable(litellm)
    out.say(f"image {status['runtime']} → {runtime}: LiteLLM {status['litellm']} → {litellm}, aiops {ours}")
    if intent.dry_run:
        out.say("dry run: nothing was changed")
        return result
    if asks(out, intent.assume_yes):
        ask(out, watch)
        require_same(runtime, engines.runtime_of(containers.wanted_image()))
    return make(instance, Intent("upgrade", intent.reason, assume_yes=True, runtime=runtime), out)
