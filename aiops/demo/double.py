"""A double of a model server: canned answers, no model behind it, and it misbehaves when it is told to.

It speaks the OpenAI API with the face of OpenAI, vLLM or Ollama. Ask it what it received at ``/_requests``,
tell it what to do at ``/_control``.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import replace
from typing import Any

from aiops.demo import ollama_face, openai_face
from aiops.demo.control import Control, Face, Journal, changed
from aiops.demo.wire import (
    Answer,
    Receive,
    Scope,
    Send,
    Stream,
    as_json,
    break_connection,
    read_body,
    send_answer,
    send_stream,
    until_disconnected,
)

COMPLETIONS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
HTML = Answer(b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", content_type=b"text/html; charset=utf-8")
# Open on a vLLM that wants a key: its middleware only guards /v1.
OPEN_ON_VLLM = ("/health", "/metrics", "/version")


class Double:
    """The ASGI application. One instance is one provider; it holds its state and what it received."""

    def __init__(self, face: Face = "openai", control: Control | None = None) -> None:
        self.face: Face = face
        self.control = control or Control()
        self.journal = Journal()
        self.answering = 0  # model requests
        self._loaded = ""
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method, body = scope["path"], scope["method"], await read_body(receive)
        if path.startswith("/_"):
            await send_answer(self._steer(method, path, body), receive, send)
            return
        headers = scope["headers"]
        self.journal.record(method, path, headers, body)
        self.answering += method == "POST"
        try:
            await self._respond(path, method, headers, body, receive, send)
        finally:
            self.answering -= method == "POST"

    async def _respond(
        self, path: str, method: str, headers: list[tuple[bytes, bytes]], body: bytes, receive: Receive, send: Send
    ) -> None:
        control = self.control
        applies = control.applies_to(path)
        if applies and control.times and control.mode != "ok":
            left = {"times": control.times - 1} if control.times > 1 else {"times": 0, "mode": "ok"}
            self.control = changed(control, left)
        if applies and (seconds := control.seconds_before_answer()):
            await asyncio.sleep(seconds)
        if applies and control.mode == "hang":
            await until_disconnected(receive)
            return
        if applies and control.mode == "drop_before":
            await break_connection(receive, send)
            return
        if control.load and method == "POST":
            await self._have_loaded(body)
        if not control.times:
            control = self.control  # it may have been told something else while it waited
        answer = self._refusal(path, headers) or self._misbehaviour(path, control) or self._answer(method, path, body)
        if isinstance(answer, Stream):
            await send_stream(answer, receive, send)
            return
        if applies and control.mode in ("drop_mid_stream", "drop_before_token") and method == "POST":
            answer = replace(answer, cut=True)
        await send_answer(answer, receive, send)

    async def _have_loaded(self, body: bytes) -> None:
        """As llama-swap does: whoever asks for another model waits until it is there, and who is there before."""
        try:
            model = str(json.loads(body).get("model"))
        except (ValueError, AttributeError):
            return
        async with self._loading:
            if model != self._loaded:
                await asyncio.sleep(self.control.load)
                self._loaded = model

    def _steer(self, method: str, path: str, body: bytes) -> Answer:
        match method, path:
            case "PUT", "/_control":
                try:
                    self.control = changed(self.control, json.loads(body))
                except ValueError as error:
                    return as_json({"error": str(error)}, 400)
                return as_json(self.control.shown())
            case "GET", "/_control":
                return as_json(self.control.shown() | {"face": self.face})
            case "GET", "/_requests":
                return as_json(self.journal.shown())
            case "DELETE", "/_requests":
                self.journal.clear()
                return as_json({"total": 0})
        return as_json({"error": "the double has PUT|GET /_control and GET|DELETE /_requests"}, 404)

    def _refusal(self, path: str, headers: list[tuple[bytes, bytes]]) -> Answer | None:
        control = self.control
        if self.face == "vllm" and path in OPEN_ON_VLLM:
            return None
        if control.mode == "401" and control.applies_to(path):
            return self._unauthorized()
        if control.api_key:
            given = next((value for name, value in headers if name == b"authorization"), b"")
            if not hmac.compare_digest(given, b"Bearer " + control.api_key.encode()):
                return self._unauthorized()
        return None

    def _unauthorized(self) -> Answer:
        if self.face == "vllm":
            return as_json({"error": "Unauthorized"}, 401)
        if self.face == "ollama":
            return as_json({"error": "unauthorized"}, 401)
        detail = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "param": None}
        return as_json({"error": detail | {"code": "invalid_api_key"}}, 401)

    def _misbehaviour(self, path: str, control: Control) -> Answer | None:
        if not control.applies_to(path):
            return None
        match control.mode:
            case "429":
                limited = {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"}
                return as_json({"error": limited}, 429, ((b"retry-after", b"1"),))
            case "500":
                return as_json({"error": {"message": "The server had an error.", "type": "server_error"}}, 500)
            case "503":  # what llama.cpp says while it loads its model
                return as_json({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503)
            case "wrong_json":
                return Answer(b'{"unexpected": [1, 2')
            case "html":
                return HTML
            case "redirect":
                return Answer(b"", 302, HTML.content_type, ((b"location", b"/login"),))
        return None

    def _answer(self, method: str, path: str, body: bytes) -> Answer | Stream:
        if method == "POST" and path == "/v1/audio/transcriptions":
            return openai_face.transcription(body, self.control, self.face)
        if method == "POST":
            try:
                request = json.loads(body)
            except ValueError:
                request = None
            if not isinstance(request, dict):
                return openai_face.error("The body is not a JSON object.", 400, self.face)
            return self._post(path, request) or self._nothing_here()
        return self._get(path) or self._nothing_here()

    def _get(self, path: str) -> Answer | None:
        if path == "/v1/models":
            return openai_face.models(self.control, self.face)
        if self.face == "ollama":
            return ollama_face.get(path, self.control)
        if path == "/health":
            return Answer(b"") if self.face == "vllm" else as_json({"status": "ok"})
        if self.face == "vllm" and path == "/version":
            return as_json({"version": "0.15.0"})
        if self.face == "vllm" and path == "/metrics":
            return Answer(self._vllm_metrics().encode(), content_type=b"text/plain; version=0.0.4; charset=utf-8")
        return None

    def _post(self, path: str, request: dict[str, Any]) -> Answer | Stream | None:
        if path in COMPLETIONS:
            return openai_face.complete(path, request, self.control, self.face)
        if self.face == "ollama":
            return ollama_face.post(path, request, self.control, self._add_model)
        return None

    def _add_model(self, name: str) -> None:
        if name not in self.control.models:
            self.control = replace(self.control, models=(*self.control.models, name))

    def _nothing_here(self) -> Answer:
        if self.face == "ollama":
            return Answer(b"404 page not found", 404, b"text/plain")
        return as_json({"detail": "Not Found"}, 404)

    def _vllm_metrics(self) -> str:
        """As vLLM 0.11 writes it (vllm/v1/metrics/loggers.py): of an engine that holds 1,024 blocks of 16 tokens, what
        it answers now, and what else it was told to say."""
        model = f'engine="0",model_name="{self.control.models[0] if self.control.models else ""}"'
        cache = 'block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="1024"'
        running = float(self.answering)
        gauges = (
            ("num_requests_running", "Number of requests in model execution batches.", model, running),
            ("num_requests_waiting", "Number of requests waiting to be processed.", model, float(self.control.waiting)),
            ("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", model, float(self.control.cache)),
            ("cache_config_info", "Information of the LLMEngine CacheConfig", cache, 1.0),
        )
        return "".join(
            f"# HELP vllm:{name} {about}\n# TYPE vllm:{name} gauge\nvllm:{name}{{{labels}}} {value}\n"
            for name, about, labels, value in gauges
        )
