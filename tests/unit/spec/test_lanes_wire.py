"""What a provider is sent by way of LiteLLM, and what `lanes.json` says that it is sent directly, are the same.

A recording server stands in for the provider, and a real router of LiteLLM asks it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from aiops.render.litellm import litellm_config
from aiops.spec.lanes.decide import REASONING, decide
from aiops.spec.lanes.options import OPENAI_FIELDS
from aiops.spec.lanes.speech import SPEECH
from aiops.spec.lanes.table import Direct, Lanes
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.option_tables import HANDLING, OPTIONS
from aiops.spec.shapes.provider_types import TYPES, Mode
from tests.unit.spec.recorder import Recorder
from tests.unit.spec.test_provider_wire import SPECIAL, VALUES

LIKE_OPENAI = ("openai_compatible", "openai", "vllm", "llama_cpp", "cerebras")
MODES: tuple[Mode, ...] = ("chat", "completion", "embedding")
CONTENT: dict[Mode, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hello"}]},
    "completion": {"prompt": "hello"},
    "embedding": {"input": ["x"]},
}
PATHS: dict[Mode, str] = {"chat": "chat/completions", "completion": "completions", "embedding": "embeddings"}
OTHER: dict[str, Any] = {
    "whole": 4, "number": 0.25, "text": "high", "switch": True, "texts": ["STOP"], "wholes": [3], "mapping": {"a": 2},
}  # fmt: skip

# vLLM's own, of which LiteLLM takes a client's for its own queue; directly it gives way as others do.
READ_BY_LITELLM = ("priority",)
EXTRA = ("guided_json", "echo", "suffix", "best_of", "dimensions", "encoding_format", "top_k")


@dataclass
class Asked:
    """One provider with one model, ``m``, which is asked by way of LiteLLM."""

    litellm: Any
    recorder: Recorder
    kind: str
    mode: Mode
    provider: dict[str, Any]
    model: str = "m"
    gateway: str = ""
    retries: int = 0
    mappings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = {"type": self.kind, "base_url": f"http://127.0.0.1:{self.recorder.port}"}
        if TYPES[self.kind].cloud:
            base["api_key_env"] = "AIOPS_TEST_KEY"
        models = [{"name": self.model, "mode": self.mode}]
        given = {"providers": {"p": {**base, "models": models, **self.provider}}}
        sources = {
            "aiops.yaml": f"gateway: {{port: 4000, request_timeout: 5, retries: {self.retries}{self.gateway}}}".encode()
        }
        if self.mappings:
            sources["model-mappings.yaml"] = json.dumps(self.mappings).encode()
        state = load({**sources, "providers.yaml": json.dumps(given).encode()}, {})
        config = yaml.safe_load(litellm_config(state, resolve(state), aiops_version="1"))
        self.lanes: Lanes = decide(state, resolve(state))
        self.router = self.litellm.Router(model_list=config["model_list"], **config["router_settings"])

    @property
    def direct(self) -> Direct:
        [direct] = self.lanes.direct.values()
        return direct

    def by_litellm(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """What arrives; None when LiteLLM refuses to ask that, or stumbles over it."""
        calls = {
            "chat": self.router.acompletion,
            "completion": self.router.atext_completion,
            "embedding": self.router.aembedding,
        }
        self.recorder.seen.clear()
        try:
            asyncio.run(calls[self.mode](model=self.model, **body))
        except Exception:
            if self.recorder.seen:
                raise
            return None
        path, key, sent = self.recorder.seen[-1]
        assert path == self.direct.url.removeprefix(f"http://127.0.0.1:{self.recorder.port}") + f"/{PATHS[self.mode]}"
        assert key == ("sk-the-right-one" if self.direct.key else "none")
        if sent.get("stream") is False:  # as good as nothing
            del sent["stream"]
        return sent

    def directly(self, body: dict[str, Any]) -> dict[str, Any]:
        direct = self.direct
        kept = {direct.rename.get(name, name): value for name, value in body.items() if name not in direct.drop}
        return {**direct.defaults, **kept, **direct.forced, "model": direct.model}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOPS_TEST_KEY", "sk-the-right-one")


DIRECTLY = [(kind, mode) for kind in LIKE_OPENAI for mode in MODES if PATHS[mode] in SPEECH[kind].own]
"""Who is asked directly for what, without being declared."""


def _options(kind: str, mode: Mode) -> Iterator[tuple[str, Any, Any]]:
    """Each that goes into a body, with a value, and with another one that a client may send."""
    for name, option in OPTIONS[kind].items():
        if mode in option.modes and name not in HANDLING and name != "extra_body":
            yield name, SPECIAL.get(name, VALUES[option.kind]), OTHER[option.kind]


@pytest.mark.parametrize(("kind", "mode"), [each for each in DIRECTLY if any(_options(*each))])
def test_options_are_sent_as_litellm_sends_them(litellm: Any, recorder: Recorder, kind: str, mode: Mode) -> None:
    model = "text-embedding-3-small" if (kind, mode) == ("openai", "embedding") else "m"
    wrong, seen = {}, 0
    for name, value, other in _options(kind, mode):
        asked = Asked(litellm, recorder, kind, mode, {"options": {name: value}}, model)
        for body in (CONTENT[mode], CONTENT[mode] | {name: other})[: 1 if name in READ_BY_LITELLM else 2]:
            sent = asked.by_litellm(body)
            seen += sent is not None
            if sent is not None and sent != asked.directly(body):
                wrong[name] = (sent, asked.directly(body))
    assert seen and not wrong


@pytest.mark.parametrize(
    ("kind", "mode"),
    [each for each in DIRECTLY if "extra_body" in OPTIONS[each[0]] and each[1] in OPTIONS[each[0]]["extra_body"].modes],
)
def test_extra_body_is_sent_as_litellm_sends_it(litellm: Any, recorder: Recorder, kind: str, mode: Mode) -> None:
    wrong, seen = {}, 0
    for name in sorted({*OPENAI_FIELDS, *EXTRA}):
        asked = Asked(litellm, recorder, kind, mode, {"options": {"extra_body": {name: 1}}})
        if not asked.lanes.direct:
            assert mode == "embedding"
            continue
        for body in (CONTENT[mode], CONTENT[mode] | {name: 2}):
            sent = asked.by_litellm(body)
            seen += sent is not None
            if sent is not None and sent != asked.directly(body):
                wrong[name] = (sent, asked.directly(body))
    assert seen and not wrong


@pytest.mark.parametrize(("kind", "mode"), [each for each in DIRECTLY if each[1] != "embedding"])
def test_what_is_to_be_dropped_is(litellm: Any, recorder: Recorder, kind: str, mode: Mode) -> None:
    options = {"temperature": 0.5, "top_p": 0.2, "additional_drop_params": ["temperature", "seed", "user"]}
    asked = Asked(litellm, recorder, kind, mode, {"options": options})
    body = CONTENT[mode] | {"seed": 1, "max_tokens": 3, "user": "u"}
    assert (
        asked.by_litellm(body) == asked.directly(body) == CONTENT[mode] | {"model": "m", "max_tokens": 3, "top_p": 0.2}
    )


def test_cerebras_is_sent_its_name_for_the_limit(litellm: Any, recorder: Recorder) -> None:
    asked = Asked(litellm, recorder, "cerebras", "chat", {})
    body = CONTENT["chat"] | {"max_completion_tokens": 3}
    assert asked.by_litellm(body) == asked.directly(body) == CONTENT["chat"] | {"model": "m", "max_tokens": 3}


@pytest.mark.parametrize("kind", ["openai", "openai_compatible"])
def test_headers_are_sent_as_litellm_sends_them(litellm: Any, recorder: Recorder, kind: str) -> None:
    wanted = {"openai-organization": "us", "x-extra": "here"}
    asked = Asked(
        litellm, recorder, kind, "chat", {"options": {"organization": "us", "extra_headers": {"X-Extra": "here"}}}
    )
    asked.by_litellm(CONTENT["chat"])
    assert {name.lower(): value for name, value in asked.direct.headers.items()} == wanted
    assert wanted.items() <= recorder.headers.items()
    assert asked.direct.paths == {"chat/completions"}  # nowhere else does LiteLLM say the organization


HANDLED: dict[str, Any] = {
    "drop_params": True, "additional_drop_params": ["tools[*].strict"], "extra_headers": {"Authorization": "Bearer x"},
    "num_retries": 1, "max_retries": 1, "merge_reasoning_content_in_choices": True, "supports_system_message": False,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HANDLING))
def test_what_litellm_does_itself_is_done_by_both_or_by_litellm_alone(
    litellm: Any, recorder: Recorder, name: str
) -> None:
    values = {**VALUES, "seconds": 5, "mapping": {"x-extra": "here"}, "whole": 1, "texts": ["user"], "switch": True}
    value = HANDLED.get(name, values[OPTIONS["openai_compatible"][name].kind])
    asked = Asked(litellm, recorder, "openai_compatible", "chat", {"options": {name: value}})
    [*why] = asked.lanes.why_not.values()
    assert bool(why) is (name in HANDLED)
    if why:
        assert f"`options.{name}`" in why[0]
    else:
        assert asked.by_litellm(CONTENT["chat"]) == asked.directly(CONTENT["chat"])


@pytest.mark.parametrize("own", [{}, {"timeout": 7}, {"stream_timeout": 8}, {"timeout": 7, "stream_timeout": 8}])
@pytest.mark.parametrize("general", ["", ", stream_timeout: 9"])
def test_time_outs_are_those_of_litellm(litellm: Any, recorder: Recorder, own: dict[str, int], general: str) -> None:
    asked = Asked(litellm, recorder, "vllm", "chat", {"options": own} if own else {}, gateway=general)
    [deployment] = asked.router.model_list
    for stream, seconds in ((False, asked.direct.seconds), (True, asked.direct.stream_seconds)):
        given = asked.router._get_timeout({"stream": stream}, deployment["litellm_params"])
        assert (seconds.connect, seconds.first_token, seconds.between_tokens, seconds.whole) == (*[given] * 3, None)


@pytest.mark.parametrize(
    ("status", "kind"), [(503, "unavailable"), (500, "server_error"), (429, "rate_limited"), (400, "")]
)
def test_who_fails_is_asked_again_as_often_as_litellm_asks(
    litellm: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, status: int, kind: str
) -> None:
    """By its name, by its id where it is one of several or a plain name's, and by its id where it is alone."""
    monkeypatch.setattr(recorder, "status", status)
    monkeypatch.setattr(litellm, "calculate_retry_after", lambda **_: 0)
    models = ["m", "n"]
    mappings = {
        "capabilities": {"alone": {"preferred_models": ["m"]}, "both": {"preferred_models": models}},
        "fallback_chains": {"m": ["n"]},
    }
    asked = Asked(litellm, recorder, "vllm", "chat", {"models": models}, retries=2, mappings=mappings)
    wanted = {plain.name: plain.retries for plain in asked.lanes.plain.values()}
    wanted |= {direct.deployment: direct.retries for direct in asked.lanes.direct.values()}
    again = {}
    for name in wanted:
        recorder.seen.clear()
        with pytest.raises(litellm.exceptions.openai.APIError):
            asyncio.run(asked.router.acompletion(model=name, **CONTENT["chat"], fallbacks=[]))
        again[name] = len(recorder.seen) - 1
    assert again == {name: getattr(retries, kind, 0) for name, retries in wanted.items()}
    assert sorted(again.values()) == ([0, 0, 0, 0, 2, 2, 2] if kind else [0] * 7)


