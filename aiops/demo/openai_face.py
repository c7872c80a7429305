"""The OpenAI side of the double: models, chat and text completions (plain and SSE, with usage), embeddings."""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from aiops.demo.control import Control, Face
from aiops.demo.wire import SSE, Answer, Stream, as_json, encode

CREATED = 1_700_000_000
EMBEDDING_SIZE = 8
_numbers = itertools.count(1)


def models(control: Control, face: Face) -> Answer:
    """``GET /v1/models``. A real Ollama without models says ``"data": null``."""
    entries = [_model(name, face) for name in control.models]
    return as_json({"object": "list", "data": entries if entries or face != "ollama" else None})


def complete(path: str, request: dict[str, Any], control: Control, face: Face) -> Answer | Stream:
    """Answer one POST to ``/v1/chat/completions``, ``/v1/completions`` or ``/v1/embeddings``."""
    model = request.get("model")
    if not isinstance(model, str):
        return error("you must provide a model parameter", 400, face, "model")
    if not control.has(model):
        return unknown_model(model, face)
    if path.endswith("/embeddings"):
        return (
            error("The model does not support Embeddings API", 400, face)
            if transcribes(model)
            else _embeddings(model, request)
        )
    if embeds(model) or transcribes(model):
        return _no_chat(face)
    chat = path.endswith("/chat/completions")
    if "messages" not in request if chat else "prompt" not in request:
        missing = "messages" if chat else "prompt"
        return error(f"Missing required parameter: '{missing}'.", 400, face, missing)
    count, finish = answer_length(request, control)
    prompt_tokens = len(str(request.get("messages" if chat else "prompt"))) // 4 + 1
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": count, "total_tokens": prompt_tokens + count}
    if request.get("stream"):
        wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        cut = _cut(control, chat, count) if control.applies_to(path) else None
        events = _events(chat, model, count, finish, usage if wants_usage else None)
        return Stream(events, SSE, control.chunk_delay, cut)
    text = "".join(words(count))
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return as_json(_envelope(chat, model, chunk=False) | {"choices": [choice], "usage": usage})


def _cut(control: Control, chat: bool, count: int) -> int | None:
    """After how many pieces a stream is broken; the first piece of a chat has no word in it yet."""
    return {"drop_mid_stream": 1 + count // 2, "drop_before_token": int(chat)}.get(control.mode)


def words(count: int) -> Iterator[str]:
    """The content of an answer: numbered, so that a missing or doubled piece shows."""
    return (f"w{number} " for number in range(count))


def answer_length(request: dict[str, Any], control: Control) -> tuple[int, str]:
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if isinstance(limit, int) and limit < control.tokens:
        return limit, "length"
    return control.tokens, "stop"


def embeds(model: str) -> bool:
    """The kinds of models that are none to chat with: told by their names, having no other sign."""
    return "embed" in model


def transcribes(model: str) -> bool:
    return "whisper" in model


def _no_chat(face: Face) -> Answer:
    if face == "vllm":
        return error("The model does not support Chat Completions API", 400, face)
    said = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
    return error(said, 404, face, "model")


def transcription(form: bytes, control: Control, face: Face) -> Answer:
    """``POST /v1/audio/transcriptions``; ``form``: the body, of which only the name of the model is looked for."""
    model = next((name for name in (*control.models, *control.unlisted) if name.encode() in form), None)
    if model is None:
        return unknown_model("?", face)
    if not transcribes(model):
        return error("The model does not support Transcriptions API", 400, face)
    return as_json({"text": "nothing was said"})


def unknown_model(model: str, face: Face) -> Answer:
    if face == "openai":
        text = f"The model `{model}` does not exist or you do not have access to it."
        return as_json({"error": {"message": text, "type": "invalid_request_error", "param": None,
                                  "code": "model_not_found"}}, 404)  # fmt: skip
    if face == "vllm":
        return error(f"The model `{model}` does not exist.", 404, face, "model", "NotFoundError")
    return error(f"model {model!r} not found", 404, face)


def error(message: str, status: int, face: Face, param: str | None = None, kind: str = "") -> Answer:
    """An error in the shape of the face: vLLM puts the status into ``code``, the others do not."""
    default = "BadRequestError" if face == "vllm" else "api_error" if face == "ollama" else "invalid_request_error"
    code = status if face == "vllm" else None
    return as_json({"error": {"message": message, "type": kind or default, "param": param, "code": code}}, status)


def _model(name: str, face: Face) -> dict[str, Any]:
    owner = {"openai": "double", "vllm": "vllm", "ollama": "library"}[face]
    entry: dict[str, Any] = {"id": name, "object": "model", "created": CREATED, "owned_by": owner}
    if face == "vllm":
        rights = {"allow_sampling": True, "allow_logprobs": True, "allow_view": True, "is_blocking": False}
        permission = {"id": "modelperm-double", "object": "model_permission", "created": CREATED, **rights}
        entry |= {"root": name, "parent": None, "max_model_len": 2048, "permission": [permission]}
    return entry


def _envelope(chat: bool, model: str, *, chunk: bool) -> dict[str, Any]:
    prefix, kind = ("chatcmpl", "chat.completion") if chat else ("cmpl", "text_completion")
    kind += ".chunk" if chat and chunk else ""
    return {"id": f"{prefix}-{next(_numbers)}", "object": kind, "created": CREATED, "model": model}


def _events(chat: bool, model: str, count: int, finish: str, usage: dict[str, int] | None) -> Iterator[bytes]:
    envelope = _envelope(chat, model, chunk=True)

    def event(delta: dict[str, Any], text: str, reason: str | None) -> bytes:
        choice = {"index": 0, "finish_reason": reason} | ({"delta": delta} if chat else {"text": text})
        return b"data: " + encode(envelope | {"choices": [choice]}) + b"\n\n"

    if chat:
        yield event({"role": "assistant", "content": ""}, "", None)
    for word in words(count):
        yield event({"content": word}, word, None)
    yield event({}, "", finish)
    if usage:
        yield b"data: " + encode(envelope | {"choices": [], "usage": usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _embeddings(model: str, request: dict[str, Any]) -> Answer:
    given = request.get("input", "")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    data: list[dict[str, Any]] = []
    for index, text in enumerate(inputs):
        vector: Any = embedding(str(text))
        if request.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{EMBEDDING_SIZE}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(str(text)) // 4 + 1 for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return as_json({"object": "list", "model": model, "data": data, "usage": usage})


def embedding(text: str) -> list[float]:
    """The same text always has the same vector; different texts have different ones."""
    return [zlib.crc32(f"{index}:{text}".encode()) / 2**32 for index in range(EMBEDDING_SIZE)]
