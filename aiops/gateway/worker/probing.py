"""Probes that only aiops may ask for, steered by a private request header; and what else is known of a request of ours.

``x-aiops-probe: fail`` makes the deployment of the requested model fail at the very point where its provider
would be called, so that the fallback really answers: that is how a fallback is proved without taking a provider down.
``x-aiops-probe: mock`` answers without a provider, to warm a worker. Nothing here imports LiteLLM.

The header counts on the worker's private unix socket only. From the public socket it has no meaning.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = b"x-aiops-probe"
FAIL, MOCK = "fail", "mock"
MARKER = "aiops-probe"
MOCK_ANSWER = "ok"


@dataclass
class Probe:
    """What is asked of one request; ``fired`` proves that LiteLLM called the hook. ``group``: what was asked for."""

    mode: str
    fired: int = 0
    group: str | None = None


private: ContextVar[bool] = ContextVar("aiops_private", default=False)
"""True while a request of aiops itself is answered: from the self-check, or from the private unix socket."""

proof: ContextVar[bool] = ContextVar("aiops_proof", default=False)
"""The same, and also of one that came by the public port with the mark of a proof."""

current: ContextVar[Probe | None] = ContextVar("aiops_probe", default=None)


LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")


def quiet(record: logging.LogRecord) -> bool:
    """A logging filter: what is proved may fail, on purpose or not, and whoever has it proved is told by the proof."""
    return not proof.get()
