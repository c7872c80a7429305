"""What a provider that is well answers: of everything that was asked for something, and the same each time."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from typing import Any

CREATED = 1_700_000_000
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\nx-request-id: of-the-provider\r\n\r\n"
)
WORDS = ("Grüße", " 👋", " to", " you")
DONE = b"data: [DONE]\n\n"


def listing(models: Iterable[str]) -> bytes:
    return whole({"object": "list", "data": [{"id": model, "object": "model"} for model in models]})


def answer(target: str, said: dict[str, Any]) -> bytes:
    """The bytes of a whole answer."""
    path = target.partition("?")[0]
    if path.endswith("/audio/speech"):
        return _head(AUDIO, "audio/mpeg") + AUDIO
    if said.get("stream"):
        return streamed(events(path, said))
    return whole(one(path, said))


AUDIO = b"ID3\x03\x00" + bytes(range(256)) * 4


def whole(said: object, status: str = "200 OK") -> bytes:
    body = json.dumps(said).encode()
    return _head(body, "application/json", status) + body


def streamed(pieces: list[bytes]) -> bytes:
    return STREAM_HEAD + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


def event(said: object) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def _head(body: bytes, kind: str, status: str = "200 OK") -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        "x-request-id: of-the-provider",
        "x-ratelimit-remaining-requests: 59",
        "openai-processing-ms: 12",
        "server: provider/1.0",
        "set-cookie: provider=1",
    )
    return "\r\n".join((*lines, "", "")).encode()


# --- in one piece -----------------------------------------------------------------------------------------------------


def one(path: str, said: dict[str, Any]) -> dict[str, Any]:
    """By the end of the path. Models have dated names, as services give them."""
    model = f"{said.get('model', '')}-2026-01"
    if path.endswith("/chat/completions"):
        return _chat(model, said)
    if path.endswith("/completions"):
        return _text(model, said)
    if path.endswith("/embeddings"):
        return _embeddings(model, said)
    if path.endswith("/responses"):
        return _response(model, said)
    if path.endswith("/rerank"):
        results = [{"index": at, "relevance_score": 0.5 - at / 100} for at, _ in enumerate(said.get("documents", ()))]
        return {"id": "rerank-1", "model": model, "results": results, "meta": {"billed_units": {"search_units": 1}}}
    if path.endswith(("/audio/transcriptions", "/audio/translations")):
        return {"text": "what was heard", "usage": {"type": "duration", "seconds": 1}}
    return {"error": {"message": f"there is nothing at {path}", "type": "invalid_request_error", "code": "404"}}


def marker(said: dict[str, Any]) -> str:
    """By which an answer is known to belong to its request: what its client calls itself."""
    return f" for {said['user']}" if isinstance(said.get("user"), str) else ""


def _chat(model: str, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [_choice(at, said) for at in range(_many(said.get("n")))],
        "usage": USAGE | {"completion_tokens_details": {"reasoning_tokens": 1}},
        "system_fingerprint": "fp_1",
        "service_tier": said.get("service_tier") or "default",
        "x_of_this_provider": {"queue": 0.25, "big": 12345678901234567890},
    }


def _many(n: object) -> int:
    return n if isinstance(n, int) and 0 < n < 9 else 1


def _choice(at: int, said: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS) + marker(said), "refusal": None}
    finish = "stop"
    if said.get("tools") and said.get("tool_choice") != "none":
        message |= {"content": None, "tool_calls": [_call(number) for number in range(_calls(said))]}
        finish = "tool_calls"
    elif said.get("response_format"):
        message["content"] = '{"answer": 42}'
    elif said.get("max_tokens") == 1 or said.get("max_completion_tokens") == 1:
        finish = "length"
    if said.get("reasoning_effort"):
        message["reasoning_content"] = "let me think"
    found = {"index": at, "message": message, "finish_reason": finish, "logprobs": None}
    return found | ({"logprobs": {"content": [_logprob("Grüße")], "refusal": None}} if said.get("logprobs") else {})


def _calls(said: dict[str, Any]) -> int:
    return 1 if said.get("parallel_tool_calls") is False else 2


def _call(number: int) -> dict[str, Any]:
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
    }


def _logprob(token: str) -> dict[str, Any]:
    said = {"token": token, "logprob": -0.0009765625, "bytes": list(token.encode())}
    return said | {"top_logprobs": [said]}


def _text(model: str, said: dict[str, Any]) -> dict[str, Any]:
    text = ("hello " if said.get("echo") else "") + "".join(WORDS) + marker(said)
    many = _many(said.get("n")) * (len(said["prompt"]) if _several(said.get("prompt")) else 1)
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}], "text_offset": [0]}
    choices = [
        {"index": at, "text": text, "finish_reason": "stop", "logprobs": logprobs if said.get("logprobs") else None}
        for at in range(many)
    ]
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": CREATED,
        "model": model,
        "choices": choices,
        "usage": USAGE,
    }


def _several(prompt: object) -> bool:
    return isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], str | list)


def _embeddings(model: str, said: dict[str, Any]) -> dict[str, Any]:
    numbers = [0.1, -0.25, 1e-9][: _many(said.get("dimensions")) if said.get("dimensions") else 3]
    embedding: object = numbers
    if said.get("encoding_format") == "base64":
        embedding = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    given = said.get("input")
    many = len(given) if isinstance(given, list) and given and isinstance(given[0], str | list) else 1
    data = [{"object": "embedding", "index": at, "embedding": embedding} for at in range(many)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 7, "total_tokens": 7}}


def _response(model: str, said: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    text = {"type": "output_text", "text": "".join(WORDS) + marker(said), "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [text]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": model,
        "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": said.get("tool_choice", "auto"),
        "tools": said.get("tools", []),
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10} if status == "completed" else None,
    }


# --- in events --------------------------------------------------------------------------------------------------------


def events(path: str, said: dict[str, Any]) -> list[bytes]:
    model = f"{said.get('model', '')}-2026-01"
    if path.endswith("/responses"):
        return _response_events(model, said)
    if path.endswith("/chat/completions"):
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": model}
        base |= {"system_fingerprint": "fp_1", "service_tier": "default"}
        choices = [choice for at in range(_many(said.get("n"))) for choice in _chat_choices(at, said)]
    else:
        base = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": model}
        choices = [{"index": 0, "text": word, "finish_reason": None, "logprobs": None} for word in WORDS]
        choices.append({"index": 0, "text": marker(said), "finish_reason": "stop", "logprobs": None})
    tells = (said.get("stream_options") or {}).get("include_usage") is True
    found = [base | {"choices": [choice]} | ({"usage": None} if tells else {}) for choice in choices]
    if tells:
        found.append(base | {"choices": [], "usage": USAGE})
    return [*map(event, found), DONE]


def _chat_choices(at: int, said: dict[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    finish = "stop"
    if said.get("reasoning_effort"):
        deltas += [{"reasoning_content": "let me"}, {"reasoning_content": " think"}]
    if said.get("tools") and said.get("tool_choice") != "none":
        finish = "tool_calls"
        for number in range(_calls(said)):
            call = _call(number)
            begun = {**call, "function": {"name": "weather", "arguments": ""}}
            deltas.append({"tool_calls": [{"index": number, **begun}]})
            for part in ('{"city"', ': "Köln"}'):
                deltas.append({"tool_calls": [{"index": number, "function": {"arguments": part}}]})
    else:
        deltas += [{"content": word} for word in WORDS]
        deltas += [{"content": marker(said)}] if marker(said) else []
    found = [{"index": at, "delta": delta, "finish_reason": None, "logprobs": None} for delta in deltas]
    if said.get("logprobs"):
        found[1]["logprobs"] = {"content": [_logprob("Grüße")], "refusal": None}
    return [*found, {"index": at, "delta": {}, "finish_reason": finish, "logprobs": None}]


def _response_events(model: str, said: dict[str, Any]) -> list[bytes]:
    begun = {"type": "response.created", "sequence_number": 0, "response": _response(model, said, "in_progress")}
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
    words = [
        delta | {"sequence_number": at, "delta": word} for at, word in enumerate([*WORDS, marker(said)], 1) if word
    ]
    over = {"type": "response.completed", "sequence_number": 9, "response": _response(model, said)}
    return [b"event: %s\n%s" % (each["type"].encode(), event(each)) for each in (begun, *words, over)]  # type: ignore[attr-defined]
