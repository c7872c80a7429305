"""The first generation: made by `aiops up`, which gets people going with what answers and says what does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent, Lenient
from aiops.actions.change.proofs import SILENT
from aiops.actions.change.result import ChangeFailed
from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import Interrupted, Precondition, VerificationFailed
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.spec.shapes.secrets import EnvRef, FileRef, key_variable, secret_env
from aiops.spec.sources import PROVIDERS
from aiops.supervise.contract import Supervisor
from aiops.verify.check import MORE_TIME

STOP_SECONDS = 5.0  # nobody was served yet


def require_secrets(now: Snapshot) -> None:
    """What the first generation would miss, said before anything is started. Raises Precondition with all of it."""
    state, missing, hints = now.desired, [], []
    lines = {key_variable(each): state.line(PROVIDERS, ("providers", each.name)) for each in state.providers.values()}
    for variable, source in secret_env(state).items():
        where = f"{PROVIDERS}:{lines[variable]}: " if lines.get(variable) else ""
        if isinstance(source, EnvRef) and not now.environment.get(source.name):
            missing.append(f"{where}the environment variable {source.name} is not set")
            hints.append(f"`export {source.name}=…` in this shell, or put {source.name}=… into {now.instance.env_file}")
        elif isinstance(source, FileRef) and not (path := now.instance.key_file(source.path)).is_file():
            missing.append(f"{where}there is no key file {path}")
            hints.append(f"`install -m 600 YOUR_KEY {path}`")
    if missing:
        raise Precondition("\n".join(missing), "; ".join(hints))


def make_first(instance: Instance, supervisor: Supervisor, lenient: Lenient, out: Output) -> int | None:
    """The number of the first generation. Raises what ``make`` raises; nothing runs then any more."""
    intent = Intent("up", "the first generation", assume_yes=True, lenient=lenient, force=lenient == "all")
    try:
        return make(instance, intent, out).generation
    except BaseException as error:
        # Without a generation it would take connections and answer none.
        with out.progress("stopping the gateway") as bar:
            supervisor.stop(STOP_SECONDS, bar.update)
        if isinstance(error, ChangeFailed) and error.exit_code == VerificationFailed.exit_code:
            error.hint = _way_out(instance, error, lenient)
        raise


@contextmanager
def undone_when_interrupted(now: Snapshot, supervisor: Supervisor, out: Output) -> Iterator[None]:
    """Of a start: what nobody was served by stops again, what was committed goes on. Raises Interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        run = now.instance.command
        if now.master is not None:
            raise
        if now.current is None:
            with out.progress("stopping the gateway") as bar:
                supervisor.stop(STOP_SECONDS, bar.update)
        elif Snapshot(now.instance).master is not None:
            raise Interrupted(
                "interrupted; the gateway goes on starting",
                f"`{run} status` shows when it serves, `{run} down` stops it",
            ) from None
        raise Interrupted("interrupted; nothing runs", f"`{run} up` begins anew") from None


def _way_out(instance: Instance, failed: ChangeFailed, lenient: Lenient) -> str:
    """What to type next: each of these commands works now."""
    wrong = [check for check in failed.result.checks if check.status == "fail" and check.about is not None]
    names = list(dict.fromkeys(check.about.provider for check in wrong if check.about is not None))
    if not names:
        return failed.hint
    run = instance.command
    ways = [f"`{run} disable {quote(name)}` takes {name} out" for name in names]
    if lenient == "nothing" and all(check.cause in SILENT for check in wrong):
        ways.append(f"`{run} up` serves what does not answer all the same")
    else:
        ways.append(f"`{run} up --force` serves what is wrong all the same")
    slow = [MORE_TIME] if any(check.cause == "slow" for check in wrong) else []
    return "; ".join([*ways, *slow])
