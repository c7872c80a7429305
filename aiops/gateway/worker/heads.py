"""How large the head of a client's request may be: it is read before anybody knows who sends it."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST: Final = 256 * 1024
"""Bytes, from where on nobody waits for the end of it: the parser would keep all of them."""


class Bounded(HttpToolsProtocol):
    """A connection of the server whose requests have heads of that size."""

    _waiting = 0  # bytes of a head that has not ended

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = self.cycle
        if self.scope is None or (cycle is not None and cycle.scope is self.scope):
            self._waiting = 0
            return
        self._waiting += len(data)
        if self._waiting > LARGEST and not self.transport.is_closing():
            self.send_400_response(f"The head of a request is larger than {LARGEST:,} bytes.")
