"""``aiops keys import``: keys, teams, users, budgets and what was spent, out of LiteLLM's database."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from aiops.actions.change.administer import administer
from aiops.actions.change.terms import Terms
from aiops.actions.instance.database import engine
from aiops.errors import Precondition, UsageError
from aiops.host import files
from aiops.host.instance import Instance
from aiops.output import Output
from aiops.state.administration.journal import Actor
from aiops.state.takeover import address, words
from aiops.state.takeover.account import KINDS, Account
from aiops.state.takeover.address import Address
from aiops.state.takeover.reading import read
from aiops.state.takeover.translate import Translated, bounding, translate
from aiops.state.takeover.writing import write

_HOW = "write it into a file that only you can read: `--database-url-file FILE`, or `--database-url-env VARIABLE`"


@dataclass(frozen=True)
class Where:
    """How LiteLLM's database was named: one of the three."""

    url: str | None = None
    file: Path | None = None
    variable: str | None = None


@dataclass(frozen=True)
class TakenOver:
    """``refused``: words that were not said with ``--without``; then it was only planned."""

    account: Account
    outcome: str
    refused: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        yield from self.account.lines()
        if self.refused:
            yield f"nothing would be taken over without {_without(self.refused)}"
        elif self.outcome == "planned":
            yield "nothing was written: this was a plan"
        elif self.outcome == "unchanged":
            yield "no change: all of it was taken over before"
        else:
            yield "taken over: the keys work on the running gateway within a second"

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "refused": list(self.refused), **self.account.to_json()}


def take_over(instance: Instance, where: Where, without: Sequence[str], terms: Terms, out: Output) -> TakenOver:
    """Raises UsageError, Unreadable, and Precondition when something held keys back that aiops does not have."""
    _require_known(without)
    at = locate(where, out)
    with engine(instance) as database:  # first: without an instance nobody has to be asked
        translated = translate(read(at))
        refused = [word for word in bounding(translated.notes) if word not in without]
        if refused and not terms.dry_run:
            raise _held_back(translated, refused)

        def act(connection: Connection, by: Actor) -> Account:
            account = Account(translated, write(connection, translated, by))
            if any(account.sum(kind).open for kind in KINDS):
                raise RuntimeError("the sums of money on both sides are not the same")
            return account

        account = administer(database, act, _told, terms, out)
    outcome = "planned" if terms.dry_run else "unchanged" if account.written.nothing else "applied"
    return TakenOver(account, outcome, refused)


def locate(where: Where, out: Output) -> Address:
    """Raises UsageError, which never repeats the URL: a password is in it."""
    if sum(each is not None for each in (where.url, where.file, where.variable)) != 1:
        raise UsageError("say which database in one way: a URL without a password, a file, or a variable", _HOW)
    if where.url is not None:
        if address.has_password(where.url):
            raise UsageError(
                "a password on a command line is read by everybody on this machine, and stays in the shell's history;"
                " this one has to be changed",
                _HOW,
            )
        text, called = where.url, "the URL"
    elif where.file is not None:
        text, called = _of_file(where.file, out), str(where.file)
    else:
        assert where.variable is not None
        text, called = os.environ.get(where.variable, ""), f"${where.variable}"
        if not text:
            raise UsageError(f"the variable {where.variable} is not set", f"export {where.variable}, or: {_HOW}")
    try:
        return address.parse(text)
    except ValueError as error:
        raise UsageError(f"{called} is no address of a PostgreSQL database: {error}", _HOW) from None


def _of_file(path: Path, out: Output) -> str:
    with files.explained(path, "read"):
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            out.say(f"warning: {path} can be read by others: `chmod 600 {path}`")
        text = path.read_text(errors="replace").strip()
    if not text:
        raise UsageError(f"{path} is empty", "it has one line, postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return text


def _require_known(without: Sequence[str]) -> None:
    unknown = [word for word in without if word not in words.WORDS or not words.WORDS[word].bounds]
    if unknown:
        known = ", ".join(sorted(word for word, each in words.WORDS.items() if each.bounds))
        raise UsageError(f"--without knows no {', '.join(f'`{word}`' for word in unknown)}", f"it knows: {known}")


def _held_back(translated: Translated, refused: Sequence[str]) -> Precondition:
    lines = [f"{each.word.word}: {each}" for each in translated.notes if each.word.word in refused]
    shown = [*lines[:20], *([f"… and {len(lines) - 20:,} more"] if len(lines) > 20 else [])]
    return Precondition(
        "\n  ".join(("nothing was taken over: this holds somebody back there, and aiops has no equal for it", *shown)),
        f"`--dry-run` shows all there is; to let them do without: {_without(refused)}",
        data={"outcome": "refused", "refused": list(refused), "notes": lines},
    )


def _without(refused: Sequence[str]) -> str:
    return " ".join(f"--without {word}" for word in refused)


def _told(account: Account) -> list[str]:
    if account.written.nothing:
        return []
    added = {kind: count.added for kind, count in account.written.counts.items() if count.added}
    changed = sum(count.changed + count.spend + count.revoked for count in account.written.counts.values())
    parts = [f"{number:,} {kind}{'s' * (number != 1)}" for kind, number in added.items()]
    return [f"+ {', '.join(parts)}"] * bool(parts) + [f"~ {changed:,} that were taken over before"] * bool(changed)
