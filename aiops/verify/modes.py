"""What a model is that does not chat: its server is asked, once, in the other ways there are."""

from __future__ import annotations

from typing import Any

from aiops.host import http
from aiops.spec.shapes.model import Provider
from aiops.spec.shapes.provider_types import Mode
from aiops.verify.check import Failed, Skipped
from aiops.verify.client import SILENCE
from aiops.verify.providers import ask

SECONDS = 10.0  # for a model that is loaded already: it has just refused to chat
_BOUNDARY = "aiops-silence"


def other(provider: Provider, model: str, key: str | None) -> str | None:
    """In a sentence what ``model`` does instead of chatting, and what to write; None when it is not known."""
    look = _of_ollama if provider.type == "ollama" else _by_asking
    mode = look(provider, model, key)
    if mode is None:
        return None
    does = "embeds" if mode == "embedding" else "transcribes"
    return f"`{model}` {does} and does not chat: `{{name: {model}, mode: {mode}}}` in providers.yaml says so"


def _of_ollama(provider: Provider, model: str, key: str | None) -> Mode | None:
    """``capabilities``: Ollama docs/api.md, /api/show."""
    try:
        shown = ask(provider, f"{provider.root}/api/show", key, {"model": model})
    except (Failed, Skipped):
        return None
    capabilities = shown.get("capabilities") or ()
    return "embedding" if "embedding" in capabilities and "completion" not in capabilities else None


def _by_asking(provider: Provider, model: str, key: str | None) -> Mode | None:
    base = provider.api_base
    if base is None:
        return None
    headers = {"authorization": f"Bearer {key}"} if key else {}
    base, question, query = base.partition("?")
    if _answers(f"{base}/embeddings{question}{query}", headers, {"model": model, "input": "ok"}, "data"):
        return "embedding"
    form = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
    body = (
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n'
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="silence.wav"\r\n'
        "content-type: audio/wav\r\n\r\n"
    ).encode()
    body += SILENCE + f"\r\n--{_BOUNDARY}--\r\n".encode()
    if _answers(f"{base}/audio/transcriptions{question}{query}", {**headers, **form}, body, "text"):
        return "audio_transcription"
    return None


def _answers(url: str, headers: dict[str, str], body: Any, answered_in: str) -> bool:
    try:
        answer = http.send("POST", url, headers=headers, body=body, timeout=SECONDS, proxies=True)
        return answer.status_code == 200 and answered_in in answer.json()
    except (http.NoAnswer, ValueError, TypeError):
        return False
