"""The editor of whoever sits at the terminal, and the copies that it is given."""

from __future__ import annotations

import os
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path

from aiops.errors import Interrupted, Precondition
from aiops.host import clock, files, process
from aiops.host.unit_files import find_program

USUAL = ("sensible-editor", "nano", "vim", "vi")


@dataclass(frozen=True)
class Copy:
    """One file to be edited, in a directory of its own: editors leave things beside it."""

    path: Path

    @classmethod
    def of(cls, directory: Path, name: str, content: bytes) -> Copy:
        """A new one below ``directory``, which nobody else can read. Raises Precondition."""
        folder = directory / f"{clock.now().replace(':', '')}-{os.getpid()}"
        with files.explained(folder, "write to"):
            for private in (directory, folder):
                private.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(folder / name, content, 0o600)
        return cls(folder / name)

    @property
    def is_there(self) -> bool:
        return self.path.is_file()

    def read(self) -> bytes:
        """Raises Precondition."""
        with files.explained(self.path, "read"):
            return self.path.read_bytes()

    def remove(self) -> None:
        """With all that the editor left beside it."""
        files.remove_tree(self.path.parent)


def command() -> list[str]:
    """``$VISUAL``, else ``$EDITOR``, with their arguments; else one that is usually there. Raises Precondition."""
    for variable in ("VISUAL", "EDITOR"):
        written = os.environ.get(variable, "").strip()
        if written:
            try:
                return shlex.split(written)
            except ValueError as error:
                raise Precondition(f"${variable} is no command: {error}", f"{variable}=nano, for example") from error
    found = next(filter(None, map(find_program, USUAL)), None)
    if found is None:
        raise Precondition("there is no editor", "install one, or name it: `EDITOR=/path/to/it aiops edit`")
    return [found]


def edit(argv: list[str], copy: Copy, *, quiet: bool) -> None:
    """Let a person edit it, as long as they like. ``quiet``: stdout is not the editor's. Raises Precondition."""
    code = process.interactive([*argv, str(copy.path)], quiet=quiet)
    if code == process.NO_PROGRAM:
        raise Precondition(f"there is no program {argv[0]}", "set EDITOR to your editor")
    if code == -signal.SIGINT:
        raise Interrupted(f"{argv[0]} was interrupted", "nothing was changed")
    if code != 0:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise Precondition(f"{argv[0]} ended {how}, so what it left was not looked at", "nothing was changed")
