"""What every verb is given: where the instance is, and where to speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiops.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from aiops.host.instance import Instance


class Context:
    """What every verb gets: where the instance is, and where to speak."""

    def __init__(self) -> None:
        self.home: Path | None = None
        self.assume_yes = False
        self.debug = False
        self.out = Output()

    def speak(self, *, as_json: bool) -> None:
        """To a program, or to a person."""
        self.out = Output(as_json)

    @property
    def instance(self) -> Instance:
        from aiops.host.instance import locate
        from aiops.host.privileges import act_as_owner

        instance = locate(self.home)
        act_as_owner(instance.config)
        return instance
