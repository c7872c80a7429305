"""Every provider type against what really goes over the wire: a recording server stands in for the provider."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from aiops.render.litellm import litellm_config
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.option_tables import HANDLING, OPTIONS
from aiops.spec.shapes.provider_types import TYPES, Mode
from tests.unit.spec.recorder import Recorder

NAMES = ["plain", "org/model", "llama3:8b", "my model", "modèle-été", "openai/gpt", "a,b"]
STRAY_KEYS = ("OPENAI_API_KEY", "OLLAMA_API_KEY", "LLAMAFILE_API_KEY", "HOSTED_VLLM_API_KEY")
BODY_KEYS = {"model", "messages", "max_tokens", "prompt", "input", "stream", "options", "images", "encoding_format"}

Wanted = dict[tuple[str, Mode], str]
PATHS: Wanted = {
    ("ollama", "chat"): "/api/chat",
    ("ollama", "completion"): "/api/generate",
    ("ollama", "embedding"): "/api/embed",
    ("anthropic", "chat"): "/v1/messages",
}
for _type in ("llama_cpp", "vllm", "openai_compatible", "openai"):
    PATHS |= {
        (_type, "chat"): "/v1/chat/completions",
        (_type, "completion"): "/v1/completions",
        (_type, "embedding"): "/v1/embeddings",
    }


def _config(kind: str, mode: Mode, base_url: str) -> dict[str, Any]:
    models = [{"name": name, "mode": mode, "description": "d", "context_length": 9, "tags": ["t"]} for name in NAMES]
    provider = {"type": kind, "base_url": base_url, "models": models, "notes": "n", "features": ["f"]}
    if TYPES[kind].cloud:
        provider["api_key_env"] = "AIOPS_TEST_KEY"
    settings = b"gateway: {port: 4000, request_timeout: 5}"
    state = load({"aiops.yaml": settings, "providers.yaml": json.dumps({"providers": {"p": provider}}).encode()}, {})
    config: dict[str, Any] = yaml.safe_load(litellm_config(state, resolve(state), aiops_version="1"))
    return config


@pytest.mark.parametrize(("kind", "mode"), PATHS)
def test_the_request_upstream_is_what_the_provider_expects(
    litellm: Any, kind: str, mode: Mode, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right path, the model's name unchanged, no parameter the provider does not know, no key of somebody else."""
    for name in STRAY_KEYS:
        monkeypatch.setenv(name, "sk-somebody-elses")
    monkeypatch.setenv("AIOPS_TEST_KEY", "sk-the-right-one")
    config = _config(kind, mode, f"http://127.0.0.1:{recorder.port}")
    router = litellm.Router(model_list=config["model_list"], **config["router_settings"])

    async def ask(model: str) -> None:
        if mode == "embedding":
            await router.aembedding(model=model, input=["x"])
        elif mode == "completion":
            await router.atext_completion(model=model, prompt="hello", max_tokens=3)
        else:
            await router.acompletion(model=model, messages=[{"role": "user", "content": "hello"}], max_tokens=3)

    async def ask_all() -> None:
        for model in NAMES:
            await ask(model)

    recorder.seen.clear()
    asyncio.run(ask_all())
    assert [(path, body["model"]) for path, _, body in recorder.seen] == [(PATHS[kind, mode], name) for name in NAMES]
    keys = {key for _, key, _ in recorder.seen}
    assert keys <= ({"sk-the-right-one"} if TYPES[kind].cloud else {"none", None})
    assert {key for _, _, body in recorder.seen for key in body} <= BODY_KEYS


@pytest.mark.parametrize("kind", TYPES)
def test_litellm_knows_the_type(litellm: Any, kind: str) -> None:
    for mode in ("chat", "completion", "embedding"):
        prefix = TYPES[kind].prefix_for(mode)
        model, provider, *_ = litellm.get_llm_provider(
            f"{prefix}/org/model", api_base="http://127.0.0.1:1", api_key="k"
        )
        assert (model, provider) == ("org/model", prefix)


@pytest.mark.parametrize("kind", sorted(kind for kind, row in TYPES.items() if row.cloud))
def test_a_worker_may_connect_to_where_litellm_goes_for_a_service(litellm: Any, kind: str) -> None:
    """What the guard of a worker's connections lets through (gateway/worker/egress.py) without a written address."""
    row = TYPES[kind]
    for mode in ("chat", "embedding"):
        *_, address = litellm.get_llm_provider(model=f"{row.prefix_for(mode)}/some-model", api_key="k")
        assert address is None or urlsplit(address).hostname in row.hosts


