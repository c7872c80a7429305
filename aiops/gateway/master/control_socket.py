"""The master's control socket: whoever may write to it (the owner, 0600) may tell the gateway what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from aiops.gateway.master.events import Events
from aiops.gateway.shared import messages, protocol

Obey = Callable[[protocol.Peer, messages.AnyRequest], None]
Lost = Callable[[protocol.Peer], None]


class Refused(Exception):
    """A request that cannot be carried out now; the text goes to whoever asked."""


class ControlSocket:
    """``obey`` is called for each request and may raise Refused; ``lost`` when a connection ends."""

    def __init__(
        self, events: Events, run: Path, obey: Obey, lost: Lost, inherited: socket.socket | None = None
    ) -> None:
        self._events = events
        self._obey = obey
        self._lost = lost
        self._sock = inherited or _bind(run / protocol.CONTROL)
        self._sock.setblocking(False)
        events.watch(self._sock, self._accept)

    def fileno(self) -> int:
        return self._sock.fileno()

    def obey(self, peer: protocol.Peer, request: messages.AnyRequest) -> None:
        """Have it done; what is wrong with it goes to ``peer``."""
        try:
            self._obey(peer, request)
        except Refused as refusal:
            peer.send(messages.Refusal(str(refusal)).plain())
        except (OSError, ValueError, KeyError, TypeError) as error:
            peer.send(messages.Refusal(f"{type(error).__name__}: {error}").plain())

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
                request = _request(message)
            except Refused as refusal:
                peer.send(messages.Refusal(str(refusal)).plain())
            else:
                self.obey(peer, request)
        if peer.closed:
            self._events.forget(peer.sock)
            peer.close()
            self._lost(peer)


def _request(message: protocol.Message) -> messages.AnyRequest:
    try:
        return messages.request(message)
    except ValueError as error:
        raise Refused(str(error)) from error


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(64)
    return sock
