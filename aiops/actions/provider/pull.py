"""Letting Ollama download a model, with progress (POST /api/pull streams one JSON object a line)."""

from __future__ import annotations

import json

import httpx

from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.provider.managed import known
from aiops.errors import Precondition, UsageError
from aiops.host.instance import Instance
from aiops.output import Output

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0  # Ollama reports every second; verifying a large download is its longest silence


def pull_model(instance: Instance, provider: str, model: str, out: Output) -> None:
    """Returns when the model is there. Raises UsageError, or Precondition with Ollama's own reason."""
    server = known(Snapshot.of(instance).desired, provider)
    if server.type != "ollama":
        raise UsageError(f"--pull is for Ollama; `{provider}` is of type {server.type}", "leave --pull out")
    url = f"{server.root}/api/pull"
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    try:
        with (
            out.progress(f"pulling {model}") as bar,
            httpx.stream("POST", url, json={"model": model, "stream": True}, timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                raise Precondition(f"{url} answered HTTP {answer.status_code}", "is it an Ollama server?")
            last = ""
            for line in filter(None, answer.iter_lines()):
                event = json.loads(line)
                # An error after the first line comes inside a 200.
                if "error" in event:
                    raise Precondition(f"Ollama could not pull `{model}`: {event['error']}", "is the name right?")
                last = str(event.get("status", ""))
                bar.update(event.get("completed", 0), event.get("total", 1), last)
    except (httpx.HTTPError, ValueError) as error:
        raise Precondition(f"{url}: {error or type(error).__name__}", "is Ollama running?") from error
    if last != "success":
        raise Precondition(f"the download of `{model}` ended early, at `{last}`", "run the same command again")
    out.say(f"pulled {model}")
