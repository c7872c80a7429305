"""LiteLLM's file of models and their prices, looked up without LiteLLM and without having all of it in memory.

The file is one JSON object, three megabytes of it. Parsed it takes 15 MB, of which a gateway needs a few entries; where
they begin takes 0.5.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

NAME: Final = "model_prices_and_context_window_backup.json"
REMEMBERED: Final = 4096
_OBJECT: Final = re.compile(rb"\{")
_LONGEST_NAME: Final = 300
_LARGEST_ENTRY: Final = 65536
_DECODER: Final = json.JSONDecoder()


class PriceMap:
    """Made once, in the master, and shared by the workers that it forks. ``path`` None: nothing is known. Raises
    OSError."""

    def __init__(self, path: Path | None) -> None:
        self._found: dict[str, Mapping[str, Any] | None] = {}
        self._begins: dict[bytes, int] = {}
        if path is None:
            return
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for found in _OBJECT.finditer(self._content):
            self._note(found.start())
        self._content.madvise(mmap.MADV_DONTNEED)  # the kernel has it

    def _note(self, begin: int) -> None:
        """An object begins there; within an entry there are some, too, whose names nobody asks for."""
        before = self._content[max(0, begin - _LONGEST_NAME) : begin].rstrip()
        if not before.endswith(b":"):
            return
        written = before[:-1].rstrip()
        start = written.rfind(b'"', 0, -1)
        while start > 0 and written[start - 1 : start] == b"\\":
            start = written.rfind(b'"', 0, start)
        self._begins.setdefault(written[start:], begin)

    def get(self, name: str, /) -> Mapping[str, Any] | None:
        """What is known of a model; None for one that is not in the map."""
        if name not in self._found:
            if len(self._found) >= REMEMBERED:  # clients name what they like
                self._found.clear()
            self._found[name] = self._look_up(name)
        return self._found[name]

    def _look_up(self, name: str) -> Mapping[str, Any] | None:
        begin = self._begins.get(json.dumps(name).encode())
        if begin is None:
            begin = self._begins.get(json.dumps(name, ensure_ascii=False).encode("utf-8", "replace"))
        if begin is None:
            return None
        text = self._content[begin : begin + _LARGEST_ENTRY].decode("utf-8", "ignore")
        entry: Mapping[str, Any] = _DECODER.raw_decode(text)[0]
        return entry


@functools.cache
def known() -> PriceMap:
    """That of the LiteLLM that is installed."""
    spec = importlib.util.find_spec("litellm")
    for directory in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (path := Path(directory) / NAME).exists():
            return PriceMap(path)
    return PriceMap(None)
