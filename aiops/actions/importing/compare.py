"""What arrived and what came back on either side -> the differences, each intended or a bug."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from aiops.actions.importing.answers import NO_ANSWER, Answered, Reply
from aiops.actions.importing.double import LITELLMS_KEY, Arrived
from aiops.actions.importing.questions import Question
from aiops.actions.importing.redirect import Asked
from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY

# Each request has these in another way, or they say who asks and not what is asked.
_HEADERS = (
    "accept",
    "connection",
    "content-",
    "host",
    "transfer-",
    "user-agent",
    "x-stainless",
    "traceparent",
    "http-",
)
_KEYS = ("authorization", "x-api-key", "api-key")
_AS_CHAT = "/v1/messages is asked of servers as a chat: few have /v1/responses"
_PATHS = (
    ("/api/generate", "/api/chat", "Ollama's /api/chat uses the model's own template"),
    ("/api/chat", "/api/generate", "a completion is asked for as one; LiteLLM made a chat of it"),
    ("/responses", "/chat/completions", _AS_CHAT),
    ("/chat/completions", "/completions", "a completion is asked for as one; LiteLLM made a chat of it"),
)
_NO_KEY = "where there is no key a word is sent, so that no key of the environment is"
_USAGE = "the tokens of a stream are asked for of names that are listed; a caller sees them when it asks for them"
_FACTS = ("max_input_", "max_output_", "supports_", "mode", "base_model")
"""What ``/model/info`` says of a model, beside what it costs, begins like this."""
_GUESSED = {
    "mode": "nobody wrote it: LiteLLM then says chat, and here the model's name says it",
    "supports_reasoning": "LiteLLM guesses it by the name; of a server of one's own only who runs it knows",
}
_CHANCE = 0.001
_CLIENTS_OWN = 600.0
_FORGOTTEN = "the time-out that counts for the name counts here too; LiteLLM forgot it on this way"
_LISTED = "every name that is served is listed"
_EVERY = "every deployment of the name is tried before it fails"
_LOST = "LiteLLM loses what was said on this way; it arrives now"
_REFUSED = "LiteLLM refused `thinking` for this model and a fallback answered; it answers itself now"
_KNOWN = "the price is the model's, and another name of it has one"


@dataclass(frozen=True)
class Difference:
    """``line``: where the original says it. ``why``: when it is intended; empty when it is a bug."""

    name: str
    endpoint: str
    what: str
    stock: str
    candidate: str
    line: int
    why: str = ""

    def __str__(self) -> str:
        verdict = f"intended: {self.why}" if self.why else "not intended"
        return (
            f"line {self.line}: `{self.name}`, {self.endpoint}: {self.what}: "
            f"{self.stock} before, {self.candidate} after ({verdict})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


Said = Callable[..., Difference]


def differences(question: Question, of: Asked, stock: Answered, candidate: Answered) -> Iterator[Difference]:
    """Compare what became of one question about a name. What the import said it cannot do is meant."""

    def said(what: str, was: object, now: object, why: str = "") -> Difference:
        key = what.rpartition(" `")[2].rstrip("`")
        reason = why or (of.decisions.get(key, "") if what.startswith(("body", "header")) else "")
        return Difference(question.name, question.endpoint, what, _short(was), _short(now), of.lines[0], reason)

    good = [side.statuses.count(200) for side in (stock, candidate)]
    if good[0] != good[1]:
        why = "it is answered now" if good[1] > good[0] else ""
        yield said("status", _statuses(stock), _statuses(candidate), why)
        return
    if question.times > 1:
        if shared_unlike(stock.arrived, candidate.arrived):
            yield said("who shares", _shares(stock.arrived), _shares(candidate.arrived))
        return
    if good[0] == 0 and set(stock.statuses) != set(candidate.statuses):
        yield said("status", _statuses(stock), _statuses(candidate))
    if question.fails_all:
        yield from _order(said, of, stock.arrived, candidate.arrived)
        yield from _replies(said, stock.replies[0], candidate.replies[0], "")
        return
    several = len(of.lines) > 1 or _alike(of, stock.arrived, candidate.arrived)
    if len(stock.arrived) != len(candidate.arrived):
        why = "a failure is answered by another deployment sooner" if several else ""
        yield said("requests to providers", len(stock.arrived), len(candidate.arrived), why)
    one, other = (next(reversed(side.arrived), None) for side in (stock, candidate))
    because = ""
    thinks = question.endpoint == "messages with thinking"
    if thinks and other is not None and other.named not in [each.named for each in stock.arrived]:
        yield said("server", one.at if one else "nobody", other.at, _REFUSED)
        return
    if one is not None and other is not None and not several:  # which of several is asked is chance
        yield from _requests(said, question, one, other, "timeout" in of.facts)
        because = _translated(one, other)
    if not several:
        yield from _replies(said, stock.replies[0], candidate.replies[0], because)


def _alike(of: Asked, was: Sequence[Arrived], now: Sequence[Arrived]) -> bool:
    """Whether the last of each were deployments of one name, so that it was chance which of them was asked."""
    return bool(was and now and of.among(was[-1]) & of.among(now[-1]))


def _statuses(side: Answered) -> list[object]:
    return ["no answer" if each == NO_ANSWER else each for each in sorted(set(side.statuses))]


def _order(said: Said, of: Asked, was: Sequence[Arrived], now: Sequence[Arrived]) -> Iterator[Difference]:
    """Who was asked after whom while everybody failed, and how often. Among the deployments of a name it is chance."""
    chains = [[each for each, _ in groupby(of.called(one) for one in side)] for side in (was, now)]
    names = {each.named: of.among(each) for each in (*was, *now)}
    before, after = ({each.named for each in side} for side in (was, now))
    if chains[0] != chains[1] and all(len(each) < 2 for each in names.values()):
        yield said("who is asked while all fail", " > ".join(chains[0]), " > ".join(chains[1]))
    elif not any(names.values()) and len(was) != len(now):
        yield said("tries while all fail", len(was), len(now))
    elif missing := {each for each in before - after if not _stood_in(of, names, each, after)}:
        yield said("who is asked while all fail", sorted(missing), "not asked")
    elif more := {each for each in after - before if of.name in names[each]}:
        yield said("who is asked while all fail", "not asked", sorted(more), _EVERY)


def _stood_in(of: Asked, names: Mapping[str, frozenset[str]], missing: str, others: Collection[str]) -> bool:
    """Whether another deployment of the same name was asked instead; of the name itself every one has to be."""
    return of.name not in names[missing] and any(names[missing] & names[each] for each in others)


def _replies(said: Said, was: Reply, now: Reply, because: str) -> Iterator[Difference]:
    if was.cost != now.cost and _number(was.cost) != _number(now.cost):
        yield said("x-litellm-response-cost", was.cost, now.cost, _KNOWN if was.cost is None else "")
    if was.kind != now.kind:
        yield said("content-type", was.kind, now.kind, because)
    for place in sorted(was.body.keys() | now.body.keys()):
        if was.body.get(place) != now.body.get(place):
            one, other = (side.body.get(place, "nothing") for side in (was, now))
            lost = one == "nothing" and place.startswith("content[")
            yield said(f"answer `{place}`", one, other, because or (_LOST if lost else ""))


def _translated(was: Arrived, now: Arrived) -> str:
    """Why the two have different bodies; empty when they should not."""
    if "input" in now.body and was.path.endswith("/responses") and was.body.get("include"):
        return _AS_CHAT
    moved = [each for each in _PATHS if was.path.endswith(each[0]) and not now.path.endswith(each[0])]
    return next((why for _, new, why in moved if now.path.endswith(new)), "")


def _requests(said: Said, question: Question, was: Arrived, now: Arrived, own: bool) -> Iterator[Difference]:
    """``own``: whether a time-out is written for the name."""
    why = _translated(was, now)
    for what, one, other in (("server", was.at, now.at), ("path", was.path, now.path), ("key", was.key, now.key)):
        if one != other:
            secret = what == "key"
            nobodys = secret and one in ("", LITELLMS_KEY) and other == PLACEHOLDER_KEY
            because = _NO_KEY if nobodys else why if what == "path" else ""
            yield said(what, "one" if secret else one, "another" if secret else other, because)
    if was.patience is not None and now.patience is not None and was.patience != now.patience:
        forgot = question.endpoint.startswith("messages") and was.patience == _CLIENTS_OWN
        # Of a stream LiteLLM takes the seconds that are written for all before those of the name.
        forgot |= question.endpoint == "stream" and own and now.patience < was.patience
        yield said("seconds until it is given up", was.patience, now.patience, _FORGOTTEN if forgot else "")
    if why:
        return
    for key in sorted(was.body.keys() | now.body.keys()):
        one, other = was.body.get(key, "nothing"), now.body.get(key, "nothing")
        if one != other and key == "stream_options" and other == "nothing":
            yield said(f"body `{key}`", one, other, _USAGE)
        elif one != other:
            same = key == "messages" and _plain(one) == _plain(other)
            why = "the same text, as one part or as itself" if same else ""
            if key == "reasoning_effort" and one == "nothing" and question.endpoint == "messages with thinking":
                why = "who asks for thinking gets it; LiteLLM dropped it for this way of asking"
            yield said(f"body `{key}`", one, other, why)
    before, after = _headers(was), _headers(now)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield said(f"header `{key}`", "one" if key in before else "none", "another" if key in after else "none")


def _plain(messages: Any) -> Any:
    """Messages with a text in place of a list of one part that is that text."""
    found = []
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        only = content[0] if isinstance(content, list) and len(content) == 1 else None
        found.append({**message, "content": only.get("text") if isinstance(only, dict) else content})
    return found


def shared_unlike(was: Sequence[Arrived], now: Sequence[Arrived]) -> bool:
    """Whether one side leaves out a deployment that the other asks so often that it is no chance."""
    before, after = Counter(each.named for each in was), Counter(each.named for each in now)
    for some, others in ((before, after), (after, before)):
        for name in some.keys() - others.keys():
            if (1 - some[name] / some.total()) ** max(others.total(), 1) < _CHANCE:
                return True
    return False


def _shares(arrived: Sequence[Arrived]) -> str:
    counted = Counter(each.named for each in arrived)
    return ", ".join(f"{name}: {count}" for name, count in sorted(counted.items()))


def facts(of: Asked, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare what ``/model/info`` says of a name: prices, limits, abilities."""
    for key in sorted(was):
        if (key.startswith(_FACTS) or "cost" in key) and was[key] not in (None, now.get(key)):
            why = of.decisions.get(key) or of.decisions.get("model_info") or ""
            if "*" in of.name:
                why = "a name with `*` is a rule here, and /model/info has models"
            elif key not in of.facts:
                why = why or _GUESSED.get(key, "")
            yield Difference(of.name, "/model/info", key, _short(was[key]), _short(now.get(key)), of.lines[0], why)


def names(asked: list[Asked], was: set[str], now: set[str]) -> list[Difference]:
    """Names that are listed on one side only; LiteLLM lists a name with `*` as what it knows of the provider."""
    by_name = {each.name: each for each in asked}
    plain = {name for name in by_name if "*" not in name}
    found = [
        Difference(name, "/v1/models", "listed", "yes", "no", by_name[name].lines[0]) for name in (was & plain) - now
    ]
    stars = any("*" in name for name in by_name)
    for name in set() if stars else now - was:
        each = by_name.get(name)
        why = _LISTED if each is not None and not each.listed else ""
        found.append(Difference(name, "/v1/models", "listed", "no", "yes", each.lines[0] if each else 0, why))
    return sorted(found, key=lambda each: each.name)


def _headers(arrived: Arrived) -> dict[str, str]:
    return {
        name: value for name, value in arrived.headers.items() if name not in _KEYS and not name.startswith(_HEADERS)
    }


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:117] + "…"
