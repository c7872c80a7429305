"""A provider that lets its clients wait, and notes when they close the connection."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

SAYS = Literal["everything", "nothing", "head", "token"]
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


@dataclass
class Asked:
    """``closed``: monotonic, when its client had gone; None: it has not."""

    path: str
    closed: float | None = None


class Patient:
    """``says``: how far it answers what is asked from now on; then it waits until its client leaves, or it is told to
    say all of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.says: SAYS = "everything"
        self.seconds = 0.0  # before it says all of it
        self.go_on = threading.Event()
        self.asked: list[Asked] = []
        self.open = 0  # connections

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked, says = Asked(handler.path), self.says
        self.asked.append(asked)
        if says != "everything":
            if says != "nothing":
                _begin(handler)
            if says == "token":
                _say(handler, _piece("hello"))
            if self._is_left(handler, asked):
                handler.close_connection = True
                return
        time.sleep(self.seconds)
        if body.get("stream"):
            if says in ("everything", "nothing"):
                _begin(handler)
            _say(handler, _piece("hello"))
            _say(handler, {**_piece(None), "choices": [], "usage": USAGE})
            handler.wfile.write(b"data: [DONE]\n\n")
            handler.close_connection = True
        else:
            _send(handler, _whole(handler.path))

    def _is_left(self, handler: BaseHTTPRequestHandler, asked: Asked) -> bool:
        handler.connection.settimeout(0.01)
        while not self.go_on.is_set():
            try:
                if not handler.connection.recv(1):
                    asked.closed = time.monotonic()
                    return True
            except TimeoutError:
                continue
            except ConnectionError:
                asked.closed = time.monotonic()
                return True
        handler.connection.settimeout(None)
        return False


@contextmanager
def patient() -> Iterator[Patient]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            made.open += 1

        def finish(self) -> None:
            super().finish()
            made.open -= 1

        def do_GET(self) -> None:
            _send(self, {"object": "list", "data": [{"id": "alpha", "object": "model"}]})

        def do_POST(self) -> None:
            made.answer(self, json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Patient(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, value: object) -> None:
    data = json.dumps(value).encode()
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def _begin(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("connection", "close")
    handler.end_headers()


def _say(handler: BaseHTTPRequestHandler, event: object) -> None:
    handler.wfile.write(f"data: {json.dumps(event)}\n\n".encode())


def _piece(text: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "alpha", "choices": [choice]}


def _whole(path: str) -> dict[str, Any]:
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
        return {"object": "list", "model": "alpha", "data": data, "usage": USAGE}
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "message": message, "text": "hello", "finish_reason": "stop"}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "alpha",
        "choices": [choice],
        "usage": USAGE,
    }
