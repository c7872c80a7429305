"""Connections to providers: kept while they are used, given up before the provider closes them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.kit.gateway import Gateway

PROVIDER_CLOSES = 5.0  # seconds: llama.cpp's server, and uvicorn, which is vLLM's
MODEL = "counted"


class Handler(BaseHTTPRequestHandler):
    """Answers every chat, and remembers on which connection it came."""

    protocol_version = "HTTP/1.1"
    server: Provider

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.chats.append(self.client_address)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}
        self._answer({"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Provider(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        # Who asked: the address of the gateway's end of the connection.
        self.chats: list[tuple[str, int]] = []


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_connection_is_used_again_but_not_when_the_provider_may_be_closing_it(
    running: Gateway, provider: Provider
) -> None:
    running.add("counted", f"http://127.0.0.1:{provider.server_port}", MODEL)

    for _ in range(6):
        assert running.ask(MODEL).status_code == 200
    in_use = set(provider.chats)
    assert len(provider.chats) > 2 * len(in_use), "some were used again"
    time.sleep(PROVIDER_CLOSES - 0.5)
    assert running.ask(MODEL).status_code == 200
    assert provider.chats[-1] not in in_use