@pytest.mark.parametrize("kind", TYPES)
def test_the_table_says_truly_which_types_can_embed(litellm: Any, kind: str) -> None:
    """LiteLLM refuses before it opens a connection when it cannot; port 9 refuses the connection when it can."""
    with pytest.raises(Exception) as caught:
        litellm.embedding(
            model=f"{TYPES[kind].prefix_for('embedding')}/x",
            input=["a"],
            api_base="http://127.0.0.1:9",
            api_key="k",
            timeout=2,
            max_retries=0,
        )
    assert ("Unmapped LLM provider" not in str(caught.value)) is TYPES[kind].embeds


VALUES: dict[str, Any] = {
    "whole": 3, "number": 0.5, "text": "low", "switch": False, "texts": ["END"], "wholes": [1, 2],
    "mapping": {"a": 1}, "secret": "os.environ/X", "duration": "5m", "switch_or_text": False,
}  # fmt: skip
SPECIAL: dict[str, Any] = {"service_tier": "flex", "thinking": {"type": "enabled", "budget_tokens": 2000}}
# LiteLLM takes these for models that it knows to have them.
ONLY_ON = {"reasoning_effort": "gpt-5", "verbosity": "gpt-5", "thinking": "claude-sonnet-4-5-20250929"}
HANDLED = ("no such name",)
ACCOUNTS: dict[str, tuple[str, ...]] = {
    "bedrock": ("aws_",),
    "vertex_ai": ("vertex_",),
    "azure": ("azure_", "api_version", "tenant_id", "client_"),
}
SERVED = {
    "azure": ("some-model", "gpt-5"),
    "bedrock": ("anthropic.claude-3-7-sonnet-20250219-v1:0",),
    "vertex_ai": ("gemini-2.5-pro",),
}
PASSED_ON = {"bedrock": ("top_k", "thinking"), "azure": ("prompt_cache_key", "safety_identifier", "dimensions")}
BESIDE_THE_OPTIONS = {"keep_alive", "think", "truncate"}


def _sent(litellm: Any, kind: str, mode: Mode, name: str, value: Any, recorder: Recorder, **request: Any) -> Any:
    """The body that arrives at a provider with that one option, asked through a router as the gateway has it."""
    model = "text-embedding-3-small" if (kind, mode) == ("openai", "embedding") else "m"
    model = ONLY_ON.get(name, model) if kind in ("openai", "anthropic") else model
    provider = {
        "type": kind,
        "base_url": f"http://127.0.0.1:{recorder.port}",
        "options": {name: value},
        "models": [{"name": model, "mode": mode}],
    }
    if TYPES[kind].cloud:
        provider["api_key_env"] = "AIOPS_TEST_KEY"
    sources = {"aiops.yaml": b"gateway: {port: 4000, request_timeout: 5}"}
    state = load({**sources, "providers.yaml": json.dumps({"providers": {"p": provider}}).encode()}, {})
    config = yaml.safe_load(litellm_config(state, resolve(state), aiops_version="1"))
    router = litellm.Router(model_list=config["model_list"], **config["router_settings"])
    calls = {
        "embedding": (router.aembedding, {"input": ["x"]}),
        "completion": (router.atext_completion, {"prompt": "hello"}),
        "chat": (router.acompletion, {"messages": [{"role": "user", "content": "hello"}]}),
    }
    call, content = calls[mode]
    recorder.seen.clear()
    asyncio.run(call(model=model, **content, **request))
    return recorder.seen[-1][2]


def _arrived(kind: str, name: str, body: dict[str, Any]) -> Any:
    if name == "extra_body":
        return {key: body.get(key) for key in VALUES["mapping"]}
    return body["options"].get(name) if kind == "ollama" and name not in BESIDE_THE_OPTIONS else body.get(name)


