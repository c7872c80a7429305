"""What was taken over, into our tables: all of it or nothing, and a second time only what changed there since.

Of each row it is remembered what it was there (``imported``). One that was changed here, too, stays as it is here. What
was spent there replaces what was known of it before, and what aiops counted itself is put to it, so that nothing counts
twice: a budget that begins anew under another epoch starts from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, select

from aiops.errors import Precondition
from aiops.state import windows
from aiops.state.administration import epochs
from aiops.state.administration import keys as administration
from aiops.state.administration.journal import Actor, identity
from aiops.state.shapes import Kind
from aiops.state.store import audit, changes, clock, keys, rows, tables, usage, writing
from aiops.state.takeover import remembered
from aiops.state.takeover import words as w
from aiops.state.takeover.remembered import BOOKKEEPING, COUNTERS, TABLES, Known
from aiops.state.takeover.remembered import digest as digest_of
from aiops.state.takeover.translate import Taken, Translated

VERB = "keys import"
_BATCH = 500  # SQLite takes 999 parameters at least
_OURS = {"shadow", "weight", "admin", "revoked_at"}
"""What LiteLLM does not know, and an import so leaves as it is."""
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
    here: set[tuple[str, str]] = field(default_factory=set)
    """Kind and what LiteLLM finds it by: of what was here already."""
    spent: dict[str, int] = field(default_factory=dict)
    """By kind: nano-dollars that LiteLLM had counted, as they stand in our tables."""

    @property
    def nothing(self) -> bool:
        parts = self.counts.values()
        return not self.hashes and not any(each.added + each.changed + each.spend + each.revoked for each in parts)


def write(connection: Connection, translated: Translated, by: Actor) -> Written:
    """In the caller's transaction. Raises Precondition when no key is left there, and RuntimeError when what
    stands here afterwards is not what was read."""
    written = Written()
    work = _Work(connection, translated, by, written, remembered.known(connection), clock.read(connection))
    work.revoke_gone()
    for kind in TABLES:
        work.write(kind, [each for each in translated.taken if each.kind == kind])
    written.spent = dict(remembered.check(connection, translated, written.here))
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
    known: dict[tuple[str, str], Known]
    now: int
    noted: bool = False
    counted: dict[str, frozenset[str]] = field(default_factory=dict)

    def note(self) -> None:
        """Before the first row is touched; a run that finds everything as it was leaves no change."""
        if not self.noted:
            changes.note(self.connection, "all", "")
            self.noted = True

    def revoke_gone(self) -> None:
        """Keys that were deleted there since, or made to expire. One that was rotated there is neither: its hash is one
        of another's."""
        valid_there = {valid.hash for each in self.translated.taken for valid in each.hashes}
        gone = [
            each.ours
            for (kind, theirs), each in self.known.items()
            if kind == "key" and each.source == self.translated.source and theirs not in valid_there
        ]
        if gone and not valid_there:
            raise Precondition(
                f"{self.translated.source} has no valid key any more, and {len(gone)} were taken over from it before;"
                " they would all be revoked",
                "is it the right database? `aiops keys revoke` ends keys one by one",
            )
        for row in self._rows("key", gone).values():
            assert isinstance(row, rows.Key)
            if row.revoked_at is None and (row.expires_at is None or row.expires_at > self.now):
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
                self.written.here.add((kind, each.theirs))
                self.written.counts[kind].kept += 1
        self._add(kind, [each for each in new if each.theirs not in here])
        current = self._rows(kind, [each.ours for each in before.values()])
        hashes = self._hashes_of(current) if kind == "key" else {}
        for each in taken:
            known = before.get(each.theirs)
            if known is not None and known.ours in current:
                self._update(each, known, current[known.ours])
                self.written.hashes += self._hashes(each, known.ours, hashes)

    def _before(self, taken: Taken) -> Known | None:
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
        source = self.translated.source
        remembered.remember_new(
            self.connection,
            [
                (each, Known(identity(row), source, digest_of(each.row), each.spent.counts, 1))
                for each, row in zip(new, made, strict=True)
            ],
        )

    def _update(self, taken: Taken, known: Known, row: rows.Limited) -> None:
        count = self.written.counts[taken.kind]
        digest, touched = digest_of(taken.row), row.version != known.version
        settings: dict[str, Any] = {}
        kept_here = False
        if digest != known.digest and touched:
            self.written.notes.append(w.Note(w.CHANGED_HERE, taken.kind, taken.name))
            count.kept += 1
            digest, kept_here = known.digest, True
        elif digest != known.digest:
            theirs = taken.row
            if isinstance(theirs, rows.Key) and isinstance(row, rows.Key) and theirs.alias != row.alias:
                theirs = self._with_free_aliases([taken], [theirs])[0]
            ours = COUNTERS | BOOKKEEPING | _OURS
            settings = {name: getattr(theirs, name) for name in vars(theirs) if name not in ours}
            count.changed += 1
        spent = self._spent(taken, known, row) if isinstance(row, rows.Counted) else {}
        if spent and not settings and not kept_here:
            count.spend += 1
        if settings or spent:
            self.note()
            changed = epochs.follow(self.connection, row, replace(row, **settings, **spent, updated_by=self.by.who))
            row = writing.replace(self.connection, TABLES[taken.kind], changed)
        elif not kept_here:
            count.same += 1
        version = known.version if touched else row.version
        self._remember(taken, Known(known.ours, self.translated.source, digest, taken.spent.counts, version))

    def _spent(self, taken: Taken, known: Known, row: rows.Counted) -> dict[str, Any]:
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
            "epoch": row.reset_epoch(),
        }

    def _own(self, taken: Taken, row: rows.Limited, duration: str | None) -> int:
        """What aiops counted itself in the window that is now."""
        if identity(row) not in self._counted(taken.kind):
            return 0
        begins = windows.window(duration, self.now / clock.SECOND).begins
        kind: Kind = taken.kind  # type: ignore[assignment]
        return usage.spent(self.connection, kind, identity(row), begins, None)

    def _counted(self, kind: str) -> frozenset[str]:
        """Of whom aiops has counted anything; asked once, because most have nothing."""
        if kind not in self.counted:
            daily = tables.usage_daily.c
            columns = {"key": (daily.key_id,), "team": (daily.team_id,), "user": (daily.user_id,)}
            asked = select(*columns.get(kind, (daily.team_id, daily.user_id))).distinct()
            rows = self.connection.execute(asked).all()
            self.counted[kind] = frozenset(changes.member_id(*row) if kind == "member" else row[0] for row in rows)
        return self.counted[kind]

    def _hashes_of(self, ids: Iterable[str]) -> dict[str, keys.Hash]:
        found = (each for batch in _batches([*ids]) for each in keys.hashes(self.connection, batch))
        return {each.hash: each for each in found}

    def _hashes(self, taken: Taken, ours: str, there: Mapping[str, keys.Hash]) -> int:
        """How many were added, or end at another time."""
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

    def _remember(self, taken: Taken, now: Known) -> None:
        if self.known.get((taken.kind, taken.theirs)) != now:
            self.note()
            remembered.remember(self.connection, taken, now)


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(values), _BATCH):
        yield values[at : at + _BATCH]
