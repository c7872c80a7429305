"""Somebody with a key, who asks each replica at its own address, and keeps count of what was let in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

from aiops.host import http
from aiops.verify.client import reason
from aiops.verify.side_by_side import side_by_side

# A budget reserves a token for each character, so that no template around it can cost more than was reserved.
WORDS = (
    "This is a check of limits, budgets and accounting: the answer is thrown away. Say ok, and nothing more than that."
)
CHARACTERS = len(WORDS)
# An answer out of the response cache costs nothing and is counted by nobody who is asked.
ANEW = {"cache-control": "no-cache, no-store"}


@dataclass(frozen=True)
class Replica:
    """``id``: in the database. ``url``: where this one alone is reached. ``workers``: how many it has said."""

    id: str
    name: str
    url: str
    workers: int = 1


@dataclass(frozen=True)
class Reply:
    """``status`` 0: there was none, ``said`` is why. ``limit``: which one was full, in LiteLLM's words; ``wait``:
    seconds of ``Retry-After``; ``final``: asking again makes no sense. ``began``, ``ended``: by ``time.monotonic``."""

    replica: Replica
    status: int
    began: float
    ended: float
    said: str = ""
    limit: str = ""
    wait: float | None = None
    final: bool = False

    @property
    def answered(self) -> bool:
        return self.status == 200

    @property
    def may_be_in(self) -> bool:
        """Whether a model may have been asked, without an answer: only the ledger knows."""
        return not self.answered and not self.limit and self.status not in (401, 403)

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.said}" if self.status else f"no answer: {self.said}"


@dataclass
class Tenant:
    """``id``: of its key, which is ``shown`` nowhere else. ``answered``: requests by the id of the replica;
    ``unclear``: requests of which only the ledger can tell whether they were let in. ``slowest``: seconds of an
    answer."""

    id: str
    alias: str
    shown: str = field(repr=False)
    model: str
    timeout: float
    answered: Counter[str] = field(default_factory=Counter)
    unclear: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def ask(self, replica: Replica) -> Reply:
        """A tiny request to a model, on a connection of its own: whichever worker takes it answers."""
        body = {"model": self.model, "messages": [{"role": "user", "content": WORDS}], "max_tokens": 1}
        reply = self._send(replica, "POST", "/v1/chat/completions", body)
        with self._lock:
            if reply.answered:
                self.answered[replica.id] += 1
                self.slowest = max(self.slowest, reply.ended - reply.began)
            elif reply.may_be_in:
                self.unclear[replica.id] += 1
        return reply

    def look(self, replica: Replica) -> Reply:
        """What may be asked for: it is counted by nobody, and refused to a key that may not."""
        return self._send(replica, "GET", "/v1/models")

    def served(self, replica: Replica) -> frozenset[str] | None:
        """The names that it lists for this key; None when it lists none."""
        headers = {"authorization": f"Bearer {self.shown}"}
        with suppress(http.NoAnswer, ValueError, KeyError, TypeError):
            answer = http.send("GET", f"{replica.url}/v1/models", timeout=self.timeout, headers=headers)
            if answer.status_code == 200:
                return frozenset(str(item["id"]) for item in answer.json()["data"])
        return None

    def burst(self, replicas: Sequence[Replica], many: int, at_once: int) -> list[Reply]:
        """``many`` requests, to all of them in turn."""
        return list(side_by_side(lambda n: self.ask(replicas[n % len(replicas)]), range(many), at_once))

    def _send(self, replica: Replica, method: str, path: str, body: object = None) -> Reply:
        began = time.monotonic()
        try:
            headers = {"authorization": f"Bearer {self.shown}", **ANEW}
            answer = http.send(method, replica.url + path, timeout=self.timeout, headers=headers, body=body)
        except http.NoAnswer as error:
            return Reply(replica, 0, began, time.monotonic(), str(error))
        said = "" if answer.status_code == 200 else reason(answer.text)
        named = answer.headers
        return Reply(
            replica, answer.status_code, began, time.monotonic(), said,
            limit=named.get("rate_limit_type", ""), wait=_seconds(named), final=named.get("x-should-retry") == "false",
        )  # fmt: skip


def _seconds(headers: Mapping[str, str]) -> float | None:
    with suppress(KeyError, ValueError):
        return float(headers["retry-after"])
    return None
