"""What workers and the accountant say to each other, as types: one JSON object a line, over a unix socket.

A worker asks with an ``id`` of its own and is answered with the same. What the accountant says unasked bears none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from aiops.gateway.shared import steady
from aiops.gateway.shared.messages import Message, Plain

SOCKET: Final = "accountant.sock"
LOCK: Final = "accountant.lock"  # in the state directory: its holder, whose process id it has, is the accountant
MODULE: Final = "aiops.gateway.accountant"
WELL: Final = steady.WELL


def holder(state: Path) -> int:
    """The process id of the accountant of this state directory, 0 when there is none: a file alone proves nothing."""
    try:
        pid = int((state / LOCK).read_text())
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if MODULE.encode() in line and str(state).encode() in line else 0


@dataclass(frozen=True)
class Said(Message):
    """``word``: what it is called on the wire."""

    word: ClassVar[str]

    def plain(self) -> dict[str, Any]:
        return {"say": self.word, **super().plain()}


# --- a worker asks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello(Said):
    """The first thing a worker says: who it is. It is answered with ``Welcome``."""

    word: ClassVar[str] = "hello"
    worker: int
    generation: int
    url: str = ""


@dataclass(frozen=True)
class LookUp(Said):
    """Whose key has this hash? Answered with ``Known``."""

    word: ClassVar[str] = "identity"
    hash: str


@dataclass(frozen=True)
class Unseeded(Message):
    """A money counter that is to be told what the ledger says: its name; of which account (``kind``: key, team, user,
    member; ``account``: its id), and of which model alone; from ``begins``, the later one of when its window began and
    when its base was set, until before ``ends``, seconds since 1970. ``base``: nano-dollars to begin with. ``mark``:
    what rows of the ledger call the counter that they are settled in."""

    name: str
    kind: str
    account: str
    begins: float
    ends: int | None = None
    model: str | None = None
    base: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Seed(Said):
    """``epoch``: of the counters that asked for it; empty: of those that decide where this is read. Answered with
    ``Done`` when all of them are there, or when these counters are others by now."""

    word: ClassVar[str] = "seed"
    counters: tuple[Unseeded, ...] = field(default=(), metadata={"of": Unseeded, "many": True})
    epoch: str = ""


@dataclass(frozen=True)
class Manage(Said):
    """A request to the management API. ``who``: the key's id, empty for the master key; ``changed_by``: what the
    ``litellm-changed-by`` header says. Answered with ``Managed``."""

    word: ClassVar[str] = "manage"
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    who: str = ""
    from_where: str = ""
    changed_by: str | None = None


@dataclass(frozen=True)
class Ingest(Said):
    """Write what is in the spools now. Answered with ``Done``."""

    word: ClassVar[str] = "ingest"


@dataclass(frozen=True)
class Applied(Said):
    """A worker has forgotten what ``Changed`` of this number named. Not answered."""

    word: ClassVar[str] = "applied"
    seq: int


@dataclass(frozen=True)
class Seen(Said):
    """All that a worker has seen of its providers itself, see ``sightings``. Not answered; whoever has said it is told
    ``Elsewhere``. Only to be said to an accountant whose ``Welcome`` says that it shares."""

    word: ClassVar[str] = "seen"
    sightings: Mapping[str, Any]


@dataclass(frozen=True)
class First(Message):
    """The first request of those of ``key``, its id, that have this ``Idempotency-Key``; ``request``: its own id."""

    key: str
    idempotency_key: str
    request: str


@dataclass(frozen=True)
class Begin(Said):
    """Is this the first request of ``key`` with this ``Idempotency-Key``? Then it is, for ``seconds``. ``fingerprint``:
    of what it asks. Answered with ``Begun``."""

    word: ClassVar[str] = "begin"
    key: str
    idempotency_key: str
    request: str
    fingerprint: str
    seconds: float


@dataclass(frozen=True)
class Finish(Said):
    """It was answered: keep that for ``seconds``. ``answer`` None: it is too large. Answered with ``Done``."""

    word: ClassVar[str] = "finish"
    key: str
    idempotency_key: str
    request: str
    status: int
    seconds: float
    answer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Abandon(Said):
    """It failed: the next one is the first. Answered with ``Done``."""

    word: ClassVar[str] = "abandon"
    first: First = field(metadata={"of": First})


@dataclass(frozen=True)
class Renew(Said):
    """These still run, and are known for another ``seconds``. Answered with ``Done``."""

    word: ClassVar[str] = "renew"
    seconds: float
    firsts: tuple[First, ...] = field(default=(), metadata={"of": First, "many": True})


@dataclass(frozen=True)
class Scrape(Said):
    """What is counted, for ``/metrics``. Answered with ``Scraped``. An accountant that does not say ``Store`` each
    second does not know this."""

    word: ClassVar[str] = "scrape"


Question = Hello | LookUp | Seed | Manage | Ingest | Applied | Seen | Begin | Finish | Abandon | Renew | Scrape


# --- the accountant says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Welcome(Said):
    """``seq``: of the last change there is; None while the database does not say. ``shares``: what workers have seen,
    with others."""

    word: ClassVar[str] = "welcome"
    replica: str
    seq: int | None = None
    shares: bool = False


@dataclass(frozen=True)
class Known(Said):
    """``identity`` None: nobody's. ``seq``: of the last change that it contains."""

    word: ClassVar[str] = "known"
    identity: Mapping[str, Any] | None = None
    seq: int = 0


