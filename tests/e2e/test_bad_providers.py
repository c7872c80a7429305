"""A provider that misbehaves is refused with words that explain it at 2 a.m.; nothing is changed, and it is quick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from aiops.demo.child import DemoProvider
from tests.kit.gateway import Gateway
from tests.kit.waiting import free_port

OPENING = "the new generation did not prove itself:\n"


@dataclass(frozen=True)
class Case:
    """How the double behaves, and the one sentence per failed check that comes of it. ``{url}``: the provider."""

    control: dict[str, object]
    failed: tuple[str, ...]
    seconds: float = 4.0


LISTING = "{url}/v1/models"
CASES = {
    "a web page": Case(
        {"mode": "html"},
        (f"provider:two: {LISTING} answered text/html, not a list of models: is this a model server?",),
    ),
    "a redirect": Case(
        {"mode": "redirect"}, (f"provider:two: {LISTING} redirects to /login; use that address as base_url",)
    ),
    "no answer at all": Case({"mode": "hang"}, (f"provider:two: {LISTING} did not answer within 5 s",), 10.0),
    "a key that is missing": Case(
        {"mode": "401"},
        (f"provider:two: {LISTING} wants a key: HTTP 401 without one; name it with --api-key-env or --api-key-file",),
    ),
    "too many requests": Case({"mode": "429"}, (f"provider:two: {LISTING} answered HTTP 429: Rate limit reached.",)),
    "an error": Case({"mode": "500"}, (f"provider:two: {LISTING} answered HTTP 500: The server had an error.",)),
    "half of a JSON": Case(
        {"mode": "wrong_json"},
        (f"provider:two: {LISTING} answered application/json, not a list of models: is this a model server?",),
    ),
    "a closed connection": Case(
        {"mode": "drop_before"},
        (f"provider:two: {LISTING}: the connection was closed without an answer: is this an HTTP server?",),
    ),
    "other models than declared": Case(
        {"models": ["gama", "delta"]}, ("provider:two: it does not have `gamma`; did you mean `gama`?",)
    ),
    "models that are nothing like it": Case(
        {"models": ["x1", "x2"]}, ("provider:two: it does not have `gamma`; it lists x1, x2",)
    ),
    "errors instead of answers": Case(
        {"mode": "500", "paths": ["/v1/chat"]},
        tuple(f"{check}:gamma: HTTP 500: {{words}}The server had an error." for check in ("answer", "stream")),
    ),
    "streams that break": Case(
        {"mode": "drop_mid_stream", "paths": ["/v1/chat"]}, ("answer:gamma: ", "stream:gamma: ")
    ),
}


@pytest.fixture(autouse=True)
def well_again(two: DemoProvider) -> Iterator[None]:
    yield
    two.control(mode="ok", models=["gamma", "delta"], paths=[], api_key="")


def refuse(gateway: Gateway, *argv: str, **env: str) -> tuple[list[str], float]:
    """Run it, see that it is refused without a trace, and return what failed and how long it took."""
    before = gateway.snapshot()
    refused = gateway.cli(*argv, env=env)
    assert (refused.code, refused.data["outcome"]) == (7, "refused"), refused.out
    after = gateway.snapshot()
    assert {name: after[name] for name in before} == before
    assert gateway.models() == ["alpha", "beta"]
    if "checks" in refused.data:
        assert refused.message == OPENING + "\n".join(f"  ✗ {line}" for line in refused.failed)
        assert refused.hint == "nothing was changed, and users noticed nothing"
        return refused.failed, refused.seconds
    return [refused.message], refused.seconds


@pytest.mark.parametrize("name", CASES)
def test_a_bad_provider_is_refused_in_words_that_explain_it(gateway: Gateway, two: DemoProvider, name: str) -> None:
    case = CASES[name]
    two.control(**case.control)
    failed, seconds = refuse(gateway, *gateway.adding("two", two.url, "gamma"))
    wanted = [line.replace("{url}", two.url) for line in case.failed]
    assert len(failed) == len(wanted), failed
    for line, want in zip(failed, wanted, strict=True):
        start, _, end = want.partition("{words}")
        assert line.startswith(start), line
        assert line.endswith(end), line
        assert len(line) < 300, "one line that a person reads"
        assert "Traceback" not in line
    assert seconds < case.seconds


def test_nobody_listening_is_said_so(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    failed, seconds = refuse(gateway, *gateway.adding("two", url, "gamma"))
    assert failed == [f"provider:two: {url}/v1/models: nobody listens there (connection refused)"]
    assert seconds < 4


def test_a_name_that_does_not_resolve_is_said_so(gateway: Gateway) -> None:
    url = "http://no-such-host.invalid:8000"
    failed, _ = refuse(gateway, *gateway.adding("two", url, "gamma"))
    assert len(failed) == 1
    assert failed[0].startswith(f"provider:two: {url}/v1/models: the name no-such-host.invalid is not known")


def test_a_wrong_key_is_told_from_a_missing_one(gateway: Gateway, two: DemoProvider) -> None:
    two.control(api_key="sk-the-right-one")
    argv = gateway.adding("two", two.url, "gamma", api_key_env="TWO_KEY")
    failed, _ = refuse(gateway, *argv, TWO_KEY="sk-the-wrong-one")
    assert failed == [f"provider:two: {two.url}/v1/models refused the key with HTTP 401"]


def test_a_key_that_is_set_nowhere_is_asked_for(gateway: Gateway, two: DemoProvider) -> None:
    before = gateway.snapshot()
    refused = gateway.cli(*gateway.adding("two", two.url, "gamma", api_key_env="NOWHERE_KEY"))
    assert refused.code in (3, 4)
    assert "NOWHERE_KEY" in refused.message
    assert "not set" in refused.message
    assert gateway.snapshot() == before


def test_a_provider_that_lists_nothing_is_proved_by_its_answers(gateway: Gateway, two: DemoProvider) -> None:
    """Some servers list nothing and answer all the same; what counts is the answer, which this one does not give."""
    two.control(models=[])
    failed, _ = refuse(gateway, *gateway.adding("two", two.url, "gamma"))
    assert [line.split(": ")[0] for line in failed] == ["answer:gamma", "stream:gamma"]
    assert "does not exist" in failed[0]


DISCOVERY = {
    "a web page": {"mode": "html"},
    "no answer at all": {"mode": "hang"},
    "an error": {"mode": "500"},
    "nothing": {"models": []},
}


@pytest.mark.parametrize("name", DISCOVERY)
def test_models_that_cannot_be_discovered_are_asked_for(gateway: Gateway, two: DemoProvider, name: str) -> None:
    two.control(**DISCOVERY[name])
    before = gateway.snapshot()
    refused = gateway.cli(*gateway.adding("two", two.url), "--discover")
    assert refused.code == 7
    if name == "nothing":
        assert refused.message == f"{two.url}/v1/models lists no models"
    else:
        assert refused.message.startswith(f"its models could not be discovered: {two.url}/v1/models ")
    assert "--model" in refused.hint
    assert gateway.snapshot() == before
