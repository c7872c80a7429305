"""What was taken over, into our tables: all of it or nothing, and a second time only what changed there since.

Of each row it is remembered what it was there (``imported``). One that was changed here, too, stays as it is here. What
was spent there replaces what was known of it before, and what aiops counted itself is put to it, so that nothing counts
twice: a budget that begins anew under another epoch starts from both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, case, delete, select

from aiops.state import windows
from aiops.state.administration import keys as administration
from aiops.state.administration.journal import Actor, identity
from aiops.state.shapes import Kind
from aiops.state.store import audit, changes, clock, keys, rows, tables, usage, writing
from aiops.state.takeover import words as w
from aiops.state.takeover.translate import Taken, Translated

VERB = "keys import"
_BATCH = 500  # SQLite takes 999 parameters at least
_COUNTERS = {"base_spend", "base_at", "base_windows", "epoch"}
_BOOKKEEPING = {"created_at", "created_by", "updated_at", "updated_by", "version", "id"}
_OURS = {"shadow", "weight", "admin", "revoked_at"}
"""What LiteLLM does not know, and an import so leaves as it is."""
TABLES: Mapping[str, Table] = {
    "budget": tables.budgets,
    "user": tables.users,
    "team": tables.teams,
    "member": tables.team_members,
    "key": tables.keys,
}
_ROWS: Mapping[str, type[rows.Limited]] = {
    "budget": rows.Budget, "user": rows.User, "team": rows.Team, "member": rows.Member, "key": rows.Key,
}  # fmt: skip

T = TypeVar("T")


@dataclass
class Count:
    """Rows of one kind. ``kept``: as they were here, though there is another one there. ``spend``: of those that were
    here already, only what was spent is new."""

    added: int = 0
    changed: int = 0
    spend: int = 0
    same: int = 0
    kept: int = 0
    revoked: int = 0


@dataclass
class Written:
    counts: dict[str, Count] = field(default_factory=lambda: {kind: Count() for kind in TABLES})
    hashes: int = 0
    notes: list[w.Note] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=dict)
    """By kind: nano-dollars that LiteLLM had counted, as they stand in our tables."""

    @property
    def nothing(self) -> bool:
        parts = self.counts.values()
        return not self.hashes and not any(each.added + each.changed + each.spend + each.revoked for each in parts)


@dataclass(frozen=True)
class _Known:
    ours: str
    source: str
    digest: str
    spent: int
    version: int


def write(connection: Connection, translated: Translated, by: Actor) -> Written:
    """In the caller's transaction. Raises RuntimeError when what stands there afterwards is not what was read."""
    written = Written()
    known = {
        (row.kind, row.theirs): _Known(row.ours, row.source, row.digest, row.spent, row.version)
        for row in connection.execute(select(tables.imported))
    }
    work = _Work(connection, translated, by, written, known, clock.read(connection))
    work.revoke_gone()
    for kind in TABLES:
        work.write(kind, [each for each in translated.taken if each.kind == kind])
    _check(connection, translated, written)
    if not written.nothing:
        after = {
            "counts": {kind: {**vars(count)} for kind, count in written.counts.items()},
            "nano_dollars": written.spent,
            "hashes": written.hashes,
        }
        told = {**after, "reason": by.reason} if by.reason else after
        act = audit.Act(
            who=by.who, from_where=by.source, verb=VERB, kind="litellm", object=translated.source, after=told
        )
        audit.add(connection, act)
    return written


