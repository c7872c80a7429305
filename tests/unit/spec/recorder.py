"""A server that stands in for a provider and writes down what it is asked, and LiteLLM that asks it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


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
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


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
            record.headers = {name.lower(): value for name, value in self.headers.items()}
            said = _answer(self.path, body.get("model", "")) if record.status == 200 else {"error": {"message": "no"}}
            answer = json.dumps(said).encode()
            self.send_response(record.status)
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
