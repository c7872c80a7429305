"""Who may read /metrics without a key: this machine itself, and nobody whom a proxy asks for."""

from __future__ import annotations

import pytest

from aiops.gateway.worker.front.metrics import is_near

HERE = ("127.0.0.1", 40_000)
SENT_ON = (
    *(b"cf-connecting-ip", b"true-client-ip", b"x-client-ip", b"x-envoy-external-address", b"x-forwarded"),
    *(b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-server", b"x-cluster-client-ip"),
)
OURS = (b"localhost", b"LocalHost:4000", b"127.0.0.1:4000", b"127.0.1.1", b"[::1]:4000", b"gateway.internal:4000")
OTHERS = (
    b"rebound.example",
    b"rebound.example:4000",
    b"localhost.example",
    b"127.0.0.1.example",
    b"10.0.0.1",
    b"",
    b"[",
)


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
        *((HERE, ("127.0.0.1", 4000), [(name, b"10.0.0.9")], False) for name in SENT_ON),
        *((HERE, ("127.0.0.1", 4000), [(b"host", name)], True) for name in OURS),
        *((HERE, ("127.0.0.1", 4000), [(b"host", name)], False) for name in OTHERS),
        (HERE, ("127.0.0.1", 4000), [(b"host", b"localhost"), (b"host", b"rebound.example")], False),
    ],
)
def test_who_is_near(
    client: tuple[str, int] | None,
    server: tuple[str, int] | None,
    headers: list[tuple[bytes, bytes]],
    near: bool,
) -> None:
    assert is_near({"client": client, "server": server, "headers": headers}, "Gateway.internal") == near
