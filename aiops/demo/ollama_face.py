"""Ollama's own API in the double: tags, show, ps, version, chat, generate, embed and pull (NDJSON streams)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from aiops.demo.control import Control
from aiops.demo.openai_face import answer_length, embedding, embeds, words
from aiops.demo.wire import NDJSON, Answer, Stream, as_json, encode

VERSION = "0.13.0"
WHEN = "2026-01-01T00:00:00Z"
SIZE = 4_000_000
DETAILS = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
           "parameter_size": "7B", "quantization_level": "Q4_0"}  # fmt: skip
MODEL_INFO = {"general.architecture": "llama", "general.parameter_count": 6738415616, "llama.context_length": 8192}


def get(path: str, control: Control) -> Answer | None:
    """Answer a GET, or None when Ollama has no such page."""
    match path:
        case "/":
            return Answer(b"Ollama is running", content_type=b"text/plain; charset=utf-8")
        case "/api/version":
            return as_json({"version": VERSION})
        case "/api/tags":
            return as_json({"models": [_tag(name) for name in control.models]})
        case "/api/ps":
            loaded = [_tag(name) | {"expires_at": WHEN, "size_vram": 0} for name in control.models]
            return as_json({"models": loaded})
    return None


def post(path: str, request: dict[str, Any], control: Control, add: Callable[[str], None]) -> Answer | Stream | None:
    """Answer a POST, or None when Ollama has no such page. A finished pull calls ``add(model)``."""
    name = str(request.get("model") or request.get("name") or "")
    if path == "/api/pull":
        return _pull(name, request, control, add)
    if path not in ("/api/chat", "/api/generate", "/api/show", "/api/embed", "/api/embeddings"):
        return None
    # "name" and "name:latest" are the same model to Ollama.
    if not {name, name.removesuffix(":latest"), f"{name}:latest"} & set(control.models):
        return as_json({"error": f"model '{name}' not found"}, 404)
    if embeds(name) and path in ("/api/chat", "/api/generate"):
        return as_json({"error": f'"{name}" does not support {path.rpartition("/")[2]}'}, 400)
    if path == "/api/show":
        return as_json({"license": "", "modelfile": f"FROM {name}", "parameters": "", "template": "{{ .Prompt }}",
                        "details": DETAILS, "model_info": MODEL_INFO,
                        "capabilities": ["embedding" if embeds(name) else "completion"],
                        "modified_at": WHEN})  # fmt: skip
    if path == "/api/embeddings":
        return as_json({"embedding": embedding(str(request.get("prompt", "")))})
    if path == "/api/embed":
        given = request.get("input", "")
        inputs = given if isinstance(given, list) else [given]
        return as_json({"model": name, "embeddings": [embedding(str(text)) for text in inputs],
                        "total_duration": 1, "load_duration": 1, "prompt_eval_count": len(inputs)})  # fmt: skip
    return _answer(path, name, request, control)


def _answer(path: str, name: str, request: dict[str, Any], control: Control) -> Answer | Stream:
    options = request.get("options") or {}
    count, finish = answer_length({"max_tokens": options.get("num_predict")}, control)

    def part(text: str) -> dict[str, Any]:
        content = {"message": {"role": "assistant", "content": text}} if path == "/api/chat" else {"response": text}
        return {"model": name, "created_at": WHEN, **content, "done": False}

    end = {"done": True, "done_reason": finish, "total_duration": 9_000_000, "load_duration": 1_000_000,
           "prompt_eval_count": 4, "prompt_eval_duration": 1_000_000,
           "eval_count": count, "eval_duration": 7_000_000}  # fmt: skip
    if request.get("stream", True):
        lines = [*(part(word) for word in words(count)), part("") | end]
        cuts = {"drop_mid_stream": count // 2, "drop_before_token": 0}
        cut = cuts.get(control.mode) if control.applies_to(path) else None
        return Stream((encode(line) + b"\n" for line in lines), NDJSON, control.chunk_delay, cut)
    return as_json(part("".join(words(count))) | end)


def _pull(name: str, request: dict[str, Any], control: Control, add: Callable[[str], None]) -> Answer | Stream:
    """Names that begin with "missing" do not exist. As with the real one, the error comes inside a 200."""
    if not name:
        return as_json({"error": "model is required"}, 400)
    digest = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
    progress = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": SIZE}

    def steps() -> Iterator[dict[str, Any]]:
        yield {"status": "pulling manifest"}
        if name.startswith("missing"):
            yield {"error": "pull model manifest: file does not exist"}
            return
        for quarter in range(5):
            yield progress | {"completed": SIZE * quarter // 4}
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        add(name)
        yield {"status": "success"}

    if request.get("stream", True):
        cut = 3 if control.mode == "drop_mid_stream" and control.applies_to("/api/pull") else None
        return Stream((encode(step) + b"\n" for step in steps()), NDJSON, control.chunk_delay, cut)
    last = list(steps())[-1]
    return as_json(last, 500 if "error" in last else 200)


def _tag(name: str) -> dict[str, Any]:
    full = name if ":" in name else f"{name}:latest"
    digest = hashlib.sha256(full.encode()).hexdigest()
    return {"name": full, "model": full, "modified_at": WHEN, "size": SIZE, "digest": digest, "details": DETAILS}
