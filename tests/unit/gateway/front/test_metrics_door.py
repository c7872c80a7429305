"""Who may read /metrics without a key: this machine itself, and nobody whom a proxy asks for."""

from __future__ import annotations

import pytest

from aiops.gateway.worker.front.metrics import is_near

HERE = ("127.0.0.1", 40_000)


@pytest.mark.parametrize(
    ("client", "server", "headers", "near"),
    [
        (HERE, ("127.0.0.1", 4000), [(b"host", b"127.0.0.1")], True),
        (("127.0.0.9", 1), ("127.0.0.1", 4000), [], True),
        (("::1", 1), ("::1", 4000), [], True),
        (("10.0.0.9", 1), ("10.0.0.1", 4000), [], False),
        (("10.0.0.1", 1), ("10.0.0.1", 4000), [], False),  # also of this machine, but who knows
        (("10.0.0.9", 1), ("127.0.0.1", 4000), [], False),
        (HERE, ("10.0.0.1", 4000), [], False),
        (None, ("127.0.0.1", 4000), [], False),
        (HERE, None, [], False),
        (HERE, ("127.0.0.1", 4000), [(b"x-forwarded-for", b"127.0.0.1")], False),
        (HERE, ("127.0.0.1", 4000), [(b"forwarded", b"for=10.0.0.9")], False),
        (HERE, ("127.0.0.1", 4000), [(b"via", b"1.1 somebody")], False),
        (HERE, ("127.0.0.1", 4000), [(b"x-real-ip", b"10.0.0.9")], False),
        (("testclient", 1), ("testserver", 80), [], False),
    ],
)
def test_who_is_near(
    client: tuple[str, int] | None,
    server: tuple[str, int] | None,
    headers: list[tuple[bytes, bytes]],
    near: bool,
) -> None:
    assert is_near({"client": client, "server": server, "headers": headers}) == near
