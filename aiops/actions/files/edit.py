"""``aiops edit``: a source in the operator's editor, on a copy; then it is a change like any other.

What was typed is never lost: the copy stays until it is live, and every refusal says where it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.actions.change.make import make
from aiops.actions.change.prepare import Intent, prepare
from aiops.actions.change.result import Result
from aiops.actions.change.terms import Terms
from aiops.actions.instance.asking import Stopwatch
from aiops.actions.instance.held import agreed, tell
from aiops.actions.instance.snapshot import Snapshot
from aiops.apply.writes import put
from aiops.errors import AiopsError, Interrupted, InvalidState, Precondition, UsageError
from aiops.host import editor, files
from aiops.host.editor import Copy
from aiops.host.instance import MAX_SOURCE_BYTES, Instance
from aiops.output import Output
from aiops.spec.edit.edit import Edit
from aiops.spec.sources import FILES, PROVIDERS, Sources
from aiops.spec.suggest import did_you_mean, listed

NAMES = tuple(name.removesuffix(".yaml") for name in FILES)


@dataclass(frozen=True)
class Edited:
    """``result``: of the change; None when there was none to make, and ``sentence`` says why."""

    result: Result | None
    sentence: str = ""
    outcome: str = "unchanged"

    def to_json(self) -> dict[str, Any]:
        return self.result.to_json() if self.result is not None else {"outcome": self.outcome, "said": self.sentence}


@dataclass(frozen=True)
class _Session:
    """One source being edited. ``base``: what is in the file; None: there is no such file. ``begin``: the file whose
    content the editor began with instead, if any; ``start`` is that content.
    """

    instance: Instance
    name: str
    base: bytes | None
    begin: Path | None
    start: bytes
    copy: Copy
    terms: Terms
    out: Output

    @property
    def typed(self) -> bool:
        """Whether there is anything in the copy that is nowhere else."""
        return self.copy.is_there and self.copy.read() != self.start

    def change(self, content: bytes) -> Intent:
        return Intent.of("edit", self.terms, lambda sources: self._put_in(sources, content))

    def _put_in(self, sources: Sources, content: bytes) -> Edit:
        """Raises Precondition when somebody else changed the file while it was edited."""
        if sources.get(self.name) != self.base:
            raise Precondition(
                f"{self.name} was changed by somebody else while you edited it",
                f"`diff {self.instance.config / self.name} {self.copy.path}` shows both",
            )
        return Edit({**sources, self.name: content})

    def goes_on(self) -> str:
        """How to go on with what was typed, now or before; empty when nothing was."""
        kept = self.copy.path if self.typed else self.begin
        if kept is None:
            return ""
        source = self.name.removesuffix(".yaml")
        again = f"{self.instance.command} edit {source} --from {shlex.quote(str(kept.absolute()))}"
        return f"what you typed is kept: `{again}` goes on with it"


def edit(instance: Instance, source: str | None, begin: Path | None, terms: Terms, out: Output) -> Edited:
    """``source``: a file of the operator's, with or without ``.yaml``. ``begin``: what the editor shows instead of it.

    Raises UsageError, Precondition, InvalidState, and what ``make`` raises; what was typed is kept then.
    """
    name = _file(source or PROVIDERS)
    instance.require()
    with files.explained(instance.config / name, "read"):
        base = files.read(instance.config / name)
    start = _beginning(begin) if begin is not None else base or b""
    argv = editor.command()
    copies = instance.state / "edits"
    copy = Copy.of(copies, name, start)
    session = _Session(instance, name, base, begin, start, copy, terms, out)
    try:
        edited = _until_it_is_right(session, argv)
        done = edited.outcome != "planned"
    except BaseException:
        done = False
        raise
    finally:
        if done or not session.typed:
            copy.remove()
    if done and begin is not None and begin.absolute().parent.parent == copies:
        Copy(begin.absolute()).remove()
    return edited


def _until_it_is_right(session: _Session, argv: list[str]) -> Edited:
    """Edit, try, and edit again as long as somebody at a terminal wants to."""
    out = session.out
    while True:
        try:
            with _kept_when_refused(session):
                editor.edit(argv, session.copy, quiet=out.as_json)
                return _try(session, session.copy.read())
        except AiopsError as error:
            again = out.interactive and not session.terms.assume_yes and session.typed
            if not again or error.exit_code == Interrupted.exit_code:
                raise
            out.say(f"error: {error.message}")
            if error.hint:
                out.say(f"hint: {error.hint}")
            if not out.ask("Edit again?"):
                error.message, error.hint = "nothing was changed", session.goes_on()  # why was said above
                raise


@contextmanager
def _kept_when_refused(session: _Session) -> Iterator[None]:
    """Whatever goes wrong, it is said where the copy is."""
    try:
        yield
    except AiopsError as error:
        error.hint = "; ".join(filter(None, (error.hint, session.goes_on())))
        raise
    except KeyboardInterrupt:
        session.out.say(f"\n{session.goes_on()}".rstrip())
        raise


def _try(session: _Session, content: bytes) -> Edited:
    """What was typed, validated and made live."""
    instance, out, terms = session.instance, session.out, session.terms
    if content == (session.base or b""):
        return Edited(None, f"{session.name} is as it was; nothing was changed")
    if len(content) > MAX_SOURCE_BYTES:
        raise Precondition(f"more than {MAX_SOURCE_BYTES // 1024 // 1024} MiB were typed", "that is refused")
    intent = session.change(content)
    now = Snapshot.of(instance)
    try:
        now.load({**now.sources, session.name: content})  # what is wrong with it, whatever was wrong before
    except InvalidState as invalid:
        raise InvalidState(invalid.problems, "nothing was changed") from invalid
    if now.current is not None or now.master is not None:
        result = make(instance, intent, out)
        if result.outcome == "planned":
            out.say(session.goes_on())
        return Edited(result, outcome=result.outcome)
    if terms.dry_run:
        tell(prepare(now, intent), out)
        out.say(session.goes_on())
        return Edited(None, "dry run: nothing was changed", "planned")
    return _before_the_first(session, intent)


def _before_the_first(session: _Session, intent: Intent) -> Edited:
    """No gateway ever ran: there is nothing to prove it with, and nobody who would notice."""
    instance, path = session.instance, session.instance.config / session.name

    with (
        agreed(
            instance,
            "edit",
            session.out,
            lambda: prepare(Snapshot.of(instance), intent),
            assume_yes=session.terms.assume_yes,
            watch=Stopwatch(),
        ) as prepared,
        files.explained(path, "write"),
    ):
        put(path, prepared.after[session.name])
    return Edited(None, f"{path} is written; `{instance.command} up` makes it live", "applied")


def _file(source: str) -> str:
    """Raises UsageError with the nearest name."""
    name = source.removesuffix(".yaml")
    if name not in NAMES:
        raise UsageError(f"there is no source `{source}`", did_you_mean(name, NAMES, f"sources: {listed(NAMES)}"))
    return f"{name}.yaml"


def _beginning(path: Path) -> bytes:
    with files.explained(path, "read"):
        return path.read_bytes()
