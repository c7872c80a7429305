"""A TCP connection that can be cut without anybody being told: what is sent is swallowed, and nothing comes back.

``python -m tests.kit.cable PORT`` is one, a process of its own so that it is as quick as a cable: it says which port of
loopback leads to that one, and does what it reads.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Cable:
    """To a server on a port of loopback."""

    def __init__(self, port: int) -> None:
        argv = [sys.executable, "-m", "tests.kit.cable", str(port)]
        self._process = subprocess.Popen(argv, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._to, self.port = port, int(self._answer())

    def swallow(self) -> None:
        """From now on, on every connection: also a new one is accepted, and hears nothing."""
        self._tell("swallow")

    def mend(self) -> None:
        """What was under way stays lost, as after a cut that took longer than the peers: those connections end."""
        self._tell("mend")

    def through(self, url: str) -> str:
        """The URL of the server, by this cable."""
        return url.replace(f":{self._to}", f":{self.port}")

    def remove(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class _Carrier:
    def __init__(self, port: int) -> None:
        self._to = port
        self._whole = True
        self._ends: set[asyncio.StreamWriter] = set()

    async def work(self) -> None:
        """Until whoever started it is gone."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            self._whole = word == "mend"
            if self._whole:
                for writer in list(self._ends):
                    writer.close()
                self._ends.clear()
            print(word, flush=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        if not self._whole:
            await reader.read()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._ends.add(back)
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if self._whole:
                    writer.write(data)
                    await writer.drain()
        writer.close()
        self._ends.discard(writer)


if __name__ == "__main__":
    asyncio.run(_Carrier(int(sys.argv[1])).work())
