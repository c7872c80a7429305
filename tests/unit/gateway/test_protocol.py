"""One JSON object a line, however the bytes arrive."""

from __future__ import annotations

import socket

import pytest

from aiops.gateway.shared import protocol
from aiops.gateway.shared.protocol import LineBuffer, Peer, encode


def test_messages_survive_any_way_of_cutting_the_bytes() -> None:
    messages = [{"command": "stage", "directory": "/a b/ü\n"}, {"ok": True}, {}]
    data = b"".join(map(encode, messages))
    for size in range(1, len(data) + 1):
        buffer = LineBuffer()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert [message for piece in pieces for message in buffer.feed(piece)] == messages


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'"text"\n', b"\n"])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        LineBuffer().feed(line)


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINE", 10)
    with pytest.raises(ValueError, match="too long"):
        LineBuffer().feed(b"x" * 11)


def test_a_peer_keeps_what_the_kernel_does_not_take_at_once() -> None:
    near, far = socket.socketpair()
    with near, far:
        peer, other = Peer(near), Peer(far)
        big = {"text": "x" * 3_000_000}
        peer.send(big)
        assert peer.wants_write
        received: list[protocol.Message] = []
        while not received:
            received = other.receive()
            peer.flush()
        assert received == [big]
        assert not peer.wants_write


def test_a_peer_notices_that_the_other_end_is_gone_or_talks_nonsense() -> None:
    for goodbye in (b"", b"nonsense\n"):
        near, far = socket.socketpair()
        with near:
            peer = Peer(near)
            if goodbye:
                far.sendall(goodbye)
            else:
                far.close()
            assert peer.receive() == []
            assert peer.closed
            far.close()
