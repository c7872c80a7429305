"""What the master is asked and what it answers, as types. On the wire each is one JSON object, see ``protocol``.

The two ends may be of different versions: keys that are not known are ignored, keys that are missing have a default,
and nothing that was ever sent is called otherwise. ``tests/unit/gateway/messages`` holds what was sent when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

from aiops.gateway.shared.protocol import SERVING

Plain = Mapping[str, Any]

_SIMPLE: Mapping[object, type] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Message:
    """A field's metadata: ``key``, what it is called on the wire; ``of``, the message it holds; ``many``, a list.

    One without fields of its own is no dataclass of its own: making one takes half a millisecond of every verb.
    """

    @classmethod
    def of(cls, data: Plain) -> Self:
        """Raises ValueError when what it cannot do without is missing, or is no number where one is needed."""
        found: dict[str, Any] = {}
        for each in fields(cls):
            key = each.metadata.get("key", each.name)
            if key in data:
                found[each.name] = _read(each.metadata, each.type, data[key])
            elif each.default is MISSING and each.default_factory is MISSING:
                raise ValueError(f"`{key}` is missing")
        return cls(**found)

    def plain(self) -> dict[str, Any]:
        """What goes over the wire."""
        return {each.metadata.get("key", each.name): _plain(getattr(self, each.name)) for each in fields(self)}


def _read(metadata: Mapping[str, Any], kind: object, value: Any) -> Any:
    inner: type[Message] | None = metadata.get("of")
    if inner is not None and metadata.get("many"):
        return tuple(inner.of(item) for item in value)
    if inner is not None:
        return inner.of(value) if value is not None else None
    convert = _SIMPLE.get(kind)
    try:
        return convert(value) if convert is not None else tuple(value) if isinstance(value, list) else value
    except TypeError as error:
        raise ValueError(f"{value!r} is no {kind}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return value.plain()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


# --- answers ----------------------------------------------------------------------------------------------------------


class Answer(Message):
    """It was done; those that say more are below."""

    def plain(self) -> dict[str, Any]:
        return {"ok": True, **super().plain()}


@dataclass(frozen=True)
class Refusal(Message):
    error: str = "the gateway refused"

    def plain(self) -> dict[str, Any]:
        return {"ok": False, **super().plain()}


@dataclass(frozen=True)
class Progress(Message):
    """How far staging is; comes before its answer, twice a second. Seconds, and workers that are ready of all.
    ``loads``: LiteLLM is loaded first, which the seconds are about then."""

    elapsed: float = 0.0
    estimate: float = 0.0
    ready: int = 0
    workers: int = 0
    loads: bool = False

    def plain(self) -> dict[str, Any]:
        return {"event": "progress", **super().plain()}


@dataclass(frozen=True)
class Worker(Message):
    """``http``: its private socket. ``role`` is one of ``protocol``'s, or `starting`."""

    pid: int
    http: str = ""
    role: str = ""


@dataclass(frozen=True)
class Phase(Answer):
    """The change has come to this phase."""

    phase: str = ""


@dataclass(frozen=True)
class Staged(Phase):
    """The candidate is ready, after so many seconds."""

    seconds: float = 0.0
    workers: tuple[Worker, ...] = field(default=(), metadata={"of": Worker, "many": True})


@dataclass(frozen=True)
class Retried(Answer):
    """``failures``: how often the committed generation did not start so far."""

    failures: int = 0


@dataclass(frozen=True)
class Group(Message):
    """All workers of a generation, as they are, and how many they should be.

    ``overdue``: seconds since the last of a draining generation should have left. ``light``: they have no LiteLLM, and
    answer directly.
    """

    generation: int
    role: str = ""
    models: int = 0
    workers: tuple[Worker, ...] = field(default=(), metadata={"of": Worker, "many": True})
    wanted: int = 0
    crashes: int = 0
    crash_loop: bool = False
    last_failure: str = ""
    overdue: float = 0.0
    light: bool = False


@dataclass(frozen=True)
class Accountant(Message):
    """The process that keeps the accounts. ``pid`` None: it does not run now, and ``failure`` says why it ended."""

    pid: int | None = None
    restarts: int = 0
    failure: str = ""


@dataclass(frozen=True)
class Change(Message):
    """The change that is going on."""

    generation: int
    phase: str = ""


@dataclass(frozen=True)
class Reverted(Message):
    """Why the last change was taken back; ``boot``: why the committed generation does not start, ``failures`` times."""

    reason: str = ""
    generation: int | None = None
    boot: bool = False
    failures: int = 0


@dataclass(frozen=True)
class Handed(Message):
    """This program was handed the gateway by ``python``. ``error``: why the one in between handed it back."""

    token: str = ""
    python: str = field(default="", metadata={"key": "from"})
    error: str = ""


BUSY = "busy"  # said by whoever asked: the master did not answer


