"""One gateway address to check: the public port, or the private unix socket of one worker."""

from __future__ import annotations

import json
from typing import Any

from aiops.gateway.shared import proof
from aiops.gateway.shared.protocol import GENERATION_HEADER
from aiops.host import http
from aiops.host.http import Answer
from aiops.verify.check import Absent, Failed, Slow

PROMPT = [{"role": "user", "content": "Say ok."}]
PROBE_HEADER = "x-aiops-probe"
_BOUNDARY = "aiops-silence"
# RIFF/WAVE, PCM, one channel of 16 bits at 8 kHz: 800 samples.
SILENCE = (
    b"RIFF\x64\x06\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x40\x06\x00\x00" + bytes(1600)
)
# By mode: where it is asked, what, and the key of the answer that has to hold something; None: the answer itself.
_REQUESTS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "chat": ("/v1/chat/completions", {"messages": PROMPT, "max_tokens": 1}, "choices"),
    "completion": ("/v1/completions", {"prompt": "ok", "max_tokens": 1}, "choices"),
    "responses": ("/v1/responses", {"input": "Say ok.", "max_output_tokens": 16}, "output"),
    "embedding": ("/v1/embeddings", {"input": "ok"}, "data"),
    "rerank": ("/v1/rerank", {"query": "ok", "documents": ["ok", "no"]}, "results"),
    "moderation": ("/v1/moderations", {"input": "ok"}, "results"),
    "image_generation": ("/v1/images/generations", {"prompt": "ok", "n": 1}, "data"),
    "audio_speech": ("/v1/audio/speech", {"input": "ok", "voice": "alloy"}, None),
    "audio_transcription": ("/v1/audio/transcriptions", {}, "text"),
}
NO_RETRIES = "x-litellm-num-retries"  # LiteLLM's own request header: what fails once is seen, and seen soon
NO_FALLBACKS = "disable_fallbacks"  # LiteLLM's own request parameter; never sent to a provider
# Whom the gateway asked is too busy, starting, or did not answer it in time; LiteLLM makes a 500 of a lost connection.
_NOBODY_THERE = frozenset({408, 429, 502, 503, 504})
_NO_CONNECTION = ("connection error", "cannot connect", "connect call failed", "connection refused", "timed out")


class Client:
    """Speaks to one address with one key. ``timeout`` is seconds per request."""

    def __init__(self, key: str, timeout: float, *, url: str = "http://gateway", socket: str | None = None) -> None:
        self._url = url
        self._socket = socket
        self._timeout = timeout
        self._auth = {"authorization": f"Bearer {key}", proof.HEADER: proof.mark(key), NO_RETRIES: "0"}
        self.private = socket is not None

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request, on a connection of its own. Raises Failed when there is no HTTP answer."""
        try:
            return http.send(
                method, self._url + path, timeout=self._timeout, headers=headers, body=body, unix=self._socket
            )
        except http.TookTooLong as error:
            raise Slow(str(error)) from error
        except http.NoAnswer as error:
            raise Failed(f"no answer: {error}") from error

    def get(self, path: str) -> Answer:
        return self.request("GET", path, headers=self._auth)

    def models(self) -> list[str]:
        """The served names, sorted. Raises Failed."""
        answer = self.get("/v1/models")
        if answer.status_code != 200:
            raise Failed(f"/v1/models answered HTTP {answer.status_code}")
        return sorted(str(item["id"]) for item in answer.json()["data"])

    def generation(self) -> str:
        return str(self.request("GET", "/_health/ready").headers.get(GENERATION_HEADER, ""))

    def ask(self, model: str, mode: str, fail_primary: bool = False, *, anybody: bool = False) -> Answer:
        """A tiny request to one model, answered by itself; with ``fail_primary`` by a fallback; by ``anybody`` who may.

        Raises Failed with the gateway's own words when it is not answered.
        """
        path, body, answered_in = _REQUESTS[mode]
        headers = {**self._auth, **({PROBE_HEADER: "fail"} if fail_primary else {})}
        # A fallback that steps in would hide that the model itself does not answer.
        steer = {} if fail_primary or anybody else {NO_FALLBACKS: True}
        asked = {"model": model, **body, **steer}
        answer = (
            self._upload(path, asked, headers)
            if mode == "audio_transcription"
            else self.request("POST", path, asked, headers)
        )
        if answer.status_code != 200:
            raise _refused(answer.status_code, answer.text)
        try:
            answered = answer.content if answered_in is None else answer.json()[answered_in]
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"the answer is not what a {mode} answer looks like") from error
        if not answered and mode != "audio_transcription":  # there is nothing to hear in a silence
            raise Failed("the answer is empty")
        return answer

    def _upload(self, path: str, fields: dict[str, Any], headers: dict[str, str]) -> Answer:
        """The same as a form with a file: a tenth of a second of silence."""
        parts = [
            f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode()
            + (str(value).lower() if isinstance(value, bool) else str(value)).encode()
            + b"\r\n"
            for name, value in fields.items()
        ]
        head = f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="silence.wav"\r\n'
        file = f"{head}content-type: audio/wav\r\n\r\n".encode() + SILENCE
        content = b"".join(parts) + file + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
        return self.request("POST", path, content, {**headers, **kind})

    def stream(self, model: str, *, anybody: bool = False) -> int:
        """A tiny streamed chat; returns the number of events. Raises Failed unless it ends as a stream should."""
        body = {"model": model, "messages": PROMPT, "max_tokens": 2, "stream": True}
        body |= {} if anybody else {NO_FALLBACKS: True}
        events, done = 0, False
        try:
            with http.opened(
                "POST",
                f"{self._url}/v1/chat/completions",
                timeout=self._timeout,
                headers=self._auth,
                body=body,
                unix=self._socket,
            ) as answer:
                if answer.status != 200:
                    raise _refused(answer.status, answer.read().decode(errors="replace"))
                for line in http.lines(answer, self._timeout):
                    if line.startswith("data:"):
                        data = line[5:].strip()
                        done = done or data == "[DONE]"
                        if '"error"' in data and "choices" not in json.loads(data):
                            raise Failed(f"the stream broke: {reason(data)}")
                        events += 1
        except http.TookTooLong as error:
            raise Slow(str(error)) from error
        except http.NoAnswer as error:
            raise Failed(f"the stream broke: {error}") from error
        if not done:
            raise Failed("the stream ended without [DONE]")
        return events


def _refused(status: int, text: str) -> Failed:
    said = reason(text)
    lost = status == 500 and any(words in said.lower() for words in _NO_CONNECTION)
    kind = Absent if status in _NOBODY_THERE or lost else Failed
    return kind(f"HTTP {status}: {said}")


def reason(text: str) -> str:
    """The message of an error in OpenAI's shape, on one line, without LiteLLM's repetitions; else the text itself."""
    try:
        message = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = text
    first = next((line.strip() for line in message.splitlines() if line.strip()), "no reason given")
    return first[:300]
