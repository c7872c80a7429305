"""What is written anew, before it is text: providers, mappings and settings, and where each of them came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiops.importing.litellm_settings import Settings
from aiops.spec.sources import MAPPINGS, PROVIDERS
from aiops.spec.yaml.yaml12 import Path
from aiops.spec.yaml.yaml_text import block


@dataclass
class Written:
    """``origins``: (file, beginning of a path) -> where in the source that comes from."""

    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    origins: dict[tuple[str, Path], Path] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Any]:
        """One section of the mappings, made when it is needed."""
        made: dict[str, Any] = self.mappings.setdefault(name, {})
        return made

    def sources(self, file: str) -> dict[str, bytes]:
        """The two files that hold what is served."""
        head = f"# {{}}: imported from {file} by `aiops import`.\n\n"
        mappings = {"exact_matches": {}, "fallback_chains": {}, **self.mappings}
        return {
            PROVIDERS: (head.format(PROVIDERS) + block({"providers": self.providers})).encode(),
            MAPPINGS: (head.format(MAPPINGS) + block(mappings)).encode(),
        }
