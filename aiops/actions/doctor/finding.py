"""One thing that `doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``mend``: what to type when it is not well."""

    ok: bool
    what: str
    mend: str = ""