@dataclass
class _Work:
    connection: Connection
    translated: Translated
    by: Actor
    written: Written
    known: dict[tuple[str, str], _Known]
    now: int
    noted: bool = False

    def note(self) -> None:
        """Before the first row is touched; a run that finds everything as it was leaves no change."""
        if not self.noted:
            changes.note(self.connection, "all", "")
            self.noted = True

    def revoke_gone(self) -> None:
        """Keys that were deleted there since. One that was replaced there is not: its hash is one of another's."""
        replaced = {valid.hash for each in self.translated.taken for valid in each.hashes}
        gone = [
            each.ours
            for (kind, theirs), each in self.known.items()
            if kind == "key"
            and each.source == self.translated.source
            and (kind, theirs) not in self.translated.present
            and theirs not in replaced
        ]
        for row in self._rows("key", gone).values():
            assert isinstance(row, rows.Key)
            if row.revoked_at is None:
                self.note()
                administration.revoke(self.connection, row, self.by)
                self.written.counts["key"].revoked += 1

    def write(self, kind: str, taken: Sequence[Taken]) -> None:
        before = {each.theirs: known for each in taken if (known := self._before(each)) is not None}
        new = [each for each in taken if each.theirs not in before]
        here = self._here_already(kind, new)
        for each in new:
            if each.theirs in here:
                self.written.notes.append(w.Note(w.HERE_ALREADY, kind, each.name))
                self.written.counts[kind].kept += 1
        self._add(kind, [each for each in new if each.theirs not in here])
        current = self._rows(kind, [each.ours for each in before.values()])
        for each in taken:
            known = before.get(each.theirs)
            if known is not None and known.ours in current:
                self._update(each, known, current[known.ours])

    def _before(self, taken: Taken) -> _Known | None:
        """What is remembered of it. A key that was rotated there since is known by what it was."""
        names = [taken.theirs, *(each.hash for each in taken.hashes)]
        return next((self.known[taken.kind, name] for name in names if (taken.kind, name) in self.known), None)

    def _here_already(self, kind: str, new: Sequence[Taken]) -> set[str]:
        if kind == "key":
            by_hash = {valid.hash: each.theirs for each in new for valid in each.hashes}
            return {by_hash[hash] for hash in self._existing(tables.key_hashes.c.hash, by_hash)}
        wanted = {identity(each.row): each.theirs for each in new}
        return {wanted[id] for id in self._rows(kind, list(wanted))}

    def _add(self, kind: str, new: Sequence[Taken]) -> None:
        if not new:
            return
        self.note()
        at = self.now
        made = [
            replace(each.row, created_at=each.row.created_at or at, updated_at=each.row.updated_at or at)
            for each in new
        ]
        if kind == "key":
            made = self._with_free_aliases(new, made)
            hashes = [
                keys.Hash(valid.hash, identity(row), valid.expires_at)
                for each, row in zip(new, made, strict=True)
                for valid in each.hashes
            ]
            keys.add_many(self.connection, [row for row in made if isinstance(row, rows.Key)], hashes)
            self.written.hashes += len(hashes)
        else:
            writing.add_many(self.connection, TABLES[kind], made)
        self.written.counts[kind].added += len(made)
        for each, row in zip(new, made, strict=True):
            self._remember(each, identity(row), _digest(each.row), each.spent.counts, 1)

    def _update(self, taken: Taken, known: _Known, row: rows.Limited) -> None:
        count = self.written.counts[taken.kind]
        digest, touched = _digest(taken.row), row.version != known.version
        settings: dict[str, Any] = {}
        if digest != known.digest and touched:
            self.written.notes.append(w.Note(w.CHANGED_HERE, taken.kind, taken.name))
            count.kept += 1
            digest = known.digest
        elif digest != known.digest:
            theirs = taken.row
            if isinstance(theirs, rows.Key) and isinstance(row, rows.Key) and theirs.alias != row.alias:
                theirs = self._with_free_aliases([taken], [theirs])[0]
            kept = _COUNTERS | _BOOKKEEPING | _OURS
            settings = {name: getattr(theirs, name) for name in vars(theirs) if name not in kept}
            count.changed += 1
        spent = self._spent(taken, known, row) if isinstance(row, rows.Counted) else {}
        if spent and not settings:
            count.spend += 1
        if settings or spent:
            self.note()
            row = writing.replace(
                self.connection, TABLES[taken.kind], replace(row, **settings, **spent, updated_by=self.by.who)
            )
        elif digest == known.digest and known.spent == taken.spent.counts:
            count.same += 1
        added = self._hashes(taken, known.ours)
        self.written.hashes += added
        version = known.version if touched else row.version
        self._remember(taken, known.ours, digest, taken.spent.counts, version)

    def _spent(self, taken: Taken, known: _Known, row: rows.Counted) -> dict[str, Any]:
        """A base that has both: what LiteLLM counted in this window, and what aiops did."""
        if taken.spent.counts == known.spent:
            return {}
        duration = row.budget_duration
        if duration is None and row.budget_id is not None:
            duration = self.connection.scalar(
                select(tables.budgets.c.budget_duration).where(tables.budgets.c.id == row.budget_id)
            )
        begins = windows.window(duration, self.now / clock.SECOND).begins
        if not taken.spent.counts and row.base_at < begins * clock.SECOND:
            return {}  # of a window that is over here, too
        theirs = taken.row.base_windows if isinstance(taken.row, rows.Counted) else None
        return {
            "base_spend": taken.spent.counts + self._own(taken, row, duration),
            "base_windows": {
                each: amount + self._own(taken, row, None if each == "ever" else each)
                for each, amount in theirs.items()
            }
            if theirs
            else None,
            "base_at": self.now,
            "epoch": row.epoch + 1,
        }

    def _own(self, taken: Taken, row: rows.Limited, duration: str | None) -> int:
        """What aiops counted itself in the window that is now."""
        begins = windows.window(duration, self.now / clock.SECOND).begins
        kind: Kind = taken.kind  # type: ignore[assignment]
        return usage.spent(self.connection, kind, identity(row), begins, None)

    def _hashes(self, taken: Taken, ours: str) -> int:
        if taken.kind != "key":
            return 0
        there = {each.hash: each for each in keys.hashes(self.connection, [ours])}
        added = 0
        for valid in taken.hashes:
            if valid.hash not in there:
                keys.add_hash(self.connection, keys.Hash(valid.hash, ours, valid.expires_at))
                added += 1
            elif valid.expires_at is not None and there[valid.hash].expires_at != valid.expires_at:
                keys.expire_hash(self.connection, valid.hash, valid.expires_at)
                added += 1
        return added

    def _with_free_aliases(self, taken: Sequence[Taken], made: Sequence[rows.Limited]) -> list[rows.Limited]:
        wanted = {row.alias for row in made if isinstance(row, rows.Key) and row.alias}
        used = set(self._existing(tables.keys.c.alias, wanted))
        found: list[rows.Limited] = []
        for each, row in zip(taken, made, strict=True):
            alias = row.alias if isinstance(row, rows.Key) else None
            if alias in used:
                number = 2
                while (free := f"{alias} ({number})") in used | wanted or self._existing(tables.keys.c.alias, [free]):
                    number += 1
                used.add(free)
                self.written.notes.append(w.Note(w.RENAMED, "key", each.name, f"is `{free}` now"))
                row = replace(row, alias=free)  # type: ignore[call-arg]
            found.append(row)
        return found

    def _existing(self, column: Column[Any], values: Iterable[str]) -> list[str]:
        found: list[str] = []
        for batch in _batches(sorted(values)):
            found += self.connection.scalars(select(column).where(column.in_(batch)))
        return found

    def _rows(self, kind: str, ids: Sequence[str]) -> dict[str, rows.Limited]:
        table, found = TABLES[kind], {}
        for batch in _batches(ids):
            if kind == "member":
                pairs = {changes.member_of(id) for id in batch}
                condition = table.c.team_id.in_({team for team, _ in pairs})
            else:
                condition = table.c.id.in_(batch)
            for row in self.connection.execute(select(table).where(condition)).mappings():
                read = rows.read(_ROWS[kind], row)
                found[identity(read)] = read
        wanted = set(ids)
        return {id: row for id, row in found.items() if id in wanted}

    def _remember(self, taken: Taken, ours: str, digest: str, spent: int, version: int) -> None:
        now = _Known(ours, self.translated.source, digest, spent, version)
        if self.known.get((taken.kind, taken.theirs)) == now:
            return
        self.note()
        table = tables.imported
        earlier = [each.hash for each in taken.hashes if (taken.kind, each.hash) in self.known]
        names = {taken.theirs, *earlier}
        self.connection.execute(delete(table).where(table.c.kind == taken.kind, table.c.theirs.in_(names)))
        self.connection.execute(table.insert().values(kind=taken.kind, theirs=taken.theirs, **vars(now)))


