"""LiteLLM's import, held for as long as a test wants, or broken: what starts with this environment imports it so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MODULE = "litellm.proxy.proxy_server"
TEXT = """
import pathlib, sys, time
place = pathlib.Path({place!r})
class Held:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            (place / "begun").touch()
            while (place / "held").exists():
                time.sleep(0.01)
            if (place / "broken").exists():
                raise ImportError("it is broken")
sys.meta_path.insert(0, Held())
"""


class Import:
    """``place``: an empty directory. The module that is imported at an interpreter's start holds the one of LiteLLM."""

    def __init__(self, place: Path) -> None:
        self._place = place
        (place / "sitecustomize.py").write_text(TEXT.format(place=str(place), module=MODULE))

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self._place)}

    @property
    def has_begun(self) -> bool:
        return (self._place / "begun").exists()

    def hold(self) -> None:
        (self._place / "begun").unlink(missing_ok=True)
        (self._place / "held").touch()

    def go_on(self) -> None:
        (self._place / "held").unlink(missing_ok=True)

    def breaks(self, *, really: bool = True) -> None:
        """From now on, or no more."""
        if really:
            (self._place / "broken").touch()
        else:
            (self._place / "broken").unlink(missing_ok=True)