def test_the_models_for_which_litellm_changes_more_are_left_to_it(litellm: Any) -> None:
    plain = (litellm.OpenAIGPTConfig, litellm.OpenAIGPTAudioConfig, litellm.OpenAIConfig)
    manager, openai = litellm.utils.ProviderConfigManager, litellm.LlmProviders.OPENAI
    known = {name for name in litellm.open_ai_chat_completion_models if "/" not in name and not name.startswith("ft:")}
    special = {name for name in known if type(manager.get_provider_chat_config(name, openai)) not in plain}
    special |= {
        name
        for name, info in litellm.model_cost.items()
        if info.get("litellm_provider") == "openai" and info.get("mode") == "responses" and "/" not in name
    }
    assert {"o3", "gpt-5", "gpt-5-codex", "o1-pro"} <= special
    assert {name for name in special if not REASONING.search(name)} == set()
    assert not [name for name in ("gpt-4o", "gpt-4.1-mini", "llama3:8b", "org/model-o1x") if REASONING.search(name)]


@pytest.mark.parametrize("kind", [kind for kind, speech in SPEECH.items() if speech.address])
def test_services_are_asked_where_litellm_asks_them(litellm: Any, kind: str) -> None:
    *_, address = litellm.get_llm_provider(model=f"{TYPES[kind].prefix}/some-model", api_key="k")
    assert address in (SPEECH[kind].address, None)
    assert urlsplit(SPEECH[kind].address).hostname in TYPES[kind].hosts