@dataclass(frozen=True)
class Status(Answer):
    """What runs. ``state``: idle, serving, stopping, or BUSY, and then nothing else is known. Uptime in seconds.

    ``runtime`` None is the installation itself; ``on_approval``: this program hands back by itself unless a change
    is confirmed; ``orphans``: workers of a master that died. ``accountant`` None: of a master that
    knows of none. ``loads``: light workers serve, and full ones are on their way; ``without``: why LiteLLM could not be
    imported, the last time that was tried.
    """

    state: str = BUSY
    pid: int | None = None
    version: str = ""
    litellm: str | None = None
    runtime: str | None = None
    python: str = ""
    container: str | None = None
    code: str = ""
    on_approval: bool = False
    handover: Handed | None = field(default=None, metadata={"of": Handed})
    uptime: float = 0.0
    generation: int | None = None
    change: Change | None = field(default=None, metadata={"of": Change})
    groups: tuple[Group, ...] = field(default=(), metadata={"of": Group, "many": True})
    orphans: tuple[int, ...] = ()
    last_revert: Reverted | None = field(default=None, metadata={"of": Reverted})
    accountant: Accountant | None = field(default=None, metadata={"of": Accountant})
    loads: bool = False
    without: str = ""

    @property
    def serving(self) -> tuple[Worker, ...]:
        """The workers of the generation that serves."""
        return tuple(worker for group in self.groups if group.role == SERVING for worker in group.workers)

    @property
    def tells_runtime(self) -> bool:
        """False of a master that did not answer, and of one from before there were runtimes."""
        return bool(self.python)


# --- requests ---------------------------------------------------------------------------------------------------------

A = TypeVar("A", bound=Answer)


class Request(Message, Generic[A]):
    """What it is answered with is its type."""

    command: ClassVar[str]
    answers: ClassVar[type[Answer]] = Answer

    def plain(self) -> dict[str, Any]:
        """An older master takes what is there for meant: what is None is not sent."""
        said = {key: value for key, value in super().plain().items() if value is not None}
        return {"command": self.command, **said}


class Look(Request[Status]):
    command: ClassVar[str] = "status"
    answers: ClassVar[type[Answer]] = Status


@dataclass(frozen=True)
class Stage(Request[Staged]):
    """Fork workers for the generation in ``directory``. ``verb`` and ``provider`` are for the journal."""

    command: ClassVar[str] = "stage"
    answers: ClassVar[type[Answer]] = Staged
    directory: str
    verb: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class Promote(Request[Phase]):
    """Let the candidate serve; it is taken back unless confirmed within so many seconds."""

    command: ClassVar[str] = "promote"
    answers: ClassVar[type[Answer]] = Phase
    confirm_within: float


class Confirm(Request[Phase]):
    command: ClassVar[str] = "confirm"
    answers: ClassVar[type[Answer]] = Phase


@dataclass(frozen=True)
class Revert(Request[Phase]):
    """Take back what was promoted."""

    command: ClassVar[str] = "revert"
    answers: ClassVar[type[Answer]] = Phase
    reason: str = "asked to"


@dataclass(frozen=True)
class Abort(Request[Phase]):
    """Drop what was staged."""

    command: ClassVar[str] = "abort"
    answers: ClassVar[type[Answer]] = Phase
    reason: str = "asked to"


class Retry(Request[Retried]):
    """Try the committed generation again now."""

    command: ClassVar[str] = "retry"
    answers: ClassVar[type[Answer]] = Retried


@dataclass(frozen=True)
class Stop(Request[Answer]):
    """Let requests finish for ``limit`` seconds, then end; None: as long as the generations say."""

    command: ClassVar[str] = "stop"
    limit: float | None = None


@dataclass(frozen=True)
class Leave(Request[Answer]):
    """End without the workers, for the next master; ``for_good``: there is one already."""

    command: ClassVar[str] = "leave"
    for_good: bool = False


@dataclass(frozen=True)
class Become(Request[Answer]):
    """Become a program of the interpreter ``python``, on approval for ``hold`` seconds; 0: for good."""

    command: ClassVar[str] = "become"
    python: str
    token: str
    hold: float


@dataclass(frozen=True)
class Succeed(Request[Answer]):
    """Make way for the master that asks; it has a container of its own."""

    command: ClassVar[str] = "succeed"
    token: str
    hold: float
    container: str | None = None


class Back(Request[Answer]):
    """Give everything back to the master before."""

    command: ClassVar[str] = "back"


Step = Promote | Confirm | Revert | Abort  # of a change that was staged
Handover = Become | Succeed | Back
AnyRequest = Look | Stage | Retry | Stop | Leave | Step | Handover
COMMANDS: Mapping[str, type[AnyRequest]] = {
    each.command: each
    for each in (Look, Stage, Promote, Confirm, Revert, Abort, Retry, Stop, Leave, Become, Succeed, Back)
}


def request(data: Plain) -> AnyRequest:
    """What is asked. Raises ValueError when it is not known, or not whole."""
    command = data.get("command")
    kind = COMMANDS.get(str(command))
    if kind is None:
        raise ValueError(f"unknown command {command!r}")
    return kind.of(data)
