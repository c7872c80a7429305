"""Say what is being made: it takes minutes the first time, and a log that is silent for minutes looks like a hang."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("tests.lab")


@contextmanager
def making(what: str) -> Iterator[None]:
    """Tell when ``what`` is begun and how many seconds it took."""
    _LOG.info("lab: making %s", what)
    began = time.monotonic()
    yield
    _LOG.info("lab: made %s in %.0f s", what, time.monotonic() - began)


@contextmanager
def shown() -> Iterator[None]:
    """Show it on stderr, whatever that is by now: pytest has one of its own while it captures."""
    handler = logging.StreamHandler(sys.stderr)
    level = _LOG.level
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.setLevel(level)
        _LOG.removeHandler(handler)
