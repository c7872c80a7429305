"""A recording double of every provider: canned answers on loopback, and a note of each request that arrived."""

from __future__ import annotations

import hashlib
import json
import re
import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY

MARK = re.compile(r"proof-([0-9]+)(?:-fail-([0-9]+)-([0-9]+))?-end")
"""In what is asked: which question it is, and with which status how often the double is to fail first.

The status 0 is no answer at all: until whoever asks has lost patience.
"""
LITELLMS_KEY = "fake-api-key"
"""What LiteLLM sends where there is no key."""
_SILENT = 10.0
"""Seconds for which nothing is answered at most."""
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
_DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}


@dataclass(frozen=True)
class Arrived:
    """One request as it arrived. ``at``: the provider's origin, in the words of the original file."""

    at: str
    path: str
    key: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def named(self) -> str:
        """Who was asked for what, without the key, which is no text for people; whose it is tells two keys apart."""
        of = f"{self.body.get('model') or self.path} at {self.at}"
        if self.key in ("", PLACEHOLDER_KEY, LITELLMS_KEY):
            return of
        return f"{of} (key {hashlib.sha256(self.key.encode()).hexdigest()[:4]})"

    @property
    def patience(self) -> float | None:
        """After how many seconds who asks gives up, where they say so: `200` and `200.0` are the same."""
        with suppress(KeyError, ValueError):
            return float(self.headers["x-stainless-read-timeout"])
        return None


@dataclass
class Journal:
    """What arrived, by question."""

    seen: dict[str, list[Arrived]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, question: str, arrived: Arrived) -> int:
        """Remember a request; how many of the same question there are now."""
        with self.lock:
            found = self.seen.setdefault(question, [])
            found.append(arrived)
            return len(found)

    def take(self, question: str) -> list[Arrived]:
        """What arrived for a question; it is forgotten."""
        with self.lock:
            return self.seen.pop(question, [])


class Doubles:
    """One server for each origin. ``addresses``: origin -> its stand-in."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.addresses: dict[str, str] = {}
        self._servers: list[ThreadingHTTPServer] = []

    def address(self, origin: str) -> str:
        """Where the double for ``origin`` is, started when it is needed."""
        if origin not in self.addresses:
            server = _Server(("127.0.0.1", 0), _handler(origin, self.journal))
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
            self._servers.append(server)
            self.addresses[origin] = f"http://127.0.0.1:{server.server_address[1]}"
        return self.addresses[origin]

    def close(self) -> None:
        """Stop all of them."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def doubles() -> Iterator[Doubles]:
    """Doubles for as long as they are needed."""
    made = Doubles()
    try:
        yield made
    finally:
        made.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(origin: str, journal: Journal) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

        def do_GET(self) -> None:
            """Whatever is looked for is there: models are proved by asking them."""
            self._send(200, {"object": "list", "data": [], "models": [], "status": "ok"})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                body = json.loads(raw)
            except ValueError:  # audio and pictures come as forms
                text = raw.decode("latin-1")
                body = dict(re.findall(r'name="(\w+)"\r\n\r\n([^\r]*)\r\n', text))
            text = raw.decode("latin-1")
            mark = MARK.search(text)
            headers = {name.lower(): value for name, value in self.headers.items()}
            key = headers.get("x-api-key") or headers.get("api-key") or headers.get("authorization", "")
            count = 0
            if mark is not None:
                arrived = Arrived(origin, self.path, key.removeprefix("Bearer "), headers, body)
                count = journal.note(mark[1], arrived)
            if mark is not None and mark[2] == "0" and count <= int(mark[3]):
                select.select([self.connection], [], [], _SILENT)  # until they hang up
                self.close_connection = True
                return
            if mark is not None and mark[2] and count <= int(mark[3]):
                self._send(int(mark[2]), {"error": {"message": "as asked", "type": "proof", "code": int(mark[2])}})
                return
            if "slow-proof" in text:
                time.sleep(0.3)
            path, _, query = self.path.partition("?")
            # An address with a query has the path put behind that.
            self._answer(self.path if "/" in query else path, body)

        def _answer(self, path: str, body: Mapping[str, Any]) -> None:
            model = str(body.get("model", ""))
            answer = _canned(path, model, body)
            if path.endswith("/speech"):
                self._raw(200, b"ID3", "audio/mpeg")
            elif body.get("stream") and "/api/" in path:
                self._raw(200, json.dumps(answer).encode() + b"\n", "application/x-ndjson")
            elif body.get("stream"):
                self._raw(200, _events(path, model), "text/event-stream")
            else:
                self._send(200, answer)

        def _send(self, status: int, content: Mapping[str, Any]) -> None:
            self._raw(status, json.dumps(content).encode(), "application/json")

        def _raw(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _events(path: str, model: str) -> bytes:
    if path.endswith("/messages"):
        start: dict[str, Any] = {"type": "message_start", "message": {**_canned(path, model, {}), "content": []}}
        events: list[dict[str, Any]] = [start, {"type": "message_stop"}]
        return b"".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in events)
    chat = path.endswith("/chat/completions")
    choice: dict[str, Any] = {"delta": {"role": "assistant", "content": "hi"}} if chat else {"text": "hi"}
    base = {"id": "x", "object": "chat.completion.chunk" if chat else "text_completion", "created": 1, "model": model}
    end: dict[str, Any] = {"index": 0, "finish_reason": "stop", **({"delta": {}} if chat else {"text": ""})}
    parts: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "finish_reason": None, **choice}]},
        {"choices": [end], "usage": _USAGE},
    ]
    return b"".join(f"data: {json.dumps(base | part)}\n\n".encode() for part in parts) + b"data: [DONE]\n\n"


