"""Ask the gateway one question and print the answer. Usage: ask.py QUESTION

OPENAI_BASE_URL and OPENAI_API_KEY say where, as for any OpenAI client (`aiops env` prints them).
The first served model that is not for embeddings answers.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import Any

SECONDS = 300  # a large model on a slow machine takes its time over the first answer

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business with 127.0.0.1


def call(path: str, body: dict[str, Any] | None = None) -> tuple[Any, HTTPMessage]:
    """The JSON answer and headers of one request to the gateway; raise SystemExit(7), explained, when it fails."""
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"].rstrip("/") + path,
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"},
    )
    try:
        with _direct.open(request, timeout=SECONDS) as answer:
            return json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        reason = f"the gateway answered {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        reason = f"the gateway did not answer: {error}"
    print(f"error: {reason}\nhint: aiops verify", file=sys.stderr)
    raise SystemExit(7)


def main(question: str) -> None:
    listed, _ = call("/models")
    names = [entry["id"] for entry in listed["data"]]
    model = next((name for name in names if "embed" not in name), names[0] if names else None)
    if model is None:
        print("error: the gateway serves no model yet\nhint: aiops add-provider --help", file=sys.stderr)
        raise SystemExit(7)
    print(f"To {model}: {question}", flush=True)
    messages = [{"role": "user", "content": question}]
    answer, headers = call("/chat/completions", {"model": model, "max_tokens": 40, "messages": messages})
    print(f"Answer: {answer['choices'][0]['message']['content']}")
    print(f"(by generation {headers.get('x-aiops-generation', '?')})")


if __name__ == "__main__":
    main(sys.argv[1])
