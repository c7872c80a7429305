"""Every provider type against what really goes over the wire: a recording server stands in for the provider."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from aiops.render.litellm import litellm_config
from aiops.spec.load import load
from aiops.spec.provider_types import TYPES, Mode
from aiops.spec.resolve import resolve

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


@pytest.fixture(scope="module")
def litellm() -> Iterator[Any]:
    """LiteLLM takes five seconds to import: only for these tests, and without asking the network for prices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        patch.setattr(litellm, "suppress_debug_info", True)
        yield litellm


@dataclass
class Recorder:
    port: int = 0
    seen: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    record = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            key = (
                self.headers.get("x-api-key")
                or (self.headers.get("authorization") or "").removeprefix("Bearer ")
                or None
            )
            record.seen.append((self.path, key, body))
            answer = json.dumps(_answer(self.path, body.get("model", ""))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        record.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield record
        server.shutdown()


def _answer(path: str, model: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    counts = {"done": True, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1}
    if path == "/api/chat":
        return {
            "model": model,
            "created_at": "2025-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": "hi"},
            **counts,
        }
    if path == "/api/generate":
        return {"model": model, "created_at": "2025-01-01T00:00:00Z", "response": "hi", **counts}
    if path == "/api/embed":
        return {"model": model, "embeddings": [[0.1, 0.2]], "prompt_eval_count": 1}
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {"object": "list", "model": model, "data": data, "usage": usage}
    if path.endswith("/messages"):
        text = [{"type": "text", "text": "hi"}]
        counted = {"input_tokens": 1, "output_tokens": 1}
        return {
            "id": "x",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": text,
            "usage": counted,
            "stop_reason": "end_turn",
        }
    chat = path.endswith("/chat/completions")
    choice = {"message": {"role": "assistant", "content": "hi"}} if chat else {"text": "hi"}
    kind = "chat.completion" if chat else "text_completion"
    choices = [{"index": 0, "finish_reason": "stop", **choice}]
    return {"id": "x", "object": kind, "created": 1, "model": model, "choices": choices, "usage": usage}


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
