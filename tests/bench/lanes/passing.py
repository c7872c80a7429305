"""A gateway that looks at nothing: ``python -m tests.bench.lanes.passing UPSTREAM_PORT`` says ``ready PORT``.

The same server and client library as aiops' own, and no more than it takes to hand bytes on.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import aiohttp
import uvicorn
import uvloop

SKIPPED = {b"host", b"content-length", b"connection"}


async def main(port: int) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session:

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message["body"], message["more_body"]
            headers = [(name.decode(), value.decode()) for name, value in scope["headers"] if name not in SKIPPED]
            async with session.post(scope["path"], data=body, headers=headers) as answer:
                named = [pair for pair in answer.raw_headers if pair[0].lower() != b"transfer-encoding"]
                await send({"type": "http.response.start", "status": answer.status, "headers": named})
                async for piece in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        listens = socket.create_server(("127.0.0.1", 0), backlog=2048)
        sys.stdout.write(f"ready {listens.getsockname()[1]}\n")
        sys.stdout.flush()
        given = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False)
        await uvicorn.Server(given).serve([listens])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
