"""Which deployment a request is sent to, and which are tried after it: the table, the board and the strategies."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from aiops.gateway.worker import request
from aiops.gateway.worker.board import Board
from aiops.gateway.worker.call import Call
from aiops.gateway.worker.prices import Ways
from aiops.gateway.worker.queue import Queue
from aiops.spec.choosing import choose
from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.lookup import Resolver
from aiops.spec.choosing.prefix import prefix
from aiops.spec.choosing.rules import Group
from aiops.spec.routes.circles import LITELLM_FALLBACKS

Target = str | dict[str, Any]
"""A name LiteLLM's router knows, or what a client gave as a fallback of its own."""


class Models(Protocol):
    """What LiteLLM's router serves without our help."""

    def knows(self, name: str) -> bool:
        """Whether it serves the name by itself, so that no pattern is asked."""

    def provider(self, name: str) -> str | None:
        """Who answers a plain name first; None when it is not known."""

    def fallbacks(self, name: str) -> tuple[str, ...]:
        """The names that are tried after a plain one."""


class Dispatch:
    """One per worker. ``checked`` is set when the providers' health is known for the first time."""

    def __init__(self, board: Board, models: Models, chance: Callable[[], float] = random.random) -> None:
        self.board = board
        self.table = table = board.table
        self.queue = Queue(board)
        self.checked: asyncio.Event | None = None
        self._resolver = Resolver(table)
        self._models = models
        self._random = chance
        self._open_ended = bool(table.patterns or table.sizes or table.default)
        groups = list(table.groups())
        self.passing = frozenset(
            member.deployment for group in groups for member in group.members if member.model is None
        )
        """Deployments that are asked for the model by the name it was requested by."""
        self.once_more = frozenset(table.once_more)
        self._fallbacks = frozenset(name for group in groups for name in group.fallbacks)
        self._providers: dict[str, str | None] = {
            member.deployment: member.provider for group in groups for member in group.members
        }
        self._headers = {(group.kind, group.name): _header(group) for group in groups}
        self._by_prompt = {(group.kind, group.name) for group in groups if choose.asks_about_the_request(group)}

    async def route(self, call: Call, data: dict[str, Any]) -> bool:
        """Put the chosen deployment and its fallbacks into LiteLLM's request. False when LiteLLM needs no help."""
        found = call.planned or await self.order(call, data)
        if not found:
            return False
        first, *others = found
        data["model"] = first
        data["fallbacks"] = others
        if any(isinstance(name, dict) for name in others):  # LiteLLM takes either kind, but not both in one list
            data["fallbacks"] = [{"model": name} if isinstance(name, str) else name for name in others]
        if len(others) > LITELLM_FALLBACKS:  # the configuration's own limit is at least this, and may be no more
            data["max_fallbacks"] = len(others)
        return True

    async def order(self, call: Call, data: Mapping[str, Any]) -> list[Target]:
        """Who is asked, and who after that; empty for a plain name. Notes in ``call`` which rule said so. ``data``: the
        request as its client sent it."""
        group = self._group(call)
        if group is None:
            return []
        if self.checked is not None and not self.checked.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.checked.wait(), self.table.special.warm_check)
        given = data.get("fallbacks")
        members = self._members(group, call, data)
        after = given if isinstance(given, list) else self._after(group, call, data)
        call.rule = self._headers[group.kind, group.name]
        return self._avoided_last([*members, *after])

    def standing_by(
        self, call: Call, name: str, data: Mapping[str, Any]
    ) -> tuple[list[Target], tuple[str, ...]] | None:
        """The members of a name that rules know, as if it were asked for now, and what is tried after them; None for a
        plain one. Nobody's turn is used up."""
        group = self.table.names.get(name)
        return None if group is None else (self._members(group, call, data, takes_turn=False), group.fallbacks)

    def serves(self, name: str) -> bool:
        """Whether anybody is asked for it."""
        name = self.table.same.get(name, name)
        return self._models.knows(name) or self._rule(name)[0] is not None

    def ways(self, name: str) -> Ways:
        """Where a request for ``name`` would lead to."""
        name = self.table.same.get(name, name)
        group, _ = self._rule(name)
        if group is None:
            return Ways((), self._models.fallbacks(name))
        return Ways(tuple(member.deployment for member in group.members), group.fallbacks)

    def _group(self, call: Call) -> Group | None:
        group, passed = self._rule(call.name)
        if passed is not None:
            call.passed = passed
        return group

    def _rule(self, name: str) -> tuple[Group | None, str | None]:
        """And the name that is passed on, where that is another one."""
        group = self.table.names.get(name)
        if group is not None or not self._open_ended or self._models.knows(name):
            return group, None
        found = self._resolver.find(name)
        return (None, None) if found is None else (found.group, found.passed)

    def _members(self, group: Group, call: Call, data: Mapping[str, Any], *, takes_turn: bool = True) -> list[Target]:
        facts, preferred = Facts(model=call.name), None
        if self.table.metadata or (group.kind, group.name) in self._by_prompt:
            facts = request.facts(call.name, data, call.headers)
            facts.request_count = self.board.request_count(call.name)
            preferred = choose.rule_for(self.table.metadata, group, facts, self.board)
        if choose.asks_about_the_prefix(group):
            call.prefix = call.prefix or prefix(call.passed or call.name, data)
        choices = choose.order(
            group, facts, self.board, self._random, preferred, takes_turn=takes_turn, prefix=call.prefix
        )
        return [choice.member.deployment for choice in choices]

    def _after(self, group: Group, call: Call, data: Mapping[str, Any]) -> list[Target]:
        """The rule's own fallbacks. One that is a group itself is put in order as if it were asked for now: LiteLLM
        does not call the hook for a fallback."""
        targets: list[Target] = []
        for name in group.fallbacks:
            other = self.table.names.get(name)
            targets += [name] if other is None else self._members(other, call, data, takes_turn=False)
        return targets

    def _avoided_last(self, targets: list[Target]) -> list[Target]:
        """A fallback goes before a member whose provider is avoided; each once."""
        once = list({str(target): target for target in targets}.values())
        return sorted(once, key=self._is_avoided) if self.board.may_avoid else once

    def _is_avoided(self, target: Target) -> bool:
        if not isinstance(target, str):
            return False
        if target not in self._providers and target in self._fallbacks:
            self._providers[target] = self._models.provider(target)
        provider = self._providers.get(target)
        return provider is not None and self.board.avoided(provider) is not None


def _header(group: Group) -> bytes:
    return quote(f"{group.kind} {group.name}", safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()
