"""A load generator that hides nothing: no client in it retries, and a stream counts only when all of it came."""

from __future__ import annotations

from tests.load.clients import Target
from tests.load.report import KindReport, LoadReport
from tests.load.runner import BackgroundLoad, Mix, run

__all__ = ["BackgroundLoad", "KindReport", "LoadReport", "Mix", "Target", "run"]