def _canned(path: str, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    about: dict[str, Any]
    if path.endswith("/api/chat"):
        return {"model": model, "created_at": "2025-01-01T00:00:00Z", "message": _said(), **_DONE}
    if path.endswith("/api/generate"):
        return {"model": model, "created_at": "2025-01-01T00:00:00Z", "response": "hi", **_DONE}
    if path.endswith("/api/embed"):
        return {"model": model, "embeddings": [[0.1, 0.2]], "prompt_eval_count": 3}
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {"object": "list", "model": model, "data": data, "usage": _USAGE}
    if path.endswith("/messages"):
        counted = {"input_tokens": 3, "output_tokens": 2}
        about = {
            "id": "x",
            "type": "message",
            "role": "assistant",
            "model": model,
            "stop_reason": "end_turn",
        }
        return {**about, "content": [{"type": "text", "text": "hi"}], "usage": counted}
    if path.endswith("/responses"):
        text = {"type": "output_text", "text": "hi", "annotations": []}
        said = {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [text]}
        counted = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        about = {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": model,
        }
        more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return {**about, **more, "output": [said], "usage": counted}
    if "/audio/" in path:
        return {"text": "hi"}
    if "/images/" in path:
        return {"created": 1, "data": [{"b64_json": "aGk="}]}
    if path.endswith("/rerank"):
        return {"id": "r", "results": [{"index": 0, "relevance_score": 0.9}], "usage": {"total_tokens": 3}, "meta": {}}
    if path.endswith("/moderations"):
        return {"id": "m", "model": model, "results": [{"flagged": False, "categories": {}, "category_scores": {}}]}
    chat = path.endswith("/chat/completions")
    choice: dict[str, Any] = {"message": _said()} if chat else {"text": "hi"}
    choices = [{"index": 0, "finish_reason": "stop", **choice}]
    kind = "chat.completion" if chat else "text_completion"
    about = {"id": "x", "object": kind, "created": 1, "model": model}
    return {**about, "service_tier": "default", "choices": choices, "usage": _USAGE}  # groq's always has a tier


def _said() -> dict[str, str]:
    return {"role": "assistant", "content": "hi"}