def _check(connection: Connection, translated: Translated, written: Written) -> None:
    """What our tables say now, against what was read there."""
    for kind in ("user", "team", "member", "key"):
        taken = [each for each in translated.taken if each.kind == kind]
        table, imported = TABLES[kind], tables.imported
        wanted = {each.theirs: each.spent.counts for each in taken}
        there = dict(
            connection.execute(select(imported.c.theirs, imported.c.spent).where(imported.c.kind == kind)).tuples()
        )
        kept = {note.name for note in written.notes if note.word is w.HERE_ALREADY and note.kind == kind}
        skipped = {each.theirs for each in taken if each.name in kept and each.theirs not in there}
        if {name: amount for name, amount in there.items() if name in wanted} != {
            name: amount for name, amount in wanted.items() if name not in skipped
        }:
            raise RuntimeError(f"what was written of {kind}s is not what was read")
        ours = table.c.id == imported.c.ours if kind != "member" else None
        if ours is None:
            written.spent[kind] = sum(amount for name, amount in there.items() if name in wanted)
            continue
        amount = case((table.c.epoch == 0, table.c.base_spend), else_=imported.c.spent)
        joined = imported.join(table, ours)
        statement = select(imported.c.theirs, amount).select_from(joined).where(imported.c.kind == kind)
        stands = {name: value for name, value in connection.execute(statement).tuples() if name in wanted}
        if stands != {name: wanted[name] for name in stands} or stands.keys() != wanted.keys() - skipped:
            raise RuntimeError(f"the money of {kind}s does not stand there as it was read")
        written.spent[kind] = sum(stands.values())


def _digest(row: rows.Limited) -> str:
    """Of what people decide."""
    left = _COUNTERS | _BOOKKEEPING
    values = {name: value for name, value in rows.written(row).items() if name not in left}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(values), _BATCH):
        yield values[at : at + _BATCH]
