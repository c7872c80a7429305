"""Servers that write down who asks them: a provider that answers every endpoint a little, and a trap."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def _answer(path: str, model: str) -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    message = {"role": "assistant", "content": "hello"}
    answers: dict[str, Any] = {
        "/chat/completions": {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        },
        "/completions": {
            "id": "c",
            "object": "text_completion",
            "created": 1,
            "choices": [{"index": 0, "text": "hello", "finish_reason": "stop"}],
            "usage": usage,
        },
        "/embeddings": {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
            "usage": usage,
        },
        "/responses": {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        },
        "/moderations": {"id": "m", "results": [{"flagged": False, "categories": {}, "category_scores": {}}]},
        "/rerank": {"id": "r", "results": [{"index": 0, "relevance_score": 0.9}], "meta": {}},
        "/audio/transcriptions": {"text": "hello"},
        "/audio/speech": {"not": "really audio"},
        "/images/generations": {"created": 1, "data": [{"b64_json": "aGk="}]},
        "/images/edits": {"created": 1, "data": [{"b64_json": "aGk="}]},
    }
    found = next((answer for end, answer in answers.items() if path.endswith(end)), None)
    return json.dumps(
        {"error": {"message": f"no such path {path}"}} if found is None else {**found, "model": model}
    ).encode()


def _streamed(path: str, model: str) -> bytes:
    chat = path.endswith("/chat/completions")
    choice: dict[str, Any] = {"index": 0, "finish_reason": None}
    choice |= {"delta": {"role": "assistant", "content": "hello"}} if chat else {"text": "hello"}
    kind = "chat.completion.chunk" if chat else "text_completion"
    base = {"id": "c", "object": kind, "created": 1, "model": model}
    last = {"index": 0, "finish_reason": "stop"} | ({"delta": {}} if chat else {"text": ""})
    pieces = [{**base, "choices": [choice]}, {**base, "choices": [last]}]
    return b"".join(b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces) + b"data: [DONE]\n\n"


class Provider:
    """An OpenAI-compatible server on loopback. ``asked``: ``(path, model)`` of each request but listings."""

    def __init__(self, *models: str) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self._connections: list[socket.socket] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                provider._connections.append(self.connection)

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                if self.path.endswith("/models"):
                    self._send(json.dumps({"object": "list", "data": [{"id": name} for name in models]}).encode())
                else:  # a websocket for instance
                    provider.asked.append((self.path, ""))
                    self._send(b'{"error": {"message": "not here"}}', 404)

            def do_DELETE(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    request = json.loads(body)
                except ValueError:  # a form
                    request = {}
                provider.asked.append((self.path, str(request.get("model", ""))))
                provider.bodies.append(body)
                if request.get("stream") and "completions" in self.path:
                    self._send(_streamed(self.path, request["model"]), kind="text/event-stream")
                    return
                answer = _answer(self.path, str(request.get("model", "")))
                self._send(answer, 404 if b"no such path" in answer else 200)

            def _send(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Trap:
    """Accepts nothing and counts who comes: it stands where LiteLLM would go by itself."""

    def __init__(self) -> None:
        self.visitors = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.visitors += 1
            visitor.close()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