@pytest.mark.parametrize(("kind", "mode"), PATHS)
def test_every_option_reaches_the_backend_under_its_own_name(
    litellm: Any, kind: str, mode: Mode, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOPS_TEST_KEY", "sk-the-right-one")
    wrong = {}
    for name, option in OPTIONS[kind].items():
        if mode in option.modes and name not in HANDLING:
            value = SPECIAL.get(name, VALUES[option.kind])
            got = _arrived(kind, name, _sent(litellm, kind, mode, name, value, recorder))
            if got != value:
                wrong[name] = got
    assert not wrong


@pytest.mark.parametrize(
    ("kind", "name", "request_name"),
    [
        ("ollama", "num_predict", "max_tokens"),
        ("ollama", "temperature", "temperature"),
        ("llama_cpp", "top_k", "top_k"),
        ("llama_cpp", "max_tokens", "max_tokens"),
        ("vllm", "min_tokens", "min_tokens"),
        ("openai_compatible", "temperature", "temperature"),
        ("anthropic", "max_tokens", "max_tokens"),
    ],
)
def test_what_a_request_asks_for_goes_before_an_option(
    litellm: Any, kind: str, name: str, request_name: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOPS_TEST_KEY", "sk-the-right-one")
    body = _sent(litellm, kind, "chat", name, 5, recorder, **{request_name: 77})
    assert _arrived(kind, name, body) == 77


@pytest.mark.parametrize("kind", [kind for kind in TYPES if TYPES[kind].discovery is None])
def test_litellm_passes_every_option_of_a_service_on(litellm: Any, kind: str) -> None:
    known = {
        name
        for model in SERVED.get(kind, ("some-model",))
        for name in litellm.get_supported_openai_params(model=model, custom_llm_provider=TYPES[kind].prefix)
    }
    own = {name for name in OPTIONS[kind] if name.startswith(ACCOUNTS.get(kind, HANDLED))} | HANDLING
    assert set(OPTIONS[kind]) <= {*known, *own, *PASSED_ON.get(kind, ())}


def test_what_litellm_does_itself_is_never_sent_to_the_provider(litellm: Any, recorder: Recorder) -> None:
    values = {**VALUES, "seconds": 5, "mapping": {"x-extra": "here"}, "whole": 1, "texts": ["user"]}
    for name in sorted(HANDLING):
        body = _sent(
            litellm, "openai_compatible", "chat", name, values[OPTIONS["openai_compatible"][name].kind], recorder
        )
        assert set(body) <= {"model", "messages"}, name


def test_an_extra_header_arrives(litellm: Any, recorder: Recorder) -> None:
    _sent(litellm, "openai_compatible", "chat", "extra_headers", {"x-extra": "here"}, recorder)
    assert recorder.headers["x-extra"] == "here"


def test_every_type_has_options() -> None:
    assert OPTIONS.keys() == TYPES.keys()
    for table in OPTIONS.values():  # two names for one thing could not both be right
        names = [option.litellm or name for name, option in table.items()]
        assert len(set(names)) == len(names)


def test_litellm_counts_what_a_request_cost_with_the_written_price(litellm: Any, recorder: Recorder) -> None:
    provider = {"type": "vllm", "base_url": f"http://127.0.0.1:{recorder.port}", "models": ["m"]}
    provider["cost_per_1k_tokens"] = 0.5
    sources = {"aiops.yaml": b"gateway: {port: 4000, request_timeout: 5}"}
    state = load({**sources, "providers.yaml": json.dumps({"providers": {"p": provider}}).encode()}, {})
    config = yaml.safe_load(litellm_config(state, resolve(state), aiops_version="1"))
    router = litellm.Router(model_list=config["model_list"], **config["router_settings"])
    answer = asyncio.run(router.acompletion(model="m", messages=[{"role": "user", "content": "hello"}]))
    assert answer._hidden_params["response_cost"] == pytest.approx(0.001)  # the double counts two tokens


EXAMPLES = Path(__file__).resolve().parents[3] / "config" / "providers.yaml"
TEMPLATES = re.findall(r"^  (template_\w+):", EXAMPLES.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_works_when_it_is_filled_in(
    litellm: Any, name: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(key, "sk-the-right-one")
    # As a person would: the capitals, and the status of this one.
    filled = EXAMPLES.read_text().replace("HOST:PORT", f"127.0.0.1:{recorder.port}").replace("PORT", str(recorder.port))
    filled = filled.replace("127.0.0.1:11434", f"127.0.0.1:{recorder.port}").replace("- MODEL ", "- my-model ")
    filled = filled.replace("- MODEL\n", "- my-model\n")
    head, mark, rest = filled.partition(f"\n  {name}:")
    text = head + mark + rest.replace("status: template", "status: active", 1)
    state = load({"aiops.yaml": b"gateway: {port: 4000, request_timeout: 5}", "providers.yaml": text.encode()}, {})
    [route] = resolve(state).routes
    config = yaml.safe_load(litellm_config(state, resolve(state), aiops_version="1"))
    if state.providers[name].kind.cloud:  # the service's own address, for once
        params = config["model_list"][0]["litellm_params"]
        params["api_base"] = f"http://127.0.0.1:{recorder.port}{state.providers[name].kind.suffix}"
    router = litellm.Router(model_list=config["model_list"], **config["router_settings"])
    recorder.seen.clear()
    asyncio.run(router.acompletion(model=route.model, messages=[{"role": "user", "content": "hello"}], max_tokens=3))
    [(path, key, body)] = recorder.seen
    assert (path, body["model"]) == (PATHS[state.providers[name].type, "chat"], route.model)
    assert key in (("sk-the-right-one",) if state.providers[name].kind.cloud else ("none", None))


def test_there_is_a_template_for_each_kind_of_server() -> None:
    own = {kind for kind in TYPES if not TYPES[kind].cloud} | {"openai", "anthropic"}
    assert set(TEMPLATES) == {f"template_{kind}" for kind in own}
