"""What an answer says to a browser is what LiteLLM's CORS layer says."""

from __future__ import annotations

import asyncio

import pytest
from starlette.middleware.cors import CORSMiddleware

from aiops.gateway.worker.front.asgi import Message, Receive, Scope, Send
from aiops.gateway.worker.lanes.origins import Origins

PAGE = "https://app.test"
# The two variables, and what LiteLLM makes of them (`_get_cors_config` in its proxy_server.py).
SETTINGS = [
    ("", None, ["*"], False),
    (" ", "true", ["*"], True),
    ("*", "False", ["*"], False),
    (PAGE, None, [PAGE], True),
    (PAGE, "no", [PAGE], False),
    (f"https://other.test, {PAGE},", None, ["https://other.test", PAGE], True),
    (f"*, {PAGE}", None, ["*", PAGE], False),
    ("https://other.test", None, ["https://other.test"], True),
    ("https://other.test", "false", ["https://other.test"], False),
]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})


def heard(app: object, origin: str | None) -> set[tuple[bytes, bytes]]:
    # A cookie, or Starlette would not name the origin for which credentials are asked.
    headers = [(b"cookie", b"a=b")] + ([(b"origin", origin.encode())] if origin else [])
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "POST", "headers": headers}, None, send))  # type: ignore[operator]
    return {(name, value) for name, value in sent[0]["headers"] if name != b"access-control-expose-headers"}


@pytest.mark.parametrize("origin", [None, PAGE])
@pytest.mark.parametrize(("named", "said", "origins", "credentials"), SETTINGS)
def test_a_page_is_told_what_the_layer_that_litellm_has_tells_it(
    named: str, said: str | None, origins: list[str], credentials: bool, origin: str | None
) -> None:
    environment = {"LITELLM_CORS_ORIGINS": named}
    if said is not None:
        environment["LITELLM_CORS_ALLOW_CREDENTIALS"] = said
    theirs = CORSMiddleware(answer, allow_origins=origins, allow_credentials=credentials)

    async def ours(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, Origins(environment).told(scope, send))

    assert read_by_browsers(heard(ours, origin)) == read_by_browsers(heard(theirs, origin))


def read_by_browsers(headers: set[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
    """Without an allowed origin nothing else counts."""
    found = {pair for pair in headers if pair[0].startswith(b"access-control-")}
    return found if any(name == b"access-control-allow-origin" for name, _ in found) else set()


def test_an_answer_that_says_it_already_is_left_alone() -> None:
    async def of_litellm(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"access-control-allow-origin", b"*")]})

    async def ours(scope: Scope, receive: Receive, send: Send) -> None:
        await of_litellm(scope, receive, Origins({}).told(scope, send))

    assert heard(ours, PAGE) == {(b"access-control-allow-origin", b"*")}
