"""How asking a provider fails. The text of each is for the log: it may name the provider's address."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Of a request; what was waited for when nothing came."""

    CONNECT = "connect"
    FIRST_BYTE = "first byte"
    BETWEEN = "between two pieces"


class UpstreamError(Exception):
    """The provider gave no complete answer."""


class Refused(UpstreamError):
    """There is no connection: nobody listens, the name is unknown, the certificate is not trusted, no provider is
    there. Nothing was sent."""


class TimedOut(UpstreamError):
    """Nothing came in time."""

    def __init__(self, stage: Stage, seconds: float | None) -> None:
        super().__init__(f"nothing within {seconds} s ({stage})")
        self.stage = stage


class BrokeOff(UpstreamError):
    """The connection ended before the answer did. ``began``: its head was there."""

    def __init__(self, text: str, *, began: bool) -> None:
        super().__init__(text)
        self.began = began


class Malformed(UpstreamError):
    """What came is no HTTP, or more of it than is taken."""
