"""The master's control socket: whoever may write to it (the owner, 0600) may tell the gateway what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from aiops.gateway import protocol
from aiops.gateway.events import Events

Obey = Callable[[protocol.Peer, protocol.Message], None]
Lost = Callable[[protocol.Peer], None]


class Refused(Exception):
    """A request that cannot be carried out now; the text goes to whoever asked."""


class ControlSocket:
    """``obey`` is called for each message and may raise Refused; ``lost`` when a connection ends."""

    def __init__(self, events: Events, path: Path, obey: Obey, lost: Lost) -> None:
        self._events = events
        self._obey = obey
        self._lost = lost
        path.unlink(missing_ok=True)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._sock.bind(str(path))
        finally:
            os.umask(before)
        self._sock.listen(64)
        self._sock.setblocking(False)
        events.watch(self._sock, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except OSError:
            return
        peer = protocol.Peer(connection)
        self._events.watch(connection, lambda: self._hear(peer))

    def _hear(self, peer: protocol.Peer) -> None:
        for message in peer.receive():
            try:
                self._obey(peer, message)
            except Refused as refusal:
                peer.send({"ok": False, "error": str(refusal)})
            except (OSError, ValueError, KeyError, TypeError) as error:
                peer.send({"ok": False, "error": f"{type(error).__name__}: {error}"})
        if peer.closed:
            self._events.forget(peer.sock)
            peer.close()
            self._lost(peer)
