"""What is asked of a provider."""

from __future__ import annotations

from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. ``host``, ``content-length``, ``accept-encoding`` and ``user-agent`` are the client's; all other
    headers are sent as they are.

    Seconds, None without end: ``connect`` for a connection with its look-up and TLS; ``first_byte`` from then on until
    the head of the answer is there, all of it; ``between`` for each piece after that, not counting the time in which
    nobody asks for one.
    """

    url: str
    headers: Headers
    body: bytes = b""
    method: str = "POST"
    connect: float | None = None
    first_byte: float | None = None
    between: float | None = None