@dataclass(frozen=True)
class Done(Said):
    word: ClassVar[str] = "done"


@dataclass(frozen=True)
class Managed(Said):
    """HTTP status and JSON."""

    word: ClassVar[str] = "managed"
    status: int
    body: Any = None


@dataclass(frozen=True)
class Begun(Said):
    """``request``: the id of the first one, empty when it is the one that was asked about. ``status`` None: it still
    runs. ``answer`` None although it has a status: that was too large."""

    word: ClassVar[str] = "begun"
    request: str = ""
    fingerprint: str = ""
    status: int | None = None
    answer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Scraped(Said):
    word: ClassVar[str] = "scraped"
    text: str


@dataclass(frozen=True)
class Failed(Said):
    """It cannot be done now; for whoever runs the gateway, with what to type."""

    word: ClassVar[str] = "failed"
    error: str


@dataclass(frozen=True)
class Changed(Said):
    """Unasked: forget these hashes; None: everything."""

    word: ClassVar[str] = "changed"
    seq: int
    hashes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Condition(Message):
    """As ``steady.Condition`` has it."""

    state: str = steady.UNKNOWN
    since: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Store(Said):
    """Unasked, with each change and each second: how the database is. ``state``: WELL, lost, unknown, behind, ahead;
    ``said``: what is wrong, and what to type. ``counters``: the same of them. ``every``: seconds until it is said again
    at the latest; 0: an older accountant, that says changes only."""

    word: ClassVar[str] = "store"
    state: str
    said: str = ""
    since: float = 0.0
    counters: Condition | None = field(default=None, metadata={"of": Condition})
    every: float = 0.0


@dataclass(frozen=True)
class Elsewhere(Said):
    """Unasked: all that workers and gateways have seen, the one that hears it included."""

    word: ClassVar[str] = "elsewhere"
    sightings: Mapping[str, Any]


Answer = Welcome | Known | Done | Managed | Begun | Scraped | Failed
Push = Changed | Store | Elsewhere

_WORDS: Mapping[str, type[Question | Answer | Push]] = {
    each.word: each
    for each in (
        Hello, LookUp, Seed, Manage, Ingest, Applied, Seen, Begin, Finish, Abandon, Renew, Scrape,
        Welcome, Known, Done, Managed, Begun, Scraped, Failed, Changed, Store, Elsewhere,
    )
}  # fmt: skip


def said(data: Plain) -> Question | Answer | Push:
    """Raises ValueError for what is not known, or not whole."""
    kind = _WORDS.get(str(data.get("say")))
    if kind is None:
        raise ValueError(f"unknown message {data.get('say')!r}")
    return kind.of(data)
